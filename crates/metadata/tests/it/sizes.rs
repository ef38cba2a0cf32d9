//! The bytes of repositories and registries.

use std::time::Duration;

use wharf_metadata::attributes::{self, RepositoryPosition};
use wharf_metadata::sizes::{self, RepositorySize};
use wharf_metadata::{Connection, Database, Error, blobs, registries, repositories};
use wharf_model::{BlobId, RegistryId, RepositoryId, Timestamp};

use crate::suite::{NOW, blob, put, read, registry, repository, write};

all_engines!(
    a_blob_counts_once_in_a_repository_and_once_in_a_registry,
    what_only_one_repository_holds_is_its_own,
    links_that_come_and_go_before_they_are_counted_leave_nothing,
    a_registry_that_is_deleted_leaves_no_figures,
    wrong_figures_are_found,
    figures_are_right_whatever_was_done_at_once,
);

/// Counts everything, and checks it.
async fn count(db: &Database) {
    while write!(db, c => sizes::count_some(c, 3)).unwrap() {}
    assert!(!read!(db, c => sizes::are_pending(c)).unwrap());
    check(db).await;
}

async fn check(db: &Database) {
    assert_eq!(read!(db, c => sizes::list_miscounts(c)).unwrap(), Vec::<String>::new());
}

async fn size(db: &Database, id: RepositoryId) -> (i64, i64) {
    let RepositorySize { logical_bytes, unique_bytes } = read!(db, c => sizes::find_repository(c, id)).unwrap();
    (logical_bytes, unique_bytes)
}

async fn total(db: &Database, id: RegistryId) -> i64 {
    read!(db, c => sizes::find_registry(c, id)).unwrap()
}

/// What no code of ours would do.
async fn execute(c: &mut Connection, sql: &'static str) -> Result<(), Error> {
    let rows = match c {
        Connection::Sqlite(c) => sqlx::query(sql).execute(&mut **c).await?.rows_affected(),
        Connection::Postgres(c) => sqlx::query(sql).execute(&mut **c).await?.rows_affected(),
    };
    assert!(rows > 0, "{sql}");
    Ok(())
}

async fn unlink(db: &Database, repository: RepositoryId, blob: BlobId) {
    write!(db, c => blobs::unlink(c, repository, blob)).unwrap();
}

pub(crate) async fn a_blob_counts_once_in_a_repository_and_once_in_a_registry(db: Database) {
    let [ours, theirs] = [registry(&db, "contoso").await, registry(&db, "fabrikam").await];
    let [one, two] = [repository(&db, ours, "one").await, repository(&db, ours, "two").await];
    let other = repository(&db, theirs, "one").await;
    for repository in [one, two, other] {
        blob(&db, repository, b"12345", NOW).await;
        // A longer lease is no new link.
        blob(&db, repository, b"12345", NOW + Duration::from_secs(1)).await;
    }
    blob(&db, one, b"123", NOW).await;
    check(&db).await;
    assert_eq!((size(&db, one).await, total(&db, ours).await), ((0, 0), 0), "not counted yet");
    count(&db).await;
    assert_eq!((size(&db, one).await, size(&db, two).await), ((8, 3), (5, 0)));
    assert_eq!(size(&db, other).await, (5, 5), "of another registry nobody learns anything");
    assert_eq!((total(&db, ours).await, total(&db, theirs).await), (8, 5));

    for (repo, name) in [(one, "one"), (two, "two")] {
        db.write(move |c| Box::pin(async move { put(c, repo, b"manifest", None, None, &[]).await })).await.unwrap();
        let name = name.parse().unwrap();
        let shown = read!(db, c => attributes::find_repository(c, ours, &name)).unwrap().unwrap();
        assert_eq!((shown.size.logical_bytes, shown.size.unique_bytes), size(&db, repo).await);
    }
    let list = async |after: RepositoryPosition| -> Vec<String> {
        let listed = read!(db, c => attributes::list_repositories(c, ours, &after, 10)).unwrap();
        listed.into_iter().map(|repository| repository.name).collect()
    };
    assert_eq!(list(RepositoryPosition::Size(i64::MAX, RepositoryId(0))).await, ["one", "two"]);
    assert_eq!(list(RepositoryPosition::Size(8, one)).await, ["two"]);
}

pub(crate) async fn what_only_one_repository_holds_is_its_own(db: Database) {
    let ours = registry(&db, "contoso").await;
    let [one, two, three] =
        [repository(&db, ours, "one").await, repository(&db, ours, "two").await, repository(&db, ours, "three").await];
    let id = blob(&db, one, b"1234", NOW).await;
    count(&db).await;
    assert_eq!(size(&db, one).await, (4, 4));
    for repository in [two, three] {
        blob(&db, repository, b"1234", NOW).await;
        count(&db).await;
        assert_eq!((size(&db, one).await, size(&db, repository).await), ((4, 0), (4, 0)));
    }
    unlink(&db, one, id).await;
    count(&db).await;
    assert_eq!((size(&db, one).await, size(&db, two).await), ((0, 0), (4, 0)));
    unlink(&db, two, id).await;
    count(&db).await;
    assert_eq!((size(&db, two).await, size(&db, three).await, total(&db, ours).await), ((0, 0), (4, 4), 4));
    unlink(&db, three, id).await;
    count(&db).await;
    assert_eq!((size(&db, three).await, total(&db, ours).await), ((0, 0), 0));
}

pub(crate) async fn links_that_come_and_go_before_they_are_counted_leave_nothing(db: Database) {
    let ours = registry(&db, "contoso").await;
    let [one, two] = [repository(&db, ours, "one").await, repository(&db, ours, "two").await];
    let id = blob(&db, one, b"1234", NOW).await;
    unlink(&db, one, id).await;
    blob(&db, two, b"1234", NOW).await;
    unlink(&db, two, id).await;
    blob(&db, one, b"1234", NOW).await;
    check(&db).await;
    count(&db).await;
    assert_eq!((size(&db, one).await, size(&db, two).await, total(&db, ours).await), ((4, 4), (0, 0), 4));
}

pub(crate) async fn a_registry_that_is_deleted_leaves_no_figures(db: Database) {
    let [ours, theirs] = [registry(&db, "contoso").await, registry(&db, "fabrikam").await];
    let [one, two] = [repository(&db, ours, "one").await, repository(&db, theirs, "two").await];
    blob(&db, one, b"1234", NOW).await;
    blob(&db, two, b"1234", NOW).await;
    count(&db).await;
    blob(&db, one, b"56", NOW).await;
    write!(db, c => repositories::hide(c, two, NOW)).unwrap();
    while write!(db, c => repositories::remove_some(c, &[two], 1)).unwrap() {}
    write!(db, c => registries::delete(c, ours)).unwrap();
    count(&db).await;
    assert_eq!((size(&db, one).await, total(&db, ours).await, total(&db, theirs).await), ((0, 0), 0, 0));
}

pub(crate) async fn wrong_figures_are_found(db: Database) {
    let ours = registry(&db, "contoso").await;
    let [one, two] = [repository(&db, ours, "one").await, repository(&db, ours, "two").await];
    blob(&db, one, b"1234", NOW).await;
    count(&db).await;
    blob(&db, two, b"1234", NOW).await;
    blob(&db, two, b"56", NOW).await;
    check(&db).await;
    write!(db, c => sizes::count_some(c, 1)).unwrap();
    check(&db).await;
    for (sql, problems) in [
        ("DELETE FROM link_changes", 2),
        ("UPDATE repository_sizes SET unique_bytes = unique_bytes + 1", 3),
        ("UPDATE registry_sizes SET total_bytes = 0", 4),
    ] {
        db.write(move |c| Box::pin(execute(c, sql))).await.unwrap();
        let found = read!(db, c => sizes::list_miscounts(c)).unwrap();
        assert_eq!(found.len(), problems, "{sql}: {found:?}");
    }
}

pub(crate) async fn figures_are_right_whatever_was_done_at_once(db: Database) {
    const CONTENT: [&[u8]; 5] = [b"1", b"22", b"333", b"4444", b"55555"];
    let ours = registry(&db, "contoso").await;
    let mut repos = Vec::new();
    for name in ["one", "two", "three"] {
        repos.push(repository(&db, ours, name).await);
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    let work = async {
        let pushers = repos.iter().enumerate().map(async |(position, &repository)| {
            for round in 0..12 {
                let id = blob(&db, repository, CONTENT[(round * (position + 2)) % 5], Timestamp(0)).await;
                if round % 3 != position {
                    unlink(&db, repository, id).await;
                }
            }
        });
        futures_util::future::join_all(pushers).await;
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let counter = async || {
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            write!(db, c => sizes::count_some(c, 4)).unwrap();
            check(&db).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(work, counter(), counter());
    count(&db).await;
}
