//! ID tokens, which tell a client who signed in, and the keys that others verify our tokens with.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::Serialize;
use uuid::Uuid;
use wharf_model::{PrincipalId, PrincipalKind};

use super::Authentication;
use crate::Error;
use crate::identity::Identity;

/// One of the installation's public keys, as in a JWK set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedKey {
    /// What the headers of its tokens name it.
    pub kid: String,
    /// Its modulus, in base64url.
    pub n: String,
    /// Its exponent, in base64url.
    pub e: String,
}

impl Identity {
    /// Issues an ID token for a client.
    ///
    /// # Errors
    /// When it cannot be signed.
    ///
    /// Source: OpenID Connect Core 1.0, section 2; claims as in Entra ID's version 2.0.
    pub async fn issue_id_token(
        &self,
        authentication: &Authentication,
        client_id: &str,
        issuer: &str,
        nonce: Option<&str>,
    ) -> Result<String, Error> {
        let principal = &authentication.principal;
        let now = self.parts().clock.now().unix_seconds();
        let name = &principal.name;
        self.sign_claims(&Claims {
            aud: client_id,
            iss: issuer,
            iat: now,
            nbf: now - BACKDATED_SECONDS,
            exp: now + LIFETIME_SECONDS,
            auth_time: authentication.authenticated_at.unix_seconds(),
            name,
            nonce,
            oid: principal.id,
            preferred_username: name,
            sub: principal.id,
            tid: principal.tenant_id,
            upn: (principal.kind == PrincipalKind::User).then_some(name),
            unique_name: name,
            ver: "2.0",
        })
        .await
    }

    /// The public halves of the keys that sign and verify today.
    ///
    /// # Errors
    /// When there is none yet and it cannot be made.
    pub async fn published_keys(&self) -> Result<Vec<PublishedKey>, Error> {
        self.parts().keys.signing().await?;
        Ok(self.parts().keys.published())
    }
}

impl PublishedKey {
    pub(crate) fn of(key: &crate::signing_key::SigningKey) -> Self {
        use aws_lc_rs::signature::KeyPair as _;
        let public = key.private.public_key();
        let number = |bytes: &[u8]| BASE64URL.encode(bytes);
        Self {
            kid: key.id.clone(),
            n: number(public.modulus().big_endian_without_leading_zero()),
            e: number(public.exponent().big_endian_without_leading_zero()),
        }
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    auth_time: i64,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    oid: PrincipalId,
    preferred_username: &'a str,
    sub: PrincipalId,
    tid: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    upn: Option<&'a str>,
    unique_name: &'a str,
    ver: &'a str,
}

const LIFETIME_SECONDS: i64 = 3_600;
const BACKDATED_SECONDS: i64 = 300;
