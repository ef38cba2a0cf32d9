//! Blobs through the cache.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use wharf_blobs::BlobStream;
use wharf_metadata::RegistryRow;
use wharf_model::{Digest, RepositoryName};
use wharf_registry::{BlobContent, ContentError, Sight, Target};

use super::fill::{Flow, State};
use super::follow::{FollowError, Follower};
use super::problem::{CacheError, Problem};
use super::{Cache, Place};

/// A blob for somebody who reads it.
#[derive(Debug)]
pub enum CachedBlob {
    /// It is here.
    Here(BlobContent),
    /// It is on its way here.
    Arriving(ArrivingBlob),
}

/// A blob that is being fetched, for one reader.
#[derive(Debug)]
pub struct ArrivingBlob {
    state: watch::Receiver<State>,
    flow: Flow,
}

/// What is known of a blob without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedBlobInfo {
    /// Its size; unknown where the other registry does not tell.
    pub size_bytes: Option<u64>,
}

impl CachedBlob {
    /// How many bytes it has, or will have; unknown where the other registry does not tell.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::Here(content) => Some(content.size()),
            Self::Arriving(arriving) => arriving.size_bytes(),
        }
    }
}

impl ArrivingBlob {
    /// How many bytes it will have, if the other registry or a manifest told.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.flow.size_bytes
    }

    /// A part of it, or with `0..size` all of it. It ends with an error if the rest does not come or the whole has another
    /// digest.
    #[must_use]
    pub fn stream(self, range: Range<u64>) -> BlobStream {
        let length = range.end.saturating_sub(range.start);
        let follower = Follower::new(self.state, &self.flow, range.start, Some(range.end));
        BlobStream::new(length, follower.into_stream().map(|piece| piece.map_err(Into::into)))
    }

    /// All of it, where its size is not known.
    pub fn stream_to_the_end(self) -> impl Stream<Item = Result<Bytes, FollowError>> + Send + 'static {
        Follower::new(self.state, &self.flow, 0, None).into_stream()
    }
}

impl Cache {
    /// Opens a blob for somebody who may pull from the repository: here, or where a rule takes it from. In the latter case it
    /// is stored on its way.
    ///
    /// # Errors
    /// [`CacheError`].
    pub async fn get_blob(
        &self,
        registry: &Arc<RegistryRow>,
        repository: &RepositoryName,
        digest: &Digest,
        sight: Sight,
    ) -> Result<Option<CachedBlob>, CacheError> {
        let target = Target { registry, repository };
        if let Some(content) = self.0.artifacts.open_blob(target, digest, sight).await? {
            return Ok(Some(CachedBlob::Here(content)));
        }
        let place = Place { registry: registry.clone(), repository: repository.clone() };
        let Some(route) = self.admit(&place).await? else { return Ok(None) };
        refuse_in_quarantine(&place, digest, sight)?;
        let fill = self.fill(&place, &route, digest);
        match fill.begun().await {
            State::Flowing(flow) => Ok(Some(CachedBlob::Arriving(ArrivingBlob { state: fill.state(), flow }))),
            State::Failed(problem) => self.refusal(&route, &problem).map_or(Ok(None), Err),
            State::Done | State::Starting => {
                Ok(self.0.artifacts.open_blob(target, digest, sight).await?.map(CachedBlob::Here))
            }
        }
    }

    /// Finds a blob, here or where a rule takes it from, without fetching it.
    ///
    /// # Errors
    /// [`CacheError`].
    pub async fn find_blob(
        &self,
        registry: &Arc<RegistryRow>,
        repository: &RepositoryName,
        digest: &Digest,
        sight: Sight,
    ) -> Result<Option<CachedBlobInfo>, CacheError> {
        let target = Target { registry, repository };
        if let Some(info) = self.0.artifacts.find_blob(target, digest, sight).await? {
            return Ok(Some(CachedBlobInfo { size_bytes: Some(info.size_bytes) }));
        }
        self.find_blob_elsewhere(registry, repository, digest, sight).await
    }

    /// Finds a blob, which is not here, where a rule takes it from, without fetching it.
    ///
    /// # Errors
    /// [`CacheError`].
    pub async fn find_blob_elsewhere(
        &self,
        registry: &Arc<RegistryRow>,
        repository: &RepositoryName,
        digest: &Digest,
        sight: Sight,
    ) -> Result<Option<CachedBlobInfo>, CacheError> {
        let place = Place { registry: registry.clone(), repository: repository.clone() };
        let Some(route) = self.admit(&place).await? else { return Ok(None) };
        refuse_in_quarantine(&place, digest, sight)?;
        if let Some(size_bytes) = self.0.sizes.get(&place.digest_key(digest)) {
            return Ok(Some(CachedBlobInfo { size_bytes: Some(size_bytes) }));
        }
        let asked = async {
            let client = self.client(&route).await?;
            // Its first bytes are on their way when this is dropped, and no more.
            let opened = client.open_blob(&route.upstream, digest, 0).await?;
            Ok::<_, Problem>(opened.size_bytes())
        };
        match asked.await {
            Ok(size_bytes) => {
                self.note(&route, None).await;
                Ok(Some(CachedBlobInfo { size_bytes }))
            }
            Err(problem) => {
                let problem = self.failed(&route, problem).await;
                self.refusal(&route, &problem).map_or(Ok(None), Err)
            }
        }
    }
}

/// No scanner has seen what is not here yet.
fn refuse_in_quarantine(place: &Place, digest: &Digest, sight: Sight) -> Result<(), CacheError> {
    if place.registry.settings.quarantine && sight == Sight::Passed {
        let (repository, digest) = (place.repository.clone(), digest.clone());
        return Err(ContentError::Quarantined { repository, digest }.into());
    }
    Ok(())
}
