//! Keeping a lease while a worker works.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::JobRun;

/// Keeps the lease of an attempt, writes what it reports, and asks it to stop when the job is called off. Returns when the
/// lease is lost, or may be: before anybody else can have it, the worker must be gone.
pub(crate) async fn keep(run: &JobRun) {
    let span = run.inner.lease_span;
    let mut renewed_at = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY.min(span / 6)).await;
        let is_old = renewed_at.elapsed() >= span / 3;
        let begun_at = Instant::now();
        let answer = timeout_at(renewed_at + span - span / 6, async {
            if is_old || run.unwritten().is_some() {
                run.renew().await.map(|held| (held, true))
            } else {
                run.look().await.map(|held| (held, false))
            }
        });
        match answer.await {
            Ok(Ok((true, is_renewed))) => {
                if is_renewed {
                    renewed_at = begun_at;
                }
            }
            Ok(Ok((false, _))) => {
                tracing::warn!(job = %run.id(), "Lost the lease of job {}; whoever has it goes on with it", run.id());
                return;
            }
            // It may be back before the lease is over.
            Ok(Err(_)) if renewed_at.elapsed() < span - span / 6 => {}
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(job = %run.id(), "Could not renew the lease of job {} in time", run.id());
                return;
            }
        }
    }
}

/// How often it is looked whether the job is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(500);
