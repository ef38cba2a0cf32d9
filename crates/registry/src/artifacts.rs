//! The handle that carries the stores, the caches and the settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wharf_blobs::BlobStore;
use wharf_jobs::Jobs;
use wharf_metadata::{Database, RegistryRow};
use wharf_model::{Clock, RepositoryName, Timestamp};

use crate::cache::Caches;
use crate::charts::Indices;
use crate::pulls::Pulls;
use crate::uploads::Sessions;

/// What may be set about artifacts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a blob that no manifest refers to is kept, counted from its push, mount or last `HEAD` by a pusher.
    pub blob_lease: Duration,
    /// How long an upload session is kept after its last acknowledged bytes.
    pub upload_ttl: Duration,
    /// How long the bytes of a removed blob stay, for readers who have begun.
    pub object_grace: Duration,
    /// The largest blob, in bytes (200 GiB; `acr/semantics.md` section 1).
    pub blob_limit_bytes: u64,
    /// Blobs up to this size, pushed in one piece, travel in the metadata's commit instead of a file of their own.
    pub inline_limit_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            blob_lease: Duration::from_secs(24 * 60 * 60),
            upload_ttl: Duration::from_secs(24 * 60 * 60),
            object_grace: Duration::from_secs(10 * 60),
            blob_limit_bytes: 200 << 30,
            inline_limit_bytes: 16 << 10,
        }
    }
}

/// The repository that a use case works on.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its registry.
    pub registry: &'a RegistryRow,
    /// Its name.
    pub repository: &'a RepositoryName,
}

/// The artifacts of all registries of an installation. Clones share everything.
#[derive(Clone)]
pub struct Artifacts {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) jobs: Jobs,
    pub(crate) settings: Settings,
    pub(crate) caches: Caches,
    pub(crate) chart_indices: Indices,
    pub(crate) sessions: Sessions,
    pub(crate) pulls: Pulls,
    /// When this process began; sessions that are older may have been left by another.
    pub(crate) started_at: Timestamp,
}

impl Artifacts {
    /// Puts the stores together. `state_key` authenticates the state of upload sessions that travels in URLs; all nodes
    /// of an installation must have the same.
    #[must_use]
    pub fn new(
        database: Database,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        state_key: &[u8; 32],
    ) -> Self {
        let caches = Caches::new(!database.is_shared());
        let chart_indices = Indices::new();
        let sessions = Sessions::new(state_key);
        let started_at = clock.now();
        let pulls = Pulls::default();
        let jobs = Jobs::new(database.clone(), clock.clone());
        Self {
            inner: Arc::new(Inner {
                database,
                blobs,
                clock,
                jobs,
                settings,
                caches,
                chart_indices,
                sessions,
                pulls,
                started_at,
            }),
        }
    }

    /// The database beneath.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// The blob store beneath.
    #[must_use]
    pub fn blob_store(&self) -> &Arc<dyn BlobStore> {
        &self.inner.blobs
    }

    /// Work that is done later.
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.inner.jobs
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }
}

impl fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifacts").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}
