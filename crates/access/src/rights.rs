//! What somebody may do on the data plane of one registry, in a form that answers at once.
//!
//! ```text
//! roles + conditions ──┐   reduced by operation to: everywhere, or where a condition holds
//! scope map ───────────┼─► Rights ──► allow(action, kind, name)      no look-up elsewhere, no memory taken
//! admin, anonymous ────┘
//! ```

use std::sync::Arc;

use wharf_model::{Action, ResourceKind};

use crate::ability::{Abilities, Ability, Mode};
use crate::condition::{AssignmentAttributes, Attributes, Condition, Environment, Verdict};
use crate::role::{RoleDefinition, Side};
use crate::scope_map::{Patterns, ScopeMapAction};

/// A role that somebody has, at a scope that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The role.
    pub role: Arc<RoleDefinition>,
    /// When it counts; always, if there is none.
    pub condition: Option<Arc<Condition>>,
}

impl Assignment {
    /// Whether it allows an operation with these attributes.
    #[must_use]
    pub fn allows(&self, side: Side, operation: &str, attributes: &Attributes<'_>) -> bool {
        self.role.allows(side, operation)
            && self.condition.as_ref().is_none_or(|condition| condition.holds(operation, attributes))
    }
}

/// Whether somebody with these roles may do an operation on the management plane.
#[must_use]
pub fn may_act(assignments: &[Assignment], operation: &str, attributes: &Attributes<'_>) -> bool {
    assignments.iter().any(|assignment| assignment.allows(Side::Action, operation, attributes))
}

/// Whether somebody with these roles may do an operation on the management plane whatever it is about: by a role without a
/// condition. For rights that are taken as a measure of what somebody could do, such as to make anybody Owner.
#[must_use]
pub fn may_act_unconditionally(assignments: &[Assignment], operation: &str) -> bool {
    let unconditional = |assignment: &&Assignment| assignment.condition.is_none();
    assignments.iter().filter(unconditional).any(|assignment| assignment.role.allows(Side::Action, operation))
}

/// Whether somebody who may assign roles may make, change or delete this assignment. `requested` is the assignment as it
/// is to be, `existing` as it is.
#[must_use]
pub fn may_assign(
    assignments: &[Assignment],
    operation: &str,
    requested: Option<AssignmentAttributes<'_>>,
    existing: Option<AssignmentAttributes<'_>>,
    environment: Environment,
) -> bool {
    let attributes = Attributes { requested, existing, environment: Some(environment), repository: None };
    may_act(assignments, operation, &attributes)
}

/// What somebody may do on the data plane of one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// On every repository, and on the registry.
    everywhere: Abilities,
    /// Where a condition holds.
    conditional: Box<[(Abilities, Condition)]>,
    /// On the repositories of a scope map.
    patterns: Patterns,
    kind: Kind,
}

/// What rights come from, as far as that makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The admin user: also what has no name yet.
    Everything,
    /// Roles of a registry in this mode.
    Roles(Mode),
    /// A scope map, or anonymous pull.
    Other,
}

impl Rights {
    /// None at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self::everywhere(Abilities::NONE, Kind::Other)
    }

    /// All of them: the admin user's (`acr/data-plane.md` 3.4).
    #[must_use]
    pub fn everything() -> Self {
        Self::everywhere(Abilities::ALL, Kind::Everything)
    }

    /// To pull from and read attributes of every repository, and to list them: anonymous pull (`acr/data-plane.md` 3.7).
    #[must_use]
    pub fn read_everything() -> Self {
        const READ: Abilities = Abilities::of(&[Ability::Pull, Ability::MetadataRead, Ability::Catalog]);
        Self::everywhere(READ, Kind::Other)
    }

    fn everywhere(everywhere: Abilities, kind: Kind) -> Self {
        Self { everywhere, conditional: Box::default(), patterns: Patterns::default(), kind }
    }

    /// What roles come to in a registry of this mode.
    #[must_use]
    pub fn of_roles(mode: Mode, assignments: &[Assignment]) -> Self {
        let mut everywhere = Abilities::NONE;
        let mut conditional: Vec<(Abilities, Condition)> = Vec::new();
        for assignment in assignments {
            for (side, operation, abilities) in mode.effects() {
                if !assignment.role.allows(*side, operation) {
                    continue;
                }
                match assignment.condition.as_ref().map_or(Verdict::Always, |condition| condition.reduce(operation)) {
                    Verdict::Always => everywhere = everywhere.with(*abilities),
                    Verdict::Never => {}
                    Verdict::If(condition) => match conditional.iter_mut().find(|(_, known)| *known == condition) {
                        Some((known, _)) => *known = known.with(*abilities),
                        None => conditional.push((*abilities, condition)),
                    },
                }
            }
        }
        for (abilities, _) in &mut conditional {
            *abilities = abilities.without(everywhere);
        }
        conditional.retain(|(abilities, _)| !abilities.is_empty());
        Self { everywhere, conditional: conditional.into(), patterns: Patterns::default(), kind: Kind::Roles(mode) }
    }

    /// What the actions of a scope map come to. Those of gateways are not for repositories and come to nothing.
    ///
    /// Source: `acr/data-plane.md` 3.6; no scope map lists repositories.
    #[must_use]
    pub fn of_scope_map<'a>(actions: impl IntoIterator<Item = &'a ScopeMapAction>) -> Self {
        let (everywhere, patterns) = Patterns::gather(actions);
        Self { everywhere, conditional: Box::default(), patterns, kind: Kind::Other }
    }

    /// Whether an action of the token protocol is allowed on a resource; [`Action::All`] asks for all that can be done
    /// to it, and a repository's name `*` for every repository.
    #[must_use]
    pub fn allow(&self, action: Action, kind: ResourceKind, name: &str, environment: Environment) -> bool {
        if self.kind == Kind::Everything {
            return true;
        }
        match kind {
            ResourceKind::Repository => self.on_repository(name, environment).has_all(wanted(action)),
            ResourceKind::Registry => {
                let listed = match name {
                    "catalog" => self.has(Ability::Catalog, None, environment),
                    "deleted_catalog" => {
                        self.has(Ability::DeletedRead, None, environment)
                            && (self.kind != Kind::Roles(Mode::Repository)
                                || self.has(Ability::Catalog, None, environment))
                    }
                    _ => false,
                };
                listed && action == Action::All
            }
            // Charts of Helm 2 know roles of the whole registry, and nothing finer.
            ResourceKind::ArtifactRepository => {
                self.kind == Kind::Roles(Mode::Registry)
                    && match action {
                        Action::All => self.everywhere.has_all(CHARTS),
                        Action::Pull | Action::Push | Action::Delete => self.everywhere.has_all(wanted(action)),
                        _ => false,
                    }
            }
        }
    }

    /// Whether something can be done to a repository for which the token protocol has no word of its own.
    #[must_use]
    pub fn can(&self, ability: Ability, repository: &str, environment: Environment) -> bool {
        self.kind == Kind::Everything || self.on_repository(repository, environment).has(ability)
    }

    /// Everything that is allowed on a repository.
    fn on_repository(&self, name: &str, environment: Environment) -> Abilities {
        let mut abilities = self.everywhere;
        if name != EVERY_REPOSITORY {
            if !self.patterns.is_empty() {
                abilities = abilities.with(self.patterns.on(name));
            }
            let attributes =
                Attributes { repository: Some(name), environment: Some(environment), ..Attributes::default() };
            for (held, condition) in &self.conditional {
                if !abilities.has_all(*held) && condition.holds(DECIDED, &attributes) {
                    abilities = abilities.with(*held);
                }
            }
        }
        if self.kind == Kind::Roles(Mode::Repository) {
            // What was deleted from a repository is seen by those who see the repository.
            for (deleted, needed) in [(Ability::DeletedRead, Ability::Pull), (Ability::DeletedRestore, Ability::Push)] {
                if !abilities.has(needed) {
                    abilities = abilities.without(Abilities::of(&[deleted]));
                }
            }
        }
        abilities
    }

    fn has(&self, ability: Ability, repository: Option<&str>, environment: Environment) -> bool {
        let attributes = Attributes { repository, environment: Some(environment), ..Attributes::default() };
        self.everywhere.has(ability)
            || self
                .conditional
                .iter()
                .any(|(held, condition)| held.has(ability) && condition.holds(DECIDED, &attributes))
    }

    /// Whether there are none, anywhere and at any time.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.anywhere().is_empty()
    }

    /// Whether they depend on when and from where a request comes.
    #[must_use]
    pub fn asks_environment(&self) -> bool {
        self.conditional.iter().any(|(_, condition)| condition.asks_environment())
    }

    /// Whether the word `*` in a repository's place has a meaning for whoever has these rights. In registries whose roles
    /// count by repository it has none (`acr/data-plane.md` 3.3).
    #[must_use]
    pub fn know_wildcards(&self) -> bool {
        self.kind != Kind::Roles(Mode::Repository)
    }

    /// What refresh tokens say of their subject's permissions, for those who read them (`acr/data-plane.md` 3.5).
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        if self.kind == Kind::Everything {
            return vec!["*"];
        }
        let anywhere = self.anywhere();
        WORDS.iter().filter(|(ability, _)| anywhere.has(*ability)).map(|(_, word)| *word).collect()
    }

    fn anywhere(&self) -> Abilities {
        let known = self.everywhere.with(self.patterns.anywhere());
        self.conditional.iter().fold(known, |all, (held, _)| all.with(*held))
    }
}

/// What an action of the token protocol needs on a repository.
fn wanted(action: Action) -> Abilities {
    match action {
        Action::Pull => Abilities::of(&[Ability::Pull]),
        Action::Push => Abilities::of(&[Ability::Push]),
        Action::Delete => Abilities::of(&[Ability::Delete]),
        Action::MetadataRead => Abilities::of(&[Ability::MetadataRead]),
        Action::MetadataWrite => Abilities::of(&[Ability::MetadataWrite]),
        Action::DeletedRead => Abilities::of(&[Ability::DeletedRead]),
        Action::DeletedRestore => Abilities::of(&[Ability::DeletedRestore]),
        Action::All => Abilities::of(&[
            Ability::Pull,
            Ability::Push,
            Ability::Delete,
            Ability::MetadataRead,
            Ability::MetadataWrite,
            Ability::DeletedRead,
            Ability::DeletedRestore,
        ]),
    }
}

const CHARTS: Abilities = Abilities::of(&[Ability::Pull, Ability::Push, Ability::Delete]);

const WORDS: [(Ability, &str); 9] = [
    (Ability::Pull, "read"),
    (Ability::Push, "write"),
    (Ability::Delete, "delete"),
    (Ability::MetadataRead, "metadata/read"),
    (Ability::MetadataWrite, "metadata/write"),
    (Ability::DeletedRead, "deleted/read"),
    (Ability::DeletedRestore, "deleted/restore/action"),
    (Ability::QuarantineRead, "quarantine/read"),
    (Ability::Sign, "sign"),
];

/// In a reduced condition no operation comes up any more.
const DECIDED: &str = "";
const EVERY_REPOSITORY: &str = "*";

#[cfg(test)]
mod tests;
