//! Artifacts that come from elsewhere: import and the artifact cache.

pub mod cache;
pub mod import;
