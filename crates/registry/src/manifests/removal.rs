//! Removing tags and manifests in bulk, for what works through a repository: retention, purge, eviction from a cache.
//!
//! Whoever removes in bulk has listed before, and what was true then may not be true any more: somebody pushed, tagged or
//! locked meanwhile. So each item comes with what must still hold, which is looked at in the transaction that removes it,
//! under the repository's lock. What does not hold any more is skipped and said so. A transaction removes 200 items at most,
//! so that others write between two of them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use wharf_metadata::attributes::TagAttributes;
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::removal::{self, Candidate, LockedContent};
use wharf_metadata::{Connection, Work, attributes, repositories, tags, trash};
use wharf_model::{Digest, Locks, ManifestId, RepositoryId, Tag, Timestamp};

use crate::cache::key;
use crate::untagging::{Manifests, Untagging};
use crate::{Artifacts, Error, Target};

/// A tag that is to be removed if it is still what it was. Its manifest stays.
#[derive(Clone, Debug)]
pub struct TagRemoval {
    /// The tag.
    pub tag: Tag,
    /// The manifest that it must still name.
    pub digest: Option<Digest>,
    /// Since when, at the latest, it must have named it.
    pub not_after: Option<Timestamp>,
}

/// A manifest that is to be removed, with its tags and the whole tree of its referrers, if it is still what it was.
#[derive(Clone, Debug)]
pub struct ManifestRemoval {
    /// Its digest.
    pub digest: Digest,
    /// What must still hold.
    pub only_if: OnlyIf,
}

/// What must hold of a manifest so that it is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnlyIf {
    /// It has no tag.
    pub untagged: bool,
    /// No index of the repository lists it.
    pub unlisted: bool,
    /// It has no subject.
    pub without_subject: bool,
    /// It was last pushed then or earlier.
    pub not_after: Option<Timestamp>,
}

/// Something else that must hold, asked in the same transaction: of those given, the ones that may go.
pub type Check<T> = Arc<
    dyn for<'c> Fn(&'c mut Connection, RepositoryId, Vec<T>) -> Work<'c, HashSet<T>, wharf_metadata::Error>
        + Send
        + Sync,
>;

/// How things are removed in bulk, and for whom.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Who removes, for the change log.
    pub actor: String,
    /// Whether locks of tags and manifests are lifted. Those of the repository are not.
    pub include_locked: bool,
    /// Whether what is removed is destroyed even where soft delete would keep it for a while: for what can be had again,
    /// such as copies in a cache.
    pub bypass_trash: bool,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is removed.
    Removed,
    /// It stays, or was gone already.
    Skipped(Skipped),
}

/// Why an item was not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// It is not there, or not any more.
    Gone,
    /// It was pushed, or the tag was set, later than it was looked at.
    Changed,
    /// A lock keeps it, or something that would go with it.
    Locked,
    /// It has a tag.
    Tagged,
    /// An index lists it.
    Listed,
    /// It has a subject, with which it goes.
    HasSubject,
    /// The [`Check`] is against it.
    Kept,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "it is not there any more",
            Self::Changed => "it was changed meanwhile",
            Self::Locked => "it is locked",
            Self::Tagged => "it has a tag",
            Self::Listed => "an index lists it",
            Self::HasSubject => "it refers to a subject",
            Self::Kept => "it is in use",
        })
    }
}

impl Artifacts {
    /// Removes tags, and says of each what became of it, in the order given. Their manifests stay.
    ///
    /// # Errors
    /// When the stores fail; what was removed before that stays removed.
    pub async fn remove_tags(
        &self,
        target: Target<'_>,
        items: &[TagRemoval],
        removal: &Removal,
        check: Option<&Check<Tag>>,
    ) -> Result<Vec<Removed>, Error> {
        let mut outcomes = Vec::with_capacity(items.len());
        for part in items.chunks(AT_ONCE) {
            let batch = Batch::new(target, removal, self.now());
            let (items, check) = (part.to_vec(), check.cloned());
            let write = self
                .inner
                .database
                .write(move |c| Box::pin(async move { batch.remove_tags(c, &items, check.as_ref()).await }));
            let (removed, gone) = write.await?;
            self.forget_removed(target, &gone);
            outcomes.extend(removed);
        }
        Ok(outcomes)
    }

    /// Removes manifests, each with its tags and the whole tree of its referrers, and says of each what became of it, in
    /// the order given.
    ///
    /// # Errors
    /// When the stores fail; what was removed before that stays removed.
    pub async fn remove_manifests(
        &self,
        target: Target<'_>,
        items: &[ManifestRemoval],
        removal: &Removal,
        check: Option<&Check<ManifestId>>,
    ) -> Result<Vec<Removed>, Error> {
        let mut outcomes = Vec::with_capacity(items.len());
        for part in items.chunks(AT_ONCE) {
            let batch = Batch::new(target, removal, self.now());
            let (items, check) = (part.to_vec(), check.cloned());
            let write = self
                .inner
                .database
                .write(move |c| Box::pin(async move { batch.remove_manifests(c, &items, check.as_ref()).await }));
            let (removed, gone) = write.await?;
            self.forget_removed(target, &gone);
            outcomes.extend(removed);
        }
        Ok(outcomes)
    }

    /// Drops what was removed from what this process remembers. After the commit, before anybody is told.
    pub(crate) fn forget_removed(&self, target: Target<'_>, gone: &Gone) {
        let cache = &self.inner.caches.manifests;
        for digest in &gone.manifests {
            cache.invalidate(&key(target.registry.id, target.repository, '@', digest.as_str()));
        }
        for (tag, _) in &gone.tags {
            cache.invalidate(&key(target.registry.id, target.repository, ':', tag.as_str()));
        }
    }
}

/// What a transaction removed: tags with the digests that they named, and manifests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gone {
    pub(crate) tags: Vec<(Tag, Digest)>,
    pub(crate) manifests: Vec<Digest>,
}

impl Gone {
    fn add_tags(&mut self, former: &[tags::FormerTag]) {
        self.tags.extend(former.iter().filter_map(|tag| Some((tag.name.parse().ok()?, tag.digest.parse().ok()?))));
    }
}

/// What removes things: a deletion that somebody asked for, or a batch of a bulk removal.
#[derive(Clone, Debug)]
pub(crate) struct Remover {
    pub(crate) untagging: Untagging,
}

impl Remover {
    /// Takes tags off their manifests, which stay. To be called under the repository's lock, once locks were looked at.
    pub(crate) async fn remove_tags(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        names: &[&str],
    ) -> Result<Gone, wharf_metadata::Error> {
        let former = tags::delete(c, repository, names).await?;
        self.untagging.leave(c, repository, &former, Manifests::Stay).await?;
        repositories::count(c, repository, 0, -(former.len() as i64), self.untagging.now).await?;
        let mut gone = Gone::default();
        gone.add_tags(&former);
        Ok(gone)
    }

    /// Takes manifests out with all their tags. To be called under the repository's lock, once locks were looked at, with
    /// whole trees of referrers.
    pub(crate) async fn remove_manifests(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        manifests: &[(Digest, ManifestId)],
    ) -> Result<Gone, wharf_metadata::Error> {
        let ids: Vec<ManifestId> = manifests.iter().map(|(_, id)| *id).collect();
        let children = match self.untagging.settings.retention {
            Some(_) => removal::find_children(c, repository, &ids).await?,
            None => Vec::new(),
        };
        let former = tags::delete_of_manifests(c, &ids).await?;
        self.untagging.leave(c, repository, &former, Manifests::Go).await?;
        let Untagging { registry, settings, repository: name, actor, now } = &self.untagging;
        match settings.soft_delete {
            Some(policy) => {
                let trash = trash::open(c, *registry, name, policy.days).await?;
                trash::insert_manifests(c, trash, manifests, actor, *now).await?;
            }
            None => {
                removal::delete_manifests(c, &ids).await?;
            }
        }
        let children: Vec<ManifestId> =
            children.into_iter().map(|(id, _)| id).filter(|child| !ids.contains(child)).collect();
        self.untagging.let_go(c, repository, &children).await?;
        repositories::count(c, repository, -(ids.len() as i64), -(former.len() as i64), *now).await?;
        let mut gone =
            Gone { manifests: manifests.iter().map(|(digest, _)| digest.clone()).collect(), ..Gone::default() };
        gone.add_tags(&former);
        Ok(gone)
    }

    /// Writes what was removed into the change log. Last in the transaction.
    pub(crate) async fn log(&self, c: &mut Connection, gone: &Gone) -> Result<(), wharf_metadata::Error> {
        let tags = gone.tags.iter().map(|(tag, digest)| self.change(Kind::TagDelete, Some(tag), Some(digest)));
        let manifests = gone.manifests.iter().map(|digest| self.change(Kind::ManifestDelete, None, Some(digest)));
        let changes: Vec<NewChange<'_>> = tags.chain(manifests).collect();
        changes::append(c, self.untagging.registry, &changes).await
    }

    fn change<'a>(&'a self, kind: Kind, tag: Option<&'a Tag>, digest: Option<&'a Digest>) -> NewChange<'a> {
        let Untagging { actor, repository, now, .. } = &self.untagging;
        NewChange { kind, actor, repository: Some(repository), tag, digest, changed_at: *now }
    }
}

/// Manifests, each with everything that refers to it as its subject, directly or not. `of` says to which of the roots a
/// manifest belongs; one that is in several trees belongs to the first.
pub(crate) struct Forest {
    pub(crate) manifests: Vec<(Digest, ManifestId)>,
    pub(crate) root_of: HashMap<ManifestId, ManifestId>,
}

impl Forest {
    /// Finds what refers to these manifests.
    pub(crate) async fn grow(
        c: &mut Connection,
        repository: RepositoryId,
        roots: Vec<(Digest, ManifestId)>,
    ) -> Result<Self, wharf_metadata::Error> {
        let mut root_of: HashMap<ManifestId, ManifestId> = roots.iter().map(|(_, id)| (*id, *id)).collect();
        let mut open: Vec<(Digest, ManifestId)> = roots.clone();
        let mut manifests = roots;
        while !open.is_empty() {
            let subjects: Vec<&str> = open.iter().map(|(digest, _)| digest.as_str()).collect();
            let by_digest: HashMap<&str, ManifestId> = open.iter().map(|(digest, id)| (digest.as_str(), *id)).collect();
            let mut next = Vec::new();
            for referrer in removal::find_referrers(c, repository, &subjects).await? {
                let root = by_digest.get(referrer.subject.as_str()).and_then(|subject| root_of.get(subject)).copied();
                if let (Some(root), Ok(digest)) = (root, referrer.digest.parse())
                    && !root_of.contains_key(&referrer.id)
                {
                    root_of.insert(referrer.id, root);
                    next.push((digest, referrer.id));
                }
            }
            manifests.extend(next.iter().cloned());
            open = next;
        }
        Ok(Self { manifests, root_of })
    }

    pub(crate) fn ids(&self) -> Vec<ManifestId> {
        self.manifests.iter().map(|(_, id)| *id).collect()
    }

    /// Leaves the trees of these roots out.
    fn spare(&mut self, roots: &HashSet<ManifestId>) {
        let root_of = &self.root_of;
        self.manifests.retain(|(_, id)| root_of.get(id).is_none_or(|root| !roots.contains(root)));
    }
}

/// One transaction of a bulk removal.
struct Batch {
    remover: Remover,
    include_locked: bool,
}

impl Batch {
    fn new(target: Target<'_>, removal: &Removal, now: Timestamp) -> Self {
        let untagging = Untagging::new(target, &removal.actor, now);
        Self {
            remover: Remover { untagging: if removal.bypass_trash { untagging.destroying() } else { untagging } },
            include_locked: removal.include_locked,
        }
    }

    /// Takes the repository's lock. What is said of every item if there is nothing to be done.
    async fn open(&self, c: &mut Connection) -> Result<Result<RepositoryId, Skipped>, wharf_metadata::Error> {
        let Untagging { registry, repository, .. } = &self.remover.untagging;
        let Some(id) = repositories::find_shown(c, *registry, repository).await? else { return Ok(Err(Skipped::Gone)) };
        Ok(match repositories::lock(c, id).await? {
            None => Err(Skipped::Gone),
            Some(locks) if !locks.write_enabled => Err(Skipped::Locked),
            Some(_) => Ok(id),
        })
    }

    async fn remove_tags(
        &self,
        c: &mut Connection,
        items: &[TagRemoval],
        check: Option<&Check<Tag>>,
    ) -> Result<(Vec<Removed>, Gone), wharf_metadata::Error> {
        let repository = match self.open(c).await? {
            Ok(repository) => repository,
            Err(reason) => return Ok((vec![Removed::Skipped(reason); items.len()], Gone::default())),
        };
        let mut outcomes = Vec::with_capacity(items.len());
        let mut locked = Vec::new();
        let tags: Vec<&Tag> = items.iter().map(|item| &item.tag).collect();
        let found = attributes::find_tags(c, repository, &tags).await?;
        let found: HashMap<String, TagAttributes> = found.into_iter().map(|tag| (tag.name.clone(), tag)).collect();
        for item in items {
            outcomes.push(match found.get(item.tag.as_str()) {
                None => Removed::Skipped(Skipped::Gone),
                Some(found)
                    if item.digest.as_ref().is_some_and(|digest| digest.as_str() != found.digest)
                        || item.not_after.is_some_and(|time| found.updated_at > time) =>
                {
                    Removed::Skipped(Skipped::Changed)
                }
                Some(found) if !found.locks.allow_delete() => {
                    if self.include_locked {
                        locked.push((item.tag.clone(), found.clone()));
                        Removed::Removed
                    } else {
                        Removed::Skipped(Skipped::Locked)
                    }
                }
                Some(_) => Removed::Removed,
            });
        }
        if let Some(check) = check {
            let asked = removed(items, &outcomes).map(|item| item.tag.clone()).collect();
            let free = check(c, repository, asked).await?;
            for (item, outcome) in items.iter().zip(&mut outcomes) {
                if *outcome == Removed::Removed && !free.contains(&item.tag) {
                    *outcome = Removed::Skipped(Skipped::Kept);
                }
            }
        }
        let names: Vec<&str> = removed(items, &outcomes).map(|item| item.tag.as_str()).collect();
        if names.is_empty() {
            return Ok((outcomes, Gone::default()));
        }
        for (tag, found) in locked.iter().filter(|(tag, _)| names.contains(&tag.as_str())) {
            attributes::put_tag_locks(c, repository, tag, unlocked(found.locks)).await?;
        }
        let gone = self.remover.remove_tags(c, repository, &names).await?;
        let unlocked: Vec<(Tag, Option<Digest>)> = locked
            .into_iter()
            .filter(|(tag, _)| gone.tags.iter().any(|(gone, _)| gone == tag))
            .map(|(tag, found)| (tag, found.digest.parse().ok()))
            .collect();
        let updates: Vec<NewChange<'_>> = unlocked
            .iter()
            .map(|(tag, digest)| self.remover.change(Kind::TagUpdate, Some(tag), digest.as_ref()))
            .collect();
        changes::append(c, self.remover.untagging.registry, &updates).await?;
        self.remover.log(c, &gone).await?;
        Ok((outcomes, gone))
    }

    async fn remove_manifests(
        &self,
        c: &mut Connection,
        items: &[ManifestRemoval],
        check: Option<&Check<ManifestId>>,
    ) -> Result<(Vec<Removed>, Gone), wharf_metadata::Error> {
        let repository = match self.open(c).await? {
            Ok(repository) => repository,
            Err(reason) => return Ok((vec![Removed::Skipped(reason); items.len()], Gone::default())),
        };
        let digests: Vec<&Digest> = items.iter().map(|item| &item.digest).collect();
        let found = removal::find_candidates(c, repository, &digests).await?;
        let found: HashMap<String, Candidate> =
            found.into_iter().map(|candidate| (candidate.digest.clone(), candidate)).collect();
        let mut outcomes: Vec<Removed> =
            items.iter().map(|item| judge(item.only_if, found.get(item.digest.as_str()))).collect();
        let id_of = |item: &ManifestRemoval| found.get(item.digest.as_str()).map(|candidate| candidate.id);
        if let Some(check) = check {
            let asked = removed(items, &outcomes).filter_map(id_of).collect();
            let free = check(c, repository, asked).await?;
            for (item, outcome) in items.iter().zip(&mut outcomes) {
                if *outcome == Removed::Removed && !id_of(item).is_some_and(|id| free.contains(&id)) {
                    *outcome = Removed::Skipped(Skipped::Kept);
                }
            }
        }
        let roots = removed(items, &outcomes).filter_map(|item| Some((item.digest.clone(), id_of(item)?))).collect();
        let mut forest = Forest::grow(c, repository, roots).await?;
        let locked = removal::list_locked(c, &forest.ids()).await?;
        if self.include_locked {
            self.unlock(c, repository, &locked).await?;
        } else {
            let kept: HashSet<ManifestId> =
                locked.iter().filter_map(|locked| forest.root_of.get(&locked.manifest)).copied().collect();
            forest.spare(&kept);
            for (item, outcome) in items.iter().zip(&mut outcomes) {
                if *outcome == Removed::Removed && id_of(item).is_some_and(|id| kept.contains(&id)) {
                    *outcome = Removed::Skipped(Skipped::Locked);
                }
            }
        }
        if forest.manifests.is_empty() {
            return Ok((outcomes, Gone::default()));
        }
        let gone = self.remover.remove_manifests(c, repository, &forest.manifests).await?;
        if self.include_locked {
            self.log_unlocked(c, &locked).await?;
        }
        self.remover.log(c, &gone).await?;
        Ok((outcomes, gone))
    }

    async fn unlock(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        locked: &[LockedContent],
    ) -> Result<(), wharf_metadata::Error> {
        for item in locked {
            match &item.tag {
                Some(tag) => {
                    if let Ok(tag) = tag.parse()
                        && let Some(found) = attributes::find_tag(c, repository, &tag).await?
                    {
                        attributes::put_tag_locks(c, repository, &tag, unlocked(found.locks)).await?;
                    }
                }
                None => {
                    if let Ok(digest) = item.digest.parse()
                        && let Some(found) = attributes::find_manifest(c, repository, &digest).await?
                    {
                        attributes::put_manifest_locks(c, repository, &digest, unlocked(found.locks)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn log_unlocked(&self, c: &mut Connection, locked: &[LockedContent]) -> Result<(), wharf_metadata::Error> {
        let items: Vec<(Kind, Option<Tag>, Option<Digest>)> = locked
            .iter()
            .map(|item| {
                let kind = if item.tag.is_some() { Kind::TagUpdate } else { Kind::ManifestUpdate };
                (kind, item.tag.as_deref().and_then(|tag| tag.parse().ok()), item.digest.parse().ok())
            })
            .collect();
        let updates: Vec<NewChange<'_>> =
            items.iter().map(|(kind, tag, digest)| self.remover.change(*kind, tag.as_ref(), digest.as_ref())).collect();
        changes::append(c, self.remover.untagging.registry, &updates).await
    }
}

/// The items that are to be removed as things stand.
fn removed<'a, T>(items: &'a [T], outcomes: &'a [Removed]) -> impl Iterator<Item = &'a T> {
    items.iter().zip(outcomes).filter(|(_, outcome)| **outcome == Removed::Removed).map(|(item, _)| item)
}

/// The same locks, with deleting allowed.
fn unlocked(locks: Locks) -> Locks {
    Locks { delete_enabled: true, write_enabled: true, ..locks }
}

fn judge(only_if: OnlyIf, found: Option<&Candidate>) -> Removed {
    let Some(found) = found else { return Removed::Skipped(Skipped::Gone) };
    if only_if.untagged && found.is_tagged {
        Removed::Skipped(Skipped::Tagged)
    } else if only_if.unlisted && found.is_listed {
        Removed::Skipped(Skipped::Listed)
    } else if only_if.without_subject && found.has_subject {
        Removed::Skipped(Skipped::HasSubject)
    } else if only_if.not_after.is_some_and(|time| found.updated_at > time) {
        Removed::Skipped(Skipped::Changed)
    } else {
        Removed::Removed
    }
}

/// How many items one transaction removes at most.
const AT_ONCE: usize = 200;
