//! Who pulled what, off the path of the pull.
//!
//! A request leaves its note in the [`Meter`] of the manifest that it was answered with: a few atomic operations and, for
//! the first since the last flush, one entry in a bounded list. A reconciler flushes the list every few seconds:
//!
//! ```text
//! GET ── Meter (pulls, last time) ── the first one: noted ─┐
//!                                                flush: sum up by manifest, tag and repository ── slices ──► database
//! ```
//!
//! What was not flushed when a process is killed is lost: some seconds. A flush that fails keeps what it has for the next.
//! No pull waits for any of this, and none fails because of it.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use wharf_metadata::pulls::{self, ITEMS_PER_NOTE, ManifestUse, RepositoryPulls, TagUse, Use};
use wharf_model::{ManifestId, RegistryName, RepositoryId, Tag, Timestamp};

use crate::{Artifacts, Error, Manifest};

/// The uses of a manifest, found by one tag or by its digest, since they were last taken.
#[derive(Debug)]
pub(crate) struct Meter {
    registry: RegistryName,
    repository: RepositoryId,
    manifest: ManifestId,
    /// The tag that it was found by, and when that was set first.
    tag: Option<(Tag, Timestamp)>,
    pulls: AtomicU64,
    pulled_at: AtomicI64,
    used_at: AtomicI64,
    /// Whether it is in the list of what is to be flushed.
    is_noted: AtomicBool,
}

impl Meter {
    pub(crate) fn new(
        registry: RegistryName,
        repository: RepositoryId,
        manifest: ManifestId,
        tag: Option<(Tag, Timestamp)>,
    ) -> Self {
        let (pulled_at, used_at) = (AtomicI64::new(0), AtomicI64::new(0));
        let (pulls, is_noted) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { registry, repository, manifest, tag, pulls, pulled_at, used_at, is_noted }
    }

    /// Records a use. Returns whether the meter has to be noted.
    fn record(&self, now: Timestamp, is_pull: bool) -> bool {
        // Each branch ends with one operation that nothing passes, so that either the flush sees the use or this sees that
        // the flush has begun.
        if is_pull {
            self.used_at.store(now.0, Ordering::Relaxed);
            self.pulled_at.store(now.0, Ordering::Relaxed);
            self.pulls.fetch_add(1, Ordering::SeqCst);
        } else {
            self.used_at.swap(now.0, Ordering::SeqCst);
        }
        !self.is_noted.load(Ordering::SeqCst) && !self.is_noted.swap(true, Ordering::SeqCst)
    }

    /// Takes the uses since the last time.
    fn take(&self) -> Use {
        self.is_noted.store(false, Ordering::SeqCst);
        let pulls = i64::try_from(self.pulls.swap(0, Ordering::SeqCst)).unwrap_or(i64::MAX);
        let time = |of: &AtomicI64| Timestamp(of.load(Ordering::SeqCst));
        Use { pulls, pulled_at: (pulls > 0).then(|| time(&self.pulled_at)), used_at: time(&self.used_at) }
    }
}

/// What is noted and not flushed yet.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    noted: Mutex<Vec<Arc<Meter>>>,
    /// What a flush summed up and did not write yet.
    sums: tokio::sync::Mutex<Sums>,
    /// Wakes the reconciler before its time, when the list is half full.
    flush_now: Arc<Notify>,
    /// Uses that found the list full.
    dropped: AtomicU64,
    /// Pulls per registry since the start.
    totals: Mutex<HashMap<String, u64>>,
}

impl Pulls {
    fn note(&self, meter: &Arc<Meter>) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() == MOST_NOTED {
            drop(noted);
            // A meter that is remembered keeps its uses and tries again with the next one.
            meter.is_noted.store(false, Ordering::SeqCst);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        noted.push(meter.clone());
        if noted.len() == MOST_NOTED / 2 {
            self.flush_now.notify_one();
        }
    }

    fn count_totals(&self, meter: &Meter, pulls: i64) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let name = meter.registry.as_str();
        let name = if totals.len() < MOST_TOTALS || totals.contains_key(name) { name } else { OTHERS };
        let pulls = u64::try_from(pulls).unwrap_or(0);
        match totals.get_mut(name) {
            Some(total) => *total += pulls,
            None => drop(totals.insert(name.to_owned(), pulls)),
        }
    }
}

/// Uses by what was used, in the order in which they are written.
#[derive(Debug, Default)]
struct Sums {
    has_begun: bool,
    manifests: BTreeMap<ManifestId, ManifestUse>,
    tags: BTreeMap<(RepositoryId, String), TagUse>,
    repositories: BTreeMap<RepositoryId, RepositoryPulls>,
}

impl Sums {
    fn add(&mut self, meter: &Meter, uses: Use) {
        let (repository, manifest) = (meter.repository, meter.manifest);
        let sum = self.manifests.entry(manifest).or_insert(ManifestUse { manifest, uses: NONE });
        add(&mut sum.uses, uses);
        if let Some((tag, created_at)) = &meter.tag {
            let (name, created_at) = (tag.as_str().to_owned(), *created_at);
            let new = || TagUse { repository, name: name.clone(), created_at, uses: NONE };
            let sum = self.tags.entry((repository, name.clone())).or_insert_with(new);
            // Of a tag that was deleted and set again, the new one counts.
            if sum.created_at < created_at {
                *sum = new();
            }
            if sum.created_at == created_at {
                add(&mut sum.uses, uses);
            }
        }
        if let Some(pulled_at) = uses.pulled_at {
            let new = RepositoryPulls { repository, pulls: 0, pulled_at };
            let sum = self.repositories.entry(repository).or_insert(new);
            sum.pulls = sum.pulls.saturating_add(uses.pulls);
            sum.pulled_at = sum.pulled_at.max(pulled_at);
        }
    }
}

fn add(sum: &mut Use, uses: Use) {
    sum.pulls = sum.pulls.saturating_add(uses.pulls);
    sum.pulled_at = sum.pulled_at.max(uses.pulled_at);
    sum.used_at = sum.used_at.max(uses.used_at);
}

const NONE: Use = Use { pulls: 0, pulled_at: None, used_at: Timestamp(i64::MIN) };

impl Artifacts {
    /// Notes that a client was answered with a manifest. A `GET` is a pull, also when the client has it already (304); a
    /// `HEAD` is none, but whoever asks so uses the manifest and may count on it to stay.
    ///
    /// Costs well under a microsecond, and nothing can go wrong. What the server itself reads is not noted.
    pub fn note_pull(&self, manifest: &Manifest, is_head: bool) {
        let Some(meter) = &manifest.meter else { return };
        if meter.record(self.now(), !is_head) {
            self.inner.pulls.note(meter);
        }
    }

    /// Writes what was noted. To be called every few seconds, at the end, and before something is decided by when it was
    /// last pulled. Each transaction is short; nobody waits for it but other writers.
    ///
    /// # Errors
    /// When the metadata fails. What was not written is kept for the next call.
    pub async fn flush_pulls(&self) -> Result<(), Error> {
        let pulls = &self.inner.pulls;
        let mut sums = pulls.sums.lock().await;
        let noted = mem::take(&mut *pulls.noted.lock().unwrap_or_else(PoisonError::into_inner));
        for meter in &noted {
            let uses = meter.take();
            pulls.count_totals(meter, uses.pulls);
            if sums.manifests.len() < MOST_NOTED || sums.manifests.contains_key(&meter.manifest) {
                sums.add(meter, uses);
            } else {
                pulls.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(noted);
        let dropped = pulls.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "Did not count {dropped} pulls: too many different manifests were pulled at once");
        }
        let database = &self.inner.database;
        if !sums.has_begun {
            let now = self.now();
            database.write(move |c| Box::pin(pulls::begin_counting(c, now))).await.map_err(Error::Metadata)?;
            sums.has_begun = true;
        }
        // Taken out before it is written: a write goes on when its caller is gone, and must not be repeated then.
        while let Some(part) = take_some(&mut sums.manifests) {
            let items: Vec<ManifestUse> = part.values().copied().collect();
            let write = database.write(move |c| Box::pin(async move { pulls::note_manifests(c, &items).await }));
            put_back_if_failed(&mut sums.manifests, part, write.await)?;
        }
        while let Some(part) = take_some(&mut sums.tags) {
            let items: Vec<TagUse> = part.values().cloned().collect();
            let write = database.write(move |c| Box::pin(async move { pulls::note_tags(c, &items).await }));
            put_back_if_failed(&mut sums.tags, part, write.await)?;
        }
        while let Some(part) = take_some(&mut sums.repositories) {
            let items: Vec<RepositoryPulls> = part.values().copied().collect();
            let write = database.write(move |c| Box::pin(async move { pulls::note_repositories(c, &items).await }));
            put_back_if_failed(&mut sums.repositories, part, write.await)?;
        }
        Ok(())
    }

    /// What wakes whoever calls [`Self::flush_pulls`] before its time.
    #[must_use]
    pub fn flush_pulls_now(&self) -> Arc<Notify> {
        self.inner.pulls.flush_now.clone()
    }

    /// How often something was pulled from each registry since this process began, as far as it was flushed. Beyond a
    /// thousand registries, the others are one, `*`.
    #[must_use]
    pub fn pull_totals(&self) -> Vec<(String, u64)> {
        let totals = self.inner.pulls.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.iter().map(|(name, &pulls)| (name.clone(), pulls)).collect()
    }
}

/// Takes as much from the beginning as one transaction writes.
fn take_some<K: Ord + Clone, V>(from: &mut BTreeMap<K, V>) -> Option<BTreeMap<K, V>> {
    let rest = match from.keys().nth(ITEMS_PER_NOTE).cloned() {
        Some(end) => from.split_off(&end),
        None => BTreeMap::new(),
    };
    Some(mem::replace(from, rest)).filter(|part| !part.is_empty())
}

fn put_back_if_failed<K: Ord, V>(
    to: &mut BTreeMap<K, V>,
    part: BTreeMap<K, V>,
    written: Result<(), wharf_metadata::Error>,
) -> Result<(), Error> {
    Ok(written.inspect_err(|_| to.extend(part))?)
}

/// How many meters may wait for a flush.
const MOST_NOTED: usize = 20_000;

/// How many registries are counted apart.
const MOST_TOTALS: usize = 1_000;

/// What the others are called. No registry can have this name.
const OTHERS: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(manifest: i64) -> Arc<Meter> {
        let registry = "contoso".parse().expect("it is a name");
        Arc::new(Meter::new(registry, RepositoryId(1), ManifestId(manifest), None))
    }

    #[test]
    fn a_meter_is_noted_once_until_its_uses_are_taken() {
        let meter = meter(1);
        assert!(meter.record(Timestamp(1), true));
        assert!(!meter.record(Timestamp(2), true));
        assert!(!meter.record(Timestamp(3), false));
        let uses = Use { pulls: 2, pulled_at: Some(Timestamp(2)), used_at: Timestamp(3) };
        assert_eq!(meter.take(), uses);
        assert!(meter.record(Timestamp(4), false));
        assert_eq!(meter.take(), Use { pulls: 0, pulled_at: None, used_at: Timestamp(4) });
    }

    #[test]
    fn no_use_is_lost_between_those_who_pull_and_the_flush() {
        let (meter, pulls) = (meter(1), Arc::new(Pulls::default()));
        let pullers: Vec<_> = (0..4)
            .map(|_| {
                let (meter, pulls) = (meter.clone(), pulls.clone());
                std::thread::spawn(move || {
                    for time in 0..100_000 {
                        if meter.record(Timestamp(time), true) {
                            pulls.note(&meter);
                        }
                    }
                })
            })
            .collect();
        let mut counted = 0;
        let mut flush = || {
            let noted = mem::take(&mut *pulls.noted.lock().unwrap());
            counted += noted.iter().map(|meter| meter.take().pulls).sum::<i64>();
        };
        while pullers.iter().any(|puller| !puller.is_finished()) {
            flush();
        }
        flush();
        assert_eq!(counted, 400_000);
    }

    #[test]
    fn the_list_is_bounded_and_what_finds_it_full_tries_again() {
        let pulls = Pulls::default();
        for number in 0..MOST_NOTED {
            let meter = meter(number as i64);
            assert!(meter.record(Timestamp(1), true));
            pulls.note(&meter);
        }
        let late = meter(-1);
        assert!(late.record(Timestamp(1), true));
        pulls.note(&late);
        assert_eq!(pulls.noted.lock().unwrap().len(), MOST_NOTED);
        assert_eq!(pulls.dropped.load(Ordering::Relaxed), 1);
        pulls.noted.lock().unwrap().clear();
        assert!(late.record(Timestamp(2), true));
        assert_eq!(late.take().pulls, 2);
    }

    #[test]
    fn parts_are_taken_from_the_beginning_until_nothing_is_left() {
        let mut map: BTreeMap<usize, ()> = (0..ITEMS_PER_NOTE * 2 + 1).map(|key| (key, ())).collect();
        let sizes: Vec<usize> = std::iter::from_fn(|| take_some(&mut map).map(|part| part.len())).collect();
        assert_eq!(sizes, [ITEMS_PER_NOTE, ITEMS_PER_NOTE, 1]);
    }

    #[test]
    fn what_was_not_written_is_kept() {
        let mut sums = BTreeMap::from([(1, "one"), (2, "two")]);
        let part = take_some(&mut sums).unwrap();
        assert!(put_back_if_failed(&mut sums, part, Err(wharf_metadata::Error::Closed)).is_err());
        assert_eq!(sums.len(), 2);
        let part = take_some(&mut sums).unwrap();
        assert!(put_back_if_failed(&mut sums, part, Ok(())).is_ok());
        assert!(sums.is_empty());
    }

    #[test]
    fn registries_are_counted_apart_up_to_a_bound() {
        let pulls = Pulls::default();
        for number in 0..MOST_TOTALS + 5 {
            let name = format!("registry{number}").parse().unwrap();
            pulls.count_totals(&Meter::new(name, RepositoryId(1), ManifestId(1), None), 2);
        }
        let totals = pulls.totals.lock().unwrap();
        assert_eq!((totals.len(), totals[OTHERS]), (MOST_TOTALS + 1, 10));
    }
}
