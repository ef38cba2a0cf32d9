//! The plane under test, and callers of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use uuid::Uuid;
use wharf_identity::directory::NewClient;
use wharf_identity::{PrincipalGrant, TokenStyle};
use wharf_management::{Actor, Cx, Management};
use wharf_metadata::resources::{ResourceRow, Stamp};
use wharf_metadata::roles::{self, RoleAssignmentRow};
use wharf_model::{AccessNote, Client, Clock as _, Endpoints, PrincipalId, RequestContext, ResourceId, Timestamp};
use wharf_testkit::{Options, TestServer};

/// [`TestServer::TENANT`].
pub(crate) const TENANT: Uuid = uuid::uuid!("00000000-0000-4000-8000-00000000000a");
pub(crate) const SUBSCRIPTION: &str = TestServer::SUBSCRIPTION;
/// A subscription that is not there.
pub(crate) const NOWHERE: &str = "5ab00000-0000-4000-8000-00000000000f";
pub(crate) const HOST: &str = "https://management.example.com";

/// Roles by their documented ids.
pub(crate) const OWNER: Uuid = Uuid::from_u128(0x8e3a_f657_a8ff_443c_a75c_2fe8_c4bc_b635);
pub(crate) const READER: Uuid = Uuid::from_u128(0xacdd_72a7_3385_48ef_bd42_f606_fba8_1ae7);
pub(crate) const ACR_PULL: Uuid = Uuid::from_u128(0x7f95_1dda_4ed3_4680_a7ca_43fe_172d_538d);

/// A management plane with a tenant, a subscription and an owner.
pub(crate) struct Arm {
    pub(crate) server: TestServer,
    pub(crate) management: Management,
    owner: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) note: AccessNote,
}

impl Arm {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let server = TestServer::start_with(options).await;
        let management = server.management().clone();
        let mut arm = Self { server, management, owner: String::new() };
        arm.sign_in().await;
        arm
    }

    /// Gives the owner a new token, as after a while.
    pub(crate) async fn sign_in(&mut self) {
        let owner = self.server.identity().find_principal_by_app(TestServer::OWNER.parse().unwrap()).await.unwrap();
        self.owner = self.token(owner.unwrap().id, HOST).await;
    }

    /// The same, with a plane that waits for no deletion.
    pub(crate) fn impatient(self) -> Self {
        let management = Management::with_patience(
            self.server.artifacts().clone(),
            self.server.identity().clone(),
            self.server.clock().clone(),
            std::sync::Arc::new(wharf_model::LoginServers::new("example.com", 443, None)),
            std::time::Duration::ZERO,
        );
        Self { management, ..self }
    }

    /// A token of a new service principal with a role at a scope.
    pub(crate) async fn principal(&self, name: &str, role: Uuid, scope: &str) -> String {
        let (identity, now) = (self.server.identity().clone(), self.server.clock().now());
        let new = NewClient { tenant_id: TENANT, display_name: name.into(), app_id: None, secret: None, now };
        let created = self
            .management
            .database()
            .write_access(move |c| Box::pin(async move { identity.create_client(c, new).await }))
            .await
            .unwrap();
        self.assign(created.principal.id, role, scope).await;
        self.token(created.principal.id, HOST).await
    }

    /// The same, with a role of its own that allows these actions.
    pub(crate) async fn role(&self, name: &str, actions: &[&str], scope: &str) -> String {
        let role = Uuid::new_v4();
        let path = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let permissions = serde_json::json!([{"actions": actions}]);
        let properties = serde_json::json!({"roleName": name, "permissions": permissions, "assignableScopes": [scope]});
        let made = self.put(&path, serde_json::json!({"properties": properties})).await;
        assert_eq!(made.status, 201, "{made:?}");
        self.principal(name, role, scope).await
    }

    /// Gives a role.
    pub(crate) async fn assign(&self, principal_id: PrincipalId, role_id: Uuid, scope: &str) {
        let now = self.server.clock().now();
        let row = RoleAssignmentRow {
            id: Uuid::new_v4(),
            scope: scope.parse().unwrap(),
            principal_id,
            principal_type: "ServicePrincipal".into(),
            role_id,
            condition: None,
            condition_version: None,
            description: None,
            created_at: now,
            updated_at: now,
            created_by: String::new(),
            updated_by: String::new(),
        };
        let done = self
            .management
            .database()
            .write_access(move |c| Box::pin(async move { roles::insert_assignment(c, &row).await }));
        done.await.unwrap();
    }

    /// A token of a principal for an audience.
    pub(crate) async fn token(&self, id: PrincipalId, audience: &str) -> String {
        let signed_in = self.server.identity().find_signed_in(id).await.unwrap().unwrap();
        let client_id = signed_in.principal.app_id.unwrap_or_default().to_string();
        let grant = PrincipalGrant {
            principal: &signed_in.principal,
            generation: signed_in.generation,
            audience,
            issuer: "https://login.example.com/adfs",
            client_id: &client_id,
            style: TokenStyle::Secret,
        };
        self.server.identity().issue_principal_token(&grant).await.unwrap().token
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// The owner's requests.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(&self.owner, Method::GET, path, None).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(&self.owner, Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(&self.owner, Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(&self.owner, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(&self.owner, Method::DELETE, path, None).await
    }

    /// A request with somebody's token; a path without api-version gets one.
    pub(crate) async fn send(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut request = Request::builder().method(method).uri(with_version(path));
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.serve(request.body(body).unwrap()).await
    }

    /// Any request.
    pub(crate) async fn serve(&self, request: Request<Body>) -> Reply {
        let response = self.management.serve(context(), request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        let note = parts.extensions.get::<AccessNote>().expect("every response has a note").clone();
        Reply { status: parts.status, headers: parts.headers, body, note }
    }

    /// A request in process, by the operator.
    pub(crate) fn operator(&self) -> Cx {
        self.management.cx(Actor::Operator)
    }

    /// Makes a resource group.
    pub(crate) async fn group(&self, name: &str) -> String {
        let path = group(name);
        let reply = self.put(&path, serde_json::json!({"location": "eastus"})).await;
        assert!(reply.status.is_success(), "{reply:?}");
        path
    }

    /// Makes a managed identity: the smallest tracked resource.
    pub(crate) async fn identity(&self, group: &str, name: &str, tags: Value) -> String {
        let path = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
        let reply = self.put(&path, serde_json::json!({"location": "eastus", "tags": tags})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        path
    }
}

impl Reply {
    /// The code of an error.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The names of the items of a list.
    pub(crate) fn names(&self) -> Vec<&str> {
        let items = self.body["value"].as_array().unwrap_or_else(|| panic!("no list: {self:?}"));
        items.iter().map(|item| item["name"].as_str().unwrap()).collect()
    }
}

pub(crate) fn context() -> RequestContext {
    let endpoints = Endpoints {
        management: HOST.into(),
        login: "https://login.example.com".into(),
        graph: format!("{HOST}/graph"),
        portal: "https://portal.example.com".into(),
    };
    let client = Client { address: [127, 0, 0, 1].into(), is_private: false };
    RequestContext { request_id: Uuid::from_u128(7), client, endpoints: Arc::new(endpoints) }
}

/// The path of a group.
pub(crate) fn group(name: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}")
}

/// A resource's row and nothing else, which is cheap to write.
pub(crate) fn bare(id: ResourceId) -> ResourceRow {
    let stamp = Stamp { at: Timestamp(1), by: "operator".into(), by_type: "Key".into() };
    ResourceRow {
        row: 0,
        id,
        location: None,
        tags: BTreeMap::new(),
        sku: None,
        identity: None,
        properties: serde_json::Map::new(),
        etag: "1".into(),
        is_deleting: false,
        created: stamp.clone(),
        changed: stamp,
    }
}

pub(crate) fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

/// Appends an api-version that the path's type has.
fn with_version(path: &str) -> String {
    if path.contains("api-version") || path.ends_with(".json") {
        return path.to_owned();
    }
    let lower = path.to_ascii_lowercase();
    let version = if lower.contains("microsoft.containerregistry") {
        "2026-09-01-preview"
    } else if lower.contains("locks") {
        "2020-05-01"
    } else if lower.contains("managedidentity") {
        "2024-11-30"
    } else if lower.contains("authorization") {
        "2022-04-01"
    } else {
        "2022-09-01"
    };
    format!("{path}{}api-version={version}", if path.contains('?') { '&' } else { '?' })
}
