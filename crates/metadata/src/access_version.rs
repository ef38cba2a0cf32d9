//! The version of who may do what. See [`crate::Database::write_access`].

use crate::connection::on_engine;
use crate::{Connection, Error};

/// The version that the transaction sees.
///
/// # Errors
/// When the database fails.
pub(crate) async fn get(c: &mut Connection) -> Result<i64, Error> {
    const SQL: &str = "SELECT version FROM access_version WHERE id = 1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).fetch_one(c).await?))
}

/// Starts a new version.
///
/// # Errors
/// When the database fails.
pub(crate) async fn increment(c: &mut Connection) -> Result<i64, Error> {
    const SQL: &str = "UPDATE access_version SET version = version + 1 WHERE id = 1 RETURNING version";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).fetch_one(c).await?))
}
