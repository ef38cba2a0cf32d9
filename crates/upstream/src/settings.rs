//! What may be set about other registries.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::UpstreamAddress;

/// User name and password.
#[derive(Clone)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password, or a token that stands for one.
    pub password: SecretString,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What the operator says about other registries.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// Those that speak plain HTTP; an entry without a port means the host at any. This machine need not be named: it is
    /// asked over HTTPS first and over HTTP then.
    pub plain_http: Vec<UpstreamAddress>,
    /// Certificates of authorities to trust besides those of the machine, in PEM.
    pub authority: Option<String>,
    /// Token services elsewhere that may be given a registry's credentials.
    pub realms: Vec<TrustedRealm>,
    /// How long an answer may keep us waiting, and its body may stand still.
    pub patience: Duration,
}

/// A token service that belongs to a registry although its name does not say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedRealm {
    /// The registry.
    pub registry: UpstreamAddress,
    /// The host of the token service, without port.
    pub host: String,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self { plain_http: Vec::new(), authority: None, realms: Vec::new(), patience: Duration::from_secs(30) }
    }
}

impl UpstreamSettings {
    /// Whether the operator says that this registry speaks plain HTTP.
    pub(crate) fn is_plain(&self, address: &UpstreamAddress) -> bool {
        let names =
            |entry: &UpstreamAddress| entry == address || (entry.port().is_none() && entry.host() == address.host());
        self.plain_http.iter().any(names)
    }

    /// Whether a token service may be given the credentials of a registry: it is on the same host, or on a host above it
    /// (`gitlab.com` for `registry.gitlab.com`), or known to belong to it. Where nobody proves who answers on a port, over
    /// plain HTTP and on this machine, the same host is not enough: it must be the same port.
    pub(crate) fn is_trusted_realm(&self, registry: &UpstreamAddress, base: &Url, realm: &Url) -> bool {
        let Some(realm_host) = realm.host_str() else { return false };
        let host = registry.host();
        // Nothing is above an address.
        let is_name = realm_host.contains('.') && !realm_host.ends_with(|c: char| c.is_ascii_digit());
        let is_above = is_name && host.strip_suffix(realm_host).is_some_and(|rest| rest.ends_with('.'));
        let is_near = match base.scheme() == "https" && !registry.is_loopback() {
            true => host == realm_host || is_above,
            false => host == realm_host && base.port_or_known_default() == realm.port_or_known_default(),
        };
        let is_named = |realm: &TrustedRealm| realm.registry == *registry && realm.host == realm_host;
        is_near
            || (registry.is_docker_hub() && DOCKER_HUB_REALMS.contains(&realm_host))
            || self.realms.iter().any(is_named)
    }
}

/// Where Docker Hub has its token service.
const DOCKER_HUB_REALMS: [&str; 2] = ["auth.docker.io", "registry-1.docker.io"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_belongs_by_its_host_or_by_being_named() {
        let registry = "registry.gitlab.com:5050".parse().unwrap();
        let named = TrustedRealm { registry: "registry.named".parse().unwrap(), host: "login.named".to_owned() };
        let realms = vec![TrustedRealm { registry, host: "login.example.org".to_owned() }, named];
        let settings = UpstreamSettings { realms, ..UpstreamSettings::default() };
        for (registry, realm, expected) in [
            ("https://quay.io", "https://quay.io/token", true),
            ("https://quay.io", "https://quay.io:8443/token", true),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", true),
            ("https://docker.io", "https://auth.docker.io/token", true),
            ("https://docker.io", "https://auth.docker.io.example.org/token", false),
            ("https://registry.gitlab.com:5050", "https://login.example.org/token", true),
            ("https://registry.gitlab.com", "https://login.example.org/token", false),
            ("https://registry.gitlab.com", "https://evilgitlab.com/token", false),
            ("https://registry.gitlab.com", "https://com/token", false),
            ("https://registry.gitlab.com", "https://auth.gitlab.com/token", false),
            ("https://evilgitlab.com", "https://gitlab.com/token", false),
            ("http://127.0.0.1:5000", "http://0.0.0.1:5000/token", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", true),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", false),
            ("https://127.0.0.1:5000", "https://127.0.0.1:5001/token", false),
            ("http://127.0.0.1:5000", "http://localhost:5000/token", false),
            ("http://registry.lab", "http://registry.lab:80/token", true),
            ("http://registry.lab", "https://registry.lab/token", false),
            ("http://registry.lab:5000", "http://registry.lab:5001/token", false),
            ("http://registry.lab", "http://lab/token", false),
            ("http://registry.named", "http://login.named:8080/token", true),
        ] {
            let (base, realm): (Url, Url) = (registry.parse().unwrap(), realm.parse().unwrap());
            let address = registry.split_once("//").unwrap().1.parse().unwrap();
            assert_eq!(settings.is_trusted_realm(&address, &base, &realm), expected, "{registry} {realm}");
        }
    }

    #[test]
    fn a_host_without_port_means_every_port() {
        let plain_http = vec!["a.example".parse().unwrap(), "b.example:5000".parse().unwrap()];
        let settings = UpstreamSettings { plain_http, ..UpstreamSettings::default() };
        for (address, expected) in
            [("a.example", true), ("a.example:80", true), ("b.example:5000", true), ("b.example", false)]
        {
            assert_eq!(settings.is_plain(&address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        let credentials = Credentials { username: "somebody".to_owned(), password: "secret".to_owned().into() };
        assert_eq!(format!("{credentials:?}"), "Credentials { .. }");
    }
}
