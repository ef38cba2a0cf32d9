//! Where a browser may be sent with a code: never anywhere that the client did not register.
//!
//! | client | redirect URIs |
//! | --- | --- |
//! | those that everybody has | `http` on the loopback interface, any port and path |
//! | registered | those that were registered, letter by letter; of those on the loopback interface in any port |
//!
//! Source: RFC 9700, 4.1; RFC 8252, 7.3.

use url::{Host, Url};

use crate::clients::SignInClient;

/// Whom a redirect URI leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedirectKind {
    /// A program that cannot keep a secret, and proves with a verifier that it is the one that asked.
    Public,
    /// A server that proves itself when it redeems the code.
    Confidential,
}

/// Whether this client may have browsers sent there, and whom that leads to.
pub(crate) fn kind_of(client: &SignInClient, redirect_uri: &str) -> Option<RedirectKind> {
    let wanted = parse(redirect_uri)?;
    match client {
        SignInClient::WellKnown(_) => is_loopback(&wanted).then_some(RedirectKind::Public),
        SignInClient::Registered(application) => {
            let is_among = |registered: &[String]| registered.iter().any(|uri| fits(uri, redirect_uri, &wanted));
            if is_among(&application.public_redirect_uris) {
                Some(RedirectKind::Public)
            } else if is_among(&application.web_redirect_uris) {
                Some(RedirectKind::Confidential)
            } else {
                None
            }
        }
    }
}

/// Scheme, host and port of a redirect URI, as `Content-Security-Policy` writes them.
pub(crate) fn origin_of(redirect_uri: &str) -> Option<String> {
    let url = parse(redirect_uri)?;
    match url.scheme() {
        "http" | "https" => Some(url.origin().ascii_serialization()),
        scheme => Some(format!("{scheme}:")),
    }
}

fn fits(registered: &str, text: &str, wanted: &Url) -> bool {
    if registered == text {
        return true;
    }
    let Some(registered) = parse(registered).filter(is_loopback) else { return false };
    // RFC 8252, 7.3: a program takes whatever port is free.
    is_loopback(wanted)
        && registered.host_str() == wanted.host_str()
        && registered.path() == wanted.path()
        && registered.query() == wanted.query()
}

/// Reads a redirect URI as a browser would. None with a user, a fragment, or a scheme that runs something.
fn parse(text: &str) -> Option<Url> {
    if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return None;
    }
    let url: Url = text.parse().ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let runs = matches!(url.scheme(), "javascript" | "data" | "vbscript" | "file" | "blob" | "about" | "view-source");
    (is_plain && !runs).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

/// Bytes of the longest redirect URI.
const LONGEST: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;
    use wharf_identity::directory::ClientApplication;

    use super::*;

    fn registered() -> SignInClient {
        SignInClient::Registered(Arc::new(ClientApplication {
            app_id: Uuid::from_u128(1),
            tenant_id: Uuid::from_u128(2),
            display_name: "Portal".into(),
            web_redirect_uris: vec!["https://portal.example.com/back".into()],
            public_redirect_uris: vec!["http://localhost/back".into(), "com.example.app://auth".into()],
            is_public_client: false,
        }))
    }

    #[test]
    fn programs_that_everybody_has_listen_on_their_machine() {
        let client = SignInClient::WellKnown("Azure CLI");
        for good in ["http://localhost", "http://localhost:8400/", "http://127.0.0.1:1234/x", "http://[::1]:9"] {
            assert_eq!(kind_of(&client, good), Some(RedirectKind::Public), "{good}");
        }
        for bad in [
            "https://evil.example.com",
            "http://evil.example.com:8400",
            "http://localhost.evil.example.com",
            "http://localhost@evil.example.com/",
            "http://user:pass@localhost/",
            "http://localhost\\@evil.example.com/",
            "http:\\\\evil.example.com",
            "http://localhost#@evil.example.com",
            "//evil.example.com",
            "/relative",
            "javascript:alert(1)//http://localhost",
            "data:text/html,x",
            "https://localhost:8400",
            "http://localhost:99999/",
            "http://localhost\n.evil.example.com",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "",
        ] {
            assert_eq!(kind_of(&client, bad), None, "{bad}");
        }
    }

    #[test]
    fn registered_ones_are_compared_letter_by_letter() {
        let client = registered();
        assert_eq!(kind_of(&client, "https://portal.example.com/back"), Some(RedirectKind::Confidential));
        assert_eq!(kind_of(&client, "http://localhost:4711/back"), Some(RedirectKind::Public));
        assert_eq!(kind_of(&client, "com.example.app://auth"), Some(RedirectKind::Public));
        for bad in [
            "https://portal.example.com/back/",
            "https://portal.example.com/back?x=1",
            "https://portal.example.com:444/back",
            "https://portal.example.com/Back",
            "https://portal.example.com.evil.example/back",
            "http://localhost:4711/other",
            "http://127.0.0.1:4711/back",
            "com.example.app://other",
        ] {
            assert_eq!(kind_of(&client, bad), None, "{bad}");
        }
    }

    #[test]
    fn origins_are_those_of_content_security_policy() {
        assert_eq!(origin_of("http://localhost:8400/x?y").as_deref(), Some("http://localhost:8400"));
        assert_eq!(origin_of("https://portal.example.com/back").as_deref(), Some("https://portal.example.com"));
        assert_eq!(origin_of("com.example.app://auth").as_deref(), Some("com.example.app:"));
    }
}
