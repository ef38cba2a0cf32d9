//! Where the bytes of blobs live. The crate knows nothing of registries, digests in use or who may see what.
//!
//! A blob is written under a [`StorageKey`], which is chosen when its upload begins and never used again; a row of the
//! metadata maps the blob's digest to its key. That is why nothing is renamed when an upload completes, why a collector
//! that deletes an old copy cannot meet a push of the same content, and why object storage needs no server-side copy.
//!
//! ```text
//! BlobStore   create / resume ──► BlobWriter   write*, sync, digest        one upload
//!             open ─────────────► Blob         stream(range), send(range)  any number of readers
//!             delete, probe, list_page
//! ```
//!
//! [`FileStore`] keeps blobs in a directory. Object storage will be other implementations of the same traits.
//! Deliberately not here: who refers to a blob, when one may be deleted, whether its digest is the expected one.

mod error;
mod file;
mod key;
mod sendfile;
mod store;
mod stream;

pub use error::Error;
pub use file::FileStore;
pub use key::{ParseStorageKeyError, StorageKey};
pub use sendfile::SendfileQueue;
pub use store::{Blob, BlobStore, BlobWriter, StoredBlob};
pub use stream::BlobStream;
