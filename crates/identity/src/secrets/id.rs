//! What a secret is called.

use std::fmt;
use std::str::FromStr;

/// The name of a secret, perhaps of one vault and one version. Names, vaults and versions are the same in any casing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretId {
    vault: Option<String>,
    name: String,
    version: Option<String>,
}

/// A text names no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} names no secret; it is the address of one in a vault, such as https://contoso.vault.azure.net/secrets/hub-user, \
     with or without a version behind it"
)]
pub struct ParseSecretIdError {
    text: String,
}

impl SecretId {
    /// Reads the address of a secret in a vault: `https://<host>/secrets/<name>[/<version>]`.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse_address(text: &str) -> Result<Self, ParseSecretIdError> {
        let refused = || ParseSecretIdError { text: text.chars().take(300).collect() };
        let rest = strip_https(text).ok_or_else(refused)?;
        let (host, path) = rest.split_once('/').ok_or_else(refused)?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        if host.is_empty() || host.len() > 255 || !host.chars().all(is_host) {
            return Err(refused());
        }
        let mut words = path.strip_suffix('/').unwrap_or(path).split('/');
        let (kind, name, version) = (words.next(), words.next(), words.next());
        if words.next().is_some() || !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("secrets")) {
            return Err(refused());
        }
        let name = name.filter(|name| is_word(name)).ok_or_else(refused)?;
        if version.is_some_and(|version| !is_word(version)) {
            return Err(refused());
        }
        let lower = str::to_ascii_lowercase;
        Ok(Self { vault: Some(lower(host)), name: lower(name), version: version.map(lower) })
    }

    /// The name in the vault.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Vault, name and version, empty where there is none.
    pub(super) fn key(&self) -> (String, String, String) {
        (self.vault.clone().unwrap_or_default(), self.name.clone(), self.version.clone().unwrap_or_default())
    }

    pub(super) fn of_key(vault: &str, name: &str, version: &str) -> Self {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self { vault: given(vault), name: name.to_owned(), version: given(version) }
    }
}

impl FromStr for SecretId {
    type Err = ParseSecretIdError;

    /// Reads what an operator calls a secret: a name alone, for whichever vault; a name and a version, `hub-user/5f1c…`; or
    /// an address, for that vault alone.
    fn from_str(text: &str) -> Result<Self, ParseSecretIdError> {
        if strip_https(text).is_some() {
            return Self::parse_address(text);
        }
        let (name, version) = match text.split_once('/') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if !is_word(name) || version.is_some_and(|version| !is_word(version)) {
            return Err(ParseSecretIdError { text: text.chars().take(300).collect() });
        }
        let lower = str::to_ascii_lowercase;
        Ok(Self { vault: None, name: lower(name), version: version.map(lower) })
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(vault) = &self.vault {
            write!(f, "https://{vault}/secrets/")?;
        }
        f.write_str(&self.name)?;
        match &self.version {
            Some(version) => write!(f, "/{version}"),
            None => Ok(()),
        }
    }
}

fn strip_https(text: &str) -> Option<&str> {
    let scheme = text.get(..SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| &text[SCHEME.len()..])
}

/// Names and versions in a Key Vault. Source: Azure, "Key Vault object identifiers".
fn is_word(text: &str) -> bool {
    (1..=127).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

const SCHEME: &str = "https://";
