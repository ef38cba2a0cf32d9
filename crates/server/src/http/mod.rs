//! From a socket to the data plane and back.
//!
//! ```text
//! listener ── accept, limit ──► connection ── TLS, HTTP/1.1 or 2, time limits ──► service
//! service  ── operator: /healthz /readyz /metrics on HTTP
//!          ── host and path ──► registry, or management, login, graph ──► plane
//! exchange ── what happened to one request: metrics and an access line when the last byte has gone
//! ```

mod body;
mod connection;
mod drive;
mod exchange;
mod host;
mod listener;
mod operator;
mod plain;
mod progress;
mod proxies;
mod refusal;
mod service;
mod site;
#[cfg(test)]
mod tests;

pub(crate) use self::connection::Connections;
pub(crate) use self::exchange::Observers;
pub(crate) use self::listener::{Listener, Network, Scheme};
pub(crate) use self::proxies::Proxies;
pub(crate) use self::service::{NotReady, Plane, Server};
pub(crate) use self::site::Site;
