//! The handle through which jobs are enqueued, looked at and called off.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;
use wharf_metadata::jobs::{self, Filter, JobRow, NewJobRow};
use wharf_metadata::{Connection, Database, Error};
use wharf_model::{Clock, JobId, Timestamp};

use crate::{Enqueued, NewJob, Statistics};

/// The jobs of an installation. Clones share everything.
#[derive(Clone)]
pub struct Jobs {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    /// Wakes the runner of this process.
    pub(crate) wake: Notify,
    pub(crate) statistics: Statistics,
}

impl Jobs {
    /// The jobs in a database.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner { database, clock, wake: Notify::new(), statistics: Statistics::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Enqueues a job in the transaction that causes it: both happen, or neither. It begins within milliseconds of the
    /// commit in this process, within a second on others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue(&self, c: &mut Connection, new: &NewJob) -> Result<Enqueued, Error> {
        let now = self.inner.clock.now();
        let row = NewJobRow {
            id: JobId(Uuid::new_v4()),
            kind: new.kind,
            key: new.key.as_deref(),
            registry: new.registry,
            payload: &new.payload,
            run_at: new.run_at.unwrap_or(now),
        };
        let (id, is_new) = jobs::insert(c, &row, now).await?;
        // The commit is still to come; the runner looks a few times.
        self.wake();
        Ok(Enqueued { id, is_new })
    }

    /// Has the runner of this process look for jobs at once.
    pub fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// Asks that a job be called off: one that waits does not begin any more, one that runs is asked to stop. Returns
    /// `false` when there is no such job or it has ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel(&self, c: &mut Connection, id: JobId) -> Result<bool, Error> {
        let is_open = jobs::request_cancel(c, id, self.inner.clock.now()).await?;
        self.wake();
        Ok(is_open)
    }

    /// Finds a job, ended ones for a week.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, id: JobId) -> Result<Option<JobRow>, Error> {
        self.inner.database.read(|c| Box::pin(jobs::find(c, id))).await
    }

    /// Lists jobs, the newest first, that are older than the one given by its time and id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(
        &self,
        filter: &Filter,
        before: Option<(Timestamp, JobId)>,
        limit: i64,
    ) -> Result<Vec<JobRow>, Error> {
        let filter = filter.clone();
        self.inner.database.read(move |c| Box::pin(async move { jobs::list(c, &filter, before, limit).await })).await
    }

    /// Forgets jobs that ended a week ago. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_ended(&self) -> Result<u64, Error> {
        let before = self.inner.clock.now() - KEPT_FOR;
        let mut forgotten = 0;
        loop {
            let slice = self.inner.database.write(move |c| Box::pin(jobs::delete_ended(c, before, SLICE))).await?;
            forgotten += slice;
            if slice < SLICE.unsigned_abs() {
                return Ok(forgotten);
            }
        }
    }

    /// What the workers of this process did.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.inner.statistics
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

/// How long ended jobs are shown.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Jobs that one transaction forgets.
const SLICE: i64 = 500;
