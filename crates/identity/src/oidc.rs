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

mod assertion;
mod authentication;
mod authorization_code;
mod browser;
mod device_code;
mod id_token;
mod managed_identity;
mod principal_token;
mod refresh_token;
mod tenant;

pub use assertion::{AssertedClient, AssertionError, ClientAssertion};
pub use authentication::Authentication;
pub(crate) use authorization_code::challenge_of;
pub use authorization_code::{NewAuthorizationCode, RedeemError, RedeemedCode};
pub use device_code::{DeviceCode, DeviceGrant, DevicePollError, DeviceRequest, DeviceStartError};
pub use id_token::PublishedKey;
pub use managed_identity::{IdentityEndpoint, ManagedIdentityError, WantedIdentity};
pub(crate) use principal_token::PrincipalTokens;
pub use principal_token::{IssuedToken, PrincipalGrant, TokenStyle, VerifiedToken};
pub use refresh_token::{NewRefreshToken, RefreshError, RefreshedSignIn};
pub(crate) use tenant::KnownTenant;
pub use tenant::Tenant;
