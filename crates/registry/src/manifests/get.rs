//! Reading a manifest.

use std::sync::Arc;

use wharf_metadata::manifests;
use wharf_model::Reference;

use super::Manifest;
use crate::cache::key;
use crate::locks::{ContentError, Locked};
use crate::pulls::Meter;
use crate::{Artifacts, Error, Target};

impl Artifacts {
    /// Finds a manifest by tag or digest, for somebody who pulls it.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn get_manifest(
        &self,
        target: Target<'_>,
        reference: &Reference,
    ) -> Result<Option<Arc<Manifest>>, ContentError> {
        match self.find_manifest(target, reference).await? {
            Some((_, false)) => {
                let (repository, reference) = (target.repository.clone(), reference.to_string());
                Err(Locked::Read { repository, reference }.into())
            }
            found => Ok(found.map(|(manifest, _)| manifest)),
        }
    }

    /// Finds a manifest, and whether locks let it be pulled.
    pub(crate) async fn find_manifest(
        &self,
        target: Target<'_>,
        reference: &Reference,
    ) -> Result<Option<(Arc<Manifest>, bool)>, Error> {
        let (separator, name) = match reference {
            Reference::Tag(tag) => (':', tag.as_str()),
            Reference::Digest(digest) => ('@', digest.as_str()),
        };
        let cache = &self.inner.caches.manifests;
        let key = key(target.registry.id, target.repository, separator, name);
        if let Some(manifest) = cache.get(&key) {
            return Ok(Some((manifest, true)));
        }
        let fence = cache.fence(&key);
        let (registry, repository, wanted) = (target.registry.id, target.repository.clone(), reference.clone());
        let row = self
            .inner
            .database
            .read(move |c| Box::pin(async move { manifests::find(c, registry, &repository, &wanted).await }))
            .await?;
        let Some(row) = row else { return Ok(None) };
        let is_readable = row.read_enabled;
        let tag = match reference {
            Reference::Tag(tag) => row.tag_created_at.map(|created_at| (tag.clone(), created_at)),
            Reference::Digest(_) => None,
        };
        let meter = Some(Arc::new(Meter::new(target.registry.name.clone(), row.repository, row.id, tag)));
        let manifest = Manifest { digest: row.digest, media_type: row.media_type, bytes: row.bytes.into(), meter };
        let manifest = Arc::new(manifest);
        if is_readable {
            cache.store(key, manifest.clone(), &fence);
        }
        Ok(Some((manifest, is_readable)))
    }
}
