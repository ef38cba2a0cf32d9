//! The services that there are: what is answered by hand.

use std::sync::Arc;

use crate::authorization::Authorization;
use crate::deployments::Deployments;
use crate::service::Service;
use crate::tags::Tags;

/// Every service.
pub(crate) fn all() -> Vec<Arc<dyn Service>> {
    vec![Arc::new(Authorization), Arc::new(Deployments), Arc::new(Tags)]
}
