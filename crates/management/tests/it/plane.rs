//! The plane under test: on a temporary database, with a clock that moves only when told to, a subscription and the
//! resource group `default`.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use wharf_arm::ArmError;
use wharf_blobs::FileStore;
use wharf_identity::{Caller, Credentials, Identity, SealingKey, SystemRandom};
use wharf_management::{Actor, Answer, Failure, Management};
use wharf_metadata::subscriptions::{self, SubscriptionRow, TenantRow};
use wharf_metadata::{Database, DatabaseUrl, RegistryRow, registries};
use wharf_model::{Clock, FakeClock, LoginServers, ResourceId, Timestamp};
use wharf_registry::{Artifacts, Settings};

pub(crate) struct Plane {
    pub(crate) management: Management,
    pub(crate) clock: Arc<FakeClock>,
    _directory: TempDir,
}

/// The id of the subscription.
pub(crate) const SUBSCRIPTION: &str = "7a1f0a52-0000-4000-8000-000000000001";

impl Plane {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("wharf.db"));
        let database = Database::open(&url).await.unwrap();
        let blobs = FileStore::open(directory.path().join("blobs")).unwrap();
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix_seconds(1_790_000_000)));
        let sealing = Arc::new(SealingKey::ephemeral(&SystemRandom));
        let identity = Identity::new(database.clone(), sealing, clock.clone());
        identity.start().await.unwrap();
        let artifacts = Artifacts::new(database.clone(), Arc::new(blobs), clock.clone(), Settings::default(), &[7; 32]);
        let login_servers = Arc::new(LoginServers::new("example.com", 443, None));
        let management = Management::new(artifacts, identity, clock.clone(), login_servers);

        let now = clock.now();
        let (name, tenant_id) = ("default".to_owned(), Uuid::new_v4());
        let tenant = TenantRow {
            id: tenant_id,
            display_name: name.clone(),
            default_domain: "example.com".into(),
            created_at: now,
        };
        let subscription =
            SubscriptionRow { id: SUBSCRIPTION.parse().unwrap(), tenant_id, display_name: name, created_at: now };
        let made = database.write(move |c| {
            Box::pin(async move {
                subscriptions::insert_tenant(c, &tenant).await?;
                subscriptions::insert(c, &subscription).await
            })
        });
        made.await.unwrap();
        let plane = Self { management, clock, _directory: directory };
        plane.put("", json!({"location": "eastus"})).await.unwrap();
        plane
    }

    /// An id in the resource group: `registries/contoso/tokens/agent`, or the group's own when `path` is empty.
    pub(crate) fn id(path: &str) -> ResourceId {
        let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/default");
        let text =
            if path.is_empty() { group } else { format!("{group}/providers/Microsoft.ContainerRegistry/{path}") };
        text.parse().unwrap()
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Result<Answer, ArmError> {
        self.as_operator(async |cx| self.management.put(&cx, &Self::id(path), object(body)).await).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Result<Answer, ArmError> {
        self.as_operator(async |cx| self.management.patch(&cx, &Self::id(path), object(body)).await).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, ArmError> {
        self.as_operator(async |cx| self.management.get(&cx, &Self::id(path)).await).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, ArmError> {
        self.as_operator(async |cx| self.management.delete(&cx, &Self::id(path)).await).await
    }

    pub(crate) async fn act(&self, path: &str, action: &str, body: Value) -> Result<Answer, ArmError> {
        self.as_operator(async |cx| self.management.act(&cx, &Self::id(path), action, object(body)).await).await
    }

    /// The resources of this type in a resource.
    pub(crate) async fn list(&self, path: &str, kind: &str) -> Result<Vec<Value>, ArmError> {
        let kind = format!("Microsoft.ContainerRegistry/{kind}");
        self.as_operator(async |cx| self.management.list(&cx, &Self::id(path), &kind).await).await
    }

    /// Makes a registry of this tier.
    pub(crate) async fn registry(&self, name: &str, sku: &str) {
        let body = json!({"location": "eastus", "sku": {"name": sku}, "properties": {}});
        self.put(&format!("registries/{name}"), body).await.unwrap();
    }

    /// The registry's row, as the data plane reads it.
    pub(crate) async fn row(&self, name: &str) -> RegistryRow {
        let name = name.parse().unwrap();
        let found =
            self.management.database().read(move |c| Box::pin(async move { registries::find_by_name(c, &name).await }));
        found.await.unwrap().expect("the registry is there")
    }

    /// Who signs in to a registry with this name and password; `None` if nobody does.
    pub(crate) async fn sign_in(&self, registry: &str, username: &str, password: &str) -> Option<Arc<Caller>> {
        let row = self.row(registry).await;
        let credentials = Credentials::Basic { username, password };
        self.management.identity().authenticate(&row, credentials, None).await.ok()
    }

    async fn as_operator<T>(
        &self,
        work: impl AsyncFnOnce(wharf_management::Cx) -> Result<T, Failure>,
    ) -> Result<T, ArmError> {
        work(self.management.cx(Actor::Operator)).await.map_err(|failure| {
            assert!(!failure.error().status.is_server_error(), "{}", wharf_model::error_chain(&failure));
            failure.error().clone()
        })
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value} is no object") };
    object
}
