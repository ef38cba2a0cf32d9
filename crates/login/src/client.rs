//! How a client proves itself at the token endpoint.
//!
//! | proof | where |
//! | --- | --- |
//! | secret | `client_secret` in the form, or `Authorization: Basic` |
//! | assertion | `client_assertion` in the form, signed by its own key or by a trusted issuer |
//! | none | clients that cannot keep a secret |

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;
use wharf_identity::oidc::{ClientAssertion, TokenStyle};
use wharf_identity::{Identity, SignedIn};
use wharf_model::Client;

use crate::error::{OAuthError, of_secret};
use crate::form::Form;

/// What a client sent of itself.
pub(crate) struct ClientCredentials {
    pub(crate) client_id: String,
    proof: Proof,
}

enum Proof {
    None,
    Secret(SecretString),
    Assertion(String),
}

/// A client that proved itself.
pub(crate) struct ProvenClient {
    pub(crate) signed_in: SignedIn,
    pub(crate) style: TokenStyle,
}

impl ClientCredentials {
    /// Reads them from a form and the headers.
    pub(crate) fn read(form: &Form, headers: &HeaderMap) -> Result<Self, OAuthError> {
        let (user, password) = match headers.get(header::AUTHORIZATION) {
            Some(value) => basic(value.as_bytes()).map(|(user, password)| (Some(user), Some(password)))?,
            None => (None, None),
        };
        let client_id = match (form.get("client_id"), user) {
            (Some(named), Some(user)) if !named.eq_ignore_ascii_case(&user) => {
                let message = "The client id in the Authorization header is not the one in the body.";
                return Err(OAuthError::invalid_request(9_002_313, message));
            }
            (Some(named), _) => named.to_owned(),
            (None, Some(user)) => user,
            (None, None) => return Err(OAuthError::missing("client_id")),
        };
        let proof = if let Some(assertion) = form.get("client_assertion") {
            if form.get("client_assertion_type") != Some(JWT_BEARER) {
                let message = format!("The 'client_assertion_type' must be '{JWT_BEARER}'.");
                return Err(OAuthError::invalid_request(50_027, message));
            }
            Proof::Assertion(assertion.to_owned())
        } else if let Some(secret) = form.get("client_secret").map(SecretString::from).or(password) {
            Proof::Secret(secret)
        } else {
            Proof::None
        };
        Ok(Self { client_id, proof })
    }

    pub(crate) fn has_proof(&self) -> bool {
        !matches!(self.proof, Proof::None)
    }

    /// Checks the proof. `audiences` are what an assertion of its own may be for, `used_for` is what an assertion is good once for.
    pub(crate) async fn prove(
        &self,
        identity: &Identity,
        audiences: &[String],
        used_for: &str,
        client: Client,
    ) -> Result<ProvenClient, OAuthError> {
        let app_id: Option<Uuid> = self.client_id.parse().ok();
        match &self.proof {
            Proof::None => Err(no_proof()),
            Proof::Secret(secret) => {
                let app_id = app_id.ok_or_else(|| OAuthError::unknown_client(&self.client_id))?;
                let checked = identity.check_client_secret(app_id, secret.expose_secret(), Some(client)).await;
                Ok(ProvenClient { signed_in: checked.map_err(of_secret)?, style: TokenStyle::Secret })
            }
            Proof::Assertion(assertion) => {
                let app_id = app_id.ok_or_else(|| OAuthError::unknown_client(&self.client_id))?;
                let given = ClientAssertion { app_id, assertion, audiences, used_for };
                let asserted = identity.check_client_assertion(&given).await?;
                Ok(ProvenClient { signed_in: asserted.signed_in, style: TokenStyle::Assertion })
            }
        }
    }
}

/// The answer to a client that must prove itself and did not.
pub(crate) fn no_proof() -> OAuthError {
    OAuthError::invalid_client(
        7_000_218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    )
}

/// User and password of `Authorization: Basic`, each encoded as in a form (RFC 6749, 2.3.1).
fn basic(value: &[u8]) -> Result<(String, SecretString), OAuthError> {
    let malformed = || OAuthError::invalid_client(7_000_216, "The Authorization header is malformed.");
    let text = std::str::from_utf8(value).map_err(|_| malformed())?;
    let (scheme, rest) = text.trim().split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = BASE64.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(malformed)?;
    let (user, password) = decoded.split_once(':').ok_or_else(malformed)?;
    let plain = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().map(|text| text.into_owned()).map_err(|_| malformed())
    };
    Ok((plain(user)?, plain(password)?.into()))
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(form: &str, authorization: Option<&str>) -> Result<(String, String), u32> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let read = ClientCredentials::read(&Form::parse(form.as_bytes()), &headers).map_err(|error| error.code)?;
        let proof = match read.proof {
            Proof::None => "none".to_owned(),
            Proof::Secret(secret) => format!("secret {}", secret.expose_secret()),
            Proof::Assertion(assertion) => format!("assertion {assertion}"),
        };
        Ok((read.client_id, proof))
    }

    #[test]
    fn proofs_come_in_forms_and_headers() {
        assert_eq!(read("client_id=a&client_secret=b", None), Ok(("a".into(), "secret b".into())));
        let basic = format!("Basic {}", BASE64.encode("a:b%3Ac+d"));
        assert_eq!(read("", Some(&basic)), Ok(("a".into(), "secret b:c d".into())));
        assert_eq!(read("client_id=A", Some(&basic)).unwrap().0, "A");
        assert_eq!(read("client_id=x", Some(&basic)), Err(9_002_313));
        let assertion = format!("client_id=a&client_assertion=j&client_assertion_type={JWT_BEARER}");
        assert_eq!(read(&assertion, None), Ok(("a".into(), "assertion j".into())));
        assert_eq!(read("client_id=a&client_assertion=j", None), Err(50_027));
        assert_eq!(read("client_id=a", None), Ok(("a".into(), "none".into())));
        assert_eq!(read("", None), Err(900_144));
        for bad in ["Basic", "Basic !!", "Bearer x", &format!("Basic {}", BASE64.encode("nocolon"))] {
            assert_eq!(read("client_id=a", Some(bad)), Err(7_000_216), "{bad}");
        }
    }
}
