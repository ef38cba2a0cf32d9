//! How much repositories and registries hold.
//!
//! The figures are kept as links of blobs come and go, by a reconciler that counts what waits to be counted: they are some
//! seconds old, and reading them costs the same however much there is. ACR's figure lags behind too
//! (`acr/semantics.md` 1).

use wharf_metadata::sizes;
use wharf_model::RegistryId;

use crate::{Artifacts, Error};

impl Artifacts {
    /// The bytes of the blobs that a registry holds, each counted once however many repositories and manifests share it.
    /// What was pushed or collected in the last seconds may be missing.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn registry_size(&self, id: RegistryId) -> Result<u64, Error> {
        let bytes = self.inner.database.read(move |c| Box::pin(sizes::find_registry(c, id))).await?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Counts the blobs that came and went since the last time. To be called every few seconds; safe to run twice at once
    /// and to be cut off anywhere.
    ///
    /// # Errors
    /// When the metadata fails.
    pub async fn count_bytes(&self) -> Result<(), Error> {
        let database = &self.inner.database;
        // Mostly nothing waits, and then nobody who writes is disturbed.
        let mut more = database.read(|c| Box::pin(sizes::are_pending(c))).await?;
        while more {
            more = database.write(|c| Box::pin(sizes::count_some(c, AT_ONCE))).await?;
        }
        Ok(())
    }
}

/// How many changes one transaction counts.
const AT_ONCE: i64 = 250;
