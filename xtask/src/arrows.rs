//! Which crate may know which.
//!
//! Arrows point down only. A crate that is not in the table, or an arrow that is not, is a violation; so is a library
//! that belongs to one crate's room (SQL, HTTP) in another's.

use cargo_metadata::{DependencyKind, Metadata};

/// Each crate of the house, with those of ours that it may use.
const HOUSE: [(&str, &[&str]); 18] = [
    ("wharf-model", &[]),
    ("wharf-oci", &["wharf-model"]),
    ("wharf-arm", &["wharf-model"]),
    ("wharf-access", &["wharf-model"]),
    ("wharf-egress", &[]),
    ("wharf-blobs", &["wharf-model"]),
    ("wharf-metadata", &["wharf-model"]),
    ("wharf-identity", &["wharf-access", "wharf-egress", "wharf-metadata", "wharf-model"]),
    ("wharf-jobs", &["wharf-metadata", "wharf-model"]),
    ("wharf-upstream", &["wharf-egress", "wharf-oci", "wharf-model"]),
    ("wharf-registry", &["wharf-jobs", "wharf-identity", "wharf-metadata", "wharf-blobs", "wharf-oci", "wharf-model"]),
    (
        "wharf-replication",
        &[
            "wharf-registry",
            "wharf-jobs",
            "wharf-upstream",
            "wharf-identity",
            "wharf-metadata",
            "wharf-blobs",
            "wharf-oci",
            "wharf-model",
        ],
    ),
    (
        "wharf-data-plane",
        &[
            "wharf-replication",
            "wharf-registry",
            "wharf-identity",
            "wharf-metadata",
            "wharf-blobs",
            "wharf-oci",
            "wharf-model",
        ],
    ),
    ("wharf-login", &["wharf-identity", "wharf-metadata", "wharf-model"]),
    ("wharf-graph", &["wharf-identity", "wharf-metadata", "wharf-model"]),
    (
        "wharf-management",
        &[
            "wharf-replication",
            "wharf-registry",
            "wharf-jobs",
            "wharf-identity",
            "wharf-access",
            "wharf-metadata",
            "wharf-arm",
            "wharf-model",
        ],
    ),
    ("wharf-testkit", EVERYTHING_BELOW_THE_SERVER),
    ("wharf-server", EVERYTHING_BELOW_THE_SERVER),
];

/// What the server wires together, and the tests' server too.
const EVERYTHING_BELOW_THE_SERVER: &[&str] = &[
    "wharf-management",
    "wharf-graph",
    "wharf-login",
    "wharf-data-plane",
    "wharf-replication",
    "wharf-registry",
    "wharf-jobs",
    "wharf-upstream",
    "wharf-identity",
    "wharf-access",
    "wharf-metadata",
    "wharf-blobs",
    "wharf-egress",
    "wharf-arm",
    "wharf-oci",
    "wharf-model",
];

/// Crates that any other may use, but for its tests only.
const FOR_TESTS: [&str; 1] = ["wharf-testkit"];

/// Crates that stand beside the house and use none of it.
const BESIDE: [&str; 1] = ["xtask"];

/// Libraries that belong to some rooms only: who may use them, tests apart.
const ROOMS: [(&str, &[&str]); 9] = [
    ("sqlx", &["wharf-metadata"]),
    ("axum", &["wharf-data-plane", "wharf-login", "wharf-graph", "wharf-management", "wharf-server", "wharf-testkit"]),
    ("hyper", &["wharf-server"]),
    ("hyper-util", &["wharf-server"]),
    ("rustls", &["wharf-egress", "wharf-server"]),
    ("reqwest", &["wharf-egress", "wharf-testkit"]),
    ("clap", &["wharf-server"]),
    ("tracing-subscriber", &["wharf-server"]),
    ("jsonwebtoken", &["wharf-identity"]),
];

/// A crate of the workspace as far as arrows are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crate {
    /// Its name.
    pub(crate) name: String,
    /// What it uses, also while it is built.
    pub(crate) uses: Vec<String>,
    /// What its tests use besides.
    pub(crate) tests_use: Vec<String>,
}

/// The crates of the workspace.
pub(crate) fn crates_of(metadata: &Metadata) -> Vec<Crate> {
    let of_workspace = metadata.workspace_packages().into_iter();
    of_workspace
        .map(|package| {
            let names = |for_tests: bool| {
                let wanted = move |kind| (kind == DependencyKind::Development) == for_tests;
                package.dependencies.iter().filter(move |dependency| wanted(dependency.kind)).map(|d| d.name.clone())
            };
            Crate { name: package.name.to_string(), uses: names(false).collect(), tests_use: names(true).collect() }
        })
        .collect()
}

/// What is wrong, a sentence each.
pub(crate) fn violations(crates: &[Crate]) -> Vec<String> {
    let is_ours = |name: &str| crates.iter().any(|member| member.name == name);
    let mut found = Vec::new();
    for member in crates {
        let name = &member.name;
        let allowed = match HOUSE.iter().find(|(room, _)| room == name) {
            Some((_, allowed)) => *allowed,
            None if BESIDE.contains(&name.as_str()) => &[],
            None => {
                found.push(format!("{name} is not in the table of xtask/src/arrows.rs; say there whom it may use"));
                continue;
            }
        };
        for used in member.uses.iter().filter(|used| is_ours(used) && !allowed.contains(&used.as_str())) {
            found.push(format!("{name} may not use {used}: arrows point down only"));
        }
        // Tests may use what the crate may, and what exists for tests.
        for used in member.tests_use.iter().filter(|used| is_ours(used)) {
            if !allowed.contains(&used.as_str()) && !FOR_TESTS.contains(&used.as_str()) {
                found.push(format!("the tests of {name} may not use {used}"));
            }
        }
        for (library, rooms) in ROOMS {
            if member.uses.iter().any(|used| used == library) && !rooms.contains(&name.as_str()) {
                found.push(format!("{name} may not use {library}, which belongs to {}", rooms.join(", ")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use cargo_metadata::MetadataCommand;

    use super::*;

    #[test]
    fn every_crate_knows_only_those_it_may_know() {
        let metadata = MetadataCommand::new().no_deps().exec().unwrap();
        let crates = crates_of(&metadata);
        assert!(crates.len() >= HOUSE.len(), "{crates:?}");
        assert_eq!(violations(&crates), Vec::<String>::new());
    }

    #[test]
    fn the_table_itself_points_down() {
        for (position, (name, allowed)) in HOUSE.iter().enumerate() {
            for used in *allowed {
                let below = HOUSE[..position].iter().any(|(room, _)| room == used);
                assert!(below, "{name} uses {used}, which stands not above it in the table");
            }
        }
    }

    #[test]
    fn violations_are_told() {
        let member = |name: &str, uses: &[&str], tests_use: &[&str]| Crate {
            name: name.to_owned(),
            uses: uses.iter().map(|used| (*used).to_owned()).collect(),
            tests_use: tests_use.iter().map(|used| (*used).to_owned()).collect(),
        };
        let crates = [
            member("wharf-model", &["wharf-oci", "serde"], &["wharf-testkit"]),
            member("wharf-oci", &["wharf-model", "sqlx"], &["wharf-server"]),
            member("wharf-testkit", &[], &[]),
            member("wharf-server", &["wharf-testkit"], &[]),
            member("wharf-novelty", &[], &[]),
        ];
        assert_eq!(
            violations(&crates),
            [
                "wharf-model may not use wharf-oci: arrows point down only",
                "the tests of wharf-oci may not use wharf-server",
                "wharf-oci may not use sqlx, which belongs to wharf-metadata",
                "wharf-server may not use wharf-testkit: arrows point down only",
                "wharf-novelty is not in the table of xtask/src/arrows.rs; say there whom it may use",
            ]
        );
    }
}
