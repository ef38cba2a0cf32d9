//! Taking a blob from elsewhere while others read it.
//!
//! A fill is an upload that the server does for itself: nobody continues it, so nothing is acknowledged before its end and it
//! has no row. Those who wait for the blob read its bytes as they are written ([`Growing`]); that they are the right ones is
//! known at the end only.
//!
//! ```text
//! begin_fill ─► write … write ─► verify ─► finish: synced, linked under a lease
//!                  │                └────► wrong digest: bytes removed
//!                  └─► dropped: bytes removed
//! ```

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use wharf_blobs::{Blob, BlobStore, StorageKey};
use wharf_metadata::RegistryRow;
use wharf_model::{Digest, RepositoryName};

use super::UploadError;
use super::sessions::Exclusive;
use crate::{Artifacts, Error, Target};

/// A blob that is being taken from elsewhere into a repository.
pub struct BlobFill {
    artifacts: Artifacts,
    registry: Arc<RegistryRow>,
    repository: RepositoryName,
    digest: Digest,
    /// `None` once it is over.
    session: Option<Exclusive>,
}

/// The bytes of a [`BlobFill`] for those who read along. Clones read the same.
#[derive(Clone, Debug)]
pub struct Growing {
    blobs: Arc<dyn BlobStore>,
    key: StorageKey,
    written: watch::Receiver<u64>,
}

impl Artifacts {
    /// Begins to take a blob into a repository.
    ///
    /// # Errors
    /// When the stores fail.
    pub async fn begin_fill(
        &self,
        registry: Arc<RegistryRow>,
        repository: RepositoryName,
        digest: Digest,
    ) -> Result<BlobFill, UploadError> {
        let state = self.start_upload(digest.algorithm());
        let target = Target { registry: &registry, repository: &repository };
        let session = Some(self.acquire(target, &state).await?);
        Ok(BlobFill { artifacts: self.clone(), registry, repository, digest, session })
    }
}

impl BlobFill {
    /// What others read.
    #[must_use]
    pub fn growing(&mut self) -> Growing {
        let blobs = self.artifacts.inner.blobs.clone();
        let session = self.session().session();
        Growing { blobs, key: session.storage_key.clone(), written: session.writer.written() }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`UploadError::TooLarge`] when there are more than any blob may have; that the stores fail.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), UploadError> {
        let limit_bytes = self.artifacts.inner.settings.blob_limit_bytes;
        let session = self.session().session();
        if session.writer.length() + bytes.len() as u64 > limit_bytes {
            return Err(UploadError::TooLarge { limit_bytes });
        }
        Ok(session.writer.write(bytes).await?)
    }

    /// Lets others read soon what was taken so far.
    ///
    /// # Errors
    /// When the stores fail.
    pub async fn flush(&mut self) -> Result<(), UploadError> {
        Ok(self.session().session().writer.flush().await?)
    }

    /// How many bytes were taken.
    pub fn length(&mut self) -> u64 {
        self.session().session().writer.length()
    }

    /// Compares the digest of all that was taken.
    ///
    /// # Errors
    /// [`UploadError::DigestMismatch`]; that the stores fail.
    pub async fn verify(&mut self) -> Result<(), UploadError> {
        let expected = self.digest.clone();
        let actual = self.session().session().writer.digest(expected.algorithm()).await?;
        if actual == expected { Ok(()) } else { Err(UploadError::DigestMismatch { expected, actual }) }
    }

    /// Makes the bytes a blob of the repository, if they are the right ones. Durable when this returns.
    ///
    /// # Errors
    /// [`UploadError::DigestMismatch`]; that the repository is locked; that the stores fail.
    pub async fn finish(mut self) -> Result<(), UploadError> {
        let Some(mut session) = self.session.take() else { return Ok(()) };
        let artifacts = self.artifacts.clone();
        if let Err(error) = artifacts.check_whole(&mut session, &self.digest).await {
            artifacts.discard(session).await?;
            return Err(error);
        }
        let target = Target { registry: &self.registry, repository: &self.repository };
        artifacts.become_blob(target, session, &self.digest).await
    }

    /// Ends without a blob; the bytes go.
    ///
    /// # Errors
    /// When the stores fail; then the collector removes the bytes.
    pub async fn abandon(mut self) -> Result<(), Error> {
        match self.session.take() {
            Some(session) => self.artifacts.clone().discard(session).await,
            None => Ok(()),
        }
    }

    fn session(&mut self) -> &mut Exclusive {
        self.session.as_mut().expect("what ends a fill takes it whole")
    }
}

impl Drop for BlobFill {
    fn drop(&mut self) {
        // Nothing of it was acknowledged: with its writer go its bytes.
        if let Some(session) = self.session.take() {
            self.artifacts.end_upload(session.id);
        }
    }
}

impl std::fmt::Debug for BlobFill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobFill").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Growing {
    /// How many bytes can be read, as they become more; it ends with the fill.
    #[must_use]
    pub fn written(&self) -> watch::Receiver<u64> {
        self.written.clone()
    }

    /// Opens what is written. There must be a byte.
    ///
    /// # Errors
    /// When there is none, or not any more, or the store fails.
    pub async fn open(&self) -> Result<Arc<dyn Blob>, Error> {
        Ok(self.blobs.open_growing(&self.key).await?)
    }
}
