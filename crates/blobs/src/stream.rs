//! The stream of a blob's bytes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;

use crate::Error;

/// The bytes of a blob or a range of it, in order, in pieces of a size that suits the storage.
///
/// It yields exactly as many bytes as were promised, or an error; behind an error it ends.
pub struct BlobStream {
    remaining: u64,
    pieces: Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>,
}

impl BlobStream {
    /// A stream of `length` bytes. The implementation of a store guarantees that `pieces` yields so many, or an error.
    pub fn new(length: u64, pieces: impl Stream<Item = Result<Bytes, Error>> + Send + 'static) -> Self {
        Self { remaining: length, pieces: Box::pin(pieces) }
    }

    /// How many bytes are still to come: the `Content-Length` of a response, asked before the first piece.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl Stream for BlobStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.as_mut().poll_next(context));
        match &piece {
            Some(Ok(bytes)) => self.remaining -= bytes.len() as u64,
            Some(Err(_)) | None => self.remaining = 0,
        }
        Poll::Ready(piece)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.remaining > 0), None)
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}
