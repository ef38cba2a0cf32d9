//! One request: who is meant, who answers, and what is told about it.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use uuid::Uuid;
use wharf_data_plane::{RequestHost, refuse};
use wharf_metadata::RegistryRow;
use wharf_model::{Client, RegistryName, RequestContext};
use wharf_oci::{Code, OciError};

use super::body::{ReceivedBody, SentBody};
use super::exchange::{Exchange, Observers};
use super::host::{ClientHost, client_host};
use super::listener::{Entrance, Network};
use super::progress::ConnectionState;
use super::refusal;
use super::site::{Site, Visit};
use crate::config::LimitsConfig;
use crate::hosts::{DEFAULT_REGISTRY, HostTarget};
use crate::metrics::Metrics;
use crate::services::Service;

/// What stands behind the listeners.
pub(crate) trait Plane: Send + Sync + 'static {
    /// Finds a registry by its name. An error was logged already.
    fn find_registry(
        &self,
        name: &RegistryName,
    ) -> impl Future<Output = Result<Option<Arc<RegistryRow>>, NotReady>> + Send;

    /// Answers a request to a registry.
    fn serve(&self, host: RequestHost, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;

    /// Answers a request to a service.
    fn serve_service(
        &self,
        service: Service,
        context: RequestContext,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send;

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
    pub(super) plane: P,
    site: Site,
    default_registry: RegistryName,
    observers: Arc<Observers>,
    /// Bounds on what a client may take.
    pub(super) limits: LimitsConfig,
    pub(super) is_stopping: AtomicBool,
}

impl<P: Plane> Server<P> {
    /// Puts a server together.
    pub(crate) fn new(plane: P, site: Site, observers: Arc<Observers>, limits: LimitsConfig) -> Self {
        let default_registry = DEFAULT_REGISTRY.parse().expect("the default registry's name is a registry's name");
        Self { plane, site, default_registry, observers, limits, is_stopping: AtomicBool::new(false) }
    }

    /// The counters.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.observers.metrics
    }

    /// From now on `/readyz` says no, so that load balancers look elsewhere.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Answers one request that `peer` sent over a connection to `entrance`.
    pub(super) async fn answer(
        &self,
        entrance: &Entrance,
        peer: IpAddr,
        connection: Arc<ConnectionState>,
        request: Request<Incoming>,
    ) -> Response<SentBody> {
        let mut exchange = Exchange::begin(self.observers.clone(), connection, request.method());
        let answered = AssertUnwindSafe(self.dispatch(entrance, peer, request, &mut exchange)).catch_unwind().await;
        let response = answered.unwrap_or_else(|_panic| {
            // The hook has logged the panic; this says whose request it was.
            let (response, request_id) = refusal::of_panic(exchange.service());
            tracing::error!(%request_id, "A request failed by a panic");
            response
        });
        SentBody::respond(exchange.answered(response), exchange)
    }

    async fn dispatch(
        &self,
        entrance: &Entrance,
        peer: IpAddr,
        mut request: Request<Incoming>,
        exchange: &mut Exchange,
    ) -> Response<Body> {
        if entrance.scheme == "http"
            && let Some(response) = self.answer_operator(&request).await
        {
            exchange.be_quiet();
            return response;
        }
        let hosts = &self.site.hosts;
        let (authority, target) = match client_host(&request) {
            ClientHost::Some { authority, host } => (authority.to_owned(), hosts.target(host)),
            // A client of HTTP/1.0 may name no host; the address that it reached stands in.
            ClientHost::None => (entrance.address.to_string(), HostTarget::Default),
            ClientHost::Malformed => {
                let error = OciError::new(Code::Unsupported).with_status(StatusCode::BAD_REQUEST);
                return refuse(error.with_message("the Host header is missing or malformed"), "");
            }
        };
        let origin = self.site.proxies.origin(peer, request.headers());
        if origin.is_proxy {
            request.extensions_mut().insert(wharf_login::CameThroughProxy);
        }
        let client = Client { address: origin.address, is_private: entrance.network == Network::Private };
        let visit = Visit { scheme: origin.scheme.unwrap_or(entrance.scheme), authority, client };
        let path = request.uri().path();
        let service = match &target {
            HostTarget::Registry(name, label) => {
                return self.serve_registry(name, Some(label.as_deref()), &visit, request, exchange).await;
            }
            HostTarget::Nobody => return refusal::no_registry(&visit),
            HostTarget::Management => Service::of_management_path(path),
            HostTarget::Login => Service::Login,
            HostTarget::Default => match Service::of_default_path(path) {
                Some(service) => service,
                None => return self.serve_registry(&self.default_registry, None, &visit, request, exchange).await,
            },
        };
        let endpoints = self.site.endpoints(&visit, target == HostTarget::Default);
        self.serve_service(service, endpoints, client, request, exchange).await
    }

    /// Lets a registry answer that was named by its host, with or without a label, or (`None`) by none.
    async fn serve_registry(
        &self,
        name: &RegistryName,
        label: Option<Option<&str>>,
        visit: &Visit,
        request: Request<Incoming>,
        exchange: &mut Exchange,
    ) -> Response<Body> {
        let registry = match self.plane.find_registry(name).await {
            Ok(Some(registry)) if label.is_none_or(|label| label == registry.settings.domain_label.as_deref()) => {
                registry
            }
            Ok(_) => return refusal::no_registry(visit),
            Err(_) => return refuse(OciError::new(Code::Unavailable), &visit.base_url()),
        };
        exchange.set_registry(registry.clone());
        let login_server = self.site.hosts.login_server(&registry);
        let host = RequestHost { registry, login_server, base_url: visit.base_url(), client: visit.client };
        let request = request_with_counted_body(request, exchange, None);
        self.plane.serve(host, request).await
    }

    async fn serve_service(
        &self,
        service: Service,
        endpoints: wharf_model::Endpoints,
        client: Client,
        request: Request<Incoming>,
        exchange: &mut Exchange,
    ) -> Response<Body> {
        let context = RequestContext { request_id: Uuid::new_v4(), client, endpoints: Arc::new(endpoints) };
        exchange.set_service(service, context.request_id);
        // Bodies of services are small: one that takes as long as a body may stand still has no more time.
        let request = request_with_counted_body(request, exchange, Some(self.limits.stall_timeout));
        self.plane.serve_service(service, context, request).await
    }
}

/// Counts the bytes of a request's body as they are read. `deadline`: how long all of it may take.
fn request_with_counted_body(
    request: Request<Incoming>,
    exchange: &mut Exchange,
    deadline: Option<Duration>,
) -> Request<Body> {
    if request.body().is_end_stream() {
        return request.map(|_| Body::empty());
    }
    let is_upload = request.uri().path().contains("/blobs/uploads/");
    let count = exchange.counter_of_received(is_upload);
    request.map(|body| Body::new(ReceivedBody::new(body, count, deadline)))
}
