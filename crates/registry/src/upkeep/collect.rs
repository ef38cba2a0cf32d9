//! The collector: takes away what nothing needs any more, while pushes and pulls go on.
//!
//! It is a reconciler: it has no input and may be stopped and started at any moment. Each step decides and acts in one
//! small transaction, and looks again before it acts:
//!
//! 1. sessions past their expiry: row gone, object doomed;
//! 2. links whose lease has ended and which no manifest of the repository needs: cut;
//! 3. blobs that no repository holds: row gone, object doomed;
//! 4. objects doomed longer ago than the grace, so that readers who had begun are done: removed from the store;
//! 5. objects that no row knows (a push died before its first acknowledgement): doomed when old.
//!
//! The last two wait while a backup holds the objects.
//!
//! A push that needs a blob either finds the link, and then its manifest keeps it (steps 2 and the push cannot both
//! commit), or finds it gone and says so. A storage key is never used again, so step 4 cannot meet a new push.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::collection::{self, DoomedObject, UnlinkedBlob, UnusedLink};
use wharf_metadata::uploads;
use wharf_model::{BlobId, RegistryId, RepositoryName, Timestamp};

use crate::blobs::parse_key;
use crate::cache::key;
use crate::{Artifacts, Error};

/// What the collector did, or with `dry_run` would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CollectReport {
    /// Nothing was changed.
    pub dry_run: bool,
    /// Upload sessions given up.
    pub expired_uploads: u64,
    /// Links of blobs to repositories cut.
    pub cut_links: u64,
    /// Blobs removed from the books.
    pub removed_blobs: u64,
    /// The bytes of those blobs.
    pub removed_blob_bytes: u64,
    /// Objects removed from the store.
    pub removed_objects: u64,
    /// The bytes of those objects.
    pub freed_bytes: u64,
    /// Objects in the store that no row knew; they are removed after the grace like all others.
    pub orphans: u64,
    /// Repositories that held nothing any more.
    pub removed_repositories: u64,
    /// Objects that could not be removed; they are tried again next time.
    pub failed_objects: u64,
}

impl Artifacts {
    /// Collects garbage. Safe to run at any time, also twice at once.
    ///
    /// A dry run only reads; since each step would lay open more for the next, it tells what is certain now.
    ///
    /// # Errors
    /// When the metadata fails. An object that cannot be removed is counted, not fatal.
    pub async fn collect(&self, dry_run: bool) -> Result<CollectReport, Error> {
        let mut report = CollectReport { dry_run, ..CollectReport::default() };
        if !dry_run {
            // What they held is garbage only once their repositories are gone, and what is in the trash once its time is over.
            self.remove_deleted_registries().await?;
            self.remove_deleted_repositories().await?;
            self.purge_trash().await?;
        }
        self.expire_uploads(&mut report).await?;
        self.cut_links(&mut report).await?;
        self.remove_blobs(&mut report).await?;
        if !self.objects_are_held().await? {
            self.remove_doomed(&mut report).await?;
            self.doom_orphans(&mut report).await?;
        }
        if !dry_run {
            let before = self.now() - EMPTY_REPOSITORY_AGE;
            report.removed_repositories = self
                .inner
                .database
                .write(move |c| Box::pin(collection::delete_empty_repositories(c, before)))
                .await
                .map_err(Error::Metadata)?;
        }
        Ok(report)
    }

    async fn expire_uploads(&self, report: &mut CollectReport) -> Result<(), Error> {
        let now = self.now();
        let database = &self.inner.database;
        loop {
            let mut expired = database.read(move |c| Box::pin(uploads::list_expired(c, now, WINDOW))).await?;
            // A request that is at work on one renews it when it is done.
            expired.retain(|row| !self.inner.sessions.is_busy(row.id));
            report.expired_uploads += expired.len() as u64;
            if report.dry_run || expired.is_empty() {
                return Ok(());
            }
            for row in expired {
                let id = row.id;
                database
                    .write(move |c| {
                        Box::pin(async move {
                            if uploads::delete_expired(c, row.id, now).await? {
                                let size_bytes = i64::try_from(row.offset_bytes).unwrap_or(i64::MAX);
                                collection::doom(c, &row.storage_key, size_bytes, now).await?;
                            }
                            Ok::<_, wharf_metadata::Error>(())
                        })
                    })
                    .await?;
                self.end_upload(id);
            }
        }
    }

    async fn cut_links(&self, report: &mut CollectReport) -> Result<(), Error> {
        let now = self.now();
        let database = &self.inner.database;
        let mut after = (0, 0);
        while let Some(until) = database.read(move |c| Box::pin(collection::link_window(c, after, WINDOW))).await? {
            let unused = database.read(move |c| Box::pin(collection::find_unused_links(c, after, until, now))).await?;
            if report.dry_run {
                report.cut_links += unused.len() as u64;
            } else {
                // Many at a time, so that they share commits.
                let mut cuts = stream::iter(unused).map(|link| self.cut_link(link, now)).buffer_unordered(AT_A_TIME);
                while let Some(cut) = cuts.next().await {
                    report.cut_links += u64::from(cut?);
                }
            }
            after = until;
        }
        Ok(())
    }

    async fn cut_link(&self, link: UnusedLink, now: Timestamp) -> Result<bool, Error> {
        let registry = RegistryId(link.registry_id);
        let malformed = |what, value: &str| wharf_metadata::Error::Malformed { what, value: value.to_owned() };
        let digest: wharf_model::Digest = link.digest.parse().map_err(|_| malformed("digest", &link.digest))?;
        if link.is_hidden {
            // Nobody could read it through the trash, so there is nothing to be told or forgotten.
            return Ok(self
                .inner
                .database
                .write(move |c| Box::pin(async move { collection::cut_unused_link(c, &link, now).await }))
                .await?);
        }
        let repository: RepositoryName =
            link.repository.parse().map_err(|_| malformed("repository name", &link.repository))?;
        let cached = key(registry, &repository, '@', digest.as_str());
        let cut = self
            .inner
            .database
            .write(move |c| {
                Box::pin(async move {
                    let cut = collection::cut_unused_link(c, &link, now).await?;
                    if cut {
                        let change = NewChange {
                            kind: Kind::BlobDelete,
                            actor: "system",
                            repository: Some(&repository),
                            tag: None,
                            digest: Some(&digest),
                            changed_at: now,
                        };
                        changes::append(c, registry, &[change]).await?;
                    }
                    Ok::<_, wharf_metadata::Error>(cut)
                })
            })
            .await?;
        if cut {
            self.inner.caches.blobs.invalidate(&cached);
        }
        Ok(cut)
    }

    async fn remove_blobs(&self, report: &mut CollectReport) -> Result<(), Error> {
        let now = self.now();
        let database = &self.inner.database;
        let mut after = 0;
        while let Some(until) = database.read(move |c| Box::pin(collection::blob_window(c, after, WINDOW))).await? {
            let unlinked = database.read(move |c| Box::pin(collection::find_unlinked_blobs(c, after, until))).await?;
            let dry_run = report.dry_run;
            let remove = async |blob: UnlinkedBlob| {
                let id = BlobId(blob.id);
                let removed =
                    dry_run || database.write(move |c| Box::pin(collection::doom_unlinked_blob(c, id, now))).await?;
                Ok::<_, Error>(removed.then_some(blob.size_bytes))
            };
            let mut removals = stream::iter(unlinked).map(remove).buffer_unordered(AT_A_TIME);
            while let Some(removed) = removals.next().await {
                if let Some(size_bytes) = removed? {
                    report.removed_blobs += 1;
                    report.removed_blob_bytes += u64::try_from(size_bytes).unwrap_or(0);
                }
            }
            after = until;
        }
        Ok(())
    }

    async fn remove_doomed(&self, report: &mut CollectReport) -> Result<(), Error> {
        let before = self.now() - self.inner.settings.object_grace;
        let database = &self.inner.database;
        loop {
            let doomed = database.read(move |c| Box::pin(collection::list_doomed(c, before, WINDOW))).await?;
            let mut failed = 0;
            let count = doomed.len() as u64;
            let dry_run = report.dry_run;
            let remove = async |object: DoomedObject| {
                let removed = dry_run || self.remove_object(&object.storage_key).await?;
                Ok::<_, Error>(removed.then_some(object.size_bytes))
            };
            let mut removals = stream::iter(doomed).map(remove).buffer_unordered(AT_A_TIME);
            while let Some(removed) = removals.next().await {
                match removed? {
                    Some(size_bytes) => {
                        report.removed_objects += 1;
                        report.freed_bytes += u64::try_from(size_bytes).unwrap_or(0);
                    }
                    None => failed += 1,
                }
            }
            report.failed_objects += failed;
            // Those that failed would be listed again, so a page with failures ends the run.
            if report.dry_run || failed > 0 || count < WINDOW as u64 {
                return Ok(());
            }
        }
    }

    /// Removes a doomed object from the store, and then from the books. Returns whether it could be removed.
    async fn remove_object(&self, storage_key: &str) -> Result<bool, Error> {
        if let Err(error) = self.inner.blobs.delete(&parse_key(storage_key)?).await {
            tracing::warn!(error = &error as &dyn std::error::Error, storage.key = %storage_key,
                "Could not remove the object {storage_key}; it is tried again");
            return Ok(false);
        }
        let key = storage_key.to_owned();
        let database = &self.inner.database;
        database.write(move |c| Box::pin(async move { collection::forget_doomed(c, &key).await })).await?;
        Ok(true)
    }

    /// Objects that no row knows are doomed like all others, so that whoever may still be about to refer to one, against
    /// all expectation (a machine that slept, a clock that jumped), finds it doomed instead of gone.
    async fn doom_orphans(&self, report: &mut CollectReport) -> Result<(), Error> {
        let now = self.now();
        let database = &self.inner.database;
        let mut after = None;
        loop {
            let page = self.inner.blobs.list_page(after.as_ref()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            let old = page.into_iter().filter(|object| now.since(object.modified_at) >= ORPHAN_AGE);
            let sizes: HashMap<String, u64> = old.map(|object| (object.key.to_string(), object.size_bytes)).collect();
            let keys: Vec<String> = sizes.keys().cloned().collect();
            let unknown = database.read(move |c| Box::pin(collection::find_unknown_objects(c, keys))).await?;
            for key in unknown {
                if self.inner.sessions.holds(&parse_key(&key)?) {
                    continue;
                }
                let size_bytes = i64::try_from(sizes[&key]).unwrap_or(i64::MAX);
                let doomed = report.dry_run
                    || database
                        .write(move |c| {
                            Box::pin(async move { collection::doom_unknown_object(c, &key, size_bytes, now).await })
                        })
                        .await?;
                report.orphans += u64::from(doomed);
            }
        }
    }
}

/// Changes that are under way at once.
const AT_A_TIME: usize = 64;

/// Rows that one statement looks at.
const WINDOW: i64 = 1000;

/// How old an object must be that no row knows: far older than a body may idle before its session gets a row.
const ORPHAN_AGE: Duration = Duration::from_secs(60 * 60);

/// How long a repository that holds nothing is left alone.
const EMPTY_REPOSITORY_AGE: Duration = Duration::from_secs(60 * 60);
