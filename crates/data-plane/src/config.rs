//! What may be set about the data plane.

use std::time::Duration;

/// Settings of the data plane.
#[derive(Clone, Debug)]
pub struct DataPlaneConfig {
    /// How long a request's body may stand still before the request is given up.
    pub idle_timeout: Duration,
    /// The largest manifest, in bytes (4 MiB; `acr/data-plane.md` 4.1).
    pub manifest_limit_bytes: usize,
    /// How many bytes of manifests are held in memory at a time, counted as they arrive; further pushes wait for their
    /// turn, and one goes beyond so that they cannot wait for each other for ever.
    pub manifests_in_flight_bytes: usize,
    /// Origins whose web pages may call the registry from a browser, such as `https://portal.example.com`. None unless
    /// the operator says so.
    pub allowed_origins: Vec<String>,
    /// The URLs of the management API of this installation, without a slash at the end: what tokens for it are for.
    /// Registries take those tokens in exchange, unless they are told not to. Azure's own names for it count anyway.
    pub management_audiences: Vec<String>,
}

impl Default for DataPlaneConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            manifest_limit_bytes: 4 << 20,
            manifests_in_flight_bytes: 64 << 20,
            allowed_origins: Vec::new(),
            management_audiences: Vec::new(),
        }
    }
}
