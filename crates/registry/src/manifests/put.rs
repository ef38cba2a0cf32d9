//! Pushing a manifest.

use std::collections::HashMap;

use bytes::Bytes;
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::charts::{self, NewChart};
use wharf_metadata::manifests::{self, NewManifest};
use wharf_metadata::{Connection, attributes, blobs, cached, quarantine, repositories, trash};
use wharf_model::{Algorithm, BlobId, Digest, ManifestId, Reference, RepositoryId, RepositoryName, Tag};
use wharf_oci::{MAX_SIZE_BYTES, ManifestError, ParsedManifest};

use crate::cache::key;
use crate::locks::Locked;
use crate::retention;
use crate::tagging::{Tagging, TaggingError};
use crate::untagging::Untagging;
use crate::{Artifacts, Error, Target};

use super::platform::Platform;

/// A manifest as a client sends it.
#[derive(Clone, Debug)]
pub struct PutManifest {
    /// Where it is pushed to.
    pub reference: Reference,
    /// Tags to set besides, when it is pushed by digest.
    pub tags: Vec<Tag>,
    /// The request's `Content-Type`.
    pub content_type: Option<String>,
    /// The manifest. At most 4 MiB; whoever reads the request holds it to that.
    pub bytes: Bytes,
    /// Refuse if one of the tags is there already, or, without tags, the manifest.
    pub only_new: bool,
    /// Who pushes, for the change log.
    pub actor: String,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOutcome {
    /// The manifest's digest, in the algorithm that it was pushed by.
    pub digest: Digest,
    /// Its subject, whose list of referrers it is in now.
    pub subject: Option<Digest>,
    /// The tags that name it now because of this push.
    pub tags: Vec<Tag>,
}

/// Why a manifest was not taken. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum PutManifestError {
    /// It is no manifest, or an ambiguous one.
    #[error("the manifest is invalid")]
    Invalid(#[from] ManifestError),
    /// Its bytes have another digest than the one it was pushed by.
    #[error("the manifest has the digest {actual}, not {expected}")]
    DigestMismatch {
        /// The digest it was pushed by.
        expected: Digest,
        /// The digest of its bytes.
        actual: Digest,
    },
    /// It refers to blobs that the repository does not hold.
    #[error("the manifest refers to {} blobs that {repository} does not hold, {} first", .missing.len(), .missing[0])]
    BlobsMissing {
        /// The repository.
        repository: RepositoryName,
        /// The blobs, at least one.
        missing: Vec<Digest>,
    },
    /// It refers to manifests that the repository does not hold.
    #[error("the index refers to {} manifests that {repository} does not hold, {} first", .missing.len(), .missing[0])]
    ManifestsMissing {
        /// The repository.
        repository: RepositoryName,
        /// The manifests, at least one.
        missing: Vec<Digest>,
    },
    /// It was to be new and is there.
    #[error("the manifest {digest} is in {repository} already")]
    Exists {
        /// The repository.
        repository: RepositoryName,
        /// Its digest.
        digest: Digest,
    },
    /// It was to take the place of another one, which the tag does not name any more.
    #[error("the tag {tag} of {repository} was changed meanwhile; try again")]
    Changed {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
    /// It was deleted and is in the trash.
    #[error(
        "the manifest {digest} was deleted from {repository} and can be restored; restore it instead of pushing it"
    )]
    InTrash {
        /// The repository.
        repository: RepositoryName,
        /// Its digest.
        digest: Digest,
    },
    /// A tag that it was to get may not be set.
    #[error(transparent)]
    Tagging(#[from] TaggingError),
    /// The repository is locked.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for PutManifestError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Artifacts {
    /// Takes a manifest: checks that what it refers to is there, and in one transaction adds it, sets its tags and logs
    /// the change. Durable when this returns. Pushing the same again changes nothing but the tags.
    ///
    /// # Errors
    /// [`PutManifestError`].
    ///
    /// Source: distribution-spec v1.1, "Pushing Manifests".
    pub async fn put_manifest(&self, target: Target<'_>, put: PutManifest) -> Result<PutOutcome, PutManifestError> {
        self.put(target, put, false, None).await
    }

    /// The same, if the tag that it is pushed to still names `former`.
    ///
    /// # Errors
    /// As for [`Self::put_manifest`]; [`PutManifestError::Changed`] if it does not.
    pub(crate) async fn put_manifest_over(
        &self,
        target: Target<'_>,
        put: PutManifest,
        former: Digest,
    ) -> Result<PutOutcome, PutManifestError> {
        self.put(target, put, false, Some(former)).await
    }

    /// The same for what the cache took from elsewhere: an index is taken though what it lists is not here, and what comes
    /// later is tied to the indexes that list it; manifest, tags and a repository that it makes are noted as the cache's.
    ///
    /// # Errors
    /// As for [`Self::put_manifest`].
    pub async fn put_cached_manifest(
        &self,
        target: Target<'_>,
        put: PutManifest,
    ) -> Result<PutOutcome, PutManifestError> {
        self.put(target, put, true, None).await
    }

    async fn put(
        &self,
        target: Target<'_>,
        put: PutManifest,
        is_cached: bool,
        over: Option<Digest>,
    ) -> Result<PutOutcome, PutManifestError> {
        let parsed = ParsedManifest::parse(put.content_type.as_deref(), &put.bytes)?;
        let digest = digest_of(&put)?;
        let mut tags = put.tags;
        if let Reference::Tag(tag) = put.reference {
            tags.insert(0, tag);
        }
        let outcome = PutOutcome {
            digest: digest.clone(),
            subject: parsed.subject.as_ref().map(|subject| subject.digest.clone()),
            tags: tags.clone(),
        };
        let push = Push {
            digest,
            tags,
            platform: self.find_platform(&parsed, &put.bytes).await,
            chart: self.find_chart(target.repository, &parsed).await,
            parsed,
            bytes: put.bytes,
            only_new: put.only_new,
            is_cached,
            over,
            untagging: Untagging::new(target, &put.actor, self.now()),
        };
        self.inner.database.write(move |c| Box::pin(async move { push.run(c).await })).await?;
        for tag in &outcome.tags {
            self.inner.caches.manifests.invalidate(&key(target.registry.id, target.repository, ':', tag.as_str()));
        }
        Ok(outcome)
    }
}

/// The digest of what is pushed, in the algorithm of the reference, which it must match.
fn digest_of(put: &PutManifest) -> Result<Digest, PutManifestError> {
    match &put.reference {
        Reference::Tag(_) => Ok(Digest::of(Algorithm::Sha256, &put.bytes)),
        Reference::Digest(expected) => {
            let actual = Digest::of(expected.algorithm(), &put.bytes);
            if actual == *expected {
                Ok(actual)
            } else {
                Err(PutManifestError::DigestMismatch { expected: expected.clone(), actual })
            }
        }
    }
}

/// A push that is to be written.
struct Push {
    digest: Digest,
    tags: Vec<Tag>,
    parsed: ParsedManifest,
    platform: Option<Platform>,
    /// The chart that it holds.
    chart: Option<NewChart>,
    bytes: Bytes,
    only_new: bool,
    /// What its first tag must name.
    over: Option<Digest>,
    /// Whether it comes from elsewhere, by way of the cache.
    is_cached: bool,
    /// Where, when and by whom, and what becomes of the manifests that its tags named before.
    untagging: Untagging,
}

impl Push {
    async fn run(self, c: &mut Connection) -> Result<(), PutManifestError> {
        let Untagging { registry, repository: name, settings, now, .. } = &self.untagging;
        if let (Some(former), Some(tag)) = (&self.over, self.tags.first()) {
            self.check_tag(c, tag, former).await?;
        }
        let found = repositories::find_or_insert(c, *registry, name, *now).await?;
        if !found.write_enabled {
            return Err(Locked::Repository(name.clone()).into());
        }
        let repository = found.id;
        let blobs = self.find_blobs(c, repository).await?;
        let children = self.find_children(c, repository).await?;
        let size_bytes = self.parsed.image_size_bytes.saturating_add(manifests::sum_image_sizes(c, &children).await?);
        let (manifest, is_new) = self.insert(c, repository, size_bytes.min(MAX_SIZE_BYTES)).await?;
        if is_new {
            if trash::contains(c, *registry, name, &self.digest).await? {
                return Err(PutManifestError::InTrash { repository: name.clone(), digest: self.digest });
            }
            manifests::insert_blobs(c, repository, manifest, &blobs).await?;
            manifests::insert_children(c, manifest, &children).await?;
            retention::hold(c, settings, &children).await?;
            if self.is_cached {
                self.note_cached(c, repository, manifest, size_bytes.min(MAX_SIZE_BYTES)).await?;
            }
        } else if self.only_new && self.tags.is_empty() {
            return Err(PutManifestError::Exists { repository: name.clone(), digest: self.digest });
        }
        let tagging = Tagging { untagging: &self.untagging, repository: &found, only_new: self.only_new };
        if let Some(chart) = &self.chart {
            charts::insert(c, *registry, manifest, chart).await?;
        }
        let mut new_tags = 0;
        for tag in &self.tags {
            // A tag that somebody set here is theirs.
            if self.is_cached && cached::find_tag(c, repository, tag).await?.is_some_and(|found| !found.is_cached) {
                continue;
            }
            new_tags += i64::from(tagging.set(c, tag, manifest).await?);
            if self.is_cached {
                cached::mark_tag(c, repository, tag, manifest).await?;
            }
        }
        // A mark that it has stays: they are the same bytes.
        let is_quarantined = settings.quarantine && quarantine::insert(c, manifest, self.tags.first()).await?;
        repositories::count(c, repository, i64::from(is_new), new_tags, *now).await?;
        changes::append(c, *registry, &self.changes(is_quarantined)).await?;
        Ok(())
    }

    /// Notes what the cache stored. A repository that shows nothing yet is made by this.
    async fn note_cached(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        manifest: ManifestId,
        image_size_bytes: u64,
    ) -> Result<(), wharf_metadata::Error> {
        let Untagging { registry, repository: name, now, .. } = &self.untagging;
        if repositories::find_shown(c, *registry, name).await?.is_none() {
            cached::mark_repository(c, repository).await?;
        }
        cached::mark_manifest(c, manifest, *now).await?;
        let children: Vec<&Digest> = self.parsed.children.iter().map(|child| &child.digest).collect();
        cached::insert_children(c, repository, manifest, &children).await?;
        cached::adopt(c, repository, &self.digest, manifest, image_size_bytes).await
    }

    /// Refuses unless the tag names the manifest that it did. Whoever writes to the repository waits from here on.
    async fn check_tag(&self, c: &mut Connection, tag: &Tag, former: &Digest) -> Result<(), PutManifestError> {
        let Untagging { registry, repository, .. } = &self.untagging;
        let found = match repositories::find_shown(c, *registry, repository).await? {
            Some(id) if repositories::lock(c, id).await?.is_some() => attributes::find_tag(c, id, tag).await?,
            _ => None,
        };
        if found.is_some_and(|found| found.digest == former.as_str()) {
            Ok(())
        } else {
            Err(PutManifestError::Changed { repository: repository.clone(), tag: tag.clone() })
        }
    }

    async fn find_blobs(&self, c: &mut Connection, repository: RepositoryId) -> Result<Vec<BlobId>, PutManifestError> {
        let wanted: Vec<&Digest> =
            self.parsed.blobs.iter().filter(|blob| blob.must_exist).map(|blob| &blob.digest).collect();
        let found: HashMap<String, BlobId> = blobs::find_links(c, repository, &wanted).await?.into_iter().collect();
        let missing = missing(&wanted, &found);
        if missing.is_empty() {
            Ok(found.into_values().collect())
        } else {
            Err(PutManifestError::BlobsMissing { repository: self.untagging.repository.clone(), missing })
        }
    }

    async fn find_children(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
    ) -> Result<Vec<ManifestId>, PutManifestError> {
        let wanted: Vec<&Digest> = self.parsed.children.iter().map(|child| &child.digest).collect();
        let found: HashMap<String, ManifestId> =
            manifests::find_many(c, repository, &wanted).await?.into_iter().collect();
        let missing = missing(&wanted, &found);
        if missing.is_empty() || self.is_cached {
            Ok(found.into_values().collect())
        } else {
            Err(PutManifestError::ManifestsMissing { repository: self.untagging.repository.clone(), missing })
        }
    }

    async fn insert(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        image_size_bytes: u64,
    ) -> Result<(ManifestId, bool), wharf_metadata::Error> {
        let annotations = self
            .parsed
            .annotations
            .as_ref()
            .map(|map| serde_json::to_string(map).expect("a map with string keys always serialises"));
        let new = NewManifest {
            digest: &self.digest,
            media_type: &self.parsed.media_type,
            artifact_type: self.parsed.artifact_type.as_deref(),
            config_media_type: self.parsed.config_media_type.as_deref(),
            subject: self.parsed.subject.as_ref().map(|subject| &subject.digest),
            annotations: annotations.as_deref(),
            image_size_bytes,
            platform: self.platform.as_ref().map(Platform::as_new),
            bytes: &self.bytes,
        };
        manifests::insert(c, repository, &new, self.untagging.now).await
    }

    /// One push, one change for each tag that it sets besides the first, and one if it is in quarantine.
    fn changes(&self, is_quarantined: bool) -> Vec<NewChange<'_>> {
        let Untagging { actor, repository, now, .. } = &self.untagging;
        let change = |kind, tag| NewChange {
            kind,
            actor,
            repository: Some(repository),
            tag,
            digest: Some(&self.digest),
            changed_at: *now,
        };
        let mut changes = vec![change(Kind::ManifestPush, self.tags.first())];
        changes.extend(self.tags.iter().skip(1).map(|tag| change(Kind::TagPut, Some(tag))));
        if is_quarantined {
            changes.push(change(Kind::ManifestQuarantine, self.tags.first()));
        }
        changes
    }
}

fn missing<T>(wanted: &[&Digest], found: &HashMap<String, T>) -> Vec<Digest> {
    wanted.iter().filter(|digest| !found.contains_key(digest.as_str())).map(|&digest| digest.clone()).collect()
}
