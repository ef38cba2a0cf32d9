//! The handle to the management plane.

use std::fmt;
use std::sync::Arc;

use wharf_identity::Identity;
use wharf_metadata::Database;
use wharf_model::{Clock, LoginServers};
use wharf_registry::Artifacts;

use crate::cx::{Actor, Cx};

/// Azure Resource Manager: over HTTP ([`Self::serve`]) and in process. Clones share everything.
#[derive(Clone)]
pub struct Management(Arc<Plane>);

struct Plane {
    artifacts: Artifacts,
    identity: Identity,
    clock: Arc<dyn Clock>,
    login_servers: Arc<LoginServers>,
}

impl Management {
    /// Puts the kinds and services that there are behind one door.
    #[must_use]
    pub fn new(
        artifacts: Artifacts,
        identity: Identity,
        clock: Arc<dyn Clock>,
        login_servers: Arc<LoginServers>,
    ) -> Self {
        Self(Arc::new(Plane { artifacts, identity, clock, login_servers }))
    }

    /// Who is calling, and may they.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The artifacts of all registries.
    #[must_use]
    pub fn artifacts(&self) -> &Artifacts {
        &self.0.artifacts
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        self.0.artifacts.database()
    }

    /// The hosts of registries.
    #[must_use]
    pub fn login_servers(&self) -> &LoginServers {
        &self.0.login_servers
    }

    /// A request that did not come over HTTP.
    #[must_use]
    pub fn cx(&self, actor: Actor) -> Cx {
        Cx { actor, now: self.0.clock.now(), api_version: String::new(), request: None, management: self.clone() }
    }
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management").finish_non_exhaustive()
    }
}
