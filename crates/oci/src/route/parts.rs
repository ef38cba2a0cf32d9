//! Taking a path apart, from its tail.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use wharf_model::{Digest, Reference, RepositoryName, Tag, UploadId};

use super::RouteError;

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
}

/// A path taken apart: its kind, what stands in the repository's place and what stands at the end.
pub(super) struct Parts<'p> {
    pub(super) shape: Shape,
    name: &'p str,
    last: &'p str,
}

impl<'p> Parts<'p> {
    pub(super) fn of(path: &'p str) -> Option<Self> {
        match path {
            "/v2/" | "/v2" => return Some(Self { shape: Shape::Base, name: "", last: "" }),
            "/v2/_catalog" => return Some(Self { shape: Shape::Catalog, name: "", last: "" }),
            "/oauth2/token" => return Some(Self { shape: Shape::Token, name: "", last: "" }),
            "/oauth2/exchange" => return Some(Self { shape: Shape::Exchange, name: "", last: "" }),
            "/acr/v1/_catalog" => return Some(Self { shape: Shape::AcrCatalog, name: "", last: "" }),
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/acr/v1/") {
            return Self::of_attributes(rest);
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
        Some(Self { shape, name: name.strip_prefix('/').unwrap_or_default(), last })
    }

    /// What follows `/acr/v1/`. No component of a repository's name begins with an underscore, so that what does is a word
    /// of the protocol.
    fn of_attributes(path: &'p str) -> Option<Self> {
        let (head, last) = path.rsplit_once('/').unwrap_or(("", path));
        let (shape, name, last) = if let Some(name) = head.strip_suffix("/_tags") {
            (Shape::AcrTag, name, last)
        } else if let Some(name) = head.strip_suffix("/_manifests") {
            (Shape::AcrManifest, name, last)
        } else if last == "_tags" {
            (Shape::AcrTags, head, "")
        } else if last == "_manifests" {
            (Shape::AcrManifests, head, "")
        } else {
            (Shape::AcrRepository, path, "")
        };
        let is_name = !name.split('/').any(|component| component.starts_with('_'));
        is_name.then_some(Self { shape, name, last })
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

    pub(super) fn upload(&self) -> Result<UploadId, RouteError> {
        self.last.parse().map_err(|_| RouteError::NoSuchUpload)
    }
}

pub(super) fn decode(path: &str) -> Result<Cow<'_, str>, RouteError> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    percent_decode_str(path).decode_utf8().map_err(|_| RouteError::Name)
}
