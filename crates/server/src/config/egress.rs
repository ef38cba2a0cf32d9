//! Internal addresses that addresses given by users may resolve to.
//!
//! Receivers of webhooks, sources of builds and imports, and issuers of identities are named by users. They may not lead
//! to loopback, link-local or private addresses unless the operator allows it with `--allow-internal`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

/// A range of addresses such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Cidr(pub(crate) IpNet);

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        net.map(Self).ok_or_else(|| {
            format!("{text:?} is not a range of addresses; write it as 10.0.0.0/8, fd00::/8 or 192.168.7.1")
        })
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
        self.0.fmt(f)
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
