//! Scope maps: what the tokens of a registry may do, as authorization reads it.

use wharf_model::RegistryId;

use crate::connection::on_engine;
use crate::error::{parse_json, to_json};
use crate::{Connection, Error};

/// Creates or replaces the scope map with this name.
///
/// # Errors
/// When the database fails.
pub async fn put(c: &mut Connection, registry: RegistryId, name: &str, actions: &[String]) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO scope_maps (registry_id, name, actions) VALUES ($1, $2, $3)
         ON CONFLICT (registry_id, name) DO UPDATE SET actions = excluded.actions";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(registry.0).bind(key(name)).bind(to_json(&actions)).execute(c).await?;
    });
    Ok(())
}

/// The actions of the scope map with this name, in any casing.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, registry: RegistryId, name: &str) -> Result<Option<Vec<String>>, Error> {
    const SQL: &str = "SELECT actions FROM scope_maps WHERE registry_id = $1 AND name = $2";
    let actions: Option<String> = on_engine!(c, c => {
        sqlx::query_scalar(SQL).bind(registry.0).bind(key(name)).fetch_optional(c).await?
    });
    actions.map(|actions| parse_actions(&actions)).transpose()
}

/// How many scope maps the registry has, those of the system not counted.
///
/// # Errors
/// When the database fails.
pub async fn count(c: &mut Connection, registry: RegistryId) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM scope_maps WHERE registry_id = $1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).fetch_one(c).await?))
}

/// Removes a scope map. Returns whether there was one. Whoever calls makes sure that no token has it.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, registry: RegistryId, name: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM scope_maps WHERE registry_id = $1 AND name = $2";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(registry.0).bind(key(name)).execute(c).await?.rows_affected()) > 0)
}

pub(crate) fn parse_actions(json: &str) -> Result<Vec<String>, Error> {
    parse_json("list of actions", json)
}

/// What names of scope maps and tokens are stored and compared by. They are ASCII.
pub(crate) fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}
