//! Who works off which kind of job, as in the real server.

use std::sync::Arc;

use wharf_identity::Identity;
use wharf_jobs::Worker;
use wharf_management::Management;
use wharf_model::Clock;
use wharf_registry::{Artifacts, PurgeWorker};
use wharf_replication::import::Importer;
use wharf_upstream::Upstreams;

/// The workers of a test's server, one for each kind of job.
pub(crate) fn workers(
    artifacts: &Artifacts,
    identity: &Identity,
    _management: &Management,
    upstreams: &Upstreams,
    clock: &Arc<dyn Clock>,
) -> Vec<Arc<dyn Worker>> {
    vec![
        Arc::new(PurgeWorker::new(artifacts.clone())),
        Arc::new(Importer::new(artifacts.clone(), identity.clone(), upstreams.clone(), clock.clone())),
    ]
}
