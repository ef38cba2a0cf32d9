//! A directory with an administrator, a subscription owner, a reader and a user, and a client for each.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use wharf_graph::Graph;
use wharf_identity::directory::{NewClient, NewSecret, NewUser};
use wharf_identity::{Identity, PrincipalGrant, SealingKey, SystemRandom, TokenStyle};
use wharf_metadata::directory::Properties;
use wharf_metadata::subscriptions::{self, SubscriptionRow, TenantRow};
use wharf_metadata::{Database, DatabaseUrl, RoleAssignmentRow, roles};
use wharf_model::{
    AccessNote, Client, Clock, Endpoints, FakeClock, LoginServers, PrincipalId, RequestContext, ResourceId, Timestamp,
};

pub(crate) const TENANT: Uuid = Uuid::from_u128(0x7a);
pub(crate) const SUBSCRIPTION: Uuid = Uuid::from_u128(0x5b);
pub(crate) const PASSWORD: &str = "correct horse battery";
const GRAPH: &str = "https://localhost:5443/graph";

pub(crate) struct World {
    pub(crate) graph: Graph,
    pub(crate) identity: Identity,
    pub(crate) database: Database,
    pub(crate) clock: Arc<FakeClock>,
    _directory: TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) note: AccessNote,
    pub(crate) body: Value,
}

/// Somebody who calls.
#[derive(Clone)]
pub(crate) struct Caller<'w> {
    world: &'w World,
    pub(crate) id: PrincipalId,
    token: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let database = Database::open(&DatabaseUrl::Sqlite(directory.path().join("wharf.db"))).await.unwrap();
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix_seconds(1_790_000_000)));
        let identity = Identity::new(database.clone(), Arc::new(SealingKey::ephemeral(&SystemRandom)), clock.clone());
        identity.start().await.unwrap();
        let (display_name, created_at): (String, _) = ("default".into(), clock.now());
        let tenant = TenantRow {
            id: TENANT,
            display_name: display_name.clone(),
            default_domain: "wharf.localhost".into(),
            created_at,
        };
        let subscription = SubscriptionRow { id: SUBSCRIPTION, tenant_id: TENANT, display_name, created_at };
        database
            .write(move |c| {
                Box::pin(async move {
                    subscriptions::insert_tenant(c, &tenant).await?;
                    subscriptions::insert(c, &subscription).await
                })
            })
            .await
            .unwrap();
        let login_servers = Arc::new(LoginServers::new("wharf.localhost", 5443, None));
        let graph = Graph::new(identity.clone(), database.clone(), clock.clone(), login_servers);
        Self { graph, identity, database, clock, _directory: directory }
    }

    /// An application that is Owner of everything.
    pub(crate) async fn administrator(&self) -> Caller<'_> {
        let caller = self.application("admin").await;
        self.assign(caller.id, OWNER, ResourceId::root()).await;
        caller
    }

    /// An application that is Owner of the subscription.
    pub(crate) async fn subscription_owner(&self) -> Caller<'_> {
        let caller = self.application("team").await;
        self.assign(caller.id, OWNER, ResourceId::of_subscription(SUBSCRIPTION)).await;
        caller
    }

    /// An application without any role.
    pub(crate) async fn application(&self, name: &str) -> Caller<'_> {
        let (identity, now, name) = (self.identity.clone(), self.clock.now(), name.to_owned());
        let created = self
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    let secret = Some(NewSecret::default());
                    let new = NewClient { tenant_id: TENANT, display_name: name, app_id: None, secret, now };
                    identity.create_client(c, new).await
                })
            })
            .await
            .unwrap();
        self.caller(created.principal.id, GRAPH).await
    }

    /// A person without any role.
    pub(crate) async fn user(&self, name: &str) -> Caller<'_> {
        let new = NewUser {
            tenant_id: TENANT,
            user_name: format!("{name}@example.com"),
            display_name: name.into(),
            password: Some(PASSWORD.into()),
            must_change_password: false,
            is_enabled: true,
            properties: Properties::new(),
        };
        let id = self.identity.create_user(new).await.unwrap().id;
        self.caller(id, GRAPH).await
    }

    pub(crate) async fn caller(&self, id: PrincipalId, audience: &str) -> Caller<'_> {
        let signed_in = self.identity.find_signed_in(id).await.unwrap().unwrap();
        let grant = PrincipalGrant {
            principal: &signed_in.principal,
            generation: signed_in.generation,
            audience,
            issuer: "https://localhost:5443/adfs",
            client_id: "test",
            style: TokenStyle::Secret,
        };
        let token = self.identity.issue_principal_token(&grant).await.unwrap().token;
        Caller { world: self, id, token }
    }

    /// Somebody with this token, or nobody.
    pub(crate) fn bearer(&self, token: &str) -> Caller<'_> {
        Caller { world: self, id: PrincipalId(Uuid::nil()), token: token.to_owned() }
    }

    pub(crate) async fn assign(&self, principal_id: PrincipalId, role: u128, scope: ResourceId) {
        self.assign_if(principal_id, role, scope, None).await;
    }

    /// Assigns a role, which counts when a condition holds.
    pub(crate) async fn assign_if(
        &self,
        principal_id: PrincipalId,
        role: u128,
        scope: ResourceId,
        condition: Option<&str>,
    ) {
        let row = RoleAssignmentRow {
            id: Uuid::new_v4(),
            scope,
            principal_id,
            principal_type: "ServicePrincipal".into(),
            role_id: Uuid::from_u128(role),
            condition: condition.map(str::to_owned),
            condition_version: condition.map(|_| "2.0".to_owned()),
            description: None,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
            created_by: String::new(),
            updated_by: String::new(),
        };
        let inserted =
            self.database.write_access(move |c| Box::pin(async move { roles::insert_assignment(c, &row).await })).await;
        assert!(inserted.unwrap());
    }
}

impl Caller<'_> {
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let path =
            path.strip_prefix(GRAPH).map_or_else(|| format!("/graph/v1.0{path}"), |rest| format!("/graph{rest}"));
        let mut request = Request::builder().method(method).uri(path);
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let context = RequestContext {
            request_id: Uuid::from_u128(9),
            client: Client { address: [192, 0, 2, 1].into(), is_private: false },
            endpoints: Arc::new(Endpoints {
                management: "https://localhost:5443".into(),
                login: "https://localhost:5443".into(),
                graph: GRAPH.into(),
                portal: "https://localhost:5443/portal".into(),
            }),
        };
        let response = self.world.graph.serve(context, request.body(body).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        let note = parts.extensions.get::<AccessNote>().expect("every response has a note").clone();
        Answer { status: parts.status, headers: parts.headers, note, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await.expect(StatusCode::OK)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// All objects of a list, page by page.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let page = self.get(&path).await;
            found.extend(page["value"].as_array().unwrap().iter().cloned());
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
        }
        found
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The word of the error.
    #[track_caller]
    pub(crate) fn refused(self, status: StatusCode) -> String {
        let body = self.expect(status);
        assert!(body["error"]["message"].is_string(), "{body}");
        body["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// `$filter=…`, encoded.
pub(crate) fn filter(filter: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("$filter", filter);
    query.finish()
}

pub(crate) fn names(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["displayName"].as_str().unwrap()).collect()
}

/// The built-in roles Owner, Role Based Access Control Administrator and Reader.
pub(crate) const OWNER: u128 = 0x8e3af657_a8ff_443c_a75c_2fe8c4bcb635;
pub(crate) const ACCESS_ADMINISTRATOR: u128 = 0xf58310d9_a9f6_439a_9e8d_f62e7b41a168;
pub(crate) const READER: u128 = 0xacdd72a7_3385_48ef_bd42_f606fba81ae7;
