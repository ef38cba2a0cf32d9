//! Keys under which blobs are stored.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

/// The place of a blob in the store: `f/01922b6e-…-8a3f`, a shard of one hexadecimal digit and a UUID.
///
/// The shard repeats the UUID's *last* digit, since a UUIDv7 begins with the time and one day's blobs would all land in
/// one shard. Few shards keep what is pushed together close together on the disk; indexed directories do the rest. A key is used once and never again, even after its blob is deleted.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageKey(Arc<str>);

/// How many shards there are: a hexadecimal digit's worth.
pub(crate) const SHARDS: u8 = 16;

impl StorageKey {
    /// The key made of a fresh `uuid`. UUIDv7 is best: keys of one shard then sort by age.
    #[must_use]
    pub fn new(uuid: Uuid) -> Self {
        Self(format!("{:x}/{}", shard_of(uuid), uuid.hyphenated()).into())
    }

    /// The key as text; valid as a relative path and as the name of an object.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of the 16 shards holds the blob.
    pub(crate) fn shard(&self) -> u8 {
        u8::from_str_radix(&self.0[..1], 16).expect("a key begins with a hexadecimal digit")
    }
}

fn shard_of(uuid: Uuid) -> u8 {
    uuid.as_bytes()[15] & 0xf
}

/// Why a text is not a storage key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a storage key is a UUID in lower case behind its last digit and a slash")]
pub struct ParseStorageKeyError;

impl FromStr for StorageKey {
    type Err = ParseStorageKeyError;

    /// Takes exactly what [`StorageKey::new`] prints, so that no text from outside can name another file.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (_shard, uuid) = text.split_once('/').ok_or(ParseStorageKeyError)?;
        let key = Self::new(uuid.parse().map_err(|_| ParseStorageKeyError)?);
        if key.as_str() == text { Ok(key) } else { Err(ParseStorageKeyError) }
    }
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_shards_by_the_end_of_its_uuid() {
        let key = StorageKey::new("01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f".parse().unwrap());
        assert_eq!(key.as_str(), "f/01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f");
        assert_eq!(key.shard(), 0xf);
    }

    #[test]
    fn only_the_printed_form_parses() {
        for bad in [
            "",
            "/",
            "f",
            "f/",
            "01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f",
            "0/01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f",
            "F/01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f",
            "f/01922B6E-7c1d-7e4f-9a0b-5c6d7e8f903f",
            "f/01922b6e7c1d7e4f9a0b5c6d7e8f903f",
            "f/{01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f}",
            "f//01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f",
            "../01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f",
            "f/../../etc/passwd",
            "f/01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f\0",
            " f/01922b6e-7c1d-7e4f-9a0b-5c6d7e8f903f",
        ] {
            assert_eq!(bad.parse::<StorageKey>(), Err(ParseStorageKeyError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_print_as_parsed(bytes: [u8; 16]) {
            let key = StorageKey::new(Uuid::from_bytes(bytes));
            prop_assert_eq!(key.to_string().parse::<StorageKey>().unwrap(), key);
        }

        #[test]
        fn nothing_panics(text in ".{0,80}") {
            let _ = text.parse::<StorageKey>();
        }
    }
}
