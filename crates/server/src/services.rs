//! The services beside the registries, and the paths at which the default host serves them.
//!
//! ```text
//! host                          who answers
//! management.<domain>           Graph below /graph, else the management API
//! login.<domain>                the token service
//! any host that names nothing   by the first segment of the path, else the default registry
//! ```

use uuid::Uuid;

/// A service beside the registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// The management API: `/subscriptions/…`.
    Management,
    /// The subset of Microsoft Graph: `/graph/v1.0/…`.
    Graph,
    /// The token service: `/adfs/…`, `/<tenant>/…`, managed identities.
    Login,
}

impl Service {
    /// The service's name in routes and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Graph => "graph",
            Self::Login => "login",
        }
    }

    /// Who answers a path on the management host.
    pub(crate) fn of_management_path(path: &str) -> Self {
        match first_segment(path) {
            first if first.eq_ignore_ascii_case("graph") => Self::Graph,
            first if first.eq_ignore_ascii_case("metadata") && is_managed_identity(path) => Self::Login,
            _ => Self::Management,
        }
    }

    /// Who answers a path on the default host; `None`: the default registry.
    pub(crate) fn of_default_path(path: &str) -> Option<Self> {
        let first = first_segment(path);
        // Nearly every request: /v2/…, /oauth2/…, /acr/….
        if matches!(first, "v2" | "oauth2" | "acr" | "") {
            return None;
        }
        if let Some((_, service)) = PATHS.iter().find(|(word, _)| first.eq_ignore_ascii_case(word)) {
            return Some(*service);
        }
        if first.eq_ignore_ascii_case("metadata") {
            return Some(if is_managed_identity(path) { Self::Login } else { Self::Management });
        }
        // A tenant.
        (first.len() == 36 && Uuid::try_parse(first).is_ok()).then_some(Self::Login)
    }
}

/// First segments that belong to a service, without regard to case.
const PATHS: [(&str, Service); 11] = [
    ("subscriptions", Service::Management),
    ("providers", Service::Management),
    ("tenants", Service::Management),
    ("openapi.json", Service::Management),
    ("graph", Service::Graph),
    ("adfs", Service::Login),
    ("common", Service::Login),
    ("organizations", Service::Login),
    ("consumers", Service::Login),
    ("login", Service::Login),
    ("msi", Service::Login),
];

fn first_segment(path: &str) -> &str {
    let rest = path.strip_prefix('/').unwrap_or(path);
    rest.split_once('/').map_or(rest, |(first, _)| first)
}

/// `/metadata/identity/…`, beside which `/metadata/endpoints` is the management API's.
fn is_managed_identity(path: &str) -> bool {
    path.split('/').nth(2).is_some_and(|second| second.eq_ignore_ascii_case("identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_host_serves_each_service_on_its_paths() {
        for (path, service) in [
            ("/subscriptions", Service::Management),
            ("/Subscriptions/x/resourcegroups/y", Service::Management),
            ("/providers/Microsoft.Authorization/roleDefinitions", Service::Management),
            ("/tenants", Service::Management),
            ("/metadata/endpoints", Service::Management),
            ("/openapi.json", Service::Management),
            ("/metadata/identity/oauth2/token", Service::Login),
            ("/graph/v1.0/me", Service::Graph),
            ("/adfs/.well-known/openid-configuration", Service::Login),
            ("/common/userrealm/a@b", Service::Login),
            ("/organizations/v2.0/.well-known/openid-configuration", Service::Login),
            ("/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/v2.0/token", Service::Login),
            ("/msi/token", Service::Login),
            ("/login/device", Service::Login),
        ] {
            assert_eq!(Service::of_default_path(path), Some(service), "{path}");
        }
    }

    #[test]
    fn all_other_paths_are_the_default_registrys() {
        for path in [
            "/v2/",
            "/v2",
            "/v2/subscriptions/manifests/v1",
            "/oauth2/token",
            "/oauth2/exchange",
            "/acr/v1/_catalog",
            "/",
            "",
            "*",
            "/helm/v1/x",
            "/subscription",
            "/72f988bf-86f1-41af-91ab",
        ] {
            assert_eq!(Service::of_default_path(path), None, "{path}");
        }
    }

    #[test]
    fn the_management_host_has_graph_below_a_path() {
        assert_eq!(Service::of_management_path("/graph/v1.0/me"), Service::Graph);
        assert_eq!(Service::of_management_path("/subscriptions/graph"), Service::Management);
        assert_eq!(Service::of_management_path("/v2/"), Service::Management);
        assert_eq!(Service::of_management_path("/metadata/identity/oauth2/token"), Service::Login);
        assert_eq!(Service::of_management_path("/metadata/endpoints"), Service::Management);
    }
}
