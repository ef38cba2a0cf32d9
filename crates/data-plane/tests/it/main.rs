//! The data plane over HTTP, in process.

mod access;
mod attributes;
mod blobs;
mod cache;
mod charts;
mod deleted;
mod exchange;
mod headers;
mod lists;
mod locks;
mod manifests;
mod network;
mod pulls;
mod quarantine;
mod token;
mod uploads;
mod values;
mod write_once;
