//! The installation under test.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use tempfile::TempDir;
use uuid::Builder;
use wharf_blobs::FileStore;
use wharf_data_plane::{DataPlane, DataPlaneConfig, RequestHost};
use wharf_graph::Graph;
use wharf_identity::secrets::Secrets;
use wharf_identity::{Egress, Identity, PrincipalGrant, SealingKey, SignedIn, SystemRandom, TokenStyle};
use wharf_jobs::{Runner, RunnerSettings};
use wharf_login::Login;
use wharf_management::Management;
use wharf_metadata::registries::RegistryChange;
use wharf_metadata::{Database, DatabaseUrl, NewRegistry, RegistryRow, RegistrySettings, registries};
use wharf_model::{
    Action, Clock, FakeClock, LoginServers, PrincipalId, RegistryName, RegistryUid, ResourceId, Timestamp,
};
use wharf_registry::{Artifacts, Settings};
use wharf_replication::cache::{Cache, CacheSettings};
use wharf_upstream::{UpstreamSettings, Upstreams};

use crate::client::Client;
use crate::installation;
use crate::service::{self, Service, ServiceClient};
use crate::workers::workers;

/// An installation with one registry, `wharf`, whose admin user is on and has the password [`TestServer::PASSWORD`]; a
/// tenant, a subscription with a resource group `default`, and an application that is Owner of everything.
pub struct TestServer {
    plane: DataPlane,
    management: Management,
    graph: Graph,
    login: Login,
    owner: PrincipalId,
    artifacts: Artifacts,
    identity: Identity,
    cache: Cache,
    clock: Arc<FakeClock>,
    base_url: Option<String>,
    uids: AtomicU64,
    runner: Runner,
    /// Holds the database and the blobs; removed with the server.
    directory: TempDir,
}

/// What may be different from one test to another.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The settings of artifacts.
    pub settings: Settings,
    /// The settings of the data plane.
    pub data_plane: DataPlaneConfig,
    /// The settings of the artifact cache.
    pub cache: CacheSettings,
    /// Which internal addresses other registries may be at; none by default.
    pub egress: Egress,
    /// The settings of other registries.
    pub upstreams: UpstreamSettings,
    /// Scheme and host that requests come by; `https://<registry>.example.com` if not given.
    pub base_url: Option<String>,
}

impl TestServer {
    /// The admin password of every registry.
    pub const PASSWORD: &str = "correct-horse-battery-staple";
    /// The registry that is there from the start.
    pub const REGISTRY: &str = "wharf";
    /// The tenant.
    pub const TENANT: &str = installation::TENANT;
    /// The subscription.
    pub const SUBSCRIPTION: &str = installation::SUBSCRIPTION;
    /// The id of the resource group `default`.
    pub const GROUP: &str = installation::GROUP;
    /// The owner's application id.
    pub const OWNER: &str = installation::OWNER;
    /// The owner's secret.
    pub const OWNER_SECRET: &str = installation::OWNER_SECRET;

    /// An installation with the usual settings.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// An installation with settings of its own.
    pub async fn start_with(options: Options) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let database = Database::open(&DatabaseUrl::Sqlite(directory.path().join("wharf.db")))
            .await
            .expect("a new database can be opened");
        let blobs = FileStore::open(directory.path().join("blobs")).expect("a new blob store can be opened");
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix_seconds(1_790_000_000)));
        let sealing = Arc::new(SealingKey::ephemeral(&SystemRandom));
        let identity = Identity::new(database.clone(), sealing.clone(), clock.clone());
        let secrets = Secrets::new(database.clone(), sealing, None, Arc::new(|_| None));
        identity.start().await.expect("identity starts on a new database");
        let artifacts = Artifacts::new(database, Arc::new(blobs), clock.clone(), options.settings, &[7; 32]);
        let login_servers = Arc::new(LoginServers::new("example.com", 443, None));
        let management = Management::new(artifacts.clone(), identity.clone(), clock.clone(), login_servers.clone());
        let graph = Graph::new(identity.clone(), artifacts.database().clone(), clock.clone(), login_servers);
        let login = Login::new(identity.clone(), "example.com");
        let owner = installation::create(&management, clock.now()).await;
        let upstreams = Upstreams::new(&options.egress, options.upstreams).expect("a client can be set up");
        let cache = Cache::new(artifacts.clone(), upstreams.clone(), secrets, clock.clone(), options.cache);
        management.use_cache(cache.clone());
        let plane = DataPlane::new(artifacts.clone(), identity.clone(), cache.clone(), options.data_plane);
        let workers = workers(&artifacts, &identity, &management, &upstreams, &(clock.clone() as Arc<dyn Clock>));
        let runner = artifacts.jobs().start(workers, RunnerSettings::default());
        let base_url = options.base_url;
        let uids = AtomicU64::new(1);
        let server = Self {
            plane,
            management,
            graph,
            login,
            owner,
            artifacts,
            identity,
            cache,
            clock,
            base_url,
            uids,
            runner,
            directory,
        };
        server.add_registry(Self::REGISTRY).await;
        server
    }

    /// Adds a registry with an admin user.
    pub async fn add_registry(&self, name: &str) -> Arc<RegistryRow> {
        self.add_registry_with(name, RegistrySettings::default()).await
    }

    /// Adds a registry with an admin user and settings of its own.
    pub async fn add_registry_with(&self, name: &str, settings: RegistrySettings) -> Arc<RegistryRow> {
        let name: RegistryName = name.parse().expect("tests name registries well");
        let number = self.uids.fetch_add(1, Ordering::Relaxed);
        let uid = RegistryUid(Builder::from_u128(u128::from(number)).into_uuid());
        let credentials = self
            .identity
            .new_admin_credentials(uid, Some(Self::PASSWORD.into()))
            .expect("the test password has a fair length");
        let new = NewRegistry {
            uid,
            name: name.clone(),
            sku: "Premium".to_owned(),
            admin_user_enabled: true,
            anonymous_pull_enabled: false,
            admin_passwords: credentials.sealed,
            created_at: self.clock.now(),
            resource_id: self.registry_id(name.as_str()),
            settings,
        };
        self.artifacts
            .database()
            .write(move |c| Box::pin(async move { registries::insert(c, &new).await }))
            .await
            .expect("a registry can be added")
            .expect("tests add a registry once");
        self.registry(name.as_str()).await
    }

    /// The id of a registry as a resource in the group `default`. Those of [`Self::add_registry`] have no resource by it:
    /// they are rows for the data plane.
    #[must_use]
    pub fn registry_id(&self, name: &str) -> ResourceId {
        let id = format!("{}/providers/Microsoft.ContainerRegistry/registries/{name}", Self::GROUP);
        id.parse().expect("a registry's id is the id of a resource")
    }

    /// A registry's row as it is now.
    pub async fn registry(&self, name: &str) -> Arc<RegistryRow> {
        let name = name.parse().expect("tests name registries well");
        self.artifacts.find_registry(&name).await.expect("the database can be read").expect("the registry was added")
    }

    /// Lets everybody pull from the registry `wharf`, or nobody without credentials.
    pub async fn set_anonymous_pull(&self, enabled: bool) {
        let registry = self.registry(Self::REGISTRY).await;
        let (id, now) = (registry.id, self.clock.now());
        let change = RegistryChange { anonymous_pull_enabled: enabled, ..RegistryChange::from(registry.as_ref()) };
        let database = self.artifacts.database();
        let written =
            database.write(move |c| Box::pin(async move { registries::update(c, id, &change, "test", now).await }));
        written.await.expect("the database can be written");
        self.artifacts.forget_registry(&registry.name);
    }

    /// A caller of the registry `wharf` without credentials.
    #[must_use]
    pub fn anonymous(&self) -> Client<'_> {
        Client::new(self, Self::REGISTRY, None)
    }

    /// The admin user of the registry `wharf`, with the password.
    #[must_use]
    pub fn admin(&self) -> Client<'_> {
        self.basic(Self::REGISTRY, Self::PASSWORD)
    }

    /// A caller of the registry `wharf` with this user name and password.
    #[must_use]
    pub fn basic(&self, username: &str, password: &str) -> Client<'_> {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        Client::new(self, Self::REGISTRY, Some(format!("Basic {pair}")))
    }

    /// A caller of the registry `wharf` with this bearer token.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Client<'_> {
        Client::new(self, Self::REGISTRY, Some(format!("Bearer {token}")))
    }

    /// A caller of the registry `wharf` with a token of the admin user for these actions on a repository.
    pub async fn token(&self, repository: &str, actions: &[Action]) -> Client<'_> {
        let actions: Vec<&str> = actions.iter().map(|action| action.as_str()).collect();
        self.token_for(&[&format!("repository:{repository}:{}", actions.join(","))]).await
    }

    /// A caller of the registry `wharf` with a token of the admin user for these scopes.
    pub async fn token_for(&self, scopes: &[&str]) -> Client<'_> {
        self.bearer(&self.admin_token(Self::REGISTRY, scopes).await)
    }

    /// An access token of a registry's admin user.
    pub async fn admin_token(&self, registry: &str, scopes: &[&str]) -> String {
        let registry = self.registry(registry).await;
        let name = registry.name.as_str();
        let credentials = wharf_identity::Credentials::Basic { username: name, password: Self::PASSWORD };
        let caller = self.identity.authenticate(&registry, credentials, None).await.expect("the admin user is let in");
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.parse().expect("tests write scopes well")).collect();
        let issued = self.identity.access_token(&registry, &format!("{name}.example.com"), &caller, &scopes).await;
        issued.expect("a token can be issued")
    }

    /// Answers a request for a registry, as the server would after it looked at the host.
    pub async fn serve(&self, registry: &str, request: Request<Body>) -> Response<Body> {
        self.serve_from(registry, LOCAL, request).await
    }

    /// Answers a request for a registry that came from `client`.
    pub async fn serve_from(
        &self,
        registry: &str,
        client: wharf_model::Client,
        request: Request<Body>,
    ) -> Response<Body> {
        let registry = self.registry(registry).await;
        let login_server = format!("{}.example.com", registry.name);
        let base_url = self.base_url.clone().unwrap_or_else(|| format!("https://{login_server}"));
        self.plane.serve(RequestHost { registry, login_server, base_url, client }, request).await
    }

    /// Answers a request to a service, as the server would after it looked at host and path.
    pub async fn serve_service(
        &self,
        service: Service,
        client: wharf_model::Client,
        request: Request<Body>,
    ) -> Response<Body> {
        let context = service::context(client);
        match service {
            Service::Management => self.management.serve(context, request).await,
            Service::Graph => self.graph.serve(context, request).await,
            Service::Login => self.login.serve(context, request).await,
        }
    }

    /// The owner of everything, who calls a service.
    pub async fn owner(&self, service: Service) -> ServiceClient<'_> {
        self.principal(service, self.owner).await
    }

    /// A principal who calls a service with a token for it.
    pub async fn principal(&self, service: Service, principal: PrincipalId) -> ServiceClient<'_> {
        let found = self.identity.find_signed_in(principal).await.expect("the database can be read");
        let SignedIn { principal, generation } = found.expect("the principal is there and enabled");
        let endpoints = service::endpoints();
        let audience = if service == Service::Graph { &endpoints.graph } else { &endpoints.management };
        let client_id = principal.app_id.map_or_else(String::new, |id| id.to_string());
        let grant = PrincipalGrant {
            principal: &principal,
            generation,
            audience,
            issuer: &endpoints.login,
            client_id: &client_id,
            style: TokenStyle::Secret,
        };
        let issued = self.identity.issue_principal_token(&grant).await.expect("a token can be issued");
        ServiceClient::new(self, service, Some(issued.token))
    }

    /// Somebody without a token who calls a service.
    #[must_use]
    pub fn nobody(&self, service: Service) -> ServiceClient<'_> {
        ServiceClient::new(self, service, None)
    }

    /// The management plane.
    #[must_use]
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// The use cases behind the data plane.
    #[must_use]
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// Who calls and may they.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The artifact cache.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The installation's clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<FakeClock> {
        &self.clock
    }

    /// Moves the clock. Jobs whose time has come run soon; see [`Self::settle_jobs`].
    pub fn advance(&self, span: Duration) {
        self.clock.advance(span);
        self.artifacts.jobs().wake();
    }

    /// Waits until no job is due or runs. Jobs run by themselves; this is for tests that look at what came of them.
    pub async fn settle_jobs(&self) {
        self.runner.settle().await.expect("the database can be read");
    }

    /// Where the database and the blobs are.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

/// Where requests come from unless a test says otherwise.
pub(crate) const LOCAL: wharf_model::Client =
    wharf_model::Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_private: false };

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer").field("directory", &self.directory).finish_non_exhaustive()
    }
}
