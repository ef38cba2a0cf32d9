//! The host that a request was sent to, as its client wrote it.

use http::{Request, Version, header};

use crate::hosts::split_host;

/// The host that the client used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientHost<'a> {
    /// Checked: it can stand in a URL, a header and a log line.
    Some {
        /// With the port, as the client wrote it.
        authority: &'a str,
        /// Without the port.
        host: &'a str,
    },
    None,
    Malformed,
}

/// A request line or `:authority` that names a host goes before the `Host` header. Source: RFC 9112, 3.2.2.
pub(super) fn client_host<B>(request: &Request<B>) -> ClientHost<'_> {
    let named = match request.uri().authority() {
        Some(authority) => Ok(authority.as_str()),
        None => {
            let mut headers = request.headers().get_all(header::HOST).iter();
            match (headers.next(), headers.next()) {
                (Some(host), None) => host.to_str().map_err(|_| ()),
                (None, _) if request.version() < Version::HTTP_11 => return ClientHost::None,
                _ => Err(()),
            }
        }
    };
    match named.ok().and_then(|authority| Some((authority, split_host(authority)?.0))) {
        Some((authority, host)) => ClientHost::Some { authority, host },
        None => ClientHost::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, hosts: &[&str], version: Version) -> Request<()> {
        let mut builder = Request::builder().uri(uri).version(version);
        for host in hosts {
            builder = builder.header(header::HOST, *host);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn the_host_is_the_one_that_the_client_used() {
        let some = |authority, host| ClientHost::Some { authority, host };
        let of = |uri, hosts: &[&str], version| format!("{:?}", client_host(&request(uri, hosts, version)));
        let http11 = Version::HTTP_11;
        assert_eq!(
            of("/v2/", &["Contoso.example:5000"], http11),
            format!("{:?}", some("Contoso.example:5000", "Contoso.example"))
        );
        assert_eq!(of("http://a.example/v2/", &["b.example"], http11), format!("{:?}", some("a.example", "a.example")));
        assert_eq!(of("/v2/", &[], Version::HTTP_10), "None");
        for (hosts, why) in
            [(&[][..], "missing"), (&["a", "b"][..], "twice"), (&["a\"b"][..], "quote"), (&[""][..], "empty")]
        {
            assert_eq!(of("/v2/", hosts, http11), "Malformed", "{why}");
        }
        assert_eq!(of("http://user@a.example/v2/", &[], http11), "Malformed");
    }
}
