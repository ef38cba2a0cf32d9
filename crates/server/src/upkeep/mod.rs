//! What must hold eventually: reconcilers on timers; and the workers of jobs, which are work that somebody asked for.
//!
//! A reconciler takes no input, compares what is with what should be, and may be run at any time and any number of times. The
//! times are spread a little, so that nodes that were started together do not work together.

mod reconcilers;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::app::App;
use crate::config::Config;
use crate::tls::CertificateKeeper;

pub(crate) use self::workers::{importer, workers};

/// The reconcilers of a server.
pub(crate) struct Upkeep {
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Wakes the collector before its time.
    pub(crate) collect_now: Arc<Notify>,
}

impl Upkeep {
    /// Starts all reconcilers. `cursor`: the last row of the change log that this process has seen.
    pub(crate) fn start(app: &Arc<App>, config: &Config, certificates: Arc<CertificateKeeper>, cursor: i64) -> Self {
        let upkeep = Self { tasks: TaskTracker::new(), stop: CancellationToken::new(), collect_now: Arc::default() };
        upkeep.follow_changes(app, cursor);
        upkeep.collect_garbage(app, config);
        upkeep.remove_deleted_registries(app);
        upkeep.remove_deleted_repositories(app);
        upkeep.settle_trash(app);
        upkeep.purge_trash(app);
        upkeep.remove_untagged_manifests(app);
        upkeep.start_due_purges(app);
        upkeep.describe_manifests(app);
        upkeep.flush_pulls(app);
        upkeep.count_bytes(app);
        upkeep.hold_the_cache_to_its_size(app, config);
        upkeep.close_idle_uploads(app);
        upkeep.rotate_keys(app);
        upkeep.forget_sign_ins(app);
        upkeep.forget_jobs(app);
        upkeep.resume_operations(app);
        upkeep.refresh_certificate(app, certificates);
        upkeep
    }

    /// Ends all reconcilers and waits for those at work. Drop the future to stop waiting.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Runs `reconcile` about every `every`, and when poked, until the end. A failure is told once; the next run is the
    /// next attempt.
    fn keep<F>(
        &self,
        what: &'static str,
        every: Duration,
        poke: Arc<Notify>,
        mut reconcile: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), anyhow::Error>> + Send,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut told: Option<String> = None;
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = poke.notified() => {}
                    () = tokio::time::sleep(spread(every)) => {}
                }
                let result = tokio::select! {
                    biased;
                    // Whatever it was doing is safe to leave undone.
                    () = stop.cancelled() => return,
                    result = reconcile() => result,
                };
                match result {
                    Ok(()) => {
                        if told.take().is_some() {
                            tracing::info!("Could {what} again");
                        }
                    }
                    Err(error) => {
                        let error = format!("{error:#}");
                        if told.as_ref() != Some(&error) {
                            tracing::warn!(error, "Could not {what}");
                            told = Some(error);
                        }
                    }
                }
            }
        });
    }
}

/// The time until the next run: up to a tenth less than `every`.
fn spread(every: Duration) -> Duration {
    let random = Uuid::new_v4().as_u64_pair().0;
    let share = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    every.mul_f64(1.0 - share / 10.0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn times_are_spread_a_little() {
        let every = Duration::from_secs(100);
        let times: Vec<_> = (0..100).map(|_| spread(every)).collect();
        assert!(times.iter().all(|time| (Duration::from_secs(90)..=every).contains(time)));
        assert!(times.iter().any(|time| *time != times[0]));
    }

    #[tokio::test]
    async fn a_reconciler_runs_when_poked_and_ends_when_told() {
        let upkeep = Upkeep { tasks: TaskTracker::new(), stop: CancellationToken::new(), collect_now: Arc::default() };
        let runs = Arc::new(AtomicU32::new(0));
        let (counted, ran, has_run) = (runs.clone(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let signal = has_run.clone();
        upkeep.keep("count", Duration::from_secs(3600), ran.clone(), move || {
            counted.fetch_add(1, Ordering::SeqCst);
            signal.notify_one();
            async { anyhow::bail!("told once") }
        });
        for _ in 0..2 {
            ran.notify_one();
            has_run.notified().await;
        }
        upkeep.stop().await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }
}
