//! The tenant that people and programs sign in to.

use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;
use wharf_metadata::subscriptions;

use crate::Error;
use crate::identity::Identity;

/// The installation's tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// Its domain, by which it can be named too.
    pub domain: String,
}

/// The tenant once it was read; it never changes.
#[derive(Default)]
pub(crate) struct KnownTenant(RwLock<Option<Arc<Tenant>>>);

impl Identity {
    /// The installation's tenant.
    ///
    /// # Errors
    /// [`Error::NoTenant`] before the first start has made it; or when the database fails.
    pub async fn tenant(&self) -> Result<Arc<Tenant>, Error> {
        let known = &self.parts().tenant.0;
        if let Some(tenant) = known.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(tenant);
        }
        let rows = self.parts().database.read(|c| Box::pin(subscriptions::list_tenants(c))).await?;
        let row = rows.into_iter().next().ok_or(Error::NoTenant)?;
        let tenant = Arc::new(Tenant { id: row.id, display_name: row.display_name, domain: row.default_domain });
        *known.write().unwrap_or_else(PoisonError::into_inner) = Some(tenant.clone());
        Ok(tenant)
    }
}
