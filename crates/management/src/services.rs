//! The services that there are: what is answered by hand.

use std::sync::Arc;

use crate::authorization::Authorization;
use crate::service::Service;

/// Every service.
pub(crate) fn all() -> Vec<Arc<dyn Service>> {
    vec![Arc::new(Authorization)]
}
