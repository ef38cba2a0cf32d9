//! The one way out: requests to addresses that users name.
//!
//! Issuers of identities, receivers of webhooks and sources of imports are named by users. A user must not be able to make
//! the server talk to its own neighbourhood, so what a name resolves to is compared with the ranges that are internal
//! ([`is_internal`]) before anything is sent, in the connection that is then used: there is no second look-up that could be
//! answered differently. What the operator allows is reached all the same.
//!
//! Redirects are not followed: whoever does so sends each hop through here. Proxies of the environment are not used.
//! Answers have a largest size; those that are read whole have a time limit ([`EgressClient::send`]), those that are
//! streamed may not stand still ([`EgressClient::open`]).
//! What this crate does not do: deciding who may name an address.

mod client;
mod error;
mod internal;
mod stream;

pub use client::{Answer, Egress, EgressClient, Outgoing};
pub use error::EgressError;
pub use internal::is_internal;
pub use stream::AnswerStream;
