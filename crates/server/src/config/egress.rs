//! Internal addresses that addresses given by users may resolve to.
//!
//! Receivers of webhooks, sources of builds and imports, and issuers of identities are named by users. They may not lead
//! to loopback, link-local or private addresses unless the operator allows it with `--allow-internal`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

/// A range of addresses such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Cidr {
    network: IpAddr,
    prefix_bits: u8,
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not a range of addresses; write it as 10.0.0.0/8, fd00::/8 or 192.168.7.1");
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let network: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => width,
            Some(prefix) => prefix.parse().ok().filter(|bits| *bits <= width).ok_or_else(wrong)?,
        };
        Ok(Self { network, prefix_bits })
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix_bits)
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct EgressFlags {
    /// Internal range that webhooks, builds and imports may reach; repeatable
    #[arg(long, value_name = "CIDR", env = "WHARF_ALLOW_INTERNAL", value_delimiter = ',')]
    pub(super) allow_internal: Option<Vec<Cidr>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        for (text, printed) in [("10.0.0.0/8", "10.0.0.0/8"), ("::1", "::1/128"), (" 10.1.2.3 ", "10.1.2.3/32")] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), printed);
        }
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "a/8", "10.0.0.0/-1"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }
}
