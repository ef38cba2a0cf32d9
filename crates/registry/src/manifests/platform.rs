//! The platform that an image is for: what its config says, recorded with its manifest.
//!
//! Lists of manifests show it (`acr/data-plane.md` section 5), so it must stand in the row. It is looked for when the
//! manifest is pushed; for manifests that were pushed before there was a column for it, by a reconciler.

use futures_util::StreamExt as _;
use serde::Deserialize;
use wharf_metadata::attributes;
use wharf_metadata::blobs::{self, Place};
use wharf_metadata::manifests::NewPlatform;
use wharf_model::{Digest, ManifestId};
use wharf_oci::{ParsedManifest, media_type};

use crate::blobs::parse_key;
use crate::{Artifacts, Error};

/// The platform in a config; both are absent in what is no image's config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Platform {
    architecture: Option<String>,
    os: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architecture: serde_json::Value,
    #[serde(default)]
    os: serde_json::Value,
}

impl Platform {
    /// Reads a config; whatever it is, it is no reason to refuse a manifest.
    fn of(config: &[u8]) -> Self {
        let Ok(config) = serde_json::from_slice::<Config>(config) else { return Self::default() };
        let word = |value: serde_json::Value| {
            let word = value.as_str()?.trim();
            let fits = (1..=LONGEST_WORD).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_graphic());
            fits.then(|| word.to_owned())
        };
        Self { architecture: word(config.architecture), os: word(config.os) }
    }

    pub(crate) fn as_new(&self) -> NewPlatform<'_> {
        NewPlatform { architecture: self.architecture.as_deref(), os: self.os.as_deref() }
    }
}

impl Artifacts {
    /// The platform of a manifest. `None` when its config cannot be read now; the reconciler tries again.
    pub(crate) async fn find_platform(&self, manifest: &ParsedManifest, bytes: &[u8]) -> Option<Platform> {
        if matches!(manifest.media_type.as_str(), media_type::DOCKER_SCHEMA1 | media_type::DOCKER_SCHEMA1_SIGNED) {
            return Some(Platform::of(bytes));
        }
        // The first blob of an image is its config. Other artifacts have configs of their own, which say nothing of this.
        let config = manifest.blobs.first().filter(|blob| {
            matches!(blob.media_type.as_str(), media_type::OCI_CONFIG | media_type::DOCKER_CONFIG)
                && blob.size_bytes <= LARGEST_CONFIG_BYTES
        });
        let Some(config) = config else { return Some(Platform::default()) };
        // If it is not there, the push fails for want of it, or it is a foreign one.
        let found = self.read_config(&config.digest).await.ok()?;
        Some(found.map(|config| Platform::of(&config)).unwrap_or_default())
    }

    /// Reads a blob that a manifest has for its config, whichever repository holds it: of what is read nothing is told
    /// before the manifest is taken, and with it the blob. Longer ones are cut off.
    pub(crate) async fn read_config(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let digest = digest.clone();
        let found = self.inner.database.read(move |c| Box::pin(async move { blobs::find(c, &digest).await })).await?;
        let object = match found {
            None => return Ok(None),
            Some((_, Place::Inline(bytes))) => return Ok(Some(bytes)),
            Some((_, Place::Object(object))) => object,
        };
        let stored = self.inner.blobs.open(&parse_key(&object)?).await?;
        let size = stored.size().min(LARGEST_CONFIG_BYTES);
        let mut stream = stored.stream(0..size);
        let mut whole = Vec::new();
        while let Some(bytes) = stream.next().await {
            whole.extend_from_slice(&bytes?);
        }
        Ok(Some(whole))
    }

    /// Looks for the platforms of manifests whose platform was not looked for, and returns of how many it is known now.
    ///
    /// # Errors
    /// When the metadata fails.
    pub async fn describe_manifests(&self) -> Result<u64, Error> {
        let database = &self.inner.database;
        let (mut after, mut described) = (ManifestId(0), 0);
        loop {
            let page = database.read(move |c| Box::pin(attributes::list_undescribed(c, after, AT_ONCE))).await?;
            let Some(last) = page.last() else { return Ok(described) };
            after = last.id;
            let mut found = Vec::with_capacity(page.len());
            for manifest in page {
                let platform = match ParsedManifest::parse(Some(&manifest.media_type), &manifest.bytes) {
                    Ok(parsed) => self.find_platform(&parsed, &manifest.bytes).await,
                    Err(_) => Some(Platform::default()),
                };
                found.extend(platform.map(|platform| (manifest.id, platform)));
            }
            described += found.len() as u64;
            database
                .write(move |c| {
                    Box::pin(async move {
                        for (id, platform) in found {
                            attributes::describe_manifest(c, id, platform.as_new()).await?;
                        }
                        Ok::<_, wharf_metadata::Error>(())
                    })
                })
                .await?;
        }
    }
}

/// The longest architecture or operating system that is recorded, in bytes.
const LONGEST_WORD: usize = 64;

/// The largest config that is read, in bytes.
pub(crate) const LARGEST_CONFIG_BYTES: u64 = 4 << 20;

/// Manifests described in one transaction. They have up to 4 MiB each, so few.
const AT_ONCE: i64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_two_words_or_nothing() {
        let platform = |config: &str| {
            let Platform { architecture, os } = Platform::of(config.as_bytes());
            (architecture.unwrap_or_default(), os.unwrap_or_default())
        };
        assert_eq!(platform(r#"{"architecture":"amd64","os":"linux","x":1}"#), ("amd64".into(), "linux".into()));
        assert_eq!(platform(r#"{"architecture":"arm64"}"#), ("arm64".into(), String::new()));
        let long = format!(r#"{{"architecture":"{}","os":" \n"}}"#, "a".repeat(65));
        for config in ["", "[]", "{}", r#"{"os":7}"#, r#"{"os":"a\u0000b","architecture":null}"#, &long] {
            assert_eq!(platform(config), (String::new(), String::new()), "{config}");
        }
    }
}
