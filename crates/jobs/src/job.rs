//! What is enqueued.

use serde::Serialize;
use serde_json::Value;
use wharf_model::{JobId, RegistryId, Timestamp};

/// A job that is to be enqueued.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub(crate) kind: &'static str,
    pub(crate) key: Option<String>,
    pub(crate) registry: Option<RegistryId>,
    pub(crate) payload: Value,
    pub(crate) run_at: Option<Timestamp>,
}

impl NewJob {
    /// A job of a kind, to be run as soon as somebody has room for it. The payload says what is to be done; it is shown
    /// to whoever lists jobs.
    ///
    /// # Errors
    /// When the payload is larger than 64 KiB. What is larger belongs into rows of its own.
    pub fn new(kind: &'static str, payload: &impl Serialize) -> Result<Self, PayloadTooLarge> {
        let payload = serde_json::to_value(payload).map_err(|_| PayloadTooLarge { kind, size_bytes: 0 })?;
        let size_bytes = payload.to_string().len();
        if size_bytes > PAYLOAD_LIMIT_BYTES {
            return Err(PayloadTooLarge { kind, size_bytes });
        }
        Ok(Self { kind, key: None, registry: None, payload, run_at: None })
    }

    /// Among the open jobs of a kind there is one at most with a key. Enqueueing a second one leaves the first alone, but
    /// for its time: if it still waits, it runs as early as either was to.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The registry that it belongs to: it goes with it, and registries take turns.
    #[must_use]
    pub fn registry(mut self, registry: RegistryId) -> Self {
        self.registry = Some(registry);
        self
    }

    /// From when on it is to run.
    #[must_use]
    pub fn run_at(mut self, run_at: Timestamp) -> Self {
        self.run_at = Some(run_at);
        self
    }
}

/// What became of an enqueued job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// The job: the new one, or the one that was open with the key.
    pub id: JobId,
    /// Whether it is new.
    pub is_new: bool,
}

/// A payload that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload of a job {kind} has {size_bytes} bytes, more than the {PAYLOAD_LIMIT_BYTES} that fit")]
pub struct PayloadTooLarge {
    /// The kind of job.
    pub kind: &'static str,
    /// Its size.
    pub size_bytes: usize,
}

/// The largest payload, checkpoint, progress or result, as JSON.
pub(crate) const PAYLOAD_LIMIT_BYTES: usize = 64 << 10;
