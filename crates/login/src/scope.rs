//! What a client asks a token for: a resource, and what OpenID Connect adds to it.

use crate::error::OAuthError;

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The resource, letter by letter as the token's `aud` will have it; `None` when none was named.
    pub(crate) audience: Option<String>,
    /// The scopes that name it, as they were written.
    pub(crate) scopes: String,
    /// Whether an ID token is wanted.
    pub(crate) openid: bool,
    /// Whether a refresh token is wanted.
    pub(crate) offline: bool,
}

impl Wanted {
    /// Reads `scope` and `resource`. Every resource will do: whoever is sent the token looks at its audience, and people are
    /// asked before an application that somebody registered gets one of theirs.
    ///
    /// # Errors
    /// When several resources are named, or what is named cannot be one.
    pub(crate) fn parse(scope: &str, resource: Option<&str>) -> Result<Self, OAuthError> {
        let invalid = |message: &str| OAuthError::invalid_request(70_011, message).with_word("invalid_scope");
        if scope.len() > LONGEST_SCOPE || scope.chars().any(char::is_control) {
            return Err(invalid("The provided value for the input parameter 'scope' is not valid."));
        }
        let mut wanted = Self::default();
        let mut named = Vec::new();
        for word in scope.split_whitespace() {
            match word {
                "openid" => wanted.openid = true,
                "offline_access" => wanted.offline = true,
                "profile" | "email" => {}
                _ => named.push(word),
            }
        }
        wanted.scopes = named.join(" ");
        for word in named {
            let Some(audience) = audience_of(word) else { continue };
            match &wanted.audience {
                None => wanted.audience = Some(audience.to_owned()),
                Some(known) if known == audience => {}
                Some(_) => {
                    return Err(invalid(
                        "The provided value for the input parameter 'scope' is not valid because it contains more than one resource.",
                    )
                    .with_code(28_000));
                }
            }
        }
        if let Some(resource) = resource.filter(|resource| !resource.is_empty()) {
            if resource.len() > LONGEST_SCOPE || resource.chars().any(|c| c.is_control() || c == ' ') {
                return Err(invalid("The provided value for the input parameter 'resource' is not valid."));
            }
            wanted.audience = Some(resource.to_owned());
        }
        Ok(wanted)
    }
}

/// Whether two names mean the same resource, the slash at the end apart.
pub(crate) fn is_same_resource(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// The resource of a scope: what stands before `/.default`, or before the last slash and a permission's name. A resource
/// that ends with a slash keeps it (`https://graph.example.com//.default`). `None` for a permission alone.
fn audience_of(scope: &str) -> Option<&str> {
    if let Some(resource) = scope.strip_suffix("/.default") {
        return (!resource.is_empty()).then_some(resource);
    }
    match scope.rsplit_once('/') {
        // `https://example.com`, a resource without a permission.
        Some((before, _)) if before.ends_with(":/") || before.ends_with(':') => Some(scope),
        Some((resource, _)) if !resource.is_empty() => Some(resource),
        _ => None,
    }
}

/// Bytes of the longest `scope` or `resource` that is read.
const LONGEST_SCOPE: usize = 1_024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn audience(scope: &str) -> Option<String> {
        Wanted::parse(scope, None).unwrap().audience
    }

    #[test]
    fn resources_are_taken_letter_by_letter() {
        for (scope, expected) in [
            ("https://management.example.com/.default", Some("https://management.example.com")),
            ("https://management.example.com//.default", Some("https://management.example.com/")),
            ("https://management.core.windows.net//user_impersonation", Some("https://management.core.windows.net/")),
            ("https://localhost:5443/graph/User.Read", Some("https://localhost:5443/graph")),
            ("api://0b1c/access", Some("api://0b1c")),
            ("0b1c/.default openid profile offline_access", Some("0b1c")),
            ("https://example.com", Some("https://example.com")),
            ("User.Read", None),
            ("openid profile", None),
            ("", None),
            ("/.default", None),
        ] {
            assert_eq!(audience(scope).as_deref(), expected, "{scope}");
        }
    }

    #[test]
    fn words_of_openid_connect_are_told_apart() {
        let wanted = Wanted::parse("openid offline_access https://a.example/.default", None).unwrap();
        assert!(wanted.openid && wanted.offline);
        assert_eq!(wanted.scopes, "https://a.example/.default");
    }

    #[test]
    fn one_resource_at_a_time() {
        assert!(Wanted::parse("https://a.example/.default https://b.example/.default", None).is_err());
        assert!(Wanted::parse("https://a.example/.default https://a.example/read", None).is_ok());
        let old = Wanted::parse("openid", Some("https://a.example/")).unwrap();
        assert_eq!(old.audience.as_deref(), Some("https://a.example/"));
        assert!(Wanted::parse("", Some("https://a.example/ b")).is_err());
        assert!(Wanted::parse(&"a".repeat(2_000), None).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(scope in ".{0,100}", resource in ".{0,50}") {
            let _ = Wanted::parse(&scope, Some(&resource));
        }
    }
}
