//! Client assertions: an application proves itself with a token that it signed, or that somebody signed for it.
//!
//! | issuer of the assertion | signed by | for |
//! | --- | --- | --- |
//! | the application itself | the key of one of its certificates | the token endpoint |
//! | a trusted issuer outside | one of the issuer's keys | whatever the federation rule says |
//!
//! An application's own assertion may be used for several resources, since the clients make one and keep it for minutes
//! (msal's `AutoRefresher`). For one and the same resource it is good once; a minute's grace is for answers that got lost
//! and for threads that ask at the same time. Tokens of issuers outside live in files and are used again and again.
//!
//! Source: RFC 7523; Microsoft's "application authentication certificate credentials".

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};
use uuid::Uuid;
use wharf_metadata::sign_ins;
use wharf_model::Timestamp;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::directory::{ClientCertificate, SignedIn};
use crate::federation::{FederatedTokenError, ForeignToken};
use crate::identity::Identity;
use crate::{Error, TokenProblem};

/// An assertion that was presented.
#[derive(Clone, Copy)]
pub struct ClientAssertion<'a> {
    /// The client that is said to have presented it.
    pub app_id: Uuid,
    /// The assertion.
    pub assertion: &'a str,
    /// The names of the token endpoint and its authority, one of which an own assertion must be for.
    pub audiences: &'a [String],
    /// What is asked for: an own assertion is good once for the same.
    pub used_for: &'a str,
}

/// A client that proved itself.
#[derive(Clone, Debug)]
pub struct AssertedClient {
    /// Who it is.
    pub signed_in: SignedIn,
    /// The federation rule that an issuer outside vouched for it by.
    pub rule: Option<Uuid>,
}

/// Why an assertion proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// It is no token, or its signature or time is wrong.
    #[error("the client assertion is not valid")]
    Token(#[from] TokenProblem),
    /// It ends too far away.
    #[error("the client assertion is valid for more than a day")]
    TooLongLived,
    /// It is for somebody else.
    #[error("the client assertion is for {found:?}, not for this token endpoint")]
    Audience {
        /// Whom it is for.
        found: String,
    },
    /// It is about another client.
    #[error("the subject of the client assertion is not the client")]
    Subject,
    /// No certificate of the client signed it; or there is no such client.
    #[error("the client assertion is signed with a certificate that is not registered for the client")]
    Certificate,
    /// The certificate is the client's and does not count any more.
    #[error("the certificate expired at {ended}")]
    CertificateExpired {
        /// When it ended.
        ended: Timestamp,
    },
    /// The certificate is the client's and does not count yet.
    #[error("the certificate does not count before {begins}")]
    CertificateNotYetValid {
        /// When it begins.
        begins: Timestamp,
    },
    /// It was used for the same before.
    #[error("the client assertion was already used")]
    Replayed,
    /// It is of an issuer outside, which does not help.
    #[error(transparent)]
    Federated(#[from] FederatedTokenError),
    /// A failure on our side.
    #[error("the client assertion could not be checked")]
    Unavailable(#[from] Error),
}

impl Identity {
    /// Signs an application in with an assertion.
    ///
    /// # Errors
    /// When it proves nothing.
    pub async fn check_client_assertion(&self, given: &ClientAssertion<'_>) -> Result<AssertedClient, AssertionError> {
        let token = ForeignToken::parse(given.assertion)?;
        let says = |claim| token.text(claim).and_then(|text| text.parse::<Uuid>().ok());
        if says("iss") != Some(given.app_id) {
            let (signed_in, rule) = self.check_federated_token(given.app_id, &token).await?;
            return Ok(AssertedClient { signed_in, rule: Some(rule) });
        }
        if says("sub") != Some(given.app_id) {
            return Err(AssertionError::Subject);
        }
        let now = self.parts().clock.now();
        token.check_time(now)?;
        let expires = token.expires().ok_or(TokenProblem::Malformed)?;
        if expires > now + LONGEST_LIFETIME {
            return Err(AssertionError::TooLongLived);
        }
        let signed_in = self.check_certificate(given.app_id, &token, now).await?;
        // Behind the signature, so that nobody learns what we are called by asking.
        if !token.audiences().iter().any(|found| given.audiences.iter().any(|ours| is_same_endpoint(found, ours))) {
            return Err(AssertionError::Audience { found: token.audiences().join(", ") });
        }
        self.use_assertion(given, &token, now, expires).await?;
        Ok(AssertedClient { signed_in, rule: None })
    }

    async fn check_certificate(
        &self,
        app_id: Uuid,
        token: &ForeignToken<'_>,
        now: Timestamp,
    ) -> Result<SignedIn, AssertionError> {
        if !matches!(token.algorithm, Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256) {
            return Err(TokenProblem::Algorithm.into());
        }
        let (signed_in, certificates) = self.client_certificates(app_id).await?.ok_or(AssertionError::Certificate)?;
        let (sha1, sha256) = (token.sha1_thumbprint(), token.sha256_thumbprint());
        let is_named = |certificate: &&ClientCertificate| {
            sha256.as_ref().is_none_or(|wanted| certificate.thumbprint_sha256() == wanted[..])
                && sha1.as_ref().is_none_or(|wanted| certificate.thumbprint() == wanted[..])
        };
        let signed =
            |certificate: &&ClientCertificate| key_of(certificate).is_some_and(|key| token.verify(&key).is_ok());
        let certificate = certificates.iter().filter(is_named).find(signed).ok_or(AssertionError::Certificate)?;
        if certificate.counts(now) {
            return Ok(signed_in);
        }
        match certificate.ends_at.filter(|end| *end <= now) {
            Some(ended) => Err(AssertionError::CertificateExpired { ended }),
            None => Err(AssertionError::CertificateNotYetValid { begins: certificate.starts_at }),
        }
    }

    async fn use_assertion(
        &self,
        given: &ClientAssertion<'_>,
        token: &ForeignToken<'_>,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<(), AssertionError> {
        // Without an id, the assertion is its own.
        let id = token.text("jti").unwrap_or(given.assertion);
        let lengths = [given.used_for.len(), id.len()];
        let used = format!("{} {lengths:?} {} {id}", given.app_id, given.used_for);
        let mac = self.mac_of("client-assertion", &used);
        // Clocks may differ by as much as is forgiven when the time is checked.
        let until = expires + Duration::from_mins(10);
        let note = self.parts().database.write(move |c| {
            Box::pin(async move { sign_ins::use_assertion(c, &mac, now, until).await.map_err(Error::from) })
        });
        match note.await? {
            Some(before) if now.since(before) > GRACE => Err(AssertionError::Replayed),
            _ => Ok(()),
        }
    }
}

/// The public key of a certificate, if it is of a kind that signs assertions.
fn key_of(certificate: &ClientCertificate) -> Option<DecodingKey> {
    let (_, parsed) = X509Certificate::from_der(&certificate.der).ok()?;
    let key = parsed.public_key();
    match key.parsed().ok()? {
        PublicKey::RSA(_) => Some(DecodingKey::from_rsa_der(&key.subject_public_key.data)),
        PublicKey::EC(_) => Some(DecodingKey::from_ec_der(&key.subject_public_key.data)),
        _ => None,
    }
}

/// Whether two URLs are the same but for a slash at the end.
fn is_same_endpoint(found: &str, ours: &str) -> bool {
    found.trim_end_matches('/').eq_ignore_ascii_case(ours.trim_end_matches('/'))
}

/// The longest that an application's own assertion may be valid.
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);
/// How long an assertion can be used again for the same.
const GRACE: Duration = Duration::from_mins(1);
