//! Notes of charts.

use wharf_metadata::charts::{self, ChartRow, NewChart};
use wharf_metadata::tags::Overwrite;
use wharf_metadata::{Database, Error, attributes, changes, manifests, repositories, tags};
use wharf_model::{Locks, ManifestId, RegistryId, RepositoryId, Tag};

use crate::suite::{NOW, put, read, registry, repository, write};

all_engines!(
    a_chart_shows_while_the_tag_of_its_version_names_it,
    what_locks_hide_is_in_no_list_and_found_by_its_name,
    notes_go_with_their_manifests,
);

fn new(home: &str, name: &str, version: &str) -> NewChart {
    NewChart {
        home: home.into(),
        name: name.into(),
        file: format!("{name}-{version}"),
        tag: version.replace('+', "_"),
        archive_digest: "sha256:aa".into(),
        provenance_digest: None,
        metadata: format!(r#"{{"name":"{name}","version":"{version}"}}"#),
    }
}

/// Stores a manifest that holds a chart, under a tag, and returns its row.
async fn chart(db: &Database, registry: RegistryId, repo: RepositoryId, chart: NewChart, tag: &str) -> ManifestId {
    let tag: Tag = tag.parse().unwrap();
    db.write(move |c| {
        Box::pin(async move {
            let (manifest, _) = put(c, repo, chart.file.as_bytes(), None, None, &[]).await?;
            for _ in 0..2 {
                charts::insert(c, registry, manifest, &chart).await?;
            }
            tags::put(c, repo, &tag, manifest, Overwrite::Allowed, NOW).await?;
            Ok::<_, Error>(manifest)
        })
    })
    .await
    .unwrap()
}

fn files(rows: &[ChartRow]) -> Vec<&str> {
    rows.iter().map(|row| row.file.as_str()).collect()
}

pub(crate) async fn a_chart_shows_while_the_tag_of_its_version_names_it(db: Database) {
    let [ours, other] = [registry(&db, "contoso").await, registry(&db, "fabrikam").await];
    let web = repository(&db, ours, "repo/web").await;
    let db_chart = repository(&db, ours, "repo/db").await;
    let elsewhere = repository(&db, other, "repo/web").await;
    chart(&db, ours, web, new("repo", "web", "1.0.0+a"), "1.0.0_a").await;
    chart(&db, ours, web, new("repo", "web", "2.0.0"), "latest").await;
    chart(&db, ours, db_chart, new("repo", "db", "0.1.0"), "0.1.0").await;
    chart(&db, other, elsewhere, new("repo", "web", "3.0.0"), "3.0.0").await;

    let listed = read!(db, c => charts::list(c, ours, "repo", None)).unwrap();
    assert_eq!(files(&listed), ["db-0.1.0", "web-1.0.0+a"], "the tag of 2.0.0 is another");
    let one = read!(db, c => charts::list(c, ours, "repo", Some("web"))).unwrap();
    assert_eq!(files(&one), ["web-1.0.0+a"]);
    assert_eq!((one[0].version(), one[0].tag.as_str(), one[0].updated_at()), ("1.0.0+a", "1.0.0_a", NOW));
    assert_eq!(read!(db, c => charts::list(c, ours, "team", None)).unwrap(), []);
    let found = read!(db, c => charts::find(c, ours, "repo", "web-1.0.0+a")).unwrap().unwrap();
    assert_eq!(found, one[0]);
    assert_eq!(read!(db, c => charts::find(c, ours, "repo", "web-2.0.0")).unwrap(), None);

    // The tag moves to a manifest that holds no chart.
    db.write(move |c| {
        Box::pin(async move {
            let (manifest, _) = put(c, web, b"no chart", None, None, &[]).await?;
            tags::put(c, web, &"1.0.0_a".parse().unwrap(), manifest, Overwrite::Allowed, NOW).await
        })
    })
    .await
    .unwrap();
    assert_eq!(files(&read!(db, c => charts::list(c, ours, "repo", None)).unwrap()), ["db-0.1.0"]);
    assert_eq!(read!(db, c => charts::list_all(c, ours, "repo", "web")).unwrap(), []);
}

pub(crate) async fn what_locks_hide_is_in_no_list_and_found_by_its_name(db: Database) {
    let ours = registry(&db, "contoso").await;
    let web = repository(&db, ours, "repo/web").await;
    chart(&db, ours, web, new("repo", "web", "1.0.0"), "1.0.0").await;
    let hidden = Locks { list_enabled: false, ..Locks::OPEN };
    write!(db, c => attributes::put_tag_locks(c, web, &"1.0.0".parse().unwrap(), hidden)).unwrap();
    assert_eq!(read!(db, c => charts::list(c, ours, "repo", None)).unwrap(), []);
    assert_eq!(read!(db, c => charts::list(c, ours, "repo", Some("web"))).unwrap(), []);
    assert_eq!(read!(db, c => charts::list_all(c, ours, "repo", "web")).unwrap().len(), 1);
    assert!(read!(db, c => charts::find(c, ours, "repo", "web-1.0.0")).unwrap().is_some());
    write!(db, c => attributes::put_tag_locks(c, web, &"1.0.0".parse().unwrap(), Locks::OPEN)).unwrap();
    write!(db, c => attributes::put_repository_locks(c, web, hidden)).unwrap();
    assert_eq!(read!(db, c => charts::list(c, ours, "repo", None)).unwrap(), []);
}

pub(crate) async fn notes_go_with_their_manifests(db: Database) {
    let ours = registry(&db, "contoso").await;
    let web = repository(&db, ours, "repo/web").await;
    let [one, _two] = [
        chart(&db, ours, web, new("repo", "web", "1.0.0"), "1.0.0").await,
        chart(&db, ours, web, new("repo", "web", "2.0.0"), "2.0.0").await,
    ];
    let before = read!(db, c => charts::last_change(c, ours)).unwrap();
    db.write(move |c| {
        Box::pin(async move {
            tags::delete_of_manifests(c, &[one]).await?;
            wharf_metadata::removal::delete_manifests(c, &[one]).await?;
            changes::append(c, ours, &[]).await
        })
    })
    .await
    .unwrap();
    assert_eq!(read!(db, c => charts::last_change(c, ours)).unwrap(), before, "nothing was logged");
    assert_eq!(files(&read!(db, c => charts::list(c, ours, "repo", None)).unwrap()), ["web-2.0.0"]);
    write!(db, c => repositories::hide(c, web, NOW)).unwrap();
    assert_eq!(read!(db, c => charts::list(c, ours, "repo", None)).unwrap(), [], "nor does a deleted repository show");
    assert!(read!(db, c => manifests::find_many(c, web, &[])).unwrap().is_empty());
}
