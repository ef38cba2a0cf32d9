//! The directory: who there is, what they sign in with, and who manages them.
//!
//! ```text
//! application ──► service principal ┐                       ┌─► check_client_secret, client_certificates
//!                 managed identity  ├─ principals ─ sign in ┤
//!                 user              ┘       │               └─► check_user_password
//!                                    in groups, in groups …       each failure counted (throttle.rs)
//! ```
//!
//! What somebody reads of a principal is remembered under the version of who may do what; every change starts a new one
//! ([`wharf_metadata::Database::write_access`]), so it counts at once.
//!
//! Secrets that a generator made are kept as MACs and cost next to nothing to check; passwords of people are kept as
//! argon2id hashes, which are checked a few at a time. What is secret is shown once, and neither logged nor put into
//! `Debug`. A principal that loses a credential or is switched off gets a new generation, which voids its tokens; one that
//! is deleted takes its role assignments along.

mod applications;
mod certificates;
mod changes;
mod error;
mod groups;
mod hashing;
mod managed_identities;
mod rules;
mod secrets;
mod sign_in;
mod standing;
mod throttle;
mod users;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use wharf_model::Clock;

pub use self::applications::{CreatedClient, NewApplication, NewClient, NewServicePrincipal};
pub use self::certificates::{ClientCertificate, ParsedCertificate, thumbprint};
pub use self::error::{DirectoryError, SignInError};
pub use self::groups::NewGroup;
pub use self::managed_identities::{ManagedIdentity, NewManagedIdentity};
pub use self::secrets::{CertificateEntry, Holder, NewSecret, SecretEnd};
pub use self::standing::{ClientApplication, SignedIn};
pub(crate) use self::throttle::neighbourhood;
pub use self::throttle::{SignInThrottle, Throttled};
pub use self::users::{ChangePasswordError, NewUser};
use crate::SealingKey;

/// What the directory keeps in memory.
pub(crate) struct Directory {
    standing: standing::Standing,
    throttle: SignInThrottle,
    hashing: hashing::Hashing,
}

impl Directory {
    pub(crate) fn new(sealing: Arc<SealingKey>, clock: Arc<dyn Clock>) -> Self {
        Self {
            standing: standing::Standing::new(),
            throttle: SignInThrottle::new(clock),
            hashing: hashing::Hashing::new(sealing),
        }
    }
}
