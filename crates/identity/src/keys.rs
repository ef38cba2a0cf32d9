//! The signing keys of the installation: which one signs, which ones verify, and how they are renewed.
//!
//! ```text
//!   made      signs                                         verifies only
//!   ├─ settles ─┼──────────────────────────────────┬──────────┼─────────────┤ deleted
//!   created_at  + 1 min              signs_until - 1 day   signs_until    verifies_until
//!                                    (its successor is made)               = signs_until + longest token + 1 h
//! ```
//!
//! Every node may make the next key; the newest settled one signs. A token by a key that this node has not seen makes it
//! read the keys again, once a second at most, so that made-up key ids cost the database nothing. That second is why a
//! key settles first: when it begins to sign, every node that meets made-up ids has long read it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::{error, info};
use wharf_metadata::{Database, SigningKeyRow, signing_keys};
use wharf_model::{Clock, Timestamp};

use crate::oidc::PublishedKey;
use crate::signing_key::SigningKey;
use crate::{Error, SealingKey, token};

#[derive(Debug)]
pub(crate) struct Keys {
    database: Database,
    sealing: Arc<SealingKey>,
    clock: Arc<dyn Clock>,
    /// Newest first. A handful.
    ring: RwLock<Arc<[Arc<SigningKey>]>>,
    /// Held by whoever reads or renews the keys; when they were last read for the sake of a token.
    reading: Mutex<Option<Timestamp>>,
}

impl Keys {
    pub(crate) fn new(database: Database, sealing: Arc<SealingKey>, clock: Arc<dyn Clock>) -> Self {
        Self { database, sealing, clock, ring: RwLock::new(Arc::new([])), reading: Mutex::new(None) }
    }

    /// The key that signs now; makes one if there is none.
    pub(crate) async fn signing(&self) -> Result<Arc<SigningKey>, Error> {
        if let Some(key) = self.newest_that_signs() {
            return Ok(key);
        }
        self.rotate().await?;
        self.newest_that_signs().ok_or_else(|| Error::SigningKey { kid: "that is new".to_owned(), verb: "used" })
    }

    /// The public halves of all keys that verify, of those too that do not sign yet.
    pub(crate) fn published(&self) -> Vec<PublishedKey> {
        let now = self.clock.now();
        self.ring().iter().filter(|key| now < key.verifies_until).map(|key| PublishedKey::of(key)).collect()
    }

    /// The key with this id, while it verifies, from memory.
    pub(crate) fn find_known(&self, id: &str) -> Option<Arc<SigningKey>> {
        let now = self.clock.now();
        self.ring().iter().find(|key| key.id == id && now < key.verifies_until).cloned()
    }

    /// The key with this id, while it verifies; if it is not known, the keys may be read again.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Arc<SigningKey>>, Error> {
        if let Some(key) = self.find_known(id) {
            return Ok(Some(key));
        }
        let mut last_read = self.reading.lock().await;
        if let Some(key) = self.find_known(id) {
            return Ok(Some(key));
        }
        let now = self.clock.now();
        // A clock that was set back must not keep us from reading until it has caught up.
        if last_read.is_some_and(|last| last <= now && now < last + READ_PAUSE) {
            return Ok(None);
        }
        *last_read = Some(now);
        self.read().await?;
        Ok(self.find_known(id))
    }

    /// Reads the keys, removes those of which no token is valid any more, and makes the next one when it is due.
    pub(crate) async fn rotate(&self) -> Result<(), Error> {
        let _reading = self.reading.lock().await;
        let rows = self.read().await?;
        let now = self.clock.now();
        if rows.iter().any(|row| row.verifies_until < now) {
            self.database.write(move |c| Box::pin(async move { signing_keys::delete_expired(c, now).await })).await?;
        }
        if !is_key_due(&rows, now) {
            return Ok(());
        }

        let signs_until = now + SIGNS_FOR;
        let times = [now, signs_until, signs_until + VERIFIES_AFTER];
        let sealing = self.sealing.clone();
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(&sealing, times));
        let (key, row) =
            made.await.map_err(|_| Error::SigningKey { kid: "that is new".to_owned(), verb: "made" })??;
        let inserted = self
            .database
            .write(move |c| {
                Box::pin(async move {
                    // Another node may have been faster, while this one was drawing primes.
                    if !is_key_due(&signing_keys::list(c).await?, now) {
                        return Ok::<bool, Error>(false);
                    }
                    signing_keys::insert(c, &row).await?;
                    Ok(true)
                })
            })
            .await?;
        if inserted {
            info!(key_id = %key.id, "Made the signing key {}", key.id);
        }
        self.read().await.map(drop)
    }

    /// Brings the ring in line with the database and returns what that holds.
    async fn read(&self) -> Result<Vec<SigningKeyRow>, Error> {
        let rows = self.database.read(|c| Box::pin(async move { signing_keys::list(c).await })).await?;
        let known = self.ring();
        let open = |row: &SigningKeyRow| match known.iter().find(|key| key.id == row.kid) {
            Some(key) => Some(key.clone()),
            None => match SigningKey::open(&self.sealing, row) {
                Ok(key) => Some(Arc::new(key)),
                Err(error) => {
                    error!(key_id = %row.kid, error = &error as &dyn std::error::Error, "Skipped the signing key {}", row.kid);
                    None
                }
            },
        };
        let mut ring: Vec<Arc<SigningKey>> = rows.iter().filter_map(open).collect();
        ring.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring.into();
        Ok(rows)
    }

    fn newest_that_signs(&self) -> Option<Arc<SigningKey>> {
        let now = self.clock.now();
        let ring = self.ring();
        let mut signing = ring.iter().filter(|key| now < key.signs_until);
        let newest = signing.clone().next();
        signing.find(|key| key.created_at + SETTLES_AFTER <= now).or(newest).cloned()
    }

    fn ring(&self) -> Arc<[Arc<SigningKey>]> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether the next key should be made: no key signs for long enough from now on.
fn is_key_due(rows: &[SigningKeyRow], now: Timestamp) -> bool {
    rows.iter().all(|row| row.signs_until < now + RENEWS_BEFORE)
}

/// How long a key signs.
const SIGNS_FOR: Duration = Duration::from_hours(30 * 24);
/// How long before it stops signing its successor is made.
const RENEWS_BEFORE: Duration = Duration::from_hours(24);
/// How long a new key waits before it signs in its predecessor's place.
const SETTLES_AFTER: Duration = Duration::from_mins(1);
/// How long a key verifies after it stopped signing: as long as its last token lives, and an hour for clocks that differ.
const VERIFIES_AFTER: Duration = Duration::from_secs(token::LONGEST_LIFETIME_SECONDS.unsigned_abs() + 3_600);
/// The shortest pause between two readings for the sake of unknown key ids.
const READ_PAUSE: Duration = Duration::from_secs(1);
