//! Registries by name, and hearing of what other processes changed.

use std::sync::Arc;

use wharf_metadata::changes::{self, ChangeRow, Kind};
use wharf_metadata::{RegistryRow, registries};
use wharf_model::{Digest, RegistryName, RepositoryName, Tag};

use crate::cache::key;
use crate::{Artifacts, Error};

impl Artifacts {
    /// Finds a registry. What is returned may be a fifth of a second old when another process changed it.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn find_registry(&self, name: &RegistryName) -> Result<Option<Arc<RegistryRow>>, Error> {
        let cache = &self.inner.caches.registries;
        if let Some(row) = cache.get(name.as_str()) {
            return Ok(Some(row));
        }
        let fence = cache.fence(name.as_str());
        let wanted = name.clone();
        let row = self
            .inner
            .database
            .read(move |c| Box::pin(async move { registries::find_by_name(c, &wanted).await }))
            .await?;
        let Some(row) = row.map(Arc::new) else { return Ok(None) };
        cache.store(name.as_str().to_owned(), row.clone(), &fence);
        Ok(Some(row))
    }

    /// Forgets what is remembered of a registry, after this process changed it.
    pub fn forget_registry(&self, name: &RegistryName) {
        self.inner.caches.registries.invalidate(name.as_str());
    }

    /// Where the change log ends now; the cursor to begin [`Self::follow_changes`] with.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn last_change(&self) -> Result<i64, Error> {
        Ok(self.inner.database.read(|c| Box::pin(changes::last_id(c))).await?)
    }

    /// Reads the change log from `cursor` on, forgets whatever it says has changed, and returns the new cursor.
    /// To be called again and again: it is how this node hears of changes that other processes made.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn follow_changes(&self, mut cursor: i64) -> Result<i64, Error> {
        loop {
            let page =
                self.inner.database.read(move |c| Box::pin(changes::list_after(c, cursor, CHANGES_PER_PAGE))).await?;
            let Some(last) = page.last() else { return Ok(cursor) };
            cursor = last.id;
            let is_full = page.len() as i64 == CHANGES_PER_PAGE;
            for change in &page {
                self.forget(change);
            }
            if !is_full {
                return Ok(cursor);
            }
        }
    }

    fn forget(&self, change: &ChangeRow) {
        let caches = &self.inner.caches;
        let repository = change.repository.as_deref().and_then(|name| name.parse::<RepositoryName>().ok());
        let tag = change.tag.as_deref().and_then(|tag| tag.parse::<Tag>().ok());
        let digest = change.digest.as_deref().and_then(|digest| digest.parse::<Digest>().ok());
        match (change.kind, repository) {
            (Kind::RegistryCreate | Kind::RegistryUpdate | Kind::RegistryDelete, _) => {
                caches.registries.invalidate_all()
            }
            (Kind::TagPut | Kind::TagDelete | Kind::ManifestDelete | Kind::ManifestPush, Some(repository)) => {
                if let Some(tag) = tag {
                    caches.manifests.invalidate(&key(change.registry, &repository, ':', tag.as_str()));
                }
                if let (Kind::ManifestDelete, Some(digest)) = (change.kind, digest) {
                    caches.manifests.invalidate(&key(change.registry, &repository, '@', digest.as_str()));
                }
            }
            (Kind::BlobDelete, Some(repository)) => {
                if let Some(digest) = digest {
                    caches.blobs.invalidate(&key(change.registry, &repository, '@', digest.as_str()));
                }
            }
            (Kind::TagUpdate, Some(repository)) => {
                if let Some(tag) = tag {
                    caches.manifests.invalidate(&key(change.registry, &repository, ':', tag.as_str()));
                }
            }
            // A manifest may be remembered under any of its tags.
            (Kind::ManifestUpdate, Some(_)) => caches.manifests.invalidate_all(),
            (Kind::RepositoryUpdate | Kind::RepositoryDelete, Some(_)) => caches.forget_content(),
            // What scanners say is asked whenever it matters.
            (Kind::ManifestQuarantine | Kind::ManifestPass | Kind::ManifestFail, Some(_)) => {}
            // Nothing is remembered of what is not there.
            (Kind::ManifestRestore | Kind::ManifestPurge, Some(_)) => {}
            (_, None) => {}
        }
    }
}

const CHANGES_PER_PAGE: i64 = 500;
