//! Dates of untagged manifests, marks of quarantine, tags that are written once.

use std::collections::BTreeSet;

use wharf_metadata::attributes::{self, Position};
use wharf_metadata::manifests::{self, ReferrerFilter};
use wharf_metadata::quarantine::{self, Mark, State};
use wharf_metadata::retention::{self, Due};
use wharf_metadata::tags::{self, Overwrite, Put};
use wharf_metadata::{Connection, Database, Error, registries, repositories};
use wharf_model::{ManifestId, RepositoryId, Tag, Timestamp};

use crate::suite::{NOW, blob, put, read, registry, repository, write};

all_engines!(
    only_manifests_that_nothing_holds_get_a_date,
    a_date_is_kept_until_it_is_dropped_or_replaced,
    what_is_due_is_listed_by_time,
    a_tag_that_is_written_once_is_added_and_never_moved,
    of_many_who_add_a_tag_at_once_one_does,
    patterns_of_a_repository_are_kept_until_it_ends,
    a_mark_is_made_by_the_push_and_changed_by_the_scanner,
    a_blob_passes_with_a_manifest_that_refers_to_it,
    referrers_that_did_not_pass_can_be_left_out,
    settings_are_found_by_the_row_until_the_registry_is_deleted,
);

fn due(untagged: i64, days: i64) -> Due {
    Due { untagged_at: Timestamp(NOW.0 + untagged), due_at: Timestamp(NOW.0 + untagged + days) }
}

/// Manifests of this content, and what nothing holds of them.
async fn manifests_of(c: &mut Connection, repo: RepositoryId, names: &[&str]) -> Result<Vec<ManifestId>, Error> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(put(c, repo, name.as_bytes(), None, None, &[]).await?.0);
    }
    Ok(ids)
}

pub(crate) async fn only_manifests_that_nothing_holds_get_a_date(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    db.write(move |c| {
        Box::pin(async move {
            let ids = manifests_of(c, repo, &["free", "tagged", "index", "listed"]).await?;
            let [free, tagged, index, listed] = ids[..] else { unreachable!("there are four") };
            let subject = put(c, repo, b"subject", None, None, &[]).await?.1;
            let referrer = put(c, repo, b"referrer", Some(&subject), None, &[]).await?.0;
            tags::put(c, repo, &"v1".parse().unwrap(), tagged, Overwrite::Allowed, NOW).await?;
            manifests::insert_children(c, index, &[listed]).await?;
            retention::mark(c, &[free, tagged, index, listed, referrer], due(0, 10)).await?;
            let mut dated = BTreeSet::new();
            for found in retention::list_due(c, due(0, 10).due_at, 100).await? {
                assert_eq!((found.repository, found.repository_name.as_str(), found.registry), (repo, "app", id));
                assert_eq!(found.due, due(0, 10));
                dated.insert(found.manifest);
            }
            assert_eq!(dated, BTreeSet::from([free, index]));
            assert_eq!(retention::list_tagged(c, &[free, tagged, index]).await?, [tagged]);
            manifests::delete(c, free).await?;
            assert_eq!(retention::find(c, free).await?, None, "the date goes with the manifest");
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn a_date_is_kept_until_it_is_dropped_or_replaced(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    db.write(move |c| {
        Box::pin(async move {
            let ids = manifests_of(c, repo, &["one", "two"]).await?;
            retention::mark(c, &ids, due(0, 10)).await?;
            retention::mark(c, &ids[..1], due(5, 20)).await?;
            assert_eq!(retention::find(c, ids[0]).await?, Some(due(5, 20)), "untagged again");
            retention::drop_date(c, ids[0], due(0, 10)).await?;
            retention::postpone(c, ids[0], due(0, 10), NOW).await?;
            assert_eq!(retention::find(c, ids[0]).await?, Some(due(5, 20)), "another date is left alone");
            retention::drop_date(c, ids[0], due(5, 20)).await?;
            retention::unmark(c, &ids[1..]).await?;
            for id in ids {
                assert_eq!(retention::find(c, id).await?, None);
            }
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn what_is_due_is_listed_by_time(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    db.write(move |c| {
        Box::pin(async move {
            let ids = manifests_of(c, repo, &["a", "b", "c"]).await?;
            for (id, days) in ids.iter().zip([30, 10, 20]) {
                retention::mark(c, &[*id], due(0, days)).await?;
            }
            let at = |time: i64| Timestamp(NOW.0 + time);
            let list = async |c: &mut Connection, time, limit| {
                let found = retention::list_due(c, at(time), limit).await?;
                Ok::<_, Error>(found.into_iter().map(|found| found.manifest).collect::<Vec<_>>())
            };
            assert_eq!(list(c, 9, 9).await?, []);
            assert_eq!(list(c, 30, 9).await?, [ids[1], ids[2], ids[0]]);
            assert_eq!(list(c, 30, 2).await?, [ids[1], ids[2]]);
            retention::postpone(c, ids[1], due(0, 10), at(40)).await?;
            assert_eq!(list(c, 30, 9).await?, [ids[2], ids[0]]);
            retention::reconsider(c, ids[1]).await?;
            assert_eq!(list(c, 30, 1).await?, [ids[1]], "its date is what it was");
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn a_tag_that_is_written_once_is_added_and_never_moved(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    db.write(move |c| {
        Box::pin(async move {
            let ids = manifests_of(c, repo, &["one", "two"]).await?;
            let tag: Tag = "v1".parse().unwrap();
            let later = Timestamp(NOW.0 + 1);
            assert_eq!(tags::put(c, repo, &tag, ids[0], Overwrite::Same, NOW).await?, Put::Added);
            assert_eq!(tags::put(c, repo, &tag, ids[0], Overwrite::Same, later).await?, Put::Same);
            for (manifest, overwrite) in
                [(ids[1], Overwrite::Same), (ids[1], Overwrite::Never), (ids[0], Overwrite::Never)]
            {
                let put = tags::put(c, repo, &tag, manifest, overwrite, NOW).await?;
                assert!(matches!(&put, Put::Kept { found } if found.manifest == ids[0]), "{put:?}");
            }
            assert_eq!(attributes::find_tag(c, repo, &tag).await?.unwrap().updated_at, later);
            let put = tags::put(c, repo, &tag, ids[1], Overwrite::Allowed, later).await?;
            assert!(matches!(&put, Put::Moved { from } if from.manifest == ids[0]), "{put:?}");
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn of_many_who_add_a_tag_at_once_one_does(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    let pushes = (0..40).map(|n| {
        let db = db.clone();
        tokio::spawn(async move {
            let name = "app".parse().unwrap();
            let write = db.write(move |c| {
                Box::pin(async move {
                    repositories::find_or_insert(c, id, &name, NOW).await?;
                    let manifest = put(c, repo, format!("{n}").as_bytes(), None, None, &[]).await?.0;
                    tags::put(c, repo, &"v1".parse().unwrap(), manifest, Overwrite::Same, NOW).await
                })
            });
            write.await.unwrap()
        })
    });
    let mut added = 0;
    for push in pushes.collect::<Vec<_>>() {
        match push.await.unwrap() {
            Put::Added => added += 1,
            put => assert!(matches!(put, Put::Kept { .. }), "{put:?}"),
        }
    }
    assert_eq!(added, 1);
}

pub(crate) async fn patterns_of_a_repository_are_kept_until_it_ends(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    db.write(move |c| {
        Box::pin(async move {
            let name = "app".parse().unwrap();
            let patterns = vec!["v*".to_owned(), "release-?".to_owned()];
            repositories::count(c, repo, 1, 0, NOW).await?;
            assert_eq!(repositories::find_or_insert(c, id, &name, NOW).await?.write_once_tags, [""; 0]);
            attributes::put_write_once_tags(c, repo, &patterns).await?;
            assert_eq!(repositories::find_or_insert(c, id, &name, NOW).await?.write_once_tags, patterns);
            assert_eq!(attributes::find_repository(c, id, &name).await?.unwrap().write_once_tags, patterns);
            repositories::count(c, repo, 1, 0, NOW).await?;
            repositories::count(c, repo, -1, 0, NOW).await?;
            assert_eq!(repositories::find_or_insert(c, id, &name, NOW).await?.write_once_tags, patterns);
            repositories::count(c, repo, -1, 0, NOW).await?;
            assert_eq!(repositories::find_or_insert(c, id, &name, NOW).await?.write_once_tags, [""; 0]);
            attributes::put_write_once_tags(c, repo, &patterns).await?;
            attributes::put_write_once_tags(c, repo, &[]).await?;
            assert_eq!(repositories::find_or_insert(c, id, &name, NOW).await?.write_once_tags, [""; 0]);
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn a_mark_is_made_by_the_push_and_changed_by_the_scanner(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    db.write(move |c| {
        Box::pin(async move {
            let tag: Tag = "v1".parse().unwrap();
            let (manifest, digest) = put(c, repo, b"one", None, None, &[]).await?;
            let find = async |c: &mut Connection| {
                let found = attributes::find_manifest(c, repo, &digest).await?.unwrap().quarantine;
                let listed = attributes::list_manifests(c, repo, &Position::Name(String::new()), 9).await?;
                assert_eq!(listed[0].quarantine, found);
                Ok::<_, Error>(found)
            };
            let mark = |state, details: Option<&str>| {
                Some(Mark { state, details: details.map(Into::into), tag: Some("v1".into()) })
            };
            assert_eq!(find(c).await?, None);
            assert!(!quarantine::is_passed(c, manifest).await?);
            assert!(quarantine::insert(c, manifest, Some(&tag)).await?);
            assert!(!quarantine::insert(c, manifest, None).await?, "it has one");
            assert_eq!(find(c).await?, mark(State::Quarantined, None));
            assert!(!quarantine::is_passed(c, manifest).await?);
            quarantine::put(c, manifest, State::Passed, Some("{}")).await?;
            assert_eq!(find(c).await?, mark(State::Passed, Some("{}")));
            assert!(quarantine::is_passed(c, manifest).await?);
            assert!(!quarantine::insert(c, manifest, Some(&tag)).await?, "a push of the same leaves it");
            quarantine::put(c, manifest, State::Failed, None).await?;
            assert_eq!(find(c).await?, mark(State::Failed, None));
            assert!(!quarantine::is_passed(c, manifest).await?);
            let (unmarked, _) = put(c, repo, b"two", None, None, &[]).await?;
            quarantine::put(c, unmarked, State::Passed, None).await?;
            assert!(quarantine::is_passed(c, unmarked).await?);
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn a_blob_passes_with_a_manifest_that_refers_to_it(db: Database) {
    let id = registry(&db, "contoso").await;
    let [repo, other] = [repository(&db, id, "app").await, repository(&db, id, "other").await];
    let layer = blob(&db, repo, b"layer", NOW).await;
    blob(&db, other, b"layer", NOW).await;
    db.write(move |c| {
        Box::pin(async move {
            assert!(!quarantine::is_blob_passed(c, repo, layer).await?, "nothing refers to it");
            let (one, _) = put(c, repo, b"one", None, None, &[layer]).await?;
            let (two, _) = put(c, repo, b"two", None, None, &[layer]).await?;
            put(c, other, b"one", None, None, &[layer]).await?;
            quarantine::insert(c, one, None).await?;
            assert!(!quarantine::is_blob_passed(c, repo, layer).await?);
            quarantine::put(c, two, State::Passed, None).await?;
            assert!(quarantine::is_blob_passed(c, repo, layer).await?);
            assert!(!quarantine::is_blob_passed(c, other, layer).await?, "each repository for itself");
            quarantine::put(c, two, State::Failed, None).await?;
            assert!(!quarantine::is_blob_passed(c, repo, layer).await?);
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn referrers_that_did_not_pass_can_be_left_out(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    db.write(move |c| {
        Box::pin(async move {
            let (_, subject) = put(c, repo, b"subject", None, None, &[]).await?;
            let (passed, digest) = put(c, repo, b"passed", Some(&subject), Some("sbom"), &[]).await?;
            let (failed, _) = put(c, repo, b"failed", Some(&subject), Some("sbom"), &[]).await?;
            put(c, repo, b"unmarked", Some(&subject), None, &[]).await?;
            quarantine::put(c, passed, State::Passed, None).await?;
            quarantine::put(c, failed, State::Failed, None).await?;
            for (filter, count) in [
                (ReferrerFilter::default(), 3),
                (ReferrerFilter { artifact_type: Some("sbom"), only_passed: false }, 2),
                (ReferrerFilter { artifact_type: None, only_passed: true }, 1),
                (ReferrerFilter { artifact_type: Some("sbom"), only_passed: true }, 1),
                (ReferrerFilter { artifact_type: Some("signature"), only_passed: true }, 0),
            ] {
                let rows = manifests::list_referrers(c, repo, &subject, filter, "", 9).await?;
                assert_eq!(rows.len(), count, "{filter:?}");
                assert_eq!(manifests::weigh_referrers(c, repo, &subject, filter, "", 9).await?.len(), count);
                if filter.only_passed {
                    assert!(rows.iter().all(|row| row.digest == digest.as_str()));
                }
            }
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) async fn settings_are_found_by_the_row_until_the_registry_is_deleted(db: Database) {
    let id = registry(&db, "contoso").await;
    let settings = read!(db, c => registries::find_settings(c, id)).unwrap().unwrap();
    assert_eq!(settings, wharf_metadata::RegistrySettings::default());
    assert_eq!(read!(db, c => registries::find(c, id)).unwrap().unwrap().name.as_str(), "contoso");
    write!(db, c => registries::hide(c, id, "test", NOW)).unwrap();
    assert!(read!(db, c => registries::find_settings(c, id)).unwrap().is_none());
    assert!(read!(db, c => registries::find(c, id)).unwrap().is_none());
}
