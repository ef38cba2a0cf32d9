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
        match &*self.state.borrow() {
            // All was written before it was stored.
            State::Done => self.position >= *self.written.borrow(),
            State::Flowing(flow) => flow.is_verified && flow.size_bytes == Some(self.position),
            State::Starting | State::Failed(_) => false,
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use wharf_blobs::{BlobStore, BlobWriter, FileStore, StorageKey};
    use wharf_model::Algorithm;

    use super::super::problem::Problem;
    use super::*;

    struct Fixture {
        writer: Box<dyn BlobWriter>,
        state: watch::Sender<State>,
        flow: Flow,
        _directory: tempfile::TempDir,
    }

    /// A blob of which `begun` is written.
    async fn fixture(begun: &'static [u8], size_bytes: Option<u64>) -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("blobs")).unwrap();
        let key = StorageKey::new(uuid::Uuid::now_v7());
        let mut writer = store.create(&key, Algorithm::Sha256).await.unwrap();
        writer.write(Bytes::from_static(begun)).await.unwrap();
        writer.sync().await.unwrap();
        let blob = store.open_growing(&key).await.unwrap();
        let flow = Flow { blob, written: writer.written(), size_bytes, is_verified: false };
        Fixture { writer, state: watch::Sender::new(State::Flowing(flow.clone())), flow, _directory: directory }
    }

    impl Fixture {
        fn follower(&self, end: Option<u64>) -> Follower {
            Follower::new(self.state.subscribe(), &self.flow, 0, end)
        }

        fn verify(&self, size_bytes: u64) {
            let flow = Flow { is_verified: true, size_bytes: Some(size_bytes), ..self.flow.clone() };
            self.state.send_replace(State::Flowing(flow));
        }
    }

    async fn is_waiting(follower: &mut Follower) -> bool {
        timeout(Duration::from_millis(20), follower.next()).await.is_err()
    }

    #[tokio::test]
    async fn the_last_byte_waits_until_all_are_known_to_be_right() {
        for (size_bytes, end) in [(Some(5), Some(5)), (None, None)] {
            let fixture = fixture(b"hello", size_bytes).await;
            let mut follower = fixture.follower(end);
            assert_eq!(follower.next().await.unwrap().unwrap(), "hell");
            assert!(is_waiting(&mut follower).await);
            fixture.verify(5);
            assert_eq!(follower.next().await.unwrap().unwrap(), "o");
            assert!(follower.next().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn what_is_verified_and_not_written_yet_is_waited_for() {
        for end in [Some(10), None] {
            let mut fixture = fixture(b"hello", end).await;
            let mut follower = fixture.follower(end);
            let mut read = follower.next().await.unwrap().unwrap().len();
            fixture.verify(10);
            while read < 5 {
                read += follower.next().await.unwrap().unwrap().len();
            }
            assert!(is_waiting(&mut follower).await, "the end is where the size says, not where the file ends");
            fixture.writer.write(Bytes::from_static(b"world")).await.unwrap();
            fixture.writer.sync().await.unwrap();
            assert_eq!(follower.next().await.unwrap().unwrap(), "world");
            assert!(follower.next().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_fetch_that_fails_or_stops_ends_in_an_error() {
        let fixture = fixture(b"hello", Some(10)).await;
        let mut follower = fixture.follower(Some(10));
        let _ = follower.next().await.unwrap();
        fixture.state.send_replace(State::Failed(Problem::Store("on purpose".into())));
        assert!(matches!(follower.next().await, Err(FollowError::Failed(_))));
        let mut other = fixture.follower(Some(10));
        drop(fixture);
        assert!(other.next().await.is_err());
    }
}
