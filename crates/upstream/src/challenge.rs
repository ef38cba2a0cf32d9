//! The `WWW-Authenticate` header, as a client reads it. Source: RFC 9110, 11.6.1, and distribution's token specification.

use std::collections::HashMap;

/// How a registry wants to be signed in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// With user name and password.
    Basic,
    /// With a token that a realm gives.
    Bearer {
        /// Where it is given.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// What for.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads the headers of an answer, of which Bearer is taken before Basic. `None` when there is neither.
    pub(crate) fn of<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for header in headers {
            for (scheme, mut parameters) in parse(header) {
                if scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameters.remove("realm")
                {
                    let (service, scope) = (parameters.remove("service"), parameters.remove("scope"));
                    return Some(Self::Bearer { realm, service, scope });
                }
                if scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                }
            }
        }
        basic
    }
}

/// Takes a header apart into schemes and their parameters; what cannot be read ends it.
fn parse(header: &str) -> Vec<(&str, HashMap<String, String>)> {
    let mut challenges: Vec<(&str, HashMap<String, String>)> = Vec::new();
    let mut rest = &header[..floor(header, LONGEST)];
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let length = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(length);
        if word.is_empty() {
            return challenges;
        }
        let Some(value) = behind.trim_start().strip_prefix('=') else {
            challenges.push((word, HashMap::new()));
            rest = behind;
            continue;
        };
        let Some((value, behind)) = take_value(value.trim_start()) else { return challenges };
        let Some((_, parameters)) = challenges.last_mut() else { return challenges };
        parameters.entry(word.to_ascii_lowercase()).or_insert(value);
        rest = behind;
    }
}

/// A token or a quoted string, and what follows it.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let length = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return Some((text[..length].to_owned(), &text[length..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn floor(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// How much of a header is read, in bytes.
const LONGEST: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let (service, scope) = (service.map(str::to_owned), scope.map(str::to_owned));
        Some(Challenge::Bearer { realm: realm.to_owned(), service, scope })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        for (header, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a/b:pull,push")),
            ),
            (r#"bearer  realm=https://a/t , service = "x y""#, bearer("https://a/t", Some("x y"), None)),
            (r#"Basic realm="Registry Realm""#, Some(Challenge::Basic)),
            (r#"Basic realm="x, y", Bearer realm="https://a/t""#, bearer("https://a/t", None, None)),
            (r#"Bearer realm="a\"b""#, bearer("a\"b", None, None)),
            ("Basic", Some(Challenge::Basic)),
            ("Negotiate", None),
            ("Bearer service=x", None),
            (r#"Bearer realm="https://never-closed"#, None),
            ("", None),
        ] {
            assert_eq!(Challenge::of([header]), expected, "{header}");
        }
        assert_eq!(Challenge::of(["Basic", r#"Bearer realm="r""#]), bearer("r", None, None));
    }

    proptest! {
        #[test]
        fn nothing_panics_or_loops(header in ".{0,200}", more in "[A-Za-z =,\"\\\\]{0,60}") {
            let _ = Challenge::of([header.as_str(), more.as_str()]);
        }
    }
}
