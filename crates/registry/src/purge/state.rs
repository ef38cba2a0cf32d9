//! How far a purge is: what a run that was cut off goes on from.

use serde::{Deserialize, Serialize};
use wharf_model::Timestamp;

use super::report::PurgeReport;
use super::spec::{PurgeSpec, Untagged};

/// How far a purge is. Kept by whoever runs it, and given to the next run after one that was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PurgeState {
    /// When it began, in microseconds: ages are counted from here, however long it takes.
    as_of: i64,
    /// The repository that is worked on, or was last.
    pub(crate) repository: Option<String>,
    /// Where in it; `None` when it is done.
    pub(crate) place: Option<Place>,
    /// What was done until now.
    pub report: PurgeReport,
    /// Whether there is nothing left to do.
    pub is_complete: bool,
}

/// A place in a repository. Tags and manifests are gone through from the newest to the oldest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Place {
    pub(crate) step: Step,
    /// What is older than this follows: a time in microseconds, and a tag or a digest.
    pub(crate) before: (i64, String),
    /// How many were spared as the newest.
    pub(crate) spared: u64,
    /// The last one that was spared, once there were enough: what is as new is spared too.
    pub(crate) spared_until: Option<(i64, String)>,
    /// Whether indexes were removed on this way through the manifests: what they listed may go on the next.
    pub(crate) removed_indexes: bool,
    /// Whether the manifests are gone through once more.
    pub(crate) is_again: bool,
}

/// What is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Step {
    /// Tags.
    Tags,
    /// Manifests without a tag.
    Manifests,
}

impl PurgeState {
    /// A purge that begins.
    #[must_use]
    pub fn begin(as_of: Timestamp, dry_run: bool) -> Self {
        let report = PurgeReport { dry_run, ..PurgeReport::default() };
        Self { as_of: as_of.0, repository: None, place: None, report, is_complete: false }
    }

    /// When it began.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        Timestamp(self.as_of)
    }
}

/// Since when what is removed was not touched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Pushed or set before this.
    pub(crate) cutoff: Timestamp,
    /// Used before this, if that matters.
    pub(crate) used_before: Option<Timestamp>,
}

impl Bounds {
    pub(crate) fn of(spec: &PurgeSpec, as_of: Timestamp) -> Self {
        Self {
            cutoff: spec.ago.map_or(as_of, |age| as_of - age.span()),
            used_before: spec.last_pulled.map(|age| as_of - age.span()),
        }
    }

    /// Everything newer is not even looked at. A push is a use.
    fn newest(self) -> Timestamp {
        self.used_before.map_or(self.cutoff, |used| used.min(self.cutoff))
    }
}

impl Place {
    /// The beginning of a repository.
    pub(crate) fn first(spec: &PurgeSpec, bounds: Bounds) -> Self {
        match spec.untagged {
            Untagged::Only => Self::of_manifests(bounds),
            Untagged::Stay | Untagged::Too => Self::at(Step::Tags, bounds.newest().0),
        }
    }

    /// What follows after the last page; `None` at the end of the repository.
    pub(crate) fn next(&self, spec: &PurgeSpec, bounds: Bounds) -> Option<Self> {
        match self.step {
            Step::Tags if spec.untagged == Untagged::Too => Some(Self::of_manifests(bounds)),
            Step::Tags => None,
            // Once more: what was listed by nothing but indexes that are gone is dangling now. It ends, since each way
            // through removes an index at least.
            Step::Manifests if self.removed_indexes => {
                let first = Self::of_manifests(bounds);
                Some(Self { spared: self.spared, spared_until: self.spared_until.clone(), is_again: true, ..first })
            }
            Step::Manifests => None,
        }
    }

    /// As in acr purge, a tag must be older than the limit, and a manifest at least as old.
    fn of_manifests(bounds: Bounds) -> Self {
        Self::at(Step::Manifests, bounds.newest().0.saturating_add(1))
    }

    fn at(step: Step, time: i64) -> Self {
        let before = (time, String::new());
        Self { step, before, spared: 0, spared_until: None, removed_indexes: false, is_again: false }
    }

    /// Whether the one at this position, which could be removed, is one of the `keep` newest.
    pub(crate) fn spares(&mut self, keep: u64, updated_at: Timestamp, name: &str) -> bool {
        if self.spared < keep {
            self.spared += 1;
            if self.spared == keep {
                self.spared_until = Some((updated_at.0, name.to_owned()));
            }
            return true;
        }
        self.spared_until.as_ref().is_some_and(|(time, last)| (updated_at.0, name) >= (*time, last.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_spared_and_what_turns_up_among_them_later() {
        let spec = PurgeSpec { untagged: Untagged::Only, ..PurgeSpec::default() };
        let bounds = Bounds::of(&spec, Timestamp(100));
        let mut place = Place::first(&spec, bounds);
        let spared: Vec<bool> = [90, 80, 70, 60].map(|time| place.spares(2, Timestamp(time), "x")).into();
        assert_eq!(spared, [true, true, false, false]);
        assert_eq!(place.next(&spec, bounds), None);
        place.removed_indexes = true;
        let mut again = place.next(&spec, bounds).unwrap();
        let spared: Vec<bool> = [95, 80, 79].map(|time| again.spares(2, Timestamp(time), "x")).into();
        assert_eq!(spared, [true, true, false]);
        assert!(!Place::first(&spec, bounds).spares(0, Timestamp(1), "x"));
    }

    #[test]
    fn a_state_survives_being_written_down() {
        let mut state = PurgeState::begin(Timestamp(7), true);
        state.repository = Some("team/app".into());
        state.place = Some(Place::at(Step::Manifests, 5));
        let json = serde_json::to_value(&state).unwrap();
        assert_eq!(serde_json::from_value::<PurgeState>(json).unwrap(), state);
    }
}
