//! What can go wrong, in the words of OAuth and with the codes of Entra ID, which clients show and some look at.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;
use wharf_identity::SignInError;
use wharf_identity::federation::FederatedTokenError;
use wharf_identity::oidc::{AssertionError, DevicePollError, DeviceStartError, RedeemError, RefreshError};
use wharf_model::Timestamp;

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct OAuthError {
    pub(crate) status: StatusCode,
    /// OAuth's word.
    pub(crate) error: &'static str,
    /// Entra ID's code (`AADSTS…`).
    pub(crate) code: u32,
    pub(crate) message: String,
    /// When to come again.
    pub(crate) retry_after: Option<Duration>,
    /// What the log keeps of a failure of ours.
    pub(crate) cause: Option<wharf_identity::Error>,
}

impl OAuthError {
    pub(crate) fn new(status: StatusCode, error: &'static str, code: u32, message: impl Into<String>) -> Self {
        Self { status, error, code, message: message.into(), retry_after: None, cause: None }
    }

    /// The request is none.
    pub(crate) fn invalid_request(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", code, message)
    }

    /// A parameter is missing.
    pub(crate) fn missing(parameter: &str) -> Self {
        let message = format!("The request body must contain the following parameter: '{parameter}'.");
        Self::invalid_request(900_144, message)
    }

    /// What was given in a credential's stead is worth nothing.
    pub(crate) fn invalid_grant(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", code, message)
    }

    /// The client has not proved itself.
    pub(crate) fn invalid_client(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", code, message)
    }

    /// Nobody knows the client.
    pub(crate) fn unknown_client(client_id: &str) -> Self {
        let client_id: String = client_id.chars().filter(|c| !c.is_control()).take(100).collect();
        Self::new(
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
            700_016,
            format!("Application with identifier '{client_id}' was not found in the directory."),
        )
    }

    /// No such tenant.
    pub(crate) fn unknown_tenant(name: &str) -> Self {
        Self::invalid_request(
            90_002,
            format!("Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."),
        )
        .with_word("invalid_tenant")
    }

    pub(crate) fn too_many(retry_after: Duration) -> Self {
        let message = "Too many sign-ins failed, or too many are being checked. Try again later.";
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", 50_196, message);
        error.retry_after = Some(retry_after);
        error
    }

    pub(crate) fn unavailable(cause: wharf_identity::Error) -> Self {
        let message = "The service is temporarily unavailable. Try again later.";
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", 90_033, message);
        error.retry_after = Some(Duration::from_secs(5));
        error.cause = Some(cause);
        error
    }

    /// The same with another word of OAuth.
    pub(crate) fn with_word(mut self, error: &'static str) -> Self {
        self.error = error;
        self
    }

    /// The same with another code.
    pub(crate) fn with_code(mut self, code: u32) -> Self {
        self.code = code;
        self
    }

    /// `AADSTS<code>: <message>`, as people read it.
    pub(crate) fn description(&self) -> String {
        format!("AADSTS{}: {}", self.code, self.message)
    }

    /// The body. `trace` names the request in our log, `correlation` in the client's.
    pub(crate) fn body(&self, trace: Uuid, correlation: Uuid, now: Timestamp) -> Value {
        // 2026-11-21 15:58:00Z
        let time = now.to_string().replacen('T', " ", 1);
        let time = format!("{}Z", time.get(..19).unwrap_or(&time));
        json!({
            "error": self.error,
            "error_description": format!(
                "{} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}",
                self.description()
            ),
            "error_codes": [self.code],
            "timestamp": time,
            "trace_id": trace,
            "correlation_id": correlation,
        })
    }
}

impl From<wharf_identity::Error> for OAuthError {
    fn from(error: wharf_identity::Error) -> Self {
        Self::unavailable(error)
    }
}

/// A client's secret that does not do. An unknown client sounds the same.
pub(crate) fn of_secret(error: SignInError) -> OAuthError {
    match error {
        SignInError::BadCredentials => OAuthError::invalid_client(
            7_000_215,
            "Invalid client secret provided, or there is no application with this id. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
        ),
        SignInError::Expired { .. } => OAuthError::invalid_client(
            7_000_222,
            "The provided client secret keys are expired. Create new keys for the application.",
        ),
        SignInError::NotYetValid { begins } => {
            OAuthError::invalid_client(7_000_222, format!("The provided client secret does not count before {begins}."))
        }
        SignInError::Disabled => {
            OAuthError::invalid_client(7_000_112, "The application is disabled, or has no service principal.")
        }
        SignInError::PasswordChangeRequired => OAuthError::invalid_client(7_000_215, "Invalid client secret provided."),
        SignInError::Throttled(throttled) => OAuthError::too_many(throttled.retry_after),
        SignInError::Unavailable(error) => error.into(),
    }
}

/// A person's password that does not do.
pub(crate) fn of_password(error: SignInError) -> OAuthError {
    match error {
        SignInError::BadCredentials => {
            OAuthError::invalid_grant(50_126, "Error validating credentials due to invalid username or password.")
        }
        SignInError::Expired { .. } | SignInError::NotYetValid { .. } => {
            OAuthError::invalid_grant(50_055, "The password is expired.")
        }
        SignInError::Disabled => OAuthError::invalid_grant(50_057, "The user account is disabled."),
        SignInError::PasswordChangeRequired => OAuthError::new(
            StatusCode::BAD_REQUEST,
            "interaction_required",
            50_055,
            "The password must be changed before it can be used. Sign in once in a browser (az login --use-device-code).",
        ),
        SignInError::Throttled(throttled) => OAuthError::too_many(throttled.retry_after),
        SignInError::Unavailable(error) => error.into(),
    }
}

impl From<AssertionError> for OAuthError {
    fn from(error: AssertionError) -> Self {
        use wharf_identity::TokenProblem as Problem;
        match error {
            AssertionError::Token(Problem::Expired | Problem::NotYetValid) | AssertionError::TooLongLived => {
                Self::invalid_client(700_024, "Client assertion is not within its valid time range.")
            }
            AssertionError::Token(problem) => {
                Self::invalid_client(50_027, format!("The client assertion is malformed or invalid: {problem}."))
            }
            AssertionError::Audience { found } => Self::invalid_client(
                700_023,
                format!(
                    "Client assertion audience claim does not match the token endpoint. Received: '{}'.",
                    short(&found)
                ),
            ),
            AssertionError::Subject => Self::invalid_client(
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter.",
            ),
            AssertionError::Certificate => Self::invalid_client(
                700_027,
                "The certificate with identifier used to sign the client assertion is not registered on application, or the signature is wrong.",
            ),
            AssertionError::CertificateExpired { ended } => Self::invalid_client(
                1_000_502,
                format!("The provided certificate is not within its specified validity period: it expired at {ended}."),
            ),
            AssertionError::CertificateNotYetValid { begins } => Self::invalid_client(
                1_000_502,
                format!("The provided certificate is not within its specified validity period: it begins at {begins}."),
            ),
            AssertionError::Replayed => {
                Self::invalid_client(70_002, "The client assertion was already used; create a new one.")
            }
            AssertionError::Federated(error) => error.into(),
            AssertionError::Unavailable(error) => error.into(),
        }
    }
}

impl From<FederatedTokenError> for OAuthError {
    fn from(error: FederatedTokenError) -> Self {
        use wharf_identity::TokenProblem as Problem;
        match error {
            FederatedTokenError::Issuer { issuer } => Self::invalid_client(
                700_211,
                format!("No matching federated identity record found for presented assertion issuer '{issuer}'."),
            ),
            FederatedTokenError::Token(Problem::Expired | Problem::NotYetValid) => {
                Self::invalid_client(700_024, "Client assertion is not within its valid time range.")
            }
            FederatedTokenError::Token(problem) => {
                Self::invalid_client(50_027, format!("The client assertion is malformed or invalid: {problem}."))
            }
            FederatedTokenError::Rule { issuer, audience, subject } => Self::invalid_client(
                700_213,
                format!(
                    "No matching federated identity record found for presented assertion subject '{subject}'. Issuer: '{issuer}'. Audience: '{audience}'."
                ),
            ),
            FederatedTokenError::Discovery(error) => Self::invalid_client(
                5_000_224,
                format!(
                    "The keys of the assertion's issuer are not known: {error}. Try again later, or ask the operator."
                ),
            ),
            FederatedTokenError::Unavailable(error) => error.into(),
        }
    }
}

impl From<RedeemError> for OAuthError {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Unknown => Self::invalid_grant(9_002_313, "The provided authorization code is not known."),
            RedeemError::Expired => Self::invalid_grant(
                70_008,
                "The provided authorization code has expired. Send a new interactive authorization request.",
            ),
            RedeemError::Replayed => Self::invalid_grant(
                54_005,
                "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
            ),
            RedeemError::RedirectUri => Self::invalid_grant(
                500_112,
                "The reply address does not match the reply address provided when requesting the authorization code.",
            ),
            RedeemError::Verifier => Self::invalid_grant(
                501_481,
                "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
            ),
            RedeemError::Revoked => of_revoked(),
            RedeemError::Unavailable(error) => error.into(),
        }
    }
}

impl From<RefreshError> for OAuthError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Unknown => Self::invalid_grant(
                70_000,
                "The provided refresh token is not known, or was issued to another client. Sign in again.",
            ),
            RefreshError::Expired => {
                Self::invalid_grant(700_082, "The refresh token has expired due to inactivity. Sign in again.")
            }
            RefreshError::Revoked => of_revoked(),
            RefreshError::Unavailable(error) => error.into(),
        }
    }
}

impl From<DeviceStartError> for OAuthError {
    fn from(error: DeviceStartError) -> Self {
        match error {
            DeviceStartError::TooMany => Self::too_many(Duration::from_secs(60)),
            DeviceStartError::Unavailable(error) => error.into(),
        }
    }
}

impl From<DevicePollError> for OAuthError {
    fn from(error: DevicePollError) -> Self {
        let said = |error, code, message: &str| Self::new(StatusCode::BAD_REQUEST, error, code, message);
        match error {
            DevicePollError::Pending => said(
                "authorization_pending",
                70_016,
                "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
            ),
            DevicePollError::TooFast => {
                said("slow_down", 70_016, "The device polls too often. Wait five seconds longer between two polls.")
            }
            DevicePollError::Declined => said("authorization_declined", 70_018, "The person declined to sign in."),
            DevicePollError::Expired => {
                said("expired_token", 70_020, "The provided value for the input parameter 'device_code' has expired.")
            }
            DevicePollError::Unknown => Self::invalid_grant(
                70_000,
                "The provided value for the input parameter 'device_code' is not valid, or was already used.",
            ),
            DevicePollError::Revoked => of_revoked(),
            DevicePollError::Unavailable(error) => error.into(),
        }
    }
}

fn of_revoked() -> OAuthError {
    OAuthError::invalid_grant(
        50_173,
        "The provided grant has expired due to it being revoked: the account was disabled or deleted, or its credentials changed. Sign in again.",
    )
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_as_entra_writes_them() {
        let error = OAuthError::invalid_client(7_000_215, "Invalid client secret provided.");
        let (trace, correlation) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let body = error.body(trace, correlation, Timestamp::from_unix_seconds(1_790_000_000));
        assert_eq!(
            body,
            json!({
                "error": "invalid_client",
                "error_description": "AADSTS7000215: Invalid client secret provided. \
                    Trace ID: 00000000-0000-0000-0000-000000000001 \
                    Correlation ID: 00000000-0000-0000-0000-000000000002 Timestamp: 2026-09-21 14:13:20Z",
                "error_codes": [7_000_215],
                "timestamp": "2026-09-21 14:13:20Z",
                "trace_id": "00000000-0000-0000-0000-000000000001",
                "correlation_id": "00000000-0000-0000-0000-000000000002",
            })
        );
    }
}
