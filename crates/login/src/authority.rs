//! Authorities: where clients are told to go to sign in to a tenant.

use url::{Host, Url};
use uuid::Uuid;
use wharf_identity::oidc::Tenant;

/// Which tenant an authority is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// The one that there is.
    Adfs,
    /// The one called so: by id or domain, or by a word for any.
    Tenant(String),
}

/// An authority as a path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthorityPath {
    /// What stands before it: nothing, or segments with a slash before each.
    pub(crate) prefix: String,
    pub(crate) authority: Authority,
    /// Whether the path is one of version 2.0, which speaks of scopes where version 1.0 spoke of resources.
    pub(crate) is_version_2: bool,
}

/// An authority that exists, and its URLs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Scheme, host and prefix.
    base: String,
    /// Its segment: `adfs`, or the tenant as it was named.
    segment: String,
    tenant_id: Uuid,
    is_adfs: bool,
    /// See [`AuthorityPath::is_version_2`].
    pub(crate) is_version_2: bool,
}

impl Authority {
    /// Reads a segment; whether there is such a tenant is asked later.
    pub(crate) fn parse(segment: &str) -> Option<Self> {
        if segment.eq_ignore_ascii_case("adfs") {
            return Some(Self::Adfs);
        }
        let fits = segment.len() <= 253
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        fits.then(|| Self::Tenant(segment.to_owned()))
    }
}

impl AuthorityPath {
    /// The authority with its URLs below `login` (scheme and host); `None` when there is no such tenant.
    pub(crate) fn place(&self, login: &str, tenant: &Tenant) -> Option<Place> {
        let (segment, is_adfs) = match &self.authority {
            Authority::Adfs => ("adfs".to_owned(), true),
            Authority::Tenant(name) => {
                let is_ours = ["common", "organizations"].iter().any(|word| name.eq_ignore_ascii_case(word))
                    || name.parse::<Uuid>().is_ok_and(|id| id == tenant.id)
                    || name.eq_ignore_ascii_case(&tenant.domain);
                if !is_ours {
                    return None;
                }
                (name.clone(), false)
            }
        };
        Some(Place {
            base: format!("{login}{}", self.prefix),
            segment,
            tenant_id: tenant.id,
            is_adfs,
            is_version_2: self.is_version_2,
        })
    }

    /// The tenant's name in the path, for messages.
    pub(crate) fn tenant_name(&self) -> &str {
        match &self.authority {
            Authority::Adfs => "adfs",
            Authority::Tenant(name) => name,
        }
    }
}

impl Place {
    /// Who issues tokens, by the word of version 2.0 or of ADFS.
    pub(crate) fn issuer(&self) -> String {
        let Self { base, tenant_id, .. } = self;
        if self.is_adfs {
            format!("{base}/adfs")
        } else if self.is_version_2 {
            format!("{base}/{tenant_id}/v2.0")
        } else {
            format!("{base}/{tenant_id}/")
        }
    }

    pub(crate) fn token_endpoint(&self) -> String {
        self.endpoint("oauth2", "token")
    }

    pub(crate) fn authorization_endpoint(&self) -> String {
        self.endpoint("oauth2", "authorize")
    }

    pub(crate) fn device_authorization_endpoint(&self) -> String {
        self.endpoint("oauth2", "devicecode")
    }

    pub(crate) fn sign_out_endpoint(&self) -> String {
        self.endpoint("oauth2", "logout")
    }

    pub(crate) fn keys_url(&self) -> String {
        self.endpoint("discovery", "keys")
    }

    /// What a client may call this authority where it says for whom an assertion of its own is: the issuer, and the token
    /// endpoint in every way of writing it. None where the host is not under `domain`, nor this machine for a client that
    /// is on it too (`is_local`): whoever sends the request chooses that name, and could choose the one that an assertion
    /// was made for.
    pub(crate) fn names(&self, domain: &str, is_local: bool) -> Vec<String> {
        if !is_own_host(&self.base, domain, is_local) {
            return Vec::new();
        }
        let segments = [self.segment.clone(), self.tenant_id.to_string()];
        let ways = segments.iter().flat_map(|segment| {
            [true, false].map(|is_version_2| Self { segment: segment.clone(), is_version_2, ..self.clone() })
        });
        ways.flat_map(|way| [way.token_endpoint(), way.issuer()]).collect()
    }

    /// Whether answers are as version 1.0 wrote them, with numbers as texts.
    pub(crate) fn has_old_answers(&self) -> bool {
        !self.is_adfs && !self.is_version_2
    }

    fn endpoint(&self, family: &str, name: &str) -> String {
        let Self { base, segment, .. } = self;
        if self.is_version_2 {
            format!("{base}/{segment}/{family}/v2.0/{name}")
        } else {
            format!("{base}/{segment}/{family}/{name}")
        }
    }
}

/// Whether a URL's host is under a domain, or this machine. Every machine calls itself `localhost`: that is a name of ours
/// only for a client that is here too, and where the operator has set no other.
fn is_own_host(base: &str, domain: &str, is_local: bool) -> bool {
    let Ok(url) = base.parse::<Url>() else { return false };
    let domain = domain.to_ascii_lowercase();
    let takes_loopback = is_local || domain == "localhost" || domain.ends_with(".localhost");
    match url.host() {
        Some(Host::Domain(host)) => {
            let is_under =
                |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            is_under(&domain) || takes_loopback && is_under("localhost")
        }
        Some(Host::Ipv4(address)) => takes_loopback && address.is_loopback(),
        Some(Host::Ipv6(address)) => takes_loopback && address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> Tenant {
        Tenant { id: Uuid::from_u128(7), display_name: "Contoso".into(), domain: "contoso.example".into() }
    }

    fn place(prefix: &str, authority: &str, is_version_2: bool) -> Option<Place> {
        let authority = Authority::parse(authority)?;
        AuthorityPath { prefix: prefix.into(), authority, is_version_2 }
            .place("https://login.example.com:8443", &tenant())
    }

    #[test]
    fn urls_follow_the_style_that_was_asked_for() {
        let adfs = place("", "adfs", false).unwrap();
        assert_eq!(adfs.issuer(), "https://login.example.com:8443/adfs");
        assert_eq!(adfs.token_endpoint(), "https://login.example.com:8443/adfs/oauth2/token");
        let id = "00000000-0000-0000-0000-000000000007";
        let tenant = place("/entra", id, true).unwrap();
        assert_eq!(tenant.issuer(), format!("https://login.example.com:8443/entra/{id}/v2.0"));
        assert_eq!(tenant.token_endpoint(), format!("https://login.example.com:8443/entra/{id}/oauth2/v2.0/token"));
        assert_eq!(tenant.keys_url(), format!("https://login.example.com:8443/entra/{id}/discovery/v2.0/keys"));
        let any = place("", "organizations", true).unwrap();
        let names = any.names("Example.com", false);
        assert!(names.contains(&format!("https://login.example.com:8443/{id}/oauth2/v2.0/token")));
        assert!(names.contains(&"https://login.example.com:8443/organizations/oauth2/token".to_owned()));
        assert!(any.names("fabrikam.com", true).is_empty(), "a name that only the request knows");
    }

    #[test]
    fn own_hosts_are_under_the_domain_or_here() {
        for own in ["https://login.example.com", "https://example.com:8443/entra"] {
            assert!(is_own_host(own, "example.com", false), "{own}");
        }
        for own in
            ["https://localhost:5443", "https://[::1]:5443", "https://127.0.0.1", "https://login.wharf.localhost"]
        {
            assert!(is_own_host(own, "example.com", true), "{own}");
            assert!(is_own_host(own, "wharf.localhost", false), "{own}");
            assert!(!is_own_host(own, "example.com", false), "{own}, of whoever is elsewhere");
        }
        for other in
            ["https://notexample.com", "https://example.com.evil.net", "https://10.0.0.1", "https://notlocalhost", "x"]
        {
            assert!(!is_own_host(other, "example.com", true), "{other}");
        }
    }

    #[test]
    fn only_our_tenant_has_an_authority() {
        for ours in ["common", "Organizations", "contoso.example", "00000000-0000-0000-0000-000000000007"] {
            assert!(place("", ours, true).is_some(), "{ours}");
        }
        for other in ["consumers", "fabrikam.example", "00000000-0000-0000-0000-000000000008"] {
            assert!(place("", other, true).is_none(), "{other}");
        }
    }
}
