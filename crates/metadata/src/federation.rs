//! Who is trusted to say who somebody is: issuers outside with their rules, and endpoints that hand out tokens of
//! principals without secrets of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wharf_model::{PrincipalId, Timestamp};

use crate::connection::on_engine;
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

/// An issuer outside as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRow {
    /// Its id.
    pub id: Uuid,
    /// What the operator calls it, in lower case.
    pub name: String,
    /// Its issuer URL, letter by letter as its tokens have it.
    pub issuer: String,
    /// How it is reached.
    pub settings: IssuerSettings,
    /// The secret of our client there, sealed.
    pub sealed_client_secret: Option<Vec<u8>>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// How an issuer is reached, and as whom we are known there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IssuerSettings {
    /// What people read on the button.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Our client there; without one, people cannot sign in by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What is asked for beside `openid`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Its keys (a JWK set), where it cannot be asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// Certificates of the authority that signed its own, in PEM, beside those that everybody trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// A rule as kept: for whom an issuer's tokens may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// Its id.
    pub id: Uuid,
    /// The issuer's.
    pub issuer_id: Uuid,
    /// The audience that a token must have.
    pub audience: String,
    /// Patterns that claims must match, by the claim's name.
    pub conditions: BTreeMap<String, String>,
    /// For whom they stand.
    pub stands_for: StandsForRow,
    /// When it was added.
    pub created_at: Timestamp,
}

/// For whom tokens stand by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandsForRow {
    /// For this principal.
    Principal(PrincipalId),
    /// For the user whose name is in a claim.
    User {
        /// The claim.
        claim: String,
        /// Whether a user that does not exist is made.
        creates: bool,
        /// Whether the name may lead to a user that was not made by this issuer.
        trusts_names: bool,
    },
}

#[derive(sqlx::FromRow)]
struct IssuerColumns {
    id: String,
    name: String,
    issuer: String,
    settings: String,
    sealed_client_secret: Option<Vec<u8>>,
    created_at: i64,
}

impl TryFrom<IssuerColumns> for IssuerRow {
    type Error = Error;

    fn try_from(row: IssuerColumns) -> Result<Self, Error> {
        Ok(Self {
            id: parse("issuer id", &row.id)?,
            name: row.name,
            issuer: row.issuer,
            settings: parse_json("settings of an issuer", &row.settings)?,
            sealed_client_secret: row.sealed_client_secret,
            created_at: Timestamp(row.created_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct RuleColumns {
    id: String,
    issuer_id: String,
    audience: String,
    conditions: String,
    principal_id: Option<String>,
    user_claim: Option<String>,
    creates_users: bool,
    trusts_names: bool,
    created_at: i64,
}

impl TryFrom<RuleColumns> for RuleRow {
    type Error = Error;

    fn try_from(row: RuleColumns) -> Result<Self, Error> {
        let stands_for = match (row.principal_id, row.user_claim) {
            (Some(principal), _) => StandsForRow::Principal(parse("principal id", &principal)?),
            (None, Some(claim)) => {
                StandsForRow::User { claim, creates: row.creates_users, trusts_names: row.trusts_names }
            }
            (None, None) => return Err(Error::Malformed { what: "federation rule", value: row.id }),
        };
        Ok(Self {
            id: parse("rule id", &row.id)?,
            issuer_id: parse("issuer id", &row.issuer_id)?,
            audience: row.audience,
            conditions: parse_json("conditions of a rule", &row.conditions)?,
            stands_for,
            created_at: Timestamp(row.created_at),
        })
    }
}

/// Adds an issuer. Returns `false` when there is one with its name or URL.
///
/// # Errors
/// When the database fails.
pub async fn insert_issuer(c: &mut Connection, row: &IssuerRow) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO federation_issuers (id, name, issuer, settings, sealed_client_secret, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let rows = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(&row.name)
            .bind(&row.issuer)
            .bind(to_json(&row.settings))
            .bind(&row.sealed_client_secret)
            .bind(row.created_at.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(rows > 0)
}

/// All issuers, in the order of their names. A handful.
///
/// # Errors
/// When the database fails.
pub async fn list_issuers(c: &mut Connection) -> Result<Vec<IssuerRow>, Error> {
    const SQL: &str = "SELECT id, name, issuer, settings, sealed_client_secret, created_at FROM federation_issuers
         ORDER BY name";
    let rows: Vec<IssuerColumns> = on_engine!(c, c => sqlx::query_as(SQL).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Removes an issuer with its rules. Returns whether it was there.
///
/// # Errors
/// When the database fails.
pub async fn delete_issuer(c: &mut Connection, id: Uuid) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM federation_issuers WHERE id = $1";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(id.to_string()).execute(c).await?.rows_affected()) > 0)
}

/// Adds a rule.
///
/// # Errors
/// When the database fails or the issuer is gone.
pub async fn insert_rule(c: &mut Connection, row: &RuleRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO federation_rules
             (id, issuer_id, audience, conditions, principal_id, user_claim, creates_users, trusts_names, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let (principal, claim, creates, trusts_names) = match &row.stands_for {
        StandsForRow::Principal(principal) => (Some(principal.to_string()), None, false, false),
        StandsForRow::User { claim, creates, trusts_names } => (None, Some(claim.as_str()), *creates, *trusts_names),
    };
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(row.issuer_id.to_string())
            .bind(&row.audience)
            .bind(to_json(&row.conditions))
            .bind(principal)
            .bind(claim)
            .bind(creates)
            .bind(trusts_names)
            .bind(row.created_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// All rules, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list_rules(c: &mut Connection) -> Result<Vec<RuleRow>, Error> {
    const SQL: &str = "SELECT id, issuer_id, audience, conditions, principal_id, user_claim, creates_users,
             trusts_names, created_at
         FROM federation_rules ORDER BY created_at, id";
    let rows: Vec<RuleColumns> = on_engine!(c, c => sqlx::query_as(SQL).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Removes a rule. Returns whether it was there.
///
/// # Errors
/// When the database fails.
pub async fn delete_rule(c: &mut Connection, id: Uuid) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM federation_rules WHERE id = $1";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(id.to_string()).execute(c).await?.rows_affected()) > 0)
}

/// Whether a principal is known to have signed in by a rule.
///
/// # Errors
/// When the database fails.
pub async fn has_signed_in(c: &mut Connection, rule: Uuid, principal: PrincipalId) -> Result<bool, Error> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM federated_sign_ins WHERE rule_id = $1 AND principal_id = $2)";
    Ok(on_engine!(c, c => {
        sqlx::query_scalar(SQL).bind(rule.to_string()).bind(principal.to_string()).fetch_one(c).await?
    }))
}

/// Remembers that a principal has signed in by a rule. Returns `false` when the rule is gone.
///
/// # Errors
/// When the database fails.
pub async fn insert_sign_in(c: &mut Connection, rule: Uuid, principal: PrincipalId) -> Result<bool, Error> {
    const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM federation_rules WHERE id = $1)";
    const INSERT: &str =
        "INSERT INTO federated_sign_ins (rule_id, principal_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(on_engine!(c, c => {
        let exists: bool = sqlx::query_scalar(EXISTS).bind(rule.to_string()).fetch_one(&mut *c).await?;
        if exists {
            sqlx::query(INSERT).bind(rule.to_string()).bind(principal.to_string()).execute(c).await?;
        }
        exists
    }))
}

/// Forgets who has signed in by a rule, and returns who that was.
///
/// # Errors
/// When the database fails.
pub async fn take_sign_ins(c: &mut Connection, rule: Uuid) -> Result<Vec<PrincipalId>, Error> {
    const SQL: &str = "DELETE FROM federated_sign_ins WHERE rule_id = $1 RETURNING principal_id";
    let ids: Vec<String> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(rule.to_string()).fetch_all(c).await?);
    ids.iter().map(|id| parse("principal id", id)).collect()
}

/// Which user an account of an issuer is, if that was remembered.
///
/// # Errors
/// When the database fails.
pub async fn find_person(c: &mut Connection, issuer: &str, subject: &str) -> Result<Option<PrincipalId>, Error> {
    const SQL: &str = "SELECT principal_id FROM federated_people WHERE issuer = $1 AND subject = $2";
    let id: Option<String> =
        on_engine!(c, c => sqlx::query_scalar(SQL).bind(issuer).bind(subject).fetch_optional(c).await?);
    id.map(|id| parse("principal id", &id)).transpose()
}

/// Whether an account of an issuer is known to be this user.
///
/// # Errors
/// When the database fails.
pub async fn has_account(c: &mut Connection, issuer: &str, principal: PrincipalId) -> Result<bool, Error> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM federated_people WHERE issuer = $1 AND principal_id = $2)";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(issuer).bind(principal.to_string()).fetch_one(c).await?))
}

/// Remembers which user an account of an issuer is, in place of what was remembered of it.
///
/// # Errors
/// When the database fails.
pub async fn link_person(
    c: &mut Connection,
    issuer: &str,
    subject: &str,
    principal: PrincipalId,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO federated_people (issuer, subject, principal_id, linked_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (issuer, subject) DO UPDATE SET principal_id = excluded.principal_id, linked_at = excluded.linked_at";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(issuer).bind(subject).bind(principal.to_string()).bind(now.0).execute(c).await?;
    });
    Ok(())
}

/// Forgets which user an account of an issuer is, and returns who that was.
///
/// # Errors
/// When the database fails.
pub async fn unlink_person(c: &mut Connection, issuer: &str, subject: &str) -> Result<Option<PrincipalId>, Error> {
    const SQL: &str = "DELETE FROM federated_people WHERE issuer = $1 AND subject = $2 RETURNING principal_id";
    let id: Option<String> =
        on_engine!(c, c => sqlx::query_scalar(SQL).bind(issuer).bind(subject).fetch_optional(c).await?);
    id.map(|id| parse("principal id", &id)).transpose()
}

/// An endpoint that hands out a principal's tokens, as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRow {
    /// Its id.
    pub id: Uuid,
    /// Whose tokens.
    pub principal: PrincipalId,
    /// To whom.
    pub caller: EndpointCaller,
    /// What the operator wrote about it.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// To whom an endpoint hands out tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointCaller {
    /// Whoever sends the header's value, of which this is the MAC.
    Header(Vec<u8>),
    /// Whoever calls from this range of addresses.
    Addresses(String),
}

#[derive(sqlx::FromRow)]
struct EndpointColumns {
    id: String,
    principal_id: String,
    header_mac: Option<Vec<u8>>,
    addresses: Option<String>,
    description: Option<String>,
    created_at: i64,
}

impl TryFrom<EndpointColumns> for EndpointRow {
    type Error = Error;

    fn try_from(row: EndpointColumns) -> Result<Self, Error> {
        let caller = match (row.header_mac, row.addresses) {
            (Some(mac), _) => EndpointCaller::Header(mac),
            (None, Some(addresses)) => EndpointCaller::Addresses(addresses),
            (None, None) => return Err(Error::Malformed { what: "identity endpoint", value: row.id }),
        };
        Ok(Self {
            id: parse("endpoint id", &row.id)?,
            principal: parse("principal id", &row.principal_id)?,
            caller,
            description: row.description,
            created_at: Timestamp(row.created_at),
        })
    }
}

/// Adds an endpoint.
///
/// # Errors
/// When the database fails.
pub async fn insert_endpoint(c: &mut Connection, row: &EndpointRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO identity_endpoints
             (id, principal_id, header_mac, addresses, description, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)";
    let (header, addresses) = match &row.caller {
        EndpointCaller::Header(mac) => (Some(mac.as_slice()), None),
        EndpointCaller::Addresses(range) => (None, Some(range.as_str())),
    };
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(row.principal.to_string())
            .bind(header)
            .bind(addresses)
            .bind(&row.description)
            .bind(row.created_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// The endpoint with this header.
///
/// # Errors
/// When the database fails.
pub async fn find_endpoint(c: &mut Connection, header_mac: &[u8]) -> Result<Option<EndpointRow>, Error> {
    const SQL: &str = "SELECT id, principal_id, header_mac, addresses, description, created_at FROM identity_endpoints
         WHERE header_mac = $1";
    let row: Option<EndpointColumns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(header_mac).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// All endpoints, oldest first; or those that go by addresses alone.
///
/// # Errors
/// When the database fails.
pub async fn list_endpoints(c: &mut Connection, by_address: bool) -> Result<Vec<EndpointRow>, Error> {
    const SQL: &str = "SELECT id, principal_id, header_mac, addresses, description, created_at FROM identity_endpoints
         WHERE addresses IS NOT NULL OR NOT $1 ORDER BY created_at, id";
    let rows: Vec<EndpointColumns> = on_engine!(c, c => sqlx::query_as(SQL).bind(by_address).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Removes an endpoint, and returns whose tokens it handed out.
///
/// # Errors
/// When the database fails.
pub async fn delete_endpoint(c: &mut Connection, id: Uuid) -> Result<Option<PrincipalId>, Error> {
    const SQL: &str = "DELETE FROM identity_endpoints WHERE id = $1 RETURNING principal_id";
    let id: Option<String> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(id.to_string()).fetch_optional(c).await?);
    id.map(|id| parse("principal id", &id)).transpose()
}
