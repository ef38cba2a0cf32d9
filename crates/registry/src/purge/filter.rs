//! Which repositories and tags a purge is about: `<repository expression>:<tag expression>`, as in `acr purge --filter`.
//!
//! * Exactly one colon separates the two. Colons of groups (`(?:`, `(?i:`) and of classes (`[[:alpha:]]`, `[:x]`) are not counted.
//! * The first must match the whole name of a repository, the second any part of a tag.
//! * Several filters that match one repository count as one, their tag expressions joined with `|`.
//!
//! Expressions may look around and refer back, so matching one may take for ever. Each is bounded: in its length, in what
//! it may be compiled to, and in the steps that one match may take.
//!
//! Source: `acr/semantics.md` 4.5.

use std::fmt;
use std::str::FromStr;

use fancy_regex::{Regex, RegexBuilder};
use wharf_model::RepositoryName;

/// One filter, taken apart. Its expressions are compiled by [`Filters::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    repository: String,
    tag: String,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It has no separating colon, or several.
    #[error(
        "the filter '{filter}' has {count} separating colons instead of one; write it as <repository>:<tag>, both regular expressions, such as 'team/.*:^ci-'"
    )]
    Separator {
        /// The filter.
        filter: String,
        /// How many colons separate.
        count: usize,
    },
    /// One of its parts is empty.
    #[error("the filter '{filter}' has nothing {side} its colon; '.*' stands for everything")]
    Missing {
        /// The filter.
        filter: String,
        /// `before` or `behind`.
        side: &'static str,
    },
    /// It is longer than anybody needs.
    #[error("a filter has {LONGEST_FILTER} bytes at most, and this one has {length}: '{start}…'")]
    TooLong {
        /// How it begins.
        start: String,
        /// Its length in bytes.
        length: usize,
    },
    /// There are more filters than anybody needs.
    #[error("there are {0} filters; {MOST_FILTERS} are allowed, and alternatives may stand in one: 'a|b'")]
    TooMany(usize),
    /// An expression is none, or compiles to too much.
    #[error("'{expression}' is no regular expression that can be used: {reason}")]
    Invalid {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Matching a name took too many steps.
    #[error(
        "matching '{name}' with '{expression}' was given up after {steps} steps: such an expression may take for ever; write it without repetitions inside repetitions"
    )]
    TooHard {
        /// The expression.
        expression: String,
        /// The name that it was matched with.
        name: String,
        /// The limit.
        steps: usize,
    },
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text.len() > LONGEST_FILTER {
            let start = text.chars().take(40).collect();
            return Err(FilterError::TooLong { start, length: text.len() });
        }
        let colons: Vec<usize> = text.match_indices(':').map(|(at, _)| at).filter(|&at| separates(text, at)).collect();
        let [colon] = colons[..] else {
            return Err(FilterError::Separator { filter: text.to_owned(), count: colons.len() });
        };
        let (repository, tag) = (&text[..colon], &text[colon + 1..]);
        for (part, side) in [(repository, "before"), (tag, "behind")] {
            if part.is_empty() {
                return Err(FilterError::Missing { filter: text.to_owned(), side });
            }
        }
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned() })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// Whether the colon at `at` stands between repository and tag: it does unless it belongs to a group's flags or a class.
fn separates(text: &str, at: usize) -> bool {
    let (before, behind) = (&text[..at], &text[at + 1..]);
    let unflagged = before.trim_end_matches(['i', 'm', 's', 'U', '-']);
    let in_group = unflagged.ends_with("(?") && before.len() - unflagged.len() <= MOST_FLAGS;
    let in_class = before.trim_end_matches('^').ends_with('[') || behind.starts_with(']');
    !in_group && !in_class
}

/// Filters, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    filters: Vec<(Pattern, String)>,
    steps: usize,
}

impl Filters {
    /// Compiles filters. `steps` is how many steps one match may take: about a million a second.
    pub(crate) fn new(filters: &[Filter], steps: usize) -> Result<Self, FilterError> {
        if filters.len() > MOST_FILTERS {
            return Err(FilterError::TooMany(filters.len()));
        }
        let compile = |filter: &Filter| {
            // What stands there alone must be valid alone. The group keeps alternatives together: `a|b` names two repositories.
            Pattern::new(&filter.repository, steps)?;
            Pattern::new(&filter.tag, steps)?;
            let whole = Pattern::new(&format!("^(?:{})$", filter.repository), steps)?;
            Ok((whole, filter.tag.clone()))
        };
        Ok(Self { filters: filters.iter().map(compile).collect::<Result<_, _>>()?, steps })
    }

    /// What tags of this repository are matched with, or `None` if no filter is about it.
    pub(crate) fn of_repository(&self, name: &RepositoryName) -> Result<Option<Pattern>, FilterError> {
        let mut tags = Vec::new();
        for (repository, tag) in &self.filters {
            if repository.matches(name.as_str())? {
                tags.push(tag.as_str());
            }
        }
        if tags.is_empty() { Ok(None) } else { Pattern::new(&tags.join("|"), self.steps).map(Some) }
    }
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    steps: usize,
}

impl Pattern {
    fn new(expression: &str, steps: usize) -> Result<Self, FilterError> {
        let regex = RegexBuilder::new(expression)
            .backtrack_limit(steps)
            .delegate_size_limit(COMPILED_BYTES)
            .delegate_dfa_size_limit(COMPILED_BYTES)
            .max_prog_size(COMPILED_STEPS)
            .build()
            .map_err(|error| FilterError::Invalid { expression: expression.to_owned(), reason: error.to_string() })?;
        Ok(Self { regex, steps })
    }

    /// Whether any part of the name matches.
    pub(crate) fn matches(&self, name: &str) -> Result<bool, FilterError> {
        self.regex.is_match(name).map_err(|_| FilterError::TooHard {
            expression: self.regex.as_str().to_owned(),
            name: name.to_owned(),
            steps: self.steps,
        })
    }
}

/// How many flags a group may begin with and still be taken for one, as in acr purge.
const MOST_FLAGS: usize = 5;

/// The longest filter, in bytes.
const LONGEST_FILTER: usize = 1000;

/// How many filters there may be.
const MOST_FILTERS: usize = 100;

/// What an expression, or a part of one, may be compiled to.
const COMPILED_BYTES: usize = 1 << 20;

/// How many instructions an expression that looks around may be compiled to.
const COMPILED_STEPS: usize = 20_000;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    const STEPS: usize = 1_000_000;

    fn parts(text: &str) -> Result<(String, String), FilterError> {
        text.parse().map(|filter: Filter| (filter.repository, filter.tag))
    }

    fn matched(filters: &[&str], repository: &str, tag: &str) -> bool {
        let filters: Vec<Filter> = filters.iter().map(|text| text.parse().unwrap()).collect();
        let filters = Filters::new(&filters, STEPS).unwrap();
        let pattern = filters.of_repository(&repository.parse().unwrap()).unwrap();
        pattern.is_some_and(|pattern| pattern.matches(tag).unwrap())
    }

    #[test]
    fn a_filter_has_one_separating_colon() {
        let apart = |text: &str, repository: &str, tag: &str| {
            assert_eq!(parts(text), Ok((repository.to_owned(), tag.to_owned())), "{text}");
        };
        apart("hello-world:.*", "hello-world", ".*");
        apart(".*:.*", ".*", ".*");
        apart(r"hello-world:\w*test\w*", "hello-world", r"\w*test\w*");
        apart("(?:a|b):(?i:x)", "(?:a|b)", "(?i:x)");
        apart("(?ims-U:a):b", "(?ims-U:a)", "b");
        apart("[[:alpha:]]+:[[:^digit:]]", "[[:alpha:]]+", "[[:^digit:]]");
        apart("[^:a]:b", "[^:a]", "b");
        apart("foo/bar:(?!keep).*", "foo/bar", "(?!keep).*");
        for (text, count) in [("foo", 0), ("a:b:c", 2), ("(?:a)", 0), ("a:b:", 2), ("(a:b):c", 2), ("(?<n>a:b):c", 2)] {
            assert_eq!(parts(text), Err(FilterError::Separator { filter: text.into(), count }), "{text}");
        }
        assert_eq!(parts(":x"), Err(FilterError::Missing { filter: ":x".into(), side: "before" }));
        assert_eq!(parts("x:"), Err(FilterError::Missing { filter: "x:".into(), side: "behind" }));
        assert!(matches!(parts(&"x".repeat(2000)), Err(FilterError::TooLong { length: 2000, .. })));
    }

    /// The examples of acr purge's help.
    #[test]
    fn documented_filters_match_what_is_documented() {
        let all = ["hello-world:.*"];
        assert!(matched(&all, "hello-world", "v1") && !matched(&all, "hello-worlds", "v1"));
        assert!(!matched(&all, "team/hello-world", "v1"), "the repository is matched whole");
        assert!(matched(&[".*:.*"], "team/app", "v1"));
        let begins = ["hello-world:^hello.*"];
        assert!(matched(&begins, "hello-world", "hello2") && !matched(&begins, "hello-world", "say-hello"));
        let contains = [r"hello-world:\w*test\w*"];
        assert!(matched(&contains, "hello-world", "1test2") && !matched(&contains, "hello-world", "tes"));
        assert!(matched(&["a:hello"], "a", "say-hello-twice"), "the tag is matched in part");
        assert!(!matched(&["a:^hello$"], "a", "say-hello-twice"));
    }

    #[test]
    fn filters_of_one_repository_are_joined() {
        let both = ["app:^v1", "ap.*:^v2"];
        assert!(matched(&both, "app", "v1.0") && matched(&both, "app", "v2.0") && !matched(&both, "app", "v3"));
        assert!(!matched(&both, "apps", "v1.0") && matched(&both, "apps", "v2.0"));
    }

    #[test]
    fn alternatives_of_repositories_stay_together() {
        let either = ["app|web:.*"];
        assert!(matched(&either, "app", "x") && matched(&either, "web", "x"));
        assert!(!matched(&either, "app2", "x") && !matched(&either, "my-web", "x"));
    }

    #[test]
    fn filters_may_look_around_and_refer_back() {
        let keep = ["app:^(?!release-).*$"];
        assert!(matched(&keep, "app", "ci-7") && !matched(&keep, "app", "release-7"));
        assert!(matched(&[r"app:^(\d+)-\1$"], "app", "7-7"));
        assert!(matched(&["app:(?<=-)rc"], "app", "1-rc"));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["a:(", "(:b", "a:[z-a]", "a:*", "a:b)", "a)(b:c", r"a:\2"] {
            let filter: Filter = text.parse().unwrap();
            assert!(matches!(Filters::new(&[filter], STEPS), Err(FilterError::Invalid { .. })), "{text}");
        }
    }

    #[test]
    fn expressions_that_take_for_ever_are_refused_or_given_up() {
        let began = Instant::now();
        let name = "a".repeat(128);
        for text in [
            "(a+)+$",
            "(a|a)*$",
            "(a|aa)+$",
            "([a-zA-Z]+)*$",
            "(.*a){20}$",
            "(a+)+b",
            "(?=(a+)+b)",
            "(?=(a|a)*b)a",
            r"(a+)+\1b",
            r"^(?:(a+)+)+\1!$",
            r"(?:(x+x+)+y)\1",
            "(?!(a*)*b)c",
            "(((a{30}){30}){30}){30}",
            "(?=x)(((a{99}){99}){99}){99}",
            "((((((((a*)*)*)*)*)*)*)*)*!",
            r"(?<=(a+)+)b\b",
            "(?:(?=a)a*)*b",
            "^(?:a|aa)+(?<=b)a$",
            r"(?=((a|aa)+)$)(?!\1)",
            r"^(a*)(a*)(a*)(a*)(a*)\1(?<!a)$",
        ] {
            let filter: Filter = format!("app:{text}").parse().unwrap();
            let Ok(filters) = Filters::new(&[filter], STEPS) else { continue };
            let pattern = filters.of_repository(&"app".parse().unwrap()).unwrap().unwrap();
            let matching = Instant::now();
            let _ = pattern.matches(&name);
            assert!(matching.elapsed() < Duration::from_secs(20), "{text} took {:?}", matching.elapsed());
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        let hard: Filter = r"app:^(a|aa)+\1b$".parse().unwrap();
        let pattern = Filters::new(&[hard], STEPS).unwrap().of_repository(&"app".parse().unwrap()).unwrap().unwrap();
        let error = pattern.matches(&name).unwrap_err();
        assert!(matches!(error, FilterError::TooHard { steps: STEPS, .. }), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_put_together_is_taken_apart_again(
            repository in "[a-z0-9./_-]{1,20}|\\(\\?:[a-z|]{1,9}\\)|\\[\\[:alpha:\\]\\]\\+",
            tag in "[a-zA-Z0-9.*^$_-]{1,20}|\\(\\?[ims]{1,3}:[a-z|]{1,9}\\)",
        ) {
            let text = format!("{repository}:{tag}");
            let filter: Filter = text.parse().unwrap();
            prop_assert_eq!(&filter.repository, &repository);
            prop_assert_eq!(&filter.tag, &tag);
            prop_assert_eq!(filter.to_string(), text);
        }

        #[test]
        fn whatever_is_given_is_answered(text in "\\PC{0,60}", name in "[a-z0-9]{1,30}") {
            if let Ok(filter) = text.parse::<Filter>()
                && let Ok(filters) = Filters::new(&[filter], 10_000)
            {
                let _ = filters.of_repository(&name.parse().unwrap()).map(|found| found.map(|tag| tag.matches(&name)));
            }
        }
    }
}
