//! Which addresses are internal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address leads to this machine, its neighbours, or nowhere in particular: everything that is not a public
/// unicast address. An IPv6 address that only wraps an IPv4 address counts as that one.
///
/// Source: the IANA registries of special-purpose addresses (RFC 6890).
#[must_use]
pub fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_internal_v4(address),
        IpAddr::V6(address) => is_internal_v6(address) || wrapped(address).is_some_and(is_internal_v4),
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || a == 0
        || a >= 240
        // Shared between a carrier and its customers.
        || (a == 100 && (64..128).contains(&b))
        // IETF protocol assignments, and networks for measuring.
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        // Azure's own services, as its virtual machines see them: public by its number alone.
        || address.octets() == [168, 63, 129, 16]
}

fn is_internal_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        // Site-local, as it was once called.
        || segments[0] & 0xffc0 == 0xfec0
        // NAT64 within a network (RFC 8215), and Teredo, whose far end nobody can tell.
        || segments[..3] == [0x64, 0xff9b, 1]
        || segments[..2] == [0x2001, 0]
}

/// The IPv4 address that packets for this IPv6 address go to in the end: mapped, compatible, NAT64, 6to4,
/// ISATAP.
fn wrapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |segments: [u16; 2]| {
        let [[a, b], [c, d]] = segments.map(u16::to_be_bytes);
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] => Some(last([high, low])),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(last([high, low])),
        [0x2002, high, low, ..] => Some(last([high, low])),
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(last([high, low])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_addresses_are_told_from_public_ones() {
        for internal in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.7.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::a00:1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "2002:a83f:8110::1",
            "168.63.129.16",
            "::ffff:168.63.129.16",
            "64:ff9b:1::1.1.1.1",
            "64:ff9b:1:ffff::1",
            "2001::1",
            "2001:0:1:2:3:4:5:6",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:169.254.169.254",
            "fe80::5efe:1.1.1.1",
        ] {
            assert!(is_internal(internal.parse().unwrap()), "{internal}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "168.63.129.17",
            "2001:1::1",
            "2001:4860:4860::8888",
            "2606:4700::5efe:1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(!is_internal(public.parse().unwrap()), "{public}");
        }
    }
}
