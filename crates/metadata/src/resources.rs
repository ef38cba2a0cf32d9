//! Resources of Azure Resource Manager, whatever their kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;
use wharf_model::{ResourceId, Timestamp};

use crate::connection::{on_engine, placeholder_list};
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

/// A resource as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceRow {
    /// Its row; 0 while it has none.
    pub row: i64,
    /// Its id, in the casing in which it was created.
    pub id: ResourceId,
    /// Where it is, for tracked kinds.
    pub location: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// `sku`, for kinds that have one.
    pub sku: Option<Value>,
    /// `identity`, for kinds that have one.
    pub identity: Option<Value>,
    /// `properties`: those that are stored. What is computed comes in when it is shown.
    pub properties: Map<String, Value>,
    /// Another one after each change; without quotes.
    pub etag: String,
    /// Whether it is being deleted, which takes a while.
    pub is_deleting: bool,
    /// When it was created, and by whom.
    pub created: Stamp,
    /// When it was changed last, and by whom.
    pub changed: Stamp,
}

/// When something was done, and by whom: what `systemData` is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub at: Timestamp,
    /// A user principal name, an application's id or `operator`.
    pub by: String,
    /// The word of `createdByType`: `User`, `Application`, `ManagedIdentity` or `Key`.
    pub by_type: String,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    resource_id: String,
    location: Option<String>,
    tags: String,
    sku: Option<String>,
    identity: Option<String>,
    properties: String,
    etag: String,
    is_deleting: bool,
    created_at: i64,
    created_by: String,
    created_by_type: String,
    changed_at: i64,
    changed_by: String,
    changed_by_type: String,
}

impl TryFrom<Columns> for ResourceRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        let json = |what, text: Option<String>| text.map(|text| parse_json(what, &text)).transpose();
        Ok(Self {
            row: row.id,
            id: parse("resource id", &row.resource_id)?,
            location: row.location,
            tags: parse_json("resource tags", &row.tags)?,
            sku: json("resource sku", row.sku)?,
            identity: json("resource identity", row.identity)?,
            properties: parse_json("resource properties", &row.properties)?,
            etag: row.etag,
            is_deleting: row.is_deleting,
            created: Stamp { at: Timestamp(row.created_at), by: row.created_by, by_type: row.created_by_type },
            changed: Stamp { at: Timestamp(row.changed_at), by: row.changed_by, by_type: row.changed_by_type },
        })
    }
}

/// The columns of [`Columns`].
macro_rules! columns {
    () => {
        "r.id, r.resource_id, r.location, r.tags, r.sku, r.identity, r.properties, r.etag, r.is_deleting, r.created_at, r.created_by,
         r.created_by_type, r.changed_at, r.changed_by, r.changed_by_type"
    };
}

/// Finds a resource.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, id: &ResourceId) -> Result<Option<ResourceRow>, Error> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM resources r WHERE r.resource_key = $1");
    find_with(c, SQL, id).await
}

/// Finds a resource and keeps others from changing it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn find_to_change(c: &mut Connection, id: &ResourceId) -> Result<Option<ResourceRow>, Error> {
    const LOCKING: &str = concat!("SELECT ", columns!(), " FROM resources r WHERE r.resource_key = $1 FOR UPDATE");
    // SQLite has one writer, who is alone.
    if matches!(c, Connection::Sqlite(_)) { find(c, id).await } else { find_with(c, LOCKING, id).await }
}

async fn find_with(c: &mut Connection, sql: &'static str, id: &ResourceId) -> Result<Option<ResourceRow>, Error> {
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(sql).bind(id.key()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// A resource that something is put into.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its id, as it is stored.
    pub id: ResourceId,
    /// Whether it is being deleted.
    pub is_deleting: bool,
}

/// Finds a resource and keeps others from deleting it until the transaction ends, so that something can be put into it.
///
/// # Errors
/// When the database fails.
pub async fn hold(c: &mut Connection, id: &ResourceId) -> Result<Option<Held>, Error> {
    const SQL: &str = "SELECT resource_id, is_deleting FROM resources WHERE resource_key = $1";
    const LOCKING: &str = "SELECT resource_id, is_deleting FROM resources WHERE resource_key = $1 FOR SHARE";
    let sql = if matches!(c, Connection::Sqlite(_)) { SQL } else { LOCKING };
    let row: Option<(String, bool)> = on_engine!(c, c => sqlx::query_as(sql).bind(id.key()).fetch_optional(c).await?);
    row.map(|(id, is_deleting)| Ok(Held { id: parse("resource id", &id)?, is_deleting })).transpose()
}

/// Writes a new resource and returns its row; `None`, having done nothing, when it is there already.
///
/// # Errors
/// When the database fails.
pub async fn insert(c: &mut Connection, new: &ResourceRow, is_tracked: bool) -> Result<Option<i64>, Error> {
    const SQL: &str = "INSERT INTO resources (resource_key, resource_id, parent_key, subscription_key, group_key, type_key, name_key,
            is_tracked, location, tags, sku, identity, properties, etag, created_at, created_by, created_by_type, changed_at,
            changed_by, changed_by_type)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
         ON CONFLICT (resource_key) DO NOTHING RETURNING id";
    let keys = Keys::of(&new.id);
    let json = |value: &Option<Value>| value.as_ref().map(to_json);
    let row: Option<i64> = on_engine!(&mut *c, c => {
        sqlx::query_scalar(SQL)
            .bind(new.id.key())
            .bind(new.id.as_str())
            .bind(&keys.parent)
            .bind(&keys.subscription)
            .bind(&keys.group)
            .bind(&keys.kind)
            .bind(&keys.name)
            .bind(is_tracked)
            .bind(&new.location)
            .bind(to_json(&new.tags))
            .bind(json(&new.sku))
            .bind(json(&new.identity))
            .bind(to_json(&new.properties))
            .bind(&new.etag)
            .bind(new.created.at.0)
            .bind(&new.created.by)
            .bind(&new.created.by_type)
            .bind(new.changed.at.0)
            .bind(&new.changed.by)
            .bind(&new.changed.by_type)
            .fetch_optional(c)
            .await?
    });
    if let Some(row) = row {
        insert_tags(c, row, new).await?;
    }
    Ok(row)
}

/// Writes a resource over the one that was read as it.
///
/// # Errors
/// When the database fails.
pub async fn update(c: &mut Connection, new: &ResourceRow) -> Result<(), Error> {
    const SQL: &str =
        "UPDATE resources SET location = $2, tags = $3, sku = $4, identity = $5, properties = $6, etag = $7,
            is_deleting = $8, changed_at = $9, changed_by = $10, changed_by_type = $11 WHERE id = $1";
    const CLEAR: &str = "DELETE FROM resource_tags WHERE resource_row = $1";
    let json = |value: &Option<Value>| value.as_ref().map(to_json);
    on_engine!(&mut *c, c => {
        sqlx::query(SQL)
            .bind(new.row)
            .bind(&new.location)
            .bind(to_json(&new.tags))
            .bind(json(&new.sku))
            .bind(json(&new.identity))
            .bind(to_json(&new.properties))
            .bind(&new.etag)
            .bind(new.is_deleting)
            .bind(new.changed.at.0)
            .bind(&new.changed.by)
            .bind(&new.changed.by_type)
            .execute(c)
            .await?;
    });
    on_engine!(&mut *c, c => { sqlx::query(CLEAR).bind(new.row).execute(c).await?; });
    insert_tags(c, new.row, new).await
}

async fn insert_tags(c: &mut Connection, row: i64, new: &ResourceRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO resource_tags (resource_row, name_key, value, subscription_key, resource_key)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (resource_row, name_key) DO NOTHING";
    let subscription = Keys::of(&new.id).subscription;
    for (name, value) in &new.tags {
        on_engine!(&mut *c, c => {
            sqlx::query(SQL)
                .bind(row)
                .bind(name.to_lowercase())
                .bind(value)
                .bind(&subscription)
                .bind(new.id.key())
                .execute(c)
                .await?;
        });
    }
    Ok(())
}

/// Removes a resource's row.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, row: i64) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM resources WHERE id = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(row).execute(c).await?; });
    Ok(())
}

/// Notes that a resource is being deleted: nothing can be put into it any more.
///
/// # Errors
/// When the database fails.
pub async fn set_deleting(c: &mut Connection, row: i64) -> Result<(), Error> {
    const SQL: &str = "UPDATE resources SET is_deleting = $2 WHERE id = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(row).bind(true).execute(c).await?; });
    Ok(())
}

/// Resources that are being deleted, the outermost first.
///
/// # Errors
/// When the database fails.
pub async fn list_deleting(c: &mut Connection, limit: i64) -> Result<Vec<ResourceRow>, Error> {
    const SQL: &str =
        concat!("SELECT ", columns!(), " FROM resources r WHERE r.is_deleting ORDER BY r.resource_key LIMIT $1");
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(limit).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Which resources are wanted.
#[derive(Clone, Debug)]
pub enum Within {
    /// Directly in this resource or scope.
    Parent(ResourceId),
    /// In this resource group, at any depth.
    Group(ResourceId),
    /// In this subscription, at any depth.
    Subscription(ResourceId),
}

/// What is wanted of them, beside where they are. Texts are compared by their keys: they are in lower case, values of
/// tags apart.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this type.
    pub kind: Option<String>,
    /// Of a kind that is tracked.
    pub is_tracked: bool,
    /// With this name.
    pub name: Option<String>,
    /// With a tag of this name, and this value if there is one.
    pub tag: Option<(String, Option<String>)>,
}

/// Lists resources in the order of their keys, after the key given.
///
/// # Errors
/// When the database fails.
pub async fn list(
    c: &mut Connection,
    within: &Within,
    wanted: &Wanted,
    after: &str,
    limit: i64,
) -> Result<Vec<ResourceRow>, Error> {
    let (column, scope) = match within {
        Within::Parent(id) => ("parent_key", id),
        Within::Group(id) => ("group_key", id),
        Within::Subscription(id) => ("subscription_key", id),
    };
    let subscription = Keys::of(scope).subscription;
    let mut texts = vec![scope.key(), after];
    let mut conditions = format!(" WHERE r.{column} = $1");
    let mut add = |condition: &str, text| {
        texts.push(text);
        conditions.push_str(&condition.replace('?', &format!("${}", texts.len())));
    };
    // The table that the order comes from is read first, also where the engine would choose another (SQLite takes the
    // word `CROSS` for that); so a page costs what is on it.
    let (from, order) = match &wanted.tag {
        None => ("resources r", "r"),
        Some((name, value)) => {
            add(" AND t.subscription_key = ?", subscription.as_str());
            add(" AND t.name_key = ?", name.as_str());
            if let Some(value) = value {
                add(" AND t.value = ?", value.as_str());
            }
            ("resource_tags t CROSS JOIN resources r", "t")
        }
    };
    match (&wanted.kind, &wanted.name) {
        (Some(kind), None) => add(" AND r.type_key = ?", kind.as_str()),
        (kind, Some(name)) => {
            add(" AND r.name_key = ?", name.as_str());
            if column != "subscription_key" {
                add(" AND r.subscription_key = ?", subscription.as_str());
            }
            // Not by an index: the one by names finds few, the one by types all. SQLite would take that.
            if let Some(kind) = kind {
                add(" AND r.type_key || '' = ?", kind.as_str());
            }
        }
        (None, None) => {}
    }
    if wanted.tag.is_some() {
        conditions.push_str(" AND r.id = t.resource_row");
    }
    if wanted.is_tracked {
        conditions.push_str(" AND r.is_tracked");
    }
    let limit_place = texts.len() + 1;
    let columns = columns!();
    let sql = format!(
        "SELECT {columns} FROM {from}{conditions} AND {order}.resource_key > $2 ORDER BY {order}.resource_key LIMIT ${limit_place}"
    );
    let rows: Vec<Columns> = on_engine!(c, c => {
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        for text in texts {
            query = query.bind(text);
        }
        query.bind(limit).fetch_all(c).await?
    });
    rows.into_iter().map(TryInto::try_into).collect()
}

/// How many resources there are of a type in a parent.
///
/// # Errors
/// When the database fails.
pub async fn count_in_parent(c: &mut Connection, parent: &ResourceId, kind: &str) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM resources WHERE parent_key = $1 AND type_key = $2";
    let kind = kind.to_ascii_lowercase();
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(parent.key()).bind(kind).fetch_one(c).await?))
}

/// What is in a resource or scope, at any depth, itself apart: the deepest last, not in a useful order otherwise.
///
/// # Errors
/// When the database fails.
pub async fn list_below(c: &mut Connection, id: &ResourceId, limit: i64) -> Result<Vec<ResourceRow>, Error> {
    // A child's key is longer than its parent's and begins with it, so the greatest keys have no children.
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM resources r WHERE r.resource_key > $1 AND r.resource_key < $2 ORDER BY r.resource_key DESC LIMIT $3"
    );
    let (from, to) = bounds_below(id);
    let rows: Vec<Columns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(from).bind(to).bind(limit).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Locks that count for something: those at one of `scopes`, and, where `below` is given, those on anything in it.
///
/// # Errors
/// When the database fails.
pub async fn list_locks(
    c: &mut Connection,
    scopes: &[ResourceId],
    below: Option<&ResourceId>,
) -> Result<Vec<ResourceRow>, Error> {
    let places = placeholder_list(2, scopes.len());
    let columns = columns!();
    let at = format!("SELECT {columns} FROM resources r WHERE r.type_key = $1 AND r.parent_key IN ({places})");
    let rows: Vec<Columns> = on_engine!(&mut *c, c => {
        let mut query = sqlx::query_as(AssertSqlSafe(at)).bind(LOCK);
        for scope in scopes {
            query = query.bind(scope.key());
        }
        query.fetch_all(c).await?
    });
    let mut locks: Vec<ResourceRow> = rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    if let Some(below) = below {
        const BELOW: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM resources r WHERE r.type_key = $1 AND r.subscription_key = $2 AND r.resource_key > $3 AND r.resource_key < $4 LIMIT 20"
        );
        let (from, to) = bounds_below(below);
        let subscription = Keys::of(below).subscription;
        let rows: Vec<Columns> = on_engine!(c, c => {
            sqlx::query_as(BELOW).bind(LOCK).bind(subscription).bind(from).bind(to).fetch_all(c).await?
        });
        for row in rows {
            let lock: ResourceRow = row.try_into()?;
            if locks.iter().all(|other| other.id != lock.id) {
                locks.push(lock);
            }
        }
    }
    Ok(locks)
}

/// The keys between which everything in a resource is: `/` sorts right before `0`.
fn bounds_below(id: &ResourceId) -> (String, String) {
    let key = id.key().trim_end_matches('/');
    (format!("{key}/"), format!("{key}0"))
}

/// What a resource is looked up by beside its own key.
struct Keys {
    parent: String,
    subscription: String,
    group: String,
    kind: String,
    name: String,
}

impl Keys {
    fn of(id: &ResourceId) -> Self {
        let subscription = id.subscription_id().map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
        let group =
            id.resource_group_name().map(|name| format!("{subscription}/resourcegroups/{name}")).unwrap_or_default();
        // As `ResourceId::key` does.
        let lower = |text: String| text.to_ascii_lowercase();
        Self {
            parent: id.parent().map(|parent| parent.key().to_owned()).unwrap_or_default(),
            subscription: lower(subscription),
            group: lower(group),
            kind: lower(id.resource_type().unwrap_or_default()),
            name: lower(id.name().unwrap_or_default().to_owned()),
        }
    }
}

/// The type of locks, as it is stored.
const LOCK: &str = "microsoft.authorization/locks";
