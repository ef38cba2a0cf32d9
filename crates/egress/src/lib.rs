//! The one way out: requests to addresses that users name.
//!
//! Issuers of identities, receivers of webhooks and sources of imports are named by users. A user must not be able to make
//! the server talk to its own neighbourhood, so what a name resolves to is compared with the ranges that are internal
//! ([`is_internal`]) before anything is sent, in the connection that is then used: there is no second look-up that could be
//! answered differently. What the operator allows is reached all the same.
//!
//! Redirects are not followed, proxies of the environment are not used, answers have a largest size and a time limit.
//! What this crate does not do: deciding who may name an address.

mod client;
mod internal;

pub use client::{Answer, Egress, EgressClient, EgressError, Outgoing};
pub use internal::is_internal;
