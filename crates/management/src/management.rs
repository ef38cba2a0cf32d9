//! The handle to the management plane.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use uuid::Uuid;
use wharf_arm::ArmError;
use wharf_identity::Identity;
use wharf_metadata::{Connection, Database, Work, subscriptions};
use wharf_model::{Clock, LoginServers, ResourceId};
use wharf_registry::Artifacts;
use wharf_replication::cache::Cache;

use crate::catalogue::{Catalogue, Entry};
use crate::cx::{Actor, Cx};
use crate::failure::Failure;
use crate::{deployments, kinds, services};

/// Azure Resource Manager: over HTTP ([`Self::serve`]) and in process. Clones share everything.
#[derive(Clone)]
pub struct Management(Arc<Plane>);

struct Plane {
    artifacts: Artifacts,
    identity: Identity,
    clock: Arc<dyn Clock>,
    login_servers: Arc<LoginServers>,
    catalogue: Catalogue,
    tenant: OnceCell<Uuid>,
    patience: Duration,
    /// The artifact cache, where there is one.
    cache: OnceLock<Cache>,
    /// Subscriptions that are known to be there; none is ever removed.
    subscriptions: Mutex<HashSet<Uuid>>,
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
        Self::with_patience(artifacts, identity, clock, login_servers, PATIENCE)
    }

    /// The same, with another time that a request waits for a deletion before it answers that it goes on.
    #[must_use]
    pub fn with_patience(
        artifacts: Artifacts,
        identity: Identity,
        clock: Arc<dyn Clock>,
        login_servers: Arc<LoginServers>,
        patience: Duration,
    ) -> Self {
        let catalogue = Catalogue::new(kinds::all(), services::all());
        Self(Arc::new(Plane {
            artifacts,
            identity,
            clock,
            login_servers,
            catalogue,
            tenant: OnceCell::new(),
            patience,
            cache: OnceLock::new(),
            subscriptions: Mutex::default(),
        }))
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

    /// Lets the artifact cache hear of rules that change, and try credential sets.
    pub fn use_cache(&self, cache: Cache) {
        // The first stays: there is one in a process.
        let _ = self.0.cache.set(cache);
    }

    /// The artifact cache; a command has none.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.0.cache.get()
    }

    /// A request that did not come over HTTP.
    #[must_use]
    pub fn cx(&self, actor: Actor) -> Cx {
        Cx { actor, now: self.0.clock.now(), api_version: String::new(), request: None, management: self.clone() }
    }

    /// The installation's tenant.
    ///
    /// # Errors
    /// When there is none yet, or the database fails.
    pub async fn tenant_id(&self) -> Result<Uuid, Failure> {
        let look = || async {
            let tenants = self.database().read(|c| Box::pin(subscriptions::list_tenants(c))).await?;
            let first = tenants.first().ok_or_else(ArmError::internal)?;
            Ok::<_, Failure>(first.id)
        };
        self.0.tenant.get_or_try_init(look).await.copied()
    }

    /// Upkeep, to be run at the start and every few minutes: goes on with what was left half done, and forgets what nobody
    /// asks for any more. Safe to run on every node at the same time.
    ///
    /// # Errors
    /// When the database fails; what could not be done is done the next time.
    pub async fn resume(&self) -> Result<(), Failure> {
        self.forget_operations().await?;
        deployments::recover(self).await?;
        self.resume_deletions().await
    }

    /// How long a request waits for a deletion before it answers that it goes on.
    pub(crate) fn patience(&self) -> Duration {
        self.0.patience
    }

    /// What there is.
    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    /// The kind of a resource.
    pub(crate) fn kind_of(&self, id: &ResourceId) -> Option<&Arc<Entry>> {
        self.catalogue().find_kind(&id.resource_type()?)
    }

    /// Runs `work` in a transaction, which starts a new version of who may do what if it changes that.
    pub(crate) async fn transact<T: Send + 'static>(
        &self,
        changes_access: bool,
        work: impl for<'c> FnOnce(&'c mut Connection) -> Work<'c, T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        if changes_access { self.database().write_access(work).await } else { self.database().write(work).await }
    }

    /// Refuses subscriptions that are not there.
    pub(crate) async fn require_subscription(&self, id: &str) -> Result<(), Failure> {
        let missing = || ArmError::subscription_not_found(id);
        let id: Uuid = id.parse().map_err(|_| missing())?;
        let known = || self.0.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&id) {
            return Ok(());
        }
        let found = self.database().read(move |c| Box::pin(subscriptions::find(c, id))).await?;
        found.ok_or_else(missing)?;
        known().insert(id);
        Ok(())
    }
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management").finish_non_exhaustive()
    }
}

/// How long a request waits for a deletion, unless said otherwise: not so long that anything on the way gives up.
const PATIENCE: Duration = Duration::from_secs(2);
