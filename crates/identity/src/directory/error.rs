//! What can go wrong with principals, and with their changes.

use std::time::Duration;

use wharf_model::Timestamp;

use super::throttle::Throttled;
use crate::{AuthError, Error};

/// Why a principal is not signed in.
///
/// Whoever has not given the right secret hears [`SignInError::BadCredentials`] or [`SignInError::Throttled`], the same
/// for accounts that exist and for those that do not. The others are told only to those who have.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such account, or not its secret: deliberately not told apart.
    #[error("the account or the secret is wrong")]
    BadCredentials,
    /// The secret is right but does not count any more.
    #[error("the secret expired at {ended}")]
    Expired {
        /// When it ended.
        ended: Timestamp,
    },
    /// The secret is right but does not count yet.
    #[error("the secret does not count before {begins}")]
    NotYetValid {
        /// When it begins.
        begins: Timestamp,
    },
    /// The secret is right but the account is switched off.
    #[error("the account is switched off")]
    Disabled,
    /// The password is right but must be replaced by another first.
    #[error("the password must be changed before it can be used")]
    PasswordChangeRequired,
    /// Too many sign-ins failed, or too many are being checked.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The secret could not be checked.
    #[error("the credentials could not be checked")]
    Unavailable(#[from] Error),
}

impl SignInError {
    /// When to come again, if that is what the caller should do.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled(throttled) => Some(throttled.retry_after),
            _ => None,
        }
    }
}

impl From<wharf_metadata::Error> for SignInError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<SignInError> for AuthError {
    /// As the data plane tells it, which knows no reasons.
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::BadCredentials
            | SignInError::Expired { .. }
            | SignInError::NotYetValid { .. }
            | SignInError::Disabled
            | SignInError::PasswordChangeRequired => Self::BadCredentials,
            SignInError::Throttled(throttled) => Self::Throttled(throttled),
            SignInError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

/// Why the directory was not changed.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// There is no such object.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// By which name.
        id: String,
    },
    /// Another object has a value that no two can have.
    #[error("another object has the {what} {value} already")]
    Taken {
        /// What the value is.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// A value cannot be.
    #[error("the {what} {reason}")]
    Invalid {
        /// What the value is.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An object has as many of something as it can have.
    #[error("an object can have {most} {what} at most")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there can be.
        most: usize,
    },
    /// Nobody else could make anybody owner of something again.
    #[error("nobody else who can sign in is Owner of {scope} without a condition; make somebody else Owner first")]
    LastOwner {
        /// The scope that would have no owner left.
        scope: String,
    },
    /// Too much is being done at once.
    #[error(transparent)]
    Busy(#[from] Throttled),
    /// A failure on our side.
    #[error("the directory could not be read or changed")]
    Unavailable(#[from] Error),
}

impl From<wharf_metadata::Error> for DirectoryError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl DirectoryError {
    pub(crate) fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { what, reason: reason.into() }
    }

    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }
}
