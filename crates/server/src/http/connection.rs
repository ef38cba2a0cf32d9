//! One connection: handshake, protocol, and its part in an orderly end. Time limits are in `progress` and `drive`.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use wharf_blobs::SendfileQueue;

use super::drive::drive;
use super::listener::{Entrance, Scheme};
use super::plain::PlainStream;
use super::progress::{ConnectionState, Watched};
use super::service::{Plane, Server};

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
    pub(super) fn serve<P: Plane>(
        &self,
        slot: OwnedSemaphorePermit,
        stream: TcpStream,
        peer: IpAddr,
        served: Arc<Served<P>>,
    ) {
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
            served.run(stream, peer, told).await;
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
    entrance: Entrance,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<P: Plane> Served<P> {
    pub(super) fn new(server: Arc<Server<P>>, scheme: Scheme, entrance: Entrance) -> Arc<Self> {
        let limits = &server.limits;
        let mut http1 = http1::Builder::new();
        // Vectored writes: pieces of files must come to the connection as they are.
        http1.max_buf_size(READ_BUFFER_BYTES).max_header_size(limits.header_bytes).writev(true);
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
        Arc::new(Self { server, scheme, entrance, http1, http2 })
    }

    async fn run(self: Arc<Self>, stream: TcpStream, peer: IpAddr, mut told: oneshot::Receiver<()>) {
        // Answers are written whole; waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "A connection was gone before it was served");
            return;
        }
        let _open = self.server.metrics().open_connection(self.entrance.name());
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
                    let queue = SendfileQueue::default();
                    let io = Watched::new(PlainStream::new(stream, queue.clone()), state.clone());
                    // HTTP/2 cuts bodies into frames of its own.
                    self.speak(io, peer, state, is_http2, (!is_http2).then_some(queue), told).await;
                }
            }
            Scheme::Https(acceptor) => {
                let io = Watched::new(stream, state.clone());
                let accepted = tokio::select! {
                    biased;
                    _ = &mut told => return,
                    accepted = tokio::time::timeout(limit, acceptor.accept(io)) => accepted,
                };
                match accepted {
                    Ok(Ok(io)) => {
                        let is_http2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
                        self.speak(io, peer, state, is_http2, None, told).await;
                    }
                    // Probes, and clients that do not trust the authority yet: theirs to tell.
                    Ok(Err(error)) => tracing::debug!(%error, "A TLS handshake failed"),
                    Err(_) => tracing::debug!("A TLS handshake took too long"),
                }
            }
        }
    }

    async fn speak<I>(
        self: Arc<Self>,
        io: I,
        peer: IpAddr,
        state: Arc<ConnectionState>,
        is_http2: bool,
        queue: Option<SendfileQueue>,
        told: oneshot::Receiver<()>,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (builder1, builder2) = (self.http1.clone(), self.http2.clone());
        let limits = self.server.limits.clone();
        let noted = state.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            if let Some(queue) = &queue
                && request.uri().path().contains("/blobs/")
            {
                request.extensions_mut().insert(queue.clone());
            }
            let (served, state) = (self.clone(), noted.clone());
            async move {
                Ok::<_, std::convert::Infallible>(served.server.answer(&served.entrance, peer, state, request).await)
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
