//! The api-versions that each namespace accepts. One code path serves them all: field sets are those of the newest, and
//! members that an older client does not know do it no harm.
//!
//! Source: `acr/control-plane.md` 5 and 17; azure-rest-api-specs for the versions that other tools send.

/// Microsoft.ContainerRegistry, tasks and agent pools apart.
pub const CONTAINER_REGISTRY: &[&str] = &[
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
];

/// Tenants, subscriptions and locations.
pub const SUBSCRIPTIONS: &[&str] = &[
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
];

/// Resource groups, generic lists, providers and deployments.
pub const RESOURCES: &[&str] = &[
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
];

/// Role definitions and role assignments.
pub const AUTHORIZATION: &[&str] = &[
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
];

/// Locks.
pub const LOCKS: &[&str] = &["2015-01-01", "2016-09-01", "2017-04-01", "2020-05-01"];

/// Microsoft.ManagedIdentity.
pub const MANAGED_IDENTITY: &[&str] = &[
    "2015-08-31-preview",
    "2018-11-30",
    "2021-09-30-preview",
    "2022-01-31-preview",
    "2023-01-31",
    "2023-07-31-preview",
    "2024-11-30",
    "2025-01-31-preview",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_goes_from_the_oldest_to_the_newest() {
        for table in [CONTAINER_REGISTRY, SUBSCRIPTIONS, RESOURCES, AUTHORIZATION, LOCKS, MANAGED_IDENTITY] {
            assert!(table.is_sorted(), "{table:?}");
        }
    }
}
