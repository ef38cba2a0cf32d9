//! Registries: what their ARM resources change, and how they go.

use wharf_metadata::changes::{self, Kind};
use wharf_metadata::registries::{self, RegistryChange, Removed};
use wharf_metadata::tags::Overwrite;
use wharf_metadata::{Database, Error, RegistrySettings, collection, sizes, tags};
use wharf_model::{RegistryName, ResourceId, Timestamp};

use crate::suite::{NOW, blob, put, read, registry, repository, write};

all_engines!(
    a_change_of_the_admin_switch_alone_starts_a_generation,
    a_registry_out_of_sight_gives_up_its_name,
    what_a_registry_held_is_removed_bit_by_bit,
);

const LATER: Timestamp = Timestamp(NOW.0 + 100_000_000);

pub(crate) async fn a_change_of_the_admin_switch_alone_starts_a_generation(db: Database) {
    let id = registry(&db, "contoso").await;
    let name: RegistryName = "contoso".parse().unwrap();
    let settings = RegistrySettings { accepts_arm_tokens: false, ..RegistrySettings::default() };
    let change = RegistryChange {
        sku: "Basic".into(),
        admin_user_enabled: true,
        anonymous_pull_enabled: true,
        settings: settings.clone(),
    };
    let off = RegistryChange { admin_user_enabled: false, ..change.clone() };
    let wanted = name.clone();
    let before = read!(db, c => registries::find_by_name(c, &wanted)).unwrap().unwrap();
    write!(db, c => registries::update(c, id, &change, "somebody", LATER)).unwrap();
    let wanted = name.clone();
    let row = read!(db, c => registries::find_by_name(c, &wanted)).unwrap().unwrap();
    assert_eq!((row.sku.as_str(), row.anonymous_pull_enabled, row.updated_at), ("Basic", true, LATER));
    assert_eq!(*row.settings, settings);
    assert_eq!(row.credentials_generation, before.credentials_generation);
    write!(db, c => registries::update(c, id, &off, "somebody", LATER)).unwrap();
    let row = read!(db, c => registries::find_by_name(c, &name)).unwrap().unwrap();
    assert_eq!(row.credentials_generation, before.credentials_generation + 1);
    let log = read!(db, c => changes::list_after(c, 0, 10)).unwrap();
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(|change| change.kind == Kind::RegistryUpdate && change.actor == "somebody"));
}

pub(crate) async fn a_registry_out_of_sight_gives_up_its_name(db: Database) {
    let id = registry(&db, "contoso").await;
    let root = ResourceId::root();
    assert!(read!(db, c => registries::find_by_resource(c, &root)).unwrap().is_none());
    assert!(write!(db, c => registries::hide(c, id, "somebody", NOW)).unwrap());
    assert!(!write!(db, c => registries::hide(c, id, "somebody", NOW)).unwrap());
    let name: RegistryName = "contoso".parse().unwrap();
    assert!(read!(db, c => registries::find_by_name(c, &name)).unwrap().is_none());
    assert!(read!(db, c => registries::list(c, None, 10)).unwrap().is_empty());
    let log = read!(db, c => changes::list_after(c, 0, 10)).unwrap();
    assert_eq!(log.iter().map(|change| change.kind).collect::<Vec<_>>(), [Kind::RegistryDelete]);

    let other = registry(&db, "contoso").await;
    assert_ne!(other, id);
    assert_eq!(read!(db, c => registries::list_hidden(c)).unwrap(), [id]);
}

pub(crate) async fn what_a_registry_held_is_removed_bit_by_bit(db: Database) {
    let id = registry(&db, "contoso").await;
    for name in ["one", "two"] {
        let repository = repository(&db, id, name).await;
        let layer = blob(&db, repository, b"layer", LATER).await;
        for content in [&b"{}"[..], b"{ }", b"{  }"] {
            db.write(move |c| {
                Box::pin(async move {
                    let (manifest, digest) = put(c, repository, content, None, None, &[layer]).await?;
                    let tag = format!("t{}", &digest.hex()[..8]).parse().unwrap();
                    tags::put(c, repository, &tag, manifest, Overwrite::Allowed, NOW).await?;
                    Ok::<_, Error>(())
                })
            })
            .await
            .unwrap();
        }
    }
    let kept = registry(&db, "fabrikam").await;
    let theirs = repository(&db, kept, "one").await;
    blob(&db, theirs, b"another layer", LATER).await;

    write!(db, c => registries::hide(c, id, "somebody", NOW)).unwrap();
    let mut calls = 0;
    while write!(db, c => registries::remove_some(c, id, 2, Timestamp(NOW.0 - 1))).unwrap() == Removed::Some {
        calls += 1;
        assert!(read!(db, c => collection::list_miscounts(c)).unwrap().is_empty(), "what goes is not counted");
        assert!(read!(db, c => collection::list_inconsistencies(c)).unwrap().is_empty());
    }
    assert!(calls > 3, "{calls} calls for 6 manifests, 2 at a time");
    assert_eq!(read!(db, c => registries::list_hidden(c)).unwrap(), [id], "others are still to hear of it");
    let unlinked = read!(db, c => collection::find_unlinked_blobs(c, 0, 100)).unwrap();
    assert_eq!(unlinked.len(), 1, "its blob is garbage, the other registry's is not");

    while write!(db, c => registries::remove_some(c, id, 2, NOW)).unwrap() == Removed::Some {}
    assert!(read!(db, c => registries::list_hidden(c)).unwrap().is_empty());
    assert_eq!(write!(db, c => registries::remove_some(c, id, 2, NOW)).unwrap(), Removed::All);
    assert_eq!(read!(db, c => registries::list(c, None, 10)).unwrap().len(), 1);
    while write!(db, c => sizes::count_some(c, 100)).unwrap() {}
    assert_eq!(read!(db, c => sizes::find_registry(c, kept)).unwrap(), 13);
    assert_eq!(read!(db, c => sizes::find_registry(c, id)).unwrap(), 0);
}
