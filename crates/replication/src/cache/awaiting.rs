//! Tags that are to name a manifest as soon as it is stored.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wharf_model::{Digest, Tag};

use super::Place;

/// By repository and tag, the digest that the tag names where it comes from. What is asked about last counts, so that a
/// large image that was on its way longer does not take a tag back.
#[derive(Debug, Default)]
pub(super) struct Awaiting(Mutex<HashMap<String, HashMap<Tag, Digest>>>);

impl Awaiting {
    pub(super) fn put(&self, place: &Place, tag: &Tag, digest: &Digest) {
        let mut all = self.lock();
        // Tags that were asked about and never fetched; they are asked about again before anybody misses them.
        if all.len() >= MOST_REPOSITORIES {
            all.clear();
        }
        let tags = all.entry(place.key('/', "")).or_default();
        if tags.len() >= MOST_TAGS {
            tags.clear();
        }
        tags.insert(tag.clone(), digest.clone());
    }

    /// Takes the tags that wait for a manifest.
    pub(super) fn take(&self, place: &Place, digest: &Digest) -> Vec<Tag> {
        let mut all = self.lock();
        let key = place.key('/', "");
        let Some(tags) = all.get_mut(&key) else { return Vec::new() };
        let taken = tags.extract_if(|_, awaited| awaited == digest).map(|(tag, _)| tag).collect();
        if tags.is_empty() {
            all.remove(&key);
        }
        taken
    }

    pub(super) fn has(&self, place: &Place, digest: &Digest) -> bool {
        self.lock().get(&place.key('/', "")).is_some_and(|tags| tags.values().any(|awaited| awaited == digest))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<Tag, Digest>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MOST_REPOSITORIES: usize = 10_000;
const MOST_TAGS: usize = 10_000;
