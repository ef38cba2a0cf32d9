//! Upload sessions: from the first byte to a blob that a repository holds.
//!
//! A session begins without a trace: `start_upload` makes an id and a signed state that travels in the URL. Its first
//! bytes open a file; a row is written when bytes are acknowledged that the client may count on, so from then on the
//! session survives a restart. Completion checks the digest and links the blob, in one transaction.
//!
//! ```text
//!            append: file synced, row put
//!   started ───────────────► open ◄────────► parked (on disk and in the row only: after a restart or idling)
//!      │                      │ │
//!      │ complete, small      │ └─ complete: blob row + link, session row gone
//!      └────────────────────► ended ◄── cancel, expiry, wrong digest, full disk: bytes removed
//! ```
//!
//! Of two requests on one session at a time, the second is refused.

mod append;
mod complete;
mod fill;
mod sessions;
mod state;

use wharf_model::{Digest, RepositoryName, UploadId};

use crate::Error;
use crate::locks::Locked;
pub use fill::{BlobFill, Growing};
pub(crate) use sessions::Sessions;
pub use state::UploadState;

/// Why the body of a request ended before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The client went away, or sent what is no body.
    #[error("the request's body broke off")]
    Interrupted,
    /// The client sent nothing for too long.
    #[error("the client sent nothing for too long")]
    TimedOut,
}

/// Why an upload did not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such session: it never began, or it was completed, cancelled or has expired.
    #[error("there is no upload {id} in {repository}")]
    Unknown {
        /// The repository.
        repository: RepositoryName,
        /// The session.
        id: UploadId,
    },
    /// Another request is at work on the session.
    #[error("another request is writing to the upload {id}")]
    Busy {
        /// The session.
        id: UploadId,
    },
    /// The bytes do not begin where the session ends. Nothing of them was taken.
    #[error("the upload stands at {offset} bytes, but the request continues at {position}")]
    OutOfOrder {
        /// Where the session ends.
        offset: u64,
        /// Where the request would have gone on.
        position: u64,
    },
    /// The body is not as long as was said. What arrived was kept.
    #[error("the body has {received} bytes, not the {expected} that were announced")]
    WrongLength {
        /// What was announced.
        expected: u64,
        /// What arrived.
        received: u64,
    },
    /// The blob would be larger than is allowed. The session is over.
    #[error("the blob is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The body broke off. What arrived was kept; the client may ask how much, and go on.
    #[error("the upload broke off")]
    Body(#[from] BodyError),
    /// The bytes have another digest. The session is over.
    #[error("the content has the digest {actual}, not {expected}")]
    DigestMismatch {
        /// What was announced.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// The repository is locked. What arrived was not kept.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for UploadError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<wharf_blobs::Error> for UploadError {
    fn from(error: wharf_blobs::Error) -> Self {
        Self::Store(error.into())
    }
}
