//! Resources of Azure Resource Manager, whatever their kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wharf_model::{ResourceId, Timestamp};

use crate::connection::on_engine;
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
    const SQL: &str = concat!("SELECT ", columns!(), " FROM resources r WHERE resource_key = $1");
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(id.key()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}
