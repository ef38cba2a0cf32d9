//! Who is calling, by the token that they bring, and what the refusal says when there is none or it is of no use.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use uuid::Uuid;
use wharf_arm::{ArmError, Code};
use wharf_identity::{AuthError, TokenProblem};
use wharf_model::{RequestContext, Timestamp};

use crate::cx::Actor;
use crate::failure::Failure;
use crate::management::Management;

impl Management {
    /// Finds out who calls. Everything but the metadata document needs a token of Azure Resource Manager's.
    ///
    /// # Errors
    /// 401 with a challenge, or that it cannot be found out.
    pub(crate) async fn admit(&self, context: &RequestContext, headers: &HeaderMap) -> Result<Actor, Failure> {
        let refuse = |code, text: &str, claims| Failure::challenge(ArmError::new(code, text.to_owned()), claims);
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            let text = "Authentication failed. The 'Authorization' header is missing.";
            return Err(refuse(Code::AuthenticationFailed, text, None));
        };
        let malformed = || {
            refuse(
                Code::AuthenticationFailed,
                "Authentication failed. The 'Authorization' header is not a Bearer token.",
                None,
            )
        };
        let value = value.to_str().map_err(|_| malformed())?;
        let (scheme, token) = value.split_once(' ').ok_or_else(malformed)?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(malformed());
        }
        let verified = match self.identity().verify_principal_token(token.trim()).await {
            Ok(verified) => verified,
            Err(AuthError::Unavailable(error)) => return Err(error.into()),
            Err(AuthError::InvalidToken(TokenProblem::Expired)) => {
                let text = "The access token has expired. Sign in again.";
                return Err(refuse(Code::ExpiredAuthenticationToken, text, None));
            }
            // With these claims az fetches a new token and asks once more, instead of giving up.
            Err(AuthError::InvalidToken(TokenProblem::Revoked)) => {
                let text = "The access token was revoked. Sign in again.";
                return Err(refuse(Code::InvalidAuthenticationToken, text, Some(self.cx(Actor::Operator).now)));
            }
            Err(AuthError::InvalidToken(problem)) => {
                let text = format!("The access token is invalid: {problem}. Sign in again.");
                return Err(refuse(Code::InvalidAuthenticationToken, &text, None));
            }
            // Tokens are not counted like passwords; told as what it would be all the same.
            Err(AuthError::Throttled(throttled)) => {
                let text = format!("Too many attempts to sign in failed; {throttled}.");
                return Err(ArmError::new(Code::TooManyRequests, text).into());
            }
            Err(AuthError::BadCredentials) => {
                return Err(refuse(
                    Code::InvalidAuthenticationToken,
                    "The access token is invalid. Sign in again.",
                    None,
                ));
            }
        };
        if !self.is_audience(context, &verified.audience) {
            let text = format!(
                "The access token has been obtained for wrong audience or resource '{}'. It should be for '{}'.",
                verified.audience, context.endpoints.management
            );
            return Err(refuse(Code::InvalidAuthenticationToken, &text, None));
        }
        Ok(Actor::Principal(verified.principal.clone()))
    }

    /// Whether a token for this audience is for us: by the host that the request came to, if that is certain to be ours,
    /// by the host of the domain, or by the names that SDKs use when nobody told them another. A `Host` alone proves
    /// nothing: whoever got a token for their own service could send it here with that service's name.
    fn is_audience(&self, context: &RequestContext, audience: &str) -> bool {
        let audience = audience.trim_end_matches('/');
        let of_domain = format!("https://management.{}", self.login_servers().suffix());
        let of_host = context.endpoints.management.as_str();
        let of_host = self.login_servers().is_own(of_host).then_some(of_host);
        of_host.into_iter().chain([of_domain.as_str()]).chain(AZURE).any(|ours| ours.eq_ignore_ascii_case(audience))
    }
}

/// The challenge of a 401: where to get a token, and what it must say.
pub(crate) fn challenge(
    context: &RequestContext,
    tenant: Option<Uuid>,
    error: &ArmError,
    claims: Option<Timestamp>,
) -> HeaderValue {
    let tenant = tenant.map_or_else(|| "organizations".to_owned(), |id| id.to_string());
    let uri = format!("{}/{tenant}", context.endpoints.login);
    let (word, claims) = match claims {
        Some(now) => {
            let claims = json!({"access_token": {"nbf": {"essential": true, "value": now.unix_seconds().to_string()}}});
            ("insufficient_claims", format!(", claims=\"{}\"", STANDARD.encode(claims.to_string())))
        }
        None => ("invalid_token", String::new()),
    };
    let quoted: String = error.message.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
    let text = format!("Bearer authorization_uri=\"{uri}\", error=\"{word}\", error_description=\"{quoted}\"{claims}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// What Azure's own management API is called.
const AZURE: [&str; 2] = ["https://management.azure.com", "https://management.core.windows.net"];
