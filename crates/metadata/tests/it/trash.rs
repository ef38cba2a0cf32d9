//! The trash.

use std::sync::Arc;

use wharf_metadata::trash::{self, TagPosition, TrashId};
use wharf_metadata::{Connection, Database, Error, blobs, collection, manifests, removal, repositories, tags};
use wharf_model::{Digest, Locks, ManifestId, RegistryId, RepositoryId, RepositoryName, Timestamp};

use crate::suite::{NOW, blob, put, read, registry, repository, write};

all_engines!(
    a_manifest_goes_into_the_trash_with_its_links_and_comes_back,
    tags_in_the_trash_are_listed_by_name_and_the_oldest_first,
    a_whole_repository_reads_the_same_while_it_is_settled,
    an_emptied_trash_ends_and_its_name_is_free,
    purging_goes_by_time_and_a_few_at_a_time,
    what_one_restores_another_does_not_purge,
    many_put_something_into_one_trash_at_once,
    broken_books_are_found,
);

const LATER: Timestamp = Timestamp(NOW.0 + 1_000_000);

#[derive(Clone)]
struct Place {
    registry: RegistryId,
    repository: RepositoryId,
    name: RepositoryName,
}

async fn place(db: &Database) -> Place {
    let registry = registry(db, "contoso").await;
    Place { registry, repository: repository(db, registry, "app").await, name: "app".parse().unwrap() }
}

/// Pushes a manifest with a tag.
async fn push(db: &Database, place: &Place, tag: &str) -> (ManifestId, Digest) {
    let (repository, tag) = (place.repository, tag.to_owned());
    db.write(move |c| {
        Box::pin(async move {
            let pushed = put(c, repository, tag.as_bytes(), None, None, &[]).await?;
            let tag = tag.parse().unwrap();
            let set = tags::put(c, repository, &tag, pushed.0, tags::Overwrite::Allowed, NOW).await?;
            repositories::count(c, repository, 0, i64::from(set == tags::Put::Added), NOW).await?;
            Ok::<_, Error>(pushed)
        })
    })
    .await
    .unwrap()
}

/// Deletes a manifest softly.
async fn delete(db: &Database, place: &Place, id: ManifestId, digest: &Digest, now: Timestamp) -> TrashId {
    let (registry, repository, name, digest) = (place.registry, place.repository, place.name.clone(), digest.clone());
    db.write(move |c| {
        Box::pin(async move {
            repositories::lock(c, repository).await?.unwrap();
            let former = tags::delete_of_manifests(c, &[id]).await?;
            let trash = trash::open(c, registry, &name, 7).await?;
            trash::insert_tags(c, trash, &former, "test", now).await?;
            trash::insert_manifests(c, trash, &[(digest, id)], "test", now).await?;
            repositories::count(c, repository, -1, -(former.len() as i64), now).await?;
            Ok::<_, Error>(trash)
        })
    })
    .await
    .unwrap()
}

/// Restores a manifest, if it is in the trash.
async fn restore(c: &mut Connection, place: &Place, digest: &Digest) -> Result<bool, Error> {
    let (repository, _) = repositories::lock_or_insert(c, place.registry, &place.name, LATER).await?;
    let Some(trash) = trash::lock(c, place.registry, &place.name).await? else { return Ok(false) };
    let Some(found) = trash::find_manifest(c, trash, digest).await? else { return Ok(false) };
    trash::take_manifests(c, trash, &[found.id], repository, LATER).await?;
    repositories::count(c, repository, 1, 0, LATER).await?;
    trash::delete_if_empty(c, trash).await?;
    Ok(true)
}

async fn assert_sound(db: &Database) {
    assert_eq!(read!(db, c => trash::list_inconsistencies(c)).unwrap(), Vec::<String>::new());
    assert_eq!(read!(db, c => collection::list_inconsistencies(c)).unwrap(), Vec::<String>::new());
    assert!(read!(db, c => collection::list_miscounts(c)).unwrap().is_empty());
}

async fn contains(db: &Database, place: &Place, digest: &Digest) -> bool {
    let (registry, name, digest) = (place.registry, place.name.clone(), digest.clone());
    read!(db, c => trash::contains(c, registry, &name, &digest)).unwrap()
}

async fn is_live(db: &Database, place: &Place, digest: &Digest) -> bool {
    let (repository, digest) = (place.repository, digest.clone());
    !read!(db, c => manifests::find_many(c, repository, &[&digest])).unwrap().is_empty()
}

/// Deletes a repository that holds nothing for good.
async fn remove_hidden(db: &Database) {
    for id in read!(db, c => repositories::list_hidden(c, LATER)).unwrap() {
        while write!(db, c => repositories::remove_some(c, &[id], 10)).unwrap() {}
    }
}

pub(crate) async fn a_manifest_goes_into_the_trash_with_its_links_and_comes_back(db: Database) {
    let place = place(&db).await;
    let layer = blob(&db, place.repository, b"layer", Timestamp(0)).await;
    let repo = place.repository;
    let (id, digest) = db
        .write(move |c| Box::pin(async move { put(c, repo, b"manifest", None, None, &[layer]).await }))
        .await
        .unwrap();
    assert!(!contains(&db, &place, &digest).await);
    delete(&db, &place, id, &digest, NOW).await;
    assert!(contains(&db, &place, &digest).await);
    assert!(!is_live(&db, &place, &digest).await);
    let (registry, name) = (place.registry, place.name.clone());
    assert!(read!(db, c => repositories::find_shown(c, registry, &name)).unwrap().is_none());
    assert_sound(&db).await;
    // The live repository lets go of the blob, and the trash keeps it.
    let end = (i64::MAX, i64::MAX);
    let unused = read!(db, c => collection::find_unused_links(c, (0, 0), end, LATER)).unwrap();
    assert_eq!(unused.len(), 1);
    assert!(!unused[0].is_hidden);
    assert!(write!(db, c => collection::cut_unused_link(c, &unused[0], LATER)).unwrap());
    assert!(read!(db, c => collection::find_unlinked_blobs(c, 0, i64::MAX)).unwrap().is_empty());
    let holders = read!(db, c => blobs::list_holders(c, registry, &layer_digest(), 10)).unwrap();
    assert!(holders.is_empty(), "nobody mounts from the trash");
    let (at, wanted) = (place.clone(), digest.clone());
    assert!(write!(db, c => restore(c, &at, &wanted)).unwrap());
    assert!(!contains(&db, &place, &digest).await);
    let name = place.name.clone();
    let linked = read!(db, c => blobs::find_linked(c, registry, &name, &layer_digest())).unwrap();
    assert!(linked.is_some());
    assert_sound(&db).await;
    let unused = read!(db, c => collection::find_unused_links(c, (0, 0), end, LATER)).unwrap();
    assert!(unused.is_empty(), "what is left of an ended trash is removed as a whole");
    remove_hidden(&db).await;
    assert_sound(&db).await;
}

fn layer_digest() -> Digest {
    Digest::of(wharf_model::Algorithm::Sha256, b"layer")
}

async fn list_tags(db: &Database, trash: TrashId, limit: i64) -> Vec<(String, i64)> {
    let mut after = TagPosition { name: String::new(), deleted_at: Timestamp(0), manifest: 0 };
    let mut all = Vec::new();
    loop {
        let position = after.clone();
        let page = read!(db, c => trash::list_tags(c, trash, &position, limit)).unwrap();
        let Some(last) = page.last() else { return all };
        after = last.position.clone();
        all.extend(page.into_iter().map(|tag| (tag.position.name, tag.position.deleted_at.0 - NOW.0)));
    }
}

pub(crate) async fn tags_in_the_trash_are_listed_by_name_and_the_oldest_first(db: Database) {
    let place = place(&db).await;
    let (registry, repo, name) = (place.registry, place.repository, place.name.clone());
    let trash = db
        .write(move |c| {
            Box::pin(async move {
                let trash = trash::open(c, registry, &name, 7).await?;
                for (tag, content, time) in
                    [("b", "1", 3), ("a", "1", 2), ("b", "2", 1), ("b", "3", 1), ("b", "1", 1), ("c", "1", 1)]
                {
                    let (manifest, digest) = put(c, repo, content.as_bytes(), None, None, &[]).await?;
                    let former = tags::FormerTag {
                        name: tag.to_owned(),
                        manifest,
                        digest: digest.to_string(),
                        created_at: NOW,
                        updated_at: NOW,
                        locks: Locks { list_enabled: false, ..Locks::OPEN },
                    };
                    for _ in 0..2 {
                        let time = Timestamp(NOW.0 + time);
                        trash::insert_tags(c, trash, std::slice::from_ref(&former), "test", time).await?;
                    }
                }
                Ok::<_, Error>(trash)
            })
        })
        .await
        .unwrap();
    let expected: Vec<(String, i64)> =
        [("a", 2), ("b", 1), ("b", 1), ("b", 1), ("b", 3), ("c", 1)].map(|(tag, time)| (tag.into(), time)).into();
    for limit in 1..8 {
        assert_eq!(list_tags(&db, trash, limit).await, expected, "{limit}");
    }
    let tag: wharf_model::Tag = "b".parse().unwrap();
    let (wanted, digest) = (tag.clone(), Digest::of(wharf_model::Algorithm::Sha256, b"1"));
    let found = read!(db, c => trash::find_tag(c, trash, &wanted, &digest)).unwrap().unwrap();
    assert!(!found.locks.list_enabled);
    let manifest = found.manifest;
    write!(db, c => trash::forget_tags(c, trash, &tag, manifest)).unwrap();
    assert_eq!(list_tags(&db, trash, 10).await.len(), 4);
    // The list begins with a name, and ends when the manifests do.
    assert_sound(&db).await;
    write!(db, c => removal::delete_manifests(c, &[manifest])).unwrap();
    assert_eq!(list_tags(&db, trash, 10).await.len(), 2);
}

pub(crate) async fn a_whole_repository_reads_the_same_while_it_is_settled(db: Database) {
    let place = place(&db).await;
    let mut digests = Vec::new();
    for number in 0..7 {
        digests.push(push(&db, &place, &format!("t{number}")).await.1.to_string());
    }
    digests.sort();
    let (registry, repo, name) = (place.registry, place.repository, place.name.clone());
    let trash = db
        .write(move |c| {
            Box::pin(async move {
                repositories::lock(c, repo).await?.unwrap();
                let trash = trash::open(c, registry, &name, 7).await?;
                trash::sink(c, repo, trash, "test", NOW).await?;
                Ok::<_, Error>(trash)
            })
        })
        .await
        .unwrap();
    let mut steps = 0;
    loop {
        let shown = read!(db, c => trash::list_repositories(c, registry, "", 10)).unwrap();
        assert_eq!(shown, ["app"]);
        let mut listed = Vec::new();
        loop {
            let after: String = listed.last().cloned().unwrap_or_default();
            let page = read!(db, c => trash::list_manifests(c, trash, &after, 3)).unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.iter().all(|manifest| manifest.deleted_at == NOW));
            listed.extend(page.into_iter().map(|manifest| manifest.digest));
        }
        assert_eq!(listed, digests);
        assert_eq!(list_tags(&db, trash, 2).await.len(), 7);
        for digest in &digests {
            assert!(contains(&db, &place, &digest.parse().unwrap()).await);
        }
        assert_sound(&db).await;
        assert!(read!(db, c => repositories::list_hidden(c, LATER)).unwrap().is_empty(), "it is not to be removed");
        if !write!(db, c => trash::settle_some(c, repo, trash, 2)).unwrap() {
            break;
        }
        steps += 1;
    }
    assert_eq!(steps, 4);
    assert!(read!(db, c => trash::list_unsettled(c, LATER)).unwrap().is_empty());
}

pub(crate) async fn an_emptied_trash_ends_and_its_name_is_free(db: Database) {
    let place = place(&db).await;
    for round in 0..3 {
        let (id, digest) = push(&db, &place, "v1").await;
        let trash = delete(&db, &place, id, &digest, NOW).await;
        let (gone, more) = write!(db, c => trash::purge_some(c, trash, NOW, 10)).unwrap();
        assert_eq!((gone.len(), more), (1, false), "round {round}");
        assert!(write!(db, c => trash::delete_if_empty(c, trash)).unwrap());
        assert!(!write!(db, c => trash::delete_if_empty(c, trash)).unwrap());
        let (registry, name) = (place.registry, place.name.clone());
        assert!(read!(db, c => trash::find(c, registry, &name)).unwrap().is_none());
        let hidden = read!(db, c => repositories::list_hidden(c, LATER)).unwrap();
        assert!(hidden.is_empty(), "round {round}: the hidden repository held nothing any more");
        assert_sound(&db).await;
    }
}

pub(crate) async fn purging_goes_by_time_and_a_few_at_a_time(db: Database) {
    let place = place(&db).await;
    let mut trash = None;
    for number in 0..9 {
        let (id, digest) = push(&db, &place, &format!("t{number}")).await;
        trash = Some(delete(&db, &place, id, &digest, Timestamp(NOW.0 + number)).await);
    }
    let trash = trash.unwrap();
    let before = Timestamp(NOW.0 + 6);
    assert!(!read!(db, c => trash::is_due(c, trash, Timestamp(NOW.0 - 1))).unwrap());
    assert!(read!(db, c => trash::is_due(c, trash, before)).unwrap());
    let mut counts = Vec::new();
    loop {
        let (gone, more) = write!(db, c => trash::purge_some(c, trash, before, 3)).unwrap();
        counts.push(gone.len());
        assert_sound(&db).await;
        if !more {
            break;
        }
    }
    assert_eq!(counts, [3, 3, 1]);
    assert_eq!(read!(db, c => trash::list_manifests(c, trash, "", 10)).unwrap().len(), 2);
    assert_eq!(list_tags(&db, trash, 10).await.len(), 2);
    let rows = read!(db, c => trash::list_trashes(c, TrashId(0), 10)).unwrap();
    assert_eq!((rows.len(), rows[0].keep_days, rows[0].repository.as_str()), (1, 7, "app"));
}

pub(crate) async fn what_one_restores_another_does_not_purge(db: Database) {
    let place = Arc::new(place(&db).await);
    for round in 0..20 {
        let (id, digest) = push(&db, &place, &format!("t{round}")).await;
        let trash = delete(&db, &place, id, &digest, NOW).await;
        let (purger, restorer, at, wanted) = (db.clone(), db.clone(), place.clone(), digest.clone());
        let purge = tokio::spawn(async move {
            let gone = write!(purger, c => trash::purge_some(c, trash, NOW, 10)).unwrap().0;
            write!(purger, c => trash::delete_if_empty(c, trash)).unwrap();
            gone.len()
        });
        let restore = tokio::spawn(async move { write!(restorer, c => restore(c, &at, &wanted)).unwrap() });
        let (purged, restored) = (purge.await.unwrap(), restore.await.unwrap());
        assert_eq!(purged == 0, restored, "round {round}");
        assert_eq!(is_live(&db, &place, &digest).await, restored, "round {round}");
        assert_sound(&db).await;
    }
}

pub(crate) async fn many_put_something_into_one_trash_at_once(db: Database) {
    let place = Arc::new(place(&db).await);
    let mut tasks = Vec::new();
    for number in 0..16 {
        let (db, place) = (db.clone(), place.clone());
        tasks.push(tokio::spawn(async move {
            let (id, digest) = push(&db, &place, &format!("t{number}")).await;
            let trash = delete(&db, &place, id, &digest, NOW).await;
            if number % 3 == 0 {
                let (at, wanted) = (place.clone(), digest.clone());
                assert!(write!(db, c => restore(c, &at, &wanted)).unwrap());
            }
            trash
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_sound(&db).await;
    let (registry, name) = (place.registry, place.name.clone());
    let trash = read!(db, c => trash::find(c, registry, &name)).unwrap().unwrap();
    assert_eq!(read!(db, c => trash::list_manifests(c, trash, "", 100)).unwrap().len(), 10);
}

pub(crate) async fn broken_books_are_found(db: Database) {
    let place = place(&db).await;
    let (id, digest) = push(&db, &place, "v1").await;
    let trash = delete(&db, &place, id, &digest, NOW).await;
    assert_sound(&db).await;
    // The same digest live and in the trash.
    let live = push(&db, &place, "v1").await.0;
    let lines = read!(db, c => trash::list_inconsistencies(c)).unwrap();
    assert_eq!(lines, [format!("{digest} of app is live and in the trash")]);
    let wrong = [(digest.clone(), live)];
    // A manifest that counts as deleted twice cannot even be written.
    let twice = write!(db, c => trash::insert_manifests(c, trash, &wrong, "test", NOW));
    assert!(twice.is_err());
}
