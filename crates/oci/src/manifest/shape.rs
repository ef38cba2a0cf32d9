//! Refuses documents that two readers could understand differently, and bounds what reading them costs.
//!
//! Readers disagree about repeated members (the first or the last counts), and those written in Go take `Layers` for
//! `layers`. A registry that checked one of the two would let clients pull the other.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use wharf_model::Digest;

use crate::descriptor::{Descriptor, Platform};

/// How deep objects and arrays may nest. Published manifests stay below ten.
const MAX_DEPTH: usize = 64;
/// How many members one object may have; keeps a document of 4 MiB from becoming hundreds of MiB of little strings.
const MAX_MEMBERS: usize = 10_000;

/// The members that a registry or a client looks for by name.
const VOCABULARY: [&str; 14] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "blobs",
    "fsLayers",
    "subject",
    "annotations",
    "digest",
    "size",
    "urls",
    "platform",
];

/// Walks over the whole document without keeping it.
///
/// # Errors
/// Anything but one JSON object; repeated members; members of [`VOCABULARY`] in another case; nesting deeper than
/// [`MAX_DEPTH`]; objects with more than [`MAX_MEMBERS`] members.
pub(super) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Walk { place: Place::Document, depth: 0 }.deserialize(&mut reader)?;
    reader.end()
}

/// Where in the document the walk is, since the vocabulary counts only in some places.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Document,
    Descriptor,
    Descriptors,
    Elsewhere,
}

impl Place {
    fn under(self, member: &str) -> Self {
        match (self, member) {
            (Self::Document, "config" | "subject") => Self::Descriptor,
            (Self::Document, "layers" | "manifests" | "blobs") => Self::Descriptors,
            _ => Self::Elsewhere,
        }
    }

    fn item(self) -> Self {
        if self == Self::Descriptors { Self::Descriptor } else { Self::Elsewhere }
    }
}

struct Walk {
    place: Place,
    depth: usize,
}

impl Walk {
    fn deeper<E: de::Error>(&self, place: Place) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("the manifest nests deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { place, depth: self.depth + 1 })
    }

    fn scalar<E: de::Error>(&self) -> Result<(), E> {
        if self.place == Place::Document { Err(E::custom("a manifest is a JSON object")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.scalar()?;
        while items.next_element_seed(self.deeper::<A::Error>(self.place.item())?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(member) = members.next_key::<String>()? {
            if self.place != Place::Elsewhere
                && VOCABULARY.iter().any(|word| word.eq_ignore_ascii_case(&member) && *word != member)
            {
                return Err(de::Error::custom(format_args!("the member {member:?} is written in another case")));
            }
            members.next_value_seed(self.deeper::<A::Error>(self.place.under(&member))?)?;
            if seen.len() == MAX_MEMBERS {
                return Err(de::Error::custom(format_args!("an object has more than {MAX_MEMBERS} members")));
            }
            if let Some(member) = seen.replace(member) {
                return Err(de::Error::custom(format_args!("the member {member:?} occurs twice")));
            }
        }
        Ok(())
    }
}

/// The annotations of a document. Only strings, as image-spec demands and clients in Go insist on.
pub(super) struct Annotations(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Annotations, A::Error> {
                let mut found = Map::new();
                while let Some((key, value)) = members.next_entry::<String, String>()? {
                    found.insert(key, Value::String(value));
                }
                Ok(Annotations(found))
            }
        }
        deserializer.deserialize_map(Strings)
    }
}

/// A descriptor inside a list, without its annotations and embedded data: there may be thousands of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bare {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    artifact_type: Option<String>,
    platform: Option<Platform>,
    #[serde(default)]
    urls: Option<Vec<String>>,
}

impl From<Bare> for Descriptor {
    fn from(bare: Bare) -> Self {
        Self {
            artifact_type: bare.artifact_type,
            platform: bare.platform,
            urls: bare.urls.unwrap_or_default(),
            ..Self::new(bare.media_type, bare.digest, bare.size)
        }
    }
}
