//! Quarantine: what was pushed is pulled by nobody until a scanner has let it pass.
//!
//! ```text
//! push, policy on ──► Quarantined ──► Passed    everybody who may pull
//!                          └────────► Failed    as Quarantined: scanners alone
//! ```
//!
//! Where the policy is on, only what passed is handed out: a manifest without a mark, pushed before the policy, waits for a
//! scanner as well. A blob is handed out if a manifest of the repository refers to it that passed; otherwise it could be had
//! by its digest before anybody looked at it. Scanners see everything ([`Sight`]). Marks are set whether the policy is on or
//! not, so that it can be switched on once everything is looked at.
//!
//! What is remembered of manifests and blobs says nothing of marks; they are asked for with each pull, if the policy is on
//! and the reader is no scanner. Everybody else pays nothing.
//!
//! Source: `acr/semantics.md` 4.6; what it leaves open is in `docs/decisions/0038-quarantine.md`.

use wharf_metadata::Connection;
use wharf_metadata::attributes::ManifestAttributes;
use wharf_metadata::changes::Kind;
use wharf_metadata::quarantine::{self as marks, Mark, State};
use wharf_model::{BlobId, ManifestId, RepositoryId};

use crate::{Artifacts, Error, Target};

/// What a reader gets to see where quarantine is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// What a scanner let pass.
    Passed,
    /// Everything: the reader is a scanner, or no reader at all.
    Everything,
}

impl Sight {
    /// Whether marks matter to this reader of a registry.
    pub(crate) fn is_limited(self, target: Target<'_>) -> bool {
        target.registry.settings.quarantine && self == Self::Passed
    }
}

/// What a scanner says of a manifest. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineChange {
    /// The state.
    pub state: Option<Verdict>,
    /// What it found, in its own words.
    pub details: Option<String>,
}

impl QuarantineChange {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a scanner may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be pulled.
    Passed,
    /// It may not.
    Failed,
}

impl Verdict {
    /// The verdict with this word, in any case, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match State::from_word(word)? {
            State::Passed => Some(Self::Passed),
            State::Failed => Some(Self::Failed),
            State::Quarantined => None,
        }
    }

    fn state(self) -> State {
        match self {
            Self::Passed => State::Passed,
            Self::Failed => State::Failed,
        }
    }
}

/// What became of a mark.
pub(crate) enum Marked {
    /// It is as it was.
    Same,
    /// There are details without a state.
    NoState,
    /// It is this now; the change log is to say so.
    As(Mark, Kind),
}

/// Marks a manifest. To be called under the lock of the repository's row.
pub(crate) async fn put(
    c: &mut Connection,
    manifest: &ManifestAttributes,
    change: &QuarantineChange,
) -> Result<Marked, wharf_metadata::Error> {
    let before = manifest.quarantine.as_ref();
    let state = match (change.state, before) {
        _ if change.is_empty() => return Ok(Marked::Same),
        (Some(verdict), _) => verdict.state(),
        (None, Some(before)) => before.state,
        (None, None) => return Ok(Marked::NoState),
    };
    let details = change.details.clone().or_else(|| before.and_then(|before| before.details.clone()));
    let after = Mark { state, details, tag: before.and_then(|before| before.tag.clone()) };
    if before == Some(&after) {
        return Ok(Marked::Same);
    }
    marks::put(c, manifest.id, after.state, after.details.as_deref()).await?;
    let kind = match after.state {
        _ if before.is_some_and(|before| before.state == after.state) => Kind::ManifestUpdate,
        State::Passed => Kind::ManifestPass,
        State::Failed => Kind::ManifestFail,
        State::Quarantined => Kind::ManifestUpdate,
    };
    Ok(Marked::As(after, kind))
}

impl Artifacts {
    /// Whether this reader may have a manifest.
    pub(crate) async fn is_manifest_in_sight(
        &self,
        target: Target<'_>,
        sight: Sight,
        manifest: ManifestId,
    ) -> Result<bool, Error> {
        if !sight.is_limited(target) {
            return Ok(true);
        }
        let database = &self.inner.database;
        Ok(database.read(move |c| Box::pin(async move { marks::is_passed(c, manifest).await })).await?)
    }

    /// Whether this reader may have a blob.
    pub(crate) async fn is_blob_in_sight(
        &self,
        target: Target<'_>,
        sight: Sight,
        repository: RepositoryId,
        blob: BlobId,
    ) -> Result<bool, Error> {
        if !sight.is_limited(target) {
            return Ok(true);
        }
        let database = &self.inner.database;
        Ok(database.read(move |c| Box::pin(async move { marks::is_blob_passed(c, repository, blob).await })).await?)
    }
}
