//! Names, tags, digests, references, ids and storage keys: what parses prints as it was and parses again to the same.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use wharf_blobs::StorageKey;
use wharf_model::{Digest, Reference, RegistryName, RepositoryName, Tag, UploadId};

fuzz_target!(|text: &str| {
    prints_as_parsed::<RepositoryName>(text);
    prints_as_parsed::<RegistryName>(text);
    prints_as_parsed::<Tag>(text);
    prints_as_parsed::<Digest>(text);
    prints_as_parsed::<Reference>(text);
    if let Some(key) = prints_as_parsed::<StorageKey>(text) {
        // A key is a path in the store's directory: two plain components, whatever the text was.
        let path = std::path::Path::new(key.as_str());
        assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
        assert_eq!(path.components().count(), 2);
    }
    if let Ok(name) = RegistryName::parse_any_case(text) {
        assert_eq!(name.to_string(), text.to_ascii_lowercase());
    }
    // A UUID has several forms, so what is printed need not be what was read.
    if let Ok(id) = text.parse::<UploadId>() {
        assert_eq!(id.to_string().parse::<UploadId>(), Ok(id));
    }
    assert!(text.parse::<Tag>().is_err() || text.parse::<Digest>().is_err(), "a tag is never a digest");
});

fn prints_as_parsed<T: FromStr + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    let parsed: T = text.parse().ok()?;
    let printed = parsed.to_string();
    assert_eq!(printed, text);
    assert!(printed.parse::<T>().ok().as_ref() == Some(&parsed));
    Some(parsed)
}
