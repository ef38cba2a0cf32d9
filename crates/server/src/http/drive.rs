//! Runs one connection to its end: the client's, the server's, or that of a time limit.

use std::pin::{Pin, pin};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use tokio::sync::oneshot;

use super::progress::ConnectionState;
use crate::config::LimitsConfig;

/// A connection that can be asked to end after the requests in flight.
pub(super) trait Graceful: Future<Output = hyper::Result<()>> {
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
pub(super) async fn drive<C: Graceful>(
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
