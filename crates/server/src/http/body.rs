//! Bodies that count, in both directions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http::{Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::exchange::Exchange;

/// A request's body that counts what arrives.
pub(super) struct ReceivedBody {
    inner: Incoming,
    count: Arc<AtomicU64>,
    deadline: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl ReceivedBody {
    /// Counts in `count`. With a `deadline` the body fails once that much time has passed.
    pub(super) fn new(inner: Incoming, count: Arc<AtomicU64>, deadline: Option<Duration>) -> Self {
        Self { inner, count, deadline: deadline.map(|span| Box::pin(tokio::time::sleep(span))) }
    }
}

impl HttpBody for ReceivedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let poll = Pin::new(&mut self.inner).poll_frame(cx).map_err(axum::Error::new);
        if poll.is_pending()
            && let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(axum::Error::new("the request's body took too long"))));
        }
        if let Poll::Ready(Some(Ok(frame))) = &poll
            && let Some(data) = frame.data_ref()
        {
            self.count.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body, which tells about the whole exchange when it is dropped: by hyper after its last byte, or with the
/// connection.
pub(super) struct SentBody {
    inner: Body,
    exchange: Exchange,
    /// Bytes still to come, if the length is known.
    left: Option<u64>,
}

impl SentBody {
    /// Puts an answer's body under watch. The answer to `HEAD` has none, and its head tells the length that it would
    /// have: over HTTP/2 hyper would send whatever body there is, which is an error there.
    pub(super) fn respond(mut response: Response<Body>, mut exchange: Exchange) -> Response<Self> {
        if exchange.is_head() {
            let length = response.body().size_hint().exact();
            let may_tell = !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            if let (Some(length), true) = (length, may_tell) {
                response.headers_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
            }
            *response.body_mut() = Body::empty();
        }
        let left = response.body().size_hint().exact();
        exchange.is_complete = response.body().is_end_stream();
        response.map(|inner| Self { inner, exchange, left })
    }
}

impl HttpBody for SentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.inner).poll_frame(cx)));
        let Ok(poll) = polled else {
            // The hook has logged it. The head has gone, so all that is left is to cut the answer short.
            this.inner = Body::empty();
            return Poll::Ready(Some(Err(axum::Error::new("the answer failed"))));
        };
        match &poll {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                this.exchange.sent += length;
                this.left = this.left.map(|left| left.saturating_sub(length));
                // hyper does not ask again once it has as much as the head announced.
                this.exchange.is_complete = this.left == Some(0) || this.inner.is_end_stream();
            }
            Poll::Ready(None) => this.exchange.is_complete = true,
            Poll::Ready(Some(Err(error))) => {
                tracing::warn!(error = %wharf_model::error_chain(error), "An answer could not be sent to its end");
            }
            Poll::Pending => {}
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
