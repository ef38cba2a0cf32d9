//! Lines written in batches by a thread of their own, so that a slow terminal or a full pipe delays no request.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long lines may wait for others.
const GATHER: Duration = Duration::from_millis(100);

/// Lines are not gathered further from this size on, in bytes.
const ENOUGH_BYTES: usize = 256 * 1024;

/// Lines are dropped, and counted, while this much waits, in bytes: whoever reads the log has stopped.
const LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Takes lines without waiting and writes them soon. Whatever was taken is written before the drop returns.
pub(crate) struct BatchWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

#[derive(Default)]
struct Buffer {
    lines: Vec<u8>,
    dropped: u64,
    is_closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BatchWriter {
    /// A writer to `sink`.
    pub(crate) fn new(sink: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let worker = shared.clone();
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_batches(&worker, sink))
            // Without threads nothing else would work either; lines are dropped then.
            .ok();
        Self { shared, thread }
    }

    /// Lets `format` append a line. Called with a lock held: it must only write.
    pub(crate) fn append(&self, format: impl FnOnce(&mut Vec<u8>)) {
        let mut buffer = self.shared.lock();
        if buffer.lines.len() >= LIMIT_BYTES {
            buffer.dropped += 1;
            return;
        }
        let before = buffer.lines.len();
        format(&mut buffer.lines);
        let after = buffer.lines.len();
        drop(buffer);
        // The thread sleeps through what comes in between.
        if before == 0 || (before < ENOUGH_BYTES && after >= ENOUGH_BYTES) {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for BatchWriter {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It panics only if the sink does, and then there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn write_batches(shared: &Shared, mut sink: impl Write) {
    let mut batch = Vec::new();
    loop {
        let mut buffer = shared.lock();
        while buffer.lines.is_empty() && !buffer.is_closed {
            buffer = shared.changed.wait(buffer).unwrap_or_else(PoisonError::into_inner);
        }
        let gathering = |buffer: &mut Buffer| buffer.lines.len() < ENOUGH_BYTES && !buffer.is_closed;
        let (mut buffer, _) =
            shared.changed.wait_timeout_while(buffer, GATHER, gathering).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut buffer.lines, &mut batch);
        let dropped = std::mem::take(&mut buffer.dropped);
        let is_closed = buffer.is_closed;
        drop(buffer);
        // A log that cannot be written cannot be complained about in the log.
        let _ = sink.write_all(&batch).and_then(|()| sink.flush());
        batch.clear();
        batch.shrink_to(4 * ENOUGH_BYTES);
        if dropped > 0 {
            tracing::warn!(dropped, "Dropped {dropped} access lines, because nobody read the log");
        }
        if is_closed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc;

    use super::*;

    struct Channel(mpsc::Sender<Vec<u8>>);

    impl Write for Channel {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_together_and_soon() {
        let (sender, receiver) = mpsc::channel();
        let writer = BatchWriter::new(Channel(sender));
        for line in ["one\n", "two\n", "three\n"] {
            writer.append(|buffer| buffer.extend_from_slice(line.as_bytes()));
        }
        assert_eq!(receiver.recv_timeout(Duration::from_secs(5)).unwrap(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn nothing_is_lost_at_the_end() {
        let (sender, receiver) = mpsc::channel();
        let writer = BatchWriter::new(Channel(sender));
        writer.append(|buffer| buffer.extend_from_slice(b"last\n"));
        drop(writer);
        assert_eq!(receiver.into_iter().flatten().collect::<Vec<_>>(), b"last\n");
    }
}
