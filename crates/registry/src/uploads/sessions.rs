//! The sessions that this process has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use moka::sync::Cache;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;
use wharf_blobs::{BlobWriter, StorageKey};
use wharf_metadata::uploads::{self, UploadRow};
use wharf_metadata::{collection, repositories};
use wharf_model::{Algorithm, RepositoryId, Timestamp, UploadId};

use super::{UploadError, UploadState};
use crate::blobs::parse_key;
use crate::{Artifacts, Error, Target};

/// All sessions that were touched since the start and are not over.
pub(crate) struct Sessions {
    pub(super) key: hmac::Key,
    open: Mutex<HashMap<UploadId, Slot>>,
    /// The objects that they write to.
    objects: Mutex<HashMap<UploadId, StorageKey>>,
    /// Sessions that are over, so that their old URLs do not begin them anew.
    ended: Cache<UploadId, ()>,
}

type Slot = Arc<tokio::sync::Mutex<Held>>;

/// What is known of a session.
#[derive(Default)]
enum Held {
    /// Nothing yet: it has to be looked up.
    #[default]
    Unknown,
    /// In its row alone.
    Parked,
    /// Its writer is open.
    Open(Session),
}

/// A session whose writer is open.
pub(super) struct Session {
    pub(super) writer: Box<dyn BlobWriter>,
    pub(super) storage_key: StorageKey,
    pub(super) algorithm: Algorithm,
    pub(super) started_at: Timestamp,
    /// The repository's row, once the session has a row of its own.
    pub(super) repository: Option<RepositoryId>,
    pub(super) touched_at: Timestamp,
    /// Whether a transaction was begun that makes the object a blob's: then it may be one, however that ended.
    pub(super) may_be_a_blob: bool,
}

/// A session that this request alone may work on.
pub(super) struct Exclusive {
    pub(super) id: UploadId,
    guard: OwnedMutexGuard<Held>,
}

impl Exclusive {
    /// The session as its client is to know it now.
    pub(super) fn state(&mut self) -> UploadState {
        let id = self.id;
        let session = self.session();
        UploadState {
            id,
            offset: session.writer.length(),
            algorithm: session.algorithm,
            started_at: session.started_at,
        }
    }

    pub(super) fn session(&mut self) -> &mut Session {
        match &mut *self.guard {
            Held::Open(session) => session,
            Held::Unknown | Held::Parked => unreachable!("`acquire` opens the session before it hands it out"),
        }
    }
}

impl Sessions {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            open: Mutex::new(HashMap::new()),
            objects: Mutex::new(HashMap::new()),
            ended: Cache::builder().max_capacity(100_000).time_to_live(Duration::from_secs(24 * 60 * 60)).build(),
        }
    }

    pub(super) fn has_ended(&self, id: UploadId) -> bool {
        self.ended.contains_key(&id)
    }

    pub(super) fn is_open(&self, id: UploadId) -> bool {
        self.lock().contains_key(&id)
    }

    /// How many sessions are open or parked in this process.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn slot(&self, id: UploadId) -> Slot {
        self.lock().entry(id).or_default().clone()
    }

    /// Drops what is known of a session, as if it had never been heard of.
    fn forget(&self, id: UploadId) {
        self.lock().remove(&id);
        self.objects().remove(&id);
    }

    /// Notes that a session is over.
    pub(super) fn end(&self, id: UploadId) {
        self.ended.insert(id, ());
        self.forget(id);
    }

    /// Whether a request is at work on the session.
    pub(crate) fn is_busy(&self, id: UploadId) -> bool {
        self.lock().get(&id).is_some_and(|slot| slot.try_lock().is_err())
    }

    /// Whether a session of this process writes to the object.
    pub(crate) fn holds(&self, key: &StorageKey) -> bool {
        self.objects().values().any(|held| held == key)
    }

    fn objects(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, StorageKey>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, Slot>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the files of sessions that were not touched since `before`; their rows and bytes stay. Sessions without a
    /// row, of which nothing was acknowledged, are forgotten.
    pub(crate) fn park_idle(&self, before: Timestamp) {
        let mut forgotten = Vec::new();
        self.lock().retain(|id, slot| {
            let Ok(mut held) = slot.try_lock() else { return true };
            match &*held {
                Held::Open(session) if session.touched_at >= before => true,
                Held::Open(session) if session.repository.is_some() => {
                    *held = Held::Parked;
                    true
                }
                Held::Parked => true,
                Held::Open(_) | Held::Unknown => {
                    forgotten.push(*id);
                    false
                }
            }
        });
        let mut objects = self.objects();
        for id in forgotten {
            objects.remove(&id);
        }
    }
}

impl Artifacts {
    /// Gets a session for this request alone, opening its file if needed.
    pub(super) async fn acquire(&self, target: Target<'_>, state: &UploadState) -> Result<Exclusive, UploadError> {
        let unknown = || UploadError::Unknown { repository: target.repository.clone(), id: state.id };
        let sessions = &self.inner.sessions;
        if sessions.has_ended(state.id) || self.has_expired(state) {
            return Err(unknown());
        }
        let slot = sessions.slot(state.id);
        let Ok(mut guard) = slot.try_lock_owned() else { return Err(UploadError::Busy { id: state.id }) };
        // It may have ended between the two looks.
        if sessions.has_ended(state.id) {
            sessions.forget(state.id);
            return Err(unknown());
        }
        let opened = match &*guard {
            Held::Open(_) => None,
            Held::Parked => Some(self.open_session(target, state, true).await),
            Held::Unknown => Some(self.open_session(target, state, self.may_have_row(state)).await),
        };
        match opened {
            None => {}
            Some(Ok(Some(session))) => *guard = Held::Open(session),
            Some(Ok(None)) => {
                sessions.forget(state.id);
                return Err(unknown());
            }
            Some(Err(error)) => {
                if matches!(*guard, Held::Unknown) {
                    sessions.forget(state.id);
                }
                return Err(error.into());
            }
        }
        let mut exclusive = Exclusive { id: state.id, guard };
        exclusive.session().touched_at = self.now();
        Ok(exclusive)
    }

    pub(super) fn has_expired(&self, state: &UploadState) -> bool {
        // A session that got bytes lives on in its row, which has an expiry of its own.
        state.offset == 0 && self.now().since(state.started_at) > self.inner.settings.upload_ttl
    }

    /// Whether a session that this process has not heard of may have a row: not if it began here and is at its start,
    /// since it would have been heard of. This spares most uploads a query.
    pub(super) fn may_have_row(&self, state: &UploadState) -> bool {
        state.offset > 0 || state.started_at < self.inner.started_at || self.inner.database.is_shared()
    }

    async fn open_session(
        &self,
        target: Target<'_>,
        state: &UploadState,
        may_have_row: bool,
    ) -> Result<Option<Session>, Error> {
        if may_have_row && let Some(row) = self.find_session_row(target, state.id).await? {
            let storage_key = parse_key(&row.storage_key)?;
            self.inner.sessions.objects().insert(state.id, storage_key.clone());
            let writer = self.inner.blobs.resume(&storage_key, row.offset_bytes, row.algorithm).await?;
            return Ok(Some(Session {
                writer,
                storage_key,
                algorithm: row.algorithm,
                started_at: row.started_at,
                repository: Some(row.repository),
                touched_at: self.now(),
                may_be_a_blob: false,
            }));
        }
        if state.offset > 0 {
            return Ok(None);
        }
        // Not the session's id: a key is never used again, and an old URL could begin the same session twice.
        let storage_key = StorageKey::new(Uuid::now_v7());
        self.inner.sessions.objects().insert(state.id, storage_key.clone());
        let writer = self.inner.blobs.create(&storage_key, state.algorithm).await?;
        Ok(Some(Session {
            writer,
            storage_key,
            algorithm: state.algorithm,
            started_at: state.started_at,
            repository: None,
            touched_at: self.now(),
            may_be_a_blob: false,
        }))
    }

    pub(super) async fn find_session_row(&self, target: Target<'_>, id: UploadId) -> Result<Option<UploadRow>, Error> {
        let (registry, repository) = (target.registry.id, target.repository.clone());
        let row = self
            .inner
            .database
            .read(move |c| {
                Box::pin(async move {
                    match repositories::find(c, registry, &repository).await? {
                        Some(repository) => uploads::find(c, repository, id).await,
                        None => Ok(None),
                    }
                })
            })
            .await;
        let row = row.map_err(Error::Metadata)?;
        // One past its expiry is the collector's, which may be at it right now.
        Ok(row.filter(|row| row.expires_at >= self.now()))
    }

    /// Takes a session back to what was acknowledged of it: after a failure its writer is of no use. Where nothing was
    /// acknowledged, it is over and its bytes go.
    pub(super) async fn fall_back(&self, mut exclusive: Exclusive) -> Result<(), Error> {
        if exclusive.session().repository.is_none() {
            return self.discard(exclusive).await;
        }
        *exclusive.guard = Held::Parked;
        Ok(())
    }

    /// Lets go of a session that was only looked at, so that looking leaves no trace.
    pub(super) fn release(&self, mut exclusive: Exclusive) {
        let session = exclusive.session();
        if session.repository.is_none() && session.writer.length() == 0 {
            self.inner.sessions.forget(exclusive.id);
        }
    }

    /// Ends a session and removes its bytes, unless they have become a blob's. Should its row not go, the session stands
    /// where the row says.
    pub(super) async fn discard(&self, mut exclusive: Exclusive) -> Result<(), Error> {
        let id = exclusive.id;
        let session = exclusive.session();
        let storage_key = session.storage_key.clone();
        let mut is_nobodys = true;
        if session.repository.is_some() || session.may_be_a_blob {
            let (key, now) = (storage_key.to_string(), self.now());
            // The object is doomed in the same transaction: should the removal below not happen, the collector does it.
            let forgotten: Result<bool, wharf_metadata::Error> = self
                .inner
                .database
                .write(move |c| {
                    Box::pin(async move {
                        uploads::delete(c, id).await?;
                        collection::doom_unknown_object(c, &key, 0, now).await
                    })
                })
                .await;
            match forgotten {
                Ok(doomed) => is_nobodys = doomed,
                Err(error) => {
                    // The row stands, and the bytes that it counts: the session can go on from there.
                    *exclusive.guard = Held::Parked;
                    return Err(error.into());
                }
            }
        }
        self.inner.sessions.end(id);
        drop(exclusive);
        if is_nobodys {
            self.inner.blobs.delete(&storage_key).await?;
        }
        Ok(())
    }

    /// Forgets a session that is over for another reason than a request.
    pub(crate) fn end_upload(&self, id: UploadId) {
        self.inner.sessions.end(id);
    }

    /// How many upload sessions this process knows.
    #[must_use]
    pub fn open_uploads(&self) -> usize {
        self.inner.sessions.count()
    }

    /// Closes the files of upload sessions that nobody touched for a while. They go on when their client does.
    pub fn park_idle_uploads(&self) {
        self.inner.sessions.park_idle(self.now() - IDLE);
    }
}

/// How long a session's file stays open with nobody writing.
const IDLE: Duration = Duration::from_secs(5 * 60);
