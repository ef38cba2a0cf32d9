//! Tests of what is read out of manifests, and of what is refused.

use proptest::prelude::*;
use serde_json::json;
use wharf_model::Algorithm;

use super::*;

fn digest(text: &str) -> String {
    Digest::of(Algorithm::Sha256, text.as_bytes()).to_string()
}

fn descriptor(media_type: &str, text: &str) -> Value {
    json!({"mediaType": media_type, "digest": digest(text), "size": text.len()})
}

fn parse(media_type: &str, document: &Value) -> Result<ParsedManifest, ManifestError> {
    ParsedManifest::parse(Some(media_type), document.to_string().as_bytes())
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", "config"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", "one"),
                   descriptor("application/vnd.oci.image.layer.v1.tar", "three")],
        "annotations": {"a": "b"},
    })
}

#[test]
fn an_image_refers_to_config_and_layers() {
    let parsed = parse(media_type::OCI_MANIFEST, &image()).unwrap();
    let sizes: Vec<u64> = parsed.blobs.iter().map(|blob| blob.size_bytes).collect();
    assert_eq!(sizes, [6, 3, 5]);
    assert!(parsed.blobs.iter().all(|blob| blob.must_exist));
    assert_eq!(parsed.image_size_bytes, 14);
    assert_eq!(parsed.config_media_type.as_deref(), Some("application/vnd.oci.image.config.v1+json"));
    assert_eq!(parsed.artifact_type, parsed.config_media_type, "an image without artifactType is named by its config");
    assert_eq!(parsed.annotations.unwrap()["a"], "b");
}

#[test]
fn repeated_layers_are_listed_once_but_counted_as_often_as_they_occur() {
    let mut document = image();
    document["layers"] = json!([descriptor("x/y", "one"), descriptor("x/y", "one")]);
    let parsed = parse(media_type::OCI_MANIFEST, &document).unwrap();
    assert_eq!(parsed.blobs.len(), 2);
    assert_eq!(parsed.image_size_bytes, 12);
}

#[test]
fn an_index_refers_to_its_children() {
    let document = json!({"schemaVersion": 2, "artifactType": "", "manifests": [
        {"mediaType": media_type::OCI_MANIFEST, "digest": digest("a"), "size": 1, "platform": {"os": "linux", "architecture": "arm64", "x": 1}},
        {"mediaType": media_type::OCI_INDEX, "digest": digest("b"), "size": 2, "annotations": {"k": "v"}, "data": "e30="},
    ], "subject": descriptor(media_type::OCI_MANIFEST, "s")});
    let parsed = parse(media_type::OCI_INDEX, &document).unwrap();
    assert_eq!(parsed.children.len(), 2);
    assert_eq!(parsed.children[0].platform.as_ref().unwrap().architecture, "arm64");
    assert_eq!(parsed.subject.unwrap().size, 1);
    assert_eq!(parsed.artifact_type, None);
    assert!(parsed.blobs.is_empty());
}

#[test]
fn empty_lists_and_null_lists_are_the_same() {
    for empty in [json!([]), Value::Null] {
        assert!(parse(media_type::OCI_INDEX, &json!({"manifests": empty})).unwrap().children.is_empty());
        let mut document = image();
        document["layers"] = empty;
        assert_eq!(parse(media_type::OCI_MANIFEST, &document).unwrap().blobs.len(), 1);
    }
}

#[test]
fn foreign_layers_need_not_exist() {
    let mut document = image();
    document["layers"][0]["urls"] = json!(["https://example.com/layer"]);
    document["layers"][1]["urls"] = Value::Null;
    let parsed = parse(media_type::OCI_MANIFEST, &document).unwrap();
    let must_exist: Vec<bool> = parsed.blobs.iter().map(|blob| blob.must_exist).collect();
    assert_eq!(must_exist, [true, false, true]);
}

#[test]
fn artifact_manifests_of_the_drafts_refer_to_blobs() {
    for media_type in [media_type::OCI_ARTIFACT, media_type::ORAS_ARTIFACT] {
        let document =
            json!({"artifactType": "a/b", "blobs": [descriptor("x/y", "z")], "subject": descriptor("m/n", "s")});
        let parsed = parse(media_type, &document).unwrap();
        assert_eq!((parsed.blobs.len(), parsed.artifact_type.as_deref()), (1, Some("a/b")));
        assert!(parsed.subject.is_some());
    }
}

#[test]
fn schema_1_refers_to_layers_of_unknown_size() {
    let document = json!({"schemaVersion": 1, "name": "a", "tag": "b", "architecture": "amd64",
        "fsLayers": [{"blobSum": digest("x")}, {"blobSum": digest("x")}, {"blobSum": digest("y")}], "signatures": [{}]});
    let parsed = parse(media_type::DOCKER_SCHEMA1_SIGNED, &document).unwrap();
    assert_eq!(parsed.blobs.len(), 2);
    assert_eq!(parsed.image_size_bytes, 0);
}

#[test]
fn unknown_media_types_count_what_is_recognisable() {
    let document =
        json!({"config": "just a word", "layers": [descriptor("x/y", "z")], "subject": 5, "annotations": {"n": 1}});
    let parsed = parse("application/vnd.example.thing+json", &document).unwrap();
    assert_eq!(parsed.blobs.len(), 1);
    assert_eq!((parsed.subject, parsed.annotations, parsed.artifact_type), (None, None, None));
}

#[test]
fn content_type_and_media_type_must_agree() {
    let bytes = image().to_string();
    let with = |content_type| ParsedManifest::parse(content_type, bytes.as_bytes());
    assert_eq!(with(None).unwrap().media_type, media_type::OCI_MANIFEST);
    assert!(with(Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")).is_ok());
    assert!(matches!(with(Some(media_type::DOCKER_MANIFEST)), Err(ManifestError::MediaTypeMismatch { .. })));
    assert_eq!(with(Some("nonsense")), Err(ManifestError::MediaTypeInvalid));
    assert_eq!(ParsedManifest::parse(None, b"{}"), Err(ManifestError::MediaTypeMissing));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let other = digest("other");
    let cases = [
        (media_type::OCI_MANIFEST, r#"{"config":{},"config":{}}"#.to_owned()),
        (media_type::OCI_MANIFEST, image().to_string().replace("\"layers\"", "\"Layers\"")),
        (
            media_type::OCI_MANIFEST,
            image().to_string().replacen("\"size\"", &format!("\"Digest\":\"{other}\",\"size\""), 1),
        ),
        (media_type::OCI_MANIFEST, image().to_string().replace("\"layers\"", "\"manifests\":[],\"layers\"")),
        (media_type::OCI_INDEX, r#"{"manifests":[],"layers":[]}"#.to_owned()),
        (media_type::OCI_INDEX, r#"{"manifests":[],"config":{}}"#.to_owned()),
        (media_type::OCI_ARTIFACT, r#"{"blobs":[],"manifests":[]}"#.to_owned()),
        ("application/vnd.example+json", r#"{"manifests":[],"layers":[]}"#.to_owned()),
    ];
    for (media_type, document) in cases {
        let error = ParsedManifest::parse(Some(media_type), document.as_bytes()).unwrap_err();
        assert!(matches!(error, ManifestError::Shape(_) | ManifestError::Member(_)), "{document}: {error}");
    }
}

#[test]
fn annotations_may_be_named_like_members() {
    let mut document = image();
    document["annotations"] = json!({"Size": "1", "size": "2", "Layers": "3"});
    assert!(parse(media_type::OCI_MANIFEST, &document).is_ok());
}

#[test]
fn malformed_documents_are_refused() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(100), "]".repeat(100));
    let bottomless = "[".repeat(1_000_000);
    let wide = format!("{{{}}}", (0..10_001).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
    let cases: Vec<Vec<u8>> = ["", "{", "[]", "7", "null", "\"x\"", "{}x", &deep, &bottomless, &wide]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .chain([b"{\"a\":\"\xff\"}".to_vec(), b"\x1f\x8b".to_vec()])
        .collect();
    for bytes in cases {
        let result = ParsedManifest::parse(Some("application/vnd.example+json"), &bytes);
        assert!(
            matches!(result, Err(ManifestError::Shape(_))),
            "{:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
        );
    }
}

#[test]
fn impossible_descriptors_are_refused() {
    let too_large = json!(u64::MAX);
    for (member, value) in [
        ("size", json!(-1)),
        ("size", json!(1.5)),
        ("size", too_large),
        ("size", json!("1")),
        ("digest", json!("sha256:short")),
        ("digest", json!("../../etc/passwd")),
        ("digest", json!(null)),
        ("urls", json!("https://example.com")),
    ] {
        let mut document = image();
        document["layers"][0][member] = value.clone();
        let error = parse(media_type::OCI_MANIFEST, &document).unwrap_err();
        assert!(matches!(error, ManifestError::Invalid { member: "layers", .. }), "{member}={value}: {error}");
    }
    let mut document = image();
    document["layers"] = json!([{"mediaType": "a/b", "digest": digest("h"), "size": i64::MAX}]);
    assert_eq!(parse(media_type::OCI_MANIFEST, &document).unwrap().image_size_bytes, MAX_SIZE_BYTES);
}

#[test]
fn members_that_a_media_type_demands_are_demanded() {
    assert!(matches!(parse(media_type::OCI_MANIFEST, &json!({"layers": []})), Err(ManifestError::Member(_))));
    let mut document = image();
    document["annotations"] = json!({"n": 1});
    assert!(matches!(parse(media_type::OCI_MANIFEST, &document), Err(ManifestError::Invalid { .. })));
}

proptest! {
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), content_type in ".{0,40}") {
        let _ = ParsedManifest::parse(Some(&content_type), &bytes);
    }

    #[test]
    fn nothing_that_looks_like_a_manifest_panics(
        text in r#"(\{|\}|\[|\]|"(layers|manifests|config|digest|size|mediaType|subject|annotations)"|:|,|"sha256:[0-9a-f]{64}"|-?[0-9]{1,20}|null|true){0,40}"#,
    ) {
        let _ = ParsedManifest::parse(Some(media_type::OCI_MANIFEST), text.as_bytes());
        let _ = ParsedManifest::parse(Some(media_type::OCI_INDEX), text.as_bytes());
    }

    #[test]
    fn every_layer_is_found(layers in prop::collection::btree_set("[a-z]{1,8}", 0..20)) {
        let mut document = image();
        document["layers"] = layers.iter().map(|text| descriptor("x/y", text)).collect();
        let parsed = parse(media_type::OCI_MANIFEST, &document).unwrap();
        for text in &layers {
            prop_assert!(parsed.blobs.iter().any(|blob| blob.digest.as_str() == digest(text)));
        }
    }
}
