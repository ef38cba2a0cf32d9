//! Leaving a registry alone that is down or wants to be left alone.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wharf_model::Timestamp;
use wharf_upstream::UpstreamError;

use super::problem::Problem;

/// Which registries are left alone, and until when; one entry per registry and credential set, since each is throttled for
/// itself.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    entries: Mutex<HashMap<String, Entry>>,
    hasher: RandomState,
}

#[derive(Clone, Debug)]
struct Entry {
    failures: u32,
    until: Timestamp,
    problem: Problem,
}

impl BackOff {
    /// Why a registry is left alone now, and for how much longer.
    pub(super) fn find(&self, key: &str, now: Timestamp) -> Option<(Problem, Duration)> {
        let entries = self.lock();
        let entry = entries.get(key).filter(|entry| entry.until > now)?;
        Some((entry.problem.clone(), entry.until.since(now)))
    }

    /// Notes that it answers.
    pub(super) fn succeed(&self, key: &str) {
        self.lock().remove(key);
    }

    /// Notes that it failed, if that was for a reason that passes. Returns for how long it is left alone, if that is new.
    pub(super) fn fail(&self, key: &str, problem: &Problem, now: Timestamp) -> Option<Duration> {
        if !problem.is_transient() {
            return None;
        }
        let mut entries = self.lock();
        let failures = entries.get(key).map_or(1, |entry| entry.failures.saturating_add(1));
        // Requests that began before the first failure fail too, and tell nothing new.
        if entries.get(key).is_some_and(|entry| entry.until > now) {
            return None;
        }
        let wait = match problem {
            Problem::Upstream(UpstreamError::Throttled { retry_after, .. }) => {
                retry_after.unwrap_or(THROTTLED).clamp(SHORTEST, LONGEST_THROTTLED)
            }
            _ => (SHORTEST * 2_u32.saturating_pow(failures.min(16) - 1)).min(LONGEST),
        };
        // Up to a fifth more, so that not everybody comes back at the same time.
        let share = self.hasher.hash_one((key, failures, now.0)) % 200;
        let wait = wait + wait * u32::try_from(share).unwrap_or(0) / 1000;
        entries.insert(key.to_owned(), Entry { failures, until: now + wait, problem: problem.clone() });
        Some(wait)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// For registries that do not say for how long.
const THROTTLED: Duration = Duration::from_secs(30);
const LONGEST_THROTTLED: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    fn unavailable() -> Problem {
        UpstreamError::Unavailable { registry: "r".to_owned(), status: 503, message: None }.into()
    }

    fn throttled(seconds: Option<u64>) -> Problem {
        UpstreamError::Throttled { registry: "r".to_owned(), retry_after: seconds.map(Duration::from_secs) }.into()
    }

    #[test]
    fn waits_become_longer_until_it_answers() {
        let back_off = BackOff::default();
        let mut now = NOW;
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(back_off.find("r", now).is_none());
            let wait = back_off.fail("r", &unavailable(), now).unwrap().as_millis();
            assert!((expected * 1000..=expected * 1200).contains(&wait), "{expected} {wait}");
            assert!(back_off.find("r", now).is_some());
            assert!(back_off.fail("r", &unavailable(), now).is_none(), "others that were under way change nothing");
            now = now + Duration::from_millis(u64::try_from(wait).unwrap());
        }
        back_off.succeed("r");
        assert!(back_off.fail("r", &unavailable(), now).unwrap() < Duration::from_secs(2));
        assert!(back_off.find("other", now).is_none());
    }

    #[test]
    fn who_says_for_how_long_is_left_alone_for_so_long() {
        for (asked, least) in [(Some(60), 60), (None, 30), (Some(0), 1), (Some(1_000_000), 600)] {
            let wait = BackOff::default().fail("r", &throttled(asked), NOW).unwrap();
            let least = Duration::from_secs(least);
            assert!(wait >= least && wait <= least * 6 / 5, "{asked:?} {wait:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_no_reason_to_wait() {
        let back_off = BackOff::default();
        let missing = UpstreamError::NotFound { registry: "r".to_owned(), what: "x".to_owned() };
        assert!(back_off.fail("r", &missing.into(), NOW).is_none());
        assert!(back_off.find("r", NOW).is_none());
    }
}
