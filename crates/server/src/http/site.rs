//! The names and addresses of this server, and what one visit to it says about them.

use wharf_model::{Client, Endpoints};

use super::proxies::Proxies;
use crate::hosts::{Hosts, split_host};

/// Where this server is.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// What hosts name.
    pub(crate) hosts: Hosts,
    /// Proxies in front.
    pub(crate) proxies: Proxies,
    /// Port of the HTTPS listener, if there is one.
    pub(crate) https_port: Option<u16>,
    /// Port of the HTTPS listener that counts as the private endpoint, if there is one.
    pub(crate) private_https_port: Option<u16>,
}

/// How a client came.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// The scheme that the client used, as far as we know.
    pub(super) scheme: &'static str,
    /// Host and port as the client wrote them.
    pub(super) authority: String,
    /// Where it came from.
    pub(super) client: Client,
}

impl Visit {
    /// Scheme and host as the client used them.
    pub(super) fn base_url(&self) -> String {
        [self.scheme, "://", &self.authority].concat()
    }
}

impl Site {
    /// Where the services are for this client.
    ///
    /// Clients that sign in insist on HTTPS, so whoever comes over HTTP is sent to the HTTPS listener, if there is one.
    pub(super) fn endpoints(&self, visit: &Visit, is_default_host: bool) -> Endpoints {
        let (host, _) = split_host(&visit.authority).unwrap_or((&visit.authority, None));
        let written = visit.authority.get(host.len()..).filter(|port| *port != ":").unwrap_or_default();
        let private_port = self.private_https_port.filter(|_| visit.client.is_private);
        let (scheme, port) = match (visit.scheme, private_port.or(self.https_port)) {
            ("https", _) => ("https", written.to_owned()),
            (_, Some(443)) => ("https", String::new()),
            (_, Some(port)) => ("https", format!(":{port}")),
            (scheme, None) => (scheme, written.to_owned()),
        };
        if is_default_host {
            self.hosts.endpoints_at_default(&format!("{scheme}://{host}{port}"))
        } else {
            self.hosts.endpoints_at_services(scheme, &port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(https_port: Option<u16>) -> Site {
        let hosts = Hosts::new("example.com".parse().unwrap(), true, 443);
        Site { hosts, proxies: Proxies::default(), https_port, private_https_port: Some(6443) }
    }

    fn visit(scheme: &'static str, authority: &str) -> Visit {
        let client = Client { address: [127, 0, 0, 1].into(), is_private: false };
        Visit { scheme, authority: authority.to_owned(), client }
    }

    #[test]
    fn https_is_answered_with_what_the_client_wrote() {
        let management = |authority| site(Some(5443)).endpoints(&visit("https", authority), true).management;
        assert_eq!(management("localhost:5443"), "https://localhost:5443");
        assert_eq!(management("localhost:8443"), "https://localhost:8443");
        assert_eq!(management("registry.test"), "https://registry.test");
        assert_eq!(management("registry.test:"), "https://registry.test");
        assert_eq!(management("[::1]:5443"), "https://[::1]:5443");
    }

    #[test]
    fn http_is_sent_to_the_https_listener() {
        let management = |port, authority| site(port).endpoints(&visit("http", authority), true).management;
        assert_eq!(management(Some(5443), "localhost:5000"), "https://localhost:5443");
        assert_eq!(management(Some(443), "[::1]:80"), "https://[::1]");
        assert_eq!(management(None, "localhost:5000"), "http://localhost:5000");
    }

    #[test]
    fn whoever_came_in_privately_stays_there() {
        let mut visit = visit("http", "10.0.0.1:6000");
        visit.client.is_private = true;
        assert_eq!(site(Some(5443)).endpoints(&visit, true).login, "https://10.0.0.1:6443");
    }

    #[test]
    fn hosts_of_services_name_each_other() {
        let endpoints = site(Some(5443)).endpoints(&visit("https", "management.example.com:5443"), false);
        assert_eq!(endpoints.login, "https://login.example.com:5443");
        assert_eq!(endpoints.graph, "https://management.example.com:5443/graph");
    }
}
