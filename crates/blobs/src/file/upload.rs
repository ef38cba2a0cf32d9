//! The blocking side of an upload: hashing, writing and syncing one file.
//!
//! **Early writing.** Left alone, the kernel keeps written bytes in memory for seconds, and the sync at the end has to
//! wait for all of them. So every 8 MiB another thread begins an `fdatasync`, which the disk works on while the
//! processor hashes what comes next; the last sync finds little left. It is a favour without consequences: it goes
//! through a file descriptor of its own, because Linux reports a failed write-back once per open file, and the report
//! must reach the sync that counts. (`sync_file_range` would do the same in one call, measured as no faster, but there
//! is no safe binding of it.)

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::watch;
use wharf_model::{Algorithm, Digest, Hasher};

use super::Shared;
use super::occupants::Occupation;
use super::writer::Lane;
use crate::{Error, StorageKey};

/// Bytes on their way into the file.
#[derive(Debug, Default)]
pub(super) struct Batch {
    frames: Vec<Bytes>,
    /// How many of the frames went into the hasher already.
    hashed_frames: usize,
    bytes: usize,
    /// Whether everything is to be durable behind this batch.
    pub(super) sync: bool,
}

impl Batch {
    pub(super) fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push(frame);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BATCH || self.frames.len() >= BATCH_FRAMES
    }

    /// Whether hashing it is quicker than waking another thread to do so.
    pub(super) fn is_small(&self) -> bool {
        self.bytes <= SMALL_BATCH
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// A file that is being written. When dropped it deletes the file, unless [`Upload::acknowledge`] was called.
#[derive(Debug)]
pub(super) struct Upload {
    shared: Arc<Shared>,
    path: PathBuf,
    /// Made by the first batch.
    file: Option<Arc<File>>,
    hasher: Hasher,
    written: u64,
    /// Tells those who follow how many bytes are written.
    progress: watch::Sender<u64>,
    /// How many bytes the last sync made durable; `None` before the first one.
    synced: Option<u64>,
    directory_entry_is_durable: bool,
    is_acknowledged: bool,
    early: Option<Arc<EarlyWriter>>,
    early_written: u64,
    /// The last field: given up when the file is closed.
    occupation: Occupation,
}

impl Upload {
    /// An upload of which nothing is there yet. Touches no file.
    pub(super) fn new(shared: Arc<Shared>, occupation: Occupation, algorithm: Algorithm) -> Self {
        Self {
            path: shared.shards.path(occupation.key()),
            shared,
            file: None,
            hasher: Hasher::new(algorithm),
            written: 0,
            progress: watch::Sender::new(0),
            synced: None,
            directory_entry_is_durable: false,
            is_acknowledged: false,
            early: None,
            early_written: 0,
            occupation,
        }
    }

    /// Goes on behind the first `length` bytes of an existing file. Blocks for as long as it takes to hash them.
    pub(super) fn resume(
        shared: Arc<Shared>,
        occupation: Occupation,
        length: u64,
        algorithm: Algorithm,
    ) -> Result<Self, Error> {
        let mut upload = Self::new(shared, occupation, algorithm);
        let file = match OpenOptions::new().read(true).write(true).open(&upload.path) {
            Ok(file) => file,
            // Zero bytes that were acknowledged need no file.
            Err(error) if error.kind() == io::ErrorKind::NotFound && length == 0 => return Ok(upload),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing { key: upload.key().clone() });
            }
            Err(error) => return Err(upload.failed("open", error)),
        };
        // From here on a failure must not delete what a row refers to.
        upload.is_acknowledged = length > 0;
        upload.directory_entry_is_durable = length > 0;
        let file = upload.file.insert(Arc::new(file)).clone();
        let found_bytes = file.metadata().map_err(|error| upload.failed("read", error))?.len();
        if found_bytes < length {
            return Err(Error::Truncated { key: upload.key().clone(), expected_bytes: length, found_bytes });
        }
        if found_bytes > length {
            file.set_len(length).map_err(|error| upload.failed("shorten", error))?;
        }
        upload.hasher = hash_file(upload.key(), &file, length, algorithm)?;
        upload.written = length;
        upload.progress.send_replace(length);
        upload.early_written = length;
        Ok(upload)
    }

    /// Hashes and writes a batch, and syncs if it says so. Blocks. After an error the upload is of no use.
    pub(super) fn take(&mut self, batch: &Batch) -> Result<(), Error> {
        let file = self.make_file()?;
        let mut group = Vec::with_capacity(GROUP_FRAMES.min(batch.frames.len() + BATCH / GROUP));
        let mut group_bytes = 0;
        for (number, frame) in batch.frames.iter().enumerate() {
            // Hashed and written in pieces, so that the write finds in the processor's cache what the hash brought there.
            for piece in frame.chunks(GROUP) {
                if number >= batch.hashed_frames {
                    self.hasher.update(piece);
                }
                group.push(IoSlice::new(piece));
                group_bytes += piece.len();
                if group_bytes >= GROUP || group.len() == GROUP_FRAMES {
                    self.write_all(&file, &mut group)?;
                    group.clear();
                    group_bytes = 0;
                }
            }
        }
        self.write_all(&file, &mut group)?;
        self.progress.send_replace(self.written);
        if batch.sync {
            self.sync(&file)
        } else {
            self.write_early();
            Ok(())
        }
    }

    /// Hashes a batch before it is written, so that the digest is known sooner.
    pub(super) fn hash_ahead(&mut self, batch: &mut Batch) {
        for frame in &batch.frames[batch.hashed_frames..] {
            self.hasher.update(frame);
        }
        batch.hashed_frames = batch.frames.len();
    }

    pub(super) fn key(&self) -> &StorageKey {
        self.occupation.key()
    }

    /// What is to know when somebody else wants the file.
    pub(super) fn tell(&self, lane: &Arc<Lane>) {
        self.occupation.tell(lane);
    }

    /// How many bytes are in the file.
    pub(super) fn length(&self) -> u64 {
        self.written
    }

    /// Tells how many bytes are in the file, as they become more.
    pub(super) fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }

    /// The digest of all that was hashed.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.hasher.algorithm()
    }

    /// Work that computes another algorithm's digest of all that was written.
    pub(super) fn digest_again(&self, algorithm: Algorithm) -> impl FnOnce() -> Result<Digest, Error> + Send + use<> {
        let (key, file, length) = (self.key().clone(), self.file.clone(), self.written);
        move || match file {
            Some(file) => Ok(hash_file(&key, &file, length, algorithm)?.finish()),
            None => Ok(Hasher::new(algorithm).finish()),
        }
    }

    /// From now on somebody may rely on the bytes: the file is not deleted any more.
    pub(super) fn acknowledge(&mut self) {
        self.is_acknowledged = true;
    }

    /// Whether dropping it deletes a file, which may block.
    pub(super) fn has_file_to_delete(&self) -> bool {
        self.file.is_some() && !self.is_acknowledged
    }

    fn make_file(&mut self) -> Result<Arc<File>, Error> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        // A key is used once. Should its file exist nevertheless, it is somebody else's and must not be touched.
        let made = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(&self.path);
        let file = Arc::new(made.map_err(|error| self.failed("create", error))?);
        self.file = Some(file.clone());
        Ok(file)
    }

    fn write_all(&mut self, file: &File, mut slices: &mut [IoSlice<'_>]) -> Result<(), Error> {
        while !slices.is_empty() {
            match rustix::io::retry_on_intr(|| rustix::io::pwritev(file, slices, self.written)) {
                Ok(0) => return Err(self.failed("write", io::ErrorKind::WriteZero)),
                Ok(count) => {
                    self.written += count as u64;
                    IoSlice::advance_slices(&mut slices, count);
                }
                Err(error) => return Err(self.failed("write", error)),
            }
        }
        Ok(())
    }

    fn sync(&mut self, file: &File) -> Result<(), Error> {
        if self.synced == Some(self.written) {
            return Ok(());
        }
        file.sync_data().map_err(|error| self.failed("sync", error))?;
        if !self.directory_entry_is_durable {
            self.shared.shards.sync_shard_of(self.key())?;
            self.directory_entry_is_durable = true;
        }
        self.synced = Some(self.written);
        self.early_written = self.written;
        Ok(())
    }

    fn write_early(&mut self) {
        if self.written - self.early_written < EARLY {
            return;
        }
        if self.early.is_none() {
            self.early = File::open(&self.path).ok().map(|file| Arc::new(EarlyWriter { file, is_busy: false.into() }));
        }
        if let Some(early) = &self.early
            && !early.is_busy.load(Ordering::Acquire)
            && let Ok(permit) = self.shared.early_writers.clone().try_acquire_owned()
        {
            early.is_busy.store(true, Ordering::Relaxed);
            self.early_written = self.written;
            let early = early.clone();
            tokio::task::spawn_blocking(move || {
                // A failure is reported to the sync that counts as well.
                let _ = early.file.sync_data();
                early.is_busy.store(false, Ordering::Release);
                drop(permit);
            });
        }
    }

    fn failed(&self, action: &'static str, error: impl Into<io::Error>) -> Error {
        Error::io(action, self.path.display().to_string(), error)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.has_file_to_delete()
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "Could not delete {path}, which a given-up upload left: {error}");
        }
    }
}

/// A second descriptor of the file, through which writing begins early.
#[derive(Debug)]
struct EarlyWriter {
    file: File,
    is_busy: AtomicBool,
}

fn hash_file(key: &StorageKey, file: &File, length: u64, algorithm: Algorithm) -> Result<Hasher, Error> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; GROUP.min(usize::try_from(length).unwrap_or(GROUP))];
    let mut position = 0;
    while position < length {
        let wanted = usize::try_from(length - position).unwrap_or(GROUP).min(GROUP);
        match file.read_at(&mut buffer[..wanted], position) {
            Ok(0) => {
                return Err(Error::Truncated { key: key.clone(), expected_bytes: length, found_bytes: position });
            }
            Ok(count) => {
                hasher.update(&buffer[..count]);
                position += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", format!("the upload under the key {key}"), error)),
        }
    }
    Ok(hasher)
}

/// How many bytes are handed over at once: 0.4 ms of work, beside which a change of threads does not count.
const BATCH: usize = 512 << 10;

/// How many frames are handed over at once, however small they are: each costs 32 bytes beside its content.
const BATCH_FRAMES: usize = 1024;

/// 64 KiB take 40 µs to hash.
const SMALL_BATCH: usize = 64 << 10;

/// How many bytes go into one write: what fits into the processor's second cache beside the page cache's copy.
const GROUP: usize = 256 << 10;

/// How many slices one `pwritev` takes (`IOV_MAX`).
const GROUP_FRAMES: usize = 1024;

/// How many bytes are written before the disk is set to work.
const EARLY: u64 = 8 << 20;

/// For the server's own user only, as for directories.
pub(super) const FILE_MODE: u32 = 0o600;
