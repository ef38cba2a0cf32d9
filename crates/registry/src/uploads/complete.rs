//! Completing an upload: from bytes to a blob.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, pin_mut};
use wharf_metadata::blobs::{self, Place};
use wharf_metadata::{collection, repositories, uploads};
use wharf_model::{Digest, UploadId};

use super::append::check_position;
use super::sessions::Exclusive;
use super::{BodyError, UploadError, UploadState};
use crate::blobs::parse_key;
use crate::locks::Locked;
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
            && position.unwrap_or(0) == 0
            && self.fits_inline(state, length)
        {
            let bytes = collect(body, length).await?;
            return self.complete_inline(target, state.id, bytes, digest).await;
        }
        let mut exclusive = self.acquire(target, state).await?;
        if expected_length != Some(0) {
            if let Err(error) = check_position(exclusive.session(), position.unwrap_or(state.offset)) {
                self.release(exclusive);
                return Err(error);
            }
            if let Err(error) = self.receive(exclusive.session(), body, expected_length).await {
                // What came with this request is not acknowledged; what came before it is.
                match error {
                    UploadError::TooLarge { .. } => self.discard(exclusive).await?,
                    _ => self.fall_back(exclusive).await?,
                }
                return Err(error);
            }
        }
        match self.check_whole(&mut exclusive, digest).await {
            Ok(()) => {}
            Err(error @ UploadError::DigestMismatch { .. }) => {
                self.discard(exclusive).await?;
                return Err(error);
            }
            Err(error) => {
                self.fall_back(exclusive).await?;
                return Err(error);
            }
        }
        self.become_blob(target, exclusive, digest).await
    }

    /// Makes the bytes durable and compares their digest.
    pub(super) async fn check_whole(&self, exclusive: &mut Exclusive, digest: &Digest) -> Result<(), UploadError> {
        let session = exclusive.session();
        // Synced before it is known to be right: one visit to the disk's thread then does all, and wrong digests are rare.
        session.writer.sync().await?;
        let actual = session.writer.digest(digest.algorithm()).await?;
        if actual == *digest { Ok(()) } else { Err(UploadError::DigestMismatch { expected: digest.clone(), actual }) }
    }

    /// Links the bytes of a session as a blob, and ends the session.
    pub(super) async fn become_blob(
        &self,
        target: Target<'_>,
        mut exclusive: Exclusive,
        digest: &Digest,
    ) -> Result<(), UploadError> {
        let id = exclusive.id;
        let session = exclusive.session();
        let (length, storage_key) = (session.writer.length(), session.storage_key.clone());
        let upload = Upload { id, has_row: session.repository.is_some() };
        let place = Place::Object(storage_key.to_string());
        session.may_be_a_blob = true;
        let added = match self.link(target, digest, length, place.clone(), upload).await {
            Ok(added) => added,
            // Whether it was committed may be uncertain; these look before they remove anything.
            Err(error @ UploadError::Store(_)) => {
                self.fall_back(exclusive).await?;
                return Err(error);
            }
            Err(error) => {
                self.discard(exclusive).await?;
                return Err(error);
            }
        };
        let is_in_use = added || self.repair(target, digest, length, place).await?;
        self.inner.sessions.end(id);
        drop(exclusive);
        if !is_in_use {
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
        // What is remembered of a link that was cut since must not outlive the new one.
        let cached = crate::cache::key(target.registry.id, target.repository, '@', digest.as_str());
        let (registry, repository, digest) = (target.registry.id, target.repository.clone(), digest.clone());
        let (now, lease) = (self.now(), self.inner.settings.blob_lease);
        let added = self
            .inner
            .database
            .write(move |c| {
                Box::pin(async move {
                    let found = repositories::find_or_insert(c, registry, &repository, now).await?;
                    if !found.write_enabled {
                        return Err(Locked::Repository(repository).into());
                    }
                    // A row that is gone was given up by the collector, and its object with it.
                    let mut is_ours = !upload.has_row || uploads::delete(c, upload.id).await?;
                    if let Place::Object(key) = &place {
                        is_ours = is_ours && collection::claim_object(c, key).await?;
                    }
                    if !is_ours {
                        return Err(UploadError::Unknown { repository, id: upload.id });
                    }
                    let (blob, added) = blobs::insert(c, &digest, size_bytes, &place, now).await?;
                    blobs::link(c, found.id, blob, now + lease).await?;
                    Ok::<_, UploadError>(added)
                })
            })
            .await?;
        self.inner.caches.blobs.invalidate(&cached);
        Ok(added)
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
        match self.open_whole(&parse_key(&former)?, size_bytes).await {
            Ok(_) => return Ok(false),
            Err(wharf_blobs::Error::Missing { .. } | wharf_blobs::Error::Truncated { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::warn!(digest = %digest, storage.key = %former, "The stored bytes of {digest} are lost; a push replaces them");
        let now = self.now();
        let replaced = self
            .inner
            .database
            .write(move |c| {
                Box::pin(async move {
                    if let Place::Object(key) = &place
                        && !collection::claim_object(c, key).await?
                    {
                        return Ok(false);
                    }
                    blobs::replace(c, id, &place).await?;
                    collection::doom(c, &former, 0, now).await?;
                    Ok::<_, wharf_metadata::Error>(true)
                })
            })
            .await
            .map_err(Error::Metadata)?;
        let key = crate::cache::key(target.registry.id, target.repository, '@', digest.as_str());
        self.inner.caches.blobs.invalidate(&key);
        Ok(replaced)
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
