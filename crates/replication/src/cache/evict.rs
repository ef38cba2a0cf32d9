//! Holding the cache to its size: what was pulled least recently goes first.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use wharf_metadata::cached::{self, Evictable};
use wharf_metadata::{RegistryRow, registries};
use wharf_model::{ManifestId, RegistryId, RepositoryName};
use wharf_registry::{Check, ManifestRemoval, OnlyIf, Removal, Removed, Target};

use super::{Cache, CacheError};

/// What an eviction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvictReport {
    /// The bytes that the cache took before.
    pub size_bytes: u64,
    /// How many manifests were removed.
    pub removed_manifests: u64,
}

impl Cache {
    /// Removes what was pulled least recently until the cache takes no more than it may. What was pushed, and what a lock
    /// keeps, stays; so the bound may be passed by what cannot go. The bytes go with the next collections.
    ///
    /// To be called now and then. Safe to run on every node at the same time.
    ///
    /// # Errors
    /// When the stores fail; what was removed before that stays removed.
    pub async fn evict(&self) -> Result<EvictReport, CacheError> {
        let Some(max_bytes) = self.0.settings.max_bytes else { return Ok(EvictReport::default()) };
        let mut report = EvictReport::default();
        // Each pull counts, also those of the last seconds.
        self.0.artifacts.flush_pulls().await?;
        loop {
            let database = self.0.artifacts.database();
            let size_bytes = database.read(|c| Box::pin(cached::size_bytes(c))).await?;
            if report.size_bytes == 0 {
                report.size_bytes = size_bytes;
            }
            if size_bytes <= max_bytes {
                return Ok(report);
            }
            let candidates = database.read(|c| Box::pin(cached::list_evictable(c, AT_ONCE))).await?;
            let removed = self.evict_some(candidates, size_bytes - max_bytes).await?;
            report.removed_manifests += removed;
            if removed == 0 {
                tracing::warn!(
                    size_bytes,
                    max_bytes,
                    "The cache takes {size_bytes} bytes where it may take {max_bytes}; nothing more of it can go"
                );
                return Ok(report);
            }
        }
    }

    /// Removes the first of the candidates that together take so many bytes.
    async fn evict_some(&self, candidates: Vec<Evictable>, excess_bytes: u64) -> Result<u64, CacheError> {
        let mut left = excess_bytes;
        let mut chosen: BTreeMap<(i64, RepositoryName), Vec<Evictable>> = BTreeMap::new();
        for candidate in candidates {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(candidate.size_bytes);
            chosen.entry((candidate.registry.0, candidate.repository.clone())).or_default().push(candidate);
        }
        let mut removed = 0;
        for ((registry, repository), items) in chosen {
            let Some(registry) = self.find_registry(RegistryId(registry)).await? else { continue };
            let target = Target { registry: &registry, repository: &repository };
            let removals: Vec<ManifestRemoval> = items
                .iter()
                .map(|item| ManifestRemoval { digest: item.digest.clone(), only_if: OnlyIf::default() })
                .collect();
            // It can be had again from where it came: the trash would only keep the bytes.
            let removal = Removal { actor: ACTOR.to_owned(), include_locked: false, bypass_trash: true };
            let outcomes =
                self.0.artifacts.remove_manifests(target, &removals, &removal, Some(&still_evictable())).await?;
            removed += outcomes.iter().filter(|outcome| **outcome == Removed::Removed).count() as u64;
        }
        Ok(removed)
    }

    async fn find_registry(&self, id: RegistryId) -> Result<Option<RegistryRow>, CacheError> {
        let database = self.0.artifacts.database();
        Ok(database.read(move |c| Box::pin(async move { registries::find(c, id).await })).await?)
    }
}

/// Looks again in the transaction that removes: somebody may have tagged it meanwhile.
fn still_evictable() -> Check<ManifestId> {
    Arc::new(|c, _, ids| {
        Box::pin(async move { Ok(cached::filter_evictable(c, &ids).await?.into_iter().collect::<HashSet<_>>()) })
    })
}

/// How many candidates are looked at at a time.
const AT_ONCE: i64 = 200;
/// Who removes, for the change log.
const ACTOR: &str = "cache eviction";
