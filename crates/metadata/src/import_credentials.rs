//! What imports sign in with at their sources, sealed by the caller.

use uuid::Uuid;
use wharf_model::RegistryId;

use crate::connection::on_engine;
use crate::{Connection, Error};

/// Keeps the credentials of an import.
///
/// # Errors
/// When the database fails.
pub async fn insert(c: &mut Connection, operation: Uuid, registry: RegistryId, sealed: &[u8]) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO import_credentials (operation_id, registry_id, sealed) VALUES ($1, $2, $3)";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(operation.to_string()).bind(registry.0).bind(sealed).execute(c).await?;
    });
    Ok(())
}

/// Finds the credentials of an import.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, operation: Uuid) -> Result<Option<Vec<u8>>, Error> {
    const SQL: &str = "SELECT sealed FROM import_credentials WHERE operation_id = $1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(operation.to_string()).fetch_optional(c).await?))
}

/// Forgets the credentials of an import.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, operation: Uuid) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM import_credentials WHERE operation_id = $1";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(operation.to_string()).execute(c).await?;
    });
    Ok(())
}
