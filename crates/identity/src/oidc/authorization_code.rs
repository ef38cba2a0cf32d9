//! Authorization codes: what a browser carries from the sign-in page to the program that sent it there.
//!
//! A code is good once, for a few minutes, for the client and redirect URI that it was made for, and together with the
//! verifier of its challenge. Whoever tries it a second time, or with the wrong verifier, ends it and what came of it.
//!
//! Source: RFC 6749, 4.1; RFC 7636; RFC 9700, 2.1.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use subtle::ConstantTimeEq as _;
use tracing::warn;
use uuid::Uuid;
use wharf_metadata::sign_ins::{self, AuthorizationCodeRow};

use super::Authentication;
use crate::Error;
use crate::identity::Identity;

/// What a new code is for.
#[derive(Clone, Copy, Debug)]
pub struct NewAuthorizationCode<'a> {
    /// Who signed in.
    pub authentication: &'a Authentication,
    /// The client that asked.
    pub client_id: &'a str,
    /// Where the browser is sent.
    pub redirect_uri: &'a str,
    /// The challenge (S256) of the verifier that the client keeps.
    pub code_challenge: Option<&'a str>,
    /// What was asked for.
    pub scope: &'a str,
    /// What the ID token is to repeat.
    pub nonce: Option<&'a str>,
}

/// What a client gets for a code.
#[derive(Clone, Debug)]
pub struct RedeemedCode {
    /// Who signed in.
    pub authentication: Authentication,
    /// What was asked for.
    pub scope: String,
    /// What the ID token is to repeat.
    pub nonce: Option<String>,
    /// What the refresh tokens of this sign-in have in common.
    pub family: Uuid,
    /// Whether the client proved that it is the one that asked, by a verifier.
    pub was_challenged: bool,
}

/// Why a code is worth nothing.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// There is no such code, or another client's.
    #[error("the authorization code is not known")]
    Unknown,
    /// Its time is over.
    #[error("the authorization code has expired")]
    Expired,
    /// It was used before.
    #[error("the authorization code was already used")]
    Replayed,
    /// The redirect URI is another than that which it was sent to.
    #[error("the redirect URI is not the one that the authorization code was sent to")]
    RedirectUri,
    /// The verifier does not fit, or is missing, or is there where none is expected.
    #[error("the code verifier does not match the code challenge")]
    Verifier,
    /// Whoever signed in may not any more.
    #[error("whoever signed in may not sign in any more")]
    Revoked,
    /// A failure on our side.
    #[error("the authorization code could not be checked")]
    Unavailable(#[from] Error),
}

impl Identity {
    /// Makes a code.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn new_authorization_code(&self, new: &NewAuthorizationCode<'_>) -> Result<String, Error> {
        let code = self.new_secret("");
        let row = AuthorizationCodeRow {
            code_mac: self.mac_of(MAC_CONTEXT, &code),
            client_id: new.client_id.to_owned(),
            redirect_uri: new.redirect_uri.to_owned(),
            code_challenge: new.code_challenge.map(str::to_owned),
            scope: new.scope.to_owned(),
            nonce: new.nonce.map(str::to_owned),
            sign_in: new.authentication.to_row(),
            family: self.token_id(),
            is_redeemed: false,
            expires_at: self.parts().clock.now() + LIFETIME,
        };
        let insert = self.parts().database.write(move |c| {
            Box::pin(async move { sign_ins::insert_authorization_code(c, &row).await.map_err(Error::from) })
        });
        insert.await?;
        Ok(code)
    }

    /// Redeems a code. Whatever comes of it, the code is worth nothing afterwards.
    ///
    /// # Errors
    /// When it is worth nothing.
    pub async fn redeem_authorization_code(
        &self,
        code: &str,
        client_id: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
    ) -> Result<RedeemedCode, RedeemError> {
        let mac = self.mac_of(MAC_CONTEXT, code);
        let redeem = self.parts().database.write(move |c| {
            Box::pin(async move {
                let row = sign_ins::redeem_authorization_code(c, &mac).await?;
                if let Some(row) = row.as_ref().filter(|row| row.is_redeemed) {
                    // One of the two is a thief, and we cannot tell which.
                    sign_ins::delete_family(c, row.family).await?;
                }
                Ok::<_, Error>(row)
            })
        });
        let row = redeem.await?.filter(|row| row.client_id == client_id).ok_or(RedeemError::Unknown)?;
        if row.is_redeemed {
            warn!(client_id, principal = %row.sign_in.principal, "An authorization code was used a second time; its refresh tokens are void");
            return Err(RedeemError::Replayed);
        }
        if self.parts().clock.now() >= row.expires_at {
            return Err(RedeemError::Expired);
        }
        if redirect_uri.is_some_and(|uri| uri != row.redirect_uri) {
            return Err(RedeemError::RedirectUri);
        }
        let fits = match (&row.code_challenge, verifier) {
            (Some(challenge), Some(verifier)) => {
                bool::from(challenge_of(verifier).as_bytes().ct_eq(challenge.as_bytes()))
            }
            (None, None) => true,
            // A verifier without a challenge: somebody took the challenge out on the way (RFC 9700, 2.1.1).
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !fits {
            return Err(RedeemError::Verifier);
        }
        let authentication = self.resume(&row.sign_in).await?.ok_or(RedeemError::Revoked)?;
        Ok(RedeemedCode {
            authentication,
            scope: row.scope,
            nonce: row.nonce,
            family: row.family,
            was_challenged: row.code_challenge.is_some(),
        })
    }
}

/// The challenge (S256) of a verifier.
pub(crate) fn challenge_of(verifier: &str) -> String {
    BASE64URL.encode(digest(&SHA256, verifier.as_bytes()))
}

const MAC_CONTEXT: &str = "authorization-code";
/// How long a code is good; long enough for a slow page, too short to be found in a log.
const LIFETIME: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_those_of_the_rfc() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
