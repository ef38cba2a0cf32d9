//! Reading a blob from its file.
//!
//! Most reads find their bytes in the page cache. Those are done on the spot, in the task that wants them: a copy of
//! 256 KiB takes some 30 µs, less than waking another thread. The kernel is told not to wait (`RWF_NOWAIT`), and only
//! when it would have to does the read move to a thread that may block, which also asks for what comes next.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use rustix::fs::{Advice, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::JoinHandle;

use super::Shared;
use super::buffers::{Buffer, Buffers, LARGE};
use crate::{Blob, BlobStream, Error, SendfileQueue, StorageKey};

/// A blob's open file.
#[derive(Debug)]
pub(super) struct FileBlob {
    key: StorageKey,
    file: Arc<File>,
    size: u64,
    reading: Arc<Reading>,
}

/// What all readers share.
#[derive(Debug)]
pub(super) struct Reading {
    buffers: Arc<Buffers>,
    /// Cleared for good once the filesystem, the kernel or a sandbox says that it does not know `RWF_NOWAIT`.
    can_read_without_waiting: AtomicBool,
}

impl Reading {
    pub(super) fn new() -> Self {
        Self { buffers: Arc::default(), can_read_without_waiting: AtomicBool::new(true) }
    }
}

impl FileBlob {
    /// Opens the file if that needs nothing from the disk; `None` when it might.
    pub(super) fn open_without_waiting(shared: &Shared, key: &StorageKey) -> Result<Option<Self>, Error> {
        let (root, flags) = (shared.shards.root_file(), OFlags::RDONLY | OFlags::CLOEXEC);
        match rustix::fs::openat2(root, key.as_str(), flags, Mode::empty(), ResolveFlags::CACHED) {
            Ok(file) => Self::new(shared, key, file.into()).map(Some),
            Err(Errno::NOENT) => Err(Error::Missing { key: key.clone() }),
            // EAGAIN: not cached. Others: an old kernel, or a sandbox that forbids the call.
            Err(_) => Ok(None),
        }
    }

    /// Opens the file. Blocks.
    pub(super) fn open(shared: &Shared, key: &StorageKey) -> Result<Self, Error> {
        let path = shared.shards.path(key);
        match File::open(&path) {
            Ok(file) => Self::new(shared, key, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Missing { key: key.clone() }),
            Err(error) => Err(Error::io("open", path.display().to_string(), error)),
        }
    }

    fn new(shared: &Shared, key: &StorageKey, file: File) -> Result<Self, Error> {
        let metadata = file.metadata().map_err(|error| read_failed(key, error))?;
        Ok(Self { key: key.clone(), file: Arc::new(file), size: metadata.len(), reading: shared.reading.clone() })
    }

    /// The same file, which still grows: how much of it can be read is known to its writer.
    pub(super) fn growing(self) -> Self {
        Self { size: u64::MAX, ..self }
    }

    /// Reads what is in the page cache of `buffer`'s length at `position`; gives the buffer back when nothing is.
    fn read_without_waiting(&self, mut buffer: Buffer, position: u64) -> Result<Result<Bytes, Buffer>, Error> {
        if !self.reading.can_read_without_waiting.load(Ordering::Relaxed) {
            return Ok(Err(buffer));
        }
        let mut space = [IoSliceMut::new(buffer.space())];
        match rustix::io::preadv2(&self.file, &mut space, position, ReadWriteFlags::NOWAIT) {
            Ok(0) => Err(self.truncated(position)),
            Ok(length) => Ok(Ok(buffer.into_bytes(length))),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Err(buffer)),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
                self.reading.can_read_without_waiting.store(false, Ordering::Relaxed);
                Ok(Err(buffer))
            }
            Err(error) => Err(read_failed(&self.key, error)),
        }
    }

    /// Fills `buffer` from `position` on, and asks the kernel to fetch what follows up to `end`. Blocks.
    fn read(&self, mut buffer: Buffer, position: u64, end: u64) -> Result<Bytes, Error> {
        let space = buffer.space();
        let length = space.len();
        let next = position + length as u64;
        if let Some(ahead) = std::num::NonZeroU64::new((end - next).min(READ_AHEAD)) {
            // Advice may be ignored, and so may its failure.
            let _ = rustix::fs::fadvise(&self.file, next, Some(ahead), Advice::WillNeed);
        }
        let mut filled = 0;
        while filled < length {
            match self.file.read_at(&mut space[filled..], position + filled as u64) {
                Ok(0) => return Err(self.truncated(position + filled as u64)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_failed(&self.key, error)),
            }
        }
        Ok(buffer.into_bytes(length))
    }

    /// Whether all of these bytes seem to be in the page cache: a byte of each 64 KiB is looked at. Sending what is not there
    /// would wait for the disk.
    fn is_in_memory(&self, position: u64, length: usize) -> bool {
        let is_there = |offset: usize| {
            let mut byte = [0];
            let mut space = [IoSliceMut::new(&mut byte)];
            rustix::io::preadv2(&self.file, &mut space, position + offset as u64, ReadWriteFlags::NOWAIT) == Ok(1)
        };
        self.reading.can_read_without_waiting.load(Ordering::Relaxed)
            && (0..length).step_by(64 << 10).all(is_there)
            && is_there(length - 1)
    }

    fn pieces(self: Arc<Self>, range: Range<u64>, queue: Option<SendfileQueue>) -> BlobStream {
        let length = range.end.saturating_sub(range.start);
        BlobStream::new(length, Pieces { blob: self, position: range.start, end: range.end, queue, read: None })
    }

    fn truncated(&self, found_bytes: u64) -> Error {
        Error::Truncated { key: self.key.clone(), expected_bytes: self.size, found_bytes }
    }

    #[cfg(test)]
    pub(super) fn for_test(key: StorageKey) -> Self {
        Self { key, file: Arc::new(File::open("/dev/null").unwrap()), size: 0, reading: Arc::new(Reading::new()) }
    }
}

fn read_failed(key: &StorageKey, error: impl Into<io::Error>) -> Error {
    Error::io("read", format!("the blob under the key {key}"), error)
}

impl Blob for FileBlob {
    fn size(&self) -> u64 {
        self.size
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> BlobStream {
        self.pieces(range, None)
    }

    fn send(self: Arc<Self>, range: Range<u64>, queue: SendfileQueue) -> BlobStream {
        self.pieces(range, Some(queue))
    }
}

/// The pieces of a range.
struct Pieces {
    blob: Arc<FileBlob>,
    position: u64,
    end: u64,
    /// Where the connection takes pieces of files from that it sends by itself.
    queue: Option<SendfileQueue>,
    /// The read that went to another thread.
    read: Option<JoinHandle<Result<Bytes, Error>>>,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let pieces = &mut *self;
        let piece = match &mut pieces.read {
            Some(read) => ready!(Pin::new(read).poll(context)).unwrap_or_else(|error| {
                // The thread panicked, or the runtime is shutting down.
                Err(read_failed(&pieces.blob.key, io::Error::other(error)))
            }),
            None if pieces.position >= pieces.end => return Poll::Ready(None),
            None => match pieces.begin() {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => return self.poll_next(context),
                Err(error) => Err(error),
            },
        };
        pieces.read = None;
        match &piece {
            Ok(bytes) => pieces.position += bytes.len() as u64,
            Err(_) => pieces.position = pieces.end,
        }
        Poll::Ready(Some(piece))
    }
}

impl Pieces {
    /// Reads the next piece on the spot, or begins to read it elsewhere.
    fn begin(&mut self) -> Result<Option<Bytes>, Error> {
        if self.end > self.blob.size {
            return Err(Error::Truncated {
                key: self.blob.key.clone(),
                expected_bytes: self.end,
                found_bytes: self.blob.size,
            });
        }
        if let Some(piece) = self.send() {
            return Ok(Some(piece));
        }
        let length = usize::try_from(self.end - self.position).unwrap_or(LARGE).min(LARGE);
        let buffer = self.blob.reading.buffers.take(length);
        match self.blob.read_without_waiting(buffer, self.position)? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(buffer) => {
                let (blob, position, end) = (self.blob.clone(), self.position, self.end);
                self.read = Some(tokio::task::spawn_blocking(move || blob.read(buffer, position, end)));
                Ok(None)
            }
        }
    }
}

impl Pieces {
    /// Leaves the next piece to the connection if it can send it, and need not wait for the disk.
    fn send(&mut self) -> Option<Bytes> {
        let queue = self.queue.as_ref()?;
        let most = SendfileQueue::LONGEST_PIECE;
        let length = usize::try_from(self.end - self.position).unwrap_or(most).min(most);
        if length < WORTH_SENDING || !self.blob.is_in_memory(self.position, length) {
            return None;
        }
        Some(queue.push(self.blob.file.clone(), self.position, length))
    }
}

/// What is shorter is copied, in bytes: looking whether it is in memory costs more calls to the kernel than copying.
const WORTH_SENDING: usize = 256 << 10;

/// How much is fetched ahead in one go, in bytes. A cold blob then costs one change of threads per so many bytes.
const READ_AHEAD: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use uuid::Uuid;

    use super::*;

    fn blob_of(bytes: &[u8], can_read_without_waiting: bool) -> Arc<FileBlob> {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let reading = Reading::new();
        reading.can_read_without_waiting.store(can_read_without_waiting, Ordering::Relaxed);
        let (key, size) = (StorageKey::new(Uuid::nil()), bytes.len() as u64);
        Arc::new(FileBlob { key, file: Arc::new(file), size, reading: Arc::new(reading) })
    }

    #[tokio::test]
    async fn both_ways_of_reading_give_the_same() {
        let bytes: Vec<u8> = (0..700_001_u32).flat_map(u32::to_le_bytes).collect();
        for direct in [true, false] {
            let blob = blob_of(&bytes, direct);
            for range in [0..0, 0..1, 5..70_000, 0..bytes.len(), 262_143..524_290, 100..262_244] {
                let mut stream = blob.clone().stream(range.start as u64..range.end as u64);
                let mut read = Vec::new();
                while let Some(piece) = stream.next().await {
                    assert_eq!(
                        stream.remaining() + (read.len() + piece.as_ref().unwrap().len()) as u64,
                        range.len() as u64
                    );
                    read.extend_from_slice(&piece.unwrap());
                }
                assert!(read == bytes[range]);
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_got_shorter_is_an_error_and_the_stream_ends() {
        for direct in [true, false] {
            let blob = blob_of(&[7; 600_000], direct);
            blob.file.set_len(300_000).unwrap();
            let mut stream = blob.stream(0..600_000);
            let mut count = 0;
            let error = loop {
                match stream.next().await.unwrap() {
                    Ok(bytes) => count += bytes.len(),
                    Err(error) => break error,
                }
            };
            assert!(count <= 300_000);
            assert!(matches!(error, Error::Truncated { found_bytes: 300_000, .. }), "{error}");
            assert!(stream.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn what_is_not_in_memory_is_fetched() {
        let bytes: Vec<u8> = (0..1_500_000_u32).flat_map(u32::to_le_bytes).collect();
        let blob = blob_of(&bytes, true);
        blob.file.sync_all().unwrap();
        rustix::fs::fadvise(&blob.file, 0, None, Advice::DontNeed).unwrap();
        let pieces: Vec<_> = blob.stream(0..bytes.len() as u64).map(Result::unwrap).collect().await;
        assert!(pieces.concat() == bytes);
    }

    #[tokio::test]
    async fn a_small_range_is_one_piece() {
        let blob = blob_of(&[7; 1 << 20], true);
        let pieces: Vec<_> = blob.stream(1000..1000 + (64 << 10)).collect().await;
        assert_eq!(pieces.len(), 1);
    }
}
