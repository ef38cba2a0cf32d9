//! The directory: principals, applications, what they sign in with, who is in which group and who owns what.
//!
//! ```text
//! applications ──app_id── principals (service principals)      principals (groups) ──group_members── principals
//!       └──────┬──────────────┘                                        └─────────┬────────┘
//!         credentials                                                    directory_owners
//! ```
//!
//! Names are compared and listed by their keys, which are in lower case. What Microsoft Graph keeps of an object beside
//! its columns lies in `properties`, a JSON object that this crate does not look into.

pub mod applications;
pub mod credentials;
pub mod groups;
pub mod owners;
pub mod principals;

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use uuid::Uuid;

pub use self::applications::ApplicationRow;
pub use self::credentials::{CredentialKind, CredentialRow};
pub use self::principals::{Family, PrincipalRow};

/// The object id of an application. Role assignments name its service principal instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationId(pub Uuid);

impl fmt::Display for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for ApplicationId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What an object has beside its columns.
pub type Properties = Map<String, Value>;

/// A part of a list that is in the order of names, then ids.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Only names that begin with this, in any case; all if empty.
    pub prefix: String,
    /// Only what comes after this key of a name and id.
    pub after: Option<(String, Uuid)>,
    /// How many at most.
    pub limit: i64,
}

impl Page {
    /// The keys of names that belong to the page: from the first, up to and without the second.
    fn range(&self) -> (String, String) {
        let from = key(&self.prefix);
        let to = format!("{from}\u{10FFFF}");
        (from, to)
    }

    /// What the page comes after.
    fn start(&self) -> (String, String) {
        self.after.as_ref().map_or_else(Default::default, |(name, id)| (name.clone(), id.to_string()))
    }
}

/// What a name is compared, listed and looked up by.
#[must_use]
pub fn key(name: &str) -> String {
    name.to_lowercase()
}
