//! Where the server listens and under which names it is known.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::layers::Origin;
use super::{Config, Layers};

/// Addresses and names.
#[derive(Clone, Debug)]
pub(crate) struct ListenConfig {
    /// Where HTTP is served, with `/healthz`, `/readyz` and `/metrics` beside the registries. Key `http`.
    pub(crate) http: ListenAddress,
    /// Where HTTPS is served. Key `https`.
    pub(crate) https: ListenAddress,
    /// The domain under which every registry has its host name. Key `domain`.
    pub(crate) domain: Domain,
    /// Whether somebody chose the domain. Until then the default registry calls itself `localhost:<port>`.
    pub(crate) domain_is_set: bool,
}

impl ListenConfig {
    pub(super) fn layer(
        layers: &mut Layers<'_>,
        http: (Option<ListenAddress>, Option<ListenAddress>, Option<ListenAddress>),
        https: (Option<ListenAddress>, Option<ListenAddress>, Option<ListenAddress>),
        domain: (Option<Domain>, Option<Domain>, Option<Domain>),
    ) -> Self {
        Self {
            http: layers.pick_with_server("http", http, || ListenAddress::At(SocketAddr::from(([127, 0, 0, 1], 5000)))),
            https: layers
                .pick_with_server("https", https, || ListenAddress::At(SocketAddr::from(([127, 0, 0, 1], 5443)))),
            domain: layers.pick_with_server("domain", domain, Domain::default),
            domain_is_set: layers.origins["domain"] != Origin::Default,
        }
    }

    pub(super) fn validate(&self, config: &Config) -> Result<(), anyhow::Error> {
        if self.http == ListenAddress::Off && self.https == ListenAddress::Off {
            bail!(
                "{} and {} are both off, so nothing would be served; give one of them an address",
                config.place("http"),
                config.place("https")
            );
        }
        Ok(())
    }
}

/// `ADDRESS:PORT`, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum ListenAddress {
    /// This listener is not wanted.
    Off,
    /// Listen here; port 0 takes a free one.
    At(SocketAddr),
}

impl ListenAddress {
    /// The port, unless the listener is off.
    pub(crate) fn port(self) -> Option<u16> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address.port()),
        }
    }

    /// The address, unless the listener is off.
    pub(crate) fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address.ip()),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            format!("{text:?} is not an address to listen on; write it as 127.0.0.1:5000, 0.0.0.0:443, [::]:443 or off")
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.to_string()
    }
}

/// A DNS domain in lower case, without a final dot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Domain(String);

impl Default for Domain {
    /// `*.localhost` means this machine without any DNS (RFC 6761, 6.3), at least in browsers and systemd-resolved.
    fn default() -> Self {
        Self("wharf.localhost".to_owned())
    }
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let is_address = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        // A registry's name takes up to 50 characters in front of the domain, of the 253 that DNS allows in all.
        if name.len() <= 200 && !is_address && name.split('.').all(label) {
            Ok(Self(name))
        } else {
            Err(format!(
                "{text:?} is not a domain; write a DNS name without port or scheme, such as registry.example.com"
            ))
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Domain {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_names_only() {
        assert_eq!("Example.COM.".parse::<Domain>().unwrap().to_string(), "example.com");
        for bad in ["", ".", "a..b", "-a.b", "a_b.c", "127.0.0.1", "[::1]", "a:5000", "https://a", "a b"] {
            assert!(bad.parse::<Domain>().is_err(), "{bad}");
        }
    }

    #[test]
    fn listen_addresses_print_as_parsed() {
        for text in ["off", "127.0.0.1:5000", "[::]:443"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        assert!("localhost".parse::<ListenAddress>().is_err());
    }
}
