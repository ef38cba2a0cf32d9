//! Manifests: reading one, pushing one, deleting one.

mod delete;
mod get;
mod platform;
mod put;
pub(crate) mod removal;

use bytes::Bytes;
use wharf_model::Digest;
use wharf_oci::ParsedManifest;

pub use delete::DeleteManifestError;
pub use put::{PutManifest, PutManifestError, PutOutcome};
pub use removal::{Check, ManifestRemoval, OnlyIf, Removal, Removed, Skipped, TagRemoval};

/// A manifest as it is served: the bytes are exactly those that were pushed.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Manifest {
    /// What the manifest says. `None` cannot happen for one that was pushed here, since it was parsed then.
    pub(crate) fn parse(&self) -> Option<ParsedManifest> {
        ParsedManifest::parse(Some(&self.media_type), &self.bytes).ok()
    }
}
