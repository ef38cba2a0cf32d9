//! Manifests made up for tests.

use std::sync::Arc;

use serde_json::{Value, json};
use wharf_model::{Algorithm, Digest};

/// The media type of the manifests here.
pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The digest of `bytes`, as text.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, bytes).to_string()
}

/// An image of `blobs`, the first of which is its config; about `subject` (digest and size) if there is one.
pub(crate) fn manifest(blobs: &[Arc<Vec<u8>>], subject: Option<(&str, usize)>, note: &str) -> Vec<u8> {
    let descriptor = |media_type: &str, bytes: &Arc<Vec<u8>>| json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()});
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &blobs[0]),
        "layers": blobs[1..].iter().map(|blob| descriptor("application/vnd.oci.image.layer.v1.tar", blob)).collect::<Value>(),
        "annotations": {"note": note},
    });
    if let Some((digest, size)) = subject {
        manifest["subject"] = json!({"mediaType": IMAGE, "digest": digest, "size": size});
    }
    manifest.to_string().into_bytes()
}
