//! What a request costs whose caller has roles, in a small installation and in a large one, on one thread:
//! `cargo run --release -p wharf-identity --example roles`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;
use wharf_identity::directory::{NewClient, NewGroup};
use wharf_identity::{Credentials, Exchanged, Identity, PrincipalGrant, SealingKey, SystemRandom, TokenStyle};
use wharf_metadata::{Database, NewRegistry, RegistryRow, RoleAssignmentRow, registries, roles};
use wharf_model::{Client, Clock, PrincipalId, RegistryUid, ResourceId, Scope, SystemClock};

const TENANT: Uuid = Uuid::from_u128(7);
const SUBSCRIPTION: Uuid = Uuid::from_u128(8);
const ACR_PUSH: Uuid = uuid::uuid!("8311e382-0749-4cb8-b61a-304f252e45ec");
const LOGIN_SERVER: &str = "r0.example.com";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (title, registries, assignments) in [
        ("1 registry, 1,000 role assignments", 1, 1_000),
        ("10,000 registries, 100,000 role assignments", 10_000, 100_000),
    ] {
        println!("{title}");
        measure(registries, assignments).await;
    }
}

async fn measure(registries: usize, assignments: usize) {
    let directory = tempfile::tempdir().expect("a directory for temporary files can be written to");
    let address = format!("sqlite:{}", directory.path().join("wharf.db").display());
    let database = Database::open(&address.parse().expect("the address is well formed")).await.expect("SQLite opens");
    let sealing = Arc::new(SealingKey::ephemeral(&SystemRandom));
    let identity = Identity::new(database.clone(), sealing, Arc::new(SystemClock));
    identity.start().await.expect("the signing key can be made");
    let registry = fill(&database, &identity, registries, assignments).await;
    let client = Some(Client { address: [192, 0, 2, 1].into(), is_private: false });
    let scopes: Vec<Scope> = vec!["repository:team/app:pull,push".parse().expect("the scope is well formed")];

    let pusher = principal(&database, &identity).await;
    let refresh = exchange(&identity, &registry, pusher, client).await;
    let mut tokens = Vec::new();
    let granting = time(2_000, async |_| {
        let caller = identity.authenticate(&registry, Credentials::RefreshToken(&refresh), client).await;
        let caller = caller.expect("the refresh token is valid");
        let token = identity.access_token(&registry, LOGIN_SERVER, &caller, &scopes).await;
        tokens.push(token.expect("the token can be signed"));
    })
    .await;
    let total: f64 = granting.iter().map(Duration::as_secs_f64).sum();
    print("refresh grant", &granting);
    println!("  {:<42} {:8.0} a second", "", granting.len() as f64 / total);

    let bearer = async |token: &str| {
        black_box(identity.authenticate(&registry, Credentials::Bearer(token), client).await.expect("it is valid"));
    };
    print("bearer, first time", &time(1_000, async |index| bearer(&tokens[index]).await).await);
    print("bearer, seen before", &time(50_000, async |_| bearer(&tokens[0]).await).await);
    let after_change = time(200, async |_| {
        let start = Instant::now();
        touch(&database).await;
        let spent = start.elapsed();
        bearer(&tokens[0]).await;
        spent
    });
    print("bearer, after somebody's access changed", &after_change.await);

    let mut strangers = Vec::new();
    for _ in 0..200 {
        let stranger = principal(&database, &identity).await;
        let refresh = exchange(&identity, &registry, stranger, client).await;
        let caller =
            identity.authenticate(&registry, Credentials::RefreshToken(&refresh), client).await.expect("valid");
        strangers.push(identity.access_token(&registry, LOGIN_SERVER, &caller, &scopes).await.expect("signed"));
    }
    touch(&database).await;
    print(
        "bearer, first of a principal not yet known",
        &time(200, async |index| bearer(&strangers[index]).await).await,
    );

    let known = identity.find_principal(pusher).await.expect("the database is there").expect("it was made");
    let read = "Microsoft.ContainerRegistry/registries/read";
    let acting = time(20_000, async |_| {
        black_box(identity.may_act(&known, read, &registry.resource_id).await.expect("the database is there"));
    });
    print("may_act, asked before", &acting.await);
    let ids: Vec<ResourceId> = (0..registries).map(registry_id).collect();
    let reaching = time(20, async |_| {
        let reach = identity.reach(&known, read).await.expect("the database is there");
        black_box(ids.iter().filter(|id| reach.covers(id)).count());
    });
    print("may_act, of all registries", &reaching.await);
}

/// Registries, and assignments to others at all of them.
async fn fill(database: &Database, identity: &Identity, registries: usize, assignments: usize) -> RegistryRow {
    let uid = RegistryUid(Uuid::new_v4());
    let made = identity.new_admin_credentials(uid, None).expect("passwords can be generated");
    let sealed = made.sealed;
    let write = database.write_access(move |c| {
        Box::pin(async move {
            for number in 0..registries {
                let new = NewRegistry {
                    uid: if number == 0 { uid } else { RegistryUid(Uuid::new_v4()) },
                    name: format!("registry{number}").parse().expect("the name is well formed"),
                    sku: "Premium".to_owned(),
                    admin_user_enabled: false,
                    anonymous_pull_enabled: false,
                    admin_passwords: sealed.clone(),
                    created_at: SystemClock.now(),
                    resource_id: registry_id(number),
                    settings: Default::default(),
                };
                registries::insert(c, &new).await?;
            }
            for number in 0..assignments {
                let to = PrincipalId(Uuid::from_u128(1_000_000 + number as u128 / 20));
                roles::insert_assignment(c, &assignment(to, registry_id(number % registries), number)).await?;
            }
            registries::find_by_name(c, &"registry0".parse().expect("the name is well formed")).await
        })
    });
    write.await.expect("the database can be written").expect("the registry was made")
}

/// A service principal in ten groups, one of which may push to everything of the subscription.
async fn principal(database: &Database, identity: &Identity) -> PrincipalId {
    let now = SystemClock.now();
    let new = NewClient { tenant_id: TENANT, display_name: "ci".into(), app_id: None, secret: None, now };
    let maker = identity.clone();
    let made = database.write_access(move |c| Box::pin(async move { maker.create_client(c, new).await }));
    let id = made.await.expect("a client can be made").principal.id;
    for number in 0..10 {
        let new = NewGroup {
            tenant_id: TENANT,
            display_name: format!("group {number}"),
            properties: Default::default(),
            owners: vec![],
            members: vec![id],
        };
        let group = identity.create_group(new).await.expect("a group can be made").id;
        if number == 9 {
            let row = assignment(group, ResourceId::of_subscription(SUBSCRIPTION), 0);
            let row = RoleAssignmentRow { role_id: ACR_PUSH, ..row };
            let give = database.write_access(move |c| Box::pin(async move { roles::insert_assignment(c, &row).await }));
            assert!(give.await.expect("the database can be written"));
        }
    }
    id
}

async fn exchange(identity: &Identity, registry: &RegistryRow, id: PrincipalId, client: Option<Client>) -> String {
    let signed_in = identity.find_signed_in(id).await.expect("the database is there").expect("it was made");
    let grant = PrincipalGrant {
        principal: &signed_in.principal,
        generation: signed_in.generation,
        audience: "https://containerregistry.azure.net",
        issuer: "https://login.example.com",
        client_id: "client",
        style: TokenStyle::Secret,
    };
    let token = identity.issue_principal_token(&grant).await.expect("a token can be signed").token;
    let exchanged = Exchanged::AccessToken(&token);
    let done = identity.exchange(registry, LOGIN_SERVER, exchanged, None, client, |_| false).await;
    done.expect("the principal may push").1
}

/// Changes somebody else's access.
async fn touch(database: &Database) {
    let row = assignment(PrincipalId(Uuid::new_v4()), registry_id(0), 0);
    let give = database.write_access(move |c| Box::pin(async move { roles::insert_assignment(c, &row).await }));
    assert!(give.await.expect("the database can be written"));
}

fn assignment(principal_id: PrincipalId, scope: ResourceId, number: usize) -> RoleAssignmentRow {
    let every = every_role();
    RoleAssignmentRow {
        id: Uuid::new_v4(),
        scope,
        principal_id,
        principal_type: "ServicePrincipal".to_owned(),
        role_id: every[number % every.len()],
        condition: None,
        condition_version: None,
        description: None,
        created_at: SystemClock.now(),
        updated_at: SystemClock.now(),
        created_by: String::new(),
        updated_by: String::new(),
    }
}

fn every_role() -> Vec<Uuid> {
    wharf_access::built_in_roles().iter().map(|role| role.id).collect()
}

fn registry_id(number: usize) -> ResourceId {
    let group = ResourceId::of_subscription(SUBSCRIPTION).child("resourceGroups", &format!("g{}", number / 100));
    let group = group.expect("the name is well formed");
    group.resource("Microsoft.ContainerRegistry", "registries", &format!("registry{number}")).expect("it is an id")
}

/// What a run spent on something else.
trait Spent {
    fn spent(self) -> Duration;
}

impl Spent for () {
    fn spent(self) -> Duration {
        Duration::ZERO
    }
}

impl Spent for Duration {
    fn spent(self) -> Duration {
        self
    }
}

/// Does something so many times and returns the time that each took, in rising order.
async fn time<S: Spent>(times: usize, mut run: impl AsyncFnMut(usize) -> S) -> Vec<Duration> {
    let mut spans = Vec::with_capacity(times);
    for index in 0..times {
        let start = Instant::now();
        let other = run(index).await.spent();
        spans.push(start.elapsed().saturating_sub(other));
    }
    spans.sort_unstable();
    spans
}

fn print(what: &str, spans: &[Duration]) {
    let micros = |share: usize| spans[(spans.len() - 1) * share / 100].as_secs_f64() * 1e6;
    println!("  {what:<42} median {:8.2} µs   99th of 100 {:8.2} µs", micros(50), micros(99));
}
