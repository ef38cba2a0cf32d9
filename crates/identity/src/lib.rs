//! Who is calling, and may they.
//!
//! ```text
//! credentials ──► Identity::authenticate ──► Caller ──► may(caller, action, kind, name)      every request to a registry
//!   Bearer           passwords: MAC                 ├─► Identity::access_token               /oauth2/token
//!   Basic            tokens:    verdict, kept by    └─► Identity::refresh_token
//!   refresh token               the token's digest
//!   (none) ────────► Caller::anonymous ──► Caller
//! token of the token service ──► Identity::exchange ──► refresh token                         /oauth2/exchange
//!                            └─► Identity::verify_principal_token ──► may_act(…, operation, scope)   management plane
//!
//! the registry's row, and the version of who may do what ──► what the subject may do *now*, on every request
//! ```
//!
//! There is one door for registries, [`may`], and one for the management plane, [`Identity::may_act`]; both rest on
//! `wharf_access`. What a token lists is only ever a part of what its subject may do at this moment. So a password that was
//! changed, a role that was removed, or a user that was switched off also ends the tokens issued before.
//!
//! Secrets of the database (admin passwords, private keys) are sealed under the [`SealingKey`]. What this crate does not
//! do: HTTP. Forms, headers and answers belong to the data plane.

mod acting;
mod admin;
mod authorize;
mod caller;
pub mod directory;
mod error;
mod exchange;
pub mod federation;
mod held_roles;
mod identity;
mod issue;
mod keys;
pub mod oidc;
mod passwords;
mod principal;
mod random;
mod registry_tokens;
mod sealing;
pub mod secrets;
mod signing_key;
mod subjects;
mod token;
mod verdict;

#[cfg(test)]
mod tests;

pub use acting::Reach;
pub use admin::AdminCredentials;
pub use authorize::{MOST_SCOPES, TooManyScopes, may, may_judge, may_scan, may_untag};
pub use caller::{Caller, Credentials, Subject};
pub use directory::{
    DirectoryError, ManagedIdentity, NewManagedIdentity, SignInError, SignInThrottle, SignedIn, Throttled,
};
pub use error::{AuthError, Error, IssueError, TokenProblem};
pub use exchange::{ExchangeError, Exchanged};
pub use identity::{Identity, TOKEN_USER};
pub use oidc::{IssuedToken, PrincipalGrant, TokenStyle, VerifiedToken};
pub use passwords::{PasswordName, generate_password};
pub use principal::Principal;
pub use random::{Random, SystemRandom};
pub use registry_tokens::{NewTokenPassword, TokenPasswordName, is_token_name};
pub use sealing::{ParseSealingKeyError, SealingKey, SealingKeyError, UnsealError};
pub use token::{UnverifiedToken, parse_token};
pub use wharf_egress::Egress;
