//! What may be done to what: the vocabulary of token scopes and of authorization.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Something that a caller may be allowed to do. The word in a token's `actions` (`acr/data-plane.md` 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read manifests, blobs, tags and referrers.
    Pull,
    /// Write manifests, blobs and tags.
    Push,
    /// Delete manifests and blobs.
    Delete,
    /// Read attributes through `/acr/v1`.
    MetadataRead,
    /// Change attributes through `/acr/v1`.
    MetadataWrite,
    /// List what was deleted softly.
    DeletedRead,
    /// Restore what was deleted softly.
    DeletedRestore,
    /// `*`: everything that can be done to this kind of resource.
    #[serde(rename = "*")]
    All,
}

impl Action {
    /// Every action, in the order in which tokens list them.
    pub const EVERY: [Self; 8] = [
        Self::Pull,
        Self::Push,
        Self::Delete,
        Self::MetadataRead,
        Self::MetadataWrite,
        Self::DeletedRead,
        Self::DeletedRestore,
        Self::All,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::MetadataRead => "metadata_read",
            Self::MetadataWrite => "metadata_write",
            Self::DeletedRead => "deleted_read",
            Self::DeletedRestore => "deleted_restore",
            Self::All => "*",
        }
    }

    /// The action with this word, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|action| action.as_str() == word)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of thing that a scope names, before its first colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// `repository:<name>`; the name `*` means every repository.
    Repository,
    /// `registry:catalog` and `registry:deleted_catalog`.
    Registry,
    /// `artifact-repository:<name>`: legacy Helm.
    ArtifactRepository,
}

impl ResourceKind {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Registry => "registry",
            Self::ArtifactRepository => "artifact-repository",
        }
    }
}

/// One entry of a token's `access` claim: what is allowed on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The kind of the resource.
    #[serde(rename = "type")]
    pub kind: ResourceKind,
    /// The resource's name, `*` for every one of its kind.
    pub name: String,
    /// The actions allowed.
    pub actions: Vec<Action>,
}

impl Access {
    /// Whether this entry allows `action` on the resource.
    #[must_use]
    pub fn allows(&self, kind: ResourceKind, name: &str, action: Action) -> bool {
        self.kind == kind
            && (self.name == name || self.name == "*")
            && self.actions.iter().any(|&held| held == action || held == Action::All)
    }
}

/// A scope as clients ask for it: `repository:team/app:pull,push`.
///
/// Actions that we do not know are left out, since asking for too much is no error (`acr/data-plane.md` 3.3).
pub type Scope = Access;

/// Why a text is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is written as type:name:action[,action]")]
pub struct ParseScopeError;

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or(ParseScopeError)?;
        // The name may hold a colon (a host with a port, as in content trust), the actions may not.
        let (name, actions) = rest.rsplit_once(':').ok_or(ParseScopeError)?;
        // "repository(plugin)" is docker's resource class; it does not change who may do what.
        let kind = match kind.split('(').next() {
            Some("repository") => ResourceKind::Repository,
            Some("registry") => ResourceKind::Registry,
            Some("artifact-repository") => ResourceKind::ArtifactRepository,
            _ => return Err(ParseScopeError),
        };
        if name.is_empty() {
            return Err(ParseScopeError);
        }
        let mut known: Vec<Action> = actions.split(',').filter_map(|word| Action::from_word(word.trim())).collect();
        known.sort_unstable();
        known.dedup();
        Ok(Self { kind, name: name.to_owned(), actions: known })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.kind.as_str(), self.name)?;
        for (position, action) in self.actions.iter().enumerate() {
            write!(f, "{}{action}", if position == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scopes_parse_from_the_outside_in() {
        let scope: Scope = "repository:host:5000/app:pull,push,fly".parse().unwrap();
        assert_eq!(scope.name, "host:5000/app");
        assert_eq!(scope.actions, [Action::Pull, Action::Push]);
        for bad in ["", "repository", "repository:", "repository:a", "planet:a:pull", "repository::pull"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_star_allows_every_action_but_only_on_its_kind() {
        let access: Access = "registry:catalog:*".parse().unwrap();
        assert!(access.allows(ResourceKind::Registry, "catalog", Action::Pull));
        assert!(!access.allows(ResourceKind::Repository, "catalog", Action::Pull));
        assert!(!access.allows(ResourceKind::Registry, "deleted_catalog", Action::Pull));
    }

    proptest! {
        #[test]
        fn scopes_print_as_parsed(name in "[a-z0-9/]{1,20}", bits in 1u16..256) {
            let actions = Action::EVERY.into_iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, a)| a).collect();
            let scope = Scope { kind: ResourceKind::Repository, name, actions };
            prop_assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
        }

        #[test]
        fn nothing_panics(text in ".{0,100}") {
            let _ = text.parse::<Scope>();
        }
    }
}
