//! Who asks, and what a kind may use to answer.

use std::sync::Arc;

use wharf_identity::{Identity, Principal};
use wharf_metadata::Database;
use wharf_metadata::resources::Stamp;
use wharf_model::{LoginServers, PrincipalKind, RequestContext, ResourceId, Timestamp};
use wharf_registry::Artifacts;

use crate::failure::Failure;
use crate::management::Management;

/// Who asks.
#[derive(Clone, Debug)]
pub enum Actor {
    /// Somebody who signed in; roles decide.
    Principal(Arc<Principal>),
    /// The operator at the command line, and the server itself: may everything.
    Operator,
}

impl Actor {
    /// The name that `systemData` and refusals call them by.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Principal(principal) => match principal.app_id {
                Some(id) => id.to_string(),
                None => principal.name.clone(),
            },
            Self::Operator => "operator".to_owned(),
        }
    }

    /// The word of `createdByType`.
    #[must_use]
    pub fn type_word(&self) -> &'static str {
        match self {
            Self::Principal(principal) => principal.kind.system_data_word(),
            Self::Operator => "Key",
        }
    }

    /// The principal, if it is one.
    #[must_use]
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        match self {
            Self::Principal(principal) => Some(principal),
            Self::Operator => None,
        }
    }

    /// Whether they are a person.
    #[must_use]
    pub fn is_user(&self) -> bool {
        matches!(self, Self::Principal(principal) if principal.kind == PrincipalKind::User)
    }
}

/// A request on its way through the mechanism: who asks, when, and what can be used to answer. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Cx {
    /// Who asks.
    pub actor: Actor,
    /// When it is, for all that the request does.
    pub now: Timestamp,
    /// The api-version asked for; the newest when nobody was asked over HTTP.
    pub api_version: String,
    /// What the server knows of the request, if it came over HTTP.
    pub request: Option<RequestContext>,
    /// The management plane itself, for kinds that use others.
    pub management: Management,
}

impl Cx {
    /// Who is calling, and may they.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.management.identity()
    }

    /// The artifacts of all registries.
    #[must_use]
    pub fn artifacts(&self) -> &Artifacts {
        self.management.artifacts()
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        self.management.database()
    }

    /// The hosts of registries.
    #[must_use]
    pub fn login_servers(&self) -> &LoginServers {
        self.management.login_servers()
    }

    /// Whether the actor may do this: an operation such as `Microsoft.ContainerRegistry/registries/write` on a scope.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn may(&self, operation: &str, scope: &ResourceId) -> Result<bool, Failure> {
        match &self.actor {
            Actor::Operator => Ok(true),
            Actor::Principal(principal) => Ok(self.identity().may_act(principal, operation, scope).await?),
        }
    }

    /// Whether the actor has a role at a scope, at something in it, or at something that it is in.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub(crate) async fn sees(&self, scope: &ResourceId) -> Result<bool, Failure> {
        match &self.actor {
            Actor::Operator => Ok(true),
            Actor::Principal(principal) => Ok(self.identity().sees(principal, scope).await?),
        }
    }

    /// Refuses the actor unless they may do this.
    ///
    /// # Errors
    /// `AuthorizationFailed`, or that it cannot be found out.
    pub async fn require(&self, operation: &str, scope: &ResourceId) -> Result<(), Failure> {
        if self.may(operation, scope).await? {
            return Ok(());
        }
        let object_id = self.actor.principal().map_or_else(String::new, |principal| principal.id.to_string());
        Err(wharf_arm::ArmError::authorization_failed(&self.actor.name(), &object_id, operation, scope).into())
    }

    /// The same request, asked by somebody else: what the server does on its own account.
    #[must_use]
    pub fn with_actor(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// What `systemData` tells about a change made now.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { at: self.now, by: self.actor.name(), by_type: self.actor.type_word().to_owned() }
    }
}
