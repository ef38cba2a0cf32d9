//! Reading a manifest.

use std::sync::Arc;

use wharf_metadata::manifests;
use wharf_model::Reference;

use super::Manifest;
use crate::cache::key;
use crate::{Artifacts, Error, Target};

impl Artifacts {
    /// Finds a manifest by tag or digest.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn get_manifest(
        &self,
        target: Target<'_>,
        reference: &Reference,
    ) -> Result<Option<Arc<Manifest>>, Error> {
        let (separator, name) = match reference {
            Reference::Tag(tag) => (':', tag.as_str()),
            Reference::Digest(digest) => ('@', digest.as_str()),
        };
        let cache = &self.inner.caches.manifests;
        let key = key(target.registry.id, target.repository, separator, name);
        if let Some(manifest) = cache.get(&key) {
            return Ok(Some(manifest));
        }
        let fence = cache.fence(&key);
        let (registry, repository, wanted) = (target.registry.id, target.repository.clone(), reference.clone());
        let row = self
            .inner
            .database
            .read(move |c| Box::pin(async move { manifests::find(c, registry, &repository, &wanted).await }))
            .await?;
        let Some(row) = row else { return Ok(None) };
        let manifest = Arc::new(Manifest { digest: row.digest, media_type: row.media_type, bytes: row.bytes.into() });
        cache.store(key, manifest.clone(), &fence);
        Ok(Some(manifest))
    }
}
