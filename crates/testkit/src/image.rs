//! Small images, made up.

use serde_json::{Value, json};
use wharf_model::{Algorithm, Digest};
use wharf_oci::media_type;

/// A manifest and the blobs that it refers to.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The manifest's media type.
    pub media_type: String,
    /// The contents of its blobs.
    pub blobs: Vec<Vec<u8>>,
}

impl Image {
    /// The manifest's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(Algorithm::Sha256, &self.manifest)
    }

    /// A descriptor of the manifest.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest().as_str(), "size": self.manifest.len()})
    }

    /// The same image as a statement about another one.
    #[must_use]
    pub fn about(&self, subject: &Image, artifact_type: &str) -> Self {
        let mut manifest: Value = serde_json::from_slice(&self.manifest).expect("made by us");
        manifest["subject"] = subject.descriptor();
        manifest["artifactType"] = artifact_type.into();
        Self { manifest: manifest.to_string().into_bytes(), ..self.clone() }
    }
}

/// An OCI image with a config and one layer, different for different `content`.
#[must_use]
pub fn image(content: &str) -> Image {
    let config = format!(r#"{{"architecture":"amd64","os":"linux","author":"{content}"}}"#).into_bytes();
    let layer = format!("layer of {content}").into_bytes();
    let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(Algorithm::Sha256, bytes).as_str(), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    Image {
        manifest: manifest.to_string().into_bytes(),
        media_type: media_type::OCI_MANIFEST.to_owned(),
        blobs: vec![config, layer],
    }
}

/// An OCI index of these images, which are not among its blobs.
#[must_use]
pub fn index(children: &[&Image]) -> Image {
    let children: Vec<Value> = children.iter().map(|child| child.descriptor()).collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children});
    Image {
        manifest: manifest.to_string().into_bytes(),
        media_type: media_type::OCI_INDEX.to_owned(),
        blobs: Vec::new(),
    }
}
