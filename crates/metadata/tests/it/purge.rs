//! What purges look at, their policies and runs.

use serde_json::json;
use uuid::Uuid;
use wharf_metadata::manifests::{self, NewManifest};
use wharf_metadata::purge::{self, NewPurgeRun, PurgePolicyRow};
use wharf_metadata::{Database, attributes, tags};
use wharf_model::{Algorithm, Digest, Locks, ManifestId, RegistryId, RepositoryId, Timestamp};

use crate::suite::{NOW, read, registry, repository, write};

all_engines!(
    tags_are_paged_from_the_newest_back_with_what_decides_about_them,
    manifests_are_paged_with_what_keeps_them,
    policies_are_due_once_their_time_has_come,
    runs_are_noted_shown_and_forgotten,
);

fn at(hours: i64) -> Timestamp {
    Timestamp(NOW.0 + hours * 3_600_000_000)
}

async fn manifest(db: &Database, repository: RepositoryId, content: &'static str, hours: i64) -> ManifestId {
    let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
    let subject = Digest::of(Algorithm::Sha256, b"subject");
    write!(db, c => async {
        let new = NewManifest {
            digest: &digest,
            media_type: "application/vnd.oci.image.manifest.v1+json",
            artifact_type: content.starts_with("signature").then_some("application/vnd.example.signature"),
            config_media_type: None,
            subject: content.starts_with("signature").then_some(&subject),
            annotations: None,
            image_size_bytes: 7,
            platform: None,
            bytes: content.as_bytes(),
        };
        manifests::insert(c, repository, &new, at(hours)).await
    })
    .unwrap()
    .0
}

async fn tag(db: &Database, repository: RepositoryId, name: &'static str, manifest: ManifestId, hours: i64) {
    write!(db, c => async { tags::put(c, repository, &name.parse().unwrap(), manifest, tags::Overwrite::Allowed, at(hours)).await })
        .unwrap();
}

pub(crate) async fn tags_are_paged_from_the_newest_back_with_what_decides_about_them(db: Database) {
    let registry = registry(&db, "contoso").await;
    let [app, other] = [repository(&db, registry, "app").await, repository(&db, registry, "other").await];
    let image = manifest(&db, app, "image", 0).await;
    let signature = manifest(&db, app, "signature", 0).await;
    let elsewhere = manifest(&db, other, "image", 0).await;
    for (name, hours) in [("a", 1), ("c", 2), ("b", 2), ("hidden", 3), ("new", 4)] {
        tag(&db, app, name, image, hours).await;
    }
    tag(&db, app, "signed", signature, 0).await;
    tag(&db, other, "elsewhere", elsewhere, 1).await;
    for (name, locks) in
        [("hidden", Locks { list_enabled: false, ..Locks::OPEN }), ("a", Locks { write_enabled: false, ..Locks::OPEN })]
    {
        write!(db, c => async { attributes::put_tag_locks(c, app, &name.parse().unwrap(), locks).await }).unwrap();
    }
    let page = async |hours: i64, name: &str, limit: i64| {
        let before = (at(hours), name.to_owned());
        read!(db, c => purge::list_tags(c, app, &before, limit)).unwrap()
    };
    let names = async |hours: i64, name: &str| -> Vec<String> {
        page(hours, name, 10).await.into_iter().map(|tag| tag.name).collect()
    };
    assert_eq!(names(4, "").await, ["c", "b", "a", "signed"], "only what is older, and not what is hidden");
    assert_eq!(names(2, "c").await, ["b", "a", "signed"], "the same time, by name");
    assert_eq!(names(0, "").await, Vec::<String>::new());
    let first = page(9, "", 2).await;
    assert_eq!(first.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["new", "c"]);
    let all = page(4, "", 10).await;
    assert_eq!((all[0].manifest, all[0].updated_at, all[0].is_deletable), (image, at(2), true));
    assert_eq!(all[0].digest, Digest::of(Algorithm::Sha256, b"image").as_str());
    assert!(!all[2].is_deletable, "it is locked");
    assert_eq!(all[3].artifact_type.as_deref(), Some("application/vnd.example.signature"));
}

pub(crate) async fn manifests_are_paged_with_what_keeps_them(db: Database) {
    let registry = registry(&db, "contoso").await;
    let app = repository(&db, registry, "app").await;
    let child = manifest(&db, app, "child", 1).await;
    let index = manifest(&db, app, "index", 2).await;
    let signature = manifest(&db, app, "signature", 3).await;
    let tagged = manifest(&db, app, "tagged", 4).await;
    write!(db, c => async { manifests::insert_children(c, index, &[child]).await }).unwrap();
    for name in ["one", "two"] {
        tag(&db, app, name, tagged, 4).await;
    }
    let digest = Digest::of(Algorithm::Sha256, b"child");
    let locks = Locks { delete_enabled: false, ..Locks::OPEN };
    write!(db, c => async { attributes::put_manifest_locks(c, app, &digest, locks).await }).unwrap();
    let before = (at(9), String::new());
    let page = read!(db, c => purge::list_manifests(c, app, &before, 10)).unwrap();
    let seen: Vec<_> = page
        .iter()
        .map(|item| (item.id, item.has_tags, item.is_listed, item.has_subject, item.is_index, item.is_deletable))
        .collect();
    assert_eq!(
        seen,
        [
            (tagged, true, false, false, false, true),
            (signature, false, false, true, false, true),
            (index, false, false, false, true, true),
            (child, false, true, false, false, false),
        ]
    );
    assert_eq!((page[0].image_size_bytes, page[0].updated_at), (7, at(4)));
    let before = (page[1].updated_at, page[1].digest.clone());
    let rest = read!(db, c => purge::list_manifests(c, app, &before, 1)).unwrap();
    assert_eq!(rest.iter().map(|item| item.id).collect::<Vec<_>>(), [index]);
    let ids = [child, index, tagged];
    assert_eq!(read!(db, c => purge::count_tags(c, &ids)).unwrap(), [(tagged, 2)]);
    assert_eq!(read!(db, c => purge::list_parents(c, &ids)).unwrap(), [(child, index)]);
    assert_eq!(read!(db, c => purge::list_parents(c, &[])).unwrap(), []);
}

fn policy(registry: RegistryId, name: &str, next_run_at: Option<Timestamp>) -> PurgePolicyRow {
    PurgePolicyRow {
        resource_key: format!("/contoso/{name}"),
        registry,
        name: name.to_owned(),
        spec: json!({"filters": ["a:b"]}),
        schedule: Some("0 3 * * *".to_owned()),
        next_run_at,
    }
}

pub(crate) async fn policies_are_due_once_their_time_has_come(db: Database) {
    let ours = registry(&db, "contoso").await;
    let rows = [("late", Some(at(2))), ("soon", Some(at(1))), ("never", None)].map(|(name, at)| policy(ours, name, at));
    for row in rows.clone() {
        write!(db, c => async { purge::put_policy(c, &row).await }).unwrap();
    }
    let due = async |hours: i64| -> Vec<String> {
        let listed = read!(db, c => purge::list_due_policies(c, at(hours), 10)).unwrap();
        listed.into_iter().map(|row| row.name).collect()
    };
    assert_eq!(due(0).await, Vec::<String>::new());
    assert_eq!(due(2).await, ["soon", "late"]);
    let reschedule = async |from: Timestamp, to: Option<Timestamp>| {
        write!(db, c => purge::reschedule_policy(c, "/contoso/soon", from, to)).unwrap()
    };
    assert!(reschedule(at(1), Some(at(5))).await);
    assert!(!reschedule(at(1), Some(at(9))).await, "somebody was faster");
    assert_eq!(due(2).await, ["late"]);
    assert_eq!(read!(db, c => purge::count_policies(c, ours)).unwrap(), 3);
    let keys = ["/contoso/late", "/contoso/never", "/contoso/absent"];
    assert_eq!(read!(db, c => purge::list_next_runs(c, &keys)).unwrap(), [("/contoso/late".to_owned(), at(2))]);
    let changed = PurgePolicyRow { spec: json!({"keep": 3}), next_run_at: None, ..rows[0].clone() };
    let row = changed.clone();
    write!(db, c => async { purge::put_policy(c, &row).await }).unwrap();
    let found = write!(db, c => purge::find_policy(c, "/contoso/late")).unwrap();
    assert_eq!(found, Some(changed));
    assert_eq!(due(9).await, ["soon"]);
    write!(db, c => wharf_metadata::registries::delete(c, ours)).unwrap();
    assert_eq!(write!(db, c => purge::find_policy(c, "/contoso/late")).unwrap(), None, "they go with their registry");
}

pub(crate) async fn runs_are_noted_shown_and_forgotten(db: Database) {
    let ours = registry(&db, "contoso").await;
    for name in ["one", "two"] {
        let row = policy(ours, name, None);
        write!(db, c => async { purge::put_policy(c, &row).await }).unwrap();
    }
    let ids: Vec<Uuid> = (0..4).map(|_| Uuid::new_v4()).collect();
    for (number, id) in ids.iter().copied().enumerate() {
        let hours = i64::try_from(number).unwrap();
        write!(db, c => async {
            let totals = json!({"deletedTags": 0});
            let new = NewPurgeRun {
                id,
                registry: ours,
                resource_key: "/contoso/one",
                is_dry_run: hours == 0,
                status: "Pending",
                totals: &totals,
                started_at: at(hours),
            };
            purge::insert_run(c, &new).await
        })
        .unwrap();
    }
    let [id, last] = [ids[0], ids[3]];
    write!(db, c => async { purge::update_run(c, id, "Running", &json!({"deletedTags": 5})).await }).unwrap();
    let run = read!(db, c => purge::find_run(c, id)).unwrap().unwrap();
    assert_eq!((run.status.as_str(), run.totals["deletedTags"].as_u64(), run.ended_at), ("Running", Some(5), None));
    assert!(run.is_dry_run && run.report.is_none());
    for (status, error) in [("Failed", Some("no")), ("Succeeded", None)] {
        write!(db, c => async {
            let (totals, report) = (json!({"deletedTags": 9}), json!({"items": ["a:b"]}));
            purge::end_run(c, id, status, &totals, Some(&report), error, at(5)).await
        })
        .unwrap();
    }
    write!(db, c => async { purge::update_run(c, id, "Running", &json!({})).await }).unwrap();
    let run = read!(db, c => purge::find_run(c, id)).unwrap().unwrap();
    assert_eq!((run.status.as_str(), run.error.as_deref(), run.ended_at), ("Failed", Some("no"), Some(at(5))));
    assert_eq!(run.report.unwrap()["items"][0], "a:b");
    let listed = read!(db, c => purge::list_runs(c, "/contoso/one", 3)).unwrap();
    assert_eq!(listed.iter().map(|run| run.id).collect::<Vec<_>>(), [ids[3], ids[2], ids[1]]);
    let newest = read!(db, c => purge::list_last_runs(c, &["/contoso/one", "/contoso/two"])).unwrap();
    assert_eq!(newest.iter().map(|run| run.id).collect::<Vec<_>>(), [last]);
    write!(db, c => purge::forget_runs(c, "/contoso/one", 2)).unwrap();
    let left = read!(db, c => purge::list_runs(c, "/contoso/one", 9)).unwrap();
    assert_eq!(left.len(), 3, "those that go on are never forgotten");
    assert!(left.iter().all(|run| run.id != id));
    let one = "/subscriptions/5ab00000-0000-4000-8000-000000000001/resourceGroups/g".parse().unwrap();
    assert!(!write!(db, c => async { purge::delete_policy(c, &one).await }).unwrap());
}
