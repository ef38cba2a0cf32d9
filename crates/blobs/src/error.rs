//! What can go wrong with stored bytes.

use std::io;

use crate::StorageKey;

/// Why a blob could not be stored, read or deleted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is stored under this key.
    #[error("there is no blob under the key {key}")]
    Missing {
        /// The key that was asked for.
        key: StorageKey,
    },
    /// The storage has no room left: `ENOSPC`, or `EDQUOT` where it is the quota that is used up.
    ///
    /// Nothing stored before is affected, and the store goes on working as soon as there is room again.
    #[error("the blob storage is full: could not {action} {what}")]
    Full {
        /// What was tried: a verb such as "write".
        action: &'static str,
        /// What it was tried on, in words for an operator: a path or an address.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Fewer bytes are stored than somebody was promised. The blob is damaged, or the range lies past its end.
    #[error("the blob under the key {key} ends after {found_bytes} of {expected_bytes} bytes")]
    Truncated {
        /// The blob's key.
        key: StorageKey,
        /// How many bytes it should have at least.
        expected_bytes: u64,
        /// How many it has.
        found_bytes: u64,
    },
    /// The system refused or failed.
    #[error("could not {action} {what}")]
    Io {
        /// What was tried: a verb such as "open".
        action: &'static str,
        /// What it was tried on, in words for an operator: a path or an address.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The writer met an error earlier, which was reported then, and takes nothing more.
    #[error("the upload under the key {key} failed earlier and cannot go on")]
    Broken {
        /// The key that was being written.
        key: StorageKey,
    },
}

impl Error {
    /// Sorts a failure of the system into [`Error::Full`] and [`Error::Io`].
    pub(crate) fn io(action: &'static str, what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let (what, source) = (what.into(), source.into());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { action, what, source },
            _ => Self::Io { action, what, source },
        }
    }
}
