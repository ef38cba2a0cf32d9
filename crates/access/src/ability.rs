//! What can be done on the data plane, and which operations of roles allow it.
//!
//! There are two tables, one for each mode of a registry (`acr/semantics.md` 3.1). They are the whole of what roles
//! mean on the data plane: an operation that stands in neither allows nothing there.

use serde::{Deserialize, Serialize};

use crate::role::Side;

/// What a registry's roles count for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// `LegacyRegistryPermissions`: for the registry as a whole.
    Registry,
    /// `AbacRepositoryPermissions`: by repository, with conditions.
    Repository,
}

/// Something that can be done on the data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ability {
    /// Read manifests, blobs, tags and referrers.
    Pull,
    /// Write manifests, blobs and tags.
    Push,
    /// Delete manifests, blobs and repositories.
    Delete,
    /// Remove a tag and leave its manifest.
    Untag,
    /// Read attributes, locks among them.
    MetadataRead,
    /// Change attributes.
    MetadataWrite,
    /// List what was deleted softly.
    DeletedRead,
    /// Restore what was deleted softly.
    DeletedRestore,
    /// Pull what is in quarantine.
    QuarantineRead,
    /// Put into quarantine and out of it.
    QuarantineWrite,
    /// Sign with content trust.
    Sign,
    /// List repositories.
    Catalog,
}

impl Ability {
    /// All of them.
    pub const EVERY: [Self; 12] = [
        Self::Pull,
        Self::Push,
        Self::Delete,
        Self::Untag,
        Self::MetadataRead,
        Self::MetadataWrite,
        Self::DeletedRead,
        Self::DeletedRestore,
        Self::QuarantineRead,
        Self::QuarantineWrite,
        Self::Sign,
        Self::Catalog,
    ];
}

/// A set of abilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Abilities(u16);

impl Abilities {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self::of(&Ability::EVERY);

    pub(crate) const fn of(abilities: &[Ability]) -> Self {
        let mut set = 0;
        let mut position = 0;
        while position < abilities.len() {
            set |= 1 << abilities[position] as u16;
            position += 1;
        }
        Self(set)
    }

    pub(crate) fn has(self, ability: Ability) -> bool {
        self.0 & 1 << ability as u16 != 0
    }

    pub(crate) fn has_all(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    pub(crate) fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(crate) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A row: who may do this operation has these abilities.
pub(crate) type Effect = (Side, &'static str, Abilities);

impl Mode {
    /// The table of this mode.
    pub(crate) fn effects(self) -> &'static [Effect] {
        match self {
            Self::Registry => &REGISTRY,
            Self::Repository => &REPOSITORY,
        }
    }
}

const fn action(operation: &'static str, abilities: &[Ability]) -> Effect {
    (Side::Action, operation, Abilities::of(abilities))
}

const fn data(operation: &'static str, abilities: &[Ability]) -> Effect {
    (Side::DataAction, operation, Abilities::of(abilities))
}

/// Source: `acr/semantics.md` 3.1; `acr/control-plane.md` 18 for what those who pull may not read.
#[rustfmt::skip]
static REGISTRY: [Effect; 12] = [
    action("Microsoft.ContainerRegistry/registries/pull/read", &[Ability::Pull, Ability::Catalog]),
    action("Microsoft.ContainerRegistry/registries/push/write", &[Ability::Push, Ability::Untag]),
    action("Microsoft.ContainerRegistry/registries/artifacts/delete", &[Ability::Delete, Ability::Untag]),
    action("Microsoft.ContainerRegistry/registries/metadata/read", &[Ability::MetadataRead]),
    action("Microsoft.ContainerRegistry/registries/metadata/write", &[Ability::MetadataWrite, Ability::Untag]),
    action("Microsoft.ContainerRegistry/registries/deleted/read", &[Ability::DeletedRead]),
    action("Microsoft.ContainerRegistry/registries/deleted/restore/action", &[Ability::DeletedRestore]),
    action("Microsoft.ContainerRegistry/registries/quarantine/read", &[Ability::QuarantineRead]),
    action("Microsoft.ContainerRegistry/registries/quarantine/write", &[Ability::QuarantineWrite]),
    action("Microsoft.ContainerRegistry/registries/sign/write", &[Ability::Sign]),
    data("Microsoft.ContainerRegistry/registries/quarantinedArtifacts/read", &[Ability::QuarantineRead]),
    data("Microsoft.ContainerRegistry/registries/quarantinedArtifacts/write", &[Ability::QuarantineWrite]),
];

/// What was deleted softly also takes the right to what it was deleted from: see [`crate::Rights`]. Content trust does
/// not exist in this mode. Source: as above.
#[rustfmt::skip]
static REPOSITORY: [Effect; 11] = [
    data("Microsoft.ContainerRegistry/registries/repositories/content/read", &[Ability::Pull]),
    data("Microsoft.ContainerRegistry/registries/repositories/content/write", &[Ability::Push]),
    data("Microsoft.ContainerRegistry/registries/repositories/content/delete", &[Ability::Delete, Ability::Untag]),
    data("Microsoft.ContainerRegistry/registries/repositories/metadata/read", &[Ability::MetadataRead]),
    data("Microsoft.ContainerRegistry/registries/repositories/metadata/write", &[Ability::MetadataWrite, Ability::Untag]),
    data("Microsoft.ContainerRegistry/registries/repositories/metadata/delete", &[Ability::Untag]),
    data("Microsoft.ContainerRegistry/registries/catalog/read", &[Ability::Catalog]),
    data("Microsoft.ContainerRegistry/registries/quarantinedArtifacts/read", &[Ability::QuarantineRead]),
    data("Microsoft.ContainerRegistry/registries/quarantinedArtifacts/write", &[Ability::QuarantineWrite]),
    action("Microsoft.ContainerRegistry/registries/deleted/read", &[Ability::DeletedRead]),
    action("Microsoft.ContainerRegistry/registries/deleted/restore/action", &[Ability::DeletedRestore]),
];
