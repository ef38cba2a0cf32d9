//! The rules of registries as this process remembers them, and what signs in for them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use wharf_metadata::cache_rules::{self, CacheRuleRow, CredentialSetRow};
use wharf_metadata::{Database, RegistryRow};
use wharf_model::{RegistryId, RepositoryName, Timestamp};
use wharf_upstream::{Credentials, UpstreamAddress, UpstreamClient, Upstreams};

use secrecy::ExposeSecret as _;
use wharf_identity::secrets::{SecretId, Secrets};

use super::problem::Problem;
use super::rule::{self, Pattern, RuleSet, Source};

/// What a rule says, and its client.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    source: Source,
    target: Pattern,
    credentials: Option<CredentialSetRow>,
    /// Signed in with what the credential set named when the client was made. `None` at first, and once it was refused.
    client: Mutex<Option<UpstreamClient>>,
}

/// A repository that a rule fills.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) rule: Arc<Rule>,
    /// What the repository is called where it comes from.
    pub(super) upstream: RepositoryName,
}

/// The rules of all registries, each as of a time of change of its registry.
#[derive(Debug, Default)]
pub(super) struct Rules {
    known: RwLock<HashMap<RegistryId, Arc<Known>>>,
}

#[derive(Debug)]
struct Known {
    updated_at: Timestamp,
    set: RuleSet<Arc<Rule>>,
}

impl Rules {
    /// The rule that fills a repository. Asks the database only when the registry has changed since it was last asked: every
    /// change of a rule changes its registry.
    pub(super) async fn find(
        &self,
        database: &Database,
        registry: &RegistryRow,
        repository: &RepositoryName,
    ) -> Result<Option<Route>, wharf_metadata::Error> {
        let known = match self.remembered(registry) {
            Some(known) => known,
            None => self.load(database, registry).await?,
        };
        let Some(rule) = known.set.find(repository) else { return Ok(None) };
        let upstream = rule::map(&rule.source, &rule.target, repository);
        Ok(upstream.map(|upstream| Route { rule: rule.clone(), upstream }))
    }

    fn remembered(&self, registry: &RegistryRow) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&registry.id).filter(|known| known.updated_at == registry.updated_at).cloned()
    }

    async fn load(&self, database: &Database, registry: &RegistryRow) -> Result<Arc<Known>, wharf_metadata::Error> {
        let id = registry.id;
        let rows = database.read(move |c| Box::pin(async move { cache_rules::list(c, id).await })).await?;
        let set = RuleSet::new(rows.into_iter().filter_map(Rule::of));
        let known = Arc::new(Known { updated_at: registry.updated_at, set });
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id, known.clone());
        Ok(known)
    }
}

impl Rule {
    fn of(row: CacheRuleRow) -> Option<(Pattern, Arc<Self>)> {
        // Both were read before they were stored.
        let (source, target) = (row.source.parse::<Source>().ok()?, row.target.parse::<Pattern>().ok()?);
        let credentials = row.credential_set;
        let rule = Self { name: row.name, source, target: target.clone(), credentials, client: Mutex::default() };
        Some((target, Arc::new(rule)))
    }

    /// The registry that it takes from.
    pub(super) fn address(&self) -> &UpstreamAddress {
        &self.source.address
    }

    /// Whether it fills many repositories.
    pub(super) fn is_wildcard(&self) -> bool {
        self.target.is_wildcard()
    }

    /// Whether it fills every repository that no other rule does.
    pub(super) fn is_for_everything(&self) -> bool {
        self.target == Pattern::Below(None)
    }

    /// Whether another rule takes from the same registry as the same caller.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        self.address() == other.address() && self.back_off_key() == other.back_off_key()
    }

    /// The registry and who asks it.
    pub(super) fn back_off_key(&self) -> String {
        let set = self.credentials.as_ref().map_or("", |set| set.name.as_str());
        format!("{} {set}", self.address())
    }

    /// A client that signs in with the rule's credentials.
    pub(super) async fn client(&self, upstreams: &Upstreams, secrets: &Secrets) -> Result<UpstreamClient, Problem> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let credentials = match &self.credentials {
            Some(set) => Some(
                resolve(set, secrets)
                    .await
                    .map_err(|reason| Problem::Credentials { set: set.name.clone(), reason: reason.1.into() })?,
            ),
            None => None,
        };
        let made = upstreams.client(self.address(), credentials).patience(ATTEMPTS, LONGEST_WAIT);
        Ok(client.insert(made).clone())
    }

    /// Lets the next request look the secrets up again: perhaps they were changed.
    pub(super) async fn forget_client(&self) {
        *self.client.lock().await = None;
    }
}

/// What a credential set signs in with; or a code and a sentence that say why there is nothing.
pub(super) async fn resolve(set: &CredentialSetRow, secrets: &Secrets) -> Result<Credentials, (&'static str, String)> {
    let mut values = Vec::with_capacity(2);
    for text in [&set.username, &set.password] {
        let id = SecretId::parse_address(text).map_err(|error| ("InvalidSecretIdentifier", error.to_string()))?;
        let value = secrets.resolve(&id, &set.login_server).await.map_err(|error| {
            use wharf_identity::secrets::SecretError;
            let code = match &error {
                SecretError::Missing { .. } => "SecretNotFound",
                SecretError::NotAllowed { .. } => "SecretNotAllowed",
                SecretError::Unusable { .. } => "SecretUnusable",
                SecretError::Store(_) => "SecretUnavailable",
            };
            (code, error.to_string())
        });
        values.push(value?);
    }
    let password = values.pop().unwrap_or_default();
    let username = values.pop().unwrap_or_default().expose_secret().to_owned();
    Ok(Credentials { username, password })
}

/// A client waits while a request is repeated: not for long.
const ATTEMPTS: u32 = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(2);
