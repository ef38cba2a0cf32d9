//! What a node remembers of the database, and the rule by which it never remembers what is no longer true.
//!
//! A reader that misses takes a [`Fence`] first, reads the database, and stores what it found only if the fence still
//! stands. A writer breaks the fence of a key and drops the entry, under the same lock, after its commit and before it
//! answers. So a reader that began before the commit cannot put back the old value after it:
//!
//! ```text
//! reader   fence ── read old ───────────────────── store: fence broken, dropped
//! writer             commit ── break + drop ── answer
//! ```

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use wharf_metadata::RegistryRow;
use wharf_model::{RegistryId, RepositoryName};

use crate::blobs::CachedBlob;
use crate::manifests::Manifest;

/// The caches of one node.
pub(crate) struct Caches {
    /// By name. Lives for a second at most, since a deleted registry leaves no entry in the change log.
    pub(crate) registries: Fenced<Arc<RegistryRow>>,
    /// By repository and tag or digest. What a lock keeps from being pulled is not remembered, here and below.
    pub(crate) manifests: Fenced<Arc<Manifest>>,
    /// By repository and digest.
    pub(crate) blobs: Fenced<Arc<CachedBlob>>,
}

impl Caches {
    /// With `enabled` false nothing is ever remembered: other nodes write to the database too.
    pub(crate) fn new(enabled: bool) -> Self {
        let bytes = |mebibytes: u64| if enabled { mebibytes << 20 } else { 0 };
        Self {
            registries: Fenced::new(bytes(1), Some(Duration::from_secs(1)), |_| 512),
            manifests: Fenced::new(bytes(16), None, |manifest| manifest.bytes.len() + ENTRY_BYTES),
            blobs: Fenced::new(bytes(16), None, |blob| blob.inline_bytes() + ENTRY_BYTES),
        }
    }
}

impl Caches {
    /// Forgets all that repositories hold.
    pub(crate) fn forget_content(&self) {
        self.manifests.invalidate_all();
        self.blobs.invalidate_all();
    }
}

/// The key of something in a repository: `7/team/app@sha256:…` or `7/team/app:v1`.
pub(crate) fn key(registry: RegistryId, repository: &RepositoryName, separator: char, name: &str) -> String {
    let mut key = String::with_capacity(24 + repository.as_str().len() + name.len());
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = registry.0.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    key.extend(digits[at..].iter().map(|&digit| char::from(digit)));
    key.push('/');
    key.push_str(repository.as_str());
    key.push(separator);
    key.push_str(name);
    key
}

/// A bounded cache whose entries are never older than the last commit that concerned them.
pub(crate) struct Fenced<V> {
    entries: Cache<String, V, RandomState>,
    generations: Box<[Mutex<u64>]>,
    hasher: RandomState,
    enabled: bool,
}

/// Proof of when a reader began.
pub(crate) struct Fence {
    slot: usize,
    generation: u64,
}

impl<V: Clone + Send + Sync + 'static> Fenced<V> {
    fn new(capacity_bytes: u64, time_to_live: Option<Duration>, weigh: fn(&V) -> usize) -> Self {
        let mut builder = Cache::builder()
            .max_capacity(capacity_bytes)
            .weigher(move |key: &String, value: &V| u32::try_from(key.len() + weigh(value)).unwrap_or(u32::MAX));
        if let Some(span) = time_to_live {
            builder = builder.time_to_live(span);
        }
        Self {
            entries: builder.build_with_hasher(RandomState::new()),
            generations: (0..SLOTS).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
            enabled: capacity_bytes > 0,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<V> {
        if self.enabled { self.entries.get(key) } else { None }
    }

    /// To be taken before the database is read.
    pub(crate) fn fence(&self, key: &str) -> Fence {
        let slot = self.slot(key);
        let generation = *self.generations[slot].lock().unwrap_or_else(PoisonError::into_inner);
        Fence { slot, generation }
    }

    /// Remembers what was read, unless somebody changed it since the fence was taken.
    pub(crate) fn store(&self, key: String, value: V, fence: &Fence) {
        if !self.enabled {
            return;
        }
        let generation = self.generations[fence.slot].lock().unwrap_or_else(PoisonError::into_inner);
        if *generation == fence.generation {
            self.entries.insert(key, value);
        }
    }

    /// To be called after a commit that concerns the key, before anybody is told of it.
    pub(crate) fn invalidate(&self, key: &str) {
        if !self.enabled {
            return;
        }
        let mut generation = self.generations[self.slot(key)].lock().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        self.entries.invalidate(key);
    }

    /// As [`Self::invalidate`], for every key.
    pub(crate) fn invalidate_all(&self) {
        if !self.enabled {
            return;
        }
        for generation in &self.generations {
            *generation.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
        self.entries.invalidate_all();
    }

    fn slot(&self, key: &str) -> usize {
        (self.hasher.hash_one(key) as usize) % SLOTS
    }
}

/// Fences. Keys that share one only make each other's reads go uncached now and then.
const SLOTS: usize = 256;

/// What an entry costs besides its bytes.
const ENTRY_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> Fenced<u32> {
        Fenced::new(1 << 20, None, |_| 4)
    }

    #[test]
    fn a_reader_that_began_before_a_commit_cannot_store_what_it_read() {
        let cache = cache();
        let fence = cache.fence("k");
        cache.invalidate("k");
        cache.store("k".into(), 1, &fence);
        assert_eq!(cache.get("k"), None);
        let fence = cache.fence("k");
        cache.store("k".into(), 2, &fence);
        assert_eq!(cache.get("k"), Some(2));
    }

    #[test]
    fn nothing_is_remembered_when_others_write_too() {
        let cache: Fenced<u32> = Fenced::new(0, None, |_| 4);
        let fence = cache.fence("k");
        cache.store("k".into(), 1, &fence);
        assert_eq!(cache.get("k"), None);
    }

    #[test]
    fn keys_tell_registries_and_kinds_apart() {
        let name: RepositoryName = "a/b".parse().unwrap();
        assert_eq!(key(RegistryId(70), &name, ':', "v1"), "70/a/b:v1");
        assert_eq!(key(RegistryId(0), &name, '@', "sha256:x"), "0/a/b@sha256:x");
    }
}
