//! Reads out of a manifest what a registry must know: what it refers to, and what it says about itself.
//!
//! The bytes of a manifest are never changed. They are read twice: a first pass over the whole document refuses what
//! two readers could understand differently (see [`shape`]), the second one picks the members that matter.
//!
//! | media type | blobs | children |
//! | --- | --- | --- |
//! | OCI and Docker image | `config`, `layers` | |
//! | OCI index, Docker list | | `manifests` |
//! | OCI and ORAS artifact (drafts) | `blobs` | |
//! | Docker schema 1 | `fsLayers[].blobSum`, sizes unknown | |
//! | any other | all of the above, where they hold descriptors | |
//!
//! What is *not* done here: whether the content exists, and how large the document may be.
//! Sources: image-spec v1.1; distribution-spec v1.1, "Pushing Manifests"; CVE-2021-41190 for documents that are image
//! and index at once.

mod shape;

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use wharf_model::Digest;

use crate::descriptor::{Descriptor, MAX_SIZE_BYTES};
use crate::media_type;

/// What a registry must know about a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedManifest {
    /// The effective media type: the `Content-Type` without parameters, else the `mediaType` member. Lower case.
    pub media_type: String,
    /// The blobs that the manifest refers to, each once, in the document's order.
    pub blobs: Vec<BlobReference>,
    /// The manifests that an index lists, each once, in the document's order.
    pub children: Vec<Descriptor>,
    /// The manifest that this one says something about.
    pub subject: Option<Descriptor>,
    /// `artifactType`; for an image without one its config's media type (distribution-spec, "Listing Referrers").
    pub artifact_type: Option<String>,
    /// The media type of an image's config.
    pub config_media_type: Option<String>,
    /// The annotations of the document itself; their values are strings.
    pub annotations: Option<Map<String, Value>>,
    /// Config and layers together, as the document states their sizes.
    pub image_size_bytes: u64,
}

/// A blob that a manifest refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobReference {
    /// The blob's digest.
    pub digest: Digest,
    /// The blob's size as the manifest states it; 0 in schema 1, which does not.
    pub size_bytes: u64,
    /// The blob's media type as the manifest states it.
    pub media_type: String,
    /// False for foreign layers, which say by `urls` where they are and need not be in the registry.
    pub must_exist: bool,
}

/// Why a document is refused as a manifest. The text is for the person who pushed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Neither the request nor the document says what it is.
    #[error("the manifest's media type is missing: set the Content-Type header or the mediaType member")]
    MediaTypeMissing,
    /// The media type cannot stand in a header.
    #[error("the manifest's media type is not written as type/subtype")]
    MediaTypeInvalid,
    /// Request and document say different things.
    #[error("the Content-Type header says {header} and the mediaType member says {member}")]
    MediaTypeMismatch {
        /// What the request said.
        header: String,
        /// What the document says.
        member: String,
    },
    /// The document could be read as two things, or not at all.
    #[error("{0}")]
    Shape(String),
    /// A member that the media type demands is missing, or one is there that it forbids.
    #[error("{0}")]
    Member(&'static str),
    /// A member does not hold what it must.
    #[error("the member {member} is invalid: {reason}")]
    Invalid {
        /// The member's name.
        member: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl ParsedManifest {
    /// Reads a manifest that was sent with `content_type`.
    ///
    /// # Errors
    /// [`ManifestError`] for anything that is not a JSON object, that is ambiguous, or that lacks what its media type
    /// demands.
    pub fn parse(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, ManifestError> {
        shape::check(bytes).map_err(|e| ManifestError::Shape(e.to_string()))?;
        let document: Document<'_> =
            serde_json::from_slice(bytes).map_err(|e| ManifestError::Shape(format!("not a manifest: {e}")))?;
        let media_type = effective_media_type(content_type, document.media_type()?)?;
        let kind = Kind::of(&media_type);
        document.check_members(kind)?;

        let mut blobs = Vec::new();
        let config = kind.read_one("config", document.config)?;
        let layers = kind.read_list("layers", document.layers)?;
        let artifacts = kind.read_list("blobs", document.blobs)?;
        let mut image_size_bytes = 0_u64;
        for descriptor in config.iter().chain(&layers).chain(&artifacts) {
            image_size_bytes = image_size_bytes.saturating_add(descriptor.size).min(MAX_SIZE_BYTES);
            blobs.push(BlobReference {
                digest: descriptor.digest.clone(),
                size_bytes: descriptor.size,
                media_type: descriptor.media_type.clone(),
                must_exist: descriptor.urls.is_empty(),
            });
        }
        for layer in kind.read::<Vec<Schema1Layer>>("fsLayers", document.fs_layers)?.unwrap_or_default() {
            blobs.push(BlobReference {
                digest: layer.blob_sum,
                size_bytes: 0,
                media_type: String::new(),
                must_exist: true,
            });
        }
        let subject = kind.read_one("subject", document.subject)?;
        let children = kind.read_list("manifests", document.manifests)?;

        let config_media_type = config.map(|config| config.media_type).filter(|text| !text.is_empty());
        let artifact_type = kind.read::<String>("artifactType", document.artifact_type)?.filter(|t| !t.is_empty());
        let artifact_type = match kind {
            Kind::Image => artifact_type.or_else(|| config_media_type.clone()),
            Kind::Index | Kind::Artifact | Kind::Schema1 | Kind::Unknown => artifact_type,
        };
        Ok(Self {
            blobs: each_once(blobs, |blob| &blob.digest),
            children: each_once(children, |child| &child.digest),
            subject,
            artifact_type,
            config_media_type,
            annotations: kind.read::<shape::Annotations>("annotations", document.annotations)?.map(|found| found.0),
            image_size_bytes,
            media_type,
        })
    }
}

/// The members of any manifest, not looked into yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(borrow)]
    media_type: Option<&'a RawValue>,
    #[serde(borrow)]
    artifact_type: Option<&'a RawValue>,
    #[serde(borrow)]
    config: Option<&'a RawValue>,
    #[serde(borrow)]
    layers: Option<&'a RawValue>,
    #[serde(borrow)]
    manifests: Option<&'a RawValue>,
    #[serde(borrow)]
    blobs: Option<&'a RawValue>,
    #[serde(borrow)]
    fs_layers: Option<&'a RawValue>,
    #[serde(borrow)]
    subject: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
}

impl Document<'_> {
    fn media_type(&self) -> Result<Option<String>, ManifestError> {
        match self.media_type {
            Some(raw) => Kind::Image.read("mediaType", Some(raw)),
            None => Ok(None),
        }
    }

    /// A manifest is an image or an index, never both (CVE-2021-41190).
    fn check_members(&self, kind: Kind) -> Result<(), ManifestError> {
        // `null` counts as absent: it is what Go prints for an empty list.
        let image = self.config.is_some() || self.layers.is_some() || self.fs_layers.is_some();
        let index = self.manifests.is_some();
        match kind {
            Kind::Image if index => Err(ManifestError::Member("an image manifest may not have a member manifests")),
            Kind::Image if self.config.is_none() => Err(ManifestError::Member("an image manifest needs a config")),
            Kind::Index if image => {
                Err(ManifestError::Member("an index may not have members config, layers or fsLayers"))
            }
            Kind::Artifact if image || index => {
                Err(ManifestError::Member("an artifact manifest may not have members config, layers or manifests"))
            }
            Kind::Schema1 | Kind::Unknown if image && index => {
                Err(ManifestError::Member("a manifest may not be image and index at once"))
            }
            Kind::Image | Kind::Index | Kind::Artifact | Kind::Schema1 | Kind::Unknown => Ok(()),
        }
    }
}

/// How strictly the members are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Index,
    Artifact,
    Schema1,
    Unknown,
}

impl Kind {
    fn of(media_type: &str) -> Self {
        match media_type {
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => Self::Image,
            media_type::OCI_INDEX | media_type::DOCKER_LIST => Self::Index,
            media_type::OCI_ARTIFACT | media_type::ORAS_ARTIFACT => Self::Artifact,
            media_type::DOCKER_SCHEMA1 | media_type::DOCKER_SCHEMA1_SIGNED => Self::Schema1,
            _ => Self::Unknown,
        }
    }

    /// Reads one member. In documents that we do not know a member of our name may mean something else.
    fn read<T: DeserializeOwned>(
        self,
        member: &'static str,
        raw: Option<&RawValue>,
    ) -> Result<Option<T>, ManifestError> {
        let Some(raw) = raw else { return Ok(None) };
        match serde_json::from_str::<Option<T>>(raw.get()) {
            Ok(value) => Ok(value),
            Err(_) if self == Self::Unknown => Ok(None),
            Err(e) => Err(ManifestError::Invalid { member, reason: e.to_string() }),
        }
    }

    fn read_one(self, member: &'static str, raw: Option<&RawValue>) -> Result<Option<Descriptor>, ManifestError> {
        self.read::<shape::Bare>(member, raw)?.map(|bare| checked(member, bare.into())).transpose()
    }

    fn read_list(self, member: &'static str, raw: Option<&RawValue>) -> Result<Vec<Descriptor>, ManifestError> {
        let list = self.read::<Vec<shape::Bare>>(member, raw)?.unwrap_or_default();
        list.into_iter().map(|bare| checked(member, bare.into())).collect()
    }
}

/// `{"blobSum": …}` in schema 1.
#[derive(Deserialize)]
struct Schema1Layer {
    #[serde(rename = "blobSum")]
    blob_sum: Digest,
}

fn effective_media_type(content_type: Option<&str>, member: Option<String>) -> Result<String, ManifestError> {
    let read = |text: &str| media_type::essence(text).ok_or(ManifestError::MediaTypeInvalid);
    let header = content_type.filter(|text| !text.trim().is_empty()).map(read).transpose()?;
    let member = member.filter(|text| !text.is_empty()).map(|text| read(&text)).transpose()?;
    match (header, member) {
        (Some(header), Some(member)) if header != member => Err(ManifestError::MediaTypeMismatch { header, member }),
        (Some(media_type), _) | (None, Some(media_type)) => Ok(media_type),
        (None, None) => Err(ManifestError::MediaTypeMissing),
    }
}

fn checked(member: &'static str, descriptor: Descriptor) -> Result<Descriptor, ManifestError> {
    if descriptor.size > MAX_SIZE_BYTES {
        return Err(ManifestError::Invalid { member, reason: "a size is larger than 2^63 - 1 bytes".to_owned() });
    }
    Ok(descriptor)
}

fn each_once<T>(items: Vec<T>, digest: impl Fn(&T) -> &Digest) -> Vec<T> {
    let mut seen = HashSet::with_capacity(items.len());
    items.into_iter().filter(|item| seen.insert(digest(item).clone())).collect()
}

#[cfg(test)]
mod tests;
