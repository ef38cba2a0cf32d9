//! One connection: handshake, protocol, time limits, and its part in an orderly end.
//!
//! Time limits cost nothing per request. A connection notes when it last made progress, and one timer per connection
//! looks at the notes now and then.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;

use super::listener::Scheme;
use super::service::{Plane, Server};
use crate::config::LimitsConfig;

/// Read buffer of a connection at most, in bytes: a body arrives in pieces of up to this size. Large pieces spare system
/// calls and hand-overs to the hasher; the buffer grows only for clients that fill it.
const READ_BUFFER_BYTES: usize = 512 * 1024;

/// All open connections.
#[derive(Clone)]
pub(crate) struct Connections {
    inner: Arc<Inner>,
}

struct Inner {
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    /// How each connection is told to finish. `None` once all have been told.
    open: Mutex<Option<HashMap<u64, oneshot::Sender<()>>>>,
    next: AtomicU64,
}

impl Connections {
    /// Room for `limit` connections.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                slots: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
                tasks: TaskTracker::new(),
                open: Mutex::new(Some(HashMap::new())),
                next: AtomicU64::new(0),
            }),
        }
    }

    /// Waits for room for one more.
    pub(super) async fn slot(&self) -> OwnedSemaphorePermit {
        self.inner.slots.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Serves a connection in a task of its own.
    pub(super) fn serve<P: Plane>(&self, slot: OwnedSemaphorePermit, stream: TcpStream, served: Arc<Served<P>>) {
        let id = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let (finish, told) = oneshot::channel();
        match self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(open) => open.insert(id, finish),
            // Accepted while the server was told to stop.
            None => return,
        };
        let connections = self.clone();
        self.inner.tasks.spawn(async move {
            let _slot = slot;
            let _gone = OnDrop(|| {
                if let Some(open) = connections.inner.open.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                    open.remove(&id);
                }
            });
            served.run(stream, told).await;
        });
    }

    /// Tells every connection to finish what it is doing and to close, and waits until all have. Drop the future to stop
    /// waiting.
    pub(crate) async fn finish(&self) {
        // Dropping the senders is what tells them.
        drop(self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.inner.tasks.len()
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What the connections of one listener have in common.
pub(super) struct Served<P> {
    server: Arc<Server<P>>,
    scheme: Scheme,
    address: SocketAddr,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<P: Plane> Served<P> {
    pub(super) fn new(server: Arc<Server<P>>, scheme: Scheme, address: SocketAddr) -> Arc<Self> {
        let limits = &server.limits;
        let mut http1 = http1::Builder::new();
        http1.max_buf_size(READ_BUFFER_BYTES).max_header_size(limits.header_bytes);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            // Finds peers that vanished while a stream of theirs was open.
            .keep_alive_interval(limits.stall_timeout / 2)
            .keep_alive_timeout(limits.stall_timeout / 2)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(256)
            .max_frame_size(256 * 1024)
            // An upload is bound by its window: 1 MiB allows 1 GB/s at a round trip of a millisecond.
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(4 * 1024 * 1024);
        Arc::new(Self { server, scheme, address, http1, http2 })
    }

    async fn run(self: Arc<Self>, stream: TcpStream, mut told: oneshot::Receiver<()>) {
        // Answers are written whole; waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "A connection was gone before it was served");
            return;
        }
        let _open = self.server.metrics().open_connection(self.scheme.as_str());
        let state = Arc::new(ConnectionState::default());
        let limit = self.server.limits.idle_timeout;
        match &self.scheme {
            Scheme::Http => {
                // Before its first request a connection has nothing to finish.
                let first = tokio::select! {
                    biased;
                    _ = &mut told => return,
                    first = tokio::time::timeout(limit, is_http2(&stream)) => first,
                };
                // Otherwise it is gone, or was silent for too long.
                if let Ok(Ok(is_http2)) = first {
                    let io = Watched { inner: stream, state: state.clone() };
                    self.speak(io, state, is_http2, told).await;
                }
            }
            Scheme::Https(acceptor) => {
                let io = Watched { inner: stream, state: state.clone() };
                let accepted = tokio::select! {
                    biased;
                    _ = &mut told => return,
                    accepted = tokio::time::timeout(limit, acceptor.accept(io)) => accepted,
                };
                match accepted {
                    Ok(Ok(io)) => {
                        let is_http2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
                        self.speak(io, state, is_http2, told).await;
                    }
                    // Probes, and clients that do not trust the authority yet: theirs to tell.
                    Ok(Err(error)) => tracing::debug!(%error, "A TLS handshake failed"),
                    Err(_) => tracing::debug!("A TLS handshake took too long"),
                }
            }
        }
    }

    async fn speak<I>(self: Arc<Self>, io: I, state: Arc<ConnectionState>, is_http2: bool, told: oneshot::Receiver<()>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (builder1, builder2) = (self.http1.clone(), self.http2.clone());
        let limits = self.server.limits.clone();
        let noted = state.clone();
        let service = service_fn(move |request| {
            let (served, state) = (self.clone(), noted.clone());
            async move {
                let scheme = served.scheme.as_str();
                Ok::<_, std::convert::Infallible>(served.server.answer(scheme, served.address, state, request).await)
            }
        });
        let io = TokioIo::new(io);
        if is_http2 {
            drive(builder2.serve_connection(io, service), &state, &limits, told).await;
        } else {
            drive(builder1.serve_connection(io, service), &state, &limits, told).await;
        }
    }
}

/// A connection that can be asked to end after the requests in flight.
trait Graceful: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

impl<I, S, B> Graceful for http1::Connection<I, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B, E> Graceful for http2::Connection<I, S, E>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection to its end, or until a time limit ends it.
async fn drive<C: Graceful>(
    connection: C,
    state: &ConnectionState,
    limits: &LimitsConfig,
    mut told: oneshot::Receiver<()>,
) {
    let mut connection = pin!(connection);
    let mut look_every = limits.idle_timeout.min(limits.stall_timeout) / 4;
    let mut look = pin!(tokio::time::sleep(look_every));
    let mut finishing = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    // Almost always a client that went away, which its access line tells.
                    tracing::debug!(%error, "A connection ended early");
                }
                return;
            }
            _ = &mut told, if !finishing => {
                finishing = true;
                connection.as_mut().finish();
                look_every = GOODBYE;
                look.as_mut().reset(tokio::time::Instant::now() + look_every);
            }
            () = look.as_mut() => {
                if finishing && state.is_idle() {
                    // A peer of HTTP/2 is asked to confirm, which one that hangs never does.
                    return;
                }
                if let Some(reason) = state.exceeded(limits) {
                    tracing::debug!("Closed a connection: {reason}");
                    return;
                }
                look.as_mut().reset(tokio::time::Instant::now() + look_every);
            }
        }
    }
}

/// How long an idle peer may take to confirm that the connection ends.
const GOODBYE: Duration = Duration::from_millis(300);

/// Whether a client begins with HTTP/2's preface without being asked ("prior knowledge"). No method of HTTP/1 begins
/// with `PRI `, so four bytes decide. Source: RFC 9113, 3.4.
async fn is_http2(stream: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8; 4] = b"PRI ";
    loop {
        let mut seen = [0; 4];
        let length = stream.peek(&mut seen).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if seen[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        // The rest of the word is on its way; peeking again at once would find the same.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

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

    fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }

    fn exceeded(&self, limits: &LimitsConfig) -> Option<&'static str> {
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
struct Watched<T> {
    inner: T,
    state: Arc<ConnectionState>,
}

impl<T> Watched<T> {
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
