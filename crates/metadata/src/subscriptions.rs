//! Tenants and subscriptions.

use uuid::Uuid;
use wharf_model::Timestamp;

use crate::connection::on_engine;
use crate::error::parse;
use crate::{Connection, Error};

/// A tenant: a directory of principals, and the subscriptions that trust it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRow {
    /// Its id.
    pub id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// The domain that names of users end with.
    pub default_domain: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A subscription: what resource groups are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// Its id.
    pub id: Uuid,
    /// The tenant whose principals are given rights in it.
    pub tenant_id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Writes a tenant unless it is there.
///
/// # Errors
/// When the database fails.
pub async fn insert_tenant(c: &mut Connection, new: &TenantRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO tenants (id, display_name, default_domain, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO NOTHING";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(&new.display_name)
            .bind(&new.default_domain)
            .bind(new.created_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// All tenants; there are few.
///
/// # Errors
/// When the database fails.
pub async fn list_tenants(c: &mut Connection) -> Result<Vec<TenantRow>, Error> {
    const SQL: &str = "SELECT id, display_name, default_domain, created_at FROM tenants ORDER BY created_at, id";
    let rows: Vec<(String, String, String, i64)> = on_engine!(c, c => sqlx::query_as(SQL).fetch_all(c).await?);
    let row = |(id, display_name, default_domain, created_at): (String, _, _, _)| {
        Ok(TenantRow { id: parse("tenant id", &id)?, display_name, default_domain, created_at: Timestamp(created_at) })
    };
    rows.into_iter().map(row).collect()
}

/// Writes a subscription unless it is there.
///
/// # Errors
/// When the database fails, or its tenant is not there.
pub async fn insert(c: &mut Connection, new: &SubscriptionRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO subscriptions (id, tenant_id, display_name, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO NOTHING";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(new.tenant_id.to_string())
            .bind(&new.display_name)
            .bind(new.created_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Finds a subscription.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, id: Uuid) -> Result<Option<SubscriptionRow>, Error> {
    const SQL: &str = "SELECT id, tenant_id, display_name, created_at FROM subscriptions WHERE id = $1";
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(id.to_string()).fetch_optional(c).await?);
    row.map(read).transpose()
}

/// Lists subscriptions, the oldest first; there are few.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection) -> Result<Vec<SubscriptionRow>, Error> {
    const SQL: &str = "SELECT id, tenant_id, display_name, created_at FROM subscriptions ORDER BY created_at, id";
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(SQL).fetch_all(c).await?);
    rows.into_iter().map(read).collect()
}

type Columns = (String, String, String, i64);

fn read((id, tenant_id, display_name, created_at): Columns) -> Result<SubscriptionRow, Error> {
    Ok(SubscriptionRow {
        id: parse("subscription id", &id)?,
        tenant_id: parse("tenant id", &tenant_id)?,
        display_name,
        created_at: Timestamp(created_at),
    })
}
