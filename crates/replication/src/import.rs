//! Import: artifacts of another registry, or of another repository, are copied into a registry of ours.
//!
//! ```text
//! find      the manifest, what it lists, what refers to any of these      nothing is written
//! copy      blobs: here already ─ linked ─ fetched through an upload       each durable, several at a time
//! push      children, then what lists them, then referrers                a transaction each
//! tag       each tag of the target                                        a transaction each, last
//! ```
//!
//! It is a job ([`Importer`] works it off): whenever it is cut off it begins again, with the digest that it found the first
//! time, and fetches no blob that is here by then. Blobs and manifests go through the same uploads and pushes as those of
//! any client, so locks, write-once tags, quarantine, retention and the change log see nothing special. Until its tags are
//! set nothing names what has arrived; what is given up half way is collected like any upload that was never finished.
//!
//! A blob that other repositories of the target's registry hold is linked instead of fetched only if whoever imports may
//! read these: the manifest is somebody else's, who could name a digest that is secret here. Between registries of this
//! installation the source's own blobs are linked.
//!
//! What this module does not do: it does not decide who may import from where. The management plane has, when it enqueues.

mod copy;
mod error;
mod importer;
mod order;
mod progress;
mod source;
mod tree;

pub use error::ImportError;
pub use importer::Importer;
pub use order::{ImportOrder, ImportSource, ImportTarget, SealedCredentials};
pub use progress::ImportProgress;
pub use wharf_upstream::UpstreamAddress;
