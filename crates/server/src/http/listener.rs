//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::connection::{self, Connections};
use super::service::{Plane, Server};

/// Connections that the kernel keeps for us until we accept them. Clients that pull many layers open many at once.
const BACKLOG: u32 = 4096;

/// What is spoken on a listener.
#[derive(Clone)]
pub(crate) enum Scheme {
    /// Plain HTTP, with the paths for operators.
    Http,
    /// HTTP over TLS.
    Https(TlsAcceptor),
}

impl Scheme {
    /// The scheme as in a URL.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https(_) => "https",
        }
    }
}

/// Who comes in by a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Everybody: registries' network rules count.
    Public,
    /// Those who reach the private endpoint: no rules.
    Private,
}

/// Where a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entrance {
    /// The scheme as in a URL.
    pub(super) scheme: &'static str,
    pub(super) network: Network,
    /// The address that is listened on.
    pub(super) address: SocketAddr,
}

impl Entrance {
    /// The listener's name, as in its flag.
    pub(super) fn name(&self) -> &'static str {
        match (self.scheme, self.network) {
            ("https", Network::Public) => "https",
            ("https", Network::Private) => "private-https",
            (_, Network::Public) => "http",
            (_, Network::Private) => "private-http",
        }
    }
}

/// A socket that listens.
pub(crate) struct Listener {
    socket: TcpListener,
    scheme: Scheme,
    entrance: Entrance,
}

impl Listener {
    /// Begins to listen. Clients may connect from here on; they are answered once [`Listener::run`] runs.
    ///
    /// # Errors
    /// When the address cannot be had; the message says what to do.
    pub(crate) fn bind(address: SocketAddr, scheme: Scheme, network: Network) -> Result<Self, anyhow::Error> {
        let mut entrance = Entrance { scheme: scheme.as_str(), network, address };
        let bind = || -> io::Result<TcpListener> {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let flag = format!("--{}", entrance.name());
        let socket = bind().map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    format!("another program listens there; stop it, or choose another port with {flag}")
                }
                io::ErrorKind::PermissionDenied => {
                    format!(
                        "ports below 1024 need a privilege; choose another with {flag}, or grant CAP_NET_BIND_SERVICE"
                    )
                }
                io::ErrorKind::AddrNotAvailable => {
                    format!("this machine has no such address; choose another with {flag}")
                }
                _ => format!("choose another address with {flag}"),
            };
            anyhow::Error::new(error).context(format!("cannot listen on {address}: {advice}"))
        })?;
        entrance.address = socket.local_addr().context("cannot tell the address that is listened on")?;
        Ok(Self { socket, scheme, entrance })
    }

    /// The address, with the port that the kernel chose if none was wanted.
    pub(crate) fn address(&self) -> SocketAddr {
        self.entrance.address
    }

    /// What is spoken on it.
    pub(crate) fn scheme(&self) -> &'static str {
        self.entrance.scheme
    }

    /// Who comes in by it.
    pub(crate) fn network(&self) -> Network {
        self.entrance.network
    }

    /// Accepts connections until `stop`; each is served in a task of its own, known to `connections`.
    pub(crate) async fn run<P: Plane>(self, server: Arc<Server<P>>, connections: Connections, stop: CancellationToken) {
        let served = connection::Served::new(server, self.scheme, self.entrance);
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // With no room this one waits here, and those behind it in the kernel's queue.
                    let slot = tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        slot = connections.slot() => slot,
                    };
                    // A socket for both versions of IP shows IPv4 clients as mapped addresses.
                    connections.serve(slot, stream, peer.ip().to_canonical(), served.clone());
                }
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => {
                    // Most likely out of file descriptors: those who are served must finish first.
                    let address = self.entrance.address;
                    tracing::warn!(%error, %address, "Cannot accept connections on {address}");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(Duration::from_millis(500)) => {}
                    }
                }
            }
        }
    }
}

/// The client went away before it was accepted.
fn is_clients_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_told_with_what_to_do() {
        let first = Listener::bind(([127, 0, 0, 1], 0).into(), Scheme::Http, Network::Public).unwrap();
        for (network, flag) in [(Network::Public, " --http"), (Network::Private, " --private-http")] {
            let Err(error) = Listener::bind(first.address(), Scheme::Http, network) else { panic!("both listen") };
            let message = format!("{error:#}");
            assert!(message.contains(&first.address().to_string()) && message.contains(flag), "{message}");
        }
    }
}
