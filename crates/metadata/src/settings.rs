//! Small facts about the installation as a whole, by key.

use crate::connection::on_engine;
use crate::{Connection, Error};

/// Reads a setting.
///
/// # Errors
/// When the database fails.
pub async fn get(c: &mut Connection, key: &str) -> Result<Option<Vec<u8>>, Error> {
    const SQL: &str = "SELECT value FROM settings WHERE key = $1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(key).fetch_optional(c).await?))
}

/// Writes a setting, in place of what was there.
///
/// # Errors
/// When the database fails.
pub async fn put(c: &mut Connection, key: &str, value: &[u8]) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO settings (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    on_engine!(c, c => { sqlx::query(SQL).bind(key).bind(value).execute(c).await?; });
    Ok(())
}

/// Writes a setting unless it is there, and returns the one that stands: of many starters, one wins.
///
/// # Errors
/// When the database fails.
pub async fn put_if_absent(c: &mut Connection, key: &str, value: &[u8]) -> Result<Vec<u8>, Error> {
    const SQL: &str = "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
    on_engine!(c, c => { sqlx::query(SQL).bind(key).bind(value).execute(c).await?; });
    Ok(get(c, key).await?.unwrap_or_else(|| value.to_vec()))
}
