//! Scope maps and tokens.

use wharf_metadata::{Database, TokenRow, registries, scope_maps, tokens};
use wharf_model::{RegistryId, RegistryName, ResourceId, Timestamp};

use crate::suite::{NOW, read, registry, write};

all_engines!(
    scope_maps_are_put_found_counted_and_removed,
    a_token_is_read_whole_with_its_scope_map_and_passwords,
    new_passwords_and_disabling_start_new_generations,
    tokens_are_counted_and_removed_with_their_passwords,
);

pub(crate) async fn scope_maps_are_put_found_counted_and_removed(db: Database) {
    let [ours, other] = [registry(&db, "contoso").await, registry(&db, "fabrikam").await];
    let actions = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    put_map(&db, ours, "Readers", actions("repositories/a/content/read")).await;
    put_map(&db, ours, "readers", actions("repositories/a/content/read repositories/*/metadata/read")).await;
    put_map(&db, other, "readers", vec![]).await;

    let found = read!(db, c => scope_maps::find(c, ours, "READERS")).unwrap().unwrap();
    assert_eq!(found, actions("repositories/a/content/read repositories/*/metadata/read"));
    assert_eq!(read!(db, c => scope_maps::find(c, ours, "writers")).unwrap(), None);
    assert_eq!(read!(db, c => scope_maps::count(c, ours)).unwrap(), 1);

    assert!(write!(db, c => scope_maps::delete(c, ours, "Readers")).unwrap());
    assert!(!write!(db, c => scope_maps::delete(c, ours, "Readers")).unwrap());
    assert_eq!(
        read!(db, c => scope_maps::find(c, other, "readers")).unwrap(),
        Some(vec![]),
        "another registry's stays"
    );
    write!(db, c => registries::delete(c, other)).unwrap();
    assert_eq!(read!(db, c => scope_maps::count(c, other)).unwrap(), 0);
}

pub(crate) async fn a_token_is_read_whole_with_its_scope_map_and_passwords(db: Database) {
    let [ours, other] = [registry(&db, "contoso").await, registry(&db, "fabrikam").await];
    put_map(&db, ours, "readers", vec!["repositories/a/content/read".into()]).await;
    let id = put(&db, ours, "Build-Agent", "Readers", true).await;
    let token = find(&db, ours, "build-agent").await.unwrap();
    assert_eq!((token.id, token.name.as_str(), token.scope_map.as_str()), (id, "Build-Agent", "readers"));
    assert!(token.is_enabled && token.passwords.is_empty());

    let later = Timestamp(NOW.0 + 1);
    for (slot, mac, expires) in [(2, b"two", None), (1, b"one", Some(later))] {
        write!(db, c => tokens::put_password(c, id, slot, mac, NOW, expires)).unwrap();
    }
    let token = find(&db, ours, "BUILD-AGENT").await.unwrap();
    assert_eq!(token.actions, Some(vec!["repositories/a/content/read".to_owned()]));
    let passwords: Vec<_> = token.passwords.iter().map(|p| (p.slot, p.mac.as_slice(), p.expires_at)).collect();
    assert_eq!(passwords, [(1, &b"one"[..], Some(later)), (2, &b"two"[..], None)]);
    assert_ne!(token.passwords[0].generation, token.passwords[1].generation);

    put(&db, ours, "another", "readers", true).await;
    put(&db, other, "build-agent", "readers", true).await;
    let name: RegistryName = "contoso".parse().unwrap();
    let listed = read!(db, c => tokens::list_passwords(c, &name, "Another", "build-agent")).unwrap();
    assert_eq!(listed, token.passwords.iter().map(|p| ("build-agent".to_owned(), p.clone())).collect::<Vec<_>>());
    let name: RegistryName = "contoso".parse().unwrap();
    assert_eq!(read!(db, c => tokens::list_passwords(c, &name, "a", "b")).unwrap(), []);

    let by_id = read!(db, c => tokens::find(c, ours, id)).unwrap().unwrap();
    assert_eq!((by_id.name, by_id.passwords), (token.name, token.passwords));
    assert!(read!(db, c => tokens::find(c, other, id)).unwrap().is_none(), "it is of one registry only");
    assert!(find(&db, other, "nobody").await.is_none());

    write!(db, c => scope_maps::delete(c, ours, "readers")).unwrap();
    assert_eq!(find(&db, ours, "build-agent").await.unwrap().actions, None);
}

pub(crate) async fn new_passwords_and_disabling_start_new_generations(db: Database) {
    let ours = registry(&db, "contoso").await;
    let id = put(&db, ours, "agent", "_repositories_pull", true).await;
    let generate = async |slot: i16| write!(db, c => tokens::put_password(c, id, slot, b"mac", NOW, None)).unwrap();
    let generations = async || {
        let token = find(&db, ours, "agent").await.unwrap();
        token.passwords.iter().map(|password| password.generation).collect::<Vec<_>>()
    };
    generate(1).await;
    generate(2).await;
    let first = generations().await;
    put(&db, ours, "agent", "_repositories_push", true).await;
    assert_eq!(generations().await, first, "another scope map leaves what was issued; it means something else now");
    generate(1).await;
    let second = generations().await;
    assert!(second[0] > first[1], "never a number that there was before");
    assert_eq!(second[1], first[1], "the other password goes on");
    put(&db, ours, "agent", "_repositories_push", false).await;
    let third = generations().await;
    assert!(third.iter().all(|generation| *generation > second[0]));
    put(&db, ours, "agent", "_repositories_push", true).await;
    assert_eq!(generations().await, third);
    write!(db, c => tokens::delete_password(c, id, 1)).unwrap();
    generate(1).await;
    assert!(generations().await[0] > third[0], "not even after the password was removed");
}

pub(crate) async fn tokens_are_counted_and_removed_with_their_passwords(db: Database) {
    let [ours, other] = [registry(&db, "contoso").await, registry(&db, "fabrikam").await];
    for (registry, name, map) in
        [(ours, "agent1", "Readers"), (ours, "agent2", "writers"), (other, "agent1", "readers")]
    {
        let id = put(&db, registry, name, map, true).await;
        write!(db, c => tokens::put_password(c, id, 1, b"mac", NOW, None)).unwrap();
    }
    let root = ResourceId::root();
    assert!(write!(db, c => registries::lock(c, &root)).unwrap().is_none());
    let user = async |map: &'static str| read!(db, c => tokens::find_user_of_scope_map(c, ours, map)).unwrap();
    assert_eq!(user("readers").await.as_deref(), Some("agent1"));
    assert_eq!(user("nobody").await, None);
    assert_eq!(read!(db, c => tokens::count(c, ours)).unwrap(), 2);

    let old = find(&db, ours, "agent1").await.unwrap().id;
    assert!(write!(db, c => tokens::delete(c, ours, "Agent1")).unwrap());
    assert!(!write!(db, c => tokens::delete(c, ours, "agent1")).unwrap());
    assert_eq!(user("readers").await, None);
    assert!(find(&db, other, "agent1").await.is_some());
    assert!(put(&db, ours, "agent1", "readers", true).await > old, "a row is never given twice");
    assert!(find(&db, ours, "agent1").await.unwrap().passwords.is_empty());

    write!(db, c => registries::delete(c, ours)).unwrap();
    assert_eq!(read!(db, c => tokens::count(c, ours)).unwrap(), 0);
    assert_eq!(read!(db, c => tokens::count(c, other)).unwrap(), 1);
}

async fn put_map(db: &Database, registry: RegistryId, name: &'static str, actions: Vec<String>) {
    write!(db, c => scope_maps::put(c, registry, name, &actions)).unwrap();
}

async fn put(db: &Database, registry: RegistryId, name: &'static str, map: &'static str, on: bool) -> i64 {
    write!(db, c => tokens::put(c, registry, name, map, on)).unwrap()
}

async fn find(db: &Database, registry: RegistryId, name: &'static str) -> Option<TokenRow> {
    read!(db, c => tokens::find_by_name(c, registry, name)).unwrap()
}
