//! How an attempt at a job goes wrong.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use wharf_model::error_chain;

/// Why an attempt ended without having done the job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may work later: it is tried again, later and later, until the kind's attempts are used up.
    #[error("it failed for now")]
    Transient(#[source] Failure),
    /// It will never work.
    #[error("it failed for good")]
    Permanent(#[source] Failure),
    /// The worker was asked to stop, and did. What becomes of the job depends on why it was asked: it is called off, or
    /// given back.
    #[error("it was asked to stop")]
    Stopped,
}

/// What went wrong, for whoever reads it and for whoever handles it.
#[derive(Debug)]
pub struct Failure {
    pub(crate) source: Source,
    pub(crate) details: Option<Value>,
    pub(crate) retry_after: Option<Duration>,
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl JobError {
    /// A failure that may pass.
    pub fn transient(source: impl Into<Source>) -> Self {
        Self::Transient(Failure { source: source.into(), details: None, retry_after: None })
    }

    /// A failure that will not pass.
    pub fn permanent(source: impl Into<Source>) -> Self {
        Self::Permanent(Failure { source: source.into(), details: None, retry_after: None })
    }

    /// With what [`crate::Worker::ended`] is to be told beside the text, such as the error of an operation.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        if let Self::Transient(failure) | Self::Permanent(failure) = &mut self {
            failure.details = Some(details);
        }
        self
    }

    /// Not before this span is over, as the other side asked.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        if let Self::Transient(failure) | Self::Permanent(failure) = &mut self {
            failure.retry_after = Some(span);
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&error_chain(self.source.as_ref()))
    }
}

impl std::error::Error for Failure {}

/// The database may come back.
impl From<wharf_metadata::Error> for JobError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::transient(error)
    }
}
