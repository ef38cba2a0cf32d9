//! Cache rules: which repositories are filled from where, which rules may stand beside each other, and which one counts.
//!
//! ```text
//! docker.io/library/ubuntu  → ubuntu       one repository
//! docker.io/library/*       → hub/*        hub/redis is docker.io/library/redis, hub/a/b is docker.io/library/a/b
//! mcr.microsoft.com/*       → *            whatever no other rule fills
//! ```
//!
//! Source: `acr/semantics.md` 10.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use wharf_model::RepositoryName;
use wharf_upstream::UpstreamAddress;

/// Repositories that one rule speaks of, on either side: one by name, or all below a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This one.
    One(RepositoryName),
    /// All whose names begin with this path and a slash; without a path, all.
    Below(Option<RepositoryName>),
}

/// Where a rule takes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The registry.
    pub address: UpstreamAddress,
    /// Its repositories.
    pub repositories: Pattern,
}

/// A text is no source or target of a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRuleError {
    /// The source names no registry.
    #[error(
        "it begins with no registry; write the registry's host, a slash and the repository, such as \
         docker.io/library/ubuntu or registry.example.com:5000/team/*"
    )]
    NoRegistry,
    /// A `*` stands elsewhere than at the end, or not for a whole word.
    #[error("a * stands alone behind the last slash, as in team/*; nowhere else")]
    Wildcard,
    /// What is named is no repository.
    #[error("{text:?} is not the name of a repository: {reason}")]
    Name {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
    },
    /// One side is one repository and the other many.
    #[error("the source and the target end in a * either both or neither")]
    Sides,
}

impl Pattern {
    fn name_within<'a>(&self, name: &'a RepositoryName) -> Option<Option<&'a str>> {
        match self {
            Self::One(one) => (one == name).then_some(None),
            Self::Below(None) => Some(Some(name.as_str())),
            Self::Below(Some(path)) => {
                let rest = name.as_str().strip_prefix(path.as_str())?.strip_prefix('/')?;
                Some(Some(rest))
            }
        }
    }

    /// Whether it speaks of many.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Below(_))
    }

    /// Whether it speaks of this repository.
    #[must_use]
    pub fn covers(&self, name: &RepositoryName) -> bool {
        self.name_within(name).is_some()
    }

    /// Whether a repository could be meant by both wildcards.
    fn overlaps(&self, other: &Self) -> bool {
        let path = |pattern: &Self| match pattern {
            Self::Below(path) => Some(path.as_ref().map_or_else(String::new, |path| format!("{path}/"))),
            Self::One(_) => None,
        };
        match (path(self), path(other)) {
            (Some(one), Some(other)) => one.starts_with(&other) || other.starts_with(&one),
            _ => false,
        }
    }
}

impl FromStr for Pattern {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, ParseRuleError> {
        let name = |text: &str| {
            text.parse::<RepositoryName>().map_err(|error| ParseRuleError::Name {
                text: text.chars().take(300).collect(),
                reason: error.to_string(),
            })
        };
        match text.strip_suffix('*') {
            None if text.contains('*') => Err(ParseRuleError::Wildcard),
            None => Ok(Self::One(name(text)?)),
            Some("") => Ok(Self::Below(None)),
            Some(rest) => match rest.strip_suffix('/') {
                Some(path) if !path.contains('*') => Ok(Self::Below(Some(name(path)?))),
                _ => Err(ParseRuleError::Wildcard),
            },
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => name.fmt(f),
            Self::Below(None) => f.write_str("*"),
            Self::Below(Some(path)) => write!(f, "{path}/*"),
        }
    }
}

impl FromStr for Source {
    type Err = ParseRuleError;

    /// Reads `registry.example.com/team/app`. At Docker Hub, a name without a slash is one of `library/`.
    fn from_str(text: &str) -> Result<Self, ParseRuleError> {
        let (host, rest) = text.split_once('/').ok_or(ParseRuleError::NoRegistry)?;
        // As docker tells a registry from the first word of a name.
        let is_host = host.contains(['.', ':']) || host == "localhost";
        let address: UpstreamAddress = host.parse().map_err(|_| ParseRuleError::NoRegistry)?;
        if !is_host {
            return Err(ParseRuleError::NoRegistry);
        }
        let repositories = match rest.parse()? {
            Pattern::One(name) => Pattern::One(address.repository(name)),
            many @ Pattern::Below(_) => many,
        };
        Ok(Self { address, repositories })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.repositories)
    }
}

/// Reads both sides of a rule.
///
/// # Errors
/// Only [`ParseRuleError::Sides`]: each side for itself was read before.
pub fn check_sides(source: &Source, target: &Pattern) -> Result<(), ParseRuleError> {
    if source.repositories.is_wildcard() == target.is_wildcard() { Ok(()) } else { Err(ParseRuleError::Sides) }
}

/// The rule that a new one cannot stand beside: of `others`, names and targets, the first whose target is the same, or, where
/// both are wildcards, lies around it or inside it. A single repository inside a wildcard's range is no conflict: it wins.
#[must_use]
pub fn find_conflict<'a>(
    target: &Pattern,
    others: impl IntoIterator<Item = &'a (String, String)>,
) -> Option<&'a (String, String)> {
    others
        .into_iter()
        .find(|(_, other)| other.parse::<Pattern>().is_ok_and(|other| other == *target || other.overlaps(target)))
}

/// The rules of one registry, to be asked by repository.
#[derive(Debug, Default)]
pub(super) struct RuleSet<R> {
    ones: HashMap<String, R>,
    /// By path with a slash at the end; the empty path is that of the rule for everything.
    below: HashMap<String, R>,
}

impl<R> RuleSet<R> {
    /// Puts the rules together. Those that were stored stand beside each other; should two not, the last counts.
    pub(super) fn new(rules: impl IntoIterator<Item = (Pattern, R)>) -> Self {
        let mut set = Self { ones: HashMap::new(), below: HashMap::new() };
        for (target, rule) in rules {
            match target {
                Pattern::One(name) => set.ones.insert(name.as_str().to_owned(), rule),
                Pattern::Below(Some(path)) => set.below.insert(format!("{path}/"), rule),
                Pattern::Below(None) => set.below.insert(String::new(), rule),
            };
        }
        set
    }

    /// The rule that fills a repository. Costs as much as its name has slashes, however many rules there are.
    pub(super) fn find(&self, name: &RepositoryName) -> Option<&R> {
        let name = name.as_str();
        if let Some(rule) = self.ones.get(name) {
            return Some(rule);
        }
        if self.below.is_empty() {
            return None;
        }
        let paths = name.bytes().enumerate().rev().filter(|&(_, byte)| byte == b'/').map(|(at, _)| &name[..=at]);
        paths.chain([""]).find_map(|path| self.below.get(path))
    }
}

/// What a repository is called where it comes from.
pub(super) fn map(source: &Source, target: &Pattern, name: &RepositoryName) -> Option<RepositoryName> {
    let rest = target.name_within(name)?;
    let mapped = match (&source.repositories, rest) {
        (Pattern::One(one), None) => one.clone(),
        (Pattern::Below(None), Some(rest)) => rest.parse().ok()?,
        (Pattern::Below(Some(path)), Some(rest)) => format!("{path}/{rest}").parse().ok()?,
        _ => return None,
    };
    Some(source.address.repository(mapped))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn target(text: &str) -> Pattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn sources_and_targets_are_read_and_printed() {
        for (text, printed) in [
            ("docker.io/library/ubuntu", "docker.io/library/ubuntu"),
            ("docker.io/ubuntu", "docker.io/library/ubuntu"),
            ("index.docker.io/bitnami/redis", "docker.io/bitnami/redis"),
            ("docker.io/*", "docker.io/*"),
            ("localhost:5000/a/b", "localhost:5000/a/b"),
            ("localhost/a", "localhost/a"),
            ("10.1.2.3:5000/team/*", "10.1.2.3:5000/team/*"),
            ("[::1]:5000/a", "[::1]:5000/a"),
        ] {
            assert_eq!(source(text).to_string(), printed);
        }
        for text in ["ubuntu", "hub/*", "*", "a/b/c/*"] {
            assert_eq!(target(text).to_string(), text);
        }
        for bad in
            ["", "ubuntu", "library/ubuntu", "docker.io", "docker.io/", "docker.io/UPPER", "docker.io/a:b", "a b.c/d"]
        {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
        for bad in ["", "a*", "*/a", "a/*/b", "**", "a/**", "/*", "a//*", "A/*", "a/b*"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
        check_sides(&source("docker.io/*"), &target("*")).unwrap();
        assert_eq!(check_sides(&source("docker.io/*"), &target("hub")), Err(ParseRuleError::Sides));
        assert_eq!(check_sides(&source("docker.io/a"), &target("hub/*")), Err(ParseRuleError::Sides));
    }

    #[test]
    fn names_are_mapped_to_where_they_come_from() {
        for (from, to, name, mapped) in [
            ("docker.io/ubuntu", "ubuntu", "ubuntu", Some("library/ubuntu")),
            ("docker.io/ubuntu", "ubuntu", "ubuntu/x", None),
            ("docker.io/library/*", "hub/*", "hub/redis", Some("library/redis")),
            ("docker.io/library/*", "hub/*", "hub/a/b", Some("library/a/b")),
            ("docker.io/library/*", "hub/*", "hub", None),
            ("docker.io/library/*", "hub/*", "hubs/redis", None),
            ("docker.io/*", "hub/*", "hub/redis", Some("library/redis")),
            ("docker.io/*", "hub/*", "hub/bitnami/redis", Some("bitnami/redis")),
            ("mcr.microsoft.com/*", "*", "dotnet/sdk", Some("dotnet/sdk")),
        ] {
            let found = map(&source(from), &target(to), &name.parse().unwrap());
            assert_eq!(found.as_ref().map(RepositoryName::as_str), mapped, "{from} → {to}: {name}");
        }
    }

    #[test]
    fn which_rules_stand_beside_each_other() {
        for (old, new, conflict) in [
            // One repository, one rule.
            ("ubuntu", "ubuntu", true),
            ("ubuntu", "ubuntu2", false),
            ("ubuntu", "ubuntu/x", false),
            // One inside a wildcard's range wins, whichever was first.
            ("hub/*", "hub/redis", false),
            ("hub/redis", "hub/*", false),
            ("*", "ubuntu", false),
            // Wildcards neither the same nor one in the other.
            ("hub/*", "hub/*", true),
            ("hub/*", "hub/a/*", true),
            ("hub/a/*", "hub/*", true),
            ("hub/*", "hub2/*", false),
            ("hub/a/*", "hub/b/*", false),
            ("*", "hub/*", true),
            ("hub/*", "*", true),
            ("*", "*", true),
        ] {
            let others = [("rule".to_owned(), old.to_owned())];
            assert_eq!(find_conflict(&target(new), &others).is_some(), conflict, "{old} and {new}");
        }
    }

    #[test]
    fn of_many_rules_the_most_particular_counts() {
        let rules = ["hub/redis", "hub/*", "mirror/a/*", "*"];
        // Wildcards that overlap cannot be stored; the nearest would count.
        let set = RuleSet::new(rules.map(|text| (target(text), text)));
        for (name, expected) in [
            ("hub/redis", "hub/redis"),
            ("hub/x/y", "hub/*"),
            ("mirror/a/b", "mirror/a/*"),
            ("mirror/b", "*"),
            ("hub", "*"),
        ] {
            assert_eq!(set.find(&name.parse().unwrap()), Some(&expected), "{name}");
        }
        assert_eq!(RuleSet::<u8>::default().find(&"a/b".parse().unwrap()), None);
    }

    #[test]
    fn a_thousand_rules_are_asked_as_quickly_as_one() {
        let rules = (0..1000).map(|number| (target(&format!("cached/{number}")), number));
        let set = RuleSet::new(rules);
        for number in [0, 1, 500, 999] {
            assert_eq!(set.find(&format!("cached/{number}").parse().unwrap()), Some(&number));
        }
        assert_eq!(set.find(&"cached/1000".parse().unwrap()), None);
    }
}
