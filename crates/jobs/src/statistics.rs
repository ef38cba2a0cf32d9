//! Counts since the start, for metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use wharf_metadata::jobs::State;

/// What the workers of this process did, by kind.
#[derive(Debug, Default)]
pub struct Statistics {
    kinds: Mutex<BTreeMap<&'static str, KindStatistics>>,
}

/// What the workers of one kind did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindStatistics {
    /// Attempts that were begun.
    pub attempts: u64,
    /// Attempts that failed and are followed by another.
    pub retried: u64,
    /// Jobs that succeeded.
    pub succeeded: u64,
    /// Jobs that were given up.
    pub failed: u64,
    /// Jobs that were called off.
    pub canceled: u64,
    /// Jobs that waited when they were counted last, on all nodes.
    pub pending: u64,
    /// Jobs that ran when they were counted last, on all nodes.
    pub running: u64,
}

impl Statistics {
    /// All kinds that have a worker here.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<&'static str, KindStatistics> {
        self.lock().clone()
    }

    pub(crate) fn count(&self, kind: &'static str, count: impl FnOnce(&mut KindStatistics)) {
        count(self.lock().entry(kind).or_default());
    }

    /// Takes over how many jobs are open.
    pub(crate) fn set_open(&self, counts: &[(String, State, i64)]) {
        for (kind, statistics) in self.lock().iter_mut() {
            let of = |state| {
                let count = counts.iter().find(|(name, counted, _)| name == kind && *counted == state);
                count.map_or(0, |(_, _, count)| u64::try_from(*count).unwrap_or(0))
            };
            (statistics.pending, statistics.running) = (of(State::Pending), of(State::Running));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, KindStatistics>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
