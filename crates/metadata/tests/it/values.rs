//! Values of repositories, tags and manifests.

use wharf_metadata::tags::Overwrite;
use wharf_metadata::values::{self, Owner};
use wharf_metadata::{Database, removal, repositories, tags};
use wharf_model::{ManifestId, RepositoryId, Tag, Timestamp};

use crate::suite::{NOW, put, read, registry, repository, write};

all_engines!(values_are_set_listed_and_removed_per_owner, values_go_with_what_they_belong_to);

async fn tagged(db: &Database, repo: RepositoryId, content: &'static [u8], tag: &str) -> ManifestId {
    let tag: Tag = tag.parse().unwrap();
    db.write(move |c| {
        Box::pin(async move {
            let (manifest, _) = put(c, repo, content, None, None, &[]).await?;
            tags::put(c, repo, &tag, manifest, Overwrite::Allowed, NOW).await?;
            Ok::<_, wharf_metadata::Error>(manifest)
        })
    })
    .await
    .unwrap()
}

async fn set(db: &Database, owner: &Owner, key: &'static str, value: &'static str) {
    let owner = owner.clone();
    write!(db, c => values::put(c, &owner, key, value, NOW)).unwrap();
}

async fn keys(db: &Database, owner: &Owner) -> Vec<String> {
    let owner = owner.clone();
    read!(db, c => values::list_keys(c, &owner)).unwrap()
}

pub(crate) async fn values_are_set_listed_and_removed_per_owner(db: Database) {
    let ours = registry(&db, "contoso").await;
    let repo = repository(&db, ours, "app").await;
    let manifest = tagged(&db, repo, b"a", "v1").await;
    let owners = [Owner::Repository(repo), Owner::Tag(repo, "v1".parse().unwrap()), Owner::Manifest(manifest)];
    for owner in &owners {
        assert_eq!(keys(&db, owner).await, Vec::<String>::new());
        set(&db, owner, "b", "1").await;
        set(&db, owner, "a", "{}").await;
        set(&db, owner, "b", "[2]").await;
    }
    for owner in &owners {
        assert_eq!(keys(&db, owner).await, ["a", "b"], "{owner:?}");
        let of = owner.clone();
        assert_eq!(read!(db, c => values::find(c, &of, "b")).unwrap().as_deref(), Some("[2]"));
        let of = owner.clone();
        assert!(write!(db, c => values::delete(c, &of, "b")).unwrap());
        let of = owner.clone();
        assert!(!write!(db, c => values::delete(c, &of, "b")).unwrap());
        let of = owner.clone();
        assert_eq!(read!(db, c => values::find(c, &of, "b")).unwrap(), None);
    }
}

pub(crate) async fn values_go_with_what_they_belong_to(db: Database) {
    let ours = registry(&db, "contoso").await;
    let repo = repository(&db, ours, "app").await;
    let one = tagged(&db, repo, b"one", "v1").await;
    let (tag, manifest, whole) =
        (Owner::Tag(repo, "v1".parse().unwrap()), Owner::Manifest(one), Owner::Repository(repo));
    for owner in [&tag, &manifest, &whole] {
        set(&db, owner, "key", "1").await;
    }
    let two = tagged(&db, repo, b"two", "v1").await;
    assert_eq!(keys(&db, &tag).await, ["key"], "a tag that moves keeps what it has");
    write!(db, c => tags::delete(c, repo, &["v1"])).unwrap();
    tagged(&db, repo, b"two", "v1").await;
    assert!(keys(&db, &tag).await.is_empty(), "one that is set anew begins anew");
    write!(db, c => tags::delete(c, repo, &["v1"])).unwrap();
    db.write(move |c| {
        Box::pin(async move {
            let count = removal::delete_manifests(c, &[one, two]).await?;
            repositories::count(c, repo, -(count as i64), 0, NOW).await
        })
    })
    .await
    .unwrap();
    assert!(keys(&db, &manifest).await.is_empty());
    // The row of the repository is there still; what is pushed next begins it anew.
    write!(db, c => repositories::count(c, repo, 1, 0, Timestamp(NOW.0 + 1))).unwrap();
    assert!(keys(&db, &whole).await.is_empty());
    let of = whole.clone();
    assert!(!write!(db, c => values::delete(c, &of, "key")).unwrap());
}
