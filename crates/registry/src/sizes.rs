//! How much a registry holds.
//!
//! To know it, all links of the registry are walked: instant for most, seconds for one with millions of blobs. So each
//! result is believed for as long as pays for the walk: at most a twentieth of a core goes into measuring, however often
//! somebody asks. ACR's figure lags behind too (`acr/semantics.md` 1).

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::Mutex;
use wharf_metadata::registries;
use wharf_model::RegistryId;

use crate::{Artifacts, Error};

/// What was measured lately.
#[derive(Debug)]
pub(crate) struct Sizes {
    known: Cache<RegistryId, Measured>,
    /// One walk at a time.
    walk: Arc<Mutex<()>>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    bytes: u64,
    at: Instant,
    took: Duration,
}

impl Measured {
    fn is_recent(&self) -> bool {
        self.at.elapsed() < self.took * PATIENCE
    }
}

impl Sizes {
    pub(crate) fn new() -> Self {
        Self { known: Cache::new(MOST), walk: Arc::default() }
    }
}

impl Artifacts {
    /// The bytes of the blobs that a registry holds, each counted once however many repositories and manifests share it.
    /// In a large registry the figure may be some time old.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn registry_size(&self, id: RegistryId) -> Result<u64, Error> {
        let sizes = &self.inner.sizes;
        let recent = || sizes.known.get(&id).filter(Measured::is_recent);
        if let Some(measured) = recent() {
            return Ok(measured.bytes);
        }
        let _alone = sizes.walk.lock().await;
        if let Some(measured) = recent() {
            return Ok(measured.bytes);
        }
        let at = Instant::now();
        let bytes = self.inner.database.read(move |c| Box::pin(registries::size_bytes(c, id))).await?;
        let bytes = u64::try_from(bytes).unwrap_or(0);
        sizes.known.insert(id, Measured { bytes, at: Instant::now(), took: at.elapsed() });
        Ok(bytes)
    }
}

/// For how many times the length of a walk its result is believed.
const PATIENCE: u32 = 20;

/// How many registries are remembered.
const MOST: u64 = 10_000;
