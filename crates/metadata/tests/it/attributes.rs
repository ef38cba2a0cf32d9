//! Attributes and locks.

use wharf_metadata::attributes::{self, LockedItem, Position};
use wharf_metadata::tags::Overwrite;
use wharf_metadata::{Database, Error, collection, manifests, repositories, tags};
use wharf_model::{Locks, ManifestId, RegistryId, RepositoryId, Tag, Timestamp};

use crate::suite::{NOW, put, read, registry, repository, write};

all_engines!(
    parts_of_lists_follow_each_other_in_every_order,
    a_part_begins_behind_what_is_gone,
    what_a_lock_hides_is_in_no_list,
    a_tag_that_is_locked_is_not_moved,
    locks_are_found_before_anything_is_deleted,
    locks_end_with_their_repository,
    a_hidden_repository_gives_its_name_up_and_goes_bit_by_bit,
    manifests_of_before_are_described_later,
);

/// A repository of seven manifests, tagged `t0` to `t6`, which were pushed in another order than that of their names.
async fn seven(db: &Database) -> (RegistryId, RepositoryId) {
    let registry = registry(db, "contoso").await;
    let repo = repository(db, registry, "app").await;
    for position in 0..7i64 {
        let (name, time) = (format!("t{}", position * 3 % 7), Timestamp(NOW.0 + position));
        db.write(move |c| {
            Box::pin(async move {
                let (manifest, _) = put(c, repo, name.as_bytes(), None, None, &[]).await?;
                tags::put(c, repo, &name.parse().unwrap(), manifest, Overwrite::Allowed, time).await?;
                repositories::count(c, repo, 0, 1, time).await
            })
        })
        .await
        .unwrap();
    }
    (registry, repo)
}

async fn walk(db: &Database, repo: RepositoryId, first: Position, limit: i64) -> Vec<String> {
    let (mut after, mut names) = (first, Vec::new());
    loop {
        let position = after.clone();
        let part = read!(db, c => attributes::list_tags(c, repo, &position, limit)).unwrap();
        let Some(last) = part.last() else { return names };
        after = match after {
            Position::Name(_) => Position::Name(last.name.clone()),
            Position::Ascending(..) => Position::Ascending(last.updated_at, last.name.clone()),
            Position::Descending(..) => Position::Descending(last.updated_at, last.name.clone()),
        };
        names.extend(part.into_iter().map(|tag| tag.name));
    }
}

fn ascending() -> Position {
    Position::Ascending(Timestamp(i64::MIN), String::new())
}

fn descending() -> Position {
    Position::Descending(Timestamp(i64::MAX), String::new())
}

pub(crate) async fn parts_of_lists_follow_each_other_in_every_order(db: Database) {
    let (_, repo) = seven(&db).await;
    for limit in 1..9 {
        let by_name = walk(&db, repo, Position::Name(String::new()), limit).await;
        assert_eq!(by_name, ["t0", "t1", "t2", "t3", "t4", "t5", "t6"], "{limit}");
        let oldest = walk(&db, repo, ascending(), limit).await;
        assert_eq!(oldest, ["t0", "t3", "t6", "t2", "t5", "t1", "t4"], "{limit}");
        let mut newest = walk(&db, repo, descending(), limit).await;
        newest.reverse();
        assert_eq!(newest, oldest, "{limit}");
    }
    let listed = read!(db, c => attributes::list_manifests(c, repo, &ascending(), 10)).unwrap();
    assert_eq!(listed.len(), 7);
    let mut tags: Vec<String> = listed.iter().map(|manifest| manifest.tags.join(",")).collect();
    tags.sort();
    assert_eq!(tags, ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
    for position in [Position::Name(String::new()), ascending(), descending()] {
        let digest = listed[0].digest.parse().unwrap();
        let of_one = read!(db, c => attributes::list_tags_of(c, repo, &digest, &position, 10)).unwrap();
        assert_eq!(of_one.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["t0"]);
    }
}

pub(crate) async fn a_part_begins_behind_what_is_gone(db: Database) {
    let (_, repo) = seven(&db).await;
    let first = read!(db, c => attributes::list_tags(c, repo, &descending(), 2)).unwrap();
    let last = first.last().unwrap().clone();
    let name = last.name.clone();
    write!(db, c => tags::delete(c, repo, &[name.as_str()])).unwrap();
    let rest = walk(&db, repo, Position::Descending(last.updated_at, last.name), 3).await;
    assert_eq!(rest, ["t5", "t2", "t6", "t3", "t0"]);
}

pub(crate) async fn what_a_lock_hides_is_in_no_list(db: Database) {
    let (registry, repo) = seven(&db).await;
    let hidden = Locks { list_enabled: false, ..Locks::OPEN };
    let tag: Tag = "t3".parse().unwrap();
    write!(db, c => attributes::put_tag_locks(c, repo, &tag, hidden)).unwrap();
    for position in [Position::Name(String::new()), ascending(), descending()] {
        assert_eq!(walk(&db, repo, position, 2).await.len(), 6);
    }
    assert_eq!(read!(db, c => tags::list(c, repo, "", 10)).unwrap().len(), 6);
    let first = Position::Name(String::new());
    let listed = read!(db, c => attributes::list_manifests(c, repo, &first, 10)).unwrap();
    assert_eq!(listed.iter().filter(|manifest| manifest.tags.is_empty()).count(), 1);
    assert_eq!(read!(db, c => repositories::list_shown(c, registry, "", 10)).unwrap().len(), 1);
    write!(db, c => attributes::put_repository_locks(c, repo, hidden)).unwrap();
    assert!(read!(db, c => repositories::list_shown(c, registry, "", 10)).unwrap().is_empty());
    let name = "app".parse().unwrap();
    let shown = read!(db, c => attributes::find_repository(c, registry, &name)).unwrap().unwrap();
    assert_eq!((shown.locks, shown.manifest_count, shown.tag_count), (hidden, 7, 7));
}

pub(crate) async fn a_tag_that_is_locked_is_not_moved(db: Database) {
    let (_, repo) = seven(&db).await;
    let (tag, other): (Tag, Tag) = ("t0".parse().unwrap(), "t1".parse().unwrap());
    let locked = Locks { write_enabled: false, ..Locks::OPEN };
    db.write(move |c| {
        Box::pin(async move {
            attributes::put_tag_locks(c, repo, &tag, locked).await?;
            let before = attributes::find_tag(c, repo, &tag).await?.unwrap();
            let (manifest, _) = put(c, repo, b"another", None, None, &[]).await?;
            assert_eq!(tags::put(c, repo, &tag, manifest, Overwrite::Allowed, NOW).await?, tags::Put::Locked);
            let put = tags::put(c, repo, &other, manifest, Overwrite::Allowed, NOW).await?;
            assert!(matches!(put, tags::Put::Moved { .. }), "{put:?}");
            let after = attributes::find_tag(c, repo, &tag).await?.unwrap();
            assert_eq!((after.digest, after.updated_at, after.locks), (before.digest, before.updated_at, locked));
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn locks_are_found_before_anything_is_deleted(db: Database) {
    let (_, repo) = seven(&db).await;
    db.write(move |c| {
        Box::pin(async move {
            let all = attributes::list_manifests(c, repo, &Position::Name(String::new()), 10).await?;
            let ids: Vec<ManifestId> = all.iter().map(|manifest| manifest.id).collect();
            assert_eq!(attributes::find_locked(c, repo, &[]).await?, None);
            let locked = all[2].digest.parse().unwrap();
            for locks in [Locks { delete_enabled: false, ..Locks::OPEN }, Locks { write_enabled: false, ..Locks::OPEN }]
            {
                attributes::put_manifest_locks(c, repo, &locked, locks).await?;
                let expected = Some(LockedItem::Manifest(all[2].digest.clone()));
                assert_eq!(attributes::find_locked(c, repo, &ids).await?, expected);
                assert_eq!(attributes::find_locked(c, repo, &[]).await?, expected);
                assert_eq!(attributes::find_locked(c, repo, &ids[..2]).await?, None);
            }
            attributes::put_manifest_locks(c, repo, &locked, Locks { read_enabled: false, ..Locks::OPEN }).await?;
            assert_eq!(attributes::find_locked(c, repo, &ids).await?, None);
            let tag: Tag = "t5".parse().unwrap();
            attributes::put_tag_locks(c, repo, &tag, Locks { delete_enabled: false, ..Locks::OPEN }).await?;
            assert_eq!(attributes::find_locked(c, repo, &ids).await?, Some(LockedItem::Tag("t5".into())));
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn locks_end_with_their_repository(db: Database) {
    let (registry, repo) = seven(&db).await;
    let closed = Locks { delete_enabled: false, write_enabled: false, read_enabled: false, list_enabled: false };
    write!(db, c => attributes::put_repository_locks(c, repo, closed)).unwrap();
    for (manifests, expected) in [(-6, Some(closed)), (-1, None), (1, Some(Locks::OPEN))] {
        write!(db, c => repositories::count(c, repo, manifests, 0, NOW)).unwrap();
        let name = "app".parse().unwrap();
        let shown = read!(db, c => attributes::find_repository(c, registry, &name)).unwrap();
        assert_eq!(shown.map(|shown| shown.locks), expected);
    }
}

pub(crate) async fn a_hidden_repository_gives_its_name_up_and_goes_bit_by_bit(db: Database) {
    let (registry, repo) = seven(&db).await;
    write!(db, c => repositories::hide(c, repo, NOW)).unwrap();
    assert_eq!(write!(db, c => repositories::lock(c, repo)).unwrap(), None);
    assert_eq!(write!(db, c => repositories::keep(c, repo)).unwrap(), None);
    let again = repository(&db, registry, "app").await;
    assert_ne!(again, repo);
    assert!(read!(db, c => collection::list_miscounts(c)).unwrap().is_empty());
    let earlier = Timestamp(NOW.0 - 1);
    assert!(read!(db, c => repositories::list_hidden(c, earlier)).unwrap().is_empty());
    assert_eq!(read!(db, c => repositories::list_hidden(c, NOW)).unwrap(), [repo]);
    let mut steps = 0;
    while write!(db, c => repositories::remove_some(c, &[repo], 2)).unwrap() {
        steps += 1;
    }
    assert_eq!(steps, 4);
    assert!(read!(db, c => repositories::list_hidden(c, NOW)).unwrap().is_empty());
    assert!(read!(db, c => collection::list_inconsistencies(c)).unwrap().is_empty());
}

pub(crate) async fn manifests_of_before_are_described_later(db: Database) {
    let (registry, repo) = seven(&db).await;
    let waiting = read!(db, c => attributes::list_undescribed(c, ManifestId(0), 3)).unwrap();
    assert_eq!(waiting.len(), 3);
    assert_eq!((waiting[0].registry, waiting[0].repository, waiting[0].bytes.as_slice()), (registry, repo, &b"t0"[..]));
    let platform = manifests::NewPlatform { architecture: Some("arm64"), os: None };
    for manifest in waiting {
        write!(db, c => attributes::describe_manifest(c, manifest.id, platform)).unwrap();
    }
    assert_eq!(read!(db, c => attributes::list_undescribed(c, ManifestId(0), 10)).unwrap().len(), 4);
    let listed = read!(db, c => attributes::list_manifests(c, repo, &ascending(), 10)).unwrap();
    assert_eq!(listed.iter().filter(|manifest| manifest.architecture.as_deref() == Some("arm64")).count(), 3);
    let id = listed[0].id;
    let bytes = read!(db, c => attributes::find_manifest_bytes(c, id)).unwrap().unwrap();
    assert_eq!(wharf_model::Digest::of(wharf_model::Algorithm::Sha256, &bytes).as_str(), listed[0].digest);
    let name = "app".parse().unwrap();
    let reference = "t0".parse().unwrap();
    assert!(read!(db, c => manifests::find(c, registry, &name, &reference)).unwrap().unwrap().read_enabled);
}
