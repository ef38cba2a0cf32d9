//! Locks: what they forbid.
//!
//! A lock is looked at inside the transaction that it may forbid, after the repository's row was taken in a way that no
//! change of a lock in the repository can pass. So a lock holds from the moment in which its `PATCH` is answered.
//!
//! | who | needs |
//! | --- | --- |
//! | push, tag | repository `write`; each tag that is there `write` |
//! | untag | repository `write`; the tag `write` and `delete` |
//! | delete of a manifest | repository `write`; it, its referrers and all their tags `write` and `delete` |
//! | delete of the repository | repository, its manifests and its tags `write` and `delete` |
//! | pull | repository, manifest and, by tag, the tag `read` |
//! | change of a tag's or a manifest's locks | repository `write` |
//!
//! Whether a push may set a tag on a manifest is not asked of the manifest: that changes the tag.
//! Source: `acr/semantics.md` 4.1; what it leaves open is in `docs/decisions/0031-locks.md`.

use wharf_metadata::Connection;
use wharf_metadata::attributes::{self, LockedItem};
use wharf_model::{Digest, ManifestId, RepositoryId, RepositoryName, Tag};

use crate::Error;

/// A lock forbids what was to be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    /// The repository is locked.
    #[error("the repository {0} is locked")]
    Repository(RepositoryName),
    /// A tag is locked.
    #[error("the tag {tag} of {repository} is locked")]
    Tag {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: String,
    },
    /// The repository, the tag or the manifest is locked against pulling.
    #[error("{reference} of {repository} may not be pulled: it or what it is in is locked")]
    Read {
        /// The repository.
        repository: RepositoryName,
        /// What was to be pulled.
        reference: String,
    },
    /// A manifest is locked.
    #[error("the manifest {digest} of {repository} is locked")]
    Manifest {
        /// The repository.
        repository: RepositoryName,
        /// Its digest.
        digest: String,
    },
}

/// Why attributes are not shown, or locks not changed.
#[derive(Debug, thiserror::Error)]
pub enum AttributesError {
    /// There is no such repository.
    #[error("there is no repository {0}")]
    RepositoryUnknown(RepositoryName),
    /// There is no such tag in the repository.
    #[error("there is no tag {tag} in {repository}")]
    TagUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
    /// There is no such manifest in the repository.
    #[error("there is no manifest {digest} in {repository}")]
    ManifestUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The manifest's digest.
        digest: Digest,
    },
    /// A list was to go on behind something that is not in it any more, and its place in time is not known.
    #[error("{last} is not in the list any more; go on with the link that came with the page before")]
    PositionUnknown {
        /// Behind what it was to go on.
        last: String,
    },
    /// What a scanner is said to have told has no state that it could go with.
    #[error("the manifest {digest} of {repository} has no state of quarantine; send quarantineState with its details")]
    NoState {
        /// The repository.
        repository: RepositoryName,
        /// The manifest's digest.
        digest: Digest,
    },
    /// The repository is locked, and so are the attributes of what is in it.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for AttributesError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Refuses if a lock keeps one of these manifests, or of their tags, from being deleted; with none given, any of the
/// repository. To be called under the lock of the repository's row.
pub(crate) async fn check_deletable(
    c: &mut Connection,
    id: RepositoryId,
    repository: &RepositoryName,
    manifests: &[ManifestId],
) -> Result<Result<(), Locked>, wharf_metadata::Error> {
    let repository = repository.clone();
    Ok(match attributes::find_locked(c, id, manifests).await? {
        None => Ok(()),
        Some(LockedItem::Manifest(digest)) => Err(Locked::Manifest { repository, digest }),
        Some(LockedItem::Tag(tag)) => Err(Locked::Tag { repository, tag }),
    })
}

/// Why content is not handed out, or not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A lock forbids it.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// No scanner has let it pass.
    #[error("{digest} of {repository} is in quarantine")]
    Quarantined {
        /// The repository.
        repository: RepositoryName,
        /// The digest of the manifest or blob.
        digest: Digest,
    },
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for ContentError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<wharf_blobs::Error> for ContentError {
    fn from(error: wharf_blobs::Error) -> Self {
        Self::Store(error.into())
    }
}
