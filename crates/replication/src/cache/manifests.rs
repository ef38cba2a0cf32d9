//! Manifests through the cache.

use std::sync::Arc;

use wharf_metadata::{RegistryRow, cached};
use wharf_model::{Digest, Reference, RepositoryName, Tag};
use wharf_oci::ParsedManifest;
use wharf_registry::{ContentError, Manifest, Sight, Target};
use wharf_upstream::FetchedManifest;

use super::problem::{CacheError, Problem};
use super::rules::Route;
use super::{Asked, Cache, Place};

/// What somebody wants of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// To know of it (`HEAD`).
    Facts,
    /// All of it.
    Bytes,
}

/// What is known of a manifest without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFacts {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its size.
    pub size_bytes: Option<u64>,
}

/// A manifest, as far as it was wanted.
#[derive(Clone, Debug)]
pub enum CachedManifest {
    /// It is here, or was fetched. `is_stale`: where it comes from did not answer, so it may have changed there.
    Whole {
        /// The manifest.
        manifest: Arc<Manifest>,
        /// Whether it may be out of date.
        is_stale: bool,
    },
    /// It is elsewhere, and nobody wanted more than to know of it.
    Elsewhere(ManifestFacts),
}

impl CachedManifest {
    fn here(manifest: Arc<Manifest>) -> Self {
        Self::Whole { manifest, is_stale: false }
    }
}

impl Cache {
    /// Finds a manifest for somebody who may pull from the repository: here, or where a rule takes it from.
    ///
    /// # Errors
    /// [`CacheError`].
    pub async fn get_manifest(
        &self,
        registry: &Arc<RegistryRow>,
        repository: &RepositoryName,
        reference: &Reference,
        sight: Sight,
        want: Want,
    ) -> Result<Option<CachedManifest>, CacheError> {
        let artifacts = &self.0.artifacts;
        let target = Target { registry, repository };
        match reference {
            Reference::Digest(digest) => {
                if let Some(found) = artifacts.get_manifest(target, reference, sight).await? {
                    return Ok(Some(CachedManifest::here(found)));
                }
                let place = Place { registry: registry.clone(), repository: repository.clone() };
                self.manifest_by_digest(&place, digest, sight, want).await
            }
            Reference::Tag(tag) => {
                let place = Place { registry: registry.clone(), repository: repository.clone() };
                if self.find_route(&place).await?.is_none() {
                    return Ok(artifacts.get_manifest(target, reference, sight).await?.map(CachedManifest::here));
                }
                self.manifest_by_tag(&place, tag, sight, want).await
            }
        }
    }

    async fn manifest_by_digest(
        &self,
        place: &Place,
        digest: &Digest,
        sight: Sight,
        want: Want,
    ) -> Result<Option<CachedManifest>, CacheError> {
        let Some(route) = self.admit(place).await? else { return Ok(None) };
        // What nobody may see yet is stored all the same, for scanners to look at.
        let want = if is_hidden(place, sight) { Want::Bytes } else { want };
        if want == Want::Facts && self.0.pending.get(&place.digest_key(digest)).is_none() {
            let facts = match self.ask_about(&route, &Reference::Digest(digest.clone())).await {
                Ok(facts) => facts,
                Err(problem) => return self.refusal(&route, &problem).map_or(Ok(None), Err),
            };
            return Ok(Some(CachedManifest::Elsewhere(facts)));
        }
        match self.fetch(place, &route, digest, None).await {
            Ok(manifest) => self.hand_out(place, manifest, sight).map(Some),
            Err(problem) => self.refusal(&route, &problem).map_or(Ok(None), Err),
        }
    }

    async fn manifest_by_tag(
        &self,
        place: &Place,
        tag: &Tag,
        sight: Sight,
        want: Want,
    ) -> Result<Option<CachedManifest>, CacheError> {
        let reference = Reference::Tag(tag.clone());
        let here = self.0.artifacts.get_manifest(place.target(), &reference, sight).await?;
        let asked = self.0.tags.get(&place.key(':', tag.as_str())).filter(|asked| self.holds(asked));
        if let (Some(here), Some(asked)) = (&here, &asked)
            && asked.found.as_ref().is_ok_and(|facts| facts.digest == here.digest)
        {
            return Ok(Some(CachedManifest::here(here.clone())));
        }
        let route = match self.admit(place).await? {
            Some(route) if here.is_none() || self.may_move(place, tag).await? => route,
            _ => return Ok(here.map(CachedManifest::here)),
        };
        let want = if is_hidden(place, sight) { Want::Bytes } else { want };
        let asked = match asked {
            Some(asked) => asked,
            None => self.look_up(place, &route, tag, here.is_none() && want == Want::Bytes).await,
        };
        let facts = match &asked.found {
            Ok(facts) => facts.clone(),
            Err(problem) => return self.stale(&route, here, tag, problem),
        };
        if let Some(here) = here.as_ref().filter(|here| here.digest == facts.digest) {
            return Ok(Some(CachedManifest::here(here.clone())));
        }
        // It is another one there, or new. It may be stored under its digest, or on its way.
        let by_digest = Reference::Digest(facts.digest.clone());
        if let Some(stored) = self.0.artifacts.get_manifest(place.target(), &by_digest, sight).await? {
            self.complete(place, &route, stored.clone(), Some(tag));
            return Ok(Some(CachedManifest::here(stored)));
        }
        self.await_tag(place, &facts.digest, tag);
        if want == Want::Facts {
            return Ok(Some(CachedManifest::Elsewhere(facts)));
        }
        match self.fetch(place, &route, &facts.digest, Some(tag)).await {
            Ok(manifest) => self.hand_out(place, manifest, sight).map(Some),
            Err(problem) => self.stale(&route, here, tag, &problem),
        }
    }

    /// What comes from elsewhere is in quarantine like a push.
    fn hand_out(&self, place: &Place, manifest: Arc<Manifest>, sight: Sight) -> Result<CachedManifest, CacheError> {
        if is_hidden(place, sight) {
            let (repository, digest) = (place.repository.clone(), manifest.digest.clone());
            return Err(ContentError::Quarantined { repository, digest }.into());
        }
        Ok(CachedManifest::here(manifest))
    }

    /// Serves what is here although nobody can say whether it is still the same there; else says why there is nothing.
    fn stale(
        &self,
        route: &Route,
        here: Option<Arc<Manifest>>,
        tag: &Tag,
        problem: &Problem,
    ) -> Result<Option<CachedManifest>, CacheError> {
        let Some(manifest) = here else { return self.refusal(route, problem).map_or(Ok(None), Err) };
        tracing::debug!(rule = %route.rule.name, upstream = %route.rule.address(), tag = %tag,
            "Served {}:{tag} as it was stored: {problem}", route.upstream);
        Ok(Some(CachedManifest::Whole { manifest, is_stale: true }))
    }

    /// Whether what was found out about a tag still counts.
    fn holds(&self, asked: &Asked) -> bool {
        let fresh_for = match &asked.found {
            Ok(_) => self.0.settings.fresh_for,
            Err(_) => FAILURE_HOLDS,
        };
        self.now().since(asked.at) < fresh_for
    }

    /// Whether the cache set a tag, and nobody else since, and may set it again. One that is not here may come from elsewhere.
    async fn may_move(&self, place: &Place, tag: &Tag) -> Result<bool, CacheError> {
        if self.0.settled.contains_key(&place.key(':', tag.as_str())) {
            return Ok(false);
        }
        let (registry, repository, tag) = (place.registry.id, place.repository.clone(), tag.clone());
        let found = self.0.artifacts.database().read(move |c| {
            Box::pin(async move {
                match cached::find_repository(c, registry, &repository).await? {
                    Some(found) => cached::find_tag(c, found.id, &tag).await,
                    None => Ok(None),
                }
            })
        });
        let found: Option<cached::CachedTag> = found.await?;
        Ok(found.is_none_or(|tag| tag.is_cached))
    }

    /// Asks what a tag names there, once for all who want to know. Where nothing is here and all is wanted, the manifest is
    /// fetched by its tag at once.
    async fn look_up(&self, place: &Place, route: &Route, tag: &Tag, with_bytes: bool) -> Arc<Asked> {
        let key = place.key(':', tag.as_str());
        let asked = self.0.looking.join(&key, || {
            let (cache, place, route, tag, key) =
                (self.clone(), place.clone(), route.clone(), tag.clone(), key.clone());
            async move {
                let under_way = cache.0.tasks.begin();
                // Somebody may have asked between the look and the flight.
                if let Some(asked) = cache.0.tags.get(&key).filter(|asked| cache.holds(asked)) {
                    return asked;
                }
                let reference = Reference::Tag(tag.clone());
                let found = if with_bytes {
                    cache.fetch_by(&place, &route, &reference).await.map(|manifest| facts(&manifest))
                } else {
                    cache.ask_about(&route, &reference).await
                };
                let asked = Arc::new(Asked { at: cache.now(), found });
                cache.0.tags.insert(key, asked.clone());
                drop(under_way);
                asked
            }
        });
        let interrupted = || {
            let found = Err(Problem::Store("the request was interrupted".into()));
            Arc::new(Asked { at: self.now(), found })
        };
        asked.await.unwrap_or_else(interrupted)
    }

    /// Asks about a manifest with `HEAD`, and with `GET` where the answer does not tell the digest.
    async fn ask_about(&self, route: &Route, reference: &Reference) -> Result<ManifestFacts, Problem> {
        let client = self.client(route).await?;
        let head = client.head_manifest(&route.upstream, reference).await;
        let head = match head {
            Ok(head) => head,
            Err(error) => return Err(self.failed(route, error.into()).await),
        };
        self.note(route, None).await;
        if let (Some(digest), Some(media_type)) = (head.digest, head.media_type) {
            return Ok(ManifestFacts { digest, media_type, size_bytes: head.size_bytes });
        }
        match client.get_manifest(&route.upstream, reference).await {
            Ok(fetched) => Ok(facts(&manifest(fetched))),
            Err(error) => Err(self.failed(route, error.into()).await),
        }
    }

    /// A manifest by its digest, from memory or from there, once for all who want it. It is stored behind this.
    pub(super) async fn fetch(
        &self,
        place: &Place,
        route: &Route,
        digest: &Digest,
        tag: Option<&Tag>,
    ) -> Result<Arc<Manifest>, Problem> {
        let key = place.digest_key(digest);
        let manifest = match self.0.pending.get(&key) {
            Some(manifest) => manifest,
            None => {
                let fetched = self.0.fetching.join(&key, || {
                    let (cache, place, route) = (self.clone(), place.clone(), route.clone());
                    let reference = Reference::Digest(digest.clone());
                    async move {
                        let _under_way = cache.0.tasks.begin();
                        cache.fetch_once(&place, &route, &reference).await
                    }
                });
                fetched.await.unwrap_or_else(|| Err(Problem::Store("the request was interrupted".into())))?
            }
        };
        self.complete(place, route, manifest.clone(), tag);
        Ok(manifest)
    }

    /// Fetches a manifest, unless somebody else did between the look and the flight.
    async fn fetch_once(&self, place: &Place, route: &Route, reference: &Reference) -> Result<Arc<Manifest>, Problem> {
        if let Reference::Digest(digest) = reference
            && let Some(manifest) = self.0.pending.get(&place.digest_key(digest))
        {
            return Ok(manifest);
        }
        let stored = self.0.artifacts.get_manifest(place.target(), reference, Sight::Everything).await;
        match stored {
            Ok(Some(stored)) => Ok(stored),
            _ => self.fetch_by(place, route, reference).await,
        }
    }

    /// Fetches a manifest and keeps it in memory until it is stored.
    async fn fetch_by(&self, place: &Place, route: &Route, reference: &Reference) -> Result<Arc<Manifest>, Problem> {
        let client = self.client(route).await?;
        let fetched = match client.get_manifest(&route.upstream, reference).await {
            Ok(fetched) => fetched,
            Err(error) => return Err(self.failed(route, error.into()).await),
        };
        self.note(route, None).await;
        self.note_sizes(place, &fetched.content);
        let manifest = Arc::new(manifest(fetched));
        self.0.pending.insert(place.digest_key(&manifest.digest), manifest.clone());
        Ok(manifest)
    }

    /// Notes how large the blobs are that will be asked for next.
    fn note_sizes(&self, place: &Place, manifest: &ParsedManifest) {
        for blob in manifest.blobs.iter().filter(|blob| blob.must_exist && blob.size_bytes > 0) {
            self.0.sizes.insert(place.digest_key(&blob.digest), blob.size_bytes);
        }
    }

    pub(super) async fn failed(&self, route: &Route, problem: Problem) -> Problem {
        self.note(route, Some(&problem)).await;
        problem
    }
}

/// Whether the reader sees nothing that no scanner has let pass.
fn is_hidden(place: &Place, sight: Sight) -> bool {
    place.registry.settings.quarantine && sight == Sight::Passed
}

fn manifest(fetched: FetchedManifest) -> Manifest {
    Manifest::new(fetched.digest, fetched.media_type, fetched.bytes)
}

fn facts(manifest: &Manifest) -> ManifestFacts {
    ManifestFacts {
        digest: manifest.digest.clone(),
        media_type: manifest.media_type.clone(),
        size_bytes: Some(manifest.bytes.len() as u64),
    }
}

/// For how long nobody asks again about a tag that could not be found out about.
const FAILURE_HOLDS: std::time::Duration = std::time::Duration::from_secs(10);
