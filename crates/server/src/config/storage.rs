//! Where rows and bytes are kept.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::Config;

/// Where rows and bytes are kept. Each is in the data directory unless an address is given.
#[derive(Clone, Debug)]
pub(crate) struct StorageConfig {
    /// Address of the database, `postgres://user:password@host/name`. Key `database`.
    pub(crate) database: Option<Location>,
    /// Address of the blob store, `s3://bucket/prefix`, `az://…` or `gs://…`. Key `blobs`.
    pub(crate) blobs: Option<Location>,
}

impl StorageConfig {
    pub(super) fn validate(&self, config: &Config) -> Result<(), anyhow::Error> {
        for (key, location, schemes) in [
            ("database", &self.database, &["sqlite", "postgres", "postgresql"][..]),
            ("blobs", &self.blobs, &["file", "s3", "az", "gs"][..]),
        ] {
            let Some(location) = location else { continue };
            if !schemes.contains(&location.scheme()) {
                bail!(
                    "{} is {}; its scheme must be one of: {}",
                    config.place(key),
                    location.masked(),
                    schemes.join(", ")
                );
            }
        }
        Ok(())
    }
}

/// An address that may hold a password, and is therefore not printed by accident.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Location {
    scheme: String,
    address: SecretString,
}

impl Location {
    /// What stands before `://`.
    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The whole address, for the one who connects.
    pub(crate) fn expose(&self) -> &str {
        self.address.expose_secret()
    }

    /// The address with its password and query hidden.
    pub(crate) fn masked(&self) -> String {
        let Ok(mut url) = Url::parse(self.expose()) else { return format!("{}://…", self.scheme) };
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return format!("{}://…", self.scheme);
        }
        if url.query().is_some() {
            url.set_query(Some("***"));
        }
        url.to_string()
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The text is not repeated: it may hold a password.
        let url =
            Url::parse(text).map_err(|error| format!("not an address such as postgres://… or s3://…: {error}"))?;
        Ok(Self { scheme: url.scheme().to_owned(), address: SecretString::from(text) })
    }
}

impl TryFrom<String> for Location {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden() {
        let location: Location = "postgres://wharf:hunter2@db/wharf?sslkey=abc".parse().unwrap();
        assert_eq!(location.masked(), "postgres://wharf:***@db/wharf?***");
        assert_eq!(format!("{location:?}"), location.masked());
        assert_eq!(location.expose(), "postgres://wharf:hunter2@db/wharf?sslkey=abc");
        assert!("hunter2 is not an address".parse::<Location>().unwrap_err().find("hunter2").is_none());
    }
}
