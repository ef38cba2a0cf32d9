//! What can go wrong. What the caller is told is decided by whoever speaks to them.

use crate::authorize::TooManyScopes;
use crate::sealing::UnsealError;

/// A failure on our side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] wharf_metadata::Error),
    /// What the database holds was sealed under another key than ours.
    #[error("{what} in the database cannot be opened with this sealing key")]
    Sealed {
        /// What it is.
        what: String,
        /// Why.
        #[source]
        source: UnsealError,
    },
    /// A signing key could not be made, read or used.
    #[error("the signing key {kid} cannot be {verb}")]
    SigningKey {
        /// The key's id, or a description while it has none.
        kid: String,
        /// What was to be done with it: `made`, `read` or `used`.
        verb: &'static str,
    },
    /// There is no tenant to sign in to.
    #[error("the installation has no tenant; start the server once")]
    NoTenant,
    /// What a token would say does not fit into one.
    #[error("the token would be longer than {most} bytes", most = crate::token::LONGEST_TOKEN)]
    TokenTooLong,
    /// The registry was deleted meanwhile.
    #[error("the registry {name} does not exist any more")]
    RegistryGone {
        /// Its name.
        name: wharf_model::RegistryName,
    },
    /// Others changed the same registry again and again at the same time.
    #[error("the credentials of registry {name} are being changed by others")]
    Busy {
        /// Its name.
        name: wharf_model::RegistryName,
    },
    /// A password that was given is empty or too long.
    #[error("a password has 1 to {most} bytes", most = crate::passwords::LONGEST_PASSWORD)]
    PasswordLength,
    /// There was no memory or no thread to hash a password.
    #[error("a password could not be hashed")]
    Hashing,
}

/// Why somebody is not let in.
///
/// Only the log may tell the variants apart: the answer is the same for all but [`AuthError::Unavailable`] and
/// [`AuthError::Throttled`].
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No such user, wrong password, or a user that is switched off: deliberately not told apart.
    #[error("the user name or the password is wrong")]
    BadCredentials,
    /// The token is not valid here and now.
    #[error("the token is not valid")]
    InvalidToken(#[from] TokenProblem),
    /// Too many sign-ins failed.
    #[error(transparent)]
    Throttled(#[from] crate::directory::Throttled),
    /// The credentials could not be checked.
    #[error("the credentials could not be checked")]
    Unavailable(#[from] Error),
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenProblem {
    /// Longer than any that we issue.
    #[error("it is longer than {most} bytes", most = crate::token::LONGEST_TOKEN)]
    TooLong,
    /// Not three parts of base64url with the JSON that we write.
    #[error("it is malformed")]
    Malformed,
    /// Its header names another algorithm than RS256.
    #[error("its algorithm is not RS256")]
    Algorithm,
    /// It names a key that we do not have.
    #[error("it is signed by a key that is not known")]
    UnknownKey,
    /// The key did not sign it.
    #[error("its signature is wrong")]
    Signature,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time is yet to come.
    #[error("it is not valid yet")]
    NotYetValid,
    /// It was issued for another registry.
    #[error("it belongs to another registry")]
    OtherRegistry,
    /// A refresh token where an access token is needed, or the other way round.
    #[error("it is of the wrong kind")]
    WrongKind,
    /// Its subject is switched off or has got other credentials since.
    #[error("it was revoked")]
    Revoked,
}

/// Why no token is issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The caller did not say who they are and the registry does not allow that.
    #[error("the registry does not allow anonymous pull")]
    AnonymousPullDisabled,
    /// The caller signed in to another registry.
    #[error("the caller signed in to another registry")]
    OtherRegistry,
    /// Only a password earns a refresh token: neither anonymous callers nor other tokens do.
    #[error("a refresh token is issued against a password only")]
    PasswordNeeded,
    /// Too much was asked for.
    #[error(transparent)]
    TooManyScopes(#[from] TooManyScopes),
    /// A failure on our side.
    #[error("the token could not be signed")]
    Unavailable(#[from] Error),
}
