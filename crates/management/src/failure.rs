//! How what goes wrong becomes an answer: the one place that knows both the errors of what lies below and ARM's.
//!
//! What the caller reads and what the log keeps are two things: a failure of ours is logged once, with its whole chain of
//! causes, and the caller is told no more than that it happened.

use std::error::Error as StdError;
use std::fmt;

use http::{HeaderValue, Method};
use tracing::error;
use uuid::Uuid;
use wharf_arm::{ArmError, Code};
use wharf_model::{Timestamp, error_chain};

/// An answer that is an error, with the cause that the log keeps.
pub struct Failure(Box<Parts>);

struct Parts {
    error: ArmError,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    /// The methods that there are, for one that there is not.
    allow: Option<HeaderValue>,
    /// The challenge that goes with a 401, if it is one.
    challenge: Option<Challenge>,
}

/// What a challenge asks for.
pub(crate) struct Challenge {
    /// A token that was issued after this instant.
    pub(crate) newer_than: Option<Timestamp>,
}

impl Failure {
    /// A failure of ours that the caller can do nothing about.
    #[must_use]
    pub fn of_ours(error: ArmError, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self(Box::new(Parts { error, cause: Some(Box::new(cause)), allow: None, challenge: None }))
    }

    /// 500, with this cause for the log.
    #[must_use]
    pub fn internal(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::of_ours(ArmError::internal(), cause)
    }

    /// 401, with a challenge. `newer_than` asks for a token that was issued after this instant.
    pub(crate) fn challenge(error: ArmError, newer_than: Option<Timestamp>) -> Self {
        Self(Box::new(Parts { error, cause: None, allow: None, challenge: Some(Challenge { newer_than }) }))
    }

    /// 405, with the methods that there are.
    pub(crate) fn method<'m>(used: &Method, allowed: impl IntoIterator<Item = &'m Method>) -> Self {
        let mut allowed: Vec<&str> = allowed.into_iter().map(Method::as_str).collect();
        allowed.sort_unstable();
        allowed.dedup();
        let allowed = allowed.join(", ");
        let text = format!("The method {used} is not supported here; there is {allowed}.");
        let error = ArmError::new(Code::HttpMethodNotSupported, text);
        Self(Box::new(Parts { error, cause: None, allow: HeaderValue::try_from(allowed).ok(), challenge: None }))
    }

    /// What the caller reads.
    #[must_use]
    pub fn error(&self) -> &ArmError {
        &self.0.error
    }

    pub(crate) fn allow(&self) -> Option<&HeaderValue> {
        self.0.allow.as_ref()
    }

    pub(crate) fn asks_for_token(&self) -> Option<&Challenge> {
        self.0.challenge.as_ref()
    }

    /// Tells the log, if this is something that the operator must know.
    pub(crate) fn log(&self, request_id: Uuid, route: &'static str) {
        if let Some(cause) = &self.0.cause {
            error!(%request_id, route, status = self.0.error.status.as_u16(), "Request failed: {}", error_chain(cause.as_ref()));
        }
    }
}

impl From<ArmError> for Failure {
    fn from(error: ArmError) -> Self {
        Self(Box::new(Parts { error, cause: None, allow: None, challenge: None }))
    }
}

impl From<wharf_metadata::Error> for Failure {
    fn from(error: wharf_metadata::Error) -> Self {
        match error {
            wharf_metadata::Error::Full => {
                let text = "The server's storage is full; the operator must make room.";
                Self::of_ours(ArmError::new(Code::InsufficientStorage, text), error)
            }
            wharf_metadata::Error::Closed => {
                Self::of_ours(ArmError::new(Code::ServiceUnavailable, "The server is shutting down; try again."), error)
            }
            _ => Self::internal(error),
        }
    }
}

impl From<wharf_identity::Error> for Failure {
    fn from(error: wharf_identity::Error) -> Self {
        match error {
            wharf_identity::Error::Database(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<wharf_registry::Error> for Failure {
    fn from(error: wharf_registry::Error) -> Self {
        match error {
            wharf_registry::Error::Metadata(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("error", &self.0.error).field("cause", &self.0.cause).finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

/// For those who call in process, such as the command line: the whole chain is there.
impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}
