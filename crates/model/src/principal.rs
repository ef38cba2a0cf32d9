//! Principals: who can be given rights.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The object id of a user, group, service principal or managed identity: what role assignments name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalId(pub Uuid);

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for PrincipalId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// Several principals together; a group never signs in.
    Group,
    /// An application, which signs in with secrets or certificates of its own.
    ServicePrincipal,
    /// An application whose secrets nobody holds. To role assignments and in tokens it is a service principal.
    ManagedIdentity,
}

impl PrincipalKind {
    /// Every kind.
    pub const EVERY: [Self; 4] = [Self::User, Self::Group, Self::ServicePrincipal, Self::ManagedIdentity];

    /// The word that is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServicePrincipal => "ServicePrincipal",
            Self::ManagedIdentity => "ManagedIdentity",
        }
    }

    /// The kind with this word, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }

    /// The word of `principalType` in role assignments, which knows no managed identities.
    #[must_use]
    pub fn assignment_word(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServicePrincipal | Self::ManagedIdentity => "ServicePrincipal",
        }
    }

    /// The word of `createdByType` in `systemData`.
    #[must_use]
    pub fn system_data_word(self) -> &'static str {
        match self {
            Self::User | Self::Group => "User",
            Self::ServicePrincipal => "Application",
            Self::ManagedIdentity => "ManagedIdentity",
        }
    }
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// The client's address: the connection's, or what a trusted proxy says of it.
    pub address: IpAddr,
    /// Whether it came over a listener that counts as the private endpoint.
    pub is_private: bool,
}
