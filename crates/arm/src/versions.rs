//! The api-versions that each namespace accepts. One code path serves them all: field sets are those of the newest, and
//! members that an older client does not know do it no harm.
//!
//! Source: `acr/control-plane.md` 5 and 17; azure-rest-api-specs for the versions that other tools send.

/// The api-versions of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Those that are advertised, the oldest first.
    pub listed: &'static [&'static str],
    /// Whether there are no others. Where we do not know them all, any from the first on is taken, up to the year for
    /// which this was written.
    pub is_complete: bool,
}

impl Versions {
    /// The newest.
    #[must_use]
    pub fn newest(self) -> &'static str {
        self.listed.last().copied().unwrap_or_default()
    }

    /// The version as we write it, if it is one that we accept; suffixes are compared without regard to case.
    #[must_use]
    pub fn find(self, version: &str) -> Option<String> {
        let version = version.to_ascii_lowercase();
        let oldest = self.listed.first().copied().unwrap_or_default();
        let is_between = || is_version(&version) && oldest <= version.as_str() && version.as_str() <= LATEST;
        let is_known = self.listed.contains(&version.as_str()) || !self.is_complete && is_between();
        is_known.then_some(version)
    }
}

/// Whether a text reads like an api-version: `2025-11-01`, `2026-09-01-preview`.
#[must_use]
pub fn is_version(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text).as_bytes();
    date.len() == 10
        && date
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
}

/// The last day of the year for which the tables were written.
const LATEST: &str = "2026-12-31-preview";

/// Microsoft.ContainerRegistry, tasks and agent pools apart.
pub const CONTAINER_REGISTRY: Versions = Versions {
    listed: &[
        "2017-10-01",
        "2019-05-01",
        "2019-12-01-preview",
        "2020-11-01-preview",
        "2021-06-01-preview",
        "2021-08-01-preview",
        "2021-09-01",
        "2021-12-01-preview",
        "2022-02-01-preview",
        "2022-12-01",
        "2023-01-01-preview",
        "2023-06-01-preview",
        "2023-07-01",
        "2023-08-01-preview",
        "2023-11-01-preview",
        "2024-01-01-preview",
        "2024-11-01-preview",
        "2025-03-01-preview",
        "2025-04-01",
        "2025-05-01-preview",
        "2025-06-01-preview",
        "2025-09-01-preview",
        "2025-11-01",
        "2025-12-01-preview",
        "2026-01-01-preview",
        "2026-03-01-preview",
        "2026-09-01-preview",
    ],
    is_complete: true,
};

/// Tenants, subscriptions and locations.
pub const SUBSCRIPTIONS: Versions = Versions {
    listed: &[
        "2014-04-01",
        "2015-11-01",
        "2016-06-01",
        "2018-06-01",
        "2019-06-01",
        "2019-11-01",
        "2020-01-01",
        "2021-01-01",
        "2022-09-01",
        "2022-12-01",
    ],
    is_complete: false,
};

/// Resource groups, generic lists, providers and deployments.
pub const RESOURCES: Versions = Versions {
    listed: &[
        "2014-04-01-preview",
        "2015-01-01",
        "2015-11-01",
        "2016-02-01",
        "2016-06-01",
        "2016-07-01",
        "2016-09-01",
        "2017-05-10",
        "2018-02-01",
        "2018-05-01",
        "2019-03-01",
        "2019-05-01",
        "2019-05-10",
        "2019-07-01",
        "2019-08-01",
        "2019-10-01",
        "2020-06-01",
        "2020-08-01",
        "2020-10-01",
        "2021-01-01",
        "2021-04-01",
        "2022-01-01",
        "2022-09-01",
        "2023-07-01",
        "2024-03-01",
        "2024-07-01",
        "2024-11-01",
        "2025-03-01",
        "2025-04-01",
    ],
    is_complete: false,
};

/// Role definitions and role assignments.
pub const AUTHORIZATION: Versions = Versions {
    listed: &[
        "2015-07-01",
        "2017-05-01",
        "2017-10-01-preview",
        "2018-01-01-preview",
        "2018-07-01",
        "2018-09-01-preview",
        "2020-03-01-preview",
        "2020-04-01-preview",
        "2020-08-01-preview",
        "2020-10-01",
        "2020-10-01-preview",
        "2022-04-01",
        "2022-05-01-preview",
    ],
    is_complete: false,
};

/// Locks.
pub const LOCKS: Versions =
    Versions { listed: &["2015-01-01", "2016-09-01", "2017-04-01", "2020-05-01"], is_complete: false };

/// Microsoft.ManagedIdentity.
pub const MANAGED_IDENTITY: Versions = Versions {
    listed: &[
        "2015-08-31-preview",
        "2018-11-30",
        "2021-09-30-preview",
        "2022-01-31-preview",
        "2023-01-31",
        "2023-07-31-preview",
        "2024-11-30",
        "2025-01-31-preview",
        "2025-05-31-preview",
    ],
    is_complete: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_goes_from_the_oldest_to_the_newest() {
        for table in [CONTAINER_REGISTRY, SUBSCRIPTIONS, RESOURCES, AUTHORIZATION, LOCKS, MANAGED_IDENTITY] {
            assert!(table.listed.is_sorted() && table.listed.iter().all(|version| is_version(version)), "{table:?}");
        }
    }

    #[test]
    fn versions_are_taken_as_they_are_known() {
        assert_eq!(CONTAINER_REGISTRY.find("2026-09-01-PREVIEW").as_deref(), Some("2026-09-01-preview"));
        for unknown in ["2026-09-01", "2020-01-01", "", "1.0", "2025-11-01 "] {
            assert_eq!(CONTAINER_REGISTRY.find(unknown), None, "{unknown}");
        }
        assert!(RESOURCES.find("2021-05-01").is_some());
        assert!(RESOURCES.find("2031-05-01").is_none() && RESOURCES.find("2021-5-01").is_none());
    }
}
