//! What expressions can learn of the deployment and its surroundings.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;
use wharf_model::{ResourceId, Timestamp};

/// What `deployment()`, `resourceGroup()`, `subscription()` and their like return, and what `utcNow()` and `newGuid()`
/// are made of.
#[derive(Clone)]
pub struct Environment {
    /// What is deployed to: a resource group or a subscription.
    pub scope: ResourceId,
    /// What `deployment()` returns.
    pub deployment: Value,
    /// What `resourceGroup()` returns; nothing in deployments to a subscription.
    pub resource_group: Option<Value>,
    /// What `subscription()` returns.
    pub subscription: Value,
    /// What `tenant()` returns.
    pub tenant: Value,
    /// What `environment()` returns.
    pub environment: Value,
    /// What `deployer()` returns.
    pub deployer: Value,
    /// The present instant.
    pub now: Timestamp,
    /// Where `newGuid()` comes from.
    pub new_guid: Arc<dyn Fn() -> Uuid + Send + Sync>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("scope", &self.scope).finish_non_exhaustive()
    }
}
