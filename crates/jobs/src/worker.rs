//! Those who work jobs off.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;
use wharf_metadata::jobs::JobRow;
use wharf_metadata::{Connection, Error};
use wharf_model::Timestamp;

use crate::{JobError, JobRun, Retry};

/// Works off the jobs of one kind.
#[async_trait]
pub trait Worker: Send + Sync + 'static {
    /// The kind: `purge.run`.
    fn kind(&self) -> &'static str;

    /// How many at once, and how often again.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Makes an attempt. May be begun again at any time, from the last checkpoint, also when it had come to its end: what
    /// was done already must be found done.
    ///
    /// Between steps it calls [`JobRun::report`] or [`JobRun::check`], which say when to stop; a worker that does not stop
    /// within a few seconds is dropped where it waits. A panic is a failure that may pass.
    ///
    /// # Errors
    /// What [`JobError`] tells apart.
    async fn run(&self, run: &JobRun) -> Result<Outcome, JobError>;

    /// Called when a job ends, however it does, in the transaction that ends it: the place to end with it what others
    /// look at, such as the row of an operation. Called once for each job, unless the job's registry went away before.
    ///
    /// # Errors
    /// When the database fails. Then nothing has ended, and it is called again.
    async fn ended(&self, c: &mut Connection, job: &JobRow, end: &End) -> Result<(), Error> {
        let _ = (c, job, end);
        Ok(())
    }
}

/// How many jobs of a kind run at once, and how often they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Jobs of the kind that one node runs at once.
    pub parallel: usize,
    /// Of these, jobs of one registry. Jobs of no registry count as those of one.
    pub parallel_per_registry: usize,
    /// When and how often failed attempts are followed by others.
    pub retry: Retry,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parallel: 4, parallel_per_registry: 2, retry: Retry::default() }
    }
}

/// How an attempt ended that did not fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The job is done, with this result.
    Done(Value),
    /// A part is done. The job goes on from its checkpoint, at this time or later, after others have had their turn.
    Again {
        /// From when on; the present, if it is past.
        run_at: Timestamp,
    },
}

impl Outcome {
    /// Done, and there is nothing to say about it.
    #[must_use]
    pub fn done() -> Self {
        Self::Done(Value::Null)
    }

    /// Done, with a result of at most 64 KiB.
    ///
    /// # Errors
    /// When the result does not serialise.
    pub fn done_with(result: &impl Serialize) -> Result<Self, JobError> {
        serde_json::to_value(result).map(Self::Done).map_err(JobError::permanent)
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// It is done, with this result.
    Succeeded(Value),
    /// It was given up.
    Failed {
        /// Why, in a line.
        message: String,
        /// What the worker gave with [`JobError::details`].
        details: Option<Value>,
    },
    /// It was called off, before or while it ran.
    Canceled,
}
