//! The tokens of registries and their passwords, as sign-in and authorization read them.

use wharf_model::{RegistryId, RegistryName, Timestamp};

use crate::connection::on_engine;
use crate::scope_maps::{key, parse_actions};
use crate::{Connection, Error};

/// A token with all that decides who signs in with it and what they may do, as of one moment.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its row; never given twice.
    pub id: i64,
    /// The registry that it is of.
    pub registry: RegistryId,
    /// Its name, as it was written when it was made.
    pub name: String,
    /// The name of its scope map, in lower case.
    pub scope_map: String,
    /// What the scope map says; `None` when it has no row: a system scope map, or none.
    pub actions: Option<Vec<String>>,
    /// Whether its status is `enabled`.
    pub is_enabled: bool,
    /// Its passwords, in the order of their slots.
    pub passwords: Vec<TokenPasswordRow>,
}

/// A password of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPasswordRow {
    /// 1 for `password1`, 2 for `password2`.
    pub slot: i16,
    /// Its MAC under the sealing key, by `identity`.
    pub mac: Vec<u8>,
    /// What was issued against it carries this number and counts while it stays the same.
    pub generation: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
}

/// A token once per password, with its scope map.
macro_rules! select_tokens {
    () => {
        "SELECT t.id, t.registry_id, t.name, t.scope_map, s.actions, t.is_enabled,
            p.slot, p.mac, p.generation, p.created_at, p.expires_at
         FROM tokens t
         LEFT JOIN scope_maps s ON s.registry_id = t.registry_id AND s.name = t.scope_map
         LEFT JOIN token_passwords p ON p.token_id = t.id "
    };
}

/// Creates a token, or changes the scope map and the status of the one that there is, and returns its row. A token that
/// was not enabled before, or is not now, starts a new generation: nothing that was issued for it counts any more.
///
/// # Errors
/// When the database fails.
pub async fn put(
    c: &mut Connection,
    registry: RegistryId,
    name: &str,
    scope_map: &str,
    is_enabled: bool,
) -> Result<i64, Error> {
    const PUT: &str = "INSERT INTO tokens (registry_id, key, name, scope_map, is_enabled) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (registry_id, key) DO UPDATE SET scope_map = excluded.scope_map, is_enabled = excluded.is_enabled,
            generation = tokens.generation + CASE WHEN excluded.is_enabled THEN 0 ELSE 1 END
         RETURNING id";
    const VOID: &str =
        "UPDATE token_passwords SET generation = (SELECT generation FROM tokens WHERE id = $1) WHERE token_id = $1";
    let id: i64 = on_engine!(&mut *c, c => {
        sqlx::query_scalar(PUT)
            .bind(registry.0)
            .bind(key(name))
            .bind(name)
            .bind(key(scope_map))
            .bind(is_enabled)
            .fetch_one(c)
            .await?
    });
    if !is_enabled {
        on_engine!(c, c => { sqlx::query(VOID).bind(id).execute(c).await?; });
    }
    Ok(id)
}

/// The token with this name, in any casing.
///
/// # Errors
/// When the database fails.
pub async fn find_by_name(c: &mut Connection, registry: RegistryId, name: &str) -> Result<Option<TokenRow>, Error> {
    let sql = concat!(select_tokens!(), "WHERE t.registry_id = $1 AND t.key = $2 ORDER BY p.slot");
    let rows: Vec<Columns> =
        on_engine!(c, c => sqlx::query_as(sql).bind(registry.0).bind(key(name)).fetch_all(c).await?);
    Ok(gather(rows)?.pop())
}

/// The token with this row, if it is of this registry.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, registry: RegistryId, id: i64) -> Result<Option<TokenRow>, Error> {
    let sql = concat!(select_tokens!(), "WHERE t.registry_id = $1 AND t.id = $2 ORDER BY p.slot");
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(sql).bind(registry.0).bind(id).fetch_all(c).await?);
    Ok(gather(rows)?.pop())
}

/// How many tokens the registry has.
///
/// # Errors
/// When the database fails.
pub async fn count(c: &mut Connection, registry: RegistryId) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM tokens WHERE registry_id = $1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).fetch_one(c).await?))
}

/// The name of a token that has this scope map, if any does.
///
/// # Errors
/// When the database fails.
pub async fn find_user_of_scope_map(
    c: &mut Connection,
    registry: RegistryId,
    scope_map: &str,
) -> Result<Option<String>, Error> {
    const SQL: &str = "SELECT name FROM tokens WHERE registry_id = $1 AND scope_map = $2 ORDER BY key LIMIT 1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).bind(key(scope_map)).fetch_optional(c).await?))
}

/// Gives a token a password in this slot, in the place of the one that may be there, and a generation of its own.
///
/// # Errors
/// When the database fails.
pub async fn put_password(
    c: &mut Connection,
    token: i64,
    slot: i16,
    mac: &[u8],
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<(), Error> {
    const COUNT: &str = "UPDATE tokens SET generation = generation + 1 WHERE id = $1 RETURNING generation";
    const PUT: &str =
        "INSERT INTO token_passwords (token_id, slot, mac, generation, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (token_id, slot) DO UPDATE SET mac = excluded.mac, generation = excluded.generation,
            created_at = excluded.created_at, expires_at = excluded.expires_at";
    let generation: i64 = on_engine!(&mut *c, c => sqlx::query_scalar(COUNT).bind(token).fetch_one(c).await?);
    on_engine!(c, c => {
        sqlx::query(PUT)
            .bind(token)
            .bind(slot)
            .bind(mac)
            .bind(generation)
            .bind(created_at.0)
            .bind(expires_at.map(|at| at.0))
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Removes the password in this slot, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn delete_password(c: &mut Connection, token: i64, slot: i16) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM token_passwords WHERE token_id = $1 AND slot = $2";
    on_engine!(c, c => { sqlx::query(SQL).bind(token).bind(slot).execute(c).await?; });
    Ok(())
}

/// The passwords of a registry's tokens with names from `first` to `last`, each with the name of its token in lower case,
/// in the order of names and slots.
///
/// # Errors
/// When the database fails.
pub async fn list_passwords(
    c: &mut Connection,
    registry: &RegistryName,
    first: &str,
    last: &str,
) -> Result<Vec<(String, TokenPasswordRow)>, Error> {
    const SQL: &str = "SELECT t.key, p.slot, p.mac, p.generation, p.created_at, p.expires_at
         FROM registries r JOIN tokens t ON t.registry_id = r.id JOIN token_passwords p ON p.token_id = t.id
         WHERE r.name = $1 AND t.key >= $2 AND t.key <= $3 ORDER BY t.key, p.slot";
    type Row = (String, i16, Vec<u8>, i64, i64, Option<i64>);
    let rows: Vec<Row> = on_engine!(c, c => {
        sqlx::query_as(SQL).bind(registry.as_str()).bind(key(first)).bind(key(last)).fetch_all(c).await?
    });
    let password = |(token, slot, mac, generation, created_at, expires_at): Row| {
        let (created_at, expires_at) = (Timestamp(created_at), expires_at.map(Timestamp));
        (token, TokenPasswordRow { slot, mac, generation, created_at, expires_at })
    };
    Ok(rows.into_iter().map(password).collect())
}

/// Removes a token with its passwords. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, registry: RegistryId, name: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM tokens WHERE registry_id = $1 AND key = $2";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(registry.0).bind(key(name)).execute(c).await?.rows_affected()) > 0)
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    registry_id: i64,
    name: String,
    scope_map: String,
    actions: Option<String>,
    is_enabled: bool,
    slot: Option<i16>,
    mac: Option<Vec<u8>>,
    generation: Option<i64>,
    created_at: Option<i64>,
    expires_at: Option<i64>,
}

/// Puts the rows of one token after another together again.
fn gather(rows: Vec<Columns>) -> Result<Vec<TokenRow>, Error> {
    let mut tokens: Vec<TokenRow> = Vec::new();
    for row in rows {
        if tokens.last().is_none_or(|last| last.id != row.id) {
            tokens.push(TokenRow {
                id: row.id,
                registry: RegistryId(row.registry_id),
                name: row.name,
                scope_map: row.scope_map,
                actions: row.actions.as_deref().map(parse_actions).transpose()?,
                is_enabled: row.is_enabled,
                passwords: Vec::new(),
            });
        }
        if let (Some(token), Some(slot), Some(mac), Some(generation), Some(created_at)) =
            (tokens.last_mut(), row.slot, row.mac, row.generation, row.created_at)
        {
            let (created_at, expires_at) = (Timestamp(created_at), row.expires_at.map(Timestamp));
            token.passwords.push(TokenPasswordRow { slot, mac, generation, created_at, expires_at });
        }
    }
    Ok(tokens)
}
