//! Reading a manifest.

use std::sync::Arc;

use wharf_metadata::manifests;
use wharf_model::Reference;

use super::Manifest;
use crate::cache::key;
use crate::locks::{ContentError, Locked};
use crate::pulls::Meter;
use crate::{Artifacts, Error, Sight, Target};

impl Artifacts {
    /// Finds a manifest by tag or digest, for somebody who pulls it. A tag whose manifest is in quarantine is as good as not
    /// there for those who do not see it.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn get_manifest(
        &self,
        target: Target<'_>,
        reference: &Reference,
        sight: Sight,
    ) -> Result<Option<Arc<Manifest>>, ContentError> {
        let Some((manifest, is_readable)) = self.find_manifest(target, reference).await? else { return Ok(None) };
        let repository = || target.repository.clone();
        if !is_readable {
            return Err(Locked::Read { repository: repository(), reference: reference.to_string() }.into());
        }
        if self.is_in_sight(target, sight, &manifest).await? {
            return Ok(Some(manifest));
        }
        match reference {
            Reference::Tag(_) => Ok(None),
            Reference::Digest(digest) => {
                Err(ContentError::Quarantined { repository: repository(), digest: digest.clone() })
            }
        }
    }

    /// Whether this reader may have a manifest that was found.
    pub(crate) async fn is_in_sight(
        &self,
        target: Target<'_>,
        sight: Sight,
        manifest: &Manifest,
    ) -> Result<bool, Error> {
        match manifest.id {
            Some(id) => self.is_manifest_in_sight(target, sight, id).await,
            None => Ok(!sight.is_limited(target)),
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
        let (digest, media_type, bytes) = (row.digest, row.media_type, row.bytes.into());
        let manifest = Arc::new(Manifest { digest, media_type, bytes, id: Some(row.id), meter });
        if is_readable {
            cache.store(key, manifest.clone(), &fence);
        }
        Ok(Some((manifest, is_readable)))
    }
}
