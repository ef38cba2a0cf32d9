//! A connection without TLS, which sends pieces of files straight from the page cache.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use wharf_blobs::SendfileQueue;

/// A TCP stream that sends from its queue whatever only stands in for a piece of a file.
pub(super) struct PlainStream {
    stream: TcpStream,
    queue: SendfileQueue,
}

impl PlainStream {
    pub(super) fn new(stream: TcpStream, queue: SendfileQueue) -> Self {
        Self { stream, queue }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_io(Interest::WRITABLE, || self.queue.send(&self.stream)) {
                // Not ready after all, or interrupted: the next look waits if it has to.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for PlainStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PlainStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if SendfileQueue::is_stand_in(bytes) {
            return self.poll_send(cx);
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = buffers.iter().take_while(|bytes| !SendfileQueue::is_stand_in(bytes)).count();
        if buffers[..length].iter().all(|bytes| bytes.is_empty()) && length < buffers.len() {
            return self.poll_send(cx);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, &buffers[..length])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
