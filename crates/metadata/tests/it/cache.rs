//! Cache rules, what the cache stored, and secrets.

use wharf_metadata::cache_rules::{self, CredentialError, CredentialHealth, CredentialSetRow};
use wharf_metadata::manifests::{self, NewManifest};
use wharf_metadata::secrets::{self, SecretRow};
use wharf_metadata::{Database, cached, registries, repositories, tags};
use wharf_model::{Digest, ManifestId, RegistryId, RepositoryId, RepositoryName, Tag, Timestamp};

use crate::suite::{NOW, read, registry, repository, write};

all_engines!(
    rules_are_read_with_their_credential_sets,
    every_change_of_rules_gives_the_registry_another_time,
    what_is_known_of_health_is_of_what_was_tried,
    what_the_cache_stored_is_told_from_what_was_pushed,
    a_manifest_that_comes_later_finds_the_indexes_that_list_it,
    the_least_recently_used_can_go_and_what_others_hold_cannot,
    the_most_particular_secret_is_found,
);

fn set(name: &str, login_server: &str) -> CredentialSetRow {
    CredentialSetRow {
        name: name.to_owned(),
        login_server: login_server.to_owned(),
        username: "https://v/secrets/u".to_owned(),
        password: "https://v/secrets/p".to_owned(),
        health: None,
    }
}

async fn put_rule(
    db: &Database,
    registry: RegistryId,
    name: &'static str,
    target: &'static str,
    set: Option<&'static str>,
) {
    write!(db, c => cache_rules::put(c, registry, name, "docker.io/library/x", target, set)).unwrap();
}

pub(crate) async fn rules_are_read_with_their_credential_sets(db: Database) {
    let [ours, other] = [registry(&db, "contoso").await, registry(&db, "fabrikam").await];
    let hub = set("Hub", "docker.io");
    write!(db, c => cache_rules::put_set(c, ours, &hub)).unwrap();
    put_rule(&db, ours, "Two", "b", Some("HUB")).await;
    put_rule(&db, ours, "One", "a", None).await;
    put_rule(&db, other, "One", "a", Some("hub")).await;
    let rules = read!(db, c => cache_rules::list(c, ours)).unwrap();
    let shown: Vec<_> = rules.iter().map(|rule| (rule.name.as_str(), rule.target.as_str())).collect();
    assert_eq!(shown, [("one", "a"), ("two", "b")]);
    assert_eq!(rules[0].credential_set, None);
    assert_eq!(rules[1].credential_set, Some(CredentialSetRow { name: "hub".to_owned(), ..set("", "docker.io") }));
    assert_eq!(read!(db, c => cache_rules::list(c, other)).unwrap()[0].credential_set, None, "each has its own");
    let users = read!(db, c => cache_rules::list_users_of_set(c, ours, "hub")).unwrap();
    assert_eq!(users, [("two".to_owned(), "docker.io/library/x".to_owned())]);

    put_rule(&db, ours, "two", "elsewhere", None).await;
    let targets = read!(db, c => cache_rules::list_targets(c, ours)).unwrap();
    assert_eq!(targets[1], ("two".to_owned(), "b".to_owned()), "what it fills stays");
    assert!(write!(db, c => cache_rules::delete(c, ours, "TWO")).unwrap());
    assert!(!write!(db, c => cache_rules::delete(c, ours, "two")).unwrap());
    assert!(write!(db, c => cache_rules::delete_set(c, ours, "hub")).unwrap());
    write!(db, c => registries::delete(c, ours)).unwrap();
    assert_eq!(read!(db, c => cache_rules::list(c, ours)).unwrap(), []);
}

pub(crate) async fn every_change_of_rules_gives_the_registry_another_time(db: Database) {
    let ours = registry(&db, "contoso").await;
    let mut before = read!(db, c => registries::find(c, ours)).unwrap().unwrap().updated_at;
    for _ in 0..3 {
        write!(db, c => cache_rules::announce(c, ours, "test", NOW)).unwrap();
        let now = read!(db, c => registries::find(c, ours)).unwrap().unwrap().updated_at;
        assert!(now > before);
        before = now;
    }
}

pub(crate) async fn what_is_known_of_health_is_of_what_was_tried(db: Database) {
    let ours = registry(&db, "contoso").await;
    let first = set("hub", "docker.io");
    let (put, tried) = (first.clone(), first.clone());
    write!(db, c => cache_rules::put_set(c, ours, &put)).unwrap();
    let error = Some(CredentialError { code: "InvalidCredentials".to_owned(), message: "no".to_owned() });
    let health = CredentialHealth { checked_at: NOW, error };
    let noted = health.clone();
    write!(db, c => cache_rules::note_health(c, ours, &tried, &noted)).unwrap();
    let found = read!(db, c => cache_rules::find_set(c, ours, "HUB")).unwrap().unwrap();
    assert_eq!(found.health, Some(health.clone()));
    let changed = CredentialSetRow { username: "https://v/secrets/other".to_owned(), ..first.clone() };
    let put = changed.clone();
    write!(db, c => cache_rules::put_set(c, ours, &put)).unwrap();
    write!(db, c => cache_rules::note_health(c, ours, &first, &health)).unwrap();
    let listed = read!(db, c => cache_rules::list_sets(c, ours, "a", "z")).unwrap();
    assert_eq!(listed, [changed], "it says something else now");
}

/// Adds a manifest, and a tag on it if given.
async fn manifest(db: &Database, repository: RepositoryId, text: &str, tag: Option<&str>) -> (Digest, ManifestId) {
    let digest = Digest::of(wharf_model::Algorithm::Sha256, text.as_bytes());
    let (bytes, key) = (text.as_bytes().to_vec(), digest.clone());
    let tag: Option<Tag> = tag.map(|tag| tag.parse().unwrap());
    let id = write!(db, c => async move {
        let new = NewManifest {
            digest: &key,
            media_type: "application/vnd.oci.image.manifest.v1+json",
            artifact_type: None,
            config_media_type: None,
            subject: None,
            annotations: None,
            image_size_bytes: 10,
            platform: None,
            bytes: &bytes,
        };
        let (id, _) = manifests::insert(c, repository, &new, NOW).await?;
        if let Some(tag) = &tag {
            tags::put(c, repository, tag, id, tags::Overwrite::Allowed, NOW).await?;
        }
        repositories::count(c, repository, 1, i64::from(tag.is_some()), NOW).await?;
        Ok::<_, wharf_metadata::Error>(id)
    });
    (digest, id.unwrap())
}

pub(crate) async fn what_the_cache_stored_is_told_from_what_was_pushed(db: Database) {
    let ours = registry(&db, "contoso").await;
    let id = repository(&db, ours, "hub/redis").await;
    let name: RepositoryName = "hub/redis".parse().unwrap();
    let wanted = name.clone();
    let found = read!(db, c => cached::find_repository(c, ours, &wanted)).unwrap().unwrap();
    assert!(!found.is_cached && !found.is_shown && found.is_unlocked);
    let (digest, one) = manifest(&db, id, "one", Some("v1")).await;
    let (_, two) = manifest(&db, id, "two", None).await;
    write!(db, c => cached::mark_repository(c, id)).unwrap();
    write!(db, c => cached::mark_repository(c, id)).unwrap();
    let found = read!(db, c => cached::find_repository(c, ours, &name)).unwrap().unwrap();
    assert!(found.is_cached && found.is_shown);

    let tag = || "v1".parse::<Tag>().unwrap();
    let look =
        async || read!(db, c => { let tag = tag(); async move { cached::find_tag(c, id, &tag).await } }).unwrap();
    assert_eq!(look().await, Some(cached::CachedTag { digest: digest.clone(), is_cached: false }));
    write!(db, c => { let tag = tag(); async move { cached::mark_tag(c, id, &tag, one).await } }).unwrap();
    assert_eq!(look().await, Some(cached::CachedTag { digest, is_cached: true }));
    // Somebody moves it.
    write!(db, c => { let tag = tag(); async move { tags::put(c, id, &tag, two, tags::Overwrite::Allowed, NOW).await } }).unwrap();
    assert!(!look().await.unwrap().is_cached);
    write!(db, c => tags::delete(c, id, &["v1"])).unwrap();
    assert_eq!(look().await, None);
}

pub(crate) async fn a_manifest_that_comes_later_finds_the_indexes_that_list_it(db: Database) {
    let ours = registry(&db, "contoso").await;
    let id = repository(&db, ours, "hub/redis").await;
    let (_, index) = manifest(&db, id, "index", Some("v1")).await;
    let wanted = Digest::of(wharf_model::Algorithm::Sha256, b"child");
    let children = [wanted.clone(), Digest::of(wharf_model::Algorithm::Sha256, b"never")];
    write!(db, c => async move { cached::insert_children(c, id, index, &children.iter().collect::<Vec<_>>()).await })
        .unwrap();
    let (digest, child) = manifest(&db, id, "child", None).await;
    assert_eq!(digest, wanted);
    for _ in 0..2 {
        let digest = digest.clone();
        write!(db, c => async move { cached::adopt(c, id, &digest, child, 10).await }).unwrap();
    }
    let size = write!(db, c => manifests::sum_image_sizes(c, &[index])).unwrap();
    assert_eq!(size, 20, "its size is added once");
}

pub(crate) async fn the_least_recently_used_can_go_and_what_others_hold_cannot(db: Database) {
    let ours = registry(&db, "contoso").await;
    let id = repository(&db, ours, "hub/redis").await;
    let mut stored = Vec::new();
    for (position, name) in ["a", "b", "c"].into_iter().enumerate() {
        let (digest, manifest) = manifest(&db, id, name, None).await;
        let at = Timestamp(NOW.0 - position as i64);
        write!(db, c => cached::mark_manifest(c, manifest, at)).unwrap();
        stored.push((digest, manifest));
    }
    manifest(&db, id, "pushed", None).await;
    let list = async || {
        let found = read!(db, c => cached::list_evictable(c, 10)).unwrap();
        found.into_iter().map(|found| found.manifest).collect::<Vec<_>>()
    };
    let [a, b, c_] = [stored[0].1, stored[1].1, stored[2].1];
    assert_eq!(list().await, [c_, b, a]);
    // A tag of somebody's own keeps what it names.
    write!(db, c => async move { tags::put(c, id, &"mine".parse().unwrap(), b, tags::Overwrite::Allowed, NOW).await })
        .unwrap();
    assert_eq!(list().await, [c_, a]);
    write!(db, c => async move {
        let tag: Tag = "theirs".parse().unwrap();
        tags::put(c, id, &tag, a, tags::Overwrite::Allowed, NOW).await?;
        cached::mark_tag(c, id, &tag, a).await
    })
    .unwrap();
    assert_eq!(list().await, [c_, a], "one of the cache does not");
    let left = read!(db, c => cached::filter_evictable(c, &[a, b, c_])).unwrap();
    assert_eq!(left.len(), 2);
    assert!(!left.contains(&b));
    assert_eq!(read!(db, c => cached::size_bytes(c)).unwrap(), 0);
}

pub(crate) async fn the_most_particular_secret_is_found(db: Database) {
    let secret = |vault: &str, version: &str| SecretRow {
        name: "token".to_owned(),
        vault: vault.to_owned(),
        version: version.to_owned(),
        sealed: format!("{vault}/{version}").into_bytes(),
        login_servers: vec!["docker.io".to_owned()],
        updated_at: NOW,
    };
    for (vault, version) in [("", ""), ("", "v1"), ("contoso", ""), ("contoso", "v2")] {
        let secret = secret(vault, version);
        write!(db, c => async move { secrets::put(c, &secret).await }).unwrap();
    }
    for (vault, version, expected) in [
        ("other", "", ("", "")),
        ("other", "v1", ("", "v1")),
        ("other", "v2", ("", "")),
        ("contoso", "", ("contoso", "")),
        ("contoso", "v1", ("contoso", "")),
        ("contoso", "v2", ("contoso", "v2")),
    ] {
        let found = read!(db, c => secrets::find(c, vault, "token", version)).unwrap();
        assert_eq!(found, Some(secret(expected.0, expected.1)), "{vault} {version}");
    }
    assert_eq!(read!(db, c => secrets::find(c, "contoso", "other", "")).unwrap(), None);
    assert_eq!(read!(db, c => secrets::get(c, "contoso", "token", "v1")).unwrap(), None);
    assert_eq!(read!(db, c => secrets::list(c)).unwrap().len(), 4);
    assert!(write!(db, c => secrets::delete(c, "", "token", "")).unwrap());
    assert_eq!(read!(db, c => secrets::find(c, "other", "token", "")).unwrap(), None);
}
