//! What is wrong with a request, and how Graph says it: `{"error": {"code", "message", "innerError"}}`.
//!
//! What the caller reads and what the log keeps are two things: a failure of ours is logged once, with its whole chain of
//! causes, and the caller is told no more than that it happened.

use std::error::Error as StdError;
use std::time::Duration;

use http::StatusCode;
use tracing::error;
use uuid::Uuid;
use wharf_identity::directory::DirectoryError;
use wharf_model::error_chain;

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct GraphError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    message: String,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// What went wrong, by Graph's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// There is no token, or it is of no use.
    InvalidAuthenticationToken,
    /// The caller may not do that.
    Denied,
    /// The path or the way of asking leads nowhere.
    BadRequest,
    /// A value cannot be.
    Invalid,
    /// A query that is not supported.
    UnsupportedQuery,
    /// There is no such object.
    NotFound,
    /// Another object has what only one can have.
    Conflict,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    Timeout,
    /// The body is too large.
    TooLarge,
    /// Come again later.
    TooManyRequests,
    /// A failure of ours that passes.
    Unavailable,
    /// A failure of ours.
    Internal,
}

impl Code {
    /// The status and the word on the wire.
    fn wire(self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidAuthenticationToken => (StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken"),
            Self::Denied => (StatusCode::FORBIDDEN, "Authorization_RequestDenied"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "BadRequest"),
            Self::Invalid => (StatusCode::BAD_REQUEST, "Request_BadRequest"),
            Self::UnsupportedQuery => (StatusCode::BAD_REQUEST, "Request_UnsupportedQuery"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Request_ResourceNotFound"),
            Self::Conflict => (StatusCode::CONFLICT, "Request_MultipleObjectsWithSameKeyValue"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Request_BadRequest"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        }
    }
}

impl GraphError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Parts { code, message: message.into(), retry_after: None, cause: None }))
    }

    /// A value cannot be.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }

    /// The same for an object that is not there and for one that the caller may not see.
    pub(crate) fn not_found(id: &str) -> Self {
        let text = "does not exist or one of its queried reference-property objects are not present.";
        Self::new(Code::NotFound, format!("Resource '{id}' {text}"))
    }

    /// A failure of ours that the caller can do nothing about.
    pub(crate) fn internal(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::of_ours(Code::Internal, "The request could not be answered; the server's log says why.", cause)
    }

    fn of_ours(code: Code, message: &str, cause: impl StdError + Send + Sync + 'static) -> Self {
        let mut error = Self::new(code, message);
        error.0.cause = Some(Box::new(cause));
        error
    }

    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.code.wire().0
    }

    pub(crate) fn word(&self) -> &'static str {
        self.0.code.wire().1
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// When to come again, in whole seconds.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        match self.0.retry_after {
            Some(after) => Some(after.as_secs().max(1)),
            None => (self.0.code == Code::Unavailable).then_some(LATER_SECONDS),
        }
    }

    /// Tells the log, if this is something that the operator must know.
    pub(crate) fn log(&self, request_id: Uuid, route: &'static str) {
        if let Some(cause) = &self.0.cause {
            error!(%request_id, route, status = self.status().as_u16(), "Request failed: {}", error_chain(cause.as_ref()));
        }
    }
}

impl From<wharf_metadata::Error> for GraphError {
    fn from(error: wharf_metadata::Error) -> Self {
        match error {
            wharf_metadata::Error::Full => {
                Self::of_ours(Code::Unavailable, "The server's storage is full; the operator must make room.", error)
            }
            wharf_metadata::Error::Closed => {
                Self::of_ours(Code::Unavailable, "The server is shutting down; try again.", error)
            }
            error => Self::internal(error),
        }
    }
}

impl From<wharf_identity::Error> for GraphError {
    fn from(error: wharf_identity::Error) -> Self {
        match error {
            wharf_identity::Error::Database(error) => error.into(),
            wharf_identity::Error::PasswordLength => Self::invalid(format!("{error}.")),
            error => Self::internal(error),
        }
    }
}

impl From<DirectoryError> for GraphError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::NotFound { what: what @ ("secret" | "certificate"), id } => {
                Self::invalid(format!("No {what} was found with the keyId '{id}'."))
            }
            DirectoryError::NotFound { id, .. } => Self::not_found(&id),
            // A service principal of the application is there.
            DirectoryError::Taken { what: "appId", value } => Self::new(
                Code::Conflict,
                format!(
                    "The service principal cannot be created, updated, or restored because the service principal name {value} is already in use."
                ),
            ),
            DirectoryError::Taken { what, .. } => {
                Self::invalid(format!("Another object with the same value for property {what} already exists."))
            }
            DirectoryError::Invalid { what: "password", reason } => Self::invalid(format!(
                "The specified password does not comply with password complexity requirements: it {reason}. Please provide a different password."
            )),
            DirectoryError::Invalid { .. } | DirectoryError::TooMany { .. } => {
                let mut text = error.to_string();
                if let Some(first) = text.get(..1).map(str::to_uppercase) {
                    text.replace_range(..1, &first);
                }
                Self::invalid(format!("{text}."))
            }
            DirectoryError::LastOwner { scope } => Self::invalid(format!(
                "Nobody else who can sign in is Owner of '{scope}' without a condition. Make somebody else Owner first."
            )),
            DirectoryError::Busy(busy) => {
                let mut error = Self::new(Code::TooManyRequests, "Too much is being done at once; try again.");
                error.0.retry_after = Some(busy.retry_after);
                error
            }
            DirectoryError::Unavailable(error) => error.into(),
        }
    }
}

/// When to come again after a failure that passes.
const LATER_SECONDS: u64 = 10;
