//! From a path to what is wanted.

use http::Method;

use crate::authority::{Authority, AuthorityPath};

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Configuration(AuthorityPath),
    Keys,
    Token(AuthorityPath),
    DeviceCode(AuthorityPath),
    Authorize(AuthorityPath),
    InstanceDiscovery,
    UserRealm,
    SignOut,
    Page(Page),
    ManagedIdentityHeader,
    ManagedIdentityAddress,
}

/// A page of ours, or what its form sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Style,
    Device,
    DeviceAnswer,
    Password,
    ChangePassword,
    Consent,
    Continue,
    External,
    ExternalCallback,
}

/// Why there is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RouteError {
    Unknown,
    /// The path is right, the method is not one of these.
    Method(&'static [Method]),
}

/// Tails of the paths below an authority, with what they are. The longest come first.
const AUTHORITY_TAILS: [(&[&str], Endpoint, bool); 14] = [
    (&["v2.0", ".well-known", "openid-configuration"], Endpoint::Configuration, true),
    (&[".well-known", "openid-configuration"], Endpoint::Configuration, false),
    (&["discovery", "v2.0", "keys"], Endpoint::Keys, true),
    (&["discovery", "keys"], Endpoint::Keys, false),
    (&["oauth2", "v2.0", "token"], Endpoint::Token, true),
    (&["oauth2", "token"], Endpoint::Token, false),
    (&["oauth2", "v2.0", "authorize"], Endpoint::Authorize, true),
    (&["oauth2", "authorize"], Endpoint::Authorize, false),
    (&["oauth2", "v2.0", "devicecode"], Endpoint::DeviceCode, true),
    (&["oauth2", "devicecode"], Endpoint::DeviceCode, false),
    (&["oauth2", "v2.0", "logout"], Endpoint::SignOut, true),
    (&["oauth2", "logout"], Endpoint::SignOut, false),
    // As ADFS writes them.
    (&["oauth2", "v2.0", "keys"], Endpoint::Keys, true),
    (&["oauth2", "keys"], Endpoint::Keys, false),
];

#[derive(Clone, Copy)]
enum Endpoint {
    Configuration,
    Keys,
    Token,
    Authorize,
    DeviceCode,
    SignOut,
}

const GET: &[Method] = &[Method::GET, Method::HEAD];
const POST: &[Method] = &[Method::POST];
const BOTH: &[Method] = &[Method::GET, Method::HEAD, Method::POST];

impl Route {
    /// Reads a path. Segments are compared without regard to case; a slash at the end and doubled ones do not matter.
    pub(crate) fn parse(method: &Method, path: &str) -> Result<Self, RouteError> {
        let (route, methods) = Self::find(path).ok_or(RouteError::Unknown)?;
        if methods.contains(method) { Ok(route) } else { Err(RouteError::Method(methods)) }
    }

    fn find(path: &str) -> Option<(Self, &'static [Method])> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let is = |wanted: &[&str]| {
            segments.len() == wanted.len()
                && segments.iter().zip(wanted).all(|(found, wanted)| found.eq_ignore_ascii_case(wanted))
        };
        for (tail, page, methods) in PAGES {
            if is(tail) {
                return Some((Self::Page(page), methods));
            }
        }
        if is(&["login", "sign-out"]) {
            return Some((Self::SignOut, BOTH));
        }
        if is(&["common", "discovery", "instance"]) {
            return Some((Self::InstanceDiscovery, GET));
        }
        if let [common, realm, _] = segments.as_slice()
            && common.eq_ignore_ascii_case("common")
            && realm.eq_ignore_ascii_case("userrealm")
        {
            return Some((Self::UserRealm, GET));
        }
        if is(&["msi", "token"]) {
            return Some((Self::ManagedIdentityHeader, BOTH));
        }
        if is(&["metadata", "identity", "oauth2", "token"]) {
            return Some((Self::ManagedIdentityAddress, BOTH));
        }
        for (tail, endpoint, is_version_2) in AUTHORITY_TAILS {
            let Some(head) = segments.len().checked_sub(tail.len()) else { continue };
            let (head, found) = segments.split_at(head);
            if !found.iter().zip(tail).all(|(found, wanted)| found.eq_ignore_ascii_case(wanted)) {
                continue;
            }
            let (authority, prefix) = head.split_last()?;
            if prefix.len() > MOST_PREFIXES {
                return None;
            }
            let at = AuthorityPath {
                prefix: prefix.iter().flat_map(|segment| ["/", segment]).collect(),
                authority: Authority::parse(authority)?,
                is_version_2,
            };
            return Some(match endpoint {
                Endpoint::Configuration => (Self::Configuration(at), GET),
                Endpoint::Keys => (Self::Keys, GET),
                Endpoint::Token => (Self::Token(at), POST),
                Endpoint::Authorize => (Self::Authorize(at), BOTH),
                Endpoint::DeviceCode => (Self::DeviceCode(at), POST),
                Endpoint::SignOut => (Self::SignOut, BOTH),
            });
        }
        None
    }

    /// Its name in logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "login.configuration",
            Self::Keys => "login.keys",
            Self::Token(_) => "login.token",
            Self::DeviceCode(_) => "login.device-code",
            Self::Authorize(_) => "login.authorize",
            Self::InstanceDiscovery => "login.instance-discovery",
            Self::UserRealm => "login.user-realm",
            Self::SignOut => "login.sign-out",
            Self::Page(Page::Style) => "login.style",
            Self::Page(Page::Device) => "login.device",
            Self::Page(Page::DeviceAnswer) => "login.device-answer",
            Self::Page(Page::Password) => "login.password",
            Self::Page(Page::ChangePassword) => "login.change-password",
            Self::Page(Page::Consent) => "login.consent",
            Self::Page(Page::Continue) => "login.continue",
            Self::Page(Page::External) => "login.external",
            Self::Page(Page::ExternalCallback) => "login.external-callback",
            Self::ManagedIdentityHeader | Self::ManagedIdentityAddress => "login.managed-identity",
        }
    }

    /// Whether it answers people, who are shown a page when something is wrong.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self, Self::Page(_) | Self::Authorize(_) | Self::SignOut)
    }
}

const PAGES: [(&[&str], Page, &[Method]); 9] = [
    (&["login", "style.css"], Page::Style, GET),
    (&["login", "device"], Page::Device, BOTH),
    (&["login", "device", "answer"], Page::DeviceAnswer, POST),
    (&["login", "password"], Page::Password, POST),
    (&["login", "change-password"], Page::ChangePassword, POST),
    (&["login", "consent"], Page::Consent, POST),
    (&["login", "continue"], Page::Continue, POST),
    (&["login", "external"], Page::External, GET),
    (&["login", "external", "callback"], Page::ExternalCallback, GET),
];

/// How many segments may stand before an authority.
const MOST_PREFIXES: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(path: &str) -> Result<Route, RouteError> {
        Route::parse(&Method::GET, path)
    }

    fn at(prefix: &str, authority: Authority, is_version_2: bool) -> AuthorityPath {
        AuthorityPath { prefix: prefix.to_owned(), authority, is_version_2 }
    }

    #[test]
    fn authorities_are_found_behind_prefixes_and_in_both_versions() {
        let tenant = || Authority::Tenant("organizations".to_owned());
        for (path, expected) in [
            ("/adfs/.well-known/openid-configuration", at("", Authority::Adfs, false)),
            ("/ADFS/.well-known/openid-configuration", at("", Authority::Adfs, false)),
            ("/organizations/v2.0/.well-known/openid-configuration", at("", tenant(), true)),
            ("/organizations/.well-known/openid-configuration", at("", tenant(), false)),
            ("/entra/organizations/v2.0/.well-known/openid-configuration", at("/entra", tenant(), true)),
            ("/a/adfs/.well-known/openid-configuration", at("/a", Authority::Adfs, false)),
            ("/adfs/organizations/v2.0/.well-known/openid-configuration/", at("/adfs", tenant(), true)),
        ] {
            assert_eq!(get(path), Ok(Route::Configuration(expected)), "{path}");
        }
        assert_eq!(
            Route::parse(&Method::POST, "/organizations/oauth2/v2.0/token"),
            Ok(Route::Token(at("", tenant(), true)))
        );
        assert_eq!(get("/adfs/oauth2/token"), Err(RouteError::Method(POST)));
    }

    #[test]
    fn pages_and_the_rest_are_found() {
        assert_eq!(get("/common/userrealm/anna@contoso.com"), Ok(Route::UserRealm));
        assert_eq!(get("/common/discovery/instance"), Ok(Route::InstanceDiscovery));
        assert_eq!(get("/login/device"), Ok(Route::Page(Page::Device)));
        assert_eq!(get("/msi/token"), Ok(Route::ManagedIdentityHeader));
        assert_eq!(get("/metadata/identity/oauth2/token"), Ok(Route::ManagedIdentityAddress));
        for unknown in
            ["/", "", "/login", "/oauth2/token", "/v2/", "/a/b/c/d/adfs/oauth2/token", "/bad*tenant/oauth2/token"]
        {
            assert_eq!(get(unknown), Err(RouteError::Unknown), "{unknown}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(path in "[/a-zA-Z0-9.%@*-]{0,80}") {
            let _ = get(&path);
        }
    }
}
