//! The registry protocol over HTTP: `/v2/…`, `/acr/v1/…`, `/oauth2/token` and `/oauth2/exchange`.
//!
//! ```text
//! request ─► network  the registry's IP rules                   403 before anything else
//!            router   oci::Route::parse(method, path)          what is wanted
//!            guard    identity: who calls, and may they        401 with the challenge
//!            manifests/ blobs/ uploads/ tags …                 parse, call one use case of `registry`, encode
//!            answer   common headers, AccessInfo               ◄─ response
//! ```
//!
//! Nothing here decides about artifacts; there are no rules in a handler beyond reading the request and writing the
//! answer. What this crate does not do: finding the registry by host, TLS, access logs and metrics. Those are the
//! server's, which calls [`DataPlane::serve`] (or [`refuse`]) and reads [`AccessInfo`] from the response's extensions.

mod access;
mod answer;
mod attributes;
mod base;
mod blobs;
mod body;
mod catalog;
mod charts;
mod config;
mod cors;
mod credentials;
mod deleted;
mod exchange;
mod failure;
mod guard;
mod manifests;
mod memory;
mod network;
mod referrers;
mod request_id;
mod router;
mod tags;
mod token;
mod uploads;

pub use access::AccessInfo;
pub use config::DataPlaneConfig;
pub use router::{DataPlane, RequestHost, refuse};
