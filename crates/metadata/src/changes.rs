//! The change log: what was done, in order, per registry. Whoever must hear of changes reads it with a cursor of its own.

use sqlx::AssertSqlSafe;
use wharf_model::{Digest, RegistryId, RepositoryName, Tag, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholders};
use crate::{Connection, Error};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A manifest was pushed, by tag or by digest.
    ManifestPush,
    /// A tag was set on a manifest.
    TagPut,
    /// A tag was removed; its manifest stayed.
    TagDelete,
    /// A manifest was removed, with its tags.
    ManifestDelete,
    /// A blob left a repository, by a caller's wish or by the collector.
    BlobDelete,
    /// The locks of a repository changed.
    RepositoryUpdate,
    /// A repository was deleted with everything in it.
    RepositoryDelete,
    /// The locks of a tag changed.
    TagUpdate,
    /// The locks of a manifest changed, or what a scanner tells of it beside its verdict.
    ManifestUpdate,
    /// A manifest was put into quarantine, because it was pushed while the policy is on: the push is not to be told to
    /// those who may not pull it yet. Without the policy there is the push alone, and whoever tells scanners of every
    /// push tells them of that one.
    ManifestQuarantine,
    /// A scanner let a manifest pass; if it was in quarantine, it is as good as pushed now.
    ManifestPass,
    /// A scanner refused a manifest.
    ManifestFail,
    /// A manifest came back from the trash.
    ManifestRestore,
    /// The time of a manifest in the trash was over, and it is gone for good.
    ManifestPurge,
    /// A registry was created.
    RegistryCreate,
    /// A registry's settings or credentials changed.
    RegistryUpdate,
    /// A registry was deleted. The log goes with it a while later.
    RegistryDelete,
}

impl Kind {
    const EVERY: [Self; 17] = [
        Self::ManifestPush,
        Self::TagPut,
        Self::TagDelete,
        Self::ManifestDelete,
        Self::BlobDelete,
        Self::RepositoryUpdate,
        Self::RepositoryDelete,
        Self::TagUpdate,
        Self::ManifestUpdate,
        Self::ManifestQuarantine,
        Self::ManifestPass,
        Self::ManifestFail,
        Self::ManifestRestore,
        Self::ManifestPurge,
        Self::RegistryCreate,
        Self::RegistryUpdate,
        Self::RegistryDelete,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::ManifestPush => "manifest.push",
            Self::TagPut => "tag.put",
            Self::TagDelete => "tag.delete",
            Self::ManifestDelete => "manifest.delete",
            Self::BlobDelete => "blob.delete",
            Self::RepositoryUpdate => "repository.update",
            Self::RepositoryDelete => "repository.delete",
            Self::TagUpdate => "tag.update",
            Self::ManifestUpdate => "manifest.update",
            Self::ManifestQuarantine => "manifest.quarantine",
            Self::ManifestPass => "manifest.pass",
            Self::ManifestFail => "manifest.fail",
            Self::ManifestRestore => "manifest.restore",
            Self::ManifestPurge => "manifest.purge",
            Self::RegistryCreate => "registry.create",
            Self::RegistryUpdate => "registry.update",
            Self::RegistryDelete => "registry.delete",
        }
    }
}

/// A change to be logged.
#[derive(Clone, Copy, Debug)]
pub struct NewChange<'a> {
    /// What was done.
    pub kind: Kind,
    /// Who did it: a caller's name, or `system`.
    pub actor: &'a str,
    /// The repository it was done to.
    pub repository: Option<&'a RepositoryName>,
    /// The tag it was done to.
    pub tag: Option<&'a Tag>,
    /// The digest it was done to.
    pub digest: Option<&'a Digest>,
    /// When.
    pub changed_at: Timestamp,
}

/// A change as logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its position among the changes of all registries of this database.
    pub id: i64,
    /// The registry that changed.
    pub registry: RegistryId,
    /// Its position among the registry's changes: 1, 2, 3 … without a gap.
    pub sequence: i64,
    /// What was done.
    pub kind: Kind,
    /// Who did it.
    pub actor: String,
    /// The repository it was done to.
    pub repository: Option<String>,
    /// The tag it was done to.
    pub tag: Option<String>,
    /// The digest it was done to.
    pub digest: Option<String>,
    /// When.
    pub changed_at: Timestamp,
}

/// Logs changes of one registry, in the order given. Do this last in a transaction: it takes the registry's lock.
///
/// # Errors
/// When the database fails.
pub async fn append(c: &mut Connection, registry: RegistryId, changes: &[NewChange<'_>]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    const TAKE: &str = "UPDATE registries SET last_change = last_change + $2 WHERE id = $1 RETURNING last_change";
    let count = changes.len() as i64;
    let last: i64 = on_engine!(&mut *c, c => sqlx::query_scalar(TAKE).bind(registry.0).bind(count).fetch_one(c).await?);
    let mut sequences = last - count + 1..;
    for part in changes.chunks(VALUES_PER_STATEMENT / COLUMNS) {
        let sql = format!(
            "INSERT INTO changes (registry_id, sequence, changed_at, kind, actor, repository, tag, digest) VALUES {}",
            placeholders(1, part.len(), COLUMNS)
        );
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (change, sequence) in part.iter().zip(&mut sequences) {
                query = query
                    .bind(registry.0)
                    .bind(sequence)
                    .bind(change.changed_at.0)
                    .bind(change.kind.as_str())
                    .bind(change.actor)
                    .bind(change.repository.map(RepositoryName::as_str))
                    .bind(change.tag.map(Tag::as_str))
                    .bind(change.digest.map(Digest::as_str));
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// The newest position in the log of all registries, 0 when it is empty.
///
/// # Errors
/// When the database fails.
pub async fn last_id(c: &mut Connection) -> Result<i64, Error> {
    const SQL: &str = "SELECT COALESCE(MAX(id), 0) FROM changes";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).fetch_one(c).await?))
}

/// The changes after a position in the log of all registries.
///
/// On SQLite, which has one writer, ids are given in the order of commits, so that a reader misses nothing.
///
/// # Errors
/// When the database fails.
pub async fn list_after(c: &mut Connection, id: i64, limit: i64) -> Result<Vec<ChangeRow>, Error> {
    const SQL: &str = "SELECT id, registry_id, sequence, changed_at, kind, actor, repository, tag, digest FROM changes
         WHERE id > $1 ORDER BY id LIMIT $2";
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(id).bind(limit).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    registry_id: i64,
    sequence: i64,
    changed_at: i64,
    kind: String,
    actor: String,
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
}

impl TryFrom<Columns> for ChangeRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        let kind = Kind::EVERY.into_iter().find(|kind| kind.as_str() == row.kind);
        Ok(Self {
            id: row.id,
            registry: RegistryId(row.registry_id),
            sequence: row.sequence,
            kind: kind.ok_or_else(|| Error::Malformed { what: "kind of change", value: row.kind })?,
            actor: row.actor,
            repository: row.repository,
            tag: row.tag,
            digest: row.digest,
            changed_at: Timestamp(row.changed_at),
        })
    }
}

/// How many values a row of the log has when it is written.
const COLUMNS: usize = 8;
