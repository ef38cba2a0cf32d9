//! The asynchronous side of an upload.
//!
//! ```text
//! write ──► batch being gathered ──► one batch waiting ──► one batch being hashed and written
//!           (in the caller's task)   └────────────── lane: at most one thread ──────────────┘
//! ```
//!
//! Bytes are never copied on this way: a batch is a list of the frames as they were received. At most three batches of
//! some 512 KiB exist per upload; then `write` waits. The thread that works takes the waiting batch when it is done with
//! its own, so that on a busy machine threads change once per batch, not once per frame. An upload that fits into one
//! batch is created, hashed, written and synced by one visit to one thread.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use wharf_model::{Algorithm, Digest};

use super::blocking;
use super::upload::{Batch, Upload};
use crate::{BlobWriter, Error, StorageKey};

/// A blob that is being written to a file.
pub(super) struct FileWriter {
    lane: Arc<Lane>,
    batch: Batch,
    length: u64,
    written: watch::Receiver<u64>,
    /// The length at the last successful sync.
    synced: Option<u64>,
}

impl FileWriter {
    pub(super) fn new(upload: Upload) -> Self {
        let (length, written) = (upload.length(), upload.progress());
        Self { length, written, lane: Lane::new(upload), batch: Batch::default(), synced: None }
    }

    /// Hands the batch over, as soon as there is a place for it.
    async fn submit(&mut self) -> Result<(), Error> {
        while !Lane::offer(&self.lane, &mut self.batch)? {
            self.lane.changed.notified().await;
        }
        Ok(())
    }

    /// Waits until everything taken is written, and calls `then` with the idle upload.
    async fn settled<T>(&mut self, then: impl FnOnce(&mut Upload) -> T) -> Result<T, Error> {
        if !self.batch.is_empty() || self.batch.sync {
            self.submit().await?;
        }
        loop {
            match &mut self.lane.lock().place {
                Place::Idle(upload) => return Ok(then(upload)),
                Place::Working => {}
                Place::Broken(failure) => return Err(failure.take().unwrap_or_else(|| self.lane.broken())),
            }
            self.lane.changed.notified().await;
        }
    }

    /// Hashes a small batch here and now, if nothing is before it.
    fn hash_on_the_spot(&mut self, algorithm: Algorithm) -> Option<Digest> {
        match &mut self.lane.lock().place {
            Place::Idle(upload) if upload.algorithm() == algorithm && self.batch.is_small() => {
                upload.hash_ahead(&mut self.batch);
                Some(upload.digest())
            }
            _ => None,
        }
    }
}

#[async_trait]
impl BlobWriter for FileWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        if !bytes.is_empty() {
            self.length += bytes.len() as u64;
            self.batch.push(bytes);
        }
        if self.batch.is_full() { self.submit().await } else { Ok(()) }
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn written(&self) -> watch::Receiver<u64> {
        self.written.clone()
    }

    async fn flush(&mut self) -> Result<(), Error> {
        if self.batch.is_empty() { Ok(()) } else { self.submit().await }
    }

    async fn sync(&mut self) -> Result<(), Error> {
        if self.synced != Some(self.length) {
            self.batch.sync = true;
            self.settled(Upload::acknowledge).await?;
            self.synced = Some(self.length);
        }
        Ok(())
    }

    async fn digest(&mut self, algorithm: Algorithm) -> Result<Digest, Error> {
        if let Some(digest) = self.hash_on_the_spot(algorithm) {
            return Ok(digest);
        }
        let again = self.settled(|upload| {
            if upload.algorithm() == algorithm { Ok(upload.digest()) } else { Err(upload.digest_again(algorithm)) }
        });
        match again.await? {
            Ok(digest) => Ok(digest),
            Err(again) => blocking(again).await,
        }
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        self.lane.end();
    }
}

/// Where an upload's batches are worked on, one after the other.
#[derive(Debug)]
pub(super) struct Lane {
    key: StorageKey,
    state: Mutex<State>,
    /// Told whenever a place becomes free or work ends. Only the writer waits for it.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    place: Place,
    waiting: Option<Batch>,
    /// The writer was dropped, or somebody else wants the file.
    has_ended: bool,
}

#[derive(Debug)]
enum Place {
    /// Nothing to do.
    Idle(Box<Upload>),
    /// A thread has it.
    Working,
    /// It failed, for this reason unless the writer was told already. The upload is gone.
    Broken(Option<Error>),
}

impl Lane {
    fn new(upload: Upload) -> Arc<Self> {
        let state = State { place: Place::Working, waiting: None, has_ended: false };
        let lane = Arc::new(Self { key: upload.key().clone(), state: Mutex::new(state), changed: Notify::new() });
        upload.tell(&lane);
        let mut state = lane.lock();
        // Somebody may have wanted the file while it was being opened.
        state.place = if state.has_ended { Place::Broken(None) } else { Place::Idle(Box::new(upload)) };
        drop(state);
        lane
    }

    /// Lets nothing more be written. The file is closed, and deleted if nobody may know of it: now or behind the batch
    /// that is being worked on.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.has_ended = true;
        state.waiting = None;
        if !matches!(state.place, Place::Idle(_)) {
            return;
        }
        let place = std::mem::replace(&mut state.place, Place::Broken(None));
        drop(state);
        if let Place::Idle(upload) = place
            && upload.has_file_to_delete()
            && let Ok(runtime) = Handle::try_current()
        {
            // Should the runtime be shutting down, the upload is dropped all the same, here.
            runtime.spawn_blocking(move || drop(upload));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under this lock")
    }

    fn broken(&self) -> Error {
        Error::Broken { key: self.key.clone() }
    }

    /// Takes the batch away, unless there is no place for it now.
    fn offer(lane: &Arc<Self>, batch: &mut Batch) -> Result<bool, Error> {
        let mut state = lane.lock();
        match std::mem::replace(&mut state.place, Place::Working) {
            Place::Idle(upload) => {
                drop(state);
                let work = Work { lane: lane.clone(), is_done: false };
                let batch = std::mem::take(batch);
                tokio::task::spawn_blocking(move || work.run(upload, batch));
                Ok(true)
            }
            Place::Working if state.waiting.is_none() => {
                state.waiting = Some(std::mem::take(batch));
                Ok(true)
            }
            Place::Working => Ok(false),
            Place::Broken(failure) => {
                state.place = Place::Broken(None);
                Err(failure.unwrap_or_else(|| lane.broken()))
            }
        }
    }
}

/// A thread's visit to the lane. If it ends early, by a panic or because the runtime is shut down before it began, the
/// writer is told instead of waiting for ever.
struct Work {
    lane: Arc<Lane>,
    is_done: bool,
}

impl Work {
    fn run(mut self, mut upload: Box<Upload>, mut batch: Batch) {
        loop {
            let result = upload.take(&batch);
            let mut state = self.lane.lock();
            let next = state.waiting.take();
            let place = match (result, next) {
                (Ok(()), Some(next)) if !state.has_ended => {
                    drop(state);
                    self.lane.changed.notify_one();
                    batch = next;
                    continue;
                }
                (Ok(()), _) if !state.has_ended => Place::Idle(upload),
                (result, _) => {
                    drop(state);
                    // Deletes the file before anyone is told, so that a full disk has room again.
                    drop(upload);
                    state = self.lane.lock();
                    Place::Broken(result.err())
                }
            };
            state.place = place;
            self.is_done = true;
            drop(state);
            self.lane.changed.notify_one();
            return;
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.is_done {
            let source = std::io::Error::other("the thread that wrote it was stopped");
            let failure = Error::io("finish", format!("the upload under the key {}", self.lane.key), source);
            self.lane.lock().place = Place::Broken(Some(failure));
            self.lane.changed.notify_one();
        }
    }
}
