//! The plane under test, for callers in process: everything is done as the operator, in the resource group `default`.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wharf_arm::ArmError;
use wharf_identity::{Caller, Credentials};
use wharf_management::{Actor, Answer, Cx, Failure, Management};
use wharf_metadata::{RegistryRow, registries};
use wharf_model::{FakeClock, ResourceId};
use wharf_testkit::TestServer;

pub(crate) struct Plane {
    pub(crate) management: Management,
    pub(crate) clock: Arc<FakeClock>,
    _server: TestServer,
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let server = TestServer::start().await;
        Self { management: server.management().clone(), clock: server.clock().clone(), _server: server }
    }

    /// An id in the resource group: `registries/contoso/tokens/agent`, or the group's own when `path` is empty.
    pub(crate) fn id(path: &str) -> ResourceId {
        let group = TestServer::GROUP;
        match path {
            "" => group.parse().unwrap(),
            path => format!("{group}/providers/Microsoft.ContainerRegistry/{path}").parse().unwrap(),
        }
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

    async fn as_operator<T>(&self, work: impl AsyncFnOnce(Cx) -> Result<T, Failure>) -> Result<T, ArmError> {
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
