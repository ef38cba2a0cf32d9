//! Codes and tokens of people and programs that sign in: device codes, authorization codes, refresh tokens, and assertions
//! that were used.

use uuid::Uuid;
use wharf_model::{PrincipalId, Timestamp};

use crate::connection::on_engine;
use crate::error::parse;
use crate::{Connection, Error};

/// Who signed in, as codes and refresh tokens remember it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInRow {
    /// The principal.
    pub principal: PrincipalId,
    /// The generation of its credentials then.
    pub generation: i64,
    /// The federation rule by which it signed in.
    pub rule: Option<Uuid>,
    /// When it gave its credentials.
    pub authenticated_at: Timestamp,
}

/// What has become of a device code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Nobody has answered yet.
    Pending,
    /// Somebody signed in for the device.
    Approved(SignInRow),
    /// Somebody said no.
    Declined,
}

/// A device code as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCodeRow {
    /// The MAC of the code that the device polls with.
    pub code_mac: Vec<u8>,
    /// The code that the person types, in capital letters.
    pub user_code: String,
    /// The client that asked.
    pub client_id: String,
    /// What it asked for.
    pub scope: String,
    /// The address that it asked from.
    pub address: String,
    /// What it is counted under: the address, or of IPv6 the network.
    pub neighbourhood: String,
    /// What has become of it.
    pub state: DeviceState,
    /// How many seconds the device must wait between two polls.
    pub interval_seconds: i64,
    /// When the device polled for the last time but one.
    pub polled_before: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct DeviceColumns {
    code_mac: Vec<u8>,
    user_code: String,
    client_id: String,
    scope: String,
    address: String,
    neighbourhood: String,
    state: String,
    principal_id: Option<String>,
    generation: Option<i64>,
    rule_id: Option<String>,
    authenticated_at: Option<i64>,
    interval_seconds: i64,
    polled_before: Option<i64>,
    expires_at: i64,
}

impl TryFrom<DeviceColumns> for DeviceCodeRow {
    type Error = Error;

    fn try_from(row: DeviceColumns) -> Result<Self, Error> {
        let state = match (row.state.as_str(), &row.principal_id) {
            ("pending", _) => DeviceState::Pending,
            ("declined", _) => DeviceState::Declined,
            ("approved", Some(principal)) => DeviceState::Approved(SignInRow {
                principal: parse("principal id", principal)?,
                generation: row.generation.unwrap_or(0),
                rule: optional("rule id", row.rule_id.as_deref())?,
                authenticated_at: Timestamp(row.authenticated_at.unwrap_or(0)),
            }),
            _ => return Err(Error::Malformed { what: "state of a device code", value: row.state }),
        };
        Ok(Self {
            code_mac: row.code_mac,
            user_code: row.user_code,
            client_id: row.client_id,
            scope: row.scope,
            address: row.address,
            neighbourhood: row.neighbourhood,
            state,
            interval_seconds: row.interval_seconds,
            polled_before: row.polled_before.map(Timestamp),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

/// Records a new device code. Returns `false` when its user code is taken.
///
/// # Errors
/// When the database fails.
pub async fn insert_device_code(c: &mut Connection, row: &DeviceCodeRow) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO device_codes
             (code_mac, user_code, client_id, scope, address, neighbourhood, state, interval_seconds, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8) ON CONFLICT DO NOTHING";
    let rows = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(&row.code_mac)
            .bind(&row.user_code)
            .bind(&row.client_id)
            .bind(&row.scope)
            .bind(&row.address)
            .bind(&row.neighbourhood)
            .bind(row.interval_seconds)
            .bind(row.expires_at.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(rows > 0)
}

/// How many device codes there are that have not expired, and how many of them were asked for from a neighbourhood.
///
/// # Errors
/// When the database fails.
pub async fn count_device_codes(c: &mut Connection, neighbourhood: &str, now: Timestamp) -> Result<(i64, i64), Error> {
    const SQL: &str = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN neighbourhood = $1 THEN 1 ELSE 0 END), 0)
         FROM device_codes WHERE expires_at > $2";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(neighbourhood).bind(now.0).fetch_one(c).await?))
}

/// The device code that goes with a user code, whatever its state.
///
/// # Errors
/// When the database fails.
pub async fn find_device_code(c: &mut Connection, user_code: &str) -> Result<Option<DeviceCodeRow>, Error> {
    const SQL: &str = "SELECT code_mac, user_code, client_id, scope, address, neighbourhood, state, principal_id, generation, rule_id,
             authenticated_at, interval_seconds, polled_before, expires_at
         FROM device_codes WHERE user_code = $1";
    let row: Option<DeviceColumns> = on_engine!(c, c => sqlx::query_as(SQL).bind(user_code).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// Approves a pending device code, or declines it. Returns `false` when it is gone or was answered.
///
/// # Errors
/// When the database fails.
pub async fn answer_device_code(
    c: &mut Connection,
    user_code: &str,
    approved: Option<&SignInRow>,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "UPDATE device_codes
         SET state = $2, principal_id = $3, generation = $4, rule_id = $5, authenticated_at = $6
         WHERE user_code = $1 AND state = 'pending' AND expires_at > $7";
    let rows = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(user_code)
            .bind(if approved.is_some() { "approved" } else { "declined" })
            .bind(approved.map(|who| who.principal.to_string()))
            .bind(approved.map(|who| who.generation))
            .bind(approved.and_then(|who| who.rule).map(|rule| rule.to_string()))
            .bind(approved.map(|who| who.authenticated_at.0))
            .bind(now.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(rows > 0)
}

/// Notes that a device polls, and returns its code as it stands; others who poll with it wait until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn poll_device_code(
    c: &mut Connection,
    code_mac: &[u8],
    now: Timestamp,
) -> Result<Option<DeviceCodeRow>, Error> {
    const SQL: &str = "UPDATE device_codes SET polled_before = polled_at, polled_at = $2 WHERE code_mac = $1
         RETURNING code_mac, user_code, client_id, scope, address, neighbourhood, state, principal_id, generation, rule_id,
             authenticated_at, interval_seconds, polled_before, expires_at";
    let row: Option<DeviceColumns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(code_mac).bind(now.0).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// Makes a device wait longer between two polls.
///
/// # Errors
/// When the database fails.
pub async fn slow_device_down(c: &mut Connection, code_mac: &[u8], interval_seconds: i64) -> Result<(), Error> {
    const SQL: &str = "UPDATE device_codes SET interval_seconds = $2 WHERE code_mac = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(code_mac).bind(interval_seconds).execute(c).await?; });
    Ok(())
}

/// Forgets a device code. Returns whether it was there: whoever is told so may use it up.
///
/// # Errors
/// When the database fails.
pub async fn delete_device_code(c: &mut Connection, code_mac: &[u8]) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM device_codes WHERE code_mac = $1";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(code_mac).execute(c).await?.rows_affected()) > 0)
}

/// An authorization code as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCodeRow {
    /// The MAC of the code.
    pub code_mac: Vec<u8>,
    /// The client that it was given to.
    pub client_id: String,
    /// Where it was sent.
    pub redirect_uri: String,
    /// The SHA-256 of the verifier that redeems it, in base64url.
    pub code_challenge: Option<String>,
    /// What was asked for.
    pub scope: String,
    /// What the ID token is to repeat.
    pub nonce: Option<String>,
    /// Who signed in.
    pub sign_in: SignInRow,
    /// What its refresh tokens have in common.
    pub family: Uuid,
    /// Whether it was redeemed.
    pub is_redeemed: bool,
    /// When it ends.
    pub expires_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct CodeColumns {
    code_mac: Vec<u8>,
    client_id: String,
    redirect_uri: String,
    code_challenge: Option<String>,
    scope: String,
    nonce: Option<String>,
    principal_id: String,
    generation: i64,
    rule_id: Option<String>,
    authenticated_at: i64,
    family: String,
    is_redeemed: bool,
    expires_at: i64,
}

impl TryFrom<CodeColumns> for AuthorizationCodeRow {
    type Error = Error;

    fn try_from(row: CodeColumns) -> Result<Self, Error> {
        Ok(Self {
            code_mac: row.code_mac,
            client_id: row.client_id,
            redirect_uri: row.redirect_uri,
            code_challenge: row.code_challenge,
            scope: row.scope,
            nonce: row.nonce,
            sign_in: SignInRow {
                principal: parse("principal id", &row.principal_id)?,
                generation: row.generation,
                rule: optional("rule id", row.rule_id.as_deref())?,
                authenticated_at: Timestamp(row.authenticated_at),
            },
            family: parse("family", &row.family)?,
            is_redeemed: row.is_redeemed,
            expires_at: Timestamp(row.expires_at),
        })
    }
}

/// Records a new authorization code.
///
/// # Errors
/// When the database fails.
pub async fn insert_authorization_code(c: &mut Connection, row: &AuthorizationCodeRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO authorization_codes
             (code_mac, client_id, redirect_uri, code_challenge, scope, nonce, principal_id, generation, rule_id,
              authenticated_at, family, is_redeemed, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(&row.code_mac)
            .bind(&row.client_id)
            .bind(&row.redirect_uri)
            .bind(&row.code_challenge)
            .bind(&row.scope)
            .bind(&row.nonce)
            .bind(row.sign_in.principal.to_string())
            .bind(row.sign_in.generation)
            .bind(row.sign_in.rule.map(|rule| rule.to_string()))
            .bind(row.sign_in.authenticated_at.0)
            .bind(row.family.to_string())
            .bind(row.is_redeemed)
            .bind(row.expires_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Marks an authorization code as redeemed, and returns it as it was before: of many who redeem it, one finds it not
/// redeemed.
///
/// # Errors
/// When the database fails.
pub async fn redeem_authorization_code(
    c: &mut Connection,
    code_mac: &[u8],
) -> Result<Option<AuthorizationCodeRow>, Error> {
    const UPDATE: &str = "UPDATE authorization_codes SET is_redeemed = TRUE WHERE code_mac = $1 AND is_redeemed = FALSE
         RETURNING code_mac, client_id, redirect_uri, code_challenge, scope, nonce, principal_id, generation, rule_id,
             authenticated_at, family, is_redeemed, expires_at";
    const SELECT: &str = "SELECT code_mac, client_id, redirect_uri, code_challenge, scope, nonce, principal_id,
             generation, rule_id, authenticated_at, family, is_redeemed, expires_at
         FROM authorization_codes WHERE code_mac = $1";
    let redeemed: Option<CodeColumns> =
        on_engine!(&mut *c, c => sqlx::query_as(UPDATE).bind(code_mac).fetch_optional(c).await?);
    if let Some(row) = redeemed {
        let row = AuthorizationCodeRow::try_from(row)?;
        return Ok(Some(AuthorizationCodeRow { is_redeemed: false, ..row }));
    }
    let row: Option<CodeColumns> = on_engine!(c, c => sqlx::query_as(SELECT).bind(code_mac).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// A refresh token as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshTokenRow {
    /// The MAC of the token.
    pub token_mac: Vec<u8>,
    /// What all tokens of one sign-in have in common.
    pub family: Uuid,
    /// The client that it was given to.
    pub client_id: String,
    /// Who signed in.
    pub sign_in: SignInRow,
    /// What was asked for at first.
    pub scope: String,
    /// The one resource that it is good for; `None` for every resource.
    pub resource: Option<String>,
    /// Whether the client proved itself when it got it.
    pub is_proven: bool,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct RefreshColumns {
    token_mac: Vec<u8>,
    family: String,
    client_id: String,
    principal_id: String,
    generation: i64,
    rule_id: Option<String>,
    scope: String,
    resource: Option<String>,
    is_proven: bool,
    authenticated_at: i64,
    issued_at: i64,
    expires_at: i64,
}

impl TryFrom<RefreshColumns> for RefreshTokenRow {
    type Error = Error;

    fn try_from(row: RefreshColumns) -> Result<Self, Error> {
        Ok(Self {
            token_mac: row.token_mac,
            family: parse("family", &row.family)?,
            client_id: row.client_id,
            sign_in: SignInRow {
                principal: parse("principal id", &row.principal_id)?,
                generation: row.generation,
                rule: optional("rule id", row.rule_id.as_deref())?,
                authenticated_at: Timestamp(row.authenticated_at),
            },
            scope: row.scope,
            resource: row.resource,
            is_proven: row.is_proven,
            issued_at: Timestamp(row.issued_at),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

/// Records a refresh token. Of the principal's tokens the newest `most` stay.
///
/// # Errors
/// When the database fails.
pub async fn insert_refresh_token(c: &mut Connection, row: &RefreshTokenRow, most: i64) -> Result<(), Error> {
    const INSERT: &str = "INSERT INTO refresh_tokens
             (token_mac, family, client_id, principal_id, generation, rule_id, scope, authenticated_at, issued_at,
              expires_at, resource, is_proven)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    const TRIM: &str = "DELETE FROM refresh_tokens WHERE principal_id = $1 AND issued_at < (
             SELECT issued_at FROM refresh_tokens WHERE principal_id = $1 ORDER BY issued_at DESC LIMIT 1 OFFSET $2)";
    let principal = row.sign_in.principal.to_string();
    on_engine!(c, c => {
        sqlx::query(INSERT)
            .bind(&row.token_mac)
            .bind(row.family.to_string())
            .bind(&row.client_id)
            .bind(&principal)
            .bind(row.sign_in.generation)
            .bind(row.sign_in.rule.map(|rule| rule.to_string()))
            .bind(&row.scope)
            .bind(row.sign_in.authenticated_at.0)
            .bind(row.issued_at.0)
            .bind(row.expires_at.0)
            .bind(&row.resource)
            .bind(row.is_proven)
            .execute(&mut *c)
            .await?;
        sqlx::query(TRIM).bind(&principal).bind(most - 1).execute(c).await?;
    });
    Ok(())
}

/// Finds a refresh token.
///
/// # Errors
/// When the database fails.
pub async fn find_refresh_token(c: &mut Connection, token_mac: &[u8]) -> Result<Option<RefreshTokenRow>, Error> {
    const SQL: &str = "SELECT token_mac, family, client_id, principal_id, generation, rule_id, scope, authenticated_at,
             issued_at, expires_at, resource, is_proven
         FROM refresh_tokens WHERE token_mac = $1";
    let row: Option<RefreshColumns> = on_engine!(c, c => sqlx::query_as(SQL).bind(token_mac).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// Lets a refresh token live on.
///
/// # Errors
/// When the database fails.
pub async fn prolong_refresh_token(c: &mut Connection, token_mac: &[u8], expires_at: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE refresh_tokens SET expires_at = $2 WHERE token_mac = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(token_mac).bind(expires_at.0).execute(c).await?; });
    Ok(())
}

/// Removes the refresh tokens of one sign-in. Returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn delete_family(c: &mut Connection, family: Uuid) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM refresh_tokens WHERE family = $1";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(family.to_string()).execute(c).await?.rows_affected()))
}

/// Notes that an assertion is used, until it expires. Returns when it was used first for the same, if it was.
///
/// # Errors
/// When the database fails.
pub async fn use_assertion(
    c: &mut Connection,
    use_mac: &[u8],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    const INSERT: &str =
        "INSERT INTO used_assertions (use_mac, used_at, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    const SELECT: &str = "SELECT used_at FROM used_assertions WHERE use_mac = $1";
    let used_before: Option<i64> = on_engine!(c, c => {
        let inserted =
            sqlx::query(INSERT).bind(use_mac).bind(now.0).bind(expires_at.0).execute(&mut *c).await?.rows_affected();
        if inserted > 0 {
            return Ok(None);
        }
        sqlx::query_scalar(SELECT).bind(use_mac).fetch_optional(c).await?
    });
    Ok(used_before.map(Timestamp))
}

/// Removes what has expired. Returns how many rows that were.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(c: &mut Connection, now: Timestamp) -> Result<u64, Error> {
    let mut removed = 0;
    for sql in [
        "DELETE FROM device_codes WHERE expires_at <= $1",
        "DELETE FROM authorization_codes WHERE expires_at <= $1",
        "DELETE FROM refresh_tokens WHERE expires_at <= $1",
        "DELETE FROM used_assertions WHERE expires_at <= $1",
    ] {
        removed += on_engine!(&mut *c, c => sqlx::query(sql).bind(now.0).execute(c).await?.rows_affected());
    }
    Ok(removed)
}

/// Whether anything has expired.
///
/// # Errors
/// When the database fails.
pub async fn has_expired(c: &mut Connection, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM device_codes WHERE expires_at <= $1)
            OR EXISTS (SELECT 1 FROM authorization_codes WHERE expires_at <= $1)
            OR EXISTS (SELECT 1 FROM refresh_tokens WHERE expires_at <= $1)
            OR EXISTS (SELECT 1 FROM used_assertions WHERE expires_at <= $1)";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(now.0).fetch_one(c).await?))
}

fn optional<T: std::str::FromStr>(what: &'static str, text: Option<&str>) -> Result<Option<T>, Error> {
    text.map(|text| parse(what, text)).transpose()
}
