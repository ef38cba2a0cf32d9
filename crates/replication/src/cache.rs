//! The artifact cache: repositories that fill themselves from other registries as they are pulled from.
//!
//! ```text
//! GET …/manifests/v1 ─► a rule fills this repository? ─no─► what is here
//!                          │ yes
//!                          ├─ asked there lately, and it is here ─► what is here
//!                          ├─ HEAD there: the same digest ─────────► what is here, for another while
//!                          ├─ another one ─► fetched, compared, handed out ─┐
//!                          └─ no answer ─► what is here, with a Warning     │ behind it, whoever leaves:
//!                                                                           ▼ its blobs are fetched, then it is stored
//! GET …/blobs/sha256:… ─► here? ─no─► one fetch for all who wait: written, read along, compared, stored
//! ```
//!
//! What is stored goes the way of every push: an upload whose digest is compared, a manifest whose blobs are there. The one
//! difference is an index, which is stored though what it lists is not here: who pulls for one platform does not fetch all.
//!
//! Registries without rules pay for one look into a map, and only where a tag is asked for or something is not here.
//!
//! What is decided where ACR says nothing is in `docs/decisions/0045-artifact-cache.md`. Source: `acr/semantics.md` 10.

mod awaiting;
mod back_off;
mod blobs;
mod complete;
mod evict;
mod fill;
mod flights;
mod follow;
mod health;
mod manifests;
mod problem;
mod push;
mod referrers;
mod rule;
mod rules;
mod tasks;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache as Memory;
use tokio::sync::Semaphore;
use wharf_identity::secrets::Secrets;
use wharf_metadata::cache_rules::CredentialHealth;
use wharf_metadata::{RegistryRow, cached};
use wharf_model::{Clock, Digest, RepositoryName, Timestamp};
use wharf_oci::Descriptor;
use wharf_registry::{Artifacts, Manifest, Target};
use wharf_upstream::{UpstreamClient, Upstreams};

use self::awaiting::Awaiting;
use self::back_off::BackOff;
use self::fill::Fill;
use self::flights::Flights;
use self::problem::Problem;
use self::rules::{Route, Rules};
use self::tasks::Tasks;

pub use self::blobs::{ArrivingBlob, CachedBlob, CachedBlobInfo};
pub use self::evict::EvictReport;
pub use self::follow::FollowError;
pub use self::manifests::{CachedManifest, ManifestFacts, Want};
pub use self::problem::CacheError;
pub use wharf_upstream::UpstreamAddress as RegistryAddress;

pub use self::rule::{ParseRuleError, Pattern, Source, check_sides, find_conflict};

/// What may be set about the artifact cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// For how long a tag is served without asking where it comes from.
    pub fresh_for: Duration,
    /// How many bytes of blobs what came through the cache may take, in all registries together; no bound without it.
    pub max_bytes: Option<u64>,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { fresh_for: Duration::from_secs(300), max_bytes: None }
    }
}

/// The artifact cache of an installation. Clones share everything.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    artifacts: Artifacts,
    upstreams: Upstreams,
    secrets: Secrets,
    clock: Arc<dyn Clock>,
    settings: CacheSettings,
    rules: Rules,
    back_off: BackOff,
    /// What tags name where they come from, as of when that was asked.
    tags: Memory<String, Arc<Asked>>,
    /// Manifests that are not stored yet, since their blobs are not all here.
    pending: Memory<String, Arc<Manifest>>,
    /// Tags that manifests are to get once they are stored.
    awaiting: Awaiting,
    /// Tags that may not be moved: they are written once.
    settled: Memory<String, ()>,
    /// Sizes of blobs, as manifests say that were handed out.
    sizes: Memory<String, u64>,
    referrers: Memory<String, Arc<AskedReferrers>>,
    /// What came of trying credentials, by what was tried.
    checks: Memory<String, CredentialHealth>,
    looking: Flights<Arc<Asked>>,
    fetching: Flights<Result<Arc<Manifest>, Problem>>,
    listing: Flights<Arc<AskedReferrers>>,
    fills: Mutex<HashMap<String, Arc<Fill>>>,
    completing: Mutex<BTreeSet<String>>,
    /// How many blobs are fetched at a time that no client asked for yet.
    ahead: Semaphore,
    tasks: Tasks,
}

/// What came of asking about a tag.
#[derive(Clone, Debug)]
struct Asked {
    at: Timestamp,
    found: Result<ManifestFacts, Problem>,
}

/// What came of asking for referrers.
#[derive(Clone, Debug)]
struct AskedReferrers {
    at: Timestamp,
    found: Result<Vec<Descriptor>, Problem>,
}

/// A repository that a request is for, on the server's own account: it outlives the request.
#[derive(Clone, Debug)]
struct Place {
    registry: Arc<RegistryRow>,
    repository: RepositoryName,
}

impl Place {
    fn target(&self) -> Target<'_> {
        Target { registry: &self.registry, repository: &self.repository }
    }

    /// `7/hub/redis@sha256:…`, `7/hub/redis:7`: what is remembered under.
    fn key(&self, separator: char, name: &str) -> String {
        format!("{}/{}{separator}{name}", self.registry.id.0, self.repository)
    }

    fn digest_key(&self, digest: &Digest) -> String {
        self.key('@', digest.as_str())
    }
}

impl Cache {
    /// The cache on these artifacts, which signs in elsewhere with these secrets.
    #[must_use]
    pub fn new(
        artifacts: Artifacts,
        upstreams: Upstreams,
        secrets: Secrets,
        clock: Arc<dyn Clock>,
        settings: CacheSettings,
    ) -> Self {
        let manifest = |key: &String, manifest: &Arc<Manifest>| weight(key.len() + manifest.bytes.len());
        let hour = Duration::from_secs(60 * 60);
        Self(Arc::new(Inner {
            artifacts,
            upstreams,
            secrets,
            clock,
            settings,
            rules: Rules::default(),
            back_off: BackOff::default(),
            tags: Memory::builder().max_capacity(100_000).build(),
            pending: Memory::builder().max_capacity(64 << 20).weigher(manifest).time_to_live(hour).build(),
            awaiting: Awaiting::default(),
            settled: Memory::builder().max_capacity(100_000).time_to_live(hour).build(),
            sizes: Memory::builder().max_capacity(100_000).time_to_live(hour).build(),
            referrers: Memory::builder().max_capacity(1_000).build(),
            checks: Memory::builder().max_capacity(1_000).time_to_live(Duration::from_secs(60)).build(),
            looking: Flights::default(),
            fetching: Flights::default(),
            listing: Flights::default(),
            fills: Mutex::default(),
            completing: Mutex::default(),
            ahead: Semaphore::new(AHEAD),
            tasks: Tasks::default(),
        }))
    }

    /// Waits until nothing is being fetched.
    pub async fn settle(&self) {
        self.0.tasks.settle().await;
    }

    /// Where the secrets are that credential sets name.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The rule that fills a repository, if what is here does not stand against it: a lock, or, where a wildcard covers it,
    /// that somebody else made the repository.
    async fn admit(&self, place: &Place) -> Result<Option<Route>, CacheError> {
        let Some(route) = self.find_route(place).await? else { return Ok(None) };
        let (registry, repository) = (place.registry.id, place.repository.clone());
        let database = self.0.artifacts.database();
        let found =
            database.read(move |c| Box::pin(async move { cached::find_repository(c, registry, &repository).await }));
        let is_ours = match found.await? {
            None => true,
            Some(found) => found.is_unlocked && (!route.rule.is_wildcard() || found.is_cached || !found.is_shown),
        };
        Ok(is_ours.then_some(route))
    }

    async fn find_route(&self, place: &Place) -> Result<Option<Route>, CacheError> {
        let database = self.0.artifacts.database();
        Ok(self.0.rules.find(database, &place.registry, &place.repository).await?)
    }

    /// A client for a rule, unless its registry is left alone now.
    async fn client(&self, route: &Route) -> Result<UpstreamClient, Problem> {
        if let Some((problem, _)) = self.0.back_off.find(&route.rule.back_off_key(), self.now()) {
            return Err(problem);
        }
        let client = route.rule.client(&self.0.upstreams, &self.0.secrets).await;
        if let Err(problem) = &client {
            self.note(route, Some(problem)).await;
        }
        client
    }

    /// Draws conclusions from how it went with a registry.
    async fn note(&self, route: &Route, problem: Option<&Problem>) {
        let rule = &route.rule;
        let Some(problem) = problem else { return self.0.back_off.succeed(&rule.back_off_key()) };
        if let Some(wait) = self.0.back_off.fail(&rule.back_off_key(), problem, self.now()) {
            tracing::warn!(rule = %rule.name, upstream = %rule.address(), seconds = wait.as_secs(),
                "The cache leaves {} alone for {} seconds: {problem}", rule.address(), wait.as_secs());
        } else if !problem.is_transient() && !problem.is_not_found() {
            tracing::warn!(rule = %rule.name, upstream = %rule.address(),
                "The cache rule {} could not take from {}: {problem}", rule.name, rule.address());
        }
        if problem.is_about_credentials() {
            rule.forget_client().await;
        }
    }

    /// What a problem comes to for a caller, where nothing is here to be served instead.
    fn refusal(&self, route: &Route, problem: &Problem) -> Option<CacheError> {
        let (rule, registry) = (route.rule.name.clone(), route.rule.address().to_string());
        let left = self.0.back_off.find(&route.rule.back_off_key(), self.now()).map(|(_, left)| left);
        let retry_after = left.unwrap_or(Duration::from_secs(10)).max(Duration::from_secs(1));
        let refused = |reason| Some(CacheError::Refused { rule: rule.clone(), registry: registry.clone(), reason });
        use wharf_upstream::UpstreamError;
        match problem {
            Problem::Upstream(UpstreamError::NotFound { .. }) => None,
            Problem::Upstream(UpstreamError::Throttled { .. }) => {
                Some(CacheError::Throttled { rule, registry, retry_after })
            }
            Problem::Upstream(UpstreamError::Unreachable { .. } | UpstreamError::Unavailable { .. })
            | Problem::Store(_) => Some(CacheError::Unavailable { rule, registry, retry_after }),
            Problem::Upstream(UpstreamError::Internal { .. }) => refused("it leads to an address that is not allowed"),
            Problem::Upstream(UpstreamError::Lied { .. } | UpstreamError::Redirect { .. }) => {
                refused("what it sends is not what it should be")
            }
            Problem::Upstream(UpstreamError::TooLarge { .. } | UpstreamError::Unsupported { .. }) => {
                refused("what it has is not supported")
            }
            Problem::Upstream(_) => refused("it does not let us in, or does not have it"),
            Problem::Credentials { .. } => refused("the credentials of the rule cannot be used"),
        }
    }
}

impl Inner {
    fn fills(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Fill>>> {
        self.fills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn completing(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.completing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// How many blobs are fetched at a time for manifests that were handed out, before anybody asks for them.
const AHEAD: usize = 6;
