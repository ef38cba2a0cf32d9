//! Manifests. The input is the `Content-Type`, a line end, and the document.

#![no_main]

use std::collections::HashSet;

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use wharf_oci::{MAX_SIZE_BYTES, ParsedManifest, media_type};

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (content_type, document) = (&input[..split], &input[(split + 1).min(input.len())..]);
    let Ok(content_type) = std::str::from_utf8(content_type) else { return };
    let content_type = Some(content_type).filter(|text| !text.is_empty());
    let Ok(parsed) = ParsedManifest::parse(content_type, document) else { return };

    assert_eq!(media_type::essence(&parsed.media_type).as_ref(), Some(&parsed.media_type));
    HeaderValue::from_str(&parsed.media_type).expect("a media type can stand in a header");
    assert!(parsed.image_size_bytes <= MAX_SIZE_BYTES);
    assert!(parsed.blobs.iter().all(|blob| blob.size_bytes <= MAX_SIZE_BYTES));
    assert!(is_each_once(parsed.blobs.iter().map(|blob| &blob.digest)));
    assert!(is_each_once(parsed.children.iter().map(|child| &child.digest)));
    for value in parsed.annotations.iter().flat_map(|annotations| annotations.values()) {
        assert!(value.is_string());
    }
    // What was stored is read again with the media type that was stored (by the verifier, for old referrers).
    assert_eq!(ParsedManifest::parse(Some(&parsed.media_type), document), Ok(parsed));
});

fn is_each_once<T: Eq + std::hash::Hash>(mut items: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.all(|item| seen.insert(item))
}
