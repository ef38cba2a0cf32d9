//! A consistent copy of metadata and bytes, made while pushes, pulls and the collector go on.
//!
//! The metadata is copied first, as one snapshot. Objects never change, so whatever the snapshot refers to can be copied
//! afterwards at leisure, as long as none of it is removed meanwhile: that is what the hold on objects is for. It ends by
//! itself, so a backup that dies does not stop the collector for long.
//!
//! ```text
//! TARGET/metadata.db    the snapshot, without upload sessions and doomed objects
//! TARGET/blobs/…        every object that it refers to, hashed on the way
//! ```

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use wharf_blobs::{BlobStore as _, FileStore};
use wharf_metadata::collection::{self, StoredBlob};
use wharf_metadata::{Database, DatabaseUrl, settings};
use wharf_model::{Digest, Timestamp};

use crate::blobs::parse_key;
use crate::{Artifacts, Error};

/// What a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct BackupReport {
    /// Blobs, those kept in the metadata included.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
}

/// Why there is no backup. What was written of it is to be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The metadata is on a server that has tools of its own for this.
    #[error("the metadata is on a database server; back that up with its own tools (pg_dump) and then the blobs")]
    DatabaseServer,
    /// Bytes are not what they should be; `wharf verify` tells more.
    #[error("the stored bytes of {digest} are damaged: they have the digest {actual}")]
    Damaged {
        /// The blob.
        digest: Digest,
        /// The digest of its bytes.
        actual: Digest,
    },
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for BackupError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<wharf_blobs::Error> for BackupError {
    fn from(error: wharf_blobs::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Artifacts {
    /// Writes a copy of everything to the empty directory `target`. `progress` hears of blobs and bytes done.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn backup(
        &self,
        target: &Path,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<BackupReport, BackupError> {
        self.hold_objects().await?;
        let file = target.join("metadata.db");
        if !self.inner.database.copy_to(&file).await? {
            return Err(BackupError::DatabaseServer);
        }
        let copy = Database::open(&DatabaseUrl::Sqlite(file)).await?;
        copy.write(|c| {
            Box::pin(async move {
                collection::forget_unfinished(c).await?;
                settings::put(c, HOLD, b"0").await
            })
        })
        .await?;
        let objects = FileStore::open(target.join("blobs"))?;
        let mut report = BackupReport::default();
        let mut held_at = self.now();
        let mut after = 0;
        loop {
            let page = copy.read(move |c| Box::pin(collection::list_blobs(c, after, PAGE))).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for blob in page {
                if self.now().since(held_at) > HELD_FOR / 4 {
                    self.hold_objects().await?;
                    held_at = self.now();
                }
                self.copy_object(&blob, &objects).await?;
                report.blobs += 1;
                report.blob_bytes += u64::try_from(blob.size_bytes).unwrap_or(0);
                progress(report.blobs, report.blob_bytes);
            }
        }
        copy.close().await;
        self.inner.database.write(|c| Box::pin(settings::put(c, HOLD, b"0"))).await?;
        Ok(report)
    }

    async fn copy_object(&self, blob: &StoredBlob, objects: &FileStore) -> Result<(), BackupError> {
        let Some(key) = &blob.storage_key else { return Ok(()) };
        let key = parse_key(key)?;
        let malformed = |_| wharf_metadata::Error::Malformed { what: "digest", value: blob.digest.clone() };
        let digest: Digest = blob.digest.parse().map_err(malformed)?;
        let stored = self.inner.blobs.open(&key).await?;
        let size = stored.size();
        let mut writer = objects.create(&key, digest.algorithm()).await?;
        let mut stream = stored.stream(0..size);
        while let Some(bytes) = stream.next().await {
            writer.write(bytes?).await?;
        }
        let actual = writer.digest(digest.algorithm()).await?;
        if actual != digest {
            return Err(BackupError::Damaged { digest, actual });
        }
        Ok(writer.sync().await?)
    }

    /// Keeps every collector of the installation from removing objects, for a while.
    async fn hold_objects(&self) -> Result<(), Error> {
        let until = (self.now() + HELD_FOR).0.to_string();
        let held =
            self.inner.database.write(move |c| Box::pin(async move { settings::put(c, HOLD, until.as_bytes()).await }));
        Ok(held.await?)
    }

    /// Whether a backup needs the objects that nothing else needs any more.
    pub(super) async fn objects_are_held(&self) -> Result<bool, Error> {
        let until = self.inner.database.read(|c| Box::pin(settings::get(c, HOLD))).await?;
        let until = until.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()).map_or(Timestamp(0), Timestamp);
        Ok(self.now() < until)
    }
}

/// The setting that says until when objects are held.
const HOLD: &str = "objects-held-until";

/// How long one hold lasts. Objects larger than can be copied in three quarters of it are not expected.
const HELD_FOR: Duration = Duration::from_secs(60 * 60);

const PAGE: i64 = 100;
