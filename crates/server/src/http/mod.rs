//! From a socket to the data plane and back.
//!
//! ```text
//! listener ── accept, limit ──► connection ── TLS, HTTP/1.1 or 2, time limits ──► service
//! service  ── /healthz /readyz /metrics on HTTP, else host ──► registry ──► plane
//! exchange ── what happened to one request: metrics and an access line when the last byte has gone
//! ```

mod body;
mod connection;
mod exchange;
mod listener;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use self::connection::Connections;
pub(crate) use self::exchange::Observers;
pub(crate) use self::listener::{Listener, Scheme};
pub(crate) use self::service::{NotReady, Plane, Server};
