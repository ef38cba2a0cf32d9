//! Tokens of registries: names with up to two generated passwords, whose rights are those of a scope map.
//!
//! ```text
//! name, password ─► the token's row with scope map and passwords ─► MAC compared ─► status, expiry ─► the token
//!                   (one query, kept while who may do what stays the same)
//! token's row id ─► the same ─► what was issued for it counts while its password has the generation it had
//! ```
//!
//! Of a password there is only a MAC under the sealing key, so it is shown once, when it is made. Whatever changes a token,
//! its passwords or its scope map goes through [`Database::write_access`](wharf_metadata::Database::write_access), so that
//! the next request reads it anew: a new password, a disabled token or a smaller scope map counts at once, for access tokens
//! that are on their way too.
//!
//! Source: `acr/data-plane.md` 3.4, 3.6; `acr/control-plane.md` 8.

use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use wharf_access::{Rights, ScopeMapAction, find_system_scope_map};
use wharf_metadata::{Connection, RegistryRow, TokenPasswordRow, TokenRow, tokens};
use wharf_model::{Client, RegistryId, RegistryUid, Timestamp};

use crate::identity::{Identity, Parts};
use crate::passwords::{LONGEST_PASSWORD, generate_password};
use crate::{AuthError, Error};

/// A token as it stands under the present version of who may do what.
#[derive(Clone, Debug)]
pub(crate) struct RegistryToken {
    /// Its row; never given twice.
    pub(crate) id: i64,
    /// Its name, as it was written when it was made.
    pub(crate) name: Arc<str>,
    /// What its scope map lets it do.
    pub(crate) rights: Arc<Rights>,
    /// Its passwords, those that have expired among them.
    pub(crate) passwords: Vec<LivePassword>,
}

/// A password of a token, as far as those are concerned who hold what was issued against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LivePassword {
    /// A number that no other password of the token has or had.
    pub(crate) generation: i64,
    /// When it ends, if ever.
    pub(crate) expires: Option<Timestamp>,
}

impl LivePassword {
    /// Whether it lets its holder in at this moment.
    pub(crate) fn counts(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl RegistryToken {
    /// The password of this generation, if the token still has it and it has not expired.
    pub(crate) fn password(&self, generation: i64, now: Timestamp) -> Option<&LivePassword> {
        self.passwords.iter().find(|password| password.generation == generation && password.counts(now))
    }
}

/// Which of a token's two passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenPasswordName {
    /// `password1`.
    Password1,
    /// `password2`.
    Password2,
}

impl TokenPasswordName {
    /// Both, in their order.
    pub const EVERY: [Self; 2] = [Self::Password1, Self::Password2];

    /// The word that the management API uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password1 => "password1",
            Self::Password2 => "password2",
        }
    }

    /// The password with this name, in any casing.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|name| name.as_str().eq_ignore_ascii_case(word))
    }

    /// Its place in the table of passwords.
    #[must_use]
    pub fn slot(self) -> i16 {
        match self {
            Self::Password1 => 1,
            Self::Password2 => 2,
        }
    }

    /// The password in this place.
    #[must_use]
    pub fn of_slot(slot: i16) -> Option<Self> {
        Self::EVERY.into_iter().find(|name| name.slot() == slot)
    }
}

/// A password that has just been made: the only time that its value is known.
#[derive(Debug)]
pub struct NewTokenPassword {
    /// Which of the two it is.
    pub name: TokenPasswordName,
    /// What is shown to whoever made it.
    pub value: SecretString,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// The token that signs in with this name and password, and the generation of the password.
    ///
    /// The right password is let in whatever others have tried: nobody guesses it, so there is nothing to slow down.
    ///
    /// # Errors
    /// [`AuthError::BadCredentials`] when there is no such token, when it is disabled, and when the password is wrong or has
    /// expired: deliberately not told apart, and found out by the same work. [`AuthError::Throttled`] instead of it for
    /// those who fail too often.
    pub(crate) async fn check_registry_token(
        &self,
        registry: &RegistryRow,
        name: &str,
        password: &str,
        client: Option<Client>,
    ) -> Result<(Arc<RegistryToken>, i64), AuthError> {
        if is_token_name(name) && password.len() <= LONGEST_PASSWORD {
            let standing = self.standing(registry, Named::Name(name)).await?;
            if let Some((token, generation)) = standing.check(self.parts(), registry.uid, password) {
                return Ok((token.clone(), generation));
            }
        }
        let account = format!("registry/{}/token/{}", registry.uid, name.to_ascii_lowercase());
        self.throttle().check(&account, client)?;
        self.throttle().failed(&account, client);
        Err(AuthError::BadCredentials)
    }

    /// The token with this row as it stands now: `None` when it was deleted, is disabled or is of another registry.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn find_registry_token(
        &self,
        registry: &RegistryRow,
        id: i64,
    ) -> Result<Option<Arc<RegistryToken>>, Error> {
        Ok(self.standing(registry, Named::Row(id)).await?.token.clone())
    }

    /// Makes passwords for a token of this registry in the places of those that it may have, and returns them to be shown.
    /// To be called in a transaction of [`Database::write_access`](wharf_metadata::Database::write_access).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn generate_token_passwords(
        &self,
        c: &mut Connection,
        registry: RegistryUid,
        token: i64,
        names: &[TokenPasswordName],
        expires_at: Option<Timestamp>,
    ) -> Result<Vec<NewTokenPassword>, Error> {
        let parts = self.parts();
        let created_at = parts.clock.now();
        let mut made = Vec::with_capacity(names.len());
        for &name in names {
            let value = generate_password(parts.random.as_ref());
            let mac = parts.sealing.mac(&context(registry, token), value.expose_secret().as_bytes());
            tokens::put_password(c, token, name.slot(), &mac, created_at, expires_at).await?;
            made.push(NewTokenPassword { name, value, created_at, expires_at });
        }
        Ok(made)
    }

    /// What is known of a token, read anew if who may do what has changed since it was read.
    async fn standing(&self, registry: &RegistryRow, named: Named<'_>) -> Result<Arc<Standing>, Error> {
        let parts = self.parts();
        let key = (registry.id, named.key());
        // Before the row is read: whatever is changed after this has a later version, and the row is read again.
        let version = parts.database.access_version().await?;
        if let Some(standing) = parts.registry_tokens.0.get(&key)
            && standing.version == version
        {
            return Ok(standing);
        }
        let (id, sought) = (registry.id, key.1.clone());
        let row = parts
            .database
            .read(|c| {
                Box::pin(async move {
                    match sought {
                        Key::Name(name) => tokens::find_by_name(c, id, &name).await,
                        Key::Row(row) => tokens::find(c, id, row).await,
                    }
                })
            })
            .await?;
        let standing = Arc::new(Standing::new(version, row));
        parts.registry_tokens.0.insert(key, standing.clone());
        Ok(standing)
    }
}

/// What was read of the tokens that were used last, and of names that were tried and are none.
pub(crate) struct RegistryTokens(Cache<(RegistryId, Key), Arc<Standing>>);

impl RegistryTokens {
    pub(crate) fn new() -> Self {
        // A token of many actions weighs more, so that what is kept is bounded in bytes too.
        let weigher = |_: &(RegistryId, Key), standing: &Arc<Standing>| standing.weight;
        Self(Cache::builder().max_capacity(MOST_TOKENS).weigher(weigher).build())
    }
}

impl fmt::Debug for RegistryTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryTokens").field("known", &self.0.entry_count()).finish()
    }
}

/// How a token is asked for.
#[derive(Clone, Copy)]
enum Named<'a> {
    Name(&'a str),
    Row(i64),
}

impl Named<'_> {
    fn key(self) -> Key {
        match self {
            Self::Name(name) => Key::Name(name.to_ascii_lowercase().into()),
            Self::Row(id) => Key::Row(id),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Name(Arc<str>),
    Row(i64),
}

/// A token, or that there is none, as read under one version of who may do what.
struct Standing {
    version: i64,
    /// `None` when there is none or it is disabled.
    token: Option<Arc<RegistryToken>>,
    /// Its row; 0 when there is none, so that a MAC is worked out all the same.
    row: i64,
    /// The MACs of its passwords, beside those of `token`.
    macs: Vec<Vec<u8>>,
    weight: u32,
}

impl Standing {
    fn new(version: i64, row: Option<TokenRow>) -> Self {
        let Some(row) = row else { return Self { version, token: None, row: 0, macs: Vec::new(), weight: 1 } };
        let macs = row.passwords.iter().map(|password| password.mac.clone()).collect();
        let weight = 1 + u32::try_from(row.actions.as_ref().map_or(0, Vec::len)).unwrap_or(u32::MAX) / 8;
        let id = row.id;
        let token = row.is_enabled.then(|| Arc::new(RegistryToken::from(row)));
        Self { version, token, row: id, macs, weight }
    }

    /// The token, and the generation of the password, if `password` is one of the two and has not expired.
    fn check(&self, parts: &Parts, registry: RegistryUid, password: &str) -> Option<(&Arc<RegistryToken>, i64)> {
        let given = parts.sealing.mac(&context(registry, self.row), password.as_bytes());
        // All are compared, whichever it is.
        let mut right = None;
        for (position, mac) in self.macs.iter().enumerate() {
            if given.as_slice().ct_eq(mac).into() {
                right = Some(position);
            }
        }
        let token = self.token.as_ref()?;
        let password = token.passwords.get(right?)?;
        password.counts(parts.clock.now()).then_some((token, password.generation))
    }
}

impl From<TokenRow> for RegistryToken {
    fn from(row: TokenRow) -> Self {
        let rights = match (row.actions, find_system_scope_map(&row.scope_map)) {
            (Some(actions), _) => rights(actions.iter().map(String::as_str)),
            (None, Some(map)) => rights(map.actions.iter().copied()),
            (None, None) => rights([]),
        };
        let password = |row: &TokenPasswordRow| LivePassword { generation: row.generation, expires: row.expires_at };
        let passwords = row.passwords.iter().map(password).collect();
        Self { id: row.id, name: row.name.into(), rights: Arc::new(rights), passwords }
    }
}

/// What a list of actions allows. One that this version does not understand allows nothing.
fn rights<'a>(actions: impl IntoIterator<Item = &'a str>) -> Rights {
    let actions: Vec<ScopeMapAction> = actions.into_iter().filter_map(|action| action.parse().ok()).collect();
    Rights::of_scope_map(&actions)
}

/// Whether a token can have this name. Others are not looked up.
///
/// A name that reads like an application's id or like the user of tokens would be in their way.
#[must_use]
pub fn is_token_name(name: &str) -> bool {
    (5..=50).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && name.parse::<uuid::Uuid>().is_err()
}

/// What a MAC is bound to: one that is moved to another token does not match there.
fn context(registry: RegistryUid, token: i64) -> String {
    format!("registry/{registry}/token/{token}/password")
}

/// How many tokens are kept, counted as if each had a few actions.
const MOST_TOKENS: u64 = 20_000;
