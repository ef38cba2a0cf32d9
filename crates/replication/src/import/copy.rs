//! Copying: blobs, then manifests, then tags.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use wharf_jobs::{JobError, JobRun};
use wharf_metadata::RegistryRow;
use wharf_model::{Digest, Reference, RepositoryName, Tag};
use wharf_oci::BlobReference;
use wharf_registry::{
    Artifacts, AttributesError, BodyError, Locked, PutManifest, PutManifestError, TaggingError, Target, UploadError,
};
use wharf_upstream::{BlobStream, UpstreamClient, UpstreamError};

use super::error::ImportError;
use super::order::{ImportOrder, ImportTarget};
use super::progress::{Counters, Step};
use super::source::{Found, Place, Source};
use super::tree::Tree;

/// An import that is under way.
pub(super) struct Copying<'a> {
    pub(super) artifacts: &'a Artifacts,
    pub(super) order: &'a ImportOrder,
    pub(super) registry: &'a RegistryRow,
    pub(super) source: &'a Source,
    pub(super) run: &'a JobRun,
    pub(super) counters: &'a Counters,
    pub(super) checkpoint: &'a Checkpoint,
}

/// What an attempt leaves to the next: the manifest is the one that was found first, whatever its tag names by then. While
/// attempts bring more blobs than those before them, they are not counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) root: Digest,
    /// The most blobs that were here in any attempt.
    #[serde(default)]
    pub(super) blobs: u64,
}

impl Copying<'_> {
    /// Copies all of it.
    pub(super) async fn copy(&self, tree: &Tree) -> Result<(), ImportError> {
        self.check_tags(&tree.root).await?;
        let repositories = self.repositories();
        let (first, others) = repositories.split_first().expect("an order has a target");
        self.counters.begin(Step::Copying);
        Counters::add(&self.counters.manifests, tree.manifests.len() as u64);
        Counters::add(&self.counters.total_blobs, tree.blobs.len() as u64);
        for blob in &tree.blobs {
            Counters::add(&self.counters.total_bytes, blob.size_bytes);
        }
        self.copy_blobs(first, &tree.blobs).await?;
        for repository in others {
            for blob in &tree.blobs {
                self.run.check()?;
                self.spread_blob(first, repository, blob).await?;
            }
        }
        for repository in &repositories {
            for manifest in &tree.manifests {
                self.run.check()?;
                self.put(repository, manifest, None).await?;
            }
        }
        self.counters.begin(Step::Tagging);
        let root = tree.manifests.iter().find(|manifest| manifest.digest == tree.root);
        let root = root.expect("the root is in its own tree");
        for ImportTarget { repository, tag } in &self.order.targets {
            if let Some(tag) = tag {
                self.run.check()?;
                self.put(repository, root, Some(tag)).await?;
            }
        }
        Ok(())
    }

    /// The repositories of the target, each once.
    fn repositories(&self) -> Vec<RepositoryName> {
        let mut repositories: Vec<RepositoryName> = Vec::new();
        for target in &self.order.targets {
            if !repositories.contains(&target.repository) {
                repositories.push(target.repository.clone());
            }
        }
        repositories
    }

    fn target<'t>(&'t self, repository: &'t RepositoryName) -> Target<'t> {
        Target { registry: self.registry, repository }
    }

    /// Refuses before anything is copied what the tags would be refused for in the end. They are asked again then.
    async fn check_tags(&self, root: &Digest) -> Result<(), ImportError> {
        for ImportTarget { repository, tag } in &self.order.targets {
            let Some(tag) = tag else { continue };
            let found = match self.artifacts.describe_tag(self.target(repository), tag).await {
                Ok(found) => found,
                Err(AttributesError::Store(error)) => return Err(error.into()),
                Err(_) => continue,
            };
            if found.digest == root.as_str() {
                continue;
            }
            let (repository, tag) = (repository.clone(), tag.clone());
            if !self.order.force {
                return Err(ImportError::TagExists { repository, tag, digest: found.digest });
            }
            if !found.locks.write_enabled {
                return Err(Locked::Tag { repository, tag: tag.to_string() }.into());
            }
        }
        Ok(())
    }

    /// Brings blobs into the first repository, several at a time. When one fails the others are told to stop, and waited
    /// for: an upload that is dropped would leave its file to the collector.
    async fn copy_blobs(&self, repository: &RepositoryName, blobs: &[BlobReference]) -> Result<(), ImportError> {
        let stop = self.run.stop().child_token();
        let copying: Vec<_> = blobs.iter().map(|blob| self.copy_blob(repository, blob, &stop)).collect();
        let mut copying = stream::iter(copying).buffer_unordered(BLOBS_AT_ONCE);
        let mut failed = Ok(());
        while let Some(copied) = copying.next().await {
            if let Err(error) = copied
                && failed.is_ok()
            {
                stop.cancel();
                failed = Err(error);
            }
        }
        failed
    }

    /// Brings a blob into the first repository.
    async fn copy_blob(
        &self,
        repository: &RepositoryName,
        blob: &BlobReference,
        stop: &CancellationToken,
    ) -> Result<(), ImportError> {
        if stop.is_cancelled() {
            return Err(ImportError::Job(JobError::Stopped));
        }
        let target = self.target(repository);
        if self.artifacts.renew_blob(target, &blob.digest).await?.is_none() && !self.link(target, blob).await? {
            match &self.source.place {
                Place::Ours(row, _) => {
                    let what = format!("the blob {} of {}", blob.digest, self.source.repository);
                    return Err(ImportError::NotFound { registry: row.name.to_string(), what });
                }
                Place::Upstream(client) => self.fetch(target, client, blob, stop).await?,
            }
        } else {
            Counters::add(&self.counters.bytes, blob.size_bytes);
        }
        Counters::add(&self.counters.blobs, 1);
        let blobs = self.counters.show().blobs;
        if blobs > self.checkpoint.blobs {
            self.run.checkpoint(&Checkpoint { blobs, ..self.checkpoint.clone() }).await?;
        }
        Ok(())
    }

    /// Links a blob that is in the installation, if whoever imports may have it.
    async fn link(&self, target: Target<'_>, blob: &BlobReference) -> Result<bool, ImportError> {
        if let Place::Ours(row, artifacts) = &self.source.place {
            let source = Target { registry: row, repository: &self.source.repository };
            return Ok(artifacts.link_blob(target, source, &blob.digest).await?);
        }
        Ok(self.order.may_mount && self.artifacts.mount_blob(target, None, &blob.digest, &|_| true).await?)
    }

    /// Brings a blob from the first repository into another one.
    async fn spread_blob(
        &self,
        first: &RepositoryName,
        repository: &RepositoryName,
        blob: &BlobReference,
    ) -> Result<(), ImportError> {
        let (source, target) = (self.target(first), self.target(repository));
        if self.artifacts.renew_blob(target, &blob.digest).await?.is_some()
            || self.artifacts.link_blob(target, source, &blob.digest).await?
        {
            return Ok(());
        }
        let what = format!("the blob {} of {first}", blob.digest);
        Err(ImportError::NotFound { registry: self.registry.name.to_string(), what })
    }

    /// Fetches a blob through an upload, which compares its digest. Wrong bytes may be an accident on the way once.
    async fn fetch(
        &self,
        target: Target<'_>,
        client: &UpstreamClient,
        blob: &BlobReference,
        stop: &CancellationToken,
    ) -> Result<(), ImportError> {
        let mut is_second = false;
        loop {
            let counted = CountedBytes::new(self.counters);
            match self.fetch_once(target, client, blob, stop, &counted).await {
                Ok(()) => {
                    counted.keep();
                    self.run.report(&self.counters.show()).await?;
                    return Ok(());
                }
                Err(error @ ImportError::WrongBytes { .. }) if !is_second => {
                    tracing::warn!(digest = %blob.digest, error = &error as &dyn std::error::Error,
                        "Fetching {} again", blob.digest);
                    is_second = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn fetch_once(
        &self,
        target: Target<'_>,
        client: &UpstreamClient,
        blob: &BlobReference,
        stop: &CancellationToken,
        counted: &CountedBytes<'_>,
    ) -> Result<(), ImportError> {
        // Schema 1 does not say how large its layers are, and does not come this far.
        let body = client.open_blob(&self.source.repository, &blob.digest, 0).await?.expecting(blob.size_bytes)?;
        let failure = Mutex::new(None);
        let body = watched(body, stop, &failure, counted);
        let state = self.artifacts.start_upload(blob.digest.algorithm());
        let length = Some(blob.size_bytes);
        let uploaded = self.artifacts.complete_upload(target, &state, None, body, length, &blob.digest).await;
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let digest = blob.digest.clone();
        uploaded.map_err(|error| match error {
            UploadError::DigestMismatch { actual, .. } => {
                ImportError::WrongBytes { registry: self.source.registry(), digest, actual }
            }
            UploadError::Locked(locked) => locked.into(),
            UploadError::Store(error) => error.into(),
            error => ImportError::Upload { digest, source: Box::new(error) },
        })
    }

    /// Pushes a manifest into a repository, under a tag or under its digest alone.
    async fn put(&self, repository: &RepositoryName, manifest: &Found, tag: Option<&Tag>) -> Result<(), ImportError> {
        let put = PutManifest {
            reference: Reference::Digest(manifest.digest.clone()),
            tags: tag.cloned().into_iter().collect(),
            content_type: Some(manifest.media_type.clone()),
            bytes: manifest.bytes.clone(),
            only_new: tag.is_some() && !self.order.force,
            actor: self.order.actor.clone(),
        };
        match self.artifacts.put_manifest(self.target(repository), put).await {
            Ok(_) => Ok(()),
            // It was set by this very import, which was cut off then.
            Err(PutManifestError::Tagging(TaggingError::Exists { digest, .. }))
                if digest == manifest.digest.as_str() =>
            {
                Ok(())
            }
            Err(PutManifestError::Tagging(TaggingError::Exists { repository, tag, digest })) => {
                Err(ImportError::TagExists { repository, tag, digest })
            }
            Err(PutManifestError::Tagging(error)) => Err(ImportError::Tagging(error)),
            Err(PutManifestError::Locked(locked)) => Err(locked.into()),
            Err(PutManifestError::Store(error)) => Err(error.into()),
            Err(error) => Err(ImportError::Put { digest: manifest.digest.clone(), source: Box::new(error) }),
        }
    }
}

/// The body of an upload: what comes from the other registry, until the import is to stop. What goes wrong is kept in
/// `failure`, since uploads know bodies of clients only.
fn watched<'a>(
    body: BlobStream,
    stop: &'a CancellationToken,
    failure: &'a Mutex<Option<ImportError>>,
    counted: &'a CountedBytes<'a>,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'a {
    let keep = |error: ImportError| {
        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        BodyError::Interrupted
    };
    stream::try_unfold(body, move |mut body| async move {
        let piece: Result<_, UpstreamError> = tokio::select! {
            piece = body.next_piece() => piece,
            () = stop.cancelled() => return Err(keep(ImportError::Job(JobError::Stopped))),
        };
        let Some(piece) = piece.map_err(|error| keep(error.into()))? else { return Ok(None) };
        counted.add(piece.len() as u64);
        Ok(Some((piece, body)))
    })
    .boxed()
}

/// Bytes that count while they come, and are taken back if they come to nothing.
struct CountedBytes<'a> {
    counters: &'a Counters,
    bytes: std::sync::atomic::AtomicU64,
}

impl<'a> CountedBytes<'a> {
    fn new(counters: &'a Counters) -> Self {
        Self { counters, bytes: 0.into() }
    }

    fn add(&self, bytes: u64) {
        Counters::add(&self.bytes, bytes);
        Counters::add(&self.counters.bytes, bytes);
        Counters::add(&self.counters.fetched_bytes, bytes);
    }

    fn keep(self) {
        self.bytes.store(0, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Drop for CountedBytes<'_> {
    fn drop(&mut self) {
        let bytes = self.bytes.load(std::sync::atomic::Ordering::Relaxed);
        self.counters.bytes.fetch_sub(bytes, std::sync::atomic::Ordering::Relaxed);
        self.counters.fetched_bytes.fetch_sub(bytes, std::sync::atomic::Ordering::Relaxed);
    }
}

/// How many blobs are copied at once.
const BLOBS_AT_ONCE: usize = 4;
