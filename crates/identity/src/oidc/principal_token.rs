//! Access tokens of principals: issued, and verified on every request of the management plane and of Graph.
//!
//! Their claims are those of Entra ID's access tokens, so that clients which look inside find what they know, and one of
//! ours, `wharf`, which says that it is an access token (and neither an ID token nor a registry's) and of which generation
//! its principal's credentials were.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tracing::debug;
use uuid::{Builder, Uuid};
use wharf_model::{PrincipalId, PrincipalKind, Timestamp};

use crate::identity::Identity;
use crate::token::{self, EncodeError, LONGEST_TOKEN, parse_token};
use crate::{AuthError, Error, Principal, TokenProblem};

/// What a new access token is to say.
#[derive(Clone, Copy, Debug)]
pub struct PrincipalGrant<'a> {
    /// Whom it stands for.
    pub principal: &'a Principal,
    /// The generation of the credentials that the principal signed in with.
    pub generation: i64,
    /// Whom it is for: the resource that was asked for, letter by letter.
    pub audience: &'a str,
    /// Who issues it: the `issuer` of the discovery document of the authority that was asked.
    pub issuer: &'a str,
    /// The client that asked, by its application id; for a service principal that signs in itself, its own.
    pub client_id: &'a str,
    /// How the client proved itself.
    pub style: TokenStyle,
}

/// Which form a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenStyle {
    /// For a person, through a client without a secret of its own.
    PublicClient,
    /// For an application, or a person through one, which gave a secret.
    Secret,
    /// For an application, or a person through one, which gave an assertion.
    Assertion,
}

/// A token as it is handed out.
#[derive(Clone)]
pub struct IssuedToken {
    /// The token.
    pub token: String,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

/// A token that stands: its signature is right, its time is now, and its principal is still let in by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Whom it stands for, as the directory knows them now.
    pub principal: Arc<Principal>,
    /// Whom it is for. Whoever is called compares it with the names that they go by.
    pub audience: String,
    /// The tenant that it was issued in.
    pub tenant_id: Uuid,
    /// When it expires.
    pub expires: Timestamp,
    /// The generation of the credentials that it was issued for. What is issued on the strength of the token is of this
    /// one, and dies with it.
    pub generation: i64,
}

impl Identity {
    /// Issues an access token that is valid for an hour, or for as long as the keys of the installation verify.
    ///
    /// # Errors
    /// When it would be longer than any that is taken, or cannot be signed.
    pub async fn issue_principal_token(&self, grant: &PrincipalGrant<'_>) -> Result<IssuedToken, Error> {
        let principal = grant.principal;
        let issued = self.parts().clock.now();
        let expires = issued + std::time::Duration::from_secs(LIFETIME_SECONDS);
        let is_person = principal.kind == PrincipalKind::User;
        let name = is_person.then_some(principal.name.as_str());
        let claims = Claims {
            aud: grant.audience,
            iss: grant.issuer,
            iat: issued.unix_seconds(),
            nbf: issued.unix_seconds() - BACKDATED_SECONDS,
            exp: expires.unix_seconds(),
            appid: grant.client_id,
            appidacr: match grant.style {
                TokenStyle::PublicClient => "0",
                TokenStyle::Secret => "1",
                TokenStyle::Assertion => "2",
            },
            idtyp: if is_person { "user" } else { "app" },
            name,
            oid: principal.id,
            preferred_username: name,
            scp: is_person.then_some("user_impersonation"),
            sub: principal.id,
            tid: principal.tenant_id,
            unique_name: name,
            upn: name,
            uti: self.token_id().to_string(),
            ver: "1.0",
            wharf: WharfClaim { usage: Usage::Access, generation: grant.generation },
        };
        let token = self.sign_claims(&claims).await?;
        Ok(IssuedToken { token, issued, expires })
    }

    /// Finds out for whom a bearer token stands.
    ///
    /// The signature of a token that was seen before is not verified again. Whether its principal still exists, is enabled
    /// and has the credentials that the token was issued for is asked anew whenever somebody changed who may do what.
    ///
    /// # Errors
    /// When the token is not one of ours, does not count now or does not count any more; or when that cannot be found out.
    pub async fn verify_principal_token(&self, bearer: &str) -> Result<Arc<VerifiedToken>, AuthError> {
        if bearer.len() > LONGEST_TOKEN {
            return Err(TokenProblem::TooLong.into());
        }
        // Before anything is read that the verdict is worked out from.
        let version = self.parts().database.access_version().await.map_err(Error::from)?;
        let now = self.parts().clock.now();
        let fingerprint = fingerprint(bearer);
        let seen = self.parts().principal_tokens.0.get(&fingerprint);
        if let Some(seen) = &seen {
            seen.check_time(now)?;
            if seen.version == version {
                return Ok(seen.verified.clone());
            }
        }
        Box::pin(self.verify_anew(bearer, fingerprint, seen, version, now)).await
    }

    /// Verifies what is not known of a token under this version of who may do what, and keeps the outcome.
    async fn verify_anew(
        &self,
        bearer: &str,
        fingerprint: Fingerprint,
        seen: Option<Seen>,
        version: i64,
        now: Timestamp,
    ) -> Result<Arc<VerifiedToken>, AuthError> {
        let claims = match seen {
            Some(seen) => seen.claims,
            None => Arc::new(self.read_principal_token(bearer).await?),
        };
        let standing = self.standing_of(claims.principal).await?;
        // A node that has not heard of the newest change yet may meet a token of a newer generation than it knows.
        let counts = |(principal, generation): &(Arc<Principal>, i64)| {
            claims.generation >= *generation && principal.tenant_id == claims.tenant_id
        };
        let Some((principal, _)) = standing.filter(counts) else {
            self.parts().principal_tokens.0.invalidate(&fingerprint);
            return Err(TokenProblem::Revoked.into());
        };
        let verified = Arc::new(VerifiedToken {
            principal,
            audience: claims.audience.clone(),
            tenant_id: claims.tenant_id,
            expires: claims.expires,
            generation: claims.generation,
        });
        let seen = Seen { version, claims, verified: verified.clone() };
        seen.check_time(now)?;
        debug!(principal = %verified.principal.id, "Verified a principal's token");
        self.parts().principal_tokens.0.insert(fingerprint, seen);
        Ok(verified)
    }

    async fn read_principal_token(&self, bearer: &str) -> Result<KnownClaims, AuthError> {
        let parsed = parse_token(bearer)?;
        let key = self.parts().keys.find(parsed.key_id()).await?.ok_or(TokenProblem::UnknownKey)?;
        let claims: ReadClaims = parsed.verify(&key.public)?;
        if claims.wharf.usage != Usage::Access {
            return Err(TokenProblem::WrongKind.into());
        }
        Ok(KnownClaims {
            principal: claims.oid,
            audience: claims.aud,
            tenant_id: claims.tid,
            generation: claims.wharf.generation,
            not_before: Timestamp::from_unix_seconds(claims.nbf),
            expires: Timestamp::from_unix_seconds(claims.exp).min(key.verifies_until),
        })
    }

    /// An id that no other token has.
    pub(crate) fn token_id(&self) -> Uuid {
        let mut id = [0; 16];
        self.parts().random.fill(&mut id);
        Builder::from_random_bytes(id).into_uuid()
    }

    /// Signs claims with the installation's key of the day.
    pub(crate) async fn sign_claims(&self, claims: &impl Serialize) -> Result<String, Error> {
        let key = self.parts().keys.signing().await?;
        token::encode(&key.header, claims, &key.private).map_err(|error| match error {
            EncodeError::TooLong => Error::TokenTooLong,
            EncodeError::Signing => Error::SigningKey { kid: key.id.clone(), verb: "used" },
        })
    }
}

/// The tokens that were verified last, by their digests.
pub(crate) struct PrincipalTokens(Cache<Fingerprint, Seen>);

impl PrincipalTokens {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MOST_TOKENS))
    }
}

type Fingerprint = [u8; SHA256_OUTPUT_LEN];

fn fingerprint(token: &str) -> Fingerprint {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A token whose signature is right, with what was found out about its principal under `version`.
#[derive(Clone)]
struct Seen {
    version: i64,
    claims: Arc<KnownClaims>,
    verified: Arc<VerifiedToken>,
}

/// What a token says, as far as it matters later.
struct KnownClaims {
    principal: PrincipalId,
    audience: String,
    tenant_id: Uuid,
    generation: i64,
    not_before: Timestamp,
    expires: Timestamp,
}

impl Seen {
    fn check_time(&self, now: Timestamp) -> Result<(), TokenProblem> {
        if now < self.claims.not_before {
            return Err(TokenProblem::NotYetValid);
        }
        if now >= self.claims.expires {
            return Err(TokenProblem::Expired);
        }
        Ok(())
    }
}

/// The claims as they are written. Absent ones are left out.
///
/// Source: Microsoft's "Access token claims reference" (version 1.0, which Azure Resource Manager's tokens have).
#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    appid: &'a str,
    /// How the client proved itself: not at all, by a secret, by a certificate.
    appidacr: &'a str,
    idtyp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    oid: PrincipalId,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scp: Option<&'a str>,
    sub: PrincipalId,
    tid: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upn: Option<&'a str>,
    uti: String,
    ver: &'a str,
    wharf: WharfClaim,
}

/// The claims as far as they are read.
#[derive(Deserialize)]
struct ReadClaims {
    aud: String,
    nbf: i64,
    exp: i64,
    oid: PrincipalId,
    tid: Uuid,
    wharf: WharfClaim,
}

/// Our own claim.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct WharfClaim {
    #[serde(rename = "use")]
    usage: Usage,
    generation: i64,
}

/// What a token is good for. Tokens of registries have no such word, and ID tokens have no claim of ours at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Usage {
    Access,
}

/// How long an access token is valid.
const LIFETIME_SECONDS: u64 = 3_600;
/// How much before its issue a token begins to be valid, for clocks that differ.
const BACKDATED_SECONDS: i64 = 300;
/// How many tokens' verdicts are kept.
const MOST_TOKENS: u64 = 20_000;
