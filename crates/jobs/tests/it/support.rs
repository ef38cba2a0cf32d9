//! A queue, a clock that stands still, and a worker whose steps the test decides on.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use wharf_jobs::{End, Enqueued, JobError, JobId, JobRow, JobRun, Jobs, Limits, NewJob, Outcome, Retry, Runner};
use wharf_jobs::{RunnerSettings, State, Worker};
use wharf_metadata::{Connection, Database, Error, settings};
use wharf_model::{FakeClock, Timestamp};

/// Stamps each test of the module that it stands in for an engine.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let engine = crate::engine::sqlite().await;
                super::$test(engine.database.clone()).await;
                engine.stop().await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let engine = crate::engine::postgres().await;
                super::$test(engine.database.clone()).await;
                engine.stop().await;
            })+
        }
    };
}
pub(crate) use on_both_engines;

pub(crate) struct Queue {
    pub(crate) jobs: Jobs,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) database: Database,
}

impl Queue {
    pub(crate) fn on(database: Database) -> Self {
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix_seconds(1_790_000_000)));
        Self { jobs: Jobs::new(database.clone(), clock.clone()), clock, database }
    }

    /// Another process on the same database.
    pub(crate) fn another(&self) -> Jobs {
        Jobs::new(self.database.clone(), self.clock.clone())
    }

    pub(crate) async fn enqueue(&self, new: NewJob) -> Enqueued {
        let jobs = self.jobs.clone();
        self.database.write(move |c| Box::pin(async move { jobs.enqueue(c, &new).await })).await.unwrap()
    }

    pub(crate) async fn cancel(&self, id: JobId) -> bool {
        let jobs = self.jobs.clone();
        self.database.write(move |c| Box::pin(async move { jobs.cancel(c, id).await })).await.unwrap()
    }

    pub(crate) async fn job(&self, id: JobId) -> JobRow {
        self.jobs.find(id).await.unwrap().expect("the job is there")
    }

    /// Waits until a job is in a state.
    pub(crate) async fn reaches(&self, id: JobId, state: State) -> JobRow {
        loop {
            let job = self.job(id).await;
            if job.state == state {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
        self.jobs.wake();
    }
}

pub(crate) fn job(payload: Value) -> NewJob {
    NewJob::new(Scripted::KIND, &payload).unwrap()
}

/// Looks quickly, and has leases that are over soon.
pub(crate) fn quick() -> RunnerSettings {
    RunnerSettings {
        look_every: Duration::from_millis(20),
        patience: Duration::from_millis(300),
        ..RunnerSettings::default()
    }
}

/// An attempt that waits for the test to say how it ends.
pub(crate) struct Begun {
    pub(crate) run: JobRun,
    go: oneshot::Sender<Step>,
}

type Step = Box<dyn FnOnce() -> Result<Outcome, JobError> + Send>;

impl Begun {
    pub(crate) fn ends(self, result: Result<Outcome, JobError>) {
        drop(self.go.send(Box::new(move || result)));
    }

    pub(crate) fn panics(self) {
        drop(self.go.send(Box::new(|| panic!("as the test wants it"))));
    }
}

/// A worker that tells the test of each attempt and waits for what it says. It obeys when asked to stop, unless it is deaf.
pub(crate) struct Scripted {
    begun: UnboundedSender<Begun>,
    limits: Limits,
    is_deaf: bool,
    /// Who is at work, over all runners of the test; nobody is twice.
    at_work: Arc<Mutex<HashSet<JobId>>>,
    pub(crate) ends: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) const KIND: &str = "test.scripted";

    pub(crate) fn new() -> (Self, UnboundedReceiver<Begun>) {
        let (begun, attempts) = unbounded_channel();
        let limits = Limits {
            retry: Retry { attempts: 3, first: Duration::from_secs(60), longest: Duration::from_secs(3600) },
            ..Limits::default()
        };
        (Self { begun, limits, is_deaf: false, at_work: Arc::default(), ends: Arc::default() }, attempts)
    }

    pub(crate) fn limited(mut self, parallel: usize, parallel_per_registry: usize) -> Self {
        (self.limits.parallel, self.limits.parallel_per_registry) = (parallel, parallel_per_registry);
        self
    }

    pub(crate) fn deaf(mut self) -> Self {
        self.is_deaf = true;
        self
    }

    /// The same for another runner.
    pub(crate) fn twin(&self) -> Self {
        Self {
            begun: self.begun.clone(),
            limits: self.limits,
            is_deaf: self.is_deaf,
            at_work: self.at_work.clone(),
            ends: self.ends.clone(),
        }
    }

    pub(crate) fn start(self, jobs: &Jobs) -> Runner {
        jobs.start(vec![Arc::new(self)], quick())
    }
}

struct AtWork<'a>(&'a Scripted, JobId);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.lock().unwrap().remove(&self.1);
    }
}

#[async_trait]
impl Worker for Scripted {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    async fn run(&self, run: &JobRun) -> Result<Outcome, JobError> {
        assert!(self.at_work.lock().unwrap().insert(run.id()), "job {} runs twice at once", run.id());
        let _at_work = AtWork(self, run.id());
        let (go, step) = oneshot::channel();
        let _ = self.begun.send(Begun { run: run.clone(), go });
        if self.is_deaf {
            return step.await.expect("the test says how it ends")();
        }
        tokio::select! {
            step = step => step.map_err(|_| JobError::transient("the test is over"))?(),
            () = run.stop().cancelled() => Err(JobError::Stopped),
        }
    }

    /// Writes what it was told where the test finds it.
    async fn ended(&self, c: &mut Connection, job: &JobRow, end: &End) -> Result<(), Error> {
        self.ends.fetch_add(1, Ordering::SeqCst);
        let told = match end {
            End::Succeeded(result) => json!({ "succeeded": result }),
            End::Failed { message, details } => json!({ "failed": message, "details": details }),
            End::Canceled => json!("canceled"),
        };
        settings::put(c, &format!("end.{}", job.id), told.to_string().as_bytes()).await
    }
}

/// What [`Scripted::ended`] was told of a job.
pub(crate) async fn end_of(queue: &Queue, id: JobId) -> Option<Value> {
    let key = format!("end.{id}");
    let told = queue.database.read(|c| Box::pin(async move { settings::get(c, &key).await })).await.unwrap();
    told.map(|bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap())
}

/// A worker that takes steps by itself, each in one transaction with its checkpoint, and writes each step down.
pub(crate) struct Steps {
    pub(crate) database: Database,
    pub(crate) count: i64,
}

impl Steps {
    pub(crate) const KIND: &str = "test.steps";
}

#[async_trait]
impl Worker for Steps {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    async fn run(&self, run: &JobRun) -> Result<Outcome, JobError> {
        let first: i64 = run.state()?.unwrap_or(0);
        for step in first..self.count {
            run.report(&json!({ "step": step })).await?;
            let this = run.clone();
            let write = self.database.write(move |c| {
                Box::pin(async move {
                    let mut taken = steps_in(c, this.id()).await?;
                    taken.push(step);
                    settings::put(c, &format!("steps.{}", this.id()), json!(taken).to_string().as_bytes()).await?;
                    this.checkpoint_in(c, &(step + 1)).await
                })
            });
            write.await?;
        }
        Ok(Outcome::done())
    }
}

async fn steps_in(c: &mut Connection, id: JobId) -> Result<Vec<i64>, Error> {
    let taken = settings::get(c, &format!("steps.{id}")).await?;
    Ok(taken.map(|bytes| serde_json::from_slice(&bytes).unwrap()).unwrap_or_default())
}

/// The steps that a job of [`Steps`] took.
pub(crate) async fn steps_of(database: &Database, id: JobId) -> Vec<i64> {
    database.read(|c| Box::pin(steps_in(c, id))).await.unwrap()
}
