//! Who may do what to the directory.
//!
//! ```text
//! read everything                                  every principal of the tenant
//! change and delete anything                       who may assign roles at `/` (administrators of the installation)
//! create applications and service principals       who may assign roles at `/` or in a subscription
//! change and delete an application, service        its owners: who created it, and whom they made owners
//!   principal or group that one owns
//! change one's own password                        every user
//! ```
//!
//! Whoever could change any credential could sign in as anybody, so that takes the right to give everybody everything.
//! To create something that has no right yet takes less: who may hand out rights in a subscription may also create whom
//! they hand them to, which is what `az ad sp create-for-rbac` does.
//!
//! Roles with conditions count for neither: who may assign some roles alone, or to some principals, would by another's
//! credentials come to what they may not assign.

use uuid::Uuid;
use wharf_metadata::directory::owners;
use wharf_metadata::subscriptions;
use wharf_model::ResourceId;

use crate::call::Call;
use crate::error::{Code, GraphError};

impl Call {
    /// Lets administrators of the installation pass.
    pub(crate) async fn require_administrator(&self) -> Result<(), GraphError> {
        if self.is_administrator().await? { Ok(()) } else { Err(denied()) }
    }

    /// Lets those pass who may create applications.
    pub(crate) async fn require_registrar(&self) -> Result<(), GraphError> {
        if self.is_administrator().await? {
            return Ok(());
        }
        for subscription in self.database.read(|c| Box::pin(subscriptions::list(c))).await? {
            let scope = ResourceId::of_subscription(subscription.id);
            if self.identity.may_act_unconditionally(&self.caller, ASSIGN_ROLES, &scope).await? {
                return Ok(());
            }
        }
        Err(denied())
    }

    /// Lets those pass who manage all of these objects: administrators, and who owns one of them.
    pub(crate) async fn require_manager(&self, objects: &[Uuid]) -> Result<(), GraphError> {
        for &object in objects {
            if self.owns(object).await? {
                return Ok(());
            }
        }
        self.require_administrator().await
    }

    async fn owns(&self, object: Uuid) -> Result<bool, GraphError> {
        let caller = self.caller.id;
        Ok(self.database.read(move |c| Box::pin(owners::is_owner(c, object, caller))).await?)
    }

    async fn is_administrator(&self) -> Result<bool, GraphError> {
        Ok(self.identity.may_act_unconditionally(&self.caller, ASSIGN_ROLES, &ResourceId::root()).await?)
    }
}

fn denied() -> GraphError {
    GraphError::new(Code::Denied, "Insufficient privileges to complete the operation.")
}

/// The right to hand out rights.
const ASSIGN_ROLES: &str = "Microsoft.Authorization/roleAssignments/write";
