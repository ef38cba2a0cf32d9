//! What stands behind the listeners of a real server: the data plane on the stores.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, Response};
use tokio::sync::Mutex;
use wharf_data_plane::{DataPlane, DataPlaneConfig, RequestHost};
use wharf_metadata::{RegistryRow, settings};
use wharf_model::{RegistryName, RequestContext};

use crate::app::App;
use crate::config::Config;
use crate::http::{NotReady, Plane};
use crate::metrics::Metrics;
use crate::services::Service;

/// The data plane, and its health.
pub(crate) struct RegistryPlane {
    app: Arc<App>,
    data_plane: DataPlane,
    /// When the blob store was last proven to work.
    probed: Mutex<Option<Instant>>,
}

/// How long a proof that the blob store works is believed. A proof costs a synced write.
const PROOF_HOLDS: Duration = Duration::from_secs(10);

/// How long a part may take before it counts as not working.
const PATIENCE: Duration = Duration::from_secs(3);

impl RegistryPlane {
    /// Puts the data plane on the stores.
    pub(crate) fn new(app: Arc<App>, config: &Config) -> Self {
        let settings = DataPlaneConfig {
            idle_timeout: config.limits.stall_timeout,
            allowed_origins: config.cors.allowed_origins.clone(),
            ..DataPlaneConfig::default()
        };
        let data_plane = DataPlane::new(app.artifacts.clone(), app.identity.clone(), settings);
        Self { app, data_plane, probed: Mutex::new(None) }
    }
}

impl Plane for RegistryPlane {
    async fn find_registry(&self, name: &RegistryName) -> Result<Option<Arc<RegistryRow>>, NotReady> {
        self.app.artifacts.find_registry(name).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, registry = %name, "Cannot look up registry {name}");
            NotReady("database")
        })
    }

    async fn serve(&self, host: RequestHost, request: Request<Body>) -> Response<Body> {
        self.data_plane.serve(host, request).await
    }

    async fn serve_service(
        &self,
        service: Service,
        _context: RequestContext,
        _request: Request<Body>,
    ) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        response.extensions_mut().insert(wharf_model::AccessNote::of(service.as_str()));
        response
    }

    async fn check_ready(&self) -> Result<(), NotReady> {
        let read = self.app.database.read(|c| Box::pin(settings::get(c, "installation.ids")));
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Not ready: the database cannot be read");
                return Err(NotReady("database"));
            }
            Err(_) => return Err(NotReady("database")),
        }
        // One probe at a time, also when many ask.
        let Ok(mut probed) = tokio::time::timeout(PATIENCE, self.probed.lock()).await else {
            return Err(NotReady("blob store"));
        };
        if probed.is_some_and(|at| at.elapsed() < PROOF_HOLDS) {
            return Ok(());
        }
        match tokio::time::timeout(PATIENCE, self.app.artifacts.blob_store().probe()).await {
            Ok(Ok(())) => {
                *probed = Some(Instant::now());
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Not ready: the blob store does not work");
                Err(NotReady("blob store"))
            }
            Err(_) => Err(NotReady("blob store")),
        }
    }

    fn update_metrics(&self, metrics: &Metrics) {
        metrics.set_commits(self.app.database.statistics());
    }
}
