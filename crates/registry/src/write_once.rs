//! Tags that are written once.
//!
//! A registry and each of its repositories may have patterns of tags. A tag that matches one of them can be set and, unless
//! a lock forbids it, deleted, but never moved to another manifest; setting it to the manifest that it names is no move.
//! [`crate::tagging`] asks inside the transaction that sets the tag, so that of any number of pushers of a new tag one wins.

use wharf_metadata::RegistrySettings;
use wharf_metadata::repositories::Writable;
use wharf_model::{ParsePatternError, Tag, TagPattern};

/// The pattern by which a tag is written once, if there is one.
pub(crate) fn find_pattern(settings: &RegistrySettings, repository: &Writable, tag: &Tag) -> Option<String> {
    let patterns = settings.write_once_tags.iter().chain(&repository.write_once_tags);
    // What is kept was parsed when it was set.
    let matches = |pattern: &&String| pattern.parse::<TagPattern>().is_ok_and(|pattern| pattern.matches(tag));
    patterns.into_iter().find(matches).cloned()
}

/// Why a list of patterns is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternsError {
    /// There are too many.
    #[error("there may be {most} patterns of tags at most", most = MOST_PATTERNS)]
    TooMany,
    /// One of them is none.
    #[error("'{pattern}' is no pattern of tags: {reason}")]
    Invalid {
        /// What was given, shortened.
        pattern: String,
        /// What is wrong with it.
        reason: ParsePatternError,
    },
}

/// The patterns as they are kept: each once, in the order given.
///
/// # Errors
/// [`PatternsError`].
pub fn parse_patterns<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, PatternsError> {
    let mut patterns: Vec<String> = Vec::new();
    for text in texts {
        if let Err(reason) = text.parse::<TagPattern>() {
            let pattern = text.chars().take(TagPattern::MOST_CHARACTERS).collect();
            return Err(PatternsError::Invalid { pattern, reason });
        }
        if !patterns.iter().any(|known| known == text) {
            patterns.push(text.to_owned());
        }
        if patterns.len() > MOST_PATTERNS {
            return Err(PatternsError::TooMany);
        }
    }
    Ok(patterns)
}

/// How many patterns a registry or a repository may have: each push tries them all.
pub const MOST_PATTERNS: usize = 50;

#[cfg(test)]
mod tests {
    use wharf_model::RepositoryId;

    use super::*;

    #[test]
    fn patterns_of_the_registry_and_of_the_repository_count() {
        let settings = RegistrySettings { write_once_tags: vec!["v*".to_owned()], ..Default::default() };
        let of = |patterns: &[&str]| Writable {
            id: RepositoryId(1),
            write_enabled: true,
            write_once_tags: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
        };
        let find = |patterns: &[&str], tag: &str| find_pattern(&settings, &of(patterns), &tag.parse().unwrap());
        assert_eq!(find(&[], "v1").as_deref(), Some("v*"));
        assert_eq!(find(&[], "latest"), None);
        assert_eq!(find(&["rc-?"], "rc-1").as_deref(), Some("rc-?"));
        assert_eq!(find(&["*"], "v1").as_deref(), Some("v*"));
    }

    #[test]
    fn patterns_are_few_and_each_is_kept_once() {
        assert_eq!(parse_patterns(["v*", "*", "v*"]).unwrap(), ["v*", "*"]);
        assert_eq!(parse_patterns([]).unwrap(), Vec::<String>::new());
        let error = parse_patterns(["v*", "a b"]).unwrap_err();
        assert!(error.to_string().starts_with("'a b' is no pattern of tags: "), "{error}");
        let many: Vec<String> = (0..=MOST_PATTERNS).map(|n| format!("v{n}")).collect();
        assert_eq!(parse_patterns(many.iter().map(String::as_str)), Err(PatternsError::TooMany));
        assert!(parse_patterns(many.iter().skip(1).map(String::as_str)).is_ok());
    }
}
