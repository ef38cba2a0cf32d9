//! Reading a blob while it is being fetched.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::watch;
use wharf_blobs::{Blob, BlobStream};

use super::fill::{Flow, State};

/// A blob that is being fetched did not come to its end, or could not be read. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// It did not come to its end, or was not the right one.
    #[error("the fetch ended early: {0}")]
    Failed(String),
    /// It could not be read.
    #[error(transparent)]
    Blobs(#[from] wharf_blobs::Error),
}

impl From<FollowError> for wharf_blobs::Error {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Blobs(error) => error,
            failed @ FollowError::Failed(_) => Self::Io {
                action: "follow",
                what: "a blob that is being fetched".to_owned(),
                source: std::io::Error::other(failed),
            },
        }
    }
}

/// A reader of a blob that is being fetched. It reads what is written as fast as its client takes it, and the fetch waits for
/// nobody. The last byte is held back until the digest is known to be right, so that nobody ever has all of a wrong blob.
#[derive(Debug)]
pub(super) struct Follower {
    state: watch::Receiver<State>,
    blob: Arc<dyn Blob>,
    written: watch::Receiver<u64>,
    size_bytes: Option<u64>,
    position: u64,
    end: Option<u64>,
    reading: Option<BlobStream>,
    is_writer_gone: bool,
}

impl Follower {
    /// Reads from `start` to `end`, or to the end of the blob.
    pub(super) fn new(state: watch::Receiver<State>, flow: &Flow, start: u64, end: Option<u64>) -> Self {
        Self {
            state,
            blob: flow.blob.clone(),
            written: flow.written.clone(),
            size_bytes: flow.size_bytes,
            position: start,
            end,
            reading: None,
            is_writer_gone: false,
        }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, FollowError>> + Send + 'static {
        stream::try_unfold(
            self,
            |mut follower| async move { Ok(follower.next().await?.map(|piece| (piece, follower))) },
        )
    }

    async fn next(&mut self) -> Result<Option<Bytes>, FollowError> {
        loop {
            if let Some(reading) = &mut self.reading {
                match reading.next().await {
                    Some(piece) => {
                        let piece = piece?;
                        self.position += piece.len() as u64;
                        return Ok(Some(piece));
                    }
                    None => self.reading = None,
                }
            }
            if self.end == Some(self.position) {
                return Ok(None);
            }
            match self.readable()? {
                Some(range) => self.reading = Some(self.blob.clone().stream(range)),
                None if self.is_at_the_end() => return Ok(None),
                None => self.changed().await?,
            }
        }
    }

    /// What can be read now, behind what was.
    fn readable(&mut self) -> Result<Option<Range<u64>>, FollowError> {
        let is_verified = match &*self.state.borrow_and_update() {
            State::Failed(problem) => return Err(FollowError::Failed(problem.to_string())),
            State::Done => true,
            State::Flowing(flow) => flow.is_verified,
            State::Starting => false,
        };
        let written = *self.written.borrow_and_update();
        let visible = match self.size_bytes {
            _ if is_verified => written,
            Some(size_bytes) => written.min(size_bytes.saturating_sub(1)),
            None => written.saturating_sub(1),
        };
        let until = self.end.map_or(visible, |end| end.min(visible)).min(self.position + AT_ONCE);
        Ok((self.position < until).then_some(self.position..until))
    }

    fn is_at_the_end(&self) -> bool {
        let is_verified = match &*self.state.borrow() {
            State::Done => true,
            State::Flowing(flow) => flow.is_verified,
            _ => false,
        };
        is_verified && self.position >= *self.written.borrow()
    }

    async fn changed(&mut self) -> Result<(), FollowError> {
        let gone = |_| FollowError::Failed("it was interrupted".to_owned());
        if self.is_writer_gone {
            return self.state.changed().await.map_err(gone);
        }
        tokio::select! {
            changed = self.state.changed() => changed.map_err(gone),
            changed = self.written.changed() => {
                self.is_writer_gone = changed.is_err();
                Ok(())
            }
        }
    }
}

/// How much is read before the state is looked at again.
const AT_ONCE: u64 = 8 << 20;
