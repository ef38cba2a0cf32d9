//! Signing in to the installation: tokens of principals, and the ways to get one.
//!
//! ```text
//! secret, certificate, federated token ─┐
//! device code, authorization code       ├─► SignedIn ─► issue_principal_token ─► a JWT for one audience (ARM, Graph, …)
//! password, refresh token               │                                              │
//! managed identity's header             ┘        verify_principal_token ◄──────────────┘  every request of the planes
//! ```
//!
//! A token carries the generation of its principal's credentials. The generation goes up when the principal is disabled
//! or one of its credentials is removed, and what carries an older one ends at once: access tokens, refresh tokens, codes
//! and sessions of browsers alike.

mod principal_token;

pub(crate) use principal_token::PrincipalTokens;
pub use principal_token::{IssuedToken, PrincipalGrant, TokenStyle, VerifiedToken};
