//! Taking a path apart, from its tail.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use wharf_model::{Digest, Reference, RepositoryName, Tag, UploadId};

use super::{MetadataOwner, RouteError};

/// What kinds of path there are, whatever the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Base,
    Token,
    Exchange,
    Catalog,
    Manifest,
    Blob,
    Uploads,
    Upload,
    Tags,
    Referrers,
    AcrCatalog,
    AcrRepository,
    AcrTags,
    AcrTag,
    AcrManifests,
    AcrManifest,
    DeletedCatalog,
    DeletedManifests,
    DeletedTags,
    DeletedManifest,
    AcrMetadata,
    AcrMetadataKey,
    ChartIndex,
    Charts,
    Chart,
    ChartVersion,
    ChartFile,
}

/// A path taken apart: its kind, what stands in the repository's place, what follows it and what stands at the end.
pub(super) struct Parts<'p> {
    pub(super) shape: Shape,
    name: &'p str,
    middle: &'p str,
    last: &'p str,
}

impl<'p> Parts<'p> {
    pub(super) fn of(path: &'p str) -> Option<Self> {
        match path {
            "/v2/" | "/v2" => return Some(Self::whole(Shape::Base)),
            "/v2/_catalog" => return Some(Self::whole(Shape::Catalog)),
            "/oauth2/token" => return Some(Self::whole(Shape::Token)),
            "/oauth2/exchange" => return Some(Self::whole(Shape::Exchange)),
            "/acr/v1/_catalog" => return Some(Self::whole(Shape::AcrCatalog)),
            "/acr/v1/_deleted/_catalog" => return Some(Self::whole(Shape::DeletedCatalog)),
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/acr/v1/_deleted/") {
            return Self::of_trash(rest);
        }
        if let Some(rest) = path.strip_prefix("/acr/v1/") {
            return Self::of_attributes(rest);
        }
        if let Some(rest) = path.strip_prefix("/helm/v1/") {
            return Self::of_charts(rest);
        }
        let (head, last) = path.strip_prefix("/v2")?.rsplit_once('/')?;
        let (shape, name) = if let Some(name) = head.strip_suffix("/manifests") {
            (Shape::Manifest, name)
        } else if let Some(name) = head.strip_suffix("/blobs/uploads") {
            (if last.is_empty() { Shape::Uploads } else { Shape::Upload }, name)
        } else if let Some(name) = head.strip_suffix("/blobs") {
            (if last == "uploads" { Shape::Uploads } else { Shape::Blob }, name)
        } else if let Some(name) = head.strip_suffix("/referrers") {
            (Shape::Referrers, name)
        } else if let (Some(name), "list") = (head.strip_suffix("/tags"), last) {
            (Shape::Tags, name)
        } else {
            return None;
        };
        Some(Self { shape, name: name.strip_prefix('/').unwrap_or_default(), middle: "", last })
    }

    fn whole(shape: Shape) -> Self {
        Self { shape, name: "", middle: "", last: "" }
    }

    /// What follows `/acr/v1/`. No component of a repository's name begins with an underscore, so that what does is a word
    /// of the protocol.
    fn of_attributes(path: &'p str) -> Option<Self> {
        let (head, last) = path.rsplit_once('/').unwrap_or(("", path));
        let (shape, name, last) = if let Some(name) = head.strip_suffix("/_tags") {
            (Shape::AcrTag, name, last)
        } else if let Some(name) = head.strip_suffix("/_manifests") {
            (Shape::AcrManifest, name, last)
        } else if let Some(metadata) = Self::of_metadata(head, last) {
            return Some(metadata);
        } else if last == "_tags" {
            (Shape::AcrTags, head, "")
        } else if last == "_manifests" {
            (Shape::AcrManifests, head, "")
        } else {
            (Shape::AcrRepository, path, "")
        };
        is_plain(name).then_some(Self { shape, name, middle: "", last })
    }

    /// What follows `/acr/v1/_deleted/`.
    fn of_trash(path: &'p str) -> Option<Self> {
        let (head, last) = path.rsplit_once('/')?;
        let (shape, name, last) = match (head.strip_suffix("/_manifests"), last) {
            (Some(name), _) => (Shape::DeletedManifest, name, last),
            (None, "_manifests") => (Shape::DeletedManifests, head, ""),
            (None, "_tags") => (Shape::DeletedTags, head, ""),
            _ => return None,
        };
        is_plain(name).then_some(Self { shape, name, middle: "", last })
    }

    /// Values of a repository, or of a tag or manifest in one: `<owner>/_metadata` or `<owner>/_metadata/<key>`.
    fn of_metadata(head: &'p str, last: &'p str) -> Option<Self> {
        let all = (last == "_metadata").then(|| Self::of_owner(Shape::AcrMetadata, head, "")).flatten();
        all.or_else(|| Self::of_owner(Shape::AcrMetadataKey, head.strip_suffix("/_metadata")?, last))
    }

    fn of_owner(shape: Shape, owner: &'p str, last: &'p str) -> Option<Self> {
        let is_word = |head: &str| head.ends_with("/_tags") || head.ends_with("/_manifests");
        let name = match owner.rsplit_once('/') {
            Some((head, _)) if is_word(head) => head.rsplit_once('/')?.0,
            _ => owner,
        };
        let middle = owner[name.len()..].trim_start_matches('/');
        is_plain(name).then_some(Self { shape, name, middle, last })
    }

    /// What follows `/helm/v1/`, read as the metadata API's paths are.
    fn of_charts(path: &'p str) -> Option<Self> {
        let (head, last) = path.rsplit_once('/')?;
        let (shape, name, middle, last) = if let Some(name) = head.strip_suffix("/_blobs") {
            (Shape::ChartFile, name, "", last)
        } else if let Some(name) = head.strip_suffix("/_charts") {
            (if last.is_empty() { Shape::Charts } else { Shape::Chart }, name, last, "")
        } else if last == "_charts" {
            (Shape::Charts, head, "", "")
        } else if last == "index.yaml" && is_plain(head) {
            (Shape::ChartIndex, head, "", "")
        } else {
            let (head, chart) = head.rsplit_once('/')?;
            (Shape::ChartVersion, head.strip_suffix("/_charts")?, chart, last)
        };
        is_plain(name).then_some(Self { shape, name, middle, last })
    }

    pub(super) fn repository(&self) -> Result<RepositoryName, RouteError> {
        self.name.parse().map_err(|_| RouteError::Name)
    }

    pub(super) fn reference(&self, bad_tag: RouteError) -> Result<Reference, RouteError> {
        self.last.parse().map_err(|_| if self.last.contains(':') { RouteError::Digest } else { bad_tag })
    }

    pub(super) fn tag(&self) -> Result<Tag, RouteError> {
        self.last.parse().map_err(|_| RouteError::NoSuchTag)
    }

    pub(super) fn digest(&self) -> Result<Digest, RouteError> {
        self.last.parse().map_err(|_| RouteError::Digest)
    }

    pub(super) fn metadata_owner(&self) -> Result<MetadataOwner, RouteError> {
        match self.middle.split_once('/') {
            Some(("_tags", tag)) => Ok(MetadataOwner::Tag(tag.parse().map_err(|_| RouteError::NoSuchTag)?)),
            Some((_, digest)) => Ok(MetadataOwner::Manifest(digest.parse().map_err(|_| RouteError::Digest)?)),
            None => Ok(MetadataOwner::Repository),
        }
    }

    /// The key of a value in the metadata API.
    pub(super) fn key(&self) -> Result<String, RouteError> {
        let is_key = (1..=LONGEST_KEY).contains(&self.last.len()) && !self.last.contains(char::is_control);
        if is_key { Ok(self.last.to_owned()) } else { Err(RouteError::Key) }
    }

    /// The name of a chart.
    pub(super) fn chart(&self) -> Result<String, RouteError> {
        word_of_charts(self.middle)
    }

    /// The version of a chart.
    pub(super) fn version(&self) -> Result<String, RouteError> {
        word_of_charts(self.last)
    }

    /// The name of a file of a chart.
    pub(super) fn file(&self) -> Result<String, RouteError> {
        word_of_charts(self.last)
    }

    pub(super) fn upload(&self) -> Result<UploadId, RouteError> {
        self.last.parse().map_err(|_| RouteError::NoSuchUpload)
    }
}

/// Whether a text can be a repository's name as far as words of the protocol go.
fn is_plain(name: &str) -> bool {
    !name.split('/').any(|component| component.starts_with('_'))
}

/// A name or version of charts: what either can be made of.
fn word_of_charts(word: &str) -> Result<String, RouteError> {
    let is_word = (1..=LONGEST_WORD_OF_CHARTS).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte));
    if is_word { Ok(word.to_owned()) } else { Err(RouteError::Chart) }
}

pub(super) fn decode(path: &str) -> Result<Cow<'_, str>, RouteError> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    percent_decode_str(path).decode_utf8().map_err(|_| RouteError::Name)
}

/// The longest key of a value in the metadata API, in bytes.
const LONGEST_KEY: usize = 256;

/// The longest name of a file of a chart, in bytes.
const LONGEST_WORD_OF_CHARTS: usize = 400;
