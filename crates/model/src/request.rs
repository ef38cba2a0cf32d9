//! What the server tells every part that speaks HTTP about a request, and what it wants to hear back for its log.

use std::sync::Arc;

use uuid::Uuid;

use crate::RegistryName;
use crate::principal::Client;

/// What is known of a request to the management plane, the token service or Graph before anybody has read it.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Names the request in logs, in answers and in what is shown to users.
    pub request_id: Uuid,
    /// Where it came from.
    pub client: Client,
    /// Where the parts of this installation are for this client.
    pub endpoints: Arc<Endpoints>,
}

/// Where the parts of an installation are, as the client that asks can reach them: its request came to a host of theirs,
/// or to the default host, which serves all of them. No URL ends with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The management API, such as `https://management.example.com` or `https://localhost:5443`.
    pub management: String,
    /// The token service, such as `https://login.example.com`. Authorities are below it: `/adfs`, `/<tenant>`.
    pub login: String,
    /// Graph, such as `https://management.example.com/graph`.
    pub graph: String,
    /// The portal.
    pub portal: String,
}

/// The hosts of registries: `<name>.<domain>`, with the port where it is not 443.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginServers {
    domain: String,
    port: u16,
    /// The registry that is `localhost:<port>`, so that it works without DNS.
    local: Option<RegistryName>,
}

/// What a part other than the registries' tells the access log about a request. It lies in the extensions of every
/// response of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessNote {
    /// The endpoint's name, such as `management.registries.put` or `login.token`; `management.unknown` when the path leads
    /// nowhere. Few values, fit for a label: never a name or an id out of the path.
    pub route: &'static str,
    /// Who called, once that is known: a name for people.
    pub caller: Option<Arc<str>>,
}

impl LoginServers {
    /// Names under `domain`, behind `port`. `local` is the registry that calls itself `localhost:<port>`.
    #[must_use]
    pub fn new(domain: impl Into<String>, port: u16, local: Option<RegistryName>) -> Self {
        Self { domain: domain.into(), port, local }
    }

    /// The login server of a registry.
    #[must_use]
    pub fn of(&self, registry: &RegistryName) -> String {
        self.with_label(registry, None)
    }

    /// The login server of a registry whose host has this label behind the name, `<name>-<label>.<domain>`.
    #[must_use]
    pub fn with_label(&self, registry: &RegistryName, label: Option<&str>) -> String {
        match label {
            _ if self.local.as_ref() == Some(registry) => format!("localhost:{}", self.port),
            Some(label) => format!("{registry}-{label}.{}", self.suffix()),
            None => format!("{registry}.{}", self.suffix()),
        }
    }

    /// What follows the registry's name and a dot: the domain, with the port where it is not 443.
    #[must_use]
    pub fn suffix(&self) -> String {
        match self.port {
            443 => self.domain.clone(),
            port => format!("{}:{port}", self.domain),
        }
    }

    /// Whether a URL that was made of a request's `Host` is certain to name this installation: a host of its domain, or
    /// this machine itself, with any port. Others are what a client says; tokens that are for them are for somebody else.
    #[must_use]
    pub fn is_own(&self, url: &str) -> bool {
        let Some((_, rest)) = url.split_once("://") else { return false };
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.split(':').next().unwrap_or_default(),
        };
        let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let in_domain = host
            .len()
            .checked_sub(self.domain.len() + 1)
            .and_then(|at| Some((host.as_bytes().get(at)?, host.get(at + 1..)?)))
            .is_some_and(|(dot, end)| *dot == b'.' && end.eq_ignore_ascii_case(&self.domain));
        is_loopback || in_domain || host.eq_ignore_ascii_case("localhost")
    }

    /// The registry that calls itself `localhost:<port>`, if one does.
    #[must_use]
    pub fn local(&self) -> Option<&RegistryName> {
        self.local.as_ref()
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether no registry can have this name, because a service answers at its host.
    #[must_use]
    pub fn is_reserved(registry: &RegistryName) -> bool {
        Self::RESERVED.contains(&registry.as_str())
    }

    /// Names under the domain at which services answer.
    pub const RESERVED: [&str; 3] = ["login", "management", "portal"];
}

impl AccessNote {
    /// A note of a request that nobody is known to have made.
    #[must_use]
    pub fn of(route: &'static str) -> Self {
        Self { route, caller: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_servers_follow_domain_and_port() {
        let (wharf, contoso): (RegistryName, RegistryName) = ("wharf".parse().unwrap(), "contoso".parse().unwrap());
        let local = LoginServers::new("wharf.localhost", 5443, Some(wharf.clone()));
        assert_eq!(local.of(&wharf), "localhost:5443");
        assert_eq!(local.of(&contoso), "contoso.wharf.localhost:5443");
        assert_eq!(local.with_label(&contoso, Some("0abc")), "contoso-0abc.wharf.localhost:5443");
        assert_eq!(local.suffix(), "wharf.localhost:5443");
        let public = LoginServers::new("example.com", 443, None);
        assert_eq!(public.of(&wharf), "wharf.example.com");
        assert_eq!(public.suffix(), "example.com");
    }

    #[test]
    fn hosts_of_the_domain_and_of_this_machine_are_own() {
        let servers = LoginServers::new("example.com", 5443, None);
        for own in [
            "https://management.example.com",
            "https://MANAGEMENT.Example.com:8443/graph",
            "https://localhost:1",
            "https://127.0.0.1:5443",
            "https://[::1]:5443",
        ] {
            assert!(servers.is_own(own), "{own}");
        }
        for other in [
            "https://example.org",
            "https://notexample.com",
            "https://example.com",
            "https://10.0.0.1",
            "https://localhost.evil.org",
            "https://management.example.com.evil.org",
            "x",
            "https://",
        ] {
            assert!(!servers.is_own(other), "{other}");
        }
    }

    #[test]
    fn names_of_services_are_reserved() {
        assert!(LoginServers::is_reserved(&"login".parse().unwrap()));
        assert!(!LoginServers::is_reserved(&"contoso".parse().unwrap()));
    }
}
