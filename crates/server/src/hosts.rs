//! What a host names, and which host each part of the installation has.
//!
//! ```text
//! <name>.<domain>[:port]          the registry <name>
//! <name>-<label>.<domain>         the same, if that label is its own
//! management. login.              the services of that name (services.rs)
//! portal.                         reserved
//! anything else                   the default host: services by their paths, else the default registry
//! ```

use wharf_metadata::RegistryRow;
use wharf_model::{Endpoints, LoginServers, RegistryName};

use crate::config::{Config, Domain};

/// The registry that the first start creates and the default host serves.
pub(crate) const DEFAULT_REGISTRY: &str = "wharf";

/// What a host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostTarget {
    /// A registry by its name, and the label that follows the name; whether it exists, with that label, is not known
    /// here.
    Registry(RegistryName, Option<String>),
    /// `management.<domain>`.
    Management,
    /// `login.<domain>`.
    Login,
    /// A name under the domain that can be no registry's.
    Nobody,
    /// Any other host: the default registry, and the services on their paths.
    Default,
}

/// The names under which this server is known.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    domain: Domain,
    domain_is_set: bool,
    login_servers: LoginServers,
    /// `.<domain>`, kept so that a request does not build it.
    suffix: String,
}

impl Hosts {
    /// Names for a server whose HTTPS listener (or, without one, HTTP listener) has this `port`. The default registry is
    /// `localhost:<port>` until a domain is chosen, so that it works without DNS.
    pub(crate) fn new(domain: Domain, domain_is_set: bool, port: u16) -> Self {
        let suffix = format!(".{domain}");
        let default = DEFAULT_REGISTRY.parse().expect("the default registry's name is a registry's name");
        let local = if domain_is_set { None } else { Some(default) };
        let login_servers = LoginServers::new(domain.to_string(), port, local);
        Self { domain, domain_is_set, login_servers, suffix }
    }

    /// Names as configured. A port of 0 is one that the kernel will choose.
    pub(crate) fn of(config: &Config) -> Self {
        let port = config.listen.https.port().or(config.listen.http.port()).unwrap_or(443);
        Self::new(config.listen.domain.clone(), config.listen.domain_is_set, port)
    }

    /// The hosts of registries.
    pub(crate) fn login_servers(&self) -> &LoginServers {
        &self.login_servers
    }

    /// The login server of a registry.
    pub(crate) fn login_server(&self, registry: &RegistryRow) -> String {
        self.login_servers.with_label(&registry.name, registry.settings.domain_label.as_deref())
    }

    /// The domain of the registries.
    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// What `host` (without port) names.
    pub(crate) fn target(&self, host: &str) -> HostTarget {
        let host = host.strip_suffix('.').unwrap_or(host);
        let Some(split) = host.len().checked_sub(self.suffix.len()) else { return HostTarget::Default };
        // `get` because a host is ASCII only after it was checked, and this must not depend on it.
        match (host.get(..split), host.get(split..)) {
            (Some(name), Some(suffix)) if suffix.eq_ignore_ascii_case(&self.suffix) => {
                let (name, label) = match name.split_once('-') {
                    Some((name, label)) => (name, Some(label.to_ascii_lowercase())),
                    None => (name, None),
                };
                match RegistryName::parse_any_case(name) {
                    Ok(name) if !LoginServers::is_reserved(&name) => HostTarget::Registry(name, label),
                    Ok(name) if name.as_str() == "management" && label.is_none() => HostTarget::Management,
                    Ok(name) if name.as_str() == "login" && label.is_none() => HostTarget::Login,
                    _ => HostTarget::Nobody,
                }
            }
            _ => HostTarget::Default,
        }
    }

    /// Where the services are for a client that came to the default host at `base_url`.
    pub(crate) fn endpoints_at_default(&self, base_url: &str) -> Endpoints {
        Endpoints {
            management: base_url.to_owned(),
            login: base_url.to_owned(),
            graph: format!("{base_url}/graph"),
            portal: format!("{base_url}/portal"),
        }
    }

    /// Where the services are for a client that came to a host of theirs, by `scheme` and `port` (with its colon; empty
    /// where it is the scheme's own).
    pub(crate) fn endpoints_at_services(&self, scheme: &str, port: &str) -> Endpoints {
        let at = |name: &str| format!("{scheme}://{name}{}{port}", self.suffix);
        Endpoints {
            management: at("management"),
            login: at("login"),
            graph: format!("{}/graph", at("management")),
            portal: at("portal"),
        }
    }

    /// Where the services are for somebody who has not come to any host yet, over HTTPS.
    pub(crate) fn endpoints(&self) -> Endpoints {
        match (self.domain_is_set, self.login_servers.port()) {
            (true, 443) => self.endpoints_at_services("https", ""),
            (true, port) => self.endpoints_at_services("https", &format!(":{port}")),
            (false, port) => self.endpoints_at_default(&format!("https://localhost:{port}")),
        }
    }
}

/// Takes a `Host` header or `:authority` apart into host and port; `None` when it is not `host[:port]` of plain
/// characters. What passes can stand in a URL, a header and a log line as it is.
///
/// Source: RFC 3986, 3.2.2; without user information, percent-encoding and zone ids, which no client sends here.
pub(crate) fn split_host(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        let host = &authority[..address.len() + 2];
        match after {
            "" => (host, None),
            _ => (host, Some(after.strip_prefix(':')?)),
        }
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_';
    if host.is_empty() || host.len() > 255 || !(host.starts_with('[') || host.bytes().all(plain)) {
        return None;
    }
    match port {
        None | Some("") => Some((host, None)),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some((host, Some(digits.parse().ok()?))),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(domain_is_set: bool, port: u16) -> Hosts {
        Hosts::new("wharf.localhost".parse().unwrap(), domain_is_set, port)
    }

    fn registry(name: &str) -> HostTarget {
        HostTarget::Registry(name.parse().unwrap(), None)
    }

    #[test]
    fn a_label_under_the_domain_is_a_registry_or_a_service() {
        let hosts = hosts(false, 5443);
        assert_eq!(hosts.target("contoso.wharf.localhost"), registry("contoso"));
        assert_eq!(hosts.target("Contoso.WHARF.localhost."), registry("contoso"));
        let labelled = HostTarget::Registry("contoso".parse().unwrap(), Some("0abc".to_owned()));
        assert_eq!(hosts.target("contoso-0ABC.wharf.localhost"), labelled);
        assert_eq!(hosts.target("Management.wharf.localhost"), HostTarget::Management);
        assert_eq!(hosts.target("login.wharf.localhost"), HostTarget::Login);
        for nobody in [
            "a.wharf.localhost",
            "a.contoso.wharf.localhost",
            ".wharf.localhost",
            "portal.wharf.localhost",
            "login-x.wharf.localhost",
        ] {
            assert_eq!(hosts.target(nobody), HostTarget::Nobody, "{nobody}");
        }
    }

    #[test]
    fn anything_else_is_the_default_host() {
        let hosts = hosts(false, 5443);
        for host in
            ["localhost", "127.0.0.1", "[::1]", "wharf.localhost", "registry.example.com", "xwharf.localhost", "é"]
        {
            assert_eq!(hosts.target(host), HostTarget::Default, "{host}");
        }
    }

    #[test]
    fn login_servers_follow_domain_and_port() {
        let default = "wharf".parse().unwrap();
        assert_eq!(hosts(false, 5443).login_servers().of(&default), "localhost:5443");
        assert_eq!(hosts(true, 443).login_servers().of(&default), "wharf.wharf.localhost");
    }

    #[test]
    fn services_are_where_the_client_came_to() {
        let here = hosts(false, 5443).endpoints_at_default("https://localhost:5443");
        assert_eq!(here.management, "https://localhost:5443");
        assert_eq!(here.graph, "https://localhost:5443/graph");
        assert_eq!(hosts(false, 5443).endpoints(), here);
        let there = hosts(true, 443).endpoints();
        assert_eq!(there.login, "https://login.wharf.localhost");
        assert_eq!(there.graph, "https://management.wharf.localhost/graph");
        assert_eq!(hosts(true, 8443).endpoints().management, "https://management.wharf.localhost:8443");
    }

    #[test]
    fn hosts_are_plain_or_refused() {
        assert_eq!(split_host("localhost:5000"), Some(("localhost", Some(5000))));
        assert_eq!(split_host("localhost"), Some(("localhost", None)));
        assert_eq!(split_host("[::1]:5000"), Some(("[::1]", Some(5000))));
        assert_eq!(split_host("[::1]"), Some(("[::1]", None)));
        for bad in [
            "", ":5000", "a b", "a/b", "a@b", "a:b", "a:1:2", "a:99999", "[::1", "[x]", "[::1]x", "a\"b", "a\r\nb", "é",
        ] {
            assert_eq!(split_host(bad), None, "{bad}");
        }
    }
}
