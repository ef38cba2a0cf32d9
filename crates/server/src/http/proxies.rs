//! Who the client is when a proxy stands in front.
//!
//! A proxy that the operator trusts says for whom it calls in `X-Forwarded-For` and how it was called in
//! `X-Forwarded-Proto`. From anybody else these headers are what an attacker would send, and nothing is believed.
//!
//! ```text
//! client 203.0.113.9 ──► proxy 10.0.0.2 ──► proxy 10.0.0.1 ──► us
//! X-Forwarded-For: <whatever the client invented>, 203.0.113.9, 10.0.0.2
//!                                                  ▲ the rightmost address that is no trusted proxy's
//! ```
//!
//! `X-Forwarded-Host` and `Forwarded` are not read: a proxy must pass the `Host` header on as it is, since it names the
//! registry.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// The proxies whose word counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
}

/// Who called, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The client's address, never an IPv4 address written as IPv6.
    pub(super) address: IpAddr,
    /// The scheme that the client used, if a proxy says so.
    pub(super) scheme: Option<&'static str>,
    /// Whether a proxy calls and says for nobody: the address is its own.
    pub(super) is_proxy: bool,
}

impl Proxies {
    /// Trusts whoever calls from these ranges.
    pub(crate) fn new(trusted: Vec<IpNet>) -> Self {
        Self { trusted }
    }

    /// Who is behind a request that came from `peer`.
    pub(super) fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> Origin {
        if !self.trusts(peer) {
            return Origin { address: peer, scheme: None, is_proxy: false };
        }
        let mut address = peer;
        for hop in entries(headers, FORWARDED_FOR).rev() {
            // What a trusted proxy wrote and we cannot read (`unknown`) hides who is behind it: the proxy stands in.
            let Some(hop) = parse_address(hop) else { break };
            address = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        Origin { address, scheme: scheme(headers), is_proxy: self.trusts(address) }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }
}

/// The scheme at the outermost proxy, which is the one that the client used.
fn scheme(headers: &HeaderMap) -> Option<&'static str> {
    let word = entries(headers, FORWARDED_PROTO).next()?;
    ["https", "http"].into_iter().find(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// The entries of a header that is a list, over all its lines.
fn entries<'a>(headers: &'a HeaderMap, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
    // A line that is no text is one entry that nobody understands.
    headers.get_all(name).iter().flat_map(|line| line.to_str().unwrap_or("?").split(',')).map(str::trim)
}

/// An address, with or without a port: some proxies write one.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn proxies() -> Proxies {
        Proxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()])
    }

    fn address(peer: &str, forwarded_for: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded_for {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        proxies().origin(peer.parse().unwrap(), &headers).address.to_string()
    }

    #[test]
    fn nobody_else_is_believed() {
        assert_eq!(address("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(address("192.0.2.1", &["10.0.0.1"]), "192.0.2.1");
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        assert_eq!(proxies().origin("192.0.2.1".parse().unwrap(), &headers).scheme, None);
        assert_eq!(Proxies::default().origin("10.0.0.1".parse().unwrap(), &headers).scheme, None);
    }

    #[test]
    fn the_rightmost_stranger_is_the_client() {
        assert_eq!(address("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        // What the client invented stands to the left of what the proxy saw.
        assert_eq!(address("10.0.0.1", &["198.51.100.7, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["10.0.0.7,203.0.113.9 ,10.0.0.2"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["198.51.100.7", "203.0.113.9, fd00::2"]), "203.0.113.9");
    }

    #[test]
    fn without_a_stranger_it_is_the_farthest_proxy_that_is_known() {
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(address("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(address("10.0.0.1", &["203.0.113.9, \u{e9}"]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &[""]), "10.0.0.1");
    }

    #[test]
    fn a_proxy_that_says_for_nobody_is_known_as_one() {
        let is_proxy = |peer: &str, line: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(
                line.map(|line| (http::HeaderName::from_static(FORWARDED_FOR), HeaderValue::from_static(line))),
            );
            proxies().origin(peer.parse().unwrap(), &headers).is_proxy
        };
        assert!(is_proxy("10.0.0.1", None));
        assert!(is_proxy("10.0.0.1", Some("unknown")));
        assert!(!is_proxy("10.0.0.1", Some("203.0.113.9")));
        assert!(!is_proxy("192.0.2.1", None));
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (written, read) in [
            ("203.0.113.9:4711", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:4711", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ] {
            assert_eq!(address("fd00::1", &[written]), read);
        }
    }

    #[test]
    fn the_scheme_is_the_one_at_the_outermost_proxy() {
        let scheme = |line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_PROTO, HeaderValue::from_static(line));
            proxies().origin("10.0.0.1".parse().unwrap(), &headers).scheme
        };
        assert_eq!(scheme("https"), Some("https"));
        assert_eq!(scheme("HTTPS, http"), Some("https"));
        assert_eq!(scheme("http"), Some("http"));
        assert_eq!(scheme("wss"), None);
        assert_eq!(scheme(""), None);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_the_client_is_who_calls_or_who_stands_before_trusted_proxies(
            invented in proptest::collection::vec(any::<u8>().prop_filter("a header", |b| *b >= 32 && *b != 127), 0..60),
            client in any::<[u8; 4]>().prop_filter("a stranger", |octets| octets[0] != 10),
        ) {
            let client = IpAddr::from(client);
            let mut headers = HeaderMap::new();
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(&invented).unwrap());
            prop_assert_eq!(proxies().origin(client, &headers).address, client);
            let seen = HeaderValue::from_str(&format!("{client}, 10.0.0.2")).unwrap();
            headers.append(FORWARDED_FOR, seen);
            prop_assert_eq!(proxies().origin([10, 0, 0, 1].into(), &headers).address, client);
        }
    }
}
