//! Tags that a purge removes.

use std::sync::Arc;
use std::time::Instant;

use wharf_metadata::pulls;
use wharf_metadata::purge::{self, TagItem};
use wharf_model::{RepositoryId, Tag, Timestamp};

use super::run::{AT_ONCE, Matched, PAGE, PurgeError, Run, matching};
use super::state::Place;
use super::watch::PurgeItem;
use crate::{Check, Removed, Skipped, TagRemoval, Target};

impl Run<'_> {
    /// Removes what is due of a page of tags. Returns whether it was the last page.
    pub(super) async fn page_of_tags(
        &mut self,
        repository: &Matched,
        id: RepositoryId,
        place: &mut Place,
    ) -> Result<bool, PurgeError> {
        let before = (Timestamp(place.before.0), place.before.1.clone());
        let read = self
            .artifacts
            .database()
            .read(move |c| Box::pin(async move { purge::list_tags(c, id, &before, PAGE).await }));
        let page = read.await?;
        let Some(last) = page.last() else { return Ok(true) };
        let (end, is_end) = ((last.updated_at.0, last.name.clone()), (page.len() as i64) < PAGE);
        let mut due = Vec::new();
        for item in self.matching_tags(repository, id, page).await? {
            if !item.is_deletable && !self.spec.include_locked {
                self.skipped(&repository.name, PurgeItem::Tag(&item.name), Skipped::Locked).await?;
            } else if !place.spares(self.spec.keep, item.updated_at, &item.name) {
                due.push(item);
            }
        }
        for part in due.chunks(AT_ONCE) {
            self.remove_tags(repository, part).await?;
        }
        place.before = end;
        Ok(is_end)
    }

    /// Those of a page of tags that the filter, the types and the time of their last use are about.
    async fn matching_tags(
        &self,
        repository: &Matched,
        id: RepositoryId,
        mut page: Vec<TagItem>,
    ) -> Result<Vec<TagItem>, PurgeError> {
        page.retain(|item| self.spec.wants(&item.media_type, item.artifact_type.as_deref()));
        if let Some(pattern) = repository.tags.clone() {
            let place = format!("tags of {}", repository.name);
            let limit = self.spec.filter_timeout();
            let found =
                matching(place, limit, page, move |item: &TagItem| Ok(pattern.matches(&item.name)?.then_some(())));
            page = found.await?.into_iter().map(|(item, ())| item).collect();
        }
        if let Some(used_before) = self.bounds.used_before {
            let names: Vec<String> = page.iter().map(|item| item.name.clone()).collect();
            let read = self.artifacts.database().read(move |c| {
                Box::pin(async move {
                    pulls::list_tag_uses(c, id, &names.iter().map(String::as_str).collect::<Vec<_>>()).await
                })
            });
            let uses = read.await?;
            page.retain(|item| uses.get(&item.name).is_none_or(|used| *used < used_before));
        }
        Ok(page)
    }

    async fn remove_tags(&mut self, repository: &Matched, due: &[TagItem]) -> Result<(), PurgeError> {
        let outcomes = if self.state.report.dry_run {
            due.iter().for_each(|item| self.overlay.remove_tag(item.manifest));
            vec![Removed::Removed; due.len()]
        } else {
            let removals: Vec<TagRemoval> = due.iter().map(removal_of).collect::<Result<_, _>>()?;
            let target = Target { registry: self.registry, repository: &repository.name };
            let check = self.bounds.used_before.map(unused_since);
            let began = Instant::now();
            let outcomes = self.artifacts.remove_tags(target, &removals, &self.removal, check.as_ref()).await?;
            self.rest_after(began).await;
            outcomes
        };
        for (item, outcome) in due.iter().zip(outcomes) {
            let shown = PurgeItem::Tag(&item.name);
            match outcome {
                Removed::Removed => {
                    self.state.report.deleted_tags += 1;
                    self.removed(&repository.name, shown, !item.is_deletable).await?;
                }
                Removed::Skipped(reason) => self.skipped(&repository.name, shown, reason).await?,
            }
        }
        Ok(())
    }
}

/// The tag must still be what it was when it was looked at: whoever sets it again, be it to the same manifest, keeps it.
fn removal_of(item: &TagItem) -> Result<TagRemoval, wharf_metadata::Error> {
    let malformed = |what, value: &str| wharf_metadata::Error::Malformed { what, value: value.to_owned() };
    Ok(TagRemoval {
        tag: item.name.parse().map_err(|_| malformed("tag", &item.name))?,
        digest: Some(item.digest.parse().map_err(|_| malformed("digest", &item.digest))?),
        not_after: Some(item.updated_at),
    })
}

/// Those that were not used since then, asked when they are about to go.
fn unused_since(used_before: Timestamp) -> Check<Tag> {
    Arc::new(move |c, repository, tags| {
        Box::pin(async move {
            let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            let uses = pulls::list_tag_uses(c, repository, &names).await?;
            let is_unused = |tag: &Tag| uses.get(tag.as_str()).is_none_or(|used| *used < used_before);
            Ok(tags.iter().filter(|tag| is_unused(tag)).cloned().collect())
        })
    })
}
