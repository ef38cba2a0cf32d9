//! How far an import is.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// How far an import is, as those see it who poll its operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImportProgress {
    /// What goes on: `Finding`, `Copying`, `Tagging`.
    pub step: String,
    /// 0 to 100, by bytes.
    pub percent_complete: u64,
    /// Bytes of blobs that are here, of the target's first repository.
    pub bytes: u64,
    /// Bytes of all blobs.
    pub total_bytes: u64,
    /// Of `bytes`, those that were fetched; the others were here.
    pub fetched_bytes: u64,
    /// Blobs that are here.
    pub blobs: u64,
    /// All blobs.
    pub total_blobs: u64,
    /// All manifests.
    pub manifests: u64,
}

/// The counters behind it, shared by whoever copies.
#[derive(Debug, Default)]
pub(super) struct Counters {
    step: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) total_bytes: AtomicU64,
    pub(super) fetched_bytes: AtomicU64,
    pub(super) blobs: AtomicU64,
    pub(super) total_blobs: AtomicU64,
    pub(super) manifests: AtomicU64,
}

/// What goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Finding,
    Copying,
    Tagging,
}

impl Counters {
    pub(super) fn begin(&self, step: Step) {
        self.step.store(step as u64, Ordering::Relaxed);
    }

    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn show(&self) -> ImportProgress {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (bytes, total_bytes) = (get(&self.bytes), get(&self.total_bytes));
        let steps = [Step::Finding, Step::Copying, Step::Tagging];
        let step = steps.into_iter().find(|step| *step as u64 == get(&self.step)).unwrap_or(Step::Finding);
        let percent_complete = match step {
            Step::Finding => 0,
            // The last hundredth is that of the tags.
            Step::Copying => bytes.saturating_mul(99).checked_div(total_bytes).unwrap_or(99).min(99),
            Step::Tagging => 99,
        };
        ImportProgress {
            step: format!("{step:?}"),
            percent_complete,
            bytes,
            total_bytes,
            fetched_bytes: get(&self.fetched_bytes),
            blobs: get(&self.blobs),
            total_blobs: get(&self.total_blobs),
            manifests: get(&self.manifests),
        }
    }
}
