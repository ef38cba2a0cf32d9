//! What stands behind the listeners of a real server: all planes on the stores.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use tokio::sync::Mutex;
use wharf_data_plane::{DataPlane, DataPlaneConfig, RequestHost};
use wharf_graph::Graph;
use wharf_login::Login;
use wharf_metadata::{RegistryRow, settings};
use wharf_model::{AccessNote, RegistryName, RequestContext};
use wharf_replication::cache::Cache;

use crate::app::App;
use crate::config::Config;
use crate::hosts::Hosts;
use crate::http::{NotReady, Plane};
use crate::metrics::Metrics;
use crate::services::Service;

/// The registries' plane and the services, and their health.
pub(crate) struct Planes {
    app: Arc<App>,
    data_plane: DataPlane,
    graph: Graph,
    login: Login,
    /// When the blob store was last proven to work.
    probed: Mutex<Option<Instant>>,
}

/// How long a proof that the blob store works is believed. A proof costs a synced write.
const PROOF_HOLDS: Duration = Duration::from_secs(10);

/// How long a part may take before it counts as not working.
const PATIENCE: Duration = Duration::from_secs(3);

impl Planes {
    /// Puts the planes on the stores.
    pub(crate) fn new(app: Arc<App>, cache: Cache, config: &Config) -> Self {
        let settings = DataPlaneConfig {
            idle_timeout: config.limits.stall_timeout,
            allowed_origins: config.cors.allowed_origins.clone(),
            management_audiences: management_audiences(&app.hosts),
            ..DataPlaneConfig::default()
        };
        let data_plane = DataPlane::new(app.artifacts.clone(), app.identity.clone(), cache, settings);
        let login_servers = Arc::new(app.hosts.login_servers().clone());
        let graph = Graph::new(app.identity.clone(), app.database.clone(), app.clock.clone(), login_servers);
        let login = Login::new(app.identity.clone(), app.hosts.domain().to_string());
        Self { app, data_plane, graph, login, probed: Mutex::new(None) }
    }
}

/// By which URLs clients know the management API, wherever they reach a registry: its own host, and the default host by
/// the names that this machine has for itself.
fn management_audiences(hosts: &Hosts) -> Vec<String> {
    let port = match hosts.login_servers().port() {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let local = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("https://{host}{port}"));
    let own = format!("https://management.{}", hosts.login_servers().suffix());
    [own].into_iter().chain(local).collect()
}

impl Plane for Planes {
    async fn find_registry(&self, name: &RegistryName) -> Result<Option<Arc<RegistryRow>>, NotReady> {
        self.app.artifacts.find_registry(name).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, registry = %name, "Cannot look up registry {name}");
            NotReady("database")
        })
    }

    async fn serve(&self, host: RequestHost, request: Request<Body>) -> Response<Body> {
        self.data_plane.serve(host, request).await
    }

    async fn serve_service(&self, service: Service, context: RequestContext, request: Request<Body>) -> Response<Body> {
        let is_safe = request.method().is_safe();
        let answer = match service {
            Service::Management => {
                let management = self.app.management.clone();
                async move { management.serve(context, request).await }.boxed()
            }
            Service::Graph => {
                let graph = self.graph.clone();
                async move { graph.serve(context, request).await }.boxed()
            }
            Service::Login => {
                let login = self.login.clone();
                async move { login.serve(context, request).await }.boxed()
            }
        };
        if is_safe {
            return answer.await;
        }
        // What follows a commit must not depend on a client that waits for the answer.
        match tokio::spawn(answer).await {
            Ok(response) => response,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The server ends, and the connection with it.
                Err(_) => not_here(service),
            },
        }
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
        metrics.set_pulls(self.app.artifacts.pull_totals());
        metrics.set_jobs(self.app.artifacts.jobs().statistics());
    }
}

/// 503: nobody answers any more.
fn not_here(service: Service) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.extensions_mut().insert(AccessNote::of(service.as_str()));
    response
}
