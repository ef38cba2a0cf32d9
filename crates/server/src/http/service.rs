//! One request: which registry is meant, who answers, and what is told about it.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use wharf_data_plane::{AccessInfo, RequestHost, refuse};
use wharf_metadata::RegistryRow;
use wharf_model::RegistryName;
use wharf_oci::{Code, OciError};

use super::body::{ReceivedBody, SentBody};
use super::connection::ConnectionState;
use super::exchange::{Exchange, Observers};
use crate::config::LimitsConfig;
use crate::hosts::{DEFAULT_REGISTRY, HostTarget, Hosts, split_host};
use crate::metrics::Metrics;

/// What stands behind the listeners.
pub(crate) trait Plane: Send + Sync + 'static {
    /// Finds a registry by its name. An error was logged already.
    fn find_registry(
        &self,
        name: &RegistryName,
    ) -> impl Future<Output = Result<Option<Arc<RegistryRow>>, NotReady>> + Send;

    /// Answers a request to a registry.
    fn serve(&self, host: RequestHost, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;

    /// Whether requests could be answered now.
    fn check_ready(&self) -> impl Future<Output = Result<(), NotReady>> + Send;

    /// Brings counts that are kept elsewhere into the metrics.
    fn update_metrics(&self, metrics: &Metrics);
}

/// Names the part that does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotReady(pub(crate) &'static str);

/// What all listeners serve.
pub(crate) struct Server<P> {
    plane: P,
    hosts: Hosts,
    default_registry: RegistryName,
    observers: Arc<Observers>,
    /// Bounds on what a client may take.
    pub(super) limits: LimitsConfig,
    is_stopping: AtomicBool,
}

impl<P: Plane> Server<P> {
    /// Puts a server together.
    pub(crate) fn new(plane: P, hosts: Hosts, observers: Arc<Observers>, limits: LimitsConfig) -> Self {
        let default_registry = DEFAULT_REGISTRY.parse().expect("the default registry's name is a registry's name");
        Self { plane, hosts, default_registry, observers, limits, is_stopping: AtomicBool::new(false) }
    }

    /// The counters.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.observers.metrics
    }

    /// From now on `/readyz` says no, so that load balancers look elsewhere.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Answers one request that came over a listener with `scheme` at `address`.
    pub(super) async fn answer(
        &self,
        scheme: &'static str,
        address: SocketAddr,
        connection: Arc<ConnectionState>,
        request: Request<Incoming>,
    ) -> Response<SentBody> {
        let mut exchange = Exchange::begin(self.observers.clone(), connection, request.method());
        let answered = AssertUnwindSafe(self.dispatch(scheme, address, request, &mut exchange)).catch_unwind().await;
        let mut response = answered.unwrap_or_else(|_panic| {
            // The hook has logged it; this says whose request it was.
            let response = refuse(OciError::new(Code::Unknown), "");
            let request_id = response.extensions().get::<AccessInfo>().map(|info| info.request_id.to_string());
            tracing::error!(request_id, "A request failed by a panic");
            response
        });
        let info = response.extensions_mut().remove();
        exchange.answered(response.status(), info);
        SentBody::respond(response, exchange)
    }

    async fn dispatch(
        &self,
        scheme: &'static str,
        address: SocketAddr,
        request: Request<Incoming>,
        exchange: &mut Exchange,
    ) -> Response<Body> {
        if scheme == "http"
            && let Some(response) = self.answer_operator(&request).await
        {
            exchange.be_quiet();
            return response;
        }
        let (authority, host) = match client_host(&request) {
            ClientHost::Some { authority, host } => (authority.to_owned(), self.hosts.target(host)),
            // A client of HTTP/1.0 may name no host; the address that it reached stands in.
            ClientHost::None => (address.to_string(), HostTarget::Default),
            ClientHost::Malformed => {
                let error = OciError::new(Code::Unsupported).with_status(StatusCode::BAD_REQUEST);
                return refuse(error.with_message("the Host header is missing or malformed"), "");
            }
        };
        let name = match &host {
            HostTarget::Registry(name) => name,
            HostTarget::Default => &self.default_registry,
            HostTarget::Nobody => return no_registry(scheme, &authority),
        };
        let registry = match self.plane.find_registry(name).await {
            Ok(Some(registry)) => registry,
            Ok(None) => return no_registry(scheme, &authority),
            Err(_) => return refuse(OciError::new(Code::Unavailable), &base_url(scheme, &authority)),
        };
        exchange.set_registry(registry.clone());
        let login_server = self.hosts.login_server(&registry.name);
        let base_url = base_url(scheme, &authority);
        let request = request_with_counted_body(request, exchange);
        self.plane.serve(RequestHost { registry, login_server, base_url }, request).await
    }

    /// The paths for operators, outside every registry. `None`: not one of them.
    async fn answer_operator(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let path = request.uri().path();
        // Nearly no request is one of these; a registry's paths begin with "/v2" or "/oauth2".
        if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
            return None;
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are understood here\n".into());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(response);
        }
        Some(match path {
            "/healthz" => text(StatusCode::OK, "alive\n".into()),
            "/readyz" => match self.check_ready().await {
                Ok(()) => text(StatusCode::OK, "ready\n".into()),
                Err(NotReady(part)) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {part}\n")),
            },
            _ => {
                self.plane.update_metrics(self.metrics());
                let mut response = text(StatusCode::OK, self.metrics().encode());
                response.headers_mut().insert(header::CONTENT_TYPE, OPEN_METRICS);
                response
            }
        })
    }

    async fn check_ready(&self) -> Result<(), NotReady> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(NotReady("stopping"));
        }
        self.plane.check_ready().await
    }
}

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The host that the client used.
#[derive(Debug, PartialEq, Eq)]
enum ClientHost<'a> {
    /// Checked: it can stand in a URL, a header and a log line.
    Some {
        /// With the port, as the client wrote it.
        authority: &'a str,
        /// Without the port.
        host: &'a str,
    },
    None,
    Malformed,
}

/// A request line or `:authority` that names a host goes before the `Host` header. Source: RFC 9112, 3.2.2.
fn client_host<B>(request: &Request<B>) -> ClientHost<'_> {
    let named = match request.uri().authority() {
        Some(authority) => Ok(authority.as_str()),
        None => {
            let mut headers = request.headers().get_all(header::HOST).iter();
            match (headers.next(), headers.next()) {
                (Some(host), None) => host.to_str().map_err(|_| ()),
                (None, _) if request.version() < Version::HTTP_11 => return ClientHost::None,
                _ => Err(()),
            }
        }
    };
    match named.ok().and_then(|authority| Some((authority, split_host(authority)?.0))) {
        Some((authority, host)) => ClientHost::Some { authority, host },
        None => ClientHost::Malformed,
    }
}

fn request_with_counted_body(request: Request<Incoming>, exchange: &mut Exchange) -> Request<Body> {
    if request.body().is_end_stream() {
        return request.map(|_| Body::empty());
    }
    let is_upload = request.uri().path().contains("/blobs/uploads/");
    let count = exchange.counter_of_received(is_upload);
    request.map(|body| Body::new(ReceivedBody::new(body, count)))
}

fn base_url(scheme: &str, authority: &str) -> String {
    [scheme, "://", authority].concat()
}

fn no_registry(scheme: &str, authority: &str) -> Response<Body> {
    let error = OciError::new(Code::NameUnknown).with_message(format!("no registry answers at {authority}"));
    refuse(error, &base_url(scheme, authority))
}

fn text(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, hosts: &[&str], version: Version) -> Request<()> {
        let mut builder = Request::builder().uri(uri).version(version);
        for host in hosts {
            builder = builder.header(header::HOST, *host);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn the_host_is_the_one_that_the_client_used() {
        let some = |authority, host| ClientHost::Some { authority, host };
        let of = |uri, hosts: &[&str], version| format!("{:?}", client_host(&request(uri, hosts, version)));
        let http11 = Version::HTTP_11;
        assert_eq!(
            of("/v2/", &["Contoso.example:5000"], http11),
            format!("{:?}", some("Contoso.example:5000", "Contoso.example"))
        );
        assert_eq!(of("http://a.example/v2/", &["b.example"], http11), format!("{:?}", some("a.example", "a.example")));
        assert_eq!(of("/v2/", &[], Version::HTTP_10), "None");
        for (hosts, why) in
            [(&[][..], "missing"), (&["a", "b"][..], "twice"), (&["a\"b"][..], "quote"), (&[""][..], "empty")]
        {
            assert_eq!(of("/v2/", hosts, http11), "Malformed", "{why}");
        }
        assert_eq!(of("http://user@a.example/v2/", &[], http11), "Malformed");
    }
}
