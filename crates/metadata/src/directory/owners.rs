//! Who owns applications, service principals and groups.

use uuid::Uuid;
use wharf_model::PrincipalId;

use super::principals::{self, PrincipalRow};
use crate::connection::on_engine;
use crate::error::parse;
use crate::{Connection, Error};

/// Makes a principal an owner of an object. Returns `false` when it is one already.
///
/// # Errors
/// When the database fails.
pub async fn add(c: &mut Connection, object: Uuid, owner: PrincipalId) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO directory_owners (object_id, owner_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let added = on_engine!(c, c => {
        sqlx::query(SQL).bind(object.to_string()).bind(owner.to_string()).execute(c).await?.rows_affected()
    });
    Ok(added > 0)
}

/// Ends a principal's ownership of an object. Returns `false` when there was none.
///
/// # Errors
/// When the database fails.
pub async fn remove(c: &mut Connection, object: Uuid, owner: PrincipalId) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM directory_owners WHERE object_id = $1 AND owner_id = $2";
    let removed = on_engine!(c, c => {
        sqlx::query(SQL).bind(object.to_string()).bind(owner.to_string()).execute(c).await?.rows_affected()
    });
    Ok(removed > 0)
}

/// Whether a principal owns an object.
///
/// # Errors
/// When the database fails.
pub async fn is_owner(c: &mut Connection, object: Uuid, owner: PrincipalId) -> Result<bool, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM directory_owners WHERE object_id = $1 AND owner_id = $2";
    let count: i64 = on_engine!(c, c => {
        sqlx::query_scalar(SQL).bind(object.to_string()).bind(owner.to_string()).fetch_one(c).await?
    });
    Ok(count > 0)
}

/// Lists the owners of an object, in the order of their ids.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection, object: Uuid) -> Result<Vec<PrincipalRow>, Error> {
    let sql = format!(
        "{} JOIN directory_owners o ON o.owner_id = p.id WHERE o.object_id = $1 ORDER BY p.id",
        principals::SELECT
    );
    let rows: Vec<principals::Columns> = on_engine!(c, c => {
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(object.to_string()).fetch_all(c).await?
    });
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Lists the ids of what a principal owns, in their order.
///
/// # Errors
/// When the database fails.
pub async fn list_owned(c: &mut Connection, owner: PrincipalId) -> Result<Vec<Uuid>, Error> {
    const SQL: &str = "SELECT object_id FROM directory_owners WHERE owner_id = $1 ORDER BY object_id";
    let ids: Vec<String> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(owner.to_string()).fetch_all(c).await?);
    ids.iter().map(|id| parse("id of an object", id)).collect()
}
