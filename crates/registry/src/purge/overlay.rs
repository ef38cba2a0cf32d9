//! What a dry run pretends to have removed from a repository, so that it finds what the purge itself would find then.

use std::collections::{HashMap, HashSet};

use wharf_metadata::purge::{self, ManifestItem};
use wharf_metadata::{Connection, Error};
use wharf_model::ManifestId;

/// What is taken for removed. Some bytes for each; one repository at a time.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// How many tags each manifest lost.
    untagged: HashMap<ManifestId, i64>,
    manifests: HashSet<ManifestId>,
}

impl Overlay {
    pub(crate) fn remove_tag(&mut self, manifest: ManifestId) {
        *self.untagged.entry(manifest).or_default() += 1;
    }

    pub(crate) fn remove_manifest(&mut self, manifest: ManifestId) {
        self.manifests.insert(manifest);
    }

    pub(crate) fn holds(&self, manifest: ManifestId) -> bool {
        self.manifests.contains(&manifest)
    }

    /// Of a page, those manifests whose tags must be counted, and those whose indexes must be known.
    pub(crate) fn open_questions(&self, page: &[ManifestItem]) -> (Vec<ManifestId>, Vec<ManifestId>) {
        let tagged = page.iter().filter(|item| item.has_tags && self.untagged.contains_key(&item.id));
        let listed = page.iter().filter(|item| item.is_listed && !self.manifests.is_empty());
        (tagged.map(|item| item.id).collect(), listed.map(|item| item.id).collect())
    }

    /// The manifest as it would be.
    pub(crate) fn apply(&self, item: &mut ManifestItem, relations: &Relations) {
        if let (Some(removed), Some(count)) = (self.untagged.get(&item.id), relations.tags.get(&item.id)) {
            item.has_tags = count > removed;
        }
        if let Some(parents) = relations.parents.get(&item.id) {
            item.is_listed = parents.iter().any(|parent| !self.manifests.contains(parent));
        }
    }
}

/// What the database says of a page of manifests.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    tags: HashMap<ManifestId, i64>,
    parents: HashMap<ManifestId, Vec<ManifestId>>,
}

impl Relations {
    pub(crate) async fn read(c: &mut Connection, tagged: &[ManifestId], listed: &[ManifestId]) -> Result<Self, Error> {
        let mut relations = Self { tags: purge::count_tags(c, tagged).await?.into_iter().collect(), ..Self::default() };
        for (child, parent) in purge::list_parents(c, listed).await? {
            relations.parents.entry(child).or_default().push(parent);
        }
        Ok(relations)
    }
}
