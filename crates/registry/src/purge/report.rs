//! What a purge did, or with a dry run would do.

use serde::{Deserialize, Serialize};

use crate::Skipped;

/// What a purge did until now. A run that was cut off and went on may count too little, by what its last batch removed, and
/// never too much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PurgeReport {
    /// Nothing was removed; the numbers tell what would have been.
    pub dry_run: bool,
    /// Repositories that were looked at.
    pub repositories: u64,
    /// Tags removed.
    pub deleted_tags: u64,
    /// Manifests removed. What refers to them goes with them and is not counted.
    pub deleted_manifests: u64,
    /// The sizes of the images that these manifests were. What they share with others is needed further on; the rest is freed
    /// by the collector.
    pub deleted_bytes: u64,
    /// What was not removed, though it is old and matches.
    pub skipped: SkippedCounts,
    /// The beginning of what would be removed, with a dry run: `team/app:v1`, `team/app@sha256:…`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// Whether there is more than `items` shows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_more_items: bool,
}

/// How much was not removed, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SkippedCounts {
    /// Tags and manifests that a lock keeps.
    pub locked: u64,
    /// Repositories that are locked whole.
    pub locked_repositories: u64,
    /// What was pushed, tagged or pulled while the purge ran.
    pub changed: u64,
    /// What somebody else removed while the purge ran.
    pub gone: u64,
}

impl PurgeReport {
    pub(crate) fn skip(&mut self, reason: Skipped) {
        let skipped = &mut self.skipped;
        match reason {
            Skipped::Locked => skipped.locked += 1,
            Skipped::Gone => skipped.gone += 1,
            Skipped::Changed | Skipped::Tagged | Skipped::Listed | Skipped::HasSubject | Skipped::Kept => {
                skipped.changed += 1;
            }
        }
    }

    /// Names what would go, as long as there is room.
    pub(crate) fn note(&mut self, name: String) {
        let held: usize = self.items.iter().map(|item| item.len() + QUOTES).sum();
        if self.has_more_items || held + name.len() + QUOTES > LIST_BYTES {
            self.has_more_items = true;
        } else {
            self.items.push(name);
        }
    }
}

/// How many bytes of names a report holds: it must fit into a job's result with the rest.
const LIST_BYTES: usize = 40 << 10;

/// What surrounds a name in JSON.
const QUOTES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_as_much_as_it_has_room_for() {
        let mut report = PurgeReport::default();
        for number in 0..100_000 {
            report.note(format!("team/app:build-{number}"));
        }
        assert!(report.has_more_items && report.items.len() > 1000);
        assert!(serde_json::to_string(&report).unwrap().len() < 60 << 10);
        let small = PurgeReport { items: vec!["a:b".into()], ..PurgeReport::default() };
        assert_eq!(serde_json::to_value(small).unwrap()["items"][0], "a:b");
    }

    #[test]
    fn what_is_skipped_is_counted_by_its_reason() {
        let mut report = PurgeReport::default();
        for reason in [Skipped::Locked, Skipped::Gone, Skipped::Changed, Skipped::Tagged, Skipped::Kept] {
            report.skip(reason);
        }
        assert_eq!(report.skipped, SkippedCounts { locked: 1, locked_repositories: 0, changed: 3, gone: 1 });
    }
}
