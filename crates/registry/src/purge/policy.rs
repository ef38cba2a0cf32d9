//! Purge policies: purges that the server runs, as jobs, when their time has come or somebody asks.
//!
//! One run of a policy is open at a time. A run keeps its place page by page, so it goes on where a server before this one
//! was ended. Times that nobody was there for run once.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wharf_jobs::{End, JobError, JobRow, JobRun, Limits, NewJob, Outcome, Schedule, Worker};
use wharf_metadata::operations::{self, Status};
use wharf_metadata::purge::{self, NewPurgeRun, PurgePolicyRow};
use wharf_metadata::{Connection, registries};
use wharf_model::Timestamp;

use super::report::PurgeReport;
use super::run::PurgeError;
use super::spec::PurgeSpec;
use super::state::PurgeState;
use super::watch::{PurgeEvent, PurgeStopped, PurgeWatch};
use crate::{Artifacts, Error};

/// A run of a policy, as a job is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunPayload {
    policy: String,
    spec: PurgeSpec,
    dry_run: bool,
    /// What is polled by whoever asked for the run.
    operation: Option<Uuid>,
}

/// A run that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartedPurge {
    /// Its id: that of its job.
    pub id: Uuid,
    /// Whether it is a new one; else one of this policy is open, and nothing was begun.
    pub is_new: bool,
}

impl Artifacts {
    /// Has a policy run, unless a run of it is open: in the caller's transaction, which must hold the policy
    /// ([`purge::find_policy`]). `operation` ends when the run does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_purge(
        &self,
        c: &mut Connection,
        policy: &PurgePolicyRow,
        dry_run: bool,
        operation: Option<Uuid>,
    ) -> Result<StartedPurge, wharf_metadata::Error> {
        let malformed =
            || wharf_metadata::Error::Malformed { what: "purge policy", value: policy.resource_key.clone() };
        let spec = PurgeSpec::deserialize(&policy.spec).map_err(|_| malformed())?;
        let payload = RunPayload { policy: policy.name.clone(), spec, dry_run, operation };
        let job = NewJob::new(KIND, &payload).map_err(|_| malformed())?;
        let job = job.key(policy.resource_key.as_str()).registry(policy.registry);
        let enqueued = self.jobs().enqueue(c, &job).await?;
        if enqueued.is_new {
            let new = NewPurgeRun {
                id: enqueued.id.0,
                registry: policy.registry,
                resource_key: &policy.resource_key,
                is_dry_run: dry_run,
                status: PENDING,
                totals: &to_json(&PurgeReport { dry_run, ..PurgeReport::default() }),
                started_at: self.now(),
            };
            purge::insert_run(c, &new).await?;
            purge::forget_runs(c, &policy.resource_key, RUNS_KEPT).await?;
        }
        Ok(StartedPurge { id: enqueued.id.0, is_new: enqueued.is_new })
    }

    /// Has policies run whose time has come, and notes when they run next. Returns how many began. A reconciler: safe to run
    /// at any time, on every node.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_due_purges(&self) -> Result<u64, Error> {
        let now = self.now();
        let due = self.inner.database.read(move |c| Box::pin(purge::list_due_policies(c, now, AT_ONCE))).await?;
        let mut begun = 0;
        for policy in due {
            let this = self.clone();
            let write =
                self.inner.database.write(move |c| Box::pin(async move { this.start_if_due(c, policy, now).await }));
            begun += u64::from(write.await?);
        }
        Ok(begun)
    }

    async fn start_if_due(
        &self,
        c: &mut Connection,
        listed: PurgePolicyRow,
        now: Timestamp,
    ) -> Result<bool, wharf_metadata::Error> {
        let Some(policy) = purge::find_policy(c, &listed.resource_key).await? else { return Ok(false) };
        let Some(due_at) = policy.next_run_at.filter(|due_at| *due_at <= now) else { return Ok(false) };
        let next = next_purge(policy.schedule.as_deref(), now);
        purge::reschedule_policy(c, &policy.resource_key, due_at, next).await?;
        Ok(self.start_purge(c, &policy, false, None).await?.is_new)
    }
}

/// When a policy with this schedule runs next by itself.
#[must_use]
pub fn next_purge(schedule: Option<&str>, now: Timestamp) -> Option<Timestamp> {
    schedule?.parse::<Schedule>().ok()?.next_after(now)
}

/// Runs policies.
#[derive(Clone, Debug)]
pub struct PurgeWorker {
    artifacts: Artifacts,
}

impl PurgeWorker {
    /// The worker for these artifacts.
    #[must_use]
    pub fn new(artifacts: Artifacts) -> Self {
        Self { artifacts }
    }
}

#[async_trait]
impl Worker for PurgeWorker {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn limits(&self) -> Limits {
        Limits { parallel: 2, parallel_per_registry: 1, ..Limits::default() }
    }

    async fn run(&self, run: &JobRun) -> Result<Outcome, JobError> {
        let payload: RunPayload = run.payload()?;
        let state = match run.state()? {
            Some(state) => state,
            None => PurgeState::begin(self.artifacts.now(), payload.dry_run),
        };
        let gone = || JobError::permanent("the registry is gone");
        let id = run.registry().ok_or_else(gone)?;
        let find = self.artifacts.inner.database.read(move |c| Box::pin(registries::find(c, id)));
        let registry = find.await?.ok_or_else(gone)?;
        let actor = format!("purge policy {}", payload.policy);
        let mut watch = Watch { run, artifacts: &self.artifacts, failure: None };
        let done = self.artifacts.purge(&registry, &payload.spec, &actor, state, &mut watch).await;
        match done {
            Ok(state) => {
                let report = &state.report;
                tracing::info!(
                    registry.name = %registry.name, purge.policy = %payload.policy, purge.dry_run = report.dry_run,
                    purge.tags = report.deleted_tags, purge.manifests = report.deleted_manifests,
                    "Purge policy {} of {}: {} tags and {} manifests {}",
                    payload.policy, registry.name, report.deleted_tags, report.deleted_manifests,
                    if report.dry_run { "would go" } else { "removed" }
                );
                Outcome::done_with(report)
            }
            Err(PurgeError::Stopped(_)) => Err(watch.failure.unwrap_or(JobError::Stopped)),
            Err(PurgeError::Store(error)) => Err(JobError::transient(error)),
            Err(error @ (PurgeError::Spec(_) | PurgeError::FilterTimeout { .. })) => Err(JobError::permanent(error)),
        }
    }

    async fn ended(&self, c: &mut Connection, job: &JobRow, end: &End) -> Result<(), wharf_metadata::Error> {
        let now = self.artifacts.now();
        // How far it came, if it came to no end.
        let kept = || job.checkpoint.as_ref().and_then(|state| state.get("report")).cloned().unwrap_or_default();
        let (status, error, report) = match end {
            End::Succeeded(report) => (Status::Succeeded, None, report.clone()),
            End::Failed { message, .. } => (Status::Failed, Some(message.as_str()), kept()),
            End::Canceled => (Status::Canceled, None, kept()),
        };
        let (totals, report) = (totals(&report), Some(&report).filter(|report| report.is_object()));
        purge::end_run(c, job.id.0, status.as_str(), &totals, report, error, now).await?;
        let payload = RunPayload::deserialize(&job.payload).ok();
        if let Some(operation) = payload.and_then(|payload| payload.operation) {
            let told = match end {
                End::Succeeded(_) => None,
                End::Failed { message, .. } => Some(serde_json::json!({"code": "BadRequest", "message": message})),
                End::Canceled => Some(serde_json::json!({"code": "Conflict", "message": "The run was called off."})),
            };
            operations::end(c, operation, status, told.as_ref(), report, now).await?;
        }
        Ok(())
    }
}

/// Keeps how far a run is, and shows it.
struct Watch<'a> {
    run: &'a JobRun,
    artifacts: &'a Artifacts,
    /// Why the purge is to stop.
    failure: Option<JobError>,
}

#[async_trait]
impl PurgeWatch for Watch<'_> {
    async fn told(&mut self, event: PurgeEvent<'_>) -> Result<(), PurgeStopped> {
        let done = match event {
            PurgeEvent::Kept(state) => self.keep(state).await,
            _ => self.run.check(),
        };
        done.map_err(|error| {
            self.failure = Some(error);
            PurgeStopped
        })
    }
}

impl Watch<'_> {
    async fn keep(&self, state: &PurgeState) -> Result<(), JobError> {
        let shown = totals(&to_json(&state.report));
        let (run, kept, numbers) = (self.run.clone(), state.clone(), shown.clone());
        let write = self.artifacts.inner.database.write(move |c| {
            Box::pin(async move {
                purge::update_run(c, run.id().0, RUNNING, &numbers).await?;
                run.checkpoint_in(c, &kept).await
            })
        });
        write.await?;
        self.run.report(&shown).await
    }
}

/// A report without its list.
fn totals(report: &Value) -> Value {
    let mut totals = report.clone();
    if let Some(members) = totals.as_object_mut() {
        members.remove("items");
        members.remove("hasMoreItems");
        return totals;
    }
    to_json(&PurgeReport::default())
}

fn to_json(report: &PurgeReport) -> Value {
    serde_json::to_value(report).expect("a report serialises")
}

/// What the jobs are called that run policies.
const KIND: &str = "purge.run";

/// The words of a run that has not ended.
const PENDING: &str = "Pending";
const RUNNING: &str = "Running";

/// How many runs of a policy are remembered.
const RUNS_KEPT: i64 = 100;

/// How many policies one look finds.
const AT_ONCE: i64 = 100;
