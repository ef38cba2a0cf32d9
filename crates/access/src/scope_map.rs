//! Actions of scope maps, and the repositories that they name.

use std::fmt;
use std::str::FromStr;

use crate::ability::{Abilities, Ability};

/// An action of a scope map: `repositories/team/*/content/read`.
///
/// Words may be written in any casing; names of repositories are lower case, whatever is written.
///
/// Source: `acr/data-plane.md` 3.6; `acr/semantics.md` 9 for those of gateways.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScopeMapAction {
    /// Something with repositories.
    Repositories(RepositoryPattern, RepositoryVerb),
    /// Something with a connected registry, by its name; for the synchronisation of registries.
    Gateway(String, GatewayVerb),
}

/// Which repositories an action is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RepositoryPattern {
    /// `*`: all of them.
    Every,
    /// `team/*`: those whose names begin so. As written, with the slash and the star.
    Below(String),
    /// The one with this name.
    Named(String),
}

/// What an action lets do with repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RepositoryVerb {
    /// `content/read`.
    ContentRead,
    /// `content/write`.
    ContentWrite,
    /// `content/delete`.
    ContentDelete,
    /// `metadata/read`.
    MetadataRead,
    /// `metadata/write`.
    MetadataWrite,
}

/// What an action lets do with a connected registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayVerb {
    /// `config/read`.
    ConfigRead,
    /// `config/write`.
    ConfigWrite,
    /// `message/read`.
    MessageRead,
    /// `message/write`.
    MessageWrite,
}

impl RepositoryVerb {
    /// Every one.
    pub const EVERY: [Self; 5] =
        [Self::ContentRead, Self::ContentWrite, Self::ContentDelete, Self::MetadataRead, Self::MetadataWrite];

    /// As it is written at the end of an action.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContentRead => "content/read",
            Self::ContentWrite => "content/write",
            Self::ContentDelete => "content/delete",
            Self::MetadataRead => "metadata/read",
            Self::MetadataWrite => "metadata/write",
        }
    }

    pub(crate) fn abilities(self) -> Abilities {
        match self {
            Self::ContentRead => Abilities::of(&[Ability::Pull]),
            Self::ContentWrite => Abilities::of(&[Ability::Push]),
            Self::ContentDelete => Abilities::of(&[Ability::Delete, Ability::Untag]),
            Self::MetadataRead => Abilities::of(&[Ability::MetadataRead]),
            Self::MetadataWrite => Abilities::of(&[Ability::MetadataWrite, Ability::Untag]),
        }
    }
}

impl GatewayVerb {
    /// Every one.
    pub const EVERY: [Self; 4] = [Self::ConfigRead, Self::ConfigWrite, Self::MessageRead, Self::MessageWrite];

    /// As it is written at the end of an action.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigRead => "config/read",
            Self::ConfigWrite => "config/write",
            Self::MessageRead => "message/read",
            Self::MessageWrite => "message/write",
        }
    }
}

impl ScopeMapAction {
    /// What stands in the repository's place: a name, `name/*` or `*`. `None` for gateways.
    #[must_use]
    pub fn repository(&self) -> Option<&str> {
        match self {
            Self::Repositories(pattern, _) => Some(pattern.as_str()),
            Self::Gateway(..) => None,
        }
    }
}

/// Why a text is not an action of a scope map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the action {text:?} is not valid: {problem}")]
pub struct ParseScopeMapActionError {
    text: String,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("expected repositories/{{name}}/{{action}} or gateway/{{name}}/{{action}}")]
    Kind,
    #[error(
        "an action on repositories ends in content/read, content/write, content/delete, metadata/read or metadata/write"
    )]
    RepositoryVerb,
    #[error("an action on a gateway ends in config/read, config/write, message/read or message/write")]
    GatewayVerb,
    #[error("the repository's name must be one, or * for all, or end in /* for all that begin so")]
    Repository,
    #[error("the gateway's name consists of letters, digits and - _ .")]
    Gateway,
    #[error("it has more than {MOST_BYTES} bytes")]
    TooLong,
}

impl FromStr for ScopeMapAction {
    type Err = ParseScopeMapActionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|problem| {
            let shown: String = text.chars().take(MOST_SHOWN).collect();
            ParseScopeMapActionError { text: shown, problem }
        })
    }
}

fn parse(text: &str) -> Result<ScopeMapAction, Problem> {
    if text.len() > MOST_BYTES {
        return Err(Problem::TooLong);
    }
    let lower = text.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix("repositories/") {
        // From the tail: names of repositories hold slashes, and may well hold `content`.
        let verb = |verb: &RepositoryVerb| rest.strip_suffix(verb.as_str()).and_then(|name| name.strip_suffix('/'));
        let found = RepositoryVerb::EVERY.iter().find_map(|own| verb(own).map(|name| (name, *own)));
        let (name, verb) = found.ok_or(Problem::RepositoryVerb)?;
        return Ok(ScopeMapAction::Repositories(RepositoryPattern::read(name)?, verb));
    }
    if let Some(rest) = lower.strip_prefix("gateway/") {
        let verb = |verb: &GatewayVerb| rest.strip_suffix(verb.as_str()).and_then(|name| name.strip_suffix('/'));
        let found = GatewayVerb::EVERY.iter().find_map(|own| verb(own).map(|name| (name, *own)));
        let (name, verb) = found.ok_or(Problem::GatewayVerb)?;
        let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        return if is_plain { Ok(ScopeMapAction::Gateway(name.to_owned(), verb)) } else { Err(Problem::Gateway) };
    }
    Err(Problem::Kind)
}

impl RepositoryPattern {
    fn read(name: &str) -> Result<Self, Problem> {
        if name == "*" {
            return Ok(Self::Every);
        }
        let is_name = |name: &str| name.parse::<wharf_model::RepositoryName>().is_ok();
        match name.strip_suffix("/*") {
            Some(parent) if is_name(parent) => Ok(Self::Below(name.to_owned())),
            None if is_name(name) => Ok(Self::Named(name.to_owned())),
            _ => Err(Problem::Repository),
        }
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Every => "*",
            Self::Below(text) | Self::Named(text) => text,
        }
    }
}

impl fmt::Display for ScopeMapAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repositories(pattern, verb) => write!(f, "repositories/{}/{}", pattern.as_str(), verb.as_str()),
            Self::Gateway(name, verb) => write!(f, "gateway/{name}/{}", verb.as_str()),
        }
    }
}

/// What the actions of a scope map come to: by repository, and looked up without taking memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patterns {
    /// In the order of the names.
    named: Box<[(Box<str>, Abilities)]>,
    /// In the order of the prefixes, each with its slash.
    below: Box<[(Box<str>, Abilities)]>,
}

impl Patterns {
    /// The abilities on all repositories, and those on some.
    pub(crate) fn gather<'a>(actions: impl IntoIterator<Item = &'a ScopeMapAction>) -> (Abilities, Self) {
        let mut every = Abilities::NONE;
        let (mut named, mut below) = (Vec::new(), Vec::new());
        for action in actions {
            let ScopeMapAction::Repositories(pattern, verb) = action else { continue };
            match pattern {
                RepositoryPattern::Every => every = every.with(verb.abilities()),
                RepositoryPattern::Named(name) => named.push((name.as_str().into(), verb.abilities())),
                RepositoryPattern::Below(text) => below.push((text.trim_end_matches('*').into(), verb.abilities())),
            }
        }
        (every, Self { named: merge(named), below: merge(below) })
    }

    /// What is allowed on the repository with this name.
    pub(crate) fn on(&self, name: &str) -> Abilities {
        let find = |list: &[(Box<str>, Abilities)], key: &str| match list.binary_search_by(|(own, _)| (**own).cmp(key))
        {
            Ok(position) => list[position].1,
            Err(_) => Abilities::NONE,
        };
        let mut abilities = find(&self.named, name);
        if !self.below.is_empty() {
            for (slash, _) in name.match_indices('/') {
                abilities = abilities.with(find(&self.below, &name[..=slash]));
            }
        }
        abilities
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.below.is_empty()
    }

    /// What is allowed on one repository or another.
    pub(crate) fn anywhere(&self) -> Abilities {
        self.named.iter().chain(&self.below).fold(Abilities::NONE, |all, (_, own)| all.with(*own))
    }
}

fn merge(mut list: Vec<(Box<str>, Abilities)>) -> Box<[(Box<str>, Abilities)]> {
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list.dedup_by(|later, first| {
        let is_same = later.0 == first.0;
        if is_same {
            first.1 = first.1.with(later.1);
        }
        is_same
    });
    list.into()
}

/// Longer than any name with what stands before and after it.
const MOST_BYTES: usize = 512;
/// How much of a bad action an error repeats.
const MOST_SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn action(text: &str) -> ScopeMapAction {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn actions_are_read_from_the_tail_and_in_any_casing() {
        for (text, repository) in [
            ("repositories/a/content/read", "a"),
            ("repositories/team/app/metadata/write", "team/app"),
            ("repositories/content/content/read", "content"),
            ("repositories/a/content/read/content/read", "a/content/read"),
            ("Repositories/Team/App/Content/Delete", "team/app"),
            ("repositories/*/content/read", "*"),
            ("repositories/team/*/content/write", "team/*"),
        ] {
            assert_eq!(action(text).repository(), Some(repository), "{text}");
        }
        assert_eq!(
            action("gateway/Edge1/config/read"),
            ScopeMapAction::Gateway("edge1".into(), GatewayVerb::ConfigRead)
        );
        assert_eq!(action("gateway/edge-1/message/write").repository(), None);
    }

    #[test]
    fn errors_say_which_part_is_wrong() {
        let told: Vec<String> = [
            "",
            "repositories",
            "repositories/a",
            "repositories/a/content/push",
            "repositories//content/read",
            "repositories/content/read",
            "repositories/*/*/content/read",
            "repositories/te*/content/read",
            "repositories/*a/content/read",
            "repositories/a/**/content/read",
            "repositories/a b/content/read",
            "repositories/../content/read",
            "registries/a/content/read",
            "gateway/a/content/read",
            "gateway//config/read",
            "gateway/a/b/config/read",
            &"x".repeat(1000),
        ]
        .iter()
        .map(|text| text.parse::<ScopeMapAction>().unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn patterns_add_up() {
        let actions = [
            "repositories/team/*/content/read",
            "repositories/team/app/content/write",
            "repositories/team/app/*/metadata/read",
            "repositories/team/app/content/delete",
            "repositories/a/content/read",
            "gateway/x/config/read",
        ]
        .map(action);
        let (every, patterns) = Patterns::gather(&actions);
        assert_eq!(every, Abilities::NONE);
        use Ability::{Delete, MetadataRead, Pull, Push, Untag};
        for (name, abilities) in [
            ("team/app", &[Pull, Push, Delete, Untag][..]),
            ("team/app/x", &[Pull, MetadataRead]),
            ("team/other/deep", &[Pull]),
            ("team", &[]),
            ("team2/app", &[]),
            ("a", &[Pull]),
            ("a/b", &[]),
        ] {
            assert_eq!(patterns.on(name), Abilities::of(abilities), "{name}");
        }
    }

    proptest! {
        #[test]
        fn actions_print_as_parsed(
            name in "[a-z0-9]{1,5}(/[a-z0-9]{1,5}){0,2}(/\\*)?|\\*",
            verb in 0..RepositoryVerb::EVERY.len(),
        ) {
            let text = format!("repositories/{name}/{}", RepositoryVerb::EVERY[verb].as_str());
            prop_assert_eq!(action(&text).to_string(), text);
        }

        #[test]
        fn patterns_mean_what_their_actions_say(
            actions in prop::collection::vec(("[ab](/[ab]){0,2}(/\\*)?|\\*", 0..5usize), 0..8),
            name in "[ab](/[ab]){0,3}",
        ) {
            let actions: Vec<ScopeMapAction> = actions
                .iter()
                .map(|(name, verb)| action(&format!("repositories/{name}/{}", RepositoryVerb::EVERY[*verb].as_str())))
                .collect();
            let (every, patterns) = Patterns::gather(&actions);
            let expected = actions.iter().fold(Abilities::NONE, |all, action| match action {
                ScopeMapAction::Repositories(pattern, verb) => {
                    let covers = match pattern {
                        RepositoryPattern::Every => true,
                        RepositoryPattern::Below(text) => name.starts_with(text.trim_end_matches('*')),
                        RepositoryPattern::Named(own) => *own == name,
                    };
                    if covers { all.with(verb.abilities()) } else { all }
                }
                ScopeMapAction::Gateway(..) => all,
            });
            prop_assert_eq!(patterns.on(&name).with(every), expected);
        }

        #[test]
        fn nothing_panics(text in ".{0,80}") {
            let _ = text.parse::<ScopeMapAction>();
            let _ = format!("repositories/{text}/content/read").parse::<ScopeMapAction>();
        }
    }
}
