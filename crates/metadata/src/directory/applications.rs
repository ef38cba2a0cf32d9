//! Applications: registered once, with a service principal in the tenant that signs in for them.

use uuid::Uuid;
use wharf_model::Timestamp;

use super::{ApplicationId, Page, Properties, key};
use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

/// An application as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationRow {
    /// Its object id.
    pub id: ApplicationId,
    /// The tenant that it is in.
    pub tenant_id: Uuid,
    /// The application (client) id, unique.
    pub app_id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// The URIs that stand for it beside its id, each unique in any case.
    pub identifier_uris: Vec<String>,
    /// What Graph keeps of it beside.
    pub properties: Properties,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    tenant_id: String,
    app_id: String,
    display_name: String,
    properties: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Columns> for ApplicationRow {
    type Error = Error;

    /// The row without its URIs.
    fn try_from(row: Columns) -> Result<Self, Error> {
        Ok(Self {
            id: parse("object id of an application", &row.id)?,
            tenant_id: parse("tenant id", &row.tenant_id)?,
            app_id: parse("application id", &row.app_id)?,
            display_name: row.display_name,
            identifier_uris: Vec::new(),
            properties: parse_json("properties of an application", &row.properties)?,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
        })
    }
}

/// Adds an application. Returns `false`, having done nothing, when its id, application id or one of its URIs is taken.
///
/// # Errors
/// When the database fails.
pub async fn insert(c: &mut Connection, row: &ApplicationRow) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO applications (id, tenant_id, app_id, display_name, name_key, properties, created_at,
            updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let others = uris_of_others(c, row).await?;
    if others > 0 {
        return Ok(false);
    }
    let inserted = on_engine!(&mut *c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(row.tenant_id.to_string())
            .bind(row.app_id.to_string())
            .bind(&row.display_name)
            .bind(key(&row.display_name))
            .bind(to_json(&row.properties))
            .bind(row.created_at.0)
            .bind(row.updated_at.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    if inserted == 0 {
        return Ok(false);
    }
    insert_uris(c, row).await?;
    Ok(true)
}

/// Finds an application by its object id.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, id: ApplicationId) -> Result<Option<ApplicationRow>, Error> {
    find_where(c, "id = $1", id.to_string()).await
}

/// Finds an application by its application (client) id.
///
/// # Errors
/// When the database fails.
pub async fn find_by_app(c: &mut Connection, app_id: Uuid) -> Result<Option<ApplicationRow>, Error> {
    find_where(c, "app_id = $1", app_id.to_string()).await
}

/// Finds an application by one of its URIs, in any case.
///
/// # Errors
/// When the database fails.
pub async fn find_by_uri(c: &mut Connection, uri: &str) -> Result<Option<ApplicationRow>, Error> {
    find_where(c, "id = (SELECT application_id FROM application_uris WHERE uri_key = $1)", key(uri)).await
}

async fn find_where(c: &mut Connection, condition: &str, value: String) -> Result<Option<ApplicationRow>, Error> {
    let sql = format!("{SELECT} WHERE {condition}");
    let row: Option<Columns> = on_engine!(&mut *c, c => {
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(value).fetch_optional(c).await?
    });
    let mut rows: Vec<ApplicationRow> = row.map(TryInto::try_into).transpose()?.into_iter().collect();
    add_uris(c, &mut rows).await?;
    Ok(rows.pop())
}

/// The URIs of those applications among the given ones that have any, by application (client) id, in their order.
///
/// # Errors
/// When the database fails.
pub async fn list_uris(c: &mut Connection, app_ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, Error> {
    let mut found = Vec::new();
    for app_ids in app_ids.chunks(VALUES_PER_STATEMENT) {
        let sql = format!(
            "SELECT a.app_id, u.uri FROM application_uris u JOIN applications a ON a.id = u.application_id
             WHERE a.app_id IN ({}) ORDER BY u.position",
            placeholder_list(1, app_ids.len())
        );
        let rows: Vec<(String, String)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
            for app_id in app_ids {
                query = query.bind(app_id.to_string());
            }
            query.fetch_all(c).await?
        });
        for (app_id, uri) in rows {
            found.push((parse("application id", &app_id)?, uri));
        }
    }
    Ok(found)
}

/// Lists applications in the order of their names, then ids.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection, tenant_id: Uuid, page: &Page) -> Result<Vec<ApplicationRow>, Error> {
    let sql = format!(
        "{SELECT} WHERE tenant_id = $1 AND name_key >= $2 AND name_key < $3 AND (name_key, id) > ($4, $5)
         ORDER BY name_key, id LIMIT $6"
    );
    let ((from, to), (name, id)) = (page.range(), page.start());
    let rows: Vec<Columns> = on_engine!(&mut *c, c => {
        sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(tenant_id.to_string())
            .bind(from)
            .bind(to)
            .bind(name)
            .bind(id)
            .bind(page.limit)
            .fetch_all(c)
            .await?
    });
    let mut rows = rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<_>, _>>()?;
    add_uris(c, &mut rows).await?;
    Ok(rows)
}

/// How many applications there are.
///
/// # Errors
/// When the database fails.
pub async fn count(c: &mut Connection, tenant_id: Uuid) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM applications WHERE tenant_id = $1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(tenant_id.to_string()).fetch_one(c).await?))
}

/// Keeps others from changing an application until the transaction ends, as [`super::principals::lock`] does.
///
/// # Errors
/// When the database fails.
pub async fn lock(c: &mut Connection, id: ApplicationId) -> Result<(), Error> {
    const SQL: &str = "UPDATE applications SET updated_at = updated_at WHERE id = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(id.to_string()).execute(c).await?; });
    Ok(())
}

/// Writes name, URIs and properties of an application as the row has them. Returns `false`, having done nothing, when
/// there is no such application or another has one of the URIs.
///
/// # Errors
/// When the database fails.
pub async fn update(c: &mut Connection, row: &ApplicationRow) -> Result<bool, Error> {
    const SQL: &str = "UPDATE applications SET display_name = $2, name_key = $3, properties = $4, updated_at = $5
         WHERE id = $1";
    if uris_of_others(c, row).await? > 0 {
        return Ok(false);
    }
    let updated = on_engine!(&mut *c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(&row.display_name)
            .bind(key(&row.display_name))
            .bind(to_json(&row.properties))
            .bind(row.updated_at.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    if updated == 0 {
        return Ok(false);
    }
    const CLEAR: &str = "DELETE FROM application_uris WHERE application_id = $1";
    on_engine!(&mut *c, c => { sqlx::query(CLEAR).bind(row.id.to_string()).execute(c).await?; });
    insert_uris(c, row).await?;
    Ok(true)
}

/// Deletes an application with its URIs, credentials and owners; not its service principal. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, id: ApplicationId) -> Result<bool, Error> {
    const STEPS: [&str; 3] = [
        "DELETE FROM credentials WHERE owner_id = $1",
        "DELETE FROM directory_owners WHERE object_id = $1",
        "DELETE FROM application_uris WHERE application_id = $1",
    ];
    for step in STEPS {
        on_engine!(&mut *c, c => { sqlx::query(step).bind(id.to_string()).execute(c).await?; });
    }
    const SQL: &str = "DELETE FROM applications WHERE id = $1";
    let deleted = on_engine!(c, c => sqlx::query(SQL).bind(id.to_string()).execute(c).await?.rows_affected());
    Ok(deleted > 0)
}

/// How many of an application's URIs stand for others.
async fn uris_of_others(c: &mut Connection, row: &ApplicationRow) -> Result<i64, Error> {
    if row.identifier_uris.is_empty() {
        return Ok(0);
    }
    let sql = format!(
        "SELECT COUNT(*) FROM application_uris WHERE application_id <> $1 AND uri_key IN ({})",
        placeholder_list(2, row.identifier_uris.len())
    );
    Ok(on_engine!(c, c => {
        let mut query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(row.id.to_string());
        for uri in &row.identifier_uris {
            query = query.bind(key(uri));
        }
        query.fetch_one(c).await?
    }))
}

async fn insert_uris(c: &mut Connection, row: &ApplicationRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO application_uris (uri_key, uri, application_id, position) VALUES ($1, $2, $3, $4)
         ON CONFLICT (uri_key) DO NOTHING";
    for (position, uri) in (0_i64..).zip(&row.identifier_uris) {
        on_engine!(&mut *c, c => {
            sqlx::query(SQL).bind(key(uri)).bind(uri).bind(row.id.to_string()).bind(position).execute(c).await?;
        });
    }
    Ok(())
}

async fn add_uris(c: &mut Connection, rows: &mut [ApplicationRow]) -> Result<(), Error> {
    let app_ids: Vec<Uuid> = rows.iter().map(|row| row.app_id).collect();
    for (app_id, uri) in list_uris(c, &app_ids).await? {
        if let Some(row) = rows.iter_mut().find(|row| row.app_id == app_id) {
            row.identifier_uris.push(uri);
        }
    }
    Ok(())
}

const SELECT: &str = "SELECT id, tenant_id, app_id, display_name, properties, created_at, updated_at FROM applications";
