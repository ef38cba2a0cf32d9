//! Ids. Each kind is a type of its own, so that one cannot stand where another is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<i64> for $name {
            fn from(row: i64) -> Self {
                Self(row)
            }
        }
    };
}

row_id!(
    /// The row of a registry. Valid inside one database only; the id that others may see is [`RegistryUid`].
    RegistryId
);
row_id!(
    /// The row of a repository. Never re-used, so a cache that is keyed by it cannot confuse two repositories.
    RepositoryId
);
row_id!(
    /// The row of a manifest in one repository.
    ManifestId
);
row_id!(
    /// The row of a blob, shared by all repositories that hold it.
    BlobId
);

/// The public id of a registry: 32 hexadecimal digits, as in the `rid` claim of its tokens (`acr/data-plane.md` 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegistryUid(pub Uuid);

impl fmt::Display for RegistryUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl FromStr for RegistryUid {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The id of an upload session, as in `Docker-Upload-Uuid`. Printed with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(pub Uuid);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The id of a job: work that is done later, or again. Printed with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub Uuid);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
