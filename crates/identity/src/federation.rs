//! Trust in issuers outside: Entra ID, Keycloak, Dex, GitHub Actions, Kubernetes.
//!
//! ```text
//! a workload's token, as its client assertion ─┐    issuer: is it one of ours?       (trust)
//!                                              ├──► signature: by one of its keys?   (discovery)   ──► rule ──► principal
//! a person's ID token, from a sign-in there ───┘    time, audience, claims: does a rule say so?
//! ```
//!
//! An issuer alone gives nobody anything: without a rule that names issuer, audience and claims, its tokens stand for
//! nobody. Nobody is added to the directory unless a rule says that it may be.

mod discovery;
mod operate;
mod pattern;
mod person;
mod token;
mod trust;
mod workload;

pub use discovery::DiscoveryError;
pub use operate::{FederationError, Issuer, NewIssuer, NewRule, Rule, StandsFor};
pub use person::{ExternalIssuer, ExternalSignIn, ExternalSignInError};
pub(crate) use token::ForeignToken;
pub(crate) use trust::Federation;
pub use workload::FederatedTokenError;
