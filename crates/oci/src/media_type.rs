//! The media types that mean something to a registry. Everything else is stored as it is.

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI artifact manifest, which existed in release candidates of image-spec 1.1 only.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// ORAS artifact manifest, the draft before that.
pub const ORAS_ARTIFACT: &str = "application/vnd.cncf.oras.artifact.manifest.v1+json";
/// Docker image manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The config of an OCI image.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The config of a Docker image.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// The config of a Helm chart: its `Chart.yaml` as JSON.
pub const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// The package of a Helm chart.
pub const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// The package of a Helm chart, before Helm 3.7.
pub const HELM_CHART_OLD: &str = "application/tar+gzip";
/// The provenance of a Helm chart: who signed the package.
pub const HELM_PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";
/// Docker image manifest, schema 1, without signature.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker image manifest, schema 1, with signature.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// The longest media type that is stored, in bytes.
const MAX_LENGTH: usize = 255;

/// The media type in a `Content-Type` header: without parameters, in lower case.
///
/// `None` when it is not written as `type/subtype` with RFC 6838's characters, so that what is returned may stand in
/// a header again.
#[must_use]
pub fn essence(content_type: &str) -> Option<String> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = essence.split_once('/')?;
    let restricted = |text: &str| !text.is_empty() && text.bytes().all(is_restricted_name_byte);
    (essence.len() <= MAX_LENGTH && restricted(kind) && restricted(subtype)).then(|| essence.to_ascii_lowercase())
}

/// RFC 6838, section 4.2: `restricted-name-chars`.
fn is_restricted_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_and_case_are_dropped() {
        assert_eq!(
            essence("Application/vnd.OCI.image.index.v1+json; charset=utf-8").as_deref(),
            Some("application/vnd.oci.image.index.v1+json")
        );
    }

    #[test]
    fn malformed_media_types_are_refused() {
        let long = format!("application/{}", "a".repeat(300));
        for bad in ["", "json", "/json", "application/", "a/b/c", "a b/c", "a/b\r\nx: y", "a/é", &long] {
            assert_eq!(essence(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_essence_is_its_own_essence(text in ".{0,60}") {
            if let Some(found) = essence(&text) {
                prop_assert_eq!(essence(&found), Some(found));
            }
        }
    }
}
