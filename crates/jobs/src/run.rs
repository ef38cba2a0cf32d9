//! One attempt at a job, as its worker sees it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wharf_metadata::jobs::{self, JobRow, Lease};
use wharf_metadata::{Connection, Database};
use wharf_model::{Clock, JobId, RegistryId, Timestamp};

use crate::JobError;
use crate::job::PAYLOAD_LIMIT_BYTES;

/// An attempt at a job: what is to be done, and the way to say how far it is. Clones share everything.
#[derive(Clone)]
pub struct JobRun {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) job: JobRow,
    pub(crate) lease: Lease,
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long each lease is.
    pub(crate) lease_span: Duration,
    /// Cancelled when the worker is to stop, whyever.
    pub(crate) stop: CancellationToken,
    /// Whether it is to stop because somebody called the job off.
    pub(crate) is_called_off: AtomicBool,
    progress: Mutex<Progress>,
}

/// What is reported, and how much of it is written.
#[derive(Default)]
struct Progress {
    latest: Option<Value>,
    is_written: bool,
    written_at: Option<Instant>,
}

impl JobRun {
    pub(crate) fn new(
        job: JobRow,
        database: Database,
        clock: Arc<dyn Clock>,
        lease_span: Duration,
        stop: CancellationToken,
    ) -> Self {
        let lease = Lease { job: job.id, number: job.lease_number };
        let inner = Inner {
            job,
            lease,
            database,
            clock,
            lease_span,
            stop,
            is_called_off: AtomicBool::new(false),
            progress: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The job's id.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.inner.job.id
    }

    /// The registry that the job belongs to.
    #[must_use]
    pub fn registry(&self) -> Option<RegistryId> {
        self.inner.job.registry
    }

    /// Which attempt this is since the last checkpoint that was a new one; 1 is the first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        u32::try_from(self.inner.job.attempts).unwrap_or(u32::MAX)
    }

    /// When the job was enqueued.
    #[must_use]
    pub fn enqueued_at(&self) -> Timestamp {
        self.inner.job.created_at
    }

    /// What is to be done.
    ///
    /// # Errors
    /// When the payload is none of this type: the job will never work.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        T::deserialize(&self.inner.job.payload).map_err(JobError::permanent)
    }

    /// The checkpoint that this attempt goes on from: the last one of those before.
    ///
    /// # Errors
    /// When the checkpoint is none of this type: the job will never work.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, JobError> {
        self.inner.job.checkpoint.as_ref().map(T::deserialize).transpose().map_err(JobError::permanent)
    }

    /// Is cancelled when the worker is to stop: because the job was called off, because the server ends, or because the
    /// lease is lost.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.inner.stop
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// `Stopped` when the worker is to stop.
    pub fn check(&self) -> Result<(), JobError> {
        if self.inner.stop.is_cancelled() { Err(JobError::Stopped) } else { Ok(()) }
    }

    /// Says how far the job is, for those who watch it. Cheap: it is written a few times a second at most, and the last
    /// report always.
    ///
    /// # Errors
    /// `Stopped` when the worker is to stop; `Permanent` when it is larger than 64 KiB.
    pub async fn report(&self, progress: &impl Serialize) -> Result<(), JobError> {
        self.check()?;
        let value = to_json(progress)?;
        {
            let mut progress = lock(&self.inner.progress);
            let is_soon = progress.written_at.is_some_and(|at| at.elapsed() < BETWEEN_REPORTS);
            progress.latest = Some(value);
            progress.is_written = false;
            if is_soon {
                return Ok(());
            }
            progress.written_at = Some(Instant::now());
        }
        // That it cannot be written now is no reason to stop: whoever renews the lease tries again.
        match self.renew().await {
            Ok(true) | Err(_) => self.check(),
            Ok(false) => Err(self.lost()),
        }
    }

    /// Keeps from where the next attempt is to go on, which finds it in [`Self::state`].
    ///
    /// # Errors
    /// `Stopped` when the lease is lost; `Transient` when the database fails; `Permanent` when it is larger than 64 KiB.
    pub async fn checkpoint(&self, state: &(impl Serialize + Sync)) -> Result<(), JobError> {
        let (value, this) = (to_json(state)?, self.clone());
        let write = self.inner.database.write(move |c| Box::pin(async move { this.checkpoint_in(c, &value).await }));
        write.await
    }

    /// As [`Self::checkpoint`], in a transaction of the worker's own: what was done and that it was done are written
    /// together, and only while the lease holds.
    ///
    /// # Errors
    /// As [`Self::checkpoint`]. The transaction must fail with it.
    pub async fn checkpoint_in(&self, c: &mut Connection, state: &(impl Serialize + Sync)) -> Result<(), JobError> {
        let value = to_json(state)?;
        if jobs::checkpoint(c, self.inner.lease, &value).await? { Ok(()) } else { Err(self.lost()) }
    }

    /// Makes sure that the lease holds until the transaction ends, so that nobody else has the job meanwhile.
    ///
    /// # Errors
    /// `Stopped` when it is lost: then the transaction must fail with it. `Transient` when the database fails.
    pub async fn fence(&self, c: &mut Connection) -> Result<(), JobError> {
        if jobs::fence(c, self.inner.lease).await? { Ok(()) } else { Err(self.lost()) }
    }

    /// What was reported and is not written yet.
    pub(crate) fn unwritten(&self) -> Option<Value> {
        let progress = lock(&self.inner.progress);
        if progress.is_written { None } else { progress.latest.clone() }
    }

    /// Prolongs the lease and writes what was reported. Returns whether the lease holds.
    pub(crate) async fn renew(&self) -> Result<bool, wharf_metadata::Error> {
        let (lease, until) = (self.inner.lease, self.inner.clock.now() + self.inner.lease_span);
        let unwritten = self.unwritten();
        let sent = unwritten.clone();
        let write = self
            .inner
            .database
            .write(move |c| Box::pin(async move { jobs::renew(c, lease, until, sent.as_ref()).await }));
        let held = write.await?;
        let mut progress = lock(&self.inner.progress);
        if progress.latest == unwritten {
            progress.is_written = true;
        }
        drop(progress);
        Ok(self.obey(held))
    }

    /// Looks whether the lease holds and the job is still wanted. Returns whether the lease holds.
    pub(crate) async fn look(&self) -> Result<bool, wharf_metadata::Error> {
        let lease = self.inner.lease;
        let held = self.inner.database.read(|c| Box::pin(jobs::look(c, lease))).await?;
        Ok(self.obey(held))
    }

    fn obey(&self, held: Option<bool>) -> bool {
        if held == Some(true) {
            self.call_off();
        }
        held.is_some()
    }

    /// Asks the worker to stop, as the job was called off.
    pub(crate) fn call_off(&self) {
        self.inner.is_called_off.store(true, Ordering::Release);
        self.inner.stop.cancel();
    }

    pub(crate) fn is_called_off(&self) -> bool {
        self.inner.is_called_off.load(Ordering::Acquire)
    }

    fn lost(&self) -> JobError {
        self.inner.stop.cancel();
        JobError::Stopped
    }
}

impl fmt::Debug for JobRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRun").field("job", &self.inner.job).finish_non_exhaustive()
    }
}

fn to_json(value: &impl Serialize) -> Result<Value, JobError> {
    let value = serde_json::to_value(value).map_err(JobError::permanent)?;
    let size_bytes = value.to_string().len();
    if size_bytes > PAYLOAD_LIMIT_BYTES {
        let told = format!("{size_bytes} bytes of state or progress are more than the {PAYLOAD_LIMIT_BYTES} that fit");
        return Err(JobError::permanent(told));
    }
    Ok(value)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long reports are at least apart that are written.
const BETWEEN_REPORTS: Duration = Duration::from_millis(250);
