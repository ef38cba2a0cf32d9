//! May a principal do this on the management plane?

use wharf_model::ResourceId;

use crate::identity::Identity;
use crate::{Error, Principal};

impl Identity {
    /// Whether a principal may do `operation`, such as `Microsoft.ContainerRegistry/registries/write`, to what `scope` names.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_act(&self, principal: &Principal, operation: &str, scope: &ResourceId) -> Result<bool, Error> {
        let _ = (principal, operation, scope);
        Ok(false)
    }
}
