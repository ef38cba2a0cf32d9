//! Storing what was handed out: behind the answer, whoever leaves.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use wharf_model::{Digest, Reference, Tag};
use wharf_oci::ParsedManifest;
use wharf_registry::{Manifest, PutManifest, PutManifestError};

use super::problem::Problem;
use super::rules::Route;
use super::{Cache, Place};

impl Cache {
    /// Stores a manifest, with what its blobs are first, and sets the tag on it. Goes on in the background; of several calls
    /// for one manifest the first works for all.
    pub(super) fn complete(&self, place: &Place, route: &Route, manifest: Arc<Manifest>, tag: Option<&Tag>) {
        if let Some(tag) = tag {
            self.await_tag(place, &manifest.digest, tag);
        }
        let key = place.digest_key(&manifest.digest);
        if !self.0.completing().insert(key.clone()) {
            // Whoever is at it looks for tags before it ends.
            return;
        }
        let (cache, place, route) = (self.clone(), place.clone(), route.clone());
        self.0.tasks.spawn(async move {
            loop {
                if let Err(problem) = cache.store(&place, &route, &manifest).await {
                    let (rule, digest) = (&route.rule.name, &manifest.digest);
                    tracing::warn!(%rule, upstream = %route.rule.address(), repository = %place.repository, %digest,
                        "What the cache rule {rule} took for {} was not stored: {problem}", place.repository);
                    cache.0.completing().remove(&key);
                    return;
                }
                let mut completing = cache.0.completing();
                if !cache.0.awaiting.has(&place, &manifest.digest) {
                    completing.remove(&key);
                    return;
                }
            }
        });
    }

    /// Notes that a tag is to name a manifest once that is stored.
    pub(super) fn await_tag(&self, place: &Place, digest: &Digest, tag: &Tag) {
        self.0.awaiting.put(place, tag, digest);
    }

    async fn store(&self, place: &Place, route: &Route, manifest: &Manifest) -> Result<(), Problem> {
        let parsed = ParsedManifest::parse(Some(&manifest.media_type), &manifest.bytes);
        let parsed = parsed.map_err(Problem::store)?;
        // What was there when it was looked at may be collected before it is held: then once more.
        for is_last in [false, true] {
            self.fetch_blobs(place, route, &parsed).await?;
            match self.put(place, route, manifest).await {
                Err(PutManifestError::BlobsMissing { .. }) if !is_last => {}
                Err(error) => return Err(Problem::store(error)),
                Ok(()) => break,
            }
        }
        self.0.pending.invalidate(&place.digest_key(&manifest.digest));
        Ok(())
    }

    async fn fetch_blobs(&self, place: &Place, route: &Route, parsed: &ParsedManifest) -> Result<(), Problem> {
        let wanted = parsed.blobs.iter().filter(|blob| blob.must_exist);
        let fetches: Vec<_> = wanted
            .map(|blob| {
                // Schema 1 does not say how large its layers are.
                let size = (blob.size_bytes > 0).then_some(blob.size_bytes);
                let (cache, digest) = (self.clone(), blob.digest.clone());
                async move { cache.fetch_ahead(place, route, &digest, size).await }
            })
            .collect();
        let mut fetches = stream::iter(fetches).buffer_unordered(AT_ONCE);
        while let Some(fetched) = fetches.next().await {
            fetched?;
        }
        Ok(())
    }

    /// Puts the manifest and the tags that wait for it. A tag that may not be set does not keep the manifest from being
    /// stored.
    async fn put(&self, place: &Place, route: &Route, manifest: &Manifest) -> Result<(), PutManifestError> {
        let tags = self.0.awaiting.take(place, &manifest.digest);
        let put = |tags: Vec<Tag>| {
            let put = PutManifest {
                reference: Reference::Digest(manifest.digest.clone()),
                tags,
                content_type: Some(manifest.media_type.clone()),
                bytes: manifest.bytes.clone(),
                actor: format!("cache rule {}", route.rule.name),
                only_new: false,
            };
            self.0.artifacts.put_cached_manifest(place.target(), put)
        };
        match put(tags.clone()).await {
            Ok(_) => Ok(()),
            Err(PutManifestError::Tagging(refused)) => {
                tracing::info!(rule = %route.rule.name, repository = %place.repository, digest = %manifest.digest,
                    "The cache left a tag of {} where it was: {refused}", place.repository);
                for tag in &tags {
                    self.0.settled.insert(place.key(':', tag.as_str()), ());
                }
                put(Vec::new()).await.map(drop)
            }
            Err(error) => {
                for tag in &tags {
                    self.await_tag(place, &manifest.digest, tag);
                }
                Err(error)
            }
        }
    }
}

/// How many blobs of one manifest are fetched at a time, as clients do.
const AT_ONCE: usize = 3;
