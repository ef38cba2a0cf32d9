//! Completing an upload: from bytes to a blob.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, pin_mut};
use wharf_metadata::blobs::{self, Place};
use wharf_metadata::{collection, repositories, uploads};
use wharf_model::{Digest, UploadId};

use super::append::check_position;
use super::{BodyError, UploadError, UploadState};
use crate::blobs::parse_key;
use crate::{Artifacts, Error, Target};

impl Artifacts {
    /// Takes the last bytes of a session, checks the digest of the whole, and links the blob to the repository.
    /// Durable when this returns.
    ///
    /// # Errors
    /// [`UploadError`]; after a digest mismatch the session is over and its bytes are gone.
    ///
    /// Source: distribution-spec v1.1, "Pushing blobs".
    pub async fn complete_upload(
        &self,
        target: Target<'_>,
        state: &UploadState,
        position: Option<u64>,
        body: impl Stream<Item = Result<Bytes, BodyError>> + Send,
        expected_length: Option<u64>,
        digest: &Digest,
    ) -> Result<(), UploadError> {
        if let Some(length) = expected_length
            && self.fits_inline(state, length)
        {
            let bytes = collect(body, length).await?;
            return self.complete_inline(target, state.id, bytes, digest).await;
        }
        let mut exclusive = self.acquire(target, state).await?;
        let session = exclusive.session();
        if expected_length != Some(0) {
            check_position(session, position.unwrap_or(state.offset))?;
            let received = self.receive(session, body, expected_length).await;
            if let Err(error) = received {
                // Unlike a chunk's, these bytes were to be the whole: nobody resumes them, so nothing is kept of them.
                self.discard(exclusive).await?;
                return Err(error);
            }
        }
        let session = exclusive.session();
        // Synced before it is known to be right: one visit to the disk's thread then does all, and wrong digests are rare.
        let checked = match session.writer.sync().await {
            Ok(()) => match session.writer.digest(digest.algorithm()).await {
                Ok(actual) if actual == *digest => Ok(()),
                Ok(actual) => Err(UploadError::DigestMismatch { expected: digest.clone(), actual }),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        };
        if let Err(error) = checked {
            self.discard(exclusive).await?;
            return Err(error);
        }
        let session = exclusive.session();
        let (length, storage_key) = (session.writer.length(), session.storage_key.clone());
        let has_row = session.repository.is_some();
        let upload = Upload { id: exclusive.id, has_row };
        let place = Place::Object(storage_key.to_string());
        let added = match self.link(target, digest, length, place.clone(), upload).await {
            Ok(added) => added,
            Err(error) => {
                // Where it is not certain that nothing was committed, the bytes must stay; the collector will know.
                let is_certain = match &error {
                    UploadError::Store(error) => error.is_full(),
                    _ => true,
                };
                if is_certain {
                    self.discard(exclusive).await?;
                }
                return Err(error);
            }
        };
        self.inner.sessions.end(exclusive.id);
        drop(exclusive);
        if !added && !self.repair(target, digest, length, place).await? {
            self.inner.blobs.delete(&storage_key).await?;
        }
        Ok(())
    }

    /// Whether the whole blob is this one small body, so that it needs no file of its own.
    fn fits_inline(&self, state: &UploadState, length: u64) -> bool {
        let sessions = &self.inner.sessions;
        state.offset == 0
            && length > 0
            && length <= self.inner.settings.inline_limit_bytes
            && !self.inner.database.is_shared()
            && !sessions.is_open(state.id)
            && !sessions.has_ended(state.id)
    }

    async fn complete_inline(
        &self,
        target: Target<'_>,
        id: UploadId,
        bytes: Bytes,
        digest: &Digest,
    ) -> Result<(), UploadError> {
        let actual = Digest::of(digest.algorithm(), &bytes);
        if actual != *digest {
            self.inner.sessions.end(id);
            return Err(UploadError::DigestMismatch { expected: digest.clone(), actual });
        }
        let length = bytes.len() as u64;
        let place = Place::Inline(bytes.into());
        let added = self.link(target, digest, length, place.clone(), Upload { id, has_row: false }).await?;
        self.inner.sessions.end(id);
        if !added {
            self.repair(target, digest, length, place).await?;
        }
        Ok(())
    }

    /// Adds the blob, links it under a lease and ends the session's row, in one transaction.
    /// Returns `false` when the blob was there already and the place given is not in use.
    async fn link(
        &self,
        target: Target<'_>,
        digest: &Digest,
        size_bytes: u64,
        place: Place,
        upload: Upload,
    ) -> Result<bool, UploadError> {
        let (registry, repository, digest) = (target.registry.id, target.repository.clone(), digest.clone());
        let (now, lease) = (self.now(), self.inner.settings.blob_lease);
        self.inner
            .database
            .write(move |c| {
                Box::pin(async move {
                    let id = repositories::find_or_insert(c, registry, &repository, now).await?;
                    let is_ours = match &place {
                        // A row that is gone was given up by the collector, and its object with it.
                        _ if upload.has_row => uploads::delete(c, upload.id).await?,
                        Place::Object(key) => collection::claim_object(c, key).await?,
                        Place::Inline(_) => true,
                    };
                    if !is_ours {
                        return Err(UploadError::Unknown { repository, id: upload.id });
                    }
                    let (blob, added) = blobs::insert(c, &digest, size_bytes, &place, now).await?;
                    blobs::link(c, id, blob, now + lease).await?;
                    Ok(added)
                })
            })
            .await
    }

    /// The blob was there already. If its object is lost or cut short, the copy just pushed takes its place, so that a
    /// push always mends what it pushes. Returns whether it did.
    async fn repair(&self, target: Target<'_>, digest: &Digest, size_bytes: u64, place: Place) -> Result<bool, Error> {
        let wanted = digest.clone();
        let found = self.inner.database.read(move |c| Box::pin(async move { blobs::find(c, &wanted).await })).await?;
        let Some((id, Place::Object(former))) = found else { return Ok(false) };
        if Place::Object(former.clone()) == place {
            return Ok(true);
        }
        match self.inner.blobs.open(&parse_key(&former)?).await {
            Ok(stored) if stored.size() == size_bytes => return Ok(false),
            Ok(_) | Err(wharf_blobs::Error::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::warn!(digest = %digest, storage.key = %former, "The stored bytes of {digest} are lost; a push replaces them");
        let now = self.now();
        self.inner
            .database
            .write(move |c| {
                Box::pin(async move {
                    blobs::replace(c, id, &place).await?;
                    collection::doom(c, &former, 0, now).await
                })
            })
            .await
            .map_err(Error::Metadata)?;
        let key = crate::cache::key(target.registry.id, target.repository, '@', digest.as_str());
        self.inner.caches.blobs.invalidate(&key);
        Ok(true)
    }
}

/// The session that a blob comes from.
#[derive(Clone, Copy)]
struct Upload {
    id: UploadId,
    /// Whether it has a row, which protects its object and ends with it.
    has_row: bool,
}

/// Reads a small body whole.
async fn collect(
    body: impl Stream<Item = Result<Bytes, BodyError>> + Send,
    expected: u64,
) -> Result<Bytes, UploadError> {
    pin_mut!(body);
    let mut whole = BytesMut::new();
    let mut only = None;
    while let Some(bytes) = body.next().await {
        let bytes = bytes?;
        let received = (whole.len() + bytes.len()) as u64;
        if received > expected {
            return Err(UploadError::WrongLength { expected, received });
        }
        if only.is_none() && received == expected {
            only = Some(bytes);
        } else {
            whole.extend_from_slice(&bytes);
        }
    }
    let whole = match only {
        Some(bytes) if whole.is_empty() => bytes,
        Some(bytes) => {
            whole.extend_from_slice(&bytes);
            whole.freeze()
        }
        None => whole.freeze(),
    };
    let received = whole.len() as u64;
    if received == expected { Ok(whole) } else { Err(UploadError::WrongLength { expected, received }) }
}
