//! Beginning, continuing, looking at and cancelling an upload.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, pin_mut};
use uuid::Uuid;
use wharf_metadata::uploads::{self, UploadRow};
use wharf_metadata::{collection, repositories};
use wharf_model::{Algorithm, UploadId};

use super::sessions::{Exclusive, Session};
use super::{BodyError, UploadError, UploadState};
use crate::locks::Locked;
use crate::{Artifacts, Target};

impl Artifacts {
    /// Begins an upload. Nothing is kept of it until bytes arrive.
    #[must_use]
    pub fn start_upload(&self, algorithm: Algorithm) -> UploadState {
        UploadState { id: UploadId(Uuid::now_v7()), offset: 0, algorithm, started_at: self.now() }
    }

    /// The state as text for the `_state` of the session's next URL.
    #[must_use]
    pub fn encode_upload_state(&self, target: Target<'_>, state: &UploadState) -> String {
        state.encode(&self.inner.sessions.key, target)
    }

    /// Reads the `_state` of a session's URL.
    ///
    /// # Errors
    /// [`UploadError::Unknown`] for anything that was not given out for this session of this repository.
    pub fn decode_upload_state(
        &self,
        target: Target<'_>,
        id: UploadId,
        text: &str,
    ) -> Result<UploadState, UploadError> {
        UploadState::decode(&self.inner.sessions.key, target, id, text)
            .ok_or_else(|| UploadError::Unknown { repository: target.repository.clone(), id })
    }

    /// Appends the body to a session. `position` is the start of its `Content-Range`; without one, the body continues
    /// where the state says the client believes the session ends. The bytes are durable when this returns.
    ///
    /// # Errors
    /// [`UploadError`]; after [`UploadError::Body`] and [`UploadError::WrongLength`], what arrived is kept; after
    /// [`UploadError::Store`], what was acknowledged before.
    ///
    /// Source: distribution-spec v1.1, "Pushing a blob in chunks".
    pub async fn append(
        &self,
        target: Target<'_>,
        state: &UploadState,
        position: Option<u64>,
        body: impl Stream<Item = Result<Bytes, BodyError>> + Send,
        expected_length: Option<u64>,
    ) -> Result<UploadState, UploadError> {
        let mut exclusive = self.acquire(target, state).await?;
        if let Err(error) = check_position(exclusive.session(), position.unwrap_or(state.offset)) {
            self.release(exclusive);
            return Err(error);
        }
        let received = self.receive(exclusive.session(), body, expected_length).await;
        let appended = match received {
            Err(UploadError::TooLarge { .. } | UploadError::Store(_)) => received,
            // Also of a body that broke off, what arrived is kept.
            _ => self.keep(target, &mut exclusive).await.and(received),
        };
        match appended {
            Ok(()) => Ok(exclusive.state()),
            Err(error @ (UploadError::Body(_) | UploadError::WrongLength { .. })) => Err(error),
            Err(error @ UploadError::Store(_)) => {
                self.fall_back(exclusive).await?;
                Err(error)
            }
            Err(error) => {
                self.discard(exclusive).await?;
                Err(error)
            }
        }
    }

    /// How far a session has come.
    ///
    /// # Errors
    /// [`UploadError::Unknown`], [`UploadError::Busy`], or that the stores fail.
    pub async fn upload_status(&self, target: Target<'_>, state: &UploadState) -> Result<UploadState, UploadError> {
        if self.is_untouched(state) {
            return Ok(*state);
        }
        let mut exclusive = self.acquire(target, state).await?;
        let state = exclusive.state();
        self.release(exclusive);
        Ok(state)
    }

    /// Whether this process began the session and nothing was ever sent to it.
    fn is_untouched(&self, state: &UploadState) -> bool {
        let sessions = &self.inner.sessions;
        !self.may_have_row(state)
            && !sessions.is_open(state.id)
            && !sessions.has_ended(state.id)
            && !self.has_expired(state)
    }

    /// Gives a session up and removes its bytes.
    ///
    /// # Errors
    /// [`UploadError::Unknown`], [`UploadError::Busy`], or that the stores fail.
    pub async fn cancel_upload(&self, target: Target<'_>, state: &UploadState) -> Result<(), UploadError> {
        let exclusive = self.acquire(target, state).await?;
        Ok(self.discard(exclusive).await?)
    }

    /// Writes a body to a session's file.
    pub(super) async fn receive(
        &self,
        session: &mut Session,
        body: impl Stream<Item = Result<Bytes, BodyError>> + Send,
        expected_length: Option<u64>,
    ) -> Result<(), UploadError> {
        let limit_bytes = self.inner.settings.blob_limit_bytes;
        let begin = session.writer.length();
        if begin.saturating_add(expected_length.unwrap_or(0)) > limit_bytes {
            return Err(UploadError::TooLarge { limit_bytes });
        }
        pin_mut!(body);
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            if session.writer.length() + bytes.len() as u64 > limit_bytes {
                return Err(UploadError::TooLarge { limit_bytes });
            }
            session.writer.write(bytes).await?;
        }
        let received = session.writer.length() - begin;
        match expected_length {
            Some(expected) if expected != received => Err(UploadError::WrongLength { expected, received }),
            _ => Ok(()),
        }
    }

    /// Makes what a session has got survive: its bytes first, then the row that says how many.
    async fn keep(&self, target: Target<'_>, exclusive: &mut Exclusive) -> Result<(), UploadError> {
        let (id, now) = (exclusive.id, self.now());
        let session = exclusive.session();
        session.writer.sync().await?;
        let (registry, repository) = (target.registry.id, target.repository.clone());
        let known = session.repository;
        let mut row = UploadRow {
            id,
            repository: known.unwrap_or(wharf_model::RepositoryId(0)),
            storage_key: session.storage_key.to_string(),
            algorithm: session.algorithm,
            offset_bytes: session.writer.length(),
            started_at: session.started_at,
            expires_at: now + self.inner.settings.upload_ttl,
        };
        let repository = self
            .inner
            .database
            .write(move |c| {
                Box::pin(async move {
                    let is_ours = if known.is_some() {
                        uploads::advance(c, id, row.offset_bytes, row.expires_at).await?
                    } else {
                        let found = repositories::find_or_insert(c, registry, &repository, now).await?;
                        if !found.write_enabled {
                            return Err(Locked::Repository(repository).into());
                        }
                        row.repository = found.id;
                        let is_ours = collection::claim_object(c, &row.storage_key).await?;
                        if is_ours {
                            uploads::insert(c, &row).await?;
                        }
                        is_ours
                    };
                    if is_ours { Ok(row.repository) } else { Err(UploadError::Unknown { repository, id }) }
                })
            })
            .await?;
        session.repository = Some(repository);
        session.touched_at = now;
        Ok(())
    }
}

/// Bytes may only be added at the end: a chunk that was sent twice must not be stored twice.
pub(super) fn check_position(session: &Session, position: u64) -> Result<(), UploadError> {
    let offset = session.writer.length();
    if position == offset { Ok(()) } else { Err(UploadError::OutOfOrder { offset, position }) }
}
