//! Restoring what was deleted.
//!
//! A manifest comes back as it was, with its locks, its numbers and its date of birth; its last update is now, so that what
//! removes by age does not remove it again at once. It comes back with the tag that was asked for, or without any; other
//! tags stay in the trash.
//!
//! With `force` an index brings those of its children back that are in the trash. They come first, in transactions of a few
//! at a time, and the index last, so that whatever stops this in between leaves no index behind that lists what is not
//! there, and the next attempt goes on.

use std::collections::{HashMap, HashSet, VecDeque};

use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::trash::{self, FoundManifest, TrashId};
use wharf_metadata::{Connection, attributes, manifests, removal, repositories, tags};
use wharf_model::{Digest, ManifestId, RepositoryId, RepositoryName, Tag};
use wharf_oci::ParsedManifest;

use crate::cache::key;
use crate::locks::Locked;
use crate::tagging::{Tagging, TaggingError};
use crate::untagging::Untagging;
use crate::{Artifacts, Error, Target, retention};

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The manifests that are back, the one that was asked for last. Empty if they were there already.
    pub manifests: Vec<Digest>,
    /// What the index lists, if it is one, and the repository does not hold.
    pub missing: Vec<MissingChild>,
}

/// A manifest that a restored index lists and that the repository does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingChild {
    /// Its digest.
    pub digest: Digest,
    /// Whether it can be restored.
    pub is_in_trash: bool,
}

/// Why something was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The manifest is not in the trash.
    #[error("the manifest {digest} is not among what was deleted from {repository}, or its time there is over")]
    ManifestUnknown {
        /// The repository.
        repository: RepositoryName,
        /// Its digest.
        digest: Digest,
    },
    /// The tag did not name the manifest, which is still there, when it was deleted.
    #[error(
        "the tag {tag} of the manifest {digest} is not among what was deleted from {repository}, or its time there is over"
    )]
    TagUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// The manifest's digest.
        digest: Digest,
    },
    /// The tag names another manifest by now.
    #[error(
        "the tag {tag} of {repository} names {digest} now; with force it is replaced, and what it names goes into the trash"
    )]
    TagTaken {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it names.
        digest: String,
    },
    /// The manifest refers to a subject that is in the trash.
    #[error("the manifest {digest} of {repository} refers to {subject}, which is deleted as well; restore that first")]
    SubjectDeleted {
        /// The repository.
        repository: RepositoryName,
        /// The manifest's digest.
        digest: Digest,
        /// Its subject's digest.
        subject: String,
    },
    /// The tag may not be set.
    #[error(transparent)]
    Tagging(#[from] TaggingError),
    /// The repository is locked.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for RestoreError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Artifacts {
    /// Restores a manifest, with the tag that it had or without any. With `force` a tag that names another manifest by now
    /// is replaced, and an index brings its children back. What is there already stays as it is, so that this may be
    /// repeated.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub async fn restore_manifest(
        &self,
        target: Target<'_>,
        digest: &Digest,
        tag: Option<&Tag>,
        force: bool,
        actor: &str,
    ) -> Result<Restored, RestoreError> {
        let mut order = if force { self.find_deleted_children(target, digest).await? } else { Vec::new() };
        order.push(digest.clone());
        let planned: HashSet<String> = order.iter().map(Digest::to_string).collect();
        let mut restored = Vec::new();
        let parts: Vec<&[Digest]> = order.chunks(AT_ONCE).collect();
        for (position, part) in parts.iter().enumerate() {
            let restoration = Restoration {
                untagging: Untagging::new(target, actor, self.now()),
                digests: part.to_vec(),
                planned: planned.clone(),
                last: (position + 1 == parts.len()).then(|| Last { digest: digest.clone(), tag: tag.cloned(), force }),
            };
            let write = self.inner.database.write(move |c| Box::pin(async move { restoration.run(c).await }));
            restored.extend(write.await?);
        }
        if let Some(tag) = tag {
            self.inner.caches.manifests.invalidate(&key(target.registry.id, target.repository, ':', tag.as_str()));
        }
        Ok(Restored { manifests: restored, missing: self.find_missing_children(target, digest).await? })
    }

    /// The manifests in the trash that an index there lists, directly or not, those that list nothing first.
    async fn find_deleted_children(&self, target: Target<'_>, digest: &Digest) -> Result<Vec<Digest>, Error> {
        let (registry, repository, root) = (target.registry.id, target.repository.clone(), digest.clone());
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let Some(trash) = trash::find(c, registry, &repository).await? else { return Ok(Vec::new()) };
                let live = repositories::find(c, registry, &repository).await?;
                let mut seen = HashSet::from([root.clone()]);
                let mut found = Vec::new();
                let mut open = VecDeque::from([root.clone()]);
                while let Some(next) = open.pop_front() {
                    let (children, is_deleted) = match trash::find_manifest(c, trash, &next).await? {
                        Some(deleted) => (children_of(&deleted.media_type, &deleted.bytes), true),
                        // The index itself may be there already, after an attempt that was cut off or without force.
                        None if next == root => (children_of_live(c, live, &next).await?, false),
                        None => continue,
                    };
                    if is_deleted && next != root {
                        found.push(next);
                    }
                    open.extend(children.into_iter().filter(|child| seen.insert(child.clone())));
                }
                found.reverse();
                Ok::<_, wharf_metadata::Error>(found)
            })
        });
        Ok(read.await?)
    }

    /// What a manifest lists and the repository does not hold.
    async fn find_missing_children(&self, target: Target<'_>, digest: &Digest) -> Result<Vec<MissingChild>, Error> {
        let (registry, repository, root) = (target.registry.id, target.repository.clone(), digest.clone());
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let Some(live) = repositories::find(c, registry, &repository).await? else { return Ok(Vec::new()) };
                let children = children_of_live(c, Some(live), &root).await?;
                let wanted: Vec<&Digest> = children.iter().collect();
                let held: HashSet<String> =
                    manifests::find_many(c, live, &wanted).await?.into_iter().map(|(digest, _)| digest).collect();
                let trash = trash::find(c, registry, &repository).await?;
                let mut missing = Vec::new();
                for child in children.into_iter().filter(|child| !held.contains(child.as_str())) {
                    let is_in_trash = match trash {
                        Some(trash) => trash::find_manifest(c, trash, &child).await?.is_some(),
                        None => false,
                    };
                    missing.push(MissingChild { digest: child, is_in_trash });
                }
                Ok::<_, wharf_metadata::Error>(missing)
            })
        });
        Ok(read.await?)
    }
}

/// What an index lists; nothing if it is none.
fn children_of(media_type: &str, bytes: &[u8]) -> Vec<Digest> {
    let parsed = ParsedManifest::parse(Some(media_type), bytes);
    parsed.map(|parsed| parsed.children.into_iter().map(|child| child.digest).collect()).unwrap_or_default()
}

async fn children_of_live(
    c: &mut Connection,
    repository: Option<RepositoryId>,
    digest: &Digest,
) -> Result<Vec<Digest>, wharf_metadata::Error> {
    let Some(repository) = repository else { return Ok(Vec::new()) };
    let Some(found) = attributes::find_manifest(c, repository, digest).await? else { return Ok(Vec::new()) };
    let bytes = attributes::find_manifest_bytes(c, found.id).await?.unwrap_or_default();
    Ok(children_of(&found.media_type, &bytes))
}

/// One transaction of a restoration.
struct Restoration {
    untagging: Untagging,
    digests: Vec<Digest>,
    /// Everything that the whole restoration brings back.
    planned: HashSet<String>,
    /// In the last one: what was asked for.
    last: Option<Last>,
}

struct Last {
    digest: Digest,
    tag: Option<Tag>,
    force: bool,
}

impl Restoration {
    async fn run(self, c: &mut Connection) -> Result<Vec<Digest>, RestoreError> {
        let Untagging { registry, repository: name, settings, now, .. } = &self.untagging;
        let Some(_) = trash::find(c, *registry, name).await? else { return self.without_trash(c).await };
        let (repository, locks) = repositories::lock_or_insert(c, *registry, name, *now).await?;
        if !locks.write_enabled {
            return Err(Locked::Repository(name.clone()).into());
        }
        let Some(trash) = trash::lock(c, *registry, name).await? else { return self.without_trash(c).await };
        let mut found: HashMap<&Digest, FoundManifest> = HashMap::new();
        for digest in &self.digests {
            if let Some(manifest) = trash::find_manifest(c, trash, digest).await? {
                self.check_subject(c, trash, digest, &manifest).await?;
                found.insert(digest, manifest);
            }
        }
        let back: Vec<Digest> = self.digests.iter().filter(|digest| found.contains_key(digest)).cloned().collect();
        let ids: Vec<ManifestId> = back.iter().map(|digest| found[digest].id).collect();
        trash::take_manifests(c, trash, &ids, repository, *now).await?;
        let children: Vec<ManifestId> =
            removal::find_children(c, repository, &ids).await?.into_iter().map(|(id, _)| id).collect();
        retention::hold(c, settings, &children).await?;
        if !ids.is_empty() {
            repositories::count(c, repository, ids.len() as i64, 0, *now).await?;
        }
        let tagged = match &self.last {
            Some(last) => self.set_tag(c, repository, trash, last, found.get(&last.digest)).await?,
            None => false,
        };
        let mut log: Vec<NewChange<'_>> =
            back.iter().map(|digest| self.change(Kind::ManifestRestore, None, digest)).collect();
        if let (true, Some(last)) = (tagged, &self.last) {
            log.push(self.change(Kind::TagPut, last.tag.as_ref(), &last.digest));
        }
        trash::delete_if_empty(c, trash).await?;
        changes::append(c, *registry, &log).await?;
        Ok(back)
    }

    /// Nothing of this repository is in the trash. All is well if what was asked for is there.
    async fn without_trash(&self, c: &mut Connection) -> Result<Vec<Digest>, RestoreError> {
        let Untagging { registry, repository: name, .. } = &self.untagging;
        let Some(last) = &self.last else { return Ok(Vec::new()) };
        let live = repositories::find_shown(c, *registry, name).await?;
        let is_there = match (live, &last.tag) {
            (None, _) => false,
            (Some(live), None) => !manifests::find_many(c, live, &[&last.digest]).await?.is_empty(),
            (Some(live), Some(tag)) => {
                let found = attributes::find_tag(c, live, tag).await?;
                found.is_some_and(|found| found.digest == last.digest.as_str())
            }
        };
        if is_there {
            return Ok(Vec::new());
        }
        Err(RestoreError::ManifestUnknown { repository: name.clone(), digest: last.digest.clone() })
    }

    /// A referrer goes with its subject, and comes back after it.
    async fn check_subject(
        &self,
        c: &mut Connection,
        trash: TrashId,
        digest: &Digest,
        manifest: &FoundManifest,
    ) -> Result<(), RestoreError> {
        let Some(subject) = manifest.subject.as_ref().filter(|subject| !self.planned.contains(*subject)) else {
            return Ok(());
        };
        let Ok(parsed) = subject.parse() else { return Ok(()) };
        if trash::find_manifest(c, trash, &parsed).await?.is_none() {
            return Ok(());
        }
        let (repository, digest) = (self.untagging.repository.clone(), digest.clone());
        Err(RestoreError::SubjectDeleted { repository, digest, subject: subject.clone() })
    }

    /// Sets the tag that was asked for. Returns whether it names the manifest because of this.
    async fn set_tag(
        &self,
        c: &mut Connection,
        id: RepositoryId,
        trash: TrashId,
        last: &Last,
        found: Option<&FoundManifest>,
    ) -> Result<bool, RestoreError> {
        let Untagging { registry, repository: name, now, .. } = &self.untagging;
        let manifest = match found {
            Some(found) => found.id,
            None => match manifests::find_many(c, id, &[&last.digest]).await?.pop() {
                Some((_, manifest)) => manifest,
                None => {
                    let (repository, digest) = (name.clone(), last.digest.clone());
                    return Err(RestoreError::ManifestUnknown { repository, digest });
                }
            },
        };
        let Some(tag) = &last.tag else { return Ok(false) };
        let former = trash::find_tag(c, trash, tag, &last.digest).await?;
        match attributes::find_tag(c, id, tag).await? {
            Some(live) if live.digest == last.digest.as_str() => {
                trash::forget_tags(c, trash, tag, manifest).await?;
                return Ok(false);
            }
            _ if former.is_none() && found.is_none() => {
                let (repository, tag, digest) = (name.clone(), tag.clone(), last.digest.clone());
                return Err(RestoreError::TagUnknown { repository, tag, digest });
            }
            Some(live) if !last.force => {
                let (repository, tag) = (name.clone(), tag.clone());
                return Err(RestoreError::TagTaken { repository, tag, digest: live.digest });
            }
            _ => {}
        }
        let writable = repositories::find_or_insert(c, *registry, name, *now).await?;
        let tagging = Tagging { untagging: &self.untagging, repository: &writable, only_new: false };
        let is_new = tagging.set(c, tag, manifest).await?;
        if let (true, Some(former)) = (is_new, &former) {
            tags::restore(c, id, former).await?;
        }
        trash::forget_tags(c, trash, tag, manifest).await?;
        repositories::count(c, id, 0, i64::from(is_new), *now).await?;
        Ok(true)
    }

    fn change<'a>(&'a self, kind: Kind, tag: Option<&'a Tag>, digest: &'a Digest) -> NewChange<'a> {
        let Untagging { actor, repository, now, .. } = &self.untagging;
        NewChange { kind, actor, repository: Some(repository), tag, digest: Some(digest), changed_at: *now }
    }
}

/// How many manifests one transaction brings back at most.
const AT_ONCE: usize = 100;
