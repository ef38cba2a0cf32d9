//! What happened to one request: begun with its head, told when the last byte of its answer has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use http::{Method, Response, StatusCode};
use uuid::Uuid;
use wharf_data_plane::AccessInfo;
use wharf_metadata::RegistryRow;
use wharf_model::AccessNote;

use super::progress::ConnectionState;
use crate::log::{AccessLine, AccessLogger};
use crate::metrics::{GaugeGuard, Metrics};
use crate::services::Service;

/// The status in logs and metrics of a request whose client went away before it had an answer, as nginx has it.
const CLIENT_WENT_AWAY: u16 = 499;

/// Who is told about requests.
pub(crate) struct Observers {
    /// Counts.
    pub(crate) metrics: Metrics,
    /// A line each.
    pub(crate) access: AccessLogger,
}

/// One request, from its head to the last byte of its answer. Whatever way it ends, dropping this tells about it.
pub(super) struct Exchange {
    observers: Arc<Observers>,
    connection: Arc<ConnectionState>,
    started: Instant,
    method: Method,
    is_quiet: bool,
    status: Option<StatusCode>,
    registry: Option<Arc<RegistryRow>>,
    /// The service that answers, with the request's id.
    service: Option<(Service, Uuid)>,
    /// What the registries' part tells.
    info: Option<AccessInfo>,
    /// What a service tells.
    note: Option<AccessNote>,
    /// Bytes of the request's body; shared with the body, if there is one.
    received: Option<Arc<AtomicU64>>,
    /// Bytes of the answer's body that were handed to the connection.
    pub(super) sent: u64,
    /// Whether all of the answer was handed to the connection.
    pub(super) is_complete: bool,
    _upload: Option<GaugeGuard>,
}

impl Exchange {
    pub(super) fn begin(observers: Arc<Observers>, connection: Arc<ConnectionState>, method: &Method) -> Self {
        connection.begin();
        Self {
            observers,
            connection,
            started: Instant::now(),
            method: method.clone(),
            is_quiet: false,
            status: None,
            registry: None,
            service: None,
            info: None,
            note: None,
            received: None,
            sent: 0,
            is_complete: false,
            _upload: None,
        }
    }

    /// The registry is known.
    pub(super) fn set_registry(&mut self, registry: Arc<RegistryRow>) {
        self.registry = Some(registry);
    }

    /// The service is known that answers.
    pub(super) fn set_service(&mut self, service: Service, request_id: Uuid) {
        self.service = Some((service, request_id));
    }

    /// The service that answers, with the request's id.
    pub(super) fn service(&self) -> Option<(Service, Uuid)> {
        self.service
    }

    /// The request has a body, counted here.
    pub(super) fn counter_of_received(&mut self, is_upload: bool) -> Arc<AtomicU64> {
        self._upload = is_upload.then(|| self.observers.metrics.begin_upload());
        self.received.insert(Arc::default()).clone()
    }

    /// The answer's head is known. What it tells about the request is taken out.
    pub(super) fn answered(&mut self, mut response: Response<Body>) -> Response<Body> {
        self.status = Some(response.status());
        self.info = response.extensions_mut().remove();
        self.note = response.extensions_mut().remove();
        response
    }

    /// This one is asked again and again by machines; it leaves a line only if it fails.
    pub(super) fn be_quiet(&mut self) {
        self.is_quiet = true;
    }

    /// Whether the answer has no body, whatever its head says.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let ended = Instant::now();
        self.connection.end(ended);
        let (info, note) = (self.info.as_ref(), self.note.as_ref());
        let service = self.service.map(|(service, _)| service.as_str());
        let caller = note.and_then(|note| note.caller.as_deref()).or(service.map(|_| "-"));
        let line = AccessLine {
            request_id: info.map(|info| info.request_id).or(self.service.map(|(_, request_id)| request_id)),
            method: self.method.as_str(),
            route: info.map(|info| info.route).or(note.map(|note| note.route)).or(service).unwrap_or("none"),
            status: self.status.map_or(CLIENT_WENT_AWAY, |status| status.as_u16()),
            registry: self.registry.as_ref().map(|registry| registry.name.as_str()),
            repository: info.and_then(|info| info.repository.as_ref()).map(|repository| repository.as_str()),
            digest: info.and_then(|info| info.digest.as_ref()).map(|digest| digest.as_str()),
            upload: info.and_then(|info| info.upload).map(|upload| upload.0),
            caller: info.map(AccessInfo::caller).or(caller),
            received_bytes: self.received.as_ref().map_or(0, |received| received.load(Ordering::Relaxed)),
            sent_bytes: self.sent,
            is_cut_short: !self.is_complete,
            duration: ended.saturating_duration_since(self.started),
        };
        self.observers.metrics.count_request(&line);
        if !self.is_quiet || line.status >= 500 {
            self.observers.access.log(&line);
        }
    }
}
