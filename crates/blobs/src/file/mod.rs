//! Blobs as files of a local filesystem.
//!
//! ```text
//! <dir>/
//! ├── 0/                                          16 shards, 0 to f: made at the first start, never removed
//! │   ├── 01922b6e-7c1d-7e4f-9a0b-5c6d7e8f9000    one blob, or an upload in progress: its bytes and nothing else
//! │   └── …
//! ├── …
//! ├── f/
//! └── probe-0                                     there for a moment, while a probe runs
//! ```
//!
//! The path of a file is its [`StorageKey`], from the first byte written until it is deleted. There is no state in
//! names, no temporary directory and no rename: whether a file is a blob, is still growing or is an orphan is said by
//! the metadata alone.
//!
//! What is durable when: a shard's directory entry before [`FileStore::open`] returns; a file's bytes, size and
//! directory entry before `sync` returns (`fdatasync` of the file, then `fsync` of the shard, the latter once per file).
//! Deleting is not synced.
//!
//! Files stay open in a small cache, and each writer holds up to two; a busy server needs a limit of open files
//! (`RLIMIT_NOFILE`) above the 1024 that many systems begin with.

mod blob;
mod buffers;
mod list;
mod occupants;
mod open_files;
mod probe;
mod shards;
mod upload;
mod writer;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use wharf_model::Algorithm;

use self::blob::{FileBlob, Reading};
use self::occupants::Occupants;
use self::open_files::OpenFiles;
use self::shards::Shards;
use self::upload::Upload;
use self::writer::FileWriter;
use crate::{Blob, BlobStore, BlobWriter, Error, StorageKey, StoredBlob};

/// Blobs in a directory of the local filesystem.
#[derive(Debug)]
pub struct FileStore {
    shared: Arc<Shared>,
}

/// What the store shares with its writers and with the work that it hands to other threads.
#[derive(Debug)]
struct Shared {
    shards: Shards,
    occupants: Arc<Occupants>,
    open_files: OpenFiles,
    reading: Arc<Reading>,
    /// Holds back the writing that is started early, which is only a favour, before it takes the threads that others need.
    early_writers: Arc<Semaphore>,
    probes: AtomicU64,
}

impl FileStore {
    /// Opens the store in `dir`, which is made if it is not there. Blocks; call it while starting.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory or its shards cannot be made, read or synced.
    pub fn open(dir: PathBuf) -> Result<Self, Error> {
        Ok(Self {
            shared: Arc::new(Shared {
                shards: Shards::open(dir)?,
                occupants: Arc::default(),
                open_files: OpenFiles::new(OPEN_FILES),
                reading: Arc::new(Reading::new()),
                early_writers: Arc::new(Semaphore::new(EARLY_WRITERS)),
                probes: AtomicU64::new(0),
            }),
        })
    }
}

#[async_trait]
impl BlobStore for FileStore {
    async fn create(&self, key: &StorageKey, algorithm: Algorithm) -> Result<Box<dyn BlobWriter>, Error> {
        let occupation = self.shared.occupants.occupy(key).await;
        Ok(Box::new(FileWriter::new(Upload::new(self.shared.clone(), occupation, algorithm))))
    }

    async fn resume(&self, key: &StorageKey, length: u64, algorithm: Algorithm) -> Result<Box<dyn BlobWriter>, Error> {
        let occupation = self.shared.occupants.occupy(key).await;
        let shared = self.shared.clone();
        let upload = blocking(move || Upload::resume(shared, occupation, length, algorithm)).await?;
        Ok(Box::new(FileWriter::new(upload)))
    }

    async fn open(&self, key: &StorageKey) -> Result<Arc<dyn Blob>, Error> {
        if let Some(blob) = self.shared.open_files.find(key) {
            return Ok(blob);
        }
        let opening = self.shared.open_files.begin();
        let blob = match FileBlob::open_without_waiting(&self.shared, key)? {
            Some(blob) => blob,
            None => {
                let (shared, key) = (self.shared.clone(), key.clone());
                blocking(move || FileBlob::open(&shared, &key)).await?
            }
        };
        let blob = Arc::new(blob);
        self.shared.open_files.insert(opening, key, &blob);
        Ok(blob)
    }

    async fn open_growing(&self, key: &StorageKey) -> Result<Arc<dyn Blob>, Error> {
        let (shared, key) = (self.shared.clone(), key.clone());
        Ok(Arc::new(blocking(move || FileBlob::open(&shared, &key)).await?.growing()))
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        let occupation = self.shared.occupants.occupy(key).await;
        let shared = self.shared.clone();
        blocking(move || {
            let path = shared.shards.path(occupation.key());
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("delete", path.display().to_string(), error));
                }
                _ => {}
            }
            // Only now, or somebody could open and keep the file between the two steps.
            shared.open_files.evict(occupation.key());
            Ok(())
        })
        .await
    }

    async fn probe(&self) -> Result<(), Error> {
        let shared = self.shared.clone();
        blocking(move || probe::run(&shared)).await
    }

    async fn list_page(&self, after: Option<&StorageKey>) -> Result<Vec<StoredBlob>, Error> {
        let (shared, after) = (self.shared.clone(), after.cloned());
        blocking(move || list::page(&shared.shards, after.as_ref())).await
    }
}

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::io("finish", "work on the blob storage", io::Error::other(error))),
    }
}

/// How many files are kept open for readers to come.
const OPEN_FILES: usize = 512;

/// How many threads may be busy writing early.
const EARLY_WRITERS: usize = 8;
