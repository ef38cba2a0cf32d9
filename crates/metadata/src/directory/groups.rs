//! Who is in which group. Groups may be in groups, also in a circle.

use uuid::Uuid;
use wharf_model::PrincipalId;

use super::principals::{self, PrincipalRow};
use crate::connection::on_engine;
use crate::error::parse;
use crate::{Connection, Error};

/// Puts a principal into a group. Returns `false` when it is in it already.
///
/// # Errors
/// When the database fails.
pub async fn add_member(c: &mut Connection, group: PrincipalId, member: PrincipalId) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO group_members (group_id, member_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let added = on_engine!(c, c => {
        sqlx::query(SQL).bind(group.to_string()).bind(member.to_string()).execute(c).await?.rows_affected()
    });
    Ok(added > 0)
}

/// Takes a principal out of a group. Returns `false` when it was not in it.
///
/// # Errors
/// When the database fails.
pub async fn remove_member(c: &mut Connection, group: PrincipalId, member: PrincipalId) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM group_members WHERE group_id = $1 AND member_id = $2";
    let removed = on_engine!(c, c => {
        sqlx::query(SQL).bind(group.to_string()).bind(member.to_string()).execute(c).await?.rows_affected()
    });
    Ok(removed > 0)
}

/// Lists who is in a group themselves, in the order of their ids, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list_members(
    c: &mut Connection,
    group: PrincipalId,
    after: Option<PrincipalId>,
    limit: i64,
) -> Result<Vec<PrincipalRow>, Error> {
    let sql = format!(
        "{} JOIN group_members m ON m.member_id = p.id WHERE m.group_id = $1 AND m.member_id > $2
         ORDER BY m.member_id LIMIT $3",
        principals::SELECT
    );
    rows(c, sql, group, after, limit).await
}

/// Lists who is in a group, themselves or by way of other groups, those groups too.
///
/// # Errors
/// When the database fails.
pub async fn list_all_members(
    c: &mut Connection,
    group: PrincipalId,
    after: Option<PrincipalId>,
    limit: i64,
) -> Result<Vec<PrincipalRow>, Error> {
    let sql = format!(
        "WITH RECURSIVE down(id) AS (
            SELECT member_id FROM group_members WHERE group_id = $1
            UNION SELECT m.member_id FROM group_members m JOIN down d ON m.group_id = d.id)
         {} JOIN down d ON d.id = p.id WHERE p.id > $2 AND p.id <> $1 ORDER BY p.id LIMIT $3",
        principals::SELECT
    );
    rows(c, sql, group, after, limit).await
}

/// Lists the groups that a principal is in itself.
///
/// # Errors
/// When the database fails.
pub async fn list_groups(
    c: &mut Connection,
    member: PrincipalId,
    after: Option<PrincipalId>,
    limit: i64,
) -> Result<Vec<PrincipalRow>, Error> {
    let sql = format!(
        "{} JOIN group_members m ON m.group_id = p.id WHERE m.member_id = $1 AND m.group_id > $2
         ORDER BY m.group_id LIMIT $3",
        principals::SELECT
    );
    rows(c, sql, member, after, limit).await
}

async fn rows(
    c: &mut Connection,
    sql: String,
    of: PrincipalId,
    after: Option<PrincipalId>,
    limit: i64,
) -> Result<Vec<PrincipalRow>, Error> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let rows: Vec<principals::Columns> = on_engine!(c, c => {
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(of.to_string()).bind(after).bind(limit).fetch_all(c).await?
    });
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The groups that a principal is in, itself or by way of other groups, in the order of their ids.
///
/// # Errors
/// When the database fails.
pub async fn list_all_group_ids(c: &mut Connection, member: PrincipalId) -> Result<Vec<PrincipalId>, Error> {
    const SQL: &str = "WITH RECURSIVE up(id) AS (
            SELECT group_id FROM group_members WHERE member_id = $1
            UNION SELECT m.group_id FROM group_members m JOIN up u ON m.member_id = u.id)
         SELECT id FROM up WHERE id <> $1 ORDER BY id";
    let ids: Vec<String> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(member.to_string()).fetch_all(c).await?);
    ids.iter().map(|id| parse::<Uuid>("group id", id).map(PrincipalId)).collect()
}
