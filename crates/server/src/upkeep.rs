//! What must hold eventually: reconcilers on timers.
//!
//! Each takes no input, compares what is with what should be, and may be run at any time and any number of times. The
//! times are spread a little, so that nodes that were started together do not work together.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::app::App;
use crate::config::Config;
use crate::tls::{CertificateKeeper, Refreshed};

/// How often the change log is read: how long this node may not know what another process changed.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// How often upload sessions are looked at that nobody writes to.
const IDLE_EVERY: Duration = Duration::from_secs(60);

/// How often signing keys are looked after.
const KEYS_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often the operator's certificate files are looked at.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// How often our own certificate's age is looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(60 * 60);

/// The reconcilers of a server.
pub(crate) struct Upkeep {
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Wakes the collector before its time.
    pub(crate) collect_now: Arc<Notify>,
}

impl Upkeep {
    /// Starts all reconcilers.
    pub(crate) fn start(app: &Arc<App>, config: &Config, certificates: Arc<CertificateKeeper>, cursor: i64) -> Self {
        let upkeep = Self { tasks: TaskTracker::new(), stop: CancellationToken::new(), collect_now: Arc::default() };

        let (follower, cursor) = (app.clone(), Arc::new(AtomicI64::new(cursor)));
        upkeep.keep("follow the change log", FOLLOW_EVERY, Arc::default(), move || {
            let (app, cursor) = (follower.clone(), cursor.clone());
            async move {
                let next = app.artifacts.follow_changes(cursor.load(Ordering::Relaxed)).await?;
                cursor.store(next, Ordering::Relaxed);
                Ok(())
            }
        });

        if !config.gc.interval.is_zero() {
            let collector = app.clone();
            let poke = upkeep.collect_now.clone();
            upkeep.keep("collect garbage", config.gc.interval, poke, move || {
                let app = collector.clone();
                async move {
                    let report = app.artifacts.collect(false).await?;
                    if report.removed_objects > 0 || report.failed_objects > 0 {
                        tracing::info!(
                            removed_objects = report.removed_objects,
                            freed_bytes = report.freed_bytes,
                            failed_objects = report.failed_objects,
                            expired_uploads = report.expired_uploads,
                            "Collected garbage: {} objects removed",
                            report.removed_objects
                        );
                    }
                    Ok(())
                }
            });
        }

        let uploads = app.clone();
        upkeep.keep("close the files of idle uploads", IDLE_EVERY, Arc::default(), move || {
            uploads.artifacts.park_idle_uploads();
            async { Ok(()) }
        });

        let keys = app.clone();
        upkeep.keep("look after the signing keys", KEYS_EVERY, Arc::default(), move || {
            let app = keys.clone();
            async move { Ok(app.identity.rotate_keys().await?) }
        });

        let every = if certificates.watches_files() { FILES_EVERY } else { CERTIFICATE_EVERY };
        let clock = app.clock.clone();
        upkeep.keep("refresh the certificate", every, Arc::default(), move || {
            let (certificates, now) = (certificates.clone(), clock.now());
            async move {
                if tokio::task::spawn_blocking(move || certificates.refresh(now)).await?? == Refreshed::Replaced {
                    tracing::info!("HTTPS shows a new certificate");
                }
                Ok(())
            }
        });
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
    use std::sync::atomic::AtomicU32;

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
