//! What scanners say of manifests. A manifest without a mark was never in quarantine and never passed.

use wharf_model::{BlobId, ManifestId, RepositoryId, Tag};

use crate::connection::on_engine;
use crate::{Connection, Error};

/// The state of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for a scanner.
    Quarantined,
    /// A scanner let it pass.
    Passed,
    /// A scanner refused it.
    Failed,
}

impl State {
    const EVERY: [Self; 3] = [Self::Quarantined, Self::Passed, Self::Failed];

    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "Quarantined",
            Self::Passed => "Passed",
            Self::Failed => "Failed",
        }
    }

    /// The state with this word, in any case, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(word))
    }
}

/// What is known of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its state.
    pub state: State,
    /// What the scanner told, in its own words.
    pub details: Option<String>,
    /// The tag that it was pushed by when it was put into quarantine.
    pub tag: Option<String>,
}

impl Mark {
    /// Reads the columns of a mark that may not be there.
    pub(crate) fn of_columns(
        state: Option<String>,
        details: Option<String>,
        tag: Option<String>,
    ) -> Result<Option<Self>, Error> {
        let Some(word) = state else { return Ok(None) };
        match State::from_word(&word) {
            Some(state) => Ok(Some(Self { state, details, tag })),
            None => Err(Error::Malformed { what: "state of quarantine", value: word }),
        }
    }
}

/// Puts a manifest that was pushed into quarantine, unless something is known of it. Returns whether it was put there.
///
/// # Errors
/// When the database fails.
pub async fn insert(c: &mut Connection, manifest: ManifestId, tag: Option<&Tag>) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO quarantine_marks (manifest_id, state, tag) VALUES ($1, $2, $3)
         ON CONFLICT (manifest_id) DO NOTHING";
    let rows = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(manifest.0)
            .bind(State::Quarantined.as_str())
            .bind(tag.map(Tag::as_str))
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(rows > 0)
}

/// Notes what a scanner says of a manifest.
///
/// # Errors
/// When the database fails.
pub async fn put(c: &mut Connection, manifest: ManifestId, state: State, details: Option<&str>) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO quarantine_marks (manifest_id, state, details) VALUES ($1, $2, $3)
         ON CONFLICT (manifest_id) DO UPDATE SET state = excluded.state, details = excluded.details";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(manifest.0).bind(state.as_str()).bind(details).execute(c).await?;
    });
    Ok(())
}

/// Whether a manifest was let pass.
///
/// # Errors
/// When the database fails.
pub async fn is_passed(c: &mut Connection, manifest: ManifestId) -> Result<bool, Error> {
    const SQL: &str = "SELECT 1 FROM quarantine_marks WHERE manifest_id = $1 AND state = 'Passed'";
    let found: Option<i32> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(manifest.0).fetch_optional(c).await?);
    Ok(found.is_some())
}

/// Whether a manifest of the repository that was let pass refers to a blob.
///
/// # Errors
/// When the database fails.
pub async fn is_blob_passed(c: &mut Connection, repository: RepositoryId, blob: BlobId) -> Result<bool, Error> {
    const SQL: &str = "SELECT 1 FROM manifest_blobs b JOIN quarantine_marks q ON q.manifest_id = b.manifest_id
         WHERE b.repository_id = $1 AND b.blob_id = $2 AND q.state = 'Passed' LIMIT 1";
    let found: Option<i32> =
        on_engine!(c, c => sqlx::query_scalar(SQL).bind(repository.0).bind(blob.0).fetch_optional(c).await?);
    Ok(found.is_some())
}
