//! Locks: what may be done to a repository, a tag or a manifest, whoever asks.

use serde::{Deserialize, Serialize};

/// The locks of a repository, a tag or a manifest: four flags, all `true` unless somebody locked something.
///
/// Those of a tag and those of its manifest are apart (`acr/semantics.md` 4.1). On the wire they are called
/// `changeableAttributes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Locks {
    /// It may be deleted. Overwriting is another thing.
    pub delete_enabled: bool,
    /// It may be overwritten, and, together with the flag above, be deleted.
    pub write_enabled: bool,
    /// It may be pulled.
    pub read_enabled: bool,
    /// It is shown in lists.
    pub list_enabled: bool,
}

impl Locks {
    /// No lock at all.
    pub const OPEN: Self = Self { delete_enabled: true, write_enabled: true, read_enabled: true, list_enabled: true };

    /// Whether what has these locks may be deleted.
    #[must_use]
    pub fn allow_delete(self) -> bool {
        self.delete_enabled && self.write_enabled
    }
}

/// A change of locks: what is not named stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocksChange {
    /// As in [`Locks`].
    #[serde(default)]
    pub delete_enabled: Option<bool>,
    /// As in [`Locks`].
    #[serde(default)]
    pub write_enabled: Option<bool>,
    /// As in [`Locks`].
    #[serde(default)]
    pub read_enabled: Option<bool>,
    /// As in [`Locks`].
    #[serde(default)]
    pub list_enabled: Option<bool>,
}

impl LocksChange {
    /// The locks after the change.
    #[must_use]
    pub fn of(self, locks: Locks) -> Locks {
        Locks {
            delete_enabled: self.delete_enabled.unwrap_or(locks.delete_enabled),
            write_enabled: self.write_enabled.unwrap_or(locks.write_enabled),
            read_enabled: self.read_enabled.unwrap_or(locks.read_enabled),
            list_enabled: self.list_enabled.unwrap_or(locks.list_enabled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let change: LocksChange =
            serde_json::from_str(r#"{"writeEnabled":false,"other":1,"listEnabled":null}"#).unwrap();
        let locks = change.of(Locks::OPEN);
        assert_eq!(locks, Locks { write_enabled: false, ..Locks::OPEN });
        assert!(!locks.allow_delete());
        assert_eq!(LocksChange::default().of(locks), locks);
    }
}
