//! What a purge is to remove.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::age::Age;
use super::filter::{Filter, FilterError, Filters};

/// What a purge is to remove: the flags of `acr purge`, and some of ours. Policies keep it as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PurgeSpec {
    /// Which repositories and tags: `<repository expression>:<tag expression>`. A repository that none matches is left alone.
    /// With [`Untagged::Only`] their tag expressions do not matter, and none at all means every repository.
    pub filters: Vec<String>,
    /// Only what was last pushed or set at least so long ago.
    pub ago: Option<Age>,
    /// Only what was neither pulled nor pushed for so long.
    pub last_pulled: Option<Age>,
    /// How many of the newest tags that would be removed are spared in each repository; and likewise of the manifests.
    pub keep: u64,
    /// Whether manifests without a tag go.
    pub untagged: Untagged,
    /// Whether what a lock of its own keeps is unlocked and removed.
    pub include_locked: bool,
    /// Only manifests, or tags of manifests, whose media type or artifact type is one of these; `*` at an end stands for
    /// any ending. Empty: all.
    pub types: Vec<String>,
    /// How long matching a page of names with an expression may take.
    pub filter_timeout_seconds: u64,
}

/// Whether manifests without a tag go: those that no tag names, that no index lists, and that refer to no subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Untagged {
    /// They stay.
    #[default]
    Stay,
    /// They go once the tags are removed.
    Too,
    /// They go, and no tag does.
    Only,
}

/// What is wrong with a specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No filter says what it is about.
    #[error("no filter says which tags are to be removed; '.*:.*' stands for all of them")]
    FiltersMissing,
    /// Nothing says how old tags must be.
    #[error("nothing says how old a tag must be to be removed; '0d' is any age")]
    AgeMissing,
    /// A filter cannot be used.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A type is none.
    #[error(
        "'{0}' is no media type or artifact type; write it as 'application/vnd.example.thing' or 'application/vnd.example.*'"
    )]
    Type(String),
    /// There are more types than anybody needs.
    #[error("there are {0} types; {MOST_TYPES} are allowed")]
    TooManyTypes(usize),
    /// There is more of it than can be kept.
    #[error("filters and types have {0} bytes together; {LONGEST_SPEC} are allowed")]
    TooLong(usize),
}

impl Default for PurgeSpec {
    fn default() -> Self {
        Self {
            filters: Vec::new(),
            ago: None,
            last_pulled: None,
            keep: 0,
            untagged: Untagged::Stay,
            include_locked: false,
            types: Vec::new(),
            filter_timeout_seconds: FILTER_TIMEOUT_SECONDS,
        }
    }
}

impl PurgeSpec {
    /// Checks that it can be carried out.
    ///
    /// # Errors
    /// [`SpecError`].
    pub fn check(&self) -> Result<(), SpecError> {
        self.compile().map(|_| ())
    }

    /// Checks it and compiles its filters; `None` stands for every repository.
    pub(crate) fn compile(&self) -> Result<Option<Filters>, SpecError> {
        if self.untagged != Untagged::Only {
            if self.filters.is_empty() {
                return Err(SpecError::FiltersMissing);
            }
            if self.ago.is_none() && self.last_pulled.is_none() {
                return Err(SpecError::AgeMissing);
            }
        }
        if self.types.len() > MOST_TYPES {
            return Err(SpecError::TooManyTypes(self.types.len()));
        }
        let length = self.filters.iter().chain(&self.types).map(String::len).sum();
        if length > LONGEST_SPEC {
            return Err(SpecError::TooLong(length));
        }
        if let Some(wrong) = self.types.iter().find(|text| !is_type(text)) {
            return Err(SpecError::Type(wrong.clone()));
        }
        if self.filters.is_empty() {
            return Ok(None);
        }
        let filters = self.filters.iter().map(|text| text.parse()).collect::<Result<Vec<Filter>, _>>()?;
        Ok(Some(Filters::new(&filters, self.steps())?))
    }

    /// How long matching a page of names may take.
    pub(crate) fn filter_timeout(&self) -> Duration {
        Duration::from_secs(self.filter_timeout_seconds.clamp(1, LONGEST_FILTER_TIMEOUT_SECONDS))
    }

    fn steps(&self) -> usize {
        usize::try_from(self.filter_timeout().as_secs()).unwrap_or(1) * STEPS_PER_SECOND
    }

    /// Whether a manifest of these types is one that may go.
    pub(crate) fn wants(&self, media_type: &str, artifact_type: Option<&str>) -> bool {
        let is_one = |given: &str| self.types.iter().any(|wanted| is_of_type(wanted, given));
        self.types.is_empty() || is_one(media_type) || artifact_type.is_some_and(is_one)
    }
}

fn is_type(text: &str) -> bool {
    let body = text.strip_suffix('*').unwrap_or(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+/".contains(c);
    !text.is_empty() && text.len() <= 255 && body.chars().all(is_plain)
}

/// Media types have no case.
fn is_of_type(wanted: &str, given: &str) -> bool {
    match wanted.strip_suffix('*') {
        None => wanted.eq_ignore_ascii_case(given),
        Some(start) => given.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)),
    }
}

/// As acr purge has it.
const FILTER_TIMEOUT_SECONDS: u64 = 60;
const LONGEST_FILTER_TIMEOUT_SECONDS: u64 = 600;
/// How many steps of matching about take a second on a slow machine.
const STEPS_PER_SECOND: usize = 1_000_000;
const MOST_TYPES: usize = 100;
/// In bytes: it must fit into a job.
const LONGEST_SPEC: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(filters: &[&str]) -> PurgeSpec {
        let filters = filters.iter().map(|&text| text.to_owned()).collect();
        PurgeSpec { filters, ago: Some("1d".parse().unwrap()), ..PurgeSpec::default() }
    }

    #[test]
    fn what_is_to_be_removed_must_be_said() {
        assert_eq!(spec(&["a:b"]).check(), Ok(()));
        assert_eq!(spec(&[]).check(), Err(SpecError::FiltersMissing));
        assert_eq!(PurgeSpec { ago: None, ..spec(&["a:b"]) }.check(), Err(SpecError::AgeMissing));
        let unused = Some("90d".parse().unwrap());
        assert_eq!(PurgeSpec { ago: None, last_pulled: unused, ..spec(&["a:b"]) }.check(), Ok(()));
        assert_eq!(PurgeSpec { untagged: Untagged::Only, ..PurgeSpec::default() }.check(), Ok(()));
        assert!(matches!(spec(&["a:b", "a"]).check(), Err(SpecError::Filter(FilterError::Separator { .. }))));
        assert!(matches!(spec(&["a:("]).check(), Err(SpecError::Filter(FilterError::Invalid { .. }))));
        let many = vec!["a:b"; 101];
        assert!(matches!(spec(&many).check(), Err(SpecError::Filter(FilterError::TooMany(101)))));
    }

    #[test]
    fn types_are_matched_whole_or_by_their_beginning() {
        let of = |types: &[&str]| PurgeSpec { types: types.iter().map(|&t| t.to_owned()).collect(), ..spec(&["a:b"]) };
        let index = "application/vnd.oci.image.index.v1+json";
        assert!(of(&[]).wants(index, None));
        assert!(of(&["application/vnd.oci.image.INDEX.v1+json"]).wants(index, None));
        assert!(!of(&["application/vnd.oci.image.index"]).wants(index, None));
        assert!(of(&["application/vnd.oci.*"]).wants(index, None));
        assert!(
            of(&["application/x", "application/vnd.example.sbom"]).wants(index, Some("application/vnd.example.sbom"))
        );
        assert!(!of(&["é*"]).wants("e", None));
        assert_eq!(of(&["a b"]).check(), Err(SpecError::Type("a b".into())));
        assert_eq!(of(&[""]).check(), Err(SpecError::Type(String::new())));
        assert_eq!(of(&["a*b"]).check(), Err(SpecError::Type("a*b".into())));
    }

    #[test]
    fn what_is_kept_as_json_is_read_again() {
        let whole = PurgeSpec {
            last_pulled: Some("90d".parse().unwrap()),
            keep: 3,
            untagged: Untagged::Too,
            include_locked: true,
            types: vec!["application/*".into()],
            ..spec(&["a:b"])
        };
        let json = serde_json::to_value(&whole).unwrap();
        assert_eq!(json["lastPulled"], "90d");
        assert_eq!(serde_json::from_value::<PurgeSpec>(json).unwrap(), whole);
        assert_eq!(serde_json::from_str::<PurgeSpec>("{}").unwrap(), PurgeSpec::default());
    }
}
