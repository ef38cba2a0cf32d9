//! The removal of what deleted registries and repositories held.
//!
//! Deleting one only puts it out of sight, so that it takes the same moment for all of them. This reconciler takes
//! away the rest in small transactions between which others write: manifests with their tags, links, repositories, at
//! last the log and the row. It may be cut off anywhere, and run on several nodes at once.

use std::time::Duration;

use wharf_metadata::registries::{self, Removed};
use wharf_metadata::repositories;
use wharf_model::RegistryId;

use crate::{Artifacts, Error};

impl Artifacts {
    /// Removes what registries held that were deleted, and returns how many of these are gone for good. Their blobs are
    /// left to the collector.
    ///
    /// # Errors
    /// When the metadata fails.
    pub async fn remove_deleted_registries(&self) -> Result<u64, Error> {
        let hidden = self.inner.database.read(|c| Box::pin(registries::list_hidden(c))).await?;
        let mut gone = 0;
        for id in hidden {
            gone += u64::from(self.remove_registry(id).await? == Removed::All);
        }
        Ok(gone)
    }

    /// Removes what repositories held that were deleted, and returns how many of these are gone for good. Their blobs are
    /// left to the collector.
    ///
    /// # Errors
    /// When the metadata fails.
    pub async fn remove_deleted_repositories(&self) -> Result<u64, Error> {
        let (database, before) = (&self.inner.database, self.now() - LIST_STAYS);
        let hidden = database.read(move |c| Box::pin(repositories::list_hidden(c, before))).await?;
        let gone = hidden.len() as u64;
        for id in hidden {
            let remove =
                || database.write(move |c| Box::pin(async move { repositories::remove_some(c, &[id], AT_ONCE).await }));
            while remove().await.map_err(Error::Metadata)? {}
        }
        Ok(gone)
    }

    async fn remove_registry(&self, id: RegistryId) -> Result<Removed, Error> {
        let before = self.now() - ROW_STAYS;
        loop {
            let remove = self.inner.database.write(move |c| Box::pin(registries::remove_some(c, id, AT_ONCE, before)));
            match remove.await? {
                Removed::Some => {}
                end => return Ok(end),
            }
        }
    }
}

/// How many rows one transaction removes: about what a large push writes.
const AT_ONCE: i64 = 500;

/// How long what a deleted repository held is left alone: whoever deleted it is told what that was.
const LIST_STAYS: Duration = Duration::from_secs(60);

/// How long the row of a deleted registry stays with its log, from which other nodes hear that it was deleted.
const ROW_STAYS: Duration = Duration::from_secs(60);
