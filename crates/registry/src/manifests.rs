//! Manifests: reading one, pushing one, deleting one.

mod delete;
mod get;
mod platform;
mod put;
pub(crate) mod removal;

use std::sync::Arc;

use bytes::Bytes;
use wharf_model::{Digest, ManifestId};
use wharf_oci::ParsedManifest;

use crate::pulls::Meter;

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
    /// Its row, if it is from here.
    pub(crate) id: Option<ManifestId>,
    /// Counts its pulls.
    pub(crate) meter: Option<Arc<Meter>>,
}

impl Manifest {
    /// One that is not from here, and whose pulls are not counted.
    #[must_use]
    pub fn new(digest: Digest, media_type: String, bytes: Bytes) -> Self {
        Self { digest, media_type, bytes, id: None, meter: None }
    }

    /// What the manifest says. `None` cannot happen for one that was pushed here, since it was parsed then.
    pub(crate) fn parse(&self) -> Option<ParsedManifest> {
        ParsedManifest::parse(Some(&self.media_type), &self.bytes).ok()
    }
}
