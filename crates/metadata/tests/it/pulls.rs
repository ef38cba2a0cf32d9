//! Pulls of manifests, tags and repositories.

use wharf_metadata::attributes::{self, Position, RepositoryPosition};
use wharf_metadata::pulls::{self, ManifestUse, Pulls, RepositoryPulls, TagUse, Use};
use wharf_metadata::tags::Overwrite;
use wharf_metadata::{Database, Error, manifests, repositories, tags};
use wharf_model::{ManifestId, RegistryId, RepositoryId, Tag, Timestamp};

use crate::suite::{NOW, put, read, registry, repository, write};

all_engines!(
    pulls_add_up_and_the_newest_time_stays,
    what_is_gone_takes_its_pulls_along_and_is_not_noted_again,
    a_tag_that_was_set_anew_begins_anew,
    a_repository_counts_all_of_its_manifests_until_it_begins_anew,
    a_tag_is_used_with_its_manifest,
    nothing_is_unused_before_counting_began,
    notes_pass_those_who_remove_manifests,
);

fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000_000)
}

fn pulled(count: i64, seconds: i64) -> Use {
    Use { pulls: count, pulled_at: (count > 0).then(|| at(seconds)), used_at: at(seconds) }
}

async fn image(db: &Database, repo: RepositoryId, tag: &'static str) -> ManifestId {
    db.write(move |c| {
        Box::pin(async move {
            let (manifest, _) = put(c, repo, tag.as_bytes(), None, None, &[]).await?;
            tags::put(c, repo, &tag.parse().unwrap(), manifest, Overwrite::Allowed, NOW).await?;
            Ok::<_, Error>(manifest)
        })
    })
    .await
    .unwrap()
}

async fn app(db: &Database) -> (RegistryId, RepositoryId) {
    let registry = registry(db, "contoso").await;
    (registry, repository(db, registry, "app").await)
}

async fn note(db: &Database, manifest: ManifestId, uses: Use) {
    write!(db, c => pulls::note_manifests(c, &[ManifestUse { manifest, uses }])).unwrap();
}

async fn note_tag(db: &Database, repository: RepositoryId, name: &str, created_at: Timestamp, uses: Use) {
    let item = TagUse { repository, name: name.to_owned(), created_at, uses };
    write!(db, c => pulls::note_tags(c, &[item])).unwrap();
}

/// How a tag and its manifest were pulled, which lists must tell as well.
async fn shown(db: &Database, repo: RepositoryId, tag: &'static str) -> (Option<Pulls>, Option<Pulls>) {
    db.read(|c| {
        Box::pin(async move {
            let found = attributes::find_tag(c, repo, &tag.parse().unwrap()).await?.unwrap();
            let digest = found.digest.parse().unwrap();
            let manifest = attributes::find_manifest(c, repo, &digest).await?.unwrap();
            let first = Position::Name(String::new());
            let mut listed = attributes::list_tags(c, repo, &first, 100).await?;
            listed.extend(attributes::list_tags_of(c, repo, &digest, &first, 100).await?);
            assert!(listed.iter().filter(|listed| listed.name == tag).all(|listed| listed.pulls == found.pulls));
            let listed = attributes::list_manifests(c, repo, &first, 100).await?;
            assert_eq!(listed.iter().find(|listed| listed.id == manifest.id).unwrap().pulls, manifest.pulls);
            Ok::<_, Error>((found.pulls, manifest.pulls))
        })
    })
    .await
    .unwrap()
}

pub(crate) async fn pulls_add_up_and_the_newest_time_stays(db: Database) {
    let (_, repo) = app(&db).await;
    let [one, two] = [image(&db, repo, "one").await, image(&db, repo, "two").await];
    assert_eq!(shown(&db, repo, "one").await, (None, None));
    note(&db, one, pulled(0, 1)).await;
    note_tag(&db, repo, "one", NOW, pulled(0, 1)).await;
    assert_eq!(shown(&db, repo, "one").await, (None, None), "a look is no pull");
    for (count, seconds) in [(2, 20), (3, 10), (0, 30)] {
        note(&db, one, pulled(count, seconds)).await;
        note_tag(&db, repo, "one", NOW, pulled(count, seconds)).await;
    }
    let expected = Some(Pulls { count: 5, last_at: at(20) });
    assert_eq!(shown(&db, repo, "one").await, (expected, expected));
    assert_eq!(shown(&db, repo, "two").await, (None, None));
    let uses = read!(db, c => pulls::list_manifest_uses(c, &[one, two])).unwrap();
    assert_eq!(uses.into_iter().collect::<Vec<_>>(), [(one, at(30))]);

    let many: Vec<ManifestUse> = (0..pulls::ITEMS_PER_NOTE as i64)
        .map(|id| ManifestUse { manifest: ManifestId(id), uses: pulled(1, 40) })
        .collect();
    write!(db, c => pulls::note_manifests(c, &many)).unwrap();
    write!(db, c => pulls::note_manifests(c, &[])).unwrap();
    write!(db, c => pulls::note_tags(c, &[])).unwrap();
    write!(db, c => pulls::note_repositories(c, &[])).unwrap();
    assert_eq!(shown(&db, repo, "one").await.1, Some(Pulls { count: 6, last_at: at(40) }));
}

pub(crate) async fn what_is_gone_takes_its_pulls_along_and_is_not_noted_again(db: Database) {
    let (_, repo) = app(&db).await;
    let one = image(&db, repo, "one").await;
    note(&db, one, pulled(1, 1)).await;
    note_tag(&db, repo, "one", NOW, pulled(1, 1)).await;
    write!(db, c => tags::delete_of_manifests(c, &[one])).unwrap();
    write!(db, c => manifests::delete(c, one)).unwrap();
    note(&db, one, pulled(1, 2)).await;
    note_tag(&db, repo, "one", NOW, pulled(1, 2)).await;
    assert!(read!(db, c => pulls::list_manifest_uses(c, &[one])).unwrap().is_empty());
    image(&db, repo, "one").await;
    assert_eq!(shown(&db, repo, "one").await, (None, None));
}

pub(crate) async fn a_tag_that_was_set_anew_begins_anew(db: Database) {
    let (_, repo) = app(&db).await;
    let one = image(&db, repo, "one").await;
    note_tag(&db, repo, "one", NOW, pulled(4, 1)).await;
    let name: Tag = "one".parse().unwrap();
    db.write(move |c| {
        Box::pin(async move {
            tags::delete(c, repo, &["one"]).await?;
            tags::put(c, repo, &name, one, Overwrite::Allowed, at(10)).await
        })
    })
    .await
    .unwrap();
    assert_eq!(shown(&db, repo, "one").await.0, None);
    // Noted before it was deleted, written after it was set again.
    note_tag(&db, repo, "one", NOW, pulled(4, 5)).await;
    assert_eq!(shown(&db, repo, "one").await.0, None);
    note_tag(&db, repo, "one", at(10), pulled(1, 11)).await;
    assert_eq!(shown(&db, repo, "one").await.0, Some(Pulls { count: 1, last_at: at(11) }));
}

pub(crate) async fn a_repository_counts_all_of_its_manifests_until_it_begins_anew(db: Database) {
    let (registry, repo) = app(&db).await;
    let other = repository(&db, registry, "other").await;
    image(&db, repo, "one").await;
    image(&db, other, "one").await;
    let note = async |repository: RepositoryId, pulls: i64, seconds: i64| {
        let item = RepositoryPulls { repository, pulls, pulled_at: at(seconds) };
        let gone = RepositoryPulls { repository: RepositoryId(9999), pulls, pulled_at: at(seconds) };
        write!(db, c => pulls::note_repositories(c, &[item, gone])).unwrap();
    };
    note(repo, 3, 30).await;
    note(repo, 2, 20).await;
    note(other, 1, 25).await;
    assert_eq!(read!(db, c => pulls::find_repository(c, repo)).unwrap(), Some(Pulls { count: 5, last_at: at(30) }));
    let found = async || {
        let name = "app".parse().unwrap();
        read!(db, c => attributes::find_repository(c, registry, &name)).unwrap().unwrap()
    };
    assert_eq!(found().await.pulls, Some(Pulls { count: 5, last_at: at(30) }));
    let list = async |after: RepositoryPosition| -> Vec<String> {
        let listed = read!(db, c => attributes::list_repositories(c, registry, &after, 10)).unwrap();
        listed.into_iter().map(|repository| repository.name).collect()
    };
    assert_eq!(list(RepositoryPosition::Pulled(Timestamp(i64::MAX), RepositoryId(0))).await, ["app", "other"]);
    assert_eq!(list(RepositoryPosition::Pulled(at(30), repo)).await, ["other"]);
    assert_eq!(list(RepositoryPosition::Name("app".into())).await, ["other"]);

    // Its last manifest goes, and another one comes: it is another repository.
    write!(db, c => repositories::count(c, repo, -1, 0, at(40))).unwrap();
    write!(db, c => repositories::count(c, repo, 1, 0, at(50))).unwrap();
    assert_eq!(found().await.pulls, None);
    note(repo, 1, 60).await;
    assert_eq!(found().await.pulls, Some(Pulls { count: 1, last_at: at(60) }));
}

pub(crate) async fn a_tag_is_used_with_its_manifest(db: Database) {
    let (_, repo) = app(&db).await;
    let one = image(&db, repo, "one").await;
    image(&db, repo, "two").await;
    let name = "three".parse().unwrap();
    write!(db, c => tags::put(c, repo, &name, one, Overwrite::Allowed, NOW)).unwrap();
    note_tag(&db, repo, "three", NOW, pulled(1, 50)).await;
    note(&db, one, pulled(1, 40)).await;
    let uses = read!(db, c => pulls::list_tag_uses(c, repo, &["one", "two", "three", "four"])).unwrap();
    let mut uses: Vec<_> = uses.into_iter().collect();
    uses.sort();
    assert_eq!(uses, [("one".to_owned(), at(40)), ("three".to_owned(), at(50))]);
}

pub(crate) async fn nothing_is_unused_before_counting_began(db: Database) {
    assert_eq!(read!(db, c => pulls::counted_since(c)).unwrap(), None);
    for seconds in [1, 2] {
        write!(db, c => pulls::begin_counting(c, at(seconds))).unwrap();
    }
    assert_eq!(read!(db, c => pulls::counted_since(c)).unwrap(), Some(at(1)));
}

pub(crate) async fn notes_pass_those_who_remove_manifests(db: Database) {
    let (_, repo) = app(&db).await;
    let mut ids = Vec::new();
    for tag in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        ids.push(image(&db, repo, tag).await);
    }
    let removals = async {
        // In the other order than the notes.
        for &id in ids.iter().rev() {
            db.write(move |c| {
                Box::pin(async move {
                    tags::delete_of_manifests(c, &[id]).await?;
                    manifests::delete(c, id).await
                })
            })
            .await
            .unwrap();
        }
    };
    let notes = async {
        for seconds in 0..20 {
            let items: Vec<_> =
                ids.iter().map(|&manifest| ManifestUse { manifest, uses: pulled(1, seconds) }).collect();
            write!(db, c => pulls::note_manifests(c, &items)).unwrap();
            for tag in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                note_tag(&db, repo, tag, NOW, pulled(1, seconds)).await;
            }
        }
    };
    tokio::join!(removals, notes);
    assert!(read!(db, c => pulls::list_manifest_uses(c, &ids)).unwrap().is_empty());
}
