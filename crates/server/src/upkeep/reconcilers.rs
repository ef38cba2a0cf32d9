//! The reconcilers, and how often each looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Upkeep;
use crate::app::App;
use crate::config::Config;
use crate::tls::{CertificateKeeper, Refreshed};

/// How often the change log and the version of who may do what are read: how long this node may not know what another
/// process changed.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// How often there may be something left of registries and repositories that were deleted.
const REMOVE_EVERY: Duration = Duration::from_secs(5);

/// How often untagged manifests are looked for that are due. Without retention that is one look at an empty index.
const UNTAGGED_EVERY: Duration = Duration::from_secs(3);

/// How often the trash is looked at for what has been there long enough.
const PURGE_TRASH_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often purge policies are looked for whose time has come: schedules tell minutes.
const DUE_PURGES_EVERY: Duration = Duration::from_secs(10);

/// How often manifests are looked for whose platform is not known. There are none but those from before it was recorded, and
/// those whose config could not be read.
const DESCRIBE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How often it is written what was pulled: how much of that a process loses that is killed.
const PULLS_EVERY: Duration = Duration::from_secs(5);

/// How often blobs that came and went are counted.
const BYTES_EVERY: Duration = Duration::from_secs(3);

/// How often the artifact cache is held to its size.
const EVICT_EVERY: Duration = Duration::from_secs(60);

/// How often upload sessions are looked at that nobody writes to.
const IDLE_EVERY: Duration = Duration::from_secs(60);

/// How often signing keys are looked after.
const KEYS_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often codes and tokens of sign-ins are looked at, jobs that have ended, and operations on resources.
const SWEEP_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often the operator's certificate files are looked at.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// How often our own certificate's age is looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(60 * 60);

impl Upkeep {
    pub(super) fn follow_changes(&self, app: &Arc<App>, cursor: i64) {
        let (app, cursor) = (app.clone(), Arc::new(AtomicI64::new(cursor)));
        self.keep("follow the change log", FOLLOW_EVERY, Arc::default(), move || {
            let (app, cursor) = (app.clone(), cursor.clone());
            async move {
                // First of all: rights that were taken away are the most urgent.
                app.database.follow_access().await?;
                let next = app.artifacts.follow_changes(cursor.load(Ordering::Relaxed)).await?;
                cursor.store(next, Ordering::Relaxed);
                Ok(())
            }
        });
    }

    pub(super) fn collect_garbage(&self, app: &Arc<App>, config: &Config) {
        if config.gc.interval.is_zero() {
            return;
        }
        let (app, poke) = (app.clone(), self.collect_now.clone());
        self.keep("collect garbage", config.gc.interval, poke, move || {
            let app = app.clone();
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

    pub(super) fn remove_deleted_registries(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("remove what deleted registries held", REMOVE_EVERY, Arc::default(), move || {
            let app = app.clone();
            async move {
                let removed = app.artifacts.remove_deleted_registries().await?;
                if removed > 0 {
                    tracing::info!(registries = removed, "Removed what {removed} deleted registries held");
                }
                Ok(())
            }
        });
    }

    pub(super) fn remove_deleted_repositories(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("remove what deleted repositories held", REMOVE_EVERY, Arc::default(), move || {
            let app = app.clone();
            async move {
                let removed = app.artifacts.remove_deleted_repositories().await?;
                if removed > 0 {
                    tracing::info!(repositories = removed, "Removed what {removed} deleted repositories held");
                }
                Ok(())
            }
        });
    }

    pub(super) fn settle_trash(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("write the books of the trash", REMOVE_EVERY, Arc::default(), move || {
            let app = app.clone();
            async move {
                app.artifacts.settle_trash().await?;
                Ok(())
            }
        });
    }

    pub(super) fn purge_trash(&self, app: &Arc<App>) {
        let app = app.clone();
        // At once, too: a server may have been off for days.
        let poke = Arc::new(Notify::new());
        poke.notify_one();
        self.keep("empty the trash", PURGE_TRASH_EVERY, poke, move || {
            let app = app.clone();
            async move {
                let purged = app.artifacts.purge_trash().await?;
                if purged > 0 {
                    tracing::info!(manifests = purged, "Removed {purged} manifests from the trash whose time was over");
                }
                Ok(())
            }
        });
    }

    pub(super) fn remove_untagged_manifests(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("remove untagged manifests that are due", UNTAGGED_EVERY, Arc::default(), move || {
            let app = app.clone();
            async move {
                let removed = app.artifacts.remove_untagged_manifests().await?;
                if removed > 0 {
                    tracing::info!(manifests = removed, "Removed {removed} untagged manifests that were due");
                }
                Ok(())
            }
        });
    }

    pub(super) fn start_due_purges(&self, app: &Arc<App>) {
        let app = app.clone();
        // At once, too: what was due while no server ran.
        let poke = Arc::new(Notify::new());
        poke.notify_one();
        self.keep("start the purges that are due", DUE_PURGES_EVERY, poke, move || {
            let app = app.clone();
            async move {
                let begun = app.artifacts.start_due_purges().await?;
                if begun > 0 {
                    tracing::info!(policies = begun, "Started {begun} purge policies");
                }
                Ok(())
            }
        });
    }

    pub(super) fn describe_manifests(&self, app: &Arc<App>) {
        let app = app.clone();
        // At once, too: what was pushed to an older version.
        let poke = Arc::new(Notify::new());
        poke.notify_one();
        self.keep("look for the platforms of manifests", DESCRIBE_EVERY, poke, move || {
            let app = app.clone();
            async move {
                let described = app.artifacts.describe_manifests().await?;
                if described > 0 {
                    tracing::info!(manifests = described, "Recorded the platforms of {described} manifests");
                }
                Ok(())
            }
        });
    }

    pub(super) fn flush_pulls(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("write what was pulled", PULLS_EVERY, app.artifacts.flush_pulls_now(), move || {
            let app = app.clone();
            async move { Ok(app.artifacts.flush_pulls().await?) }
        });
    }

    pub(super) fn count_bytes(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("count the bytes of repositories", BYTES_EVERY, Arc::default(), move || {
            let app = app.clone();
            async move { Ok(app.artifacts.count_bytes().await?) }
        });
    }

    pub(super) fn hold_the_cache_to_its_size(&self, app: &Arc<App>, config: &Config) {
        if config.cache.max_bytes.is_none() {
            return;
        }
        // What serves has made it.
        let Ok(cache) = app.cache(config) else { return };
        self.keep("hold the artifact cache to its size", EVICT_EVERY, Arc::default(), move || {
            let cache = cache.clone();
            async move {
                let report = cache.evict().await?;
                if report.removed_manifests > 0 {
                    let (removed_manifests, size_bytes) = (report.removed_manifests, report.size_bytes);
                    tracing::info!(
                        removed_manifests,
                        size_bytes,
                        "Removed {removed_manifests} manifests from the artifact cache, which took {size_bytes} bytes"
                    );
                }
                Ok(())
            }
        });
    }

    pub(super) fn close_idle_uploads(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("close the files of idle uploads", IDLE_EVERY, Arc::default(), move || {
            app.artifacts.park_idle_uploads();
            async { Ok(()) }
        });
    }

    pub(super) fn rotate_keys(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("look after the signing keys", KEYS_EVERY, Arc::default(), move || {
            let app = app.clone();
            async move { Ok(app.identity.rotate_keys().await?) }
        });
    }

    pub(super) fn forget_sign_ins(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("forget sign-ins that have expired", SWEEP_EVERY, Arc::default(), move || {
            let app = app.clone();
            async move { Ok(app.identity.remove_expired_sign_ins().await?) }
        });
    }

    pub(super) fn forget_jobs(&self, app: &Arc<App>) {
        let app = app.clone();
        self.keep("forget jobs that ended a week ago", SWEEP_EVERY, Arc::default(), move || {
            let app = app.clone();
            async move { Ok(app.artifacts.jobs().forget_ended().await.map(drop)?) }
        });
    }

    pub(super) fn resume_operations(&self, app: &Arc<App>) {
        let app = app.clone();
        // At once, too: what the last end of this server cut off.
        let poke = Arc::new(Notify::new());
        poke.notify_one();
        self.keep("go on with operations on resources", SWEEP_EVERY, poke, move || {
            let management = app.management.clone();
            async move { management.resume().await.map_err(|failure| anyhow::anyhow!("{failure}")) }
        });
    }

    pub(super) fn refresh_certificate(&self, app: &Arc<App>, certificates: Arc<CertificateKeeper>) {
        let every = if certificates.watches_files() { FILES_EVERY } else { CERTIFICATE_EVERY };
        let clock = app.clock.clone();
        self.keep("refresh the certificate", every, Arc::default(), move || {
            let (certificates, now) = (certificates.clone(), clock.now());
            async move {
                if tokio::task::spawn_blocking(move || certificates.refresh(now)).await?? == Refreshed::Replaced {
                    tracing::info!("HTTPS shows a new certificate");
                }
                Ok(())
            }
        });
    }
}
