//! How long the hot paths of identity take, on one thread: `cargo run --release -p wharf-identity --example verify`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use uuid::Uuid;
use wharf_identity::{Credentials, Identity, SealingKey, SystemRandom};
use wharf_metadata::{Database, RegistryRow};
use wharf_model::{Clock, RegistryId, RegistryUid, Scope, SystemClock};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let directory = tempfile::tempdir().expect("a directory for temporary files can be written to");
    let address = format!("sqlite:{}", directory.path().join("wharf.db").display());
    let database = Database::open(&address.parse().expect("the address is well formed")).await.expect("SQLite opens");
    let sealing = Arc::new(SealingKey::ephemeral(&SystemRandom));
    let identity = Identity::new(database, sealing, Arc::new(SystemClock));
    identity.start().await.expect("the signing key can be made");

    let uid = RegistryUid(Uuid::new_v4());
    let made = identity.new_admin_credentials(uid, None).expect("passwords can be generated");
    let now = SystemClock.now();
    let registry = RegistryRow {
        id: RegistryId(1),
        uid,
        name: "contoso".parse().expect("the name is well formed"),
        sku: "Premium".to_owned(),
        admin_user_enabled: true,
        anonymous_pull_enabled: false,
        admin_passwords: made.sealed,
        credentials_generation: 1,
        created_at: now,
        updated_at: now,
        resource_id: wharf_model::ResourceId::root(),
        settings: Default::default(),
    };
    let basic = Credentials::Basic { username: "contoso", password: made.passwords[0].expose_secret() };
    let scopes: Vec<Scope> = vec!["repository:team/app:pull,push".parse().expect("the scope is well formed")];
    let admin = identity.authenticate(&registry, basic, None).await.expect("the password is right");
    let issue = || async {
        let token = identity.access_token(&registry, "contoso.example.com", &admin, &scopes).await;
        token.expect("the token can be signed")
    };

    let mut tokens = Vec::new();
    let issuing = time(200, async |_| tokens.push(issue().await)).await;
    println!("a token has {} bytes", tokens[0].len());
    print("access token, issued", issuing);
    let bearer = async |token: &String| {
        let caller = identity.authenticate(&registry, Credentials::Bearer(token), None).await;
        black_box(caller.expect("the token is valid"));
    };
    print("bearer, first time", time(200, async |index| bearer(&tokens[index]).await).await);
    print("bearer, seen before", time(20_000, async |_| bearer(&tokens[0]).await).await);
    let password = time(20_000, async |_| {
        black_box(identity.authenticate(&registry, basic, None).await.expect("the password is right"));
    });
    print("Basic", password.await);
}

/// Does something so many times and returns the time that each took, in rising order.
async fn time(times: usize, mut run: impl AsyncFnMut(usize)) -> Vec<Duration> {
    let mut spans = Vec::with_capacity(times);
    for index in 0..times {
        let start = Instant::now();
        run(index).await;
        spans.push(start.elapsed());
    }
    spans.sort_unstable();
    spans
}

fn print(what: &str, spans: Vec<Duration>) {
    let micros = |share: usize| spans[(spans.len() - 1) * share / 100].as_secs_f64() * 1e6;
    println!("{what:<22} median {:8.2} µs   99th of 100 {:8.2} µs", micros(50), micros(99));
}
