//! Descriptors and the index that lists referrers.
//!
//! Source: image-spec v1.1, "OCI Content Descriptors" and "OCI Image Index Specification".

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wharf_model::Digest;

use crate::media_type;

/// The largest size that a descriptor may state: what clients written in Go can read, 2^63 - 1 bytes.
pub const MAX_SIZE_BYTES: u64 = i64::MAX as u64;

/// Names some content by its media type, digest and size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The content's media type; empty when the document did not say.
    #[serde(default)]
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes.
    pub size: u64,
    /// The type of the artifact that the content is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The platform that a child of an index runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Where else the content may be found; only foreign layers have such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Notes about the content. Not kept when a descriptor is read out of a manifest, whose bytes have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Map<String, Value>>,
}

impl Descriptor {
    /// A descriptor with the three members that every one has.
    #[must_use]
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            artifact_type: None,
            platform: None,
            urls: Vec::new(),
            annotations: None,
        }
    }
}

/// The platform that an image is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor's architecture in Go's words, such as `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// The operating system in Go's words, such as `linux`.
    #[serde(default)]
    pub os: String,
    /// The variant of the processor, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The operating system's version.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that the image needs.
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
}

/// An image index, as the referrers API answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    schema_version: u8,
    media_type: String,
    /// The manifests listed.
    pub manifests: Vec<Descriptor>,
}

impl Index {
    /// An index of `manifests`.
    #[must_use]
    pub fn of(manifests: Vec<Descriptor>) -> Self {
        Self { schema_version: 2, media_type: media_type::OCI_INDEX.to_owned(), manifests }
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, numbers and maps with string keys always serialise")
    }
}

#[cfg(test)]
mod tests {
    use wharf_model::Algorithm;

    use super::*;

    #[test]
    fn an_empty_index_still_lists_manifests() {
        let json = String::from_utf8(Index::of(Vec::new()).to_json()).unwrap();
        assert_eq!(json, r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#);
    }

    #[test]
    fn absent_members_are_left_out_and_present_ones_survive() {
        let mut descriptor = Descriptor::new(media_type::OCI_MANIFEST, Digest::of(Algorithm::Sha256, b"x"), 1);
        let bare = serde_json::to_value(&descriptor).unwrap();
        assert_eq!(bare.as_object().unwrap().len(), 3);
        descriptor.artifact_type = Some("application/vnd.example".into());
        descriptor.annotations = Some(Map::from_iter([("k".to_owned(), Value::from("v"))]));
        descriptor.platform = Some(Platform { architecture: "arm".into(), os: "linux".into(), ..Platform::default() });
        let json = serde_json::to_string(&descriptor).unwrap();
        assert_eq!(serde_json::from_str::<Descriptor>(&json).unwrap(), descriptor);
    }
}
