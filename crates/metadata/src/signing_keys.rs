//! The keys that sign access and refresh tokens, sealed.

use wharf_model::Timestamp;

use crate::connection::on_engine;
use crate::{Connection, Error};

/// A signing key as kept.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SigningKeyRow {
    /// The `kid` of the tokens that it signs.
    pub kid: String,
    /// The private key, sealed by `identity`.
    pub sealed_key: Vec<u8>,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// Until when it signs.
    #[sqlx(try_from = "i64")]
    pub signs_until: Timestamp,
    /// Until when tokens signed by it may be valid; it is deleted after.
    #[sqlx(try_from = "i64")]
    pub verifies_until: Timestamp,
}

/// All keys, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection) -> Result<Vec<SigningKeyRow>, Error> {
    const SQL: &str = "SELECT kid, sealed_key, created_at, signs_until, verifies_until FROM signing_keys
         ORDER BY created_at DESC, kid";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).fetch_all(c).await?))
}

/// Adds a key.
///
/// # Errors
/// When the database fails or the key is there already.
pub async fn insert(c: &mut Connection, key: &SigningKeyRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO signing_keys (kid, sealed_key, created_at, signs_until, verifies_until)
         VALUES ($1, $2, $3, $4, $5)";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(&key.kid)
            .bind(&key.sealed_key)
            .bind(key.created_at.0)
            .bind(key.signs_until.0)
            .bind(key.verifies_until.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Removes the keys by which no valid token can be signed any more.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(c: &mut Connection, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM signing_keys WHERE verifies_until < $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(now.0).execute(c).await?; });
    Ok(())
}
