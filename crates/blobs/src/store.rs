//! The seam between those who use blobs and the storage that holds them.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use wharf_model::{Algorithm, Digest, Timestamp};

use crate::{BlobStream, Error, SendfileQueue, StorageKey};

/// A place where blobs are kept.
#[async_trait]
pub trait BlobStore: Send + Sync + Debug {
    /// Begins a blob under a key that was never used before; `algorithm` is the one whose digest will be wanted.
    ///
    /// Cheap: nothing need reach the storage before there are bytes.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Io`], here or from the writer's first methods.
    async fn create(&self, key: &StorageKey, algorithm: Algorithm) -> Result<Box<dyn BlobWriter>, Error>;

    /// Goes on with a blob that was begun earlier, perhaps before a restart, behind its first `length` bytes.
    ///
    /// `length` must be what [`BlobWriter::length`] said at a successful [`BlobWriter::sync`]. Bytes past it were never
    /// acknowledged and are cut off; those before it are read once for the digest. A writer that still has the key, as of
    /// a connection that died unnoticed, is put an end to first.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such blob, [`Error::Truncated`] when it is shorter than `length`.
    async fn resume(&self, key: &StorageKey, length: u64, algorithm: Algorithm) -> Result<Box<dyn BlobWriter>, Error>;

    /// Opens a blob for reading. It should be complete: its size is looked up once.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing is stored under the key.
    async fn open(&self, key: &StorageKey) -> Result<Arc<dyn Blob>, Error>;

    /// Opens a blob that is still being written, for those who follow its writer. Of its bytes those can be read that
    /// [`BlobWriter::written`] counts; its size is not known yet, and nothing of this is remembered. What is read was not
    /// compared with any digest.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was written under the key yet, or it is gone again.
    async fn open_growing(&self, key: &StorageKey) -> Result<Arc<dyn Blob>, Error>;

    /// Deletes a blob, or what an unfinished upload left. That there is none counts as success.
    ///
    /// Readers that have the blob open read on; a writer that has it is put an end to. After a power cut the blob may be back: deleting is not synced, and a
    /// blob that no row refers to harms nobody.
    ///
    /// # Errors
    /// [`Error::Io`] when the storage refuses.
    async fn delete(&self, key: &StorageKey) -> Result<(), Error>;

    /// Proves that the storage can create, write, sync, read and delete, as at start-up and for readiness.
    ///
    /// # Errors
    /// The first step that failed, in words for an operator.
    async fn probe(&self) -> Result<(), Error>;

    /// One page of what is stored, in the order of keys, behind `after`; an empty page ends the list.
    ///
    /// **For `wharf verify` and its search for orphans only**: it walks the storage, slowly, and includes uploads in
    /// progress. Nothing on a request's path may be derived from it; what exists is what the metadata says.
    ///
    /// # Errors
    /// [`Error::Io`] when the storage cannot be walked.
    async fn list_page(&self, after: Option<&StorageKey>) -> Result<Vec<StoredBlob>, Error>;
}

/// Takes the bytes of one blob.
///
/// **What happens to a writer that is dropped.** If [`sync`](Self::sync) never returned `Ok` on it, nobody can have
/// been told of its bytes, and they are deleted in the background. If it did return `Ok` once, or if the writer came
/// from [`BlobStore::resume`] with a `length` above zero, a row may refer to the bytes: they stay, and whoever gives the
/// upload up calls [`BlobStore::delete`]. A process that is killed deletes nothing; [`BlobStore::list_page`] finds such
/// leftovers.
///
/// A key has one writer at most. After an error, or when somebody else resumed or deleted its upload, a writer is of no
/// use any more: drop it, and [`resume`](BlobStore::resume) from what was acknowledged.
#[async_trait]
pub trait BlobWriter: Send {
    /// Takes the next bytes. Hashing and writing go on beside; this waits only when they lag behind.
    ///
    /// The bytes are not durable yet. If this future is dropped before it is done, [`length`](Self::length) tells
    /// whether the bytes were taken.
    ///
    /// # Errors
    /// Any failure of the writing that goes on beside, also of bytes taken earlier; from then on [`Error::Broken`].
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error>;

    /// How many bytes the blob has, counting all that were taken.
    fn length(&self) -> u64;

    /// How many bytes others can read who open the key, as the number grows: those that are written, durable or not. It ends
    /// with the writer.
    fn written(&self) -> watch::Receiver<u64>;

    /// Hands on what was gathered for a larger write, so that it is written soon.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    async fn flush(&mut self) -> Result<(), Error>;

    /// Makes all bytes taken so far durable: when this returns `Ok` the blob survives a power cut.
    ///
    /// # Errors
    /// As for [`write`](Self::write). Nothing may be acknowledged then.
    async fn sync(&mut self) -> Result<(), Error>;

    /// The digest of all bytes taken.
    ///
    /// Costs nothing worth mentioning for the algorithm that the writer was made with, least of all right after
    /// [`sync`](Self::sync); for another one everything is read again.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    async fn digest(&mut self, algorithm: Algorithm) -> Result<Digest, Error>;
}

/// A blob that is open for reading. It stays readable when it is deleted meanwhile.
pub trait Blob: Send + Sync + Debug {
    /// How many bytes the blob has.
    fn size(&self) -> u64;

    /// The bytes of `range`, counted from 0, its end excluded. An empty range is an empty stream.
    ///
    /// A range that goes past the end of the blob yields [`Error::Truncated`], never silently fewer bytes.
    fn stream(self: Arc<Self>, range: Range<u64>) -> BlobStream;

    /// The same for a connection that can send pieces of files by itself: where the storage can, what comes out of the stream
    /// only stands in for bytes that wait in `queue`, so it must go to that connection and nowhere else.
    fn send(self: Arc<Self>, range: Range<u64>, queue: SendfileQueue) -> BlobStream {
        drop(queue);
        self.stream(range)
    }
}

/// An entry of [`BlobStore::list_page`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Where it is.
    pub key: StorageKey,
    /// How many bytes are there; an unfinished upload still grows.
    pub size_bytes: u64,
    /// When bytes were written to it last, by the storage's clock.
    pub modified_at: Timestamp,
}
