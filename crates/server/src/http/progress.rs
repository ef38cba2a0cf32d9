//! Whether a connection makes progress.
//!
//! Time limits cost nothing per request. A connection notes when it last made progress, and one timer per connection
//! looks at the notes now and then.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::LimitsConfig;

/// What a connection notes about its progress. Times are milliseconds since the process began, 0 for "not so".
#[derive(Debug)]
pub(super) struct ConnectionState {
    in_flight: AtomicU32,
    idle_since: AtomicU64,
    write_blocked_since: AtomicU64,
}

impl Default for ConnectionState {
    fn default() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            idle_since: AtomicU64::new(now_ms()),
            write_blocked_since: AtomicU64::new(0),
        }
    }
}

impl ConnectionState {
    /// A request has begun.
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has ended at `at`.
    pub(super) fn end(&self, at: Instant) {
        self.idle_since.store(ms_at(at), Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }

    pub(super) fn exceeded(&self, limits: &LimitsConfig) -> Option<&'static str> {
        let now = now_ms();
        let longer =
            |since: u64, limit: Duration| since != 0 && Duration::from_millis(now.saturating_sub(since)) > limit;
        if longer(self.write_blocked_since.load(Ordering::Relaxed), limits.stall_timeout) {
            return Some("its client does not read the answer");
        }
        // A body that does not arrive is the data plane's to notice: only it knows whether it waits for one.
        (self.is_idle() && longer(self.idle_since.load(Ordering::Relaxed), limits.idle_timeout))
            .then_some("no request came for too long")
    }
}

fn set_since(since: &AtomicU64, is_so: bool) {
    match (since.load(Ordering::Relaxed), is_so) {
        (0, true) => since.store(now_ms(), Ordering::Relaxed),
        (0, false) | (_, true) => {}
        (_, false) => since.store(0, Ordering::Relaxed),
    }
}

fn now_ms() -> u64 {
    ms_at(Instant::now())
}

fn ms_at(at: Instant) -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(at.saturating_duration_since(*BEGAN).as_millis()).unwrap_or(u64::MAX) + 1
}

/// A stream that notes when the other side stops reading.
pub(super) struct Watched<T> {
    inner: T,
    state: Arc<ConnectionState>,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, state: Arc<ConnectionState>) -> Self {
        Self { inner, state }
    }

    fn note<R>(&self, poll: Poll<R>) -> Poll<R> {
        set_since(&self.state.write_blocked_since, poll.is_pending());
        poll
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(cx, buffers);
        self.note(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standstill_is_noticed_and_progress_forgives() {
        let limits = LimitsConfig {
            connections: 1,
            header_bytes: 8192,
            idle_timeout: Duration::from_millis(20),
            stall_timeout: Duration::from_millis(20),
            shutdown_grace: Duration::ZERO,
        };
        let state = ConnectionState::default();
        let wait = || std::thread::sleep(Duration::from_millis(30));
        assert_eq!(state.exceeded(&limits), None);
        state.begin();
        wait();
        assert_eq!(state.exceeded(&limits), None, "a slow answer is no idle connection");
        set_since(&state.write_blocked_since, true);
        wait();
        assert!(state.exceeded(&limits).unwrap().contains("does not read"));
        set_since(&state.write_blocked_since, false);
        state.end(Instant::now());
        assert_eq!(state.exceeded(&limits), None);
        wait();
        assert!(state.exceeded(&limits).unwrap().contains("no request"));
    }
}
