//! Manifests that a purge removes: those that are dangling.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use wharf_metadata::pulls;
use wharf_metadata::purge::{self, ManifestItem};
use wharf_model::{ManifestId, RepositoryId, Timestamp};

use super::overlay::Relations;
use super::run::{AT_ONCE, Matched, PAGE, PurgeError, Run};
use super::state::Place;
use super::watch::PurgeItem;
use crate::{Check, ManifestRemoval, OnlyIf, Removed, Skipped, Target};

impl Run<'_> {
    /// Removes what is due of a page of manifests. Returns whether it was the last page.
    pub(super) async fn page_of_manifests(
        &mut self,
        repository: &Matched,
        id: RepositoryId,
        place: &mut Place,
    ) -> Result<bool, PurgeError> {
        let before = (Timestamp(place.before.0), place.before.1.clone());
        let read = self
            .artifacts
            .database()
            .read(move |c| Box::pin(async move { purge::list_manifests(c, id, &before, PAGE).await }));
        let mut page = read.await?;
        let Some(last) = page.last() else { return Ok(true) };
        let (end, is_end) = ((last.updated_at.0, last.digest.clone()), (page.len() as i64) < PAGE);
        page.retain(|item| self.spec.wants(&item.media_type, item.artifact_type.as_deref()));
        for part in self.due(repository, page, place).await?.chunks(AT_ONCE) {
            place.removed_indexes |= self.remove_manifests(repository, part).await?;
        }
        place.before = end;
        Ok(is_end)
    }

    /// Those of a page that are to be removed.
    async fn due(
        &mut self,
        repository: &Matched,
        page: Vec<ManifestItem>,
        place: &mut Place,
    ) -> Result<Vec<ManifestItem>, PurgeError> {
        let relations = if self.state.report.dry_run { Some(self.relations(&page).await?) } else { None };
        let uses = self.uses(&page).await?;
        let mut due = Vec::new();
        for mut item in page {
            if let Some(relations) = &relations {
                if self.overlay.holds(item.id) {
                    continue;
                }
                self.overlay.apply(&mut item, relations);
            }
            if item.has_tags || item.is_listed || item.has_subject || uses.contains_key(&item.id) {
                continue;
            }
            if !item.is_deletable && !self.spec.include_locked {
                if !place.is_again {
                    self.skipped(&repository.name, PurgeItem::Manifest(&item.digest), Skipped::Locked).await?;
                }
            } else if !place.spares(self.spec.keep, item.updated_at, &item.digest) {
                if self.state.report.dry_run {
                    self.overlay.remove_manifest(item.id);
                }
                due.push(item);
            }
        }
        Ok(due)
    }

    async fn relations(&self, page: &[ManifestItem]) -> Result<Relations, PurgeError> {
        let (tagged, listed) = self.overlay.open_questions(page);
        let database = self.artifacts.database();
        Ok(database.read(move |c| Box::pin(async move { Relations::read(c, &tagged, &listed).await })).await?)
    }

    /// When those of a page were used that were used too lately to go; empty where that does not matter.
    async fn uses(&self, page: &[ManifestItem]) -> Result<HashMap<ManifestId, Timestamp>, PurgeError> {
        let Some(used_before) = self.bounds.used_before else { return Ok(HashMap::new()) };
        let ids: Vec<ManifestId> = page.iter().map(|item| item.id).collect();
        let database = self.artifacts.database();
        let read = database.read(move |c| Box::pin(async move { pulls::list_manifest_uses(c, &ids).await }));
        let mut uses = read.await?;
        uses.retain(|_, used| *used >= used_before);
        Ok(uses)
    }

    /// Returns whether indexes are among those that were removed.
    async fn remove_manifests(&mut self, repository: &Matched, due: &[ManifestItem]) -> Result<bool, PurgeError> {
        let outcomes = if self.state.report.dry_run {
            vec![Removed::Removed; due.len()]
        } else {
            let removals: Vec<ManifestRemoval> = due.iter().map(removal_of).collect::<Result<_, _>>()?;
            let target = Target { registry: self.registry, repository: &repository.name };
            let check = self.bounds.used_before.map(unused_since);
            let began = Instant::now();
            let outcomes = self.artifacts.remove_manifests(target, &removals, &self.removal, check.as_ref()).await?;
            self.rest_after(began).await;
            outcomes
        };
        let mut removed_indexes = false;
        for (item, outcome) in due.iter().zip(outcomes) {
            let shown = PurgeItem::Manifest(&item.digest);
            match outcome {
                Removed::Removed => {
                    removed_indexes |= item.is_index;
                    let report = &mut self.state.report;
                    report.deleted_manifests += 1;
                    let bytes = u64::try_from(item.image_size_bytes).unwrap_or(0);
                    report.deleted_bytes = report.deleted_bytes.saturating_add(bytes);
                    self.removed(&repository.name, shown, !item.is_deletable).await?;
                }
                Removed::Skipped(reason) => self.skipped(&repository.name, shown, reason).await?,
            }
        }
        Ok(removed_indexes)
    }
}

/// The manifest must still dangle, and must not have been pushed again.
fn removal_of(item: &ManifestItem) -> Result<ManifestRemoval, wharf_metadata::Error> {
    let malformed = |_| wharf_metadata::Error::Malformed { what: "digest", value: item.digest.clone() };
    let only_if = OnlyIf { untagged: true, unlisted: true, without_subject: true, not_after: Some(item.updated_at) };
    Ok(ManifestRemoval { digest: item.digest.parse().map_err(malformed)?, only_if })
}

/// Those that were not used since then, asked when they are about to go.
fn unused_since(used_before: Timestamp) -> Check<ManifestId> {
    Arc::new(move |c, _, ids| {
        Box::pin(async move {
            let uses = pulls::list_manifest_uses(c, &ids).await?;
            Ok(ids.into_iter().filter(|id| uses.get(id).is_none_or(|used| *used < used_before)).collect())
        })
    })
}
