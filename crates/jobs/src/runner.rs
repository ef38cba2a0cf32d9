//! Who takes jobs and has them run, in one process.

mod attempt;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;
use wharf_metadata::Error;
use wharf_metadata::jobs::{self, JobRow, Taking};
use wharf_model::JobId;

use self::attempt::Attempt;
use crate::{Jobs, Worker};

/// How a runner takes jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerSettings {
    /// How long a lease is that is not renewed: how long a job waits whose process died.
    pub lease: Duration,
    /// How often it is looked for jobs that nobody in this process enqueued, or whose time has come.
    pub look_every: Duration,
    /// How long a worker may go on that was asked to stop.
    pub patience: Duration,
    /// Whether all jobs that seem to run were left by a process that is gone, so that they need not wait for their leases
    /// to be over. True for who has the database for itself.
    pub is_alone: bool,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            look_every: Duration::from_secs(1),
            patience: Duration::from_secs(3),
            is_alone: false,
        }
    }
}

/// The runner of a process. Dropped without [`Self::stop`], it ends as if the process had died: nothing is given back.
pub struct Runner {
    shared: Arc<Shared>,
    loop_stopped: CancellationToken,
}

/// What the loop and the attempts share.
struct Shared {
    jobs: Jobs,
    workers: Vec<Arc<dyn Worker>>,
    settings: RunnerSettings,
    /// This runner, among all that there ever were.
    holder: Uuid,
    attempts: TaskTracker,
    /// Asks loop and workers to stop.
    stop: CancellationToken,
    /// Cuts everything off.
    kill: CancellationToken,
    held: Mutex<Held>,
    /// An attempt has ended: there is room.
    has_room: Notify,
}

/// What this runner holds.
#[derive(Default)]
struct Held {
    jobs: HashMap<JobId, Holding>,
    /// The lane of each kind whose turn it was last.
    turns: HashMap<&'static str, i64>,
    /// Whether more is being taken.
    is_taking: bool,
}

/// A job that this runner holds.
struct Holding {
    kind: &'static str,
    lane: i64,
}

impl Held {
    fn count(&self, kind: &str) -> usize {
        self.jobs.values().filter(|holding| holding.kind == kind).count()
    }

    /// Lanes that have had their share of a kind.
    fn full_lanes(&self, kind: &str, share: usize) -> Vec<i64> {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        for holding in self.jobs.values().filter(|holding| holding.kind == kind) {
            *counts.entry(holding.lane).or_default() += 1;
        }
        counts.into_iter().filter(|(_, count)| *count >= share.max(1)).map(|(lane, _)| lane).collect()
    }

    fn is_idle(&self) -> bool {
        self.jobs.is_empty() && !self.is_taking
    }
}

impl Jobs {
    /// Has these workers take jobs of their kinds until the runner is stopped. Must be called on a runtime of tokio.
    ///
    /// # Panics
    /// When two workers have one kind.
    #[must_use]
    pub fn start(&self, workers: Vec<Arc<dyn Worker>>, settings: RunnerSettings) -> Runner {
        for (position, worker) in workers.iter().enumerate() {
            let is_new = workers[..position].iter().all(|other| other.kind() != worker.kind());
            assert!(is_new, "two workers have the kind {}", worker.kind());
            self.inner.statistics.count(worker.kind(), |_| {});
        }
        let shared = Arc::new(Shared {
            jobs: self.clone(),
            workers,
            settings,
            holder: Uuid::new_v4(),
            attempts: TaskTracker::new(),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            held: Mutex::default(),
            has_room: Notify::new(),
        });
        let loop_stopped = CancellationToken::new();
        let (looping, guard) = (shared.clone(), loop_stopped.clone().drop_guard());
        tokio::spawn(async move {
            let _guard = guard;
            let kill = looping.kill.clone();
            tokio::select! {
                biased;
                () = kill.cancelled() => {}
                () = looping.take_jobs() => {}
            }
        });
        Runner { shared, loop_stopped }
    }
}

impl Runner {
    /// Takes no more jobs, asks the workers to stop, and waits until they did. What they had not done is given back, and
    /// goes on as soon as another runner starts.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.loop_stopped.cancelled().await;
        self.shared.attempts.close();
        self.shared.attempts.wait().await;
    }

    /// Waits until no job of its kinds is due or runs. For tests, whose clock stands still.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settle(&self) -> Result<(), Error> {
        loop {
            let was_idle = self.shared.held().is_idle();
            if self.shared.list_due().await?.is_empty() && was_idle && self.shared.held().is_idle() {
                return Ok(());
            }
            self.shared.jobs.wake();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.shared.kill.cancel();
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("holder", &self.shared.holder).finish_non_exhaustive()
    }
}

impl Shared {
    /// Takes jobs until asked to stop.
    async fn take_jobs(self: &Arc<Self>) {
        let mut told: Option<String> = None;
        let mut is_alone = self.settings.is_alone;
        let mut counted_at = None;
        let mut looks = 0;
        while !self.stop.is_cancelled() {
            match self.look(&mut is_alone, &mut counted_at).await {
                Ok(()) => {
                    if told.take().is_some() {
                        tracing::info!("Could look for jobs again");
                    }
                }
                Err(error) => {
                    let error = wharf_model::error_chain(&error);
                    if told.as_ref() != Some(&error) {
                        tracing::warn!(error, "Could not look for jobs");
                        told = Some(error);
                    }
                }
            }
            // Who enqueued wakes us before it commits: it is looked again soon, a few times.
            let rest = SOON.get(looks).copied().unwrap_or(self.settings.look_every).min(self.settings.look_every);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = self.jobs.inner.wake.notified() => looks = 0,
                () = self.has_room.notified() => {}
                () = tokio::time::sleep(rest) => looks += 1,
            }
        }
    }

    /// Takes what is due and there is room for.
    async fn look(self: &Arc<Self>, is_alone: &mut bool, counted_at: &mut Option<Instant>) -> Result<(), Error> {
        let (database, now) = (&self.jobs.inner.database, self.jobs.inner.clock.now());
        if *is_alone {
            let voided = database.write(move |c| Box::pin(jobs::void_leases(c, now))).await?;
            *is_alone = false;
            if voided > 0 {
                tracing::info!(jobs = voided, "Going on with {voided} jobs that the last server was at");
            }
        }
        if counted_at.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            *counted_at = Some(Instant::now());
            let counts = database.read(|c| Box::pin(jobs::count_open(c))).await?;
            self.jobs.inner.statistics.set_open(&counts);
        }
        let due = self.list_due().await?;
        let _taking = TakingJobs::begin(self);
        for kind in due {
            let Some(worker) = self.workers.iter().find(|worker| worker.kind() == kind) else { continue };
            while self.has_room_for(worker.as_ref()) && !self.stop.is_cancelled() {
                let Some(job) = self.take(worker.as_ref()).await? else { break };
                self.begin(worker.clone(), job);
            }
        }
        Ok(())
    }

    /// Kinds that there is room for and that have a job that is due.
    async fn list_due(&self) -> Result<Vec<String>, Error> {
        let with_room = self.workers.iter().filter(|worker| self.has_room_for(worker.as_ref()));
        let kinds: Vec<&'static str> = with_room.map(|worker| worker.kind()).collect();
        if kinds.is_empty() {
            return Ok(Vec::new());
        }
        let mine: Vec<JobId> = self.held().jobs.keys().copied().collect();
        let now = self.jobs.inner.clock.now();
        let read = self
            .jobs
            .inner
            .database
            .read(move |c| Box::pin(async move { jobs::list_due_kinds(c, &kinds, &mine, now).await }));
        read.await
    }

    fn has_room_for(&self, worker: &dyn Worker) -> bool {
        self.held().count(worker.kind()) < worker.limits().parallel.max(1)
    }

    /// Takes one job, of the registry whose turn it is.
    async fn take(&self, worker: &dyn Worker) -> Result<Option<JobRow>, Error> {
        let kind = worker.kind();
        let (full_lanes, mine, after_lane) = {
            let held = self.held();
            let full_lanes = held.full_lanes(kind, worker.limits().parallel_per_registry);
            let mine: Vec<JobId> = held.jobs.keys().copied().collect();
            (full_lanes, mine, held.turns.get(kind).copied().unwrap_or(-1))
        };
        let (holder, now) = (self.holder, self.jobs.inner.clock.now());
        let lease_until = now + self.settings.lease;
        let write = self.jobs.inner.database.write(move |c| {
            Box::pin(async move {
                let (full_lanes, running) = (&full_lanes[..], &mine[..]);
                let taking = Taking { kind, after_lane, full_lanes, running, holder, now, lease_until };
                jobs::lease(c, &taking).await
            })
        });
        write.await
    }

    /// Has a job run that was taken.
    fn begin(self: &Arc<Self>, worker: Arc<dyn Worker>, job: JobRow) {
        let (id, kind, lane) = (job.id, worker.kind(), job.registry.map_or(0, |registry| registry.0));
        let mut held = self.held();
        held.jobs.insert(id, Holding { kind, lane });
        held.turns.insert(kind, lane);
        drop(held);
        self.jobs.inner.statistics.count(kind, |statistics| statistics.attempts += 1);
        let span = tracing::info_span!("job", job.id = %id, job.kind = kind, job.attempt = job.attempts);
        let attempt = Attempt::new(self.clone(), worker, job);
        let (shared, kill) = (self.clone(), self.kill.clone());
        let task = async move {
            tokio::select! {
                biased;
                () = kill.cancelled() => {}
                () = attempt.make() => {}
            }
            shared.held().jobs.remove(&id);
            shared.has_room.notify_one();
        };
        self.attempts.spawn(task.instrument(span));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks the runner as taking jobs while it lives.
struct TakingJobs<'a>(&'a Shared);

impl<'a> TakingJobs<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.held().is_taking = true;
        Self(shared)
    }
}

impl Drop for TakingJobs<'_> {
    fn drop(&mut self) {
        self.0.held().is_taking = false;
    }
}

/// After how long it is looked again when somebody enqueued a job, whose commit may still be to come.
const SOON: [Duration; 4] =
    [Duration::from_millis(5), Duration::from_millis(20), Duration::from_millis(80), Duration::from_millis(320)];

/// How often open jobs are counted, for metrics.
const COUNT_EVERY: Duration = Duration::from_secs(5);
