//! The data plane over HTTP, in process.

mod access;
mod blobs;
mod exchange;
mod headers;
mod lists;
mod manifests;
mod network;
mod token;
mod uploads;
