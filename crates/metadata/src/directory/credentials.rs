//! What users, applications and service principals sign in with.

use std::fmt;

use uuid::Uuid;
use wharf_model::Timestamp;

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::error::parse;
use crate::{Connection, Error};

/// A credential as kept.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialRow {
    /// The object that it belongs to: a user, an application or a service principal.
    pub owner_id: Uuid,
    /// Its id, unique for its owner.
    pub key_id: Uuid,
    /// What it is.
    pub kind: CredentialKind,
    /// What people call it.
    pub display_name: Option<String>,
    /// The first characters of a secret, so that people can tell which is which.
    pub hint: Option<String>,
    /// Whether it was drawn at random, so that nobody can guess it.
    pub is_generated: bool,
    /// A password's hash, a secret's MAC, or a certificate (DER).
    pub value: Vec<u8>,
    /// When it begins to count.
    pub starts_at: Timestamp,
    /// When it counts no more; never, if not given.
    pub ends_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A user's password.
    Password,
    /// A secret text of an application.
    Secret,
    /// A certificate of an application, whose key signs its assertions.
    Certificate,
}

impl CredentialKind {
    fn word(self) -> &'static str {
        match self {
            Self::Password => "Password",
            Self::Secret => "Secret",
            Self::Certificate => "Certificate",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Password, Self::Secret, Self::Certificate].into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Debug for CredentialRow {
    /// Keeps the value and the hint to itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CredentialRow");
        shown.field("owner_id", &self.owner_id).field("key_id", &self.key_id).field("kind", &self.kind);
        shown.field("starts_at", &self.starts_at).field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct Columns {
    owner_id: String,
    key_id: String,
    kind: String,
    display_name: Option<String>,
    hint: Option<String>,
    is_generated: bool,
    value: Vec<u8>,
    starts_at: i64,
    ends_at: Option<i64>,
    created_at: i64,
}

impl TryFrom<Columns> for CredentialRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        let kind = CredentialKind::from_word(&row.kind);
        Ok(Self {
            owner_id: parse("owner of a credential", &row.owner_id)?,
            key_id: parse("id of a credential", &row.key_id)?,
            kind: kind.ok_or_else(|| Error::Malformed { what: "kind of credential", value: row.kind })?,
            display_name: row.display_name,
            hint: row.hint,
            is_generated: row.is_generated,
            value: row.value,
            starts_at: Timestamp(row.starts_at),
            ends_at: row.ends_at.map(Timestamp),
            created_at: Timestamp(row.created_at),
        })
    }
}

/// Adds a credential, in place of its owner's one with the same id.
///
/// # Errors
/// When the database fails.
pub async fn put(c: &mut Connection, row: &CredentialRow) -> Result<(), Error> {
    const SQL: &str =
        "INSERT INTO credentials (owner_id, key_id, kind, display_name, hint, is_generated, value, starts_at,
            ends_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (owner_id, key_id) DO UPDATE SET kind = excluded.kind, display_name = excluded.display_name,
            hint = excluded.hint, is_generated = excluded.is_generated, value = excluded.value,
            starts_at = excluded.starts_at, ends_at = excluded.ends_at, created_at = excluded.created_at";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.owner_id.to_string())
            .bind(row.key_id.to_string())
            .bind(row.kind.word())
            .bind(&row.display_name)
            .bind(&row.hint)
            .bind(row.is_generated)
            .bind(&row.value)
            .bind(row.starts_at.0)
            .bind(row.ends_at.map(|at| at.0))
            .bind(row.created_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Lists the credentials of many owners, each owner's in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection, owners: &[Uuid]) -> Result<Vec<CredentialRow>, Error> {
    let mut found = Vec::new();
    for owners in owners.chunks(VALUES_PER_STATEMENT) {
        let sql = format!(
            "SELECT owner_id, key_id, kind, display_name, hint, is_generated, value, starts_at, ends_at, created_at
             FROM credentials WHERE owner_id IN ({}) ORDER BY created_at, key_id",
            placeholder_list(1, owners.len())
        );
        let rows: Vec<Columns> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
            for owner in owners {
                query = query.bind(owner.to_string());
            }
            query.fetch_all(c).await?
        });
        for row in rows {
            found.push(row.try_into()?);
        }
    }
    Ok(found)
}

/// Removes a credential. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, owner: Uuid, key_id: Uuid) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM credentials WHERE owner_id = $1 AND key_id = $2";
    let deleted = on_engine!(c, c => {
        sqlx::query(SQL).bind(owner.to_string()).bind(key_id.to_string()).execute(c).await?.rows_affected()
    });
    Ok(deleted > 0)
}
