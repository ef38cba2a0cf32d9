//! The tests, each given an empty database.

use std::collections::BTreeSet;
use std::time::Duration;

use wharf_metadata::blobs::{self, Place};
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::manifests::{self, NewManifest, ReferrerFilter};
use wharf_metadata::tags::Overwrite;
use wharf_metadata::uploads::{self, UploadRow};
use wharf_metadata::{Connection, Database, Error, NewRegistry, SigningKeyRow, collection, registries, repositories};
use wharf_metadata::{settings, signing_keys, tags};
use wharf_model::{
    Algorithm, BlobId, Digest, ManifestId, Reference, RegistryId, RegistryUid, RepositoryId, Timestamp, UploadId,
};

all_engines!(
    a_failed_write_leaves_nothing_and_spares_its_neighbours,
    a_write_that_panics_ends_alone,
    a_write_goes_on_when_its_caller_stops_waiting,
    changes_are_dense_per_registry_under_concurrency,
    a_registry_is_created_once_and_deleted_whole,
    new_passwords_start_a_new_generation,
    listings_are_in_the_order_of_bytes_and_lose_nothing,
    a_tag_moves_and_is_removed_alone,
    of_many_pushes_of_one_blob_one_is_kept,
    the_collector_and_a_push_never_both_win,
    an_object_is_claimed_or_doomed_never_both,
    a_referenced_link_cannot_be_cut,
    deleting_a_manifest_frees_its_blobs,
    referrers_are_paged_and_filtered,
    manifests_with_thousands_of_layers_are_written_whole,
    settings_are_put_once,
    signing_keys_expire,
    uploads_are_kept_and_expire,
    the_schema_can_be_opened_again,
);

pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
const LATER: Timestamp = Timestamp(1_790_000_100_000_000);

/// `write!(db, c => expression)`: the expression in a transaction; `read!` likewise on a reader.
macro_rules! write {
    ($db:expr, $c:ident => $body:expr) => {
        $db.write(move |$c| Box::pin(async move { $body.await })).await
    };
}
macro_rules! read {
    ($db:expr, $c:ident => $body:expr) => {
        $db.read(|$c| Box::pin(async move { $body.await })).await
    };
}

pub(crate) use {read, write};

pub(crate) async fn registry(db: &Database, name: &str) -> RegistryId {
    let new = NewRegistry {
        uid: RegistryUid(uuid::Uuid::new_v4()),
        name: name.parse().unwrap(),
        sku: "Premium".into(),
        admin_user_enabled: true,
        anonymous_pull_enabled: false,
        admin_passwords: [vec![1], vec![2]],
        created_at: NOW,
        resource_id: wharf_model::ResourceId::root(),
        settings: Default::default(),
    };
    write!(db, c => registries::insert(c, &new)).unwrap().expect("the name is free")
}

pub(crate) async fn repository(db: &Database, registry: RegistryId, name: &str) -> RepositoryId {
    let name = name.parse().unwrap();
    write!(db, c => repositories::find_or_insert(c, registry, &name, NOW)).unwrap().id
}

pub(crate) async fn blob(
    db: &Database,
    repository: RepositoryId,
    content: &'static [u8],
    lease_until: Timestamp,
) -> BlobId {
    let (id, _) = db
        .write(move |c| {
            Box::pin(async move {
                let digest = Digest::of(Algorithm::Sha256, content);
                let place = Place::Object(format!("key/{}", digest.hex()));
                let found = blobs::insert(c, &digest, content.len() as u64, &place, NOW).await?;
                blobs::link(c, repository, found.0, lease_until).await?;
                Ok::<_, Error>(found)
            })
        })
        .await
        .unwrap();
    id
}

pub(crate) async fn put(
    c: &mut Connection,
    repository: RepositoryId,
    bytes: &[u8],
    subject: Option<&Digest>,
    artifact_type: Option<&str>,
    blobs: &[BlobId],
) -> Result<(ManifestId, Digest), Error> {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    let new = NewManifest {
        digest: &digest,
        media_type: "application/vnd.oci.image.manifest.v1+json",
        artifact_type,
        config_media_type: None,
        subject,
        annotations: None,
        image_size_bytes: 0,
        platform: None,
        bytes,
    };
    let (id, is_new) = manifests::insert(c, repository, &new, NOW).await?;
    if is_new {
        manifests::insert_blobs(c, repository, id, blobs).await?;
        repositories::count(c, repository, 1, 0, NOW).await?;
    }
    Ok((id, digest))
}

pub(crate) async fn a_failed_write_leaves_nothing_and_spares_its_neighbours(db: Database) {
    let writes = (0..40).map(|i| {
        let db = db.clone();
        tokio::spawn(async move {
            db.write(move |c| {
                Box::pin(async move {
                    settings::put(c, &format!("k{i}"), b"v").await?;
                    if i % 3 == 0 { Err(Error::Closed) } else { Ok(()) }
                })
            })
            .await
        })
    });
    for (i, write) in writes.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(write.await.unwrap().is_err(), i % 3 == 0, "write {i}");
    }
    for i in 0..40 {
        let key = format!("k{i}");
        assert_eq!(read!(db, c => settings::get(c, &key)).unwrap().is_none(), i % 3 == 0, "{i}");
    }
}

pub(crate) async fn a_write_that_panics_ends_alone(db: Database) {
    let panicked: Result<(), Error> = db
        .write(|c| {
            Box::pin(async move {
                settings::put(c, "half", b"done").await?;
                panic!("a bug in a use case (this test wants the message above)")
            })
        })
        .await;
    assert!(panicked.is_err());
    write!(db, c => settings::put(c, "next", b"fine")).unwrap();
    assert_eq!(read!(db, c => settings::get(c, "half")).unwrap(), None);
    assert!(read!(db, c => settings::get(c, "next")).unwrap().is_some());
}

pub(crate) async fn a_write_goes_on_when_its_caller_stops_waiting(db: Database) {
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let (go, may_go) = tokio::sync::oneshot::channel::<()>();
    let writer = db.clone();
    let caller = tokio::spawn(async move {
        writer
            .write(move |c| {
                Box::pin(async move {
                    settings::put(c, "a", b"1").await?;
                    began.send(()).unwrap();
                    may_go.await.unwrap();
                    settings::put(c, "b", b"2").await
                })
            })
            .await
    });
    has_begun.await.unwrap();
    caller.abort();
    go.send(()).unwrap();
    // The next write waits for the first one where there is one writer; elsewhere it may need a moment.
    for _ in 0..200 {
        write!(db, c => settings::put(c, "c", b"3")).unwrap();
        if read!(db, c => settings::get(c, "b")).unwrap().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(read!(db, c => settings::get(c, "a")).unwrap().unwrap(), b"1");
    assert_eq!(read!(db, c => settings::get(c, "b")).unwrap().unwrap(), b"2");
}

pub(crate) async fn changes_are_dense_per_registry_under_concurrency(db: Database) {
    let (one, two) = (registry(&db, "first").await, registry(&db, "second").await);
    let mut writes = Vec::new();
    for i in 0..60 {
        let db = db.clone();
        let registry = if i % 2 == 0 { one } else { two };
        writes.push(tokio::spawn(async move {
            db.write(move |c| {
                Box::pin(async move {
                    let change = NewChange {
                        kind: Kind::TagPut,
                        actor: "test",
                        repository: None,
                        tag: None,
                        digest: None,
                        changed_at: NOW,
                    };
                    changes::append(c, registry, &[change, change]).await?;
                    if i % 5 == 0 { Err(Error::Closed) } else { Ok(()) }
                })
            })
            .await
        }));
    }
    for write in writes {
        let _ = write.await.unwrap();
    }
    let rows = read!(db, c => changes::list_after(c, 0, 1000)).unwrap();
    for registry in [one, two] {
        let mut sequence: Vec<i64> = rows.iter().filter(|r| r.registry == registry).map(|r| r.sequence).collect();
        sequence.sort_unstable();
        assert_eq!(sequence, (1..=48).collect::<Vec<i64>>());
    }
    assert_eq!(read!(db, c => collection::list_inconsistencies(c)).unwrap(), Vec::<String>::new());
}

pub(crate) async fn a_registry_is_created_once_and_deleted_whole(db: Database) {
    let id = registry(&db, "contoso").await;
    let new = NewRegistry {
        uid: RegistryUid(uuid::Uuid::new_v4()),
        name: "contoso".parse().unwrap(),
        sku: "Basic".into(),
        admin_user_enabled: false,
        anonymous_pull_enabled: false,
        admin_passwords: [vec![], vec![]],
        created_at: NOW,
        resource_id: wharf_model::ResourceId::root(),
        settings: Default::default(),
    };
    assert_eq!(write!(db, c => registries::insert(c, &new)).unwrap(), None);
    let repo = repository(&db, id, "app").await;
    let layer = blob(&db, repo, b"layer", LATER).await;
    db.write(move |c| {
        Box::pin(async move {
            let (manifest, _) = put(c, repo, b"{}", None, None, &[layer]).await?;
            tags::put(c, repo, &"v1".parse().unwrap(), manifest, Overwrite::Allowed, NOW).await
        })
    })
    .await
    .unwrap();
    assert!(write!(db, c => registries::delete(c, id)).unwrap());
    assert!(!write!(db, c => registries::delete(c, id)).unwrap());
    assert!(read!(db, c => registries::list(c, None, 10)).unwrap().is_empty());
    let unlinked = read!(db, c => collection::find_unlinked_blobs(c, 0, 100)).unwrap();
    assert_eq!(unlinked.len(), 1, "its blob is garbage now");
}

pub(crate) async fn new_passwords_start_a_new_generation(db: Database) {
    let id = registry(&db, "contoso").await;
    let name = "contoso".parse().unwrap();
    let before = read!(db, c => registries::find_by_name(c, &name)).unwrap().unwrap();
    let passwords = [vec![9], vec![8]];
    write!(db, c => registries::update_passwords(c, id, &passwords, "somebody", LATER)).unwrap();
    let name = "contoso".parse().unwrap();
    let after = read!(db, c => registries::find_by_name(c, &name)).unwrap().unwrap();
    assert_eq!(after.credentials_generation, before.credentials_generation + 1);
    assert_eq!(after.admin_passwords, [vec![9], vec![8]]);
    assert_eq!(after.updated_at, LATER);
}

pub(crate) async fn listings_are_in_the_order_of_bytes_and_lose_nothing(db: Database) {
    let id = registry(&db, "contoso").await;
    // Names that share prefixes, and that a locale would sort otherwise.
    let names = ["a", "a-b", "a/b", "a.b", "a0", "a_b", "b", "0", "z/a", "z0"];
    for name in names {
        let repo = repository(&db, id, name).await;
        write!(db, c => repositories::count(c, repo, 1, 0, NOW)).unwrap();
    }
    repository(&db, id, "empty").await;
    let expected: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>().into_iter().collect();
    for page_size in 1..=names.len() as i64 + 1 {
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().cloned().unwrap_or_default();
            let page = read!(db, c => repositories::list_shown(c, id, &after, page_size)).unwrap();
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        assert_eq!(all, expected, "pages of {page_size}");
    }
    let repo = repository(&db, id, "a").await;
    let names = ["v1", "V1", "v1.0", "v1-0", "v10", "_", "0", "latest"];
    db.write(move |c| {
        Box::pin(async move {
            let (manifest, _) = put(c, repo, b"{}", None, None, &[]).await?;
            for name in names {
                tags::put(c, repo, &name.parse().unwrap(), manifest, Overwrite::Allowed, NOW).await?;
            }
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
    let listed = read!(db, c => tags::list(c, repo, "", 100)).unwrap();
    let expected: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(listed, expected);
}

pub(crate) async fn a_tag_moves_and_is_removed_alone(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    let (first, second) = db
        .write(move |c| {
            Box::pin(async move {
                let (one, first) = put(c, repo, b"{\"n\":1}", None, None, &[]).await?;
                let (two, second) = put(c, repo, b"{\"n\":2}", None, None, &[]).await?;
                let tag = "v1".parse().unwrap();
                assert_eq!(tags::put(c, repo, &tag, one, Overwrite::Allowed, NOW).await?, tags::Put::Added);
                let put = tags::put(c, repo, &tag, two, Overwrite::Allowed, LATER).await?;
                assert!(matches!(put, tags::Put::Moved { .. }), "{put:?}");
                Ok::<_, Error>((first, second))
            })
        })
        .await
        .unwrap();
    let name = "app".parse().unwrap();
    let by_tag = Reference::Tag("v1".parse().unwrap());
    let found = read!(db, c => manifests::find(c, id, &name, &by_tag)).unwrap().unwrap();
    assert_eq!((found.digest, found.bytes.as_slice()), (second.clone(), b"{\"n\":2}".as_slice()));
    let former = write!(db, c => tags::delete(c, repo, &["v1", "v2"])).unwrap();
    assert_eq!(former.iter().map(|tag| tag.digest.as_str()).collect::<Vec<_>>(), [second.as_str()]);
    assert!(write!(db, c => tags::delete(c, repo, &["v1"])).unwrap().is_empty());
    for digest in [first, second] {
        let name = "app".parse().unwrap();
        let reference = Reference::Digest(digest);
        assert!(read!(db, c => manifests::find(c, id, &name, &reference)).unwrap().is_some());
    }
}

pub(crate) async fn of_many_pushes_of_one_blob_one_is_kept(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    let mut pushes = Vec::new();
    for i in 0..16 {
        let db = db.clone();
        pushes.push(tokio::spawn(async move {
            db.write(move |c| {
                Box::pin(async move {
                    let digest = Digest::of(Algorithm::Sha256, b"same");
                    let (blob, added) = blobs::insert(c, &digest, 4, &Place::Object(format!("k{i}")), NOW).await?;
                    blobs::link(c, repo, blob, LATER).await?;
                    Ok::<_, Error>((blob, added))
                })
            })
            .await
        }));
    }
    let mut added = 0;
    let mut ids = BTreeSet::new();
    for push in pushes {
        let (blob, was_added) = push.await.unwrap().unwrap();
        added += u32::from(was_added);
        ids.insert(blob);
    }
    assert_eq!((added, ids.len()), (1, 1));
}

pub(crate) async fn the_collector_and_a_push_never_both_win(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    for round in 0..30 {
        let content: &'static [u8] = Box::leak(format!("layer {round}").into_bytes().into_boxed_slice());
        let layer = blob(&db, repo, content, NOW).await;
        let unused = read!(db, c => collection::find_unused_links(c, (0, 0), (i64::MAX, 0), LATER)).unwrap();
        let link = unused.into_iter().find(|link| link.blob_id == layer.0).expect("its lease has ended");
        let (pusher, collector) = (db.clone(), db.clone());
        let push = tokio::spawn(async move {
            pusher
                .write(move |c| {
                    Box::pin(async move {
                        let digest = Digest::of(Algorithm::Sha256, content);
                        let links = blobs::find_links(c, repo, &[&digest]).await?;
                        if links.is_empty() {
                            return Ok(false);
                        }
                        put(c, repo, content, None, None, &[layer]).await?;
                        Ok::<_, Error>(true)
                    })
                })
                .await
        });
        let collect = tokio::spawn(async move {
            collector.write(move |c| Box::pin(async move { collection::cut_unused_link(c, &link, LATER).await })).await
        });
        let pushed = push.await.unwrap().unwrap();
        // PostgreSQL may refuse the cut by its foreign key instead of by the condition; both mean that the push won.
        let cut = collect.await.unwrap().unwrap_or(false);
        assert_ne!(pushed, cut, "round {round}");
    }
    assert_eq!(read!(db, c => collection::list_inconsistencies(c)).unwrap(), Vec::<String>::new());
}

pub(crate) async fn an_object_is_claimed_or_doomed_never_both(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    for round in 0..30_u8 {
        let key = format!("key {round}");
        let (claimer, doomer, claimed_key, doomed_key) = (db.clone(), db.clone(), key.clone(), key.clone());
        let claim = tokio::spawn(async move {
            claimer
                .write(move |c| {
                    Box::pin(async move {
                        if !collection::claim_object(c, &claimed_key).await? {
                            return Ok(false);
                        }
                        let digest = Digest::of(Algorithm::Sha256, &[round]);
                        let (blob, _) = blobs::insert(c, &digest, 1, &Place::Object(claimed_key), NOW).await?;
                        blobs::link(c, repo, blob, LATER).await?;
                        Ok::<_, Error>(true)
                    })
                })
                .await
        });
        let doom = tokio::spawn(async move {
            let doom = doomer
                .write(move |c| Box::pin(async move { collection::doom_unknown_object(c, &doomed_key, 1, NOW).await }));
            doom.await
        });
        assert_ne!(claim.await.unwrap().unwrap(), doom.await.unwrap().unwrap(), "round {round}");
    }
}

pub(crate) async fn a_referenced_link_cannot_be_cut(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    let layer = blob(&db, repo, b"layer", NOW).await;
    write!(db, c => async { put(c, repo, b"{}", None, None, &[layer]).await }).unwrap();
    assert!(read!(db, c => blobs::is_referenced(c, repo, layer)).unwrap());
    assert!(read!(db, c => collection::find_unused_links(c, (0, 0), (i64::MAX, 0), LATER)).unwrap().is_empty());
    assert!(write!(db, c => blobs::unlink(c, repo, layer)).is_err(), "the foreign key holds");
    let digest = Digest::of(Algorithm::Sha256, b"layer");
    let name = "app".parse().unwrap();
    assert!(read!(db, c => blobs::find_linked(c, id, &name, &digest)).unwrap().is_some());
}

pub(crate) async fn deleting_a_manifest_frees_its_blobs(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    let layer = blob(&db, repo, b"layer", NOW).await;
    let (manifest, _) = write!(db, c => async { put(c, repo, b"{}", None, None, &[layer]).await }).unwrap();
    write!(db, c => manifests::delete(c, manifest)).unwrap();
    let unused = read!(db, c => collection::find_unused_links(c, (0, 0), (i64::MAX, 0), LATER)).unwrap();
    assert_eq!(unused.len(), 1);
    let link = unused[0].clone();
    assert!(write!(db, c => collection::cut_unused_link(c, &link, LATER)).unwrap());
    assert!(write!(db, c => collection::doom_unlinked_blob(c, layer, LATER)).unwrap());
    let doomed = read!(db, c => collection::list_doomed(c, LATER, 10)).unwrap();
    assert_eq!(doomed.len(), 1);
    let key = doomed[0].storage_key.clone();
    assert!(read!(db, c => collection::is_known_object(c, &key)).unwrap());
    let key = doomed[0].storage_key.clone();
    write!(db, c => collection::forget_doomed(c, &key)).unwrap();
    let key = doomed[0].storage_key.clone();
    assert!(!read!(db, c => collection::is_known_object(c, &key)).unwrap());
}

pub(crate) async fn referrers_are_paged_and_filtered(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    let subject = Digest::of(Algorithm::Sha256, b"subject");
    let wanted = subject.clone();
    db.write(move |c| {
        Box::pin(async move {
            for i in 0..25 {
                let kind = if i % 5 == 0 { "sbom" } else { "signature" };
                put(c, repo, format!("{{\"n\":{i}}}").as_bytes(), Some(&wanted), Some(kind), &[]).await?;
            }
            Ok::<_, Error>(())
        })
    })
    .await
    .unwrap();
    let mut all: Vec<String> = Vec::new();
    loop {
        let after = all.last().cloned().unwrap_or_default();
        let of = subject.clone();
        let page =
            read!(db, c => manifests::list_referrers(c, repo, &of, ReferrerFilter::default(), &after, 4)).unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page.into_iter().map(|row| row.digest));
    }
    assert_eq!(all.len(), 25);
    assert!(all.is_sorted());
    let of_boms = ReferrerFilter { artifact_type: Some("sbom"), ..ReferrerFilter::default() };
    let boms = read!(db, c => manifests::list_referrers(c, repo, &subject, of_boms, "", 100)).unwrap();
    assert_eq!(boms.len(), 5);
    assert!(boms.iter().all(|row| row.artifact_type.as_deref() == Some("sbom") && row.size_bytes > 0));
}

pub(crate) async fn manifests_with_thousands_of_layers_are_written_whole(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    let digests: Vec<Digest> = (0..1300_u32).map(|i| Digest::of(Algorithm::Sha256, &i.to_be_bytes())).collect();
    let wanted = digests.clone();
    db.write(move |c| {
        Box::pin(async move {
            for digest in &wanted {
                let (blob, _) = blobs::insert(c, digest, 4, &Place::Inline(vec![0; 4]), NOW).await?;
                blobs::link(c, repo, blob, NOW).await?;
            }
            let borrowed: Vec<&Digest> = wanted.iter().collect();
            let links = blobs::find_links(c, repo, &borrowed).await?;
            assert_eq!(links.len(), wanted.len());
            let ids: Vec<BlobId> = links.into_iter().map(|(_, id)| id).collect();
            put(c, repo, b"{}", None, None, &ids).await
        })
    })
    .await
    .unwrap();
    assert!(read!(db, c => collection::find_unused_links(c, (0, 0), (i64::MAX, 0), LATER)).unwrap().is_empty());
}

pub(crate) async fn settings_are_put_once(db: Database) {
    assert_eq!(read!(db, c => settings::get(c, "k")).unwrap(), None);
    assert_eq!(write!(db, c => settings::put_if_absent(c, "k", b"first")).unwrap(), b"first");
    assert_eq!(write!(db, c => settings::put_if_absent(c, "k", b"second")).unwrap(), b"first");
    write!(db, c => settings::put(c, "k", b"third")).unwrap();
    assert_eq!(read!(db, c => settings::get(c, "k")).unwrap().unwrap(), b"third");
}

pub(crate) async fn signing_keys_expire(db: Database) {
    for (kid, verifies_until) in [("OLD", NOW), ("NEW", LATER)] {
        let row = SigningKeyRow {
            kid: kid.into(),
            sealed_key: vec![1, 2, 3],
            created_at: verifies_until,
            signs_until: verifies_until,
            verifies_until,
        };
        write!(db, c => signing_keys::insert(c, &row)).unwrap();
    }
    assert_eq!(read!(db, c => signing_keys::list(c)).unwrap()[0].kid, "NEW");
    write!(db, c => signing_keys::delete_expired(c, Timestamp(NOW.0 + 1))).unwrap();
    let left = read!(db, c => signing_keys::list(c)).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].sealed_key, [1, 2, 3]);
}

pub(crate) async fn uploads_are_kept_and_expire(db: Database) {
    let id = registry(&db, "contoso").await;
    let repo = repository(&db, id, "app").await;
    let mut row = UploadRow {
        id: UploadId(uuid::Uuid::new_v4()),
        repository: repo,
        storage_key: "k".into(),
        algorithm: Algorithm::Sha512,
        offset_bytes: 7,
        started_at: NOW,
        expires_at: NOW,
    };
    let first = row.clone();
    write!(db, c => uploads::insert(c, &first)).unwrap();
    (row.offset_bytes, row.expires_at) = (9, LATER);
    let (upload, offset, expiry) = (row.id, row.offset_bytes, row.expires_at);
    assert!(write!(db, c => uploads::advance(c, upload, offset, expiry)).unwrap());
    assert!(!write!(db, c => uploads::delete_expired(c, upload, NOW)).unwrap(), "it was renewed meanwhile");
    let found = read!(db, c => uploads::find(c, repo, row.id)).unwrap().unwrap();
    assert_eq!((found.offset_bytes, found.algorithm, found.started_at), (9, Algorithm::Sha512, NOW));
    assert!(read!(db, c => uploads::find(c, RepositoryId(repo.0 + 1), row.id)).unwrap().is_none());
    assert!(read!(db, c => uploads::list_expired(c, LATER, 10)).unwrap().is_empty());
    assert_eq!(read!(db, c => uploads::list_expired(c, Timestamp(LATER.0 + 1), 10)).unwrap().len(), 1);
    let upload = row.id;
    assert!(write!(db, c => uploads::delete(c, upload)).unwrap());
    assert!(!write!(db, c => uploads::delete(c, upload)).unwrap());
    assert!(!write!(db, c => uploads::advance(c, upload, 10, LATER)).unwrap(), "what was given up stays so");
}

pub(crate) async fn the_schema_can_be_opened_again(db: Database) {
    registry(&db, "contoso").await;
    // What a second process sees of the same database is what the first one committed.
    assert_eq!(read!(db, c => registries::list(c, None, 10)).unwrap().len(), 1);
    assert!(db.statistics().commits.load(std::sync::atomic::Ordering::Relaxed) >= 1);
}
