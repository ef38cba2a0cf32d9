//! Who works off which kind of job.

use std::sync::Arc;

use wharf_jobs::Worker;
use wharf_registry::PurgeWorker;
use wharf_replication::import::Importer;

use crate::app::App;
use crate::config::Config;

/// The workers of a server, one for each kind of job.
///
/// # Errors
/// When one of them cannot be set up.
pub(crate) fn workers(app: &App, config: &Config) -> Result<Vec<Arc<dyn Worker>>, anyhow::Error> {
    Ok(vec![Arc::new(PurgeWorker::new(app.artifacts.clone())), Arc::new(importer(app, config)?)])
}

/// Who works off imports.
///
/// # Errors
/// When the way out to other registries cannot be prepared.
pub(crate) fn importer(app: &App, config: &Config) -> Result<Importer, anyhow::Error> {
    let (artifacts, identity, clock) = (app.artifacts.clone(), app.identity.clone(), app.clock.clone());
    Ok(Importer::new(artifacts, identity, app.upstreams(config)?, clock))
}
