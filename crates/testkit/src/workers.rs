//! Who works off which kind of job, as in the real server.

use std::sync::Arc;

use wharf_jobs::Worker;
use wharf_management::Management;
use wharf_registry::Artifacts;

/// The workers of a test's server, one for each kind of job.
pub(crate) fn workers(_artifacts: &Artifacts, _management: &Management) -> Vec<Arc<dyn Worker>> {
    vec![]
}
