//! Which of the scopes that must not be orphaned have an owner: the root and the subscriptions.

use std::collections::BTreeSet;

use uuid::Uuid;
use wharf_model::PrincipalKind;

use crate::connection::on_engine;
use crate::{Connection, Error};

/// The keys of those scopes that have an owner of their own: somebody who can sign in and has the role of owner there
/// without a condition, also by way of groups. Managed identities are none: they come and go with their resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedScopes(BTreeSet<String>);

impl OwnedScopes {
    /// Reads them, and keeps others from changing who may do what until the transaction ends: of two owners who go at the
    /// same time, each would see the other stay.
    ///
    /// To be called before anything that only this transaction's guard protects is written, but after rows that others
    /// lock first. `owner` is the id of the role.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(c: &mut Connection, owner: Uuid) -> Result<Self, Error> {
        // One text for both engines: on SQLite there is one writer anyway.
        const LOCK: &str = "UPDATE access_version SET version = version WHERE id = 1";
        const SQL: &str = "WITH RECURSIVE held(scope_key, id) AS (
                SELECT scope_key, principal_id FROM role_assignments
                WHERE role_id = $1 AND condition IS NULL AND (scope_key = '/' OR
                    (scope_key LIKE '/subscriptions/%' AND scope_key NOT LIKE '/subscriptions/%/%'))
                UNION SELECT h.scope_key, m.member_id FROM group_members m JOIN held h ON m.group_id = h.id)
             SELECT DISTINCT h.scope_key FROM held h JOIN principals p ON p.id = h.id
             WHERE p.is_enabled AND p.kind IN ($2, $3)";
        on_engine!(&mut *c, c => { sqlx::query(LOCK).execute(c).await?; });
        let keys: Vec<String> = on_engine!(c, c => {
            sqlx::query_scalar(SQL)
                .bind(owner.to_string())
                .bind(PrincipalKind::User.as_str())
                .bind(PrincipalKind::ServicePrincipal.as_str())
                .fetch_all(c)
                .await?
        });
        Ok(Self(keys.into_iter().collect()))
    }

    /// The widest scope that has lost its last owner since, if any has: nobody there could make anybody owner again. Who
    /// owns everything owns every subscription.
    #[must_use]
    pub fn lost_by(&self, later: &Self) -> Option<&str> {
        if later.0.contains("/") {
            return None;
        }
        self.0.iter().find(|&key| !later.0.contains(key)).map(String::as_str)
    }
}
