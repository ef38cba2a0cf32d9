//! The data plane over HTTP, in process.

mod access;
mod attributes;
mod blobs;
mod charts;
mod exchange;
mod headers;
mod lists;
mod locks;
mod manifests;
mod network;
mod token;
mod uploads;
mod values;
