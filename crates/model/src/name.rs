//! Names of registries, repositories and tags.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNameError {
    /// Not 5 to 50 ASCII letters and digits.
    #[error("a registry name has 5 to 50 letters and digits")]
    Registry,
    /// Does not follow distribution-spec's `<name>` grammar, or is longer than 255 bytes.
    #[error(
        "a repository name has lower-case letters and digits, joined by '.', '_', '__', '-' or '/', 255 bytes at most"
    )]
    Repository,
    /// Does not follow distribution-spec's `<tag>` grammar.
    #[error("a tag has 1 to 128 letters, digits, '_', '.' or '-', and begins with none of the last two")]
    Tag,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:expr, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err($error) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseNameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a registry: 5 to 50 ASCII letters and digits, kept in lower case (`acr/semantics.md` section 1).
    ///
    /// It is also a DNS label, so two names that differ in case only are one registry; [`RegistryName::parse_any_case`]
    /// takes what users type.
    RegistryName,
    ParseNameError::Registry,
    |text| (5..=50).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
);

impl RegistryName {
    /// Parses a name in any case.
    ///
    /// # Errors
    /// [`ParseNameError::Registry`] when it is not a registry's name.
    pub fn parse_any_case(text: &str) -> Result<Self, ParseNameError> {
        text.to_ascii_lowercase().parse()
    }
}

name!(
    /// The name of a repository inside a registry, such as `team/app`.
    ///
    /// Source: distribution-spec, "Pulling manifests":
    /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`, 255 bytes at most.
    RepositoryName,
    ParseNameError::Repository,
    |text| text.len() <= 255 && text.split('/').all(is_path_component)
);

name!(
    /// A tag.
    ///
    /// Source: distribution-spec, "Pulling manifests": `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    Tag,
    ParseNameError::Tag,
    |text| {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        (1..=128).contains(&text.len())
            && word(text.as_bytes()[0])
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
    }
);

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !alphanumeric(first) || !alphanumeric(last) {
        return false;
    }
    let mut at = 0;
    while at < bytes.len() {
        if alphanumeric(bytes[at]) {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().take_while(|&&b| !alphanumeric(b)).count();
        match &bytes[at..at + length] {
            b"." | b"_" | b"__" => {}
            dashes if dashes.iter().all(|&b| b == b'-') => {}
            _ => return false,
        }
        at += length;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repository_names_follow_the_grammar() {
        for good in ["a", "team/app", "a.b", "a_b", "a__b", "a---b", "0/1/2", "library/busy-box_1.0"] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", "-a", "a-", "a b", "a\0b", "..", "a/../b",
            "%2f", "é", &long,
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_follow_the_grammar() {
        let longest = "a".repeat(128);
        for good in ["v1", "_x", "1.0-rc.1", "Latest", &longest] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        let long = "a".repeat(129);
        for bad in ["", ".a", "-a", "a/b", "a:b", "a b", "é", &long] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn registry_names_are_dns_labels_in_lower_case() {
        assert_eq!(RegistryName::parse_any_case("Contoso1").unwrap().as_str(), "contoso1");
        for bad in ["four", "with-dash", "Upper", &"a".repeat(51)] {
            assert!(bad.parse::<RegistryName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_the_same(text in "[a-z0-9._/-]{0,40}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }

        #[test]
        fn generated_repository_names_parse(text in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,3}(/[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,3}){0,3}") {
            prop_assert!(text.parse::<RepositoryName>().is_ok());
        }

        #[test]
        fn nothing_panics(text in ".{0,300}") {
            let _ = text.parse::<RepositoryName>();
            let _ = text.parse::<Tag>();
            let _ = RegistryName::parse_any_case(&text);
        }
    }
}
