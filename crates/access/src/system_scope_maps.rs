//! The scope maps that every registry has from its beginning to its end. They cannot be changed or deleted.
//!
//! Source: `acr/data-plane.md` 3.6; descriptions and actions as exported templates of real registries have them.

/// A scope map of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemScopeMap {
    /// Its name, in lower case.
    pub name: &'static str,
    /// What it says of itself.
    pub description: &'static str,
    /// What its tokens may do.
    pub actions: &'static [&'static str],
}

/// All of them, in the order of their names.
pub const SYSTEM_SCOPE_MAPS: [SystemScopeMap; 5] = [
    SystemScopeMap {
        name: "_repositories_admin",
        description: "Can perform all read, write and delete operations on the registry",
        actions: &[
            "repositories/*/metadata/read",
            "repositories/*/metadata/write",
            "repositories/*/content/read",
            "repositories/*/content/write",
            "repositories/*/content/delete",
        ],
    },
    SystemScopeMap {
        name: "_repositories_pull",
        description: "Can pull any repository of the registry",
        actions: &["repositories/*/content/read"],
    },
    SystemScopeMap {
        name: "_repositories_pull_metadata_read",
        description: "Can perform all read operations on the registry",
        actions: &["repositories/*/content/read", "repositories/*/metadata/read"],
    },
    SystemScopeMap {
        name: "_repositories_push",
        description: "Can push to any repository of the registry",
        actions: &["repositories/*/content/read", "repositories/*/content/write"],
    },
    SystemScopeMap {
        name: "_repositories_push_metadata_write",
        description: "Can perform all read and write operations on the registry",
        actions: &[
            "repositories/*/metadata/read",
            "repositories/*/metadata/write",
            "repositories/*/content/read",
            "repositories/*/content/write",
        ],
    },
];

/// The system's scope map with this name, in any casing.
#[must_use]
pub fn find_system_scope_map(name: &str) -> Option<&'static SystemScopeMap> {
    SYSTEM_SCOPE_MAPS.iter().find(|map| map.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_found_in_any_casing() {
        assert!(SYSTEM_SCOPE_MAPS.is_sorted_by_key(|map| map.name));
        assert_eq!(find_system_scope_map("_Repositories_Pull").unwrap().name, "_repositories_pull");
        assert_eq!(find_system_scope_map("_repositories"), None);
    }
}
