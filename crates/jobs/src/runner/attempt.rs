//! One attempt: the worker at work, and what becomes of the job.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;
use wharf_metadata::jobs::{self, Attempt as GivenBack, Ending, JobRow, State};
use wharf_metadata::{Connection, Error};
use wharf_model::Timestamp;

use super::Shared;
use crate::error::Failure;
use crate::{End, JobError, JobRun, Outcome, Retry, Worker, lease};

/// A job in the hands of its worker.
pub(super) struct Attempt {
    shared: Arc<Shared>,
    worker: Arc<dyn Worker>,
    run: JobRun,
}

/// What is to become of a job.
#[derive(Clone)]
enum Conclusion {
    /// It ends.
    End(End),
    /// It failed, and is tried again unless it was tried often enough.
    Retry { message: String, details: Option<Value>, retry_after: Option<Duration> },
    /// It goes on from its checkpoint.
    Again { run_at: Timestamp },
    /// Whoever runs it has to end.
    GiveBack,
}

/// What became of it.
enum Concluded {
    Ended(End),
    Resting {
        message: String,
        attempts: i64,
        rest: Duration,
    },
    GivenBack,
    /// Another has the lease: nothing was written.
    Lost,
}

impl Attempt {
    pub(super) fn new(shared: Arc<Shared>, worker: Arc<dyn Worker>, job: JobRow) -> Self {
        let inner = &shared.jobs.inner;
        let (database, clock) = (inner.database.clone(), inner.clock.clone());
        let run = JobRun::new(job, database, clock, shared.settings.lease, shared.stop.child_token());
        Self { shared, worker, run }
    }

    /// Works, and writes what becomes of the job.
    pub(super) async fn make(&self) {
        if let Some(conclusion) = self.work().await {
            self.conclude(conclusion).await;
        }
    }

    /// Has the worker work. `None` when the lease is lost, so that the job is somebody else's.
    async fn work(&self) -> Option<Conclusion> {
        let (job, attempts) = (&self.run.inner.job, self.worker.limits().retry.attempts);
        if job.cancel_requested_at.is_some() {
            return Some(Conclusion::End(End::Canceled));
        }
        if self.run.attempt() > attempts {
            let message = format!("none of its last {attempts} attempts came to an end: the server did first");
            return Some(Conclusion::End(End::Failed { message, details: None }));
        }
        let stop = self.run.stop();
        let out_of_patience = async {
            stop.cancelled().await;
            tokio::time::sleep(self.shared.settings.patience).await;
        };
        tokio::select! {
            result = AssertUnwindSafe(self.worker.run(&self.run)).catch_unwind() => Some(match result {
                Ok(result) => self.conclusion(result),
                // The hook for panics has told where.
                Err(_) => self.failed("the worker panicked, which is a bug in Wharf".to_owned(), None, None),
            }),
            () = lease::keep(&self.run) => {
                stop.cancel();
                None
            }
            () = out_of_patience => Some(self.conclusion(Err(JobError::Stopped))),
        }
    }

    fn conclusion(&self, result: Result<Outcome, JobError>) -> Conclusion {
        match result {
            Ok(Outcome::Done(result)) => Conclusion::End(End::Succeeded(result)),
            _ if self.run.is_called_off() => Conclusion::End(End::Canceled),
            Ok(Outcome::Again { run_at }) => Conclusion::Again { run_at },
            Err(JobError::Permanent(failure)) => {
                Conclusion::End(End::Failed { message: failure.to_string(), details: failure.details })
            }
            // What fails while everything ends may fail because of that.
            Err(_) if self.shared.stop.is_cancelled() => Conclusion::GiveBack,
            Err(JobError::Transient(Failure { source, details, retry_after })) => {
                self.failed(wharf_model::error_chain(source.as_ref()), details, retry_after)
            }
            Err(JobError::Stopped) => {
                self.failed("the worker stopped without having been asked to".to_owned(), None, None)
            }
        }
    }

    fn failed(&self, message: String, details: Option<Value>, retry_after: Option<Duration>) -> Conclusion {
        if self.run.is_called_off() {
            return Conclusion::End(End::Canceled);
        }
        Conclusion::Retry { message, details, retry_after }
    }

    /// Writes what becomes of the job, and tells it.
    async fn conclude(&self, conclusion: Conclusion) {
        let begun_at = Instant::now();
        let concluded = loop {
            let (worker, run, conclusion) = (self.worker.clone(), self.run.clone(), conclusion.clone());
            let now = self.shared.jobs.inner.clock.now();
            let write = self.shared.jobs.inner.database.write(move |c| {
                Box::pin(async move { write_conclusion(c, worker.as_ref(), &run, conclusion, now).await })
            });
            match write.await {
                Ok(concluded) => break concluded,
                // Half of the lease is left at least; after that, somebody else may take the job.
                Err(error) if begun_at.elapsed() > self.shared.settings.lease / 2 => {
                    let error = wharf_model::error_chain(&error);
                    tracing::error!(error, "Could not write how job {} ended; it will run again", self.run.id());
                    return;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        };
        self.tell(&concluded);
    }

    fn tell(&self, concluded: &Concluded) {
        let (id, kind) = (self.run.id(), self.worker.kind());
        self.shared.jobs.inner.statistics.count(kind, |statistics| match concluded {
            Concluded::Ended(End::Succeeded(_)) => statistics.succeeded += 1,
            Concluded::Ended(End::Failed { .. }) => statistics.failed += 1,
            Concluded::Ended(End::Canceled) => statistics.canceled += 1,
            Concluded::Resting { .. } => statistics.retried += 1,
            Concluded::GivenBack | Concluded::Lost => {}
        });
        match concluded {
            Concluded::Ended(End::Succeeded(_)) => tracing::debug!("Job {id} ({kind}) is done"),
            Concluded::Ended(End::Canceled) => tracing::info!("Job {id} ({kind}) was called off"),
            Concluded::Ended(End::Failed { message, .. }) => {
                tracing::warn!(error = message, "Job {id} ({kind}) failed and was given up");
            }
            Concluded::Resting { message, attempts, rest } => {
                let seconds = rest.as_secs_f64();
                tracing::info!(error = message, attempts, "Job {id} ({kind}) failed; next attempt in {seconds:.0} s");
            }
            Concluded::GivenBack => tracing::debug!("Job {id} ({kind}) goes on later"),
            Concluded::Lost => tracing::warn!("Job {id} ({kind}) went to somebody else before it ended here"),
        }
    }
}

async fn write_conclusion(
    c: &mut Connection,
    worker: &dyn Worker,
    run: &JobRun,
    conclusion: Conclusion,
    now: Timestamp,
) -> Result<Concluded, Error> {
    let lease = run.inner.lease;
    let progress = run.unwritten();
    let progress = progress.as_ref();
    let is_held = match conclusion {
        Conclusion::End(end) => return write_end(c, worker, run, end, now).await,
        Conclusion::Retry { message, details, retry_after } => {
            // As it is now: attempts count anew since a checkpoint.
            let Some(job) = jobs::find(c, lease.job).await? else { return Ok(Concluded::Lost) };
            let retry = worker.limits().retry;
            if job.attempts >= i64::from(retry.attempts) {
                return write_end(c, worker, run, End::Failed { message, details }, now).await;
            }
            let rest = rest(retry, job.attempts).max(retry_after.unwrap_or_default());
            let error = error(&message, details.as_ref());
            let failed = GivenBack::Failed { error: &error };
            if jobs::give_back(c, lease, now + rest, failed, progress).await? {
                return Ok(Concluded::Resting { message, attempts: job.attempts, rest });
            }
            false
        }
        Conclusion::Again { run_at } => jobs::give_back(c, lease, run_at, GivenBack::WentOn, progress).await?,
        Conclusion::GiveBack => jobs::give_back(c, lease, now, GivenBack::CutShort, progress).await?,
    };
    Ok(if is_held { Concluded::GivenBack } else { Concluded::Lost })
}

/// Ends the job, and with it whatever its worker ends.
async fn write_end(
    c: &mut Connection,
    worker: &dyn Worker,
    run: &JobRun,
    end: End,
    now: Timestamp,
) -> Result<Concluded, Error> {
    let (result, why) = match &end {
        End::Succeeded(result) => (Some(result.clone()), None),
        End::Failed { message, details } => (None, Some(error(message, details.as_ref()))),
        End::Canceled => (None, None),
    };
    let state = match end {
        End::Succeeded(_) => State::Succeeded,
        End::Failed { .. } => State::Failed,
        End::Canceled => State::Canceled,
    };
    let ending = Ending { state, result: result.as_ref(), error: why.as_ref() };
    if !jobs::end(c, run.inner.lease, ending, run.unwritten().as_ref(), now).await? {
        return Ok(Concluded::Lost);
    }
    if let Some(job) = jobs::find(c, run.id()).await? {
        worker.ended(c, &job, &end).await?;
    }
    Ok(Concluded::Ended(end))
}

/// `message` and `details`, as kept with the job.
fn error(message: &str, details: Option<&Value>) -> Value {
    let mut kept = json!({ "message": message });
    if let Some(details) = details {
        kept["details"] = details.clone();
    }
    kept
}

fn rest(retry: Retry, attempts: i64) -> Duration {
    let random = f64::from(u32::try_from(Uuid::new_v4().as_u64_pair().0 >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    retry.rest(u32::try_from(attempts).unwrap_or(u32::MAX), random)
}
