//! Who works off which kind of job.

use std::sync::Arc;

use wharf_jobs::Worker;

use crate::app::App;

/// The workers of a server, one for each kind of job.
pub(crate) fn workers(_app: &App) -> Vec<Arc<dyn Worker>> {
    vec![]
}
