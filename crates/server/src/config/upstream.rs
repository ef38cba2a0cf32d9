//! Other registries, from which imports and the artifact cache fetch.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use wharf_upstream::{TrustedRealm, UpstreamAddress, UpstreamSettings};

use super::{Config, Layers};

/// Section `[upstreams]`.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamConfig {
    /// Registries that speak plain HTTP: `registry.lab:5000`; without a port, at any. Those on this machine need not be
    /// named.
    pub(crate) plain_http: Vec<UpstreamAddress>,
    /// PEM file with certificates of authorities to trust, besides those that the machine trusts.
    pub(crate) ca: Option<PathBuf>,
    /// By registry, the hosts of token services elsewhere that may be given its credentials.
    pub(crate) realms: BTreeMap<UpstreamAddress, Vec<String>>,
    /// How long an answer may keep us waiting, and a body may stand still.
    pub(crate) stall_timeout: Duration,
}

impl UpstreamConfig {
    pub(super) fn layer(layers: &mut Layers<'_>, file: UpstreamSection) -> Self {
        let stall = file.stall_timeout_seconds.map(Duration::from_secs);
        Self {
            plain_http: layers.pick("upstreams.plain_http", "upstreams", None, file.plain_http, Vec::new),
            ca: layers.pick_option("upstreams.ca", "upstreams", None, file.ca),
            realms: layers.pick("upstreams.realms", "upstreams", None, file.realms, BTreeMap::new),
            stall_timeout: layers
                .pick("upstreams.stall_timeout_seconds", "upstreams", None, stall, || Duration::from_secs(30)),
        }
    }

    pub(super) fn validate(&self, config: &Config) -> Result<(), anyhow::Error> {
        if !(1..=3600).contains(&self.stall_timeout.as_secs()) {
            let place = config.place("upstreams.stall_timeout_seconds");
            bail!("{place} is {}; it must be 1 to 3600", self.stall_timeout.as_secs());
        }
        for host in self.realms.values().flatten() {
            let is_host = host.parse::<UpstreamAddress>().is_ok_and(|address| address.port().is_none());
            if !is_host {
                bail!("{} has {host:?}, which is no host without a port", config.place("upstreams.realms"));
            }
        }
        Ok(())
    }

    /// What the clients of other registries go by.
    ///
    /// # Errors
    /// When the file of certificates cannot be read.
    pub(crate) fn settings(&self) -> Result<UpstreamSettings, anyhow::Error> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}, which upstreams.ca names", path.display()))
        };
        let realms = self.realms.iter().flat_map(|(registry, hosts)| {
            hosts.iter().map(|host| TrustedRealm { registry: registry.clone(), host: host.to_ascii_lowercase() })
        });
        Ok(UpstreamSettings {
            plain_http: self.plain_http.clone(),
            authority: self.ca.as_ref().map(read).transpose()?,
            realms: realms.collect(),
            patience: self.stall_timeout,
        })
    }

    /// The registries of `plain_http` as text.
    pub(super) fn plain_http_text(&self) -> String {
        self.plain_http.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// The realms as text.
    pub(super) fn realms_text(&self) -> String {
        let one = |(registry, hosts): (&UpstreamAddress, &Vec<String>)| format!("{registry}={}", hosts.join("+"));
        self.realms.iter().map(one).collect::<Vec<_>>().join(",")
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamSection {
    plain_http: Option<Vec<UpstreamAddress>>,
    ca: Option<PathBuf>,
    realms: Option<BTreeMap<UpstreamAddress, Vec<String>>>,
    stall_timeout_seconds: Option<u64>,
}
