//! What of the trash goes for good, and the books of repositories that were deleted whole.
//!
//! Two reconcilers. Both work in small transactions under the lock of one repository's trash, each of which looks again, so
//! that they may be cut off anywhere, run on several nodes at once, and never meet a restoration halfway.

use std::time::Duration;

use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::trash::{self, TrashId, TrashRow};
use wharf_model::{Digest, RepositoryName};

use crate::{Artifacts, Error};

impl Artifacts {
    /// Gives the manifests and tags of repositories that were deleted whole their own rows in the trash, and returns how
    /// many such repositories there were.
    ///
    /// # Errors
    /// When the metadata fails.
    pub async fn settle_trash(&self) -> Result<u64, Error> {
        let (database, before) = (&self.inner.database, self.now() - LIST_STAYS);
        let unsettled = database.read(move |c| Box::pin(trash::list_unsettled(c, before))).await?;
        let count = unsettled.len() as u64;
        for (repository, id) in unsettled {
            while database.write(move |c| Box::pin(trash::settle_some(c, repository, id, AT_ONCE))).await? {}
        }
        Ok(count)
    }

    /// Removes what is in the trash for longer than its registry's policy says now, and returns how many manifests that
    /// were. Where the policy is off, what it said last counts. The blobs are left to the collector.
    ///
    /// # Errors
    /// When the metadata fails.
    pub async fn purge_trash(&self) -> Result<u64, Error> {
        let (mut purged, mut after) = (0, TrashId(0));
        loop {
            let page = self.inner.database.read(move |c| Box::pin(trash::list_trashes(c, after, PAGE))).await?;
            let Some(last) = page.last() else { return Ok(purged) };
            after = last.id;
            for row in page {
                purged += self.purge_one(row).await?;
            }
        }
    }

    async fn purge_one(&self, row: TrashRow) -> Result<u64, Error> {
        let (database, id) = (&self.inner.database, row.id);
        let before = self.now() - Duration::from_secs(u64::try_from(row.keep_days).unwrap_or(0) * DAY_SECONDS);
        let mut purged = 0;
        if database.read(move |c| Box::pin(trash::is_due(c, id, before))).await? {
            let (registry, now) = (row.registry, self.now());
            let repository: RepositoryName = row.repository.parse().map_err(|_| wharf_metadata::Error::Malformed {
                what: "repository name",
                value: row.repository.clone(),
            })?;
            loop {
                let name = repository.clone();
                let purge = database.write(move |c| {
                    Box::pin(async move {
                        let (digests, more) = trash::purge_some(c, id, before, AT_ONCE).await?;
                        let digests: Vec<Digest> = digests.iter().filter_map(|digest| digest.parse().ok()).collect();
                        let change = |digest| NewChange {
                            kind: Kind::ManifestPurge,
                            actor: "system",
                            repository: Some(&name),
                            tag: None,
                            digest: Some(digest),
                            changed_at: now,
                        };
                        let log: Vec<NewChange<'_>> = digests.iter().map(change).collect();
                        changes::append(c, registry, &log).await?;
                        Ok::<_, wharf_metadata::Error>((digests.len() as u64, more))
                    })
                });
                let (count, more) = purge.await?;
                purged += count;
                if !more {
                    break;
                }
            }
        }
        if database.read(move |c| Box::pin(trash::is_empty(c, id))).await? {
            database.write(move |c| Box::pin(trash::delete_if_empty(c, id))).await?;
        }
        Ok(purged)
    }
}

/// How many manifests one transaction settles or removes.
const AT_ONCE: i64 = 200;

/// How many repositories are looked at with one query.
const PAGE: i64 = 100;

/// How long what a deleted repository held is left as it is: whoever deleted it is told what that was.
const LIST_STAYS: Duration = Duration::from_secs(60);

const DAY_SECONDS: u64 = 24 * 60 * 60;
