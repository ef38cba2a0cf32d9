//! What can be done with artifacts: push, pull, tag, list, delete, collect, verify.
//!
//! The one handle is [`Artifacts`]. Its methods are use cases: each is called by an HTTP handler (or a command) that
//! has parsed the request and asked `identity` whether the caller may, and each does the whole thing, in one
//! transaction together with its row in the change log.
//!
//! ```text
//! uploads::append     bytes ─► blob store (durable) ─► session row
//! uploads::complete   digest checked ─► blob row + link under a lease          one transaction
//! manifests::put      references and locks checked ─► manifest, links, tags, change   one transaction
//! upkeep::collect     unused links ─► unheld blobs ─► doomed objects ─► bytes   small transactions, any time
//! ```
//!
//! Reads of what is hot (manifests by tag and digest, blob links, registries) come from `cache.rs`; a commit
//! invalidates what it changed before the caller hears of it, and [`Artifacts::follow_changes`] does the same for what
//! other processes changed.
//!
//! What this crate does not do: it knows neither HTTP nor who may do what.

mod artifacts;
mod attributes;
mod blobs;
mod cache;
mod charts;
mod error;
mod export;
mod lists;
mod locks;
mod manifests;
mod overview;
mod pulls;
mod purge;
mod quarantine;
mod registries;
mod repositories;
mod retention;
mod sizes;
mod tagging;
mod trash;
mod untagging;
mod updates;
mod upkeep;
mod uploads;
mod values;
mod write_once;

pub use artifacts::{Artifacts, Settings, Target};
pub use attributes::{DescribedManifest, RelatedManifest, cursor};
pub use blobs::{BlobContent, BlobInfo, DeleteBlobError};
pub use charts::{
    ChartContent, ChartError, ChartFile, ChartFileKind, ChartIndex, ChartVersion, ChartsTarget, CheckedChart,
    InvalidArchive, InvalidMetadata, LARGEST_PACKAGE_BYTES, LARGEST_PROVENANCE_BYTES, PutChart,
};
pub use error::Error;
pub use export::{ExportDisabled, check_export};
pub use lists::{Listing, Page};
pub use locks::{AttributesError, ContentError, Locked};
pub use manifests::{
    Check, DeleteManifestError, Manifest, ManifestRemoval, OnlyIf, PutManifest, PutManifestError, PutOutcome, Removal,
    Removed, Skipped, TagRemoval,
};
pub use purge::{
    Age, AgeError, FilterError, PurgeError, PurgeEvent, PurgeItem, PurgeReport, PurgeSpec, PurgeState, PurgeStopped,
    PurgeWatch, PurgeWorker, Purged, SkippedCounts, SpecError, StartedPurge, Untagged, Unwatched, next_purge,
};
pub use quarantine::{QuarantineChange, Sight, Verdict};
pub use repositories::{DeleteRepositoryError, DeletedRepository};
pub use tagging::TaggingError;
pub use trash::{MissingChild, RestoreError, Restored, trash_cursor};
pub use updates::{ManifestChange, RepositoryChange};
pub use upkeep::{CollectReport, ObjectHold, VerifyReport};
pub use uploads::{BlobFill, BodyError, Growing, UploadError, UploadState};
pub use values::{Keys, MOST_KEYS, ValueOwner, ValuesError};
pub use write_once::{MOST_PATTERNS, PatternsError, parse_patterns};
