//! Where another registry is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};
use wharf_model::RepositoryName;

/// The host of a registry, with the port where users give one. Docker Hub has one address, whichever of its names is used.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpstreamAddress {
    host: String,
    port: Option<u16>,
}

/// A text is not the address of a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not the address of a registry; it is a host, with a port if need be, such as registry.example.com:5000"
)]
pub struct ParseAddressError {
    text: String,
}

impl UpstreamAddress {
    /// The host, without port; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one was given.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether this is Docker Hub.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        self.host == DOCKER_HUB && self.port.is_none()
    }

    /// What a repository is called there: at Docker Hub, a name without a slash is one of `library/`.
    #[must_use]
    pub fn repository(&self, name: RepositoryName) -> RepositoryName {
        if !self.is_docker_hub() || name.as_str().contains('/') {
            return name;
        }
        format!("library/{name}").parse().unwrap_or(name)
    }

    /// The address of `https://…/` or `http://…/`: Docker Hub's registry has another name than Docker Hub.
    pub(crate) fn url(&self, scheme: &str) -> Url {
        let host = if self.is_docker_hub() { DOCKER_HUB_REGISTRY } else { &self.host };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        Url::parse(&format!("{scheme}://{host}{port}/")).expect("the host was read by the same parser")
    }

    /// Whether this is this machine, by name or by address.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.url("https").host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
            None => false,
        }
    }
}

impl FromStr for UpstreamAddress {
    type Err = ParseAddressError;

    /// Takes `host[:port]`, and for those who copy it from a browser also `https://host[:port]/`.
    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let refused = || ParseAddressError { text: text.chars().take(300).collect() };
        let bare = text.trim();
        let bare = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("http://")).unwrap_or(bare);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if bare.is_empty() || bare.len() > 255 || !bare.chars().all(is_plain) {
            return Err(refused());
        }
        let url = Url::parse(&format!("https://{bare}/")).map_err(|_| refused())?;
        let host = url.host_str().ok_or_else(refused)?.trim_end_matches('.');
        // The parser leaves the scheme's own port out, where it must stay: plain HTTP is spoken on it too, if at all.
        let port = url.port().or_else(|| bare.ends_with(":443").then_some(443));
        if host.is_empty() || port == Some(0) {
            return Err(refused());
        }
        let is_docker_hub = DOCKER_HUB_NAMES.contains(&host) && matches!(port, None | Some(443));
        if is_docker_hub {
            return Ok(Self { host: DOCKER_HUB.to_owned(), port: None });
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl TryFrom<String> for UpstreamAddress {
    type Error = ParseAddressError;

    fn try_from(text: String) -> Result<Self, ParseAddressError> {
        text.parse()
    }
}

impl From<UpstreamAddress> for String {
    fn from(address: UpstreamAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// What Docker Hub is called, and what its registry is.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_REGISTRY: &str = "registry-1.docker.io";
const DOCKER_HUB_NAMES: [&str; 4] = [DOCKER_HUB, DOCKER_HUB_REGISTRY, "index.docker.io", "registry.hub.docker.com"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_with_and_without_ports_are_addresses() {
        for (text, printed) in [
            ("registry.example.com", "registry.example.com"),
            ("Registry.Example.COM", "registry.example.com"),
            ("localhost:5000", "localhost:5000"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("[::1]:5000", "[::1]:5000"),
            ("https://registry.example.com:8443/", "registry.example.com:8443"),
            ("registry.example.com:443", "registry.example.com:443"),
            ("registry.example.com.", "registry.example.com"),
            ("docker.io", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("registry-1.docker.io:443", "docker.io"),
        ] {
            let address: UpstreamAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), printed, "{text}");
            assert_eq!(printed.parse::<UpstreamAddress>().unwrap(), address);
        }
        for bad in [
            "",
            "/",
            "a b",
            "user@host",
            "host/path",
            "host?x",
            "host:99999",
            "host:0",
            "[::1",
            "ftp://host",
            "h%6Fst",
            ":80",
        ] {
            assert!(bad.parse::<UpstreamAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn docker_hub_has_a_registry_of_another_name_and_a_library() {
        let hub: UpstreamAddress = "docker.io".parse().unwrap();
        assert_eq!(hub.url("https").as_str(), "https://registry-1.docker.io/");
        assert_eq!(hub.repository("alpine".parse().unwrap()).as_str(), "library/alpine");
        assert_eq!(hub.repository("team/app".parse().unwrap()).as_str(), "team/app");
        let other: UpstreamAddress = "localhost:5000".parse().unwrap();
        assert_eq!(other.repository("alpine".parse().unwrap()).as_str(), "alpine");
    }

    #[test]
    fn this_machine_is_known_by_name_and_address() {
        for (text, expected) in [
            ("localhost:5000", true),
            ("team.localhost", true),
            ("127.9.9.9", true),
            ("[::1]:443", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example.com", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(text.parse::<UpstreamAddress>().unwrap().is_loopback(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_as_something_that_parses_the_same(text in "[a-zA-Z0-9.:\\[\\]/-]{0,30}") {
            if let Ok(address) = text.parse::<UpstreamAddress>() {
                prop_assert_eq!(address.to_string().parse::<UpstreamAddress>().unwrap(), address.clone());
                let _ = address.url("http");
            }
        }
    }
}
