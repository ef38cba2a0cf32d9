//! What follows a repository's name: a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, ParseNameError, Tag};

/// A reference to a manifest. Source: distribution-spec, "Pulling manifests": `<reference>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By tag, which may move.
    Tag(Tag),
    /// By digest, which never does.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = ParseNameError;

    /// A tag holds no colon and a digest holds one, so the two cannot be confused.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(':') {
            text.parse().map(Self::Digest).map_err(|_| ParseNameError::Tag)
        } else {
            text.parse().map(Self::Tag)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}
