//! What can go wrong below every use case.

/// A failure of the stores that a use case stands on. The caller can do nothing but try again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The metadata could not be read or written.
    #[error("the metadata store failed")]
    Metadata(#[from] wharf_metadata::Error),
    /// The bytes could not be read or written.
    #[error("the blob store failed")]
    Blobs(#[from] wharf_blobs::Error),
}

impl Error {
    /// Whether there is no room left, which an operator can mend and a client may wait for.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Metadata(wharf_metadata::Error::Full) | Self::Blobs(wharf_blobs::Error::Full { .. }))
    }
}
