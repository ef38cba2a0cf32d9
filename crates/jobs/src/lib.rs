//! Work that is done later, or again: a durable queue, those who work it off, and schedules.
//!
//! ```text
//! enqueue(c, NewJob) ─► jobs ─ lease ─► Worker::run(&JobRun) ─┬─ Ok(Done)       ─► ended(c, …) and the end, in one transaction
//!   in the caller's       ▲             report, checkpoint    ├─ Ok(Again)      ─► given back, for later
//!   transaction           │             every 10 s: renew     ├─ Err(Transient) ─► given back, for later; at last: failed
//!                         └── given back when asked to stop ──┴─ Err(Permanent) ─► ended(c, …) and the end: failed
//! ```
//!
//! A job runs at least once. Whoever runs it holds it under a lease, which is renewed while it runs and is over half a
//! minute after its process died. Leases are numbered: who lost a lease can neither checkpoint nor end the job, and can ask
//! the same for writes of its own ([`JobRun::fence`]). So a worker must be safe to run twice, never at once with itself
//! where it fences.
//!
//! What this crate does not do: it has no kinds of its own, and what must hold eventually without anybody having asked
//! for it is a reconciler, not a job. Payloads are shown to whoever lists jobs: secrets are sealed by the caller, or
//! named.

mod error;
mod job;
mod jobs;
mod lease;
mod retry;
mod run;
mod runner;
mod schedule;
mod statistics;
mod worker;

pub use error::{Failure, JobError};
pub use job::{Enqueued, NewJob, PayloadTooLarge};
pub use jobs::Jobs;
pub use retry::Retry;
pub use run::JobRun;
pub use runner::{Runner, RunnerSettings};
pub use schedule::{ParseScheduleError, Schedule};
pub use statistics::{KindStatistics, Statistics};
pub use wharf_metadata::jobs::{Filter, JobRow, State};
pub use wharf_model::JobId;
pub use worker::{End, Limits, Outcome, Worker};
