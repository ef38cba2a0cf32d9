//! Setting a tag: the one road, for everybody who does.
//!
//! A push, a restore, an import and a cache that brings a tag up to date all come here, inside their transaction. Here the
//! tag's lock and the patterns of tags that are written once are asked, the tag is set, and the policies hear of the
//! manifest that it left and of the one that it holds now.

use wharf_metadata::Connection;
use wharf_metadata::repositories::Writable;
use wharf_metadata::tags::{self, Overwrite, Put};
use wharf_model::{ManifestId, RepositoryName, Tag};

use crate::locks::Locked;
use crate::untagging::{Manifests, Untagging};
use crate::{Error, retention, write_once};

/// Why a tag may not be set. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum TaggingError {
    /// It is locked.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// It names another manifest, and is written once.
    #[error(
        "the tag {tag} of {repository} is written once, as every tag that matches {pattern}, and names {digest} already; \
         use another tag, or delete this one first"
    )]
    WriteOnce {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// The digest that it names.
        digest: String,
        /// The pattern that it matches.
        pattern: String,
    },
    /// It was to be new and is there.
    #[error("the tag {tag} of {repository} is there already and names {digest}")]
    Exists {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// The digest that it names.
        digest: String,
    },
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for TaggingError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Who sets tags, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tagging<'a> {
    /// What becomes of the manifests that tags leave.
    pub(crate) untagging: &'a Untagging,
    /// The repository, found (and so kept) in the same transaction. Whether it may be written to is not asked here.
    pub(crate) repository: &'a Writable,
    /// Whether a tag that is there is to stay as it is.
    pub(crate) only_new: bool,
}

impl Tagging<'_> {
    /// Points a tag at a manifest of the repository. Returns whether the tag is new, for the counters.
    ///
    /// # Errors
    /// [`TaggingError`].
    pub(crate) async fn set(&self, c: &mut Connection, tag: &Tag, manifest: ManifestId) -> Result<bool, TaggingError> {
        let (id, Untagging { settings, now, .. }) = (self.repository.id, self.untagging);
        let pattern = write_once::find_pattern(settings, self.repository, tag);
        let overwrite = match &pattern {
            _ if self.only_new => Overwrite::Never,
            Some(_) => Overwrite::Same,
            None => Overwrite::Allowed,
        };
        let is_new = match tags::put(c, id, tag, manifest, overwrite, *now).await? {
            Put::Added => true,
            Put::Same => false,
            Put::Moved { from } => {
                self.untagging.leave(c, id, &[from], Manifests::Stay).await?;
                false
            }
            Put::Locked => {
                let repository = self.untagging.repository.clone();
                return Err(Locked::Tag { repository, tag: tag.to_string() }.into());
            }
            Put::Kept { found } => return Err(self.kept(tag, found.digest, pattern)),
        };
        retention::hold(c, settings, &[manifest]).await?;
        Ok(is_new)
    }

    /// Why a tag that is there stays as it is.
    fn kept(&self, tag: &Tag, digest: String, pattern: Option<String>) -> TaggingError {
        let (repository, tag) = (self.untagging.repository.clone(), tag.clone());
        match pattern {
            Some(pattern) if !self.only_new => TaggingError::WriteOnce { repository, tag, digest, pattern },
            _ => TaggingError::Exists { repository, tag, digest },
        }
    }
}
