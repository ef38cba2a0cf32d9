//! How long a token of a registry takes to sign in with its password, on one thread:
//! `cargo run --release -p wharf-identity --example registry_tokens`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use uuid::Uuid;
use wharf_identity::{Credentials, Identity, SealingKey, SystemRandom, TokenPasswordName, may};
use wharf_metadata::{Database, Error, NewRegistry, registries, scope_maps, tokens};
use wharf_model::{Action, Clock, RegistryUid, ResourceId, ResourceKind, SystemClock};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let directory = tempfile::tempdir().expect("a directory for temporary files can be written to");
    let address = format!("sqlite:{}", directory.path().join("wharf.db").display());
    let database = Database::open(&address.parse().expect("the address is well formed")).await.expect("SQLite opens");
    let sealing = Arc::new(SealingKey::ephemeral(&SystemRandom));
    let identity = Identity::new(database.clone(), sealing, Arc::new(SystemClock));
    identity.start().await.expect("the signing key can be made");

    let new = NewRegistry {
        uid: RegistryUid(Uuid::new_v4()),
        name: "contoso".parse().expect("the name is well formed"),
        sku: "Premium".to_owned(),
        admin_user_enabled: false,
        anonymous_pull_enabled: false,
        admin_passwords: [vec![], vec![]],
        created_at: SystemClock.now(),
        resource_id: ResourceId::root(),
        settings: Default::default(),
    };
    let maker = identity.clone();
    let made = database.write_access(move |c| {
        Box::pin(async move {
            let id = registries::insert(c, &new).await?.expect("the name is free");
            let row = registries::find_by_name(c, &new.name).await?.expect("it was made just now");
            // As large as a scope map may be.
            let actions: Vec<String> =
                (0..500).map(|number| format!("repositories/team/app{number}/content/read")).collect();
            scope_maps::put(c, id, "readers", &actions).await?;
            let token = tokens::put(c, id, "agent", "readers", true).await?;
            let names = [TokenPasswordName::Password1];
            let made = maker.generate_token_passwords(c, row.uid, token, &names, None).await;
            Ok::<_, Error>((row, made.expect("the database takes it")))
        })
    });
    let (registry, passwords) = made.await.expect("the database takes it");
    let password = passwords[0].value.expose_secret();
    let right = Credentials::Basic { username: "agent", password };
    let wrong = Credentials::Basic { username: "agent", password: &password[1..] };

    let enter = async |_| identity.authenticate(&registry, right, None).await.expect("the password is right");
    let changed = async |_| {
        database.write_access(|_| Box::pin(async { Ok::<_, Error>(()) })).await.expect("the database takes it");
    };
    let mut spans = Vec::new();
    for _ in 0..200 {
        changed(0).await;
        spans.extend(time(1, async |_| drop(black_box(enter(0).await))).await);
    }
    spans.sort_unstable();
    print("Basic, after a change", spans);
    print("Basic", time(20_000, async |_| drop(black_box(enter(0).await))).await);
    let caller = enter(0).await;
    let pull = async |_| {
        black_box(may(&caller, Action::Pull, ResourceKind::Repository, "team/app250"));
    };
    print("may, 500 actions", time(20_000, pull).await);
    print(
        "Basic, wrong",
        time(20_000, async |_| drop(black_box(identity.authenticate(&registry, wrong, None).await))).await,
    );
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
