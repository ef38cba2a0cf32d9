//! Bodies: those of requests, which may stand still or break off, and blobs on their way out.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep, timeout, timeout_at};
use tracing::error;
use wharf_blobs::BlobStream;
use wharf_oci::{Code, OciError};
use wharf_registry::BodyError;

use crate::failure::Failure;
use crate::memory::HeldMemory;

/// What a first piece may have, as hyper reads.
const FIRST_PIECE: usize = 64 << 10;

/// How much of a body is read and thrown away so that its sender gets to read the error, in bytes.
///
/// A client that sends a chunk with a token that has expired would otherwise find the connection reset under its
/// fingers, instead of the challenge. Azure's SDKs send every first chunk like that, of 4 MiB.
const DRAINED_BYTES: u64 = 16 << 20;

/// How long that may take.
const DRAINING: Duration = Duration::from_secs(10);

/// The body of a request. A stream of its bytes that ends with an error when the client stands still for too long.
pub(crate) struct RequestBody {
    body: Body,
    declared: Option<u64>,
    received: u64,
    is_over: bool,
    /// Whether the client waits to be told that it may send.
    expects_continue: bool,
    /// Whether there was nothing to read when last looked.
    is_waiting: bool,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    pub(crate) fn new(body: Body, headers: &HeaderMap, idle: Duration) -> Self {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        // Who waits for "100 Continue" sends nothing until somebody reads.
        let expects_continue = headers.contains_key(header::EXPECT);
        Self { body, declared, received: 0, is_over: false, expects_continue, is_waiting: false, idle, timer: None }
    }

    /// The length that the request announced in `Content-Length`, in bytes.
    pub(crate) fn declared_length(&self) -> Option<u64> {
        self.declared
    }

    /// Whether it is certain that there is no body.
    pub(crate) fn is_empty(&self) -> bool {
        self.declared == Some(0) || self.body.is_end_stream()
    }

    /// The whole body, or `None` if it is longer than `limit` bytes.
    ///
    /// All of it must come within the time that a body may stand still, so that nobody can hold memory by sending a
    /// byte now and then.
    ///
    /// # Errors
    /// When the body breaks off or does not come in time.
    pub(crate) async fn read_to_end(&mut self, limit: usize) -> Result<Option<Bytes>, ReadError> {
        self.read_into(limit, None).await
    }

    /// The same, with every piece counted in `memory`. The time that it waits for memory is not the client's.
    ///
    /// # Errors
    /// As [`Self::read_to_end`], and when there is no memory for as long as a body may stand still.
    pub(crate) async fn read_to_end_counted(
        &mut self,
        limit: usize,
        memory: &mut HeldMemory<'_>,
    ) -> Result<Option<Bytes>, ReadError> {
        self.read_into(limit, Some(memory)).await
    }

    async fn read_into(
        &mut self,
        limit: usize,
        mut memory: Option<&mut HeldMemory<'_>>,
    ) -> Result<Option<Bytes>, ReadError> {
        let mut deadline = Instant::now() + self.idle;
        let declared = match self.declared {
            Some(length) if length > limit as u64 => return Ok(None),
            Some(length) => usize::try_from(length).ok(),
            None => None,
        };
        // Memory is asked for before bytes are: what arrived is in memory, whoever waits. Pieces grow, each to twice the
        // one before at most.
        let most = declared.unwrap_or(limit);
        deadline += grow(&mut memory, FIRST_PIECE.min(most), self.idle).await?;
        let Some(first) = self.next_until(deadline).await? else {
            return if declared.unwrap_or(0) == 0 {
                Ok(Some(Bytes::new()))
            } else {
                Err(BodyError::Interrupted.into())
            };
        };
        deadline += grow(&mut memory, first.len(), self.idle).await?;
        // Most manifests arrive in one piece, which is then not copied.
        if declared == Some(first.len()) {
            return Ok(Some(first));
        }
        let mut whole = BytesMut::with_capacity(declared.unwrap_or(first.len() * 2).min(limit));
        let mut piece = Some(first);
        while let Some(bytes) = piece {
            if whole.len() + bytes.len() > limit {
                return Ok(None);
            }
            deadline += grow(&mut memory, whole.len() + bytes.len(), self.idle).await?;
            whole.extend_from_slice(&bytes);
            let next = 2 * bytes.len();
            drop(bytes);
            deadline += grow(&mut memory, (whole.len() + next).min(most), self.idle).await?;
            piece = self.next_until(deadline).await?;
        }
        match declared {
            Some(length) if length != whole.len() => Err(BodyError::Interrupted.into()),
            _ => Ok(Some(whole.freeze())),
        }
    }

    async fn next_until(&mut self, deadline: Instant) -> Result<Option<Bytes>, ReadError> {
        match timeout_at(deadline, self.next()).await {
            Ok(piece) => Ok(piece.transpose()?),
            Err(_) => Err(ReadError::TooSlow),
        }
    }

    /// Reads on without looking at it, so that the client comes to read the answer. Gives up on long bodies.
    pub(crate) async fn drain(&mut self) {
        let is_long = self.declared.is_some_and(|length| length.saturating_sub(self.received) > DRAINED_BYTES);
        if self.is_over || self.is_empty() || self.expects_continue && self.received == 0 || is_long {
            return;
        }
        let limit = self.received + DRAINED_BYTES;
        let draining = async {
            while self.received <= limit
                && let Some(Ok(_)) = self.next().await
            {}
        };
        let _ = tokio::time::timeout(DRAINING, draining).await;
    }

    /// Whether the client has stood still for too long. To be asked when there is nothing to read.
    fn has_timed_out(&mut self, is_waiting: bool, context: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.idle)));
        if !is_waiting {
            timer.as_mut().reset(Instant::now() + self.idle);
        }
        timer.as_mut().poll(context).is_ready()
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.is_waiting = false;
                    // Trailers hold nothing for us.
                    let Ok(bytes) = frame.into_data() else { continue };
                    self.received += bytes.len() as u64;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Poll::Ready(Some(Err(_))) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(BodyError::Interrupted)));
                }
                Poll::Ready(None) => {
                    self.is_over = true;
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let was_waiting = std::mem::replace(&mut self.is_waiting, true);
                    if self.has_timed_out(was_waiting, context) {
                        self.is_over = true;
                        return Poll::Ready(Some(Err(BodyError::TimedOut)));
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Why a body that is wanted whole was not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It broke off or stood still.
    Body(BodyError),
    /// It came, but not within the time.
    TooSlow,
    /// Others hold all the memory that there is for such bodies.
    NoMemory,
}

impl From<BodyError> for ReadError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

/// Counts bytes that have arrived. Returns how long that had to wait.
async fn grow(
    memory: &mut Option<&mut HeldMemory<'_>>,
    bytes: usize,
    patience: Duration,
) -> Result<Duration, ReadError> {
    let Some(memory) = memory else { return Ok(Duration::ZERO) };
    let started = Instant::now();
    timeout(patience, memory.grow_to(bytes)).await.map_err(|_| ReadError::NoMemory)?;
    Ok(started.elapsed())
}

/// The answer to a body that was wanted whole and was not read.
pub(crate) fn unread(error: ReadError, code: Code) -> Failure {
    match error {
        ReadError::Body(error) => interrupted(error, code),
        ReadError::TooSlow => OciError::new(code)
            .with_status(StatusCode::REQUEST_TIMEOUT)
            .with_message("the body did not arrive in time")
            .into(),
        ReadError::NoMemory => OciError::new(Code::Unavailable)
            .with_message("too many large manifests are being pushed at once; try again later")
            .into(),
    }
}

/// The answer to a body that broke off. If the client has gone, nobody reads it.
pub(crate) fn interrupted(error: BodyError, code: Code) -> Failure {
    let status = match error {
        BodyError::Interrupted => StatusCode::BAD_REQUEST,
        BodyError::TimedOut => StatusCode::REQUEST_TIMEOUT,
    };
    OciError::new(code).with_status(status).with_message(error.to_string()).into()
}

/// A blob, or a part of one, as the body of a response. Its length is known, so `Content-Length` is set, and its pieces
/// go to the connection as they come from the store.
pub(crate) struct BlobBody(BlobStream);

impl BlobBody {
    pub(crate) fn new(stream: BlobStream) -> Self {
        Self(stream)
    }
}

impl http_body::Body for BlobBody {
    type Data = Bytes;
    type Error = wharf_blobs::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = ready!(Pin::new(&mut self.0).poll_next(context));
        if let Some(Err(cause)) = &piece {
            // The connection is cut: that is all that can be said to the client once the headers are out.
            error!("A blob could not be read to its end: {}", wharf_model::error_chain(cause));
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.remaining())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http::HeaderValue;

    use super::*;
    use crate::memory::Memory;

    const IDLE: Duration = Duration::from_secs(60);

    fn body(pieces: Vec<Result<&'static str, &'static str>>, declared: Option<u64>) -> RequestBody {
        let headers: HeaderMap =
            declared.map(|length| (header::CONTENT_LENGTH, HeaderValue::from(length))).into_iter().collect();
        let pieces = pieces.into_iter().map(|piece| piece.map(Bytes::from).map_err(std::io::Error::other));
        RequestBody::new(Body::from_stream(stream::iter(pieces)), &headers, IDLE)
    }

    #[tokio::test]
    async fn bodies_are_read_up_to_their_limit() {
        let read = async |pieces: Vec<_>, declared| body(pieces, declared).read_to_end(5).await;
        assert_eq!(read(vec![], None).await, Ok(Some(Bytes::new())));
        assert_eq!(read(vec![Ok("abcde")], Some(5)).await, Ok(Some("abcde".into())));
        assert_eq!(read(vec![Ok("ab"), Ok("cde")], None).await, Ok(Some("abcde".into())));
        assert_eq!(read(vec![Ok("abc"), Ok("def")], None).await, Ok(None));
        assert_eq!(read(vec![Ok("abcdef")], None).await, Ok(None));
        assert_eq!(read(vec![], Some(6)).await, Ok(None));
        let interrupted = Err(ReadError::Body(BodyError::Interrupted));
        assert_eq!(read(vec![], Some(3)).await, interrupted);
        assert_eq!(read(vec![Ok("ab")], Some(3)).await, interrupted);
        assert_eq!(read(vec![Ok("ab"), Err("gone")], None).await, interrupted);
    }

    /// A byte now and then, each in time for a body that must not stand still.
    fn dribbling() -> RequestBody {
        let pieces = stream::repeat(()).then(|()| async {
            tokio::time::sleep(IDLE / 4).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        });
        RequestBody::new(Body::from_stream(Box::pin(pieces)), &HeaderMap::new(), IDLE)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_wanted_whole_has_a_time_in_all() {
        assert_eq!(dribbling().read_to_end(1 << 20).await, Err(ReadError::TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_memory_ends_too() {
        let memory = Memory::new(1024);
        let (mut one, mut other) = (memory.begin(), memory.begin());
        one.grow_to(1024).await;
        other.grow_to(1024).await;
        let read = dribbling().read_to_end_counted(1 << 20, &mut memory.begin()).await;
        assert_eq!(read, Err(ReadError::NoMemory));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stands_still_is_given_up() {
        let slow = stream::iter(0..3).then(|_| async {
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        });
        let stuck = Box::pin(slow.chain(stream::pending()));
        let mut body = RequestBody::new(Body::from_stream(stuck), &HeaderMap::new(), IDLE);
        for _ in 0..3 {
            assert_eq!(body.next().await, Some(Ok("x".into())), "slow is not idle");
        }
        assert_eq!(body.next().await, Some(Err(BodyError::TimedOut)));
        assert_eq!(body.next().await, None);
    }

    #[tokio::test]
    async fn draining_stops_where_it_is_of_no_use() {
        let mut short = body(vec![Ok("ab"), Ok("cd")], Some(4));
        short.drain().await;
        assert_eq!(short.received, 4);
        let mut long = body(vec![Ok("ab")], Some(1 << 40));
        long.drain().await;
        assert_eq!(long.received, 0);
    }
}
