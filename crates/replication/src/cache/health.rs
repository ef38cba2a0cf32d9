//! Whether credential sets work, found out by trying.

use std::time::Duration;

use tokio::time::timeout;
use wharf_metadata::cache_rules::{self, CredentialError, CredentialHealth, CredentialSetRow};
use wharf_model::RegistryId;
use wharf_upstream::{UpstreamAddress, UpstreamError};

use super::Cache;
use super::rules;

impl Cache {
    /// Tries to sign in with what a credential set says.
    ///
    /// Waits no longer than a few seconds: whoever asks is a person or a script that has just written it.
    pub async fn check_credentials(&self, set: &CredentialSetRow) -> CredentialHealth {
        let error = match timeout(PATIENCE, self.try_credentials(set)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(problem("LoginServerUnreachable", format!("{} did not answer in time", set.login_server))),
        };
        let health = CredentialHealth { checked_at: self.now(), error };
        self.0.checks.insert(key(set), health.clone());
        health
    }

    /// What came of the last attempt, if that was a moment ago.
    #[must_use]
    pub fn last_check(&self, set: &CredentialSetRow) -> Option<CredentialHealth> {
        self.0.checks.get(&key(set))
    }

    /// The same in the background; what comes of it is noted for whoever looks next.
    pub fn check_credentials_later(&self, registry: RegistryId, set: CredentialSetRow) {
        if self.last_check(&set).is_some() {
            return;
        }
        let cache = self.clone();
        let tasks = self.0.tasks.clone();
        tasks.spawn(async move {
            let health = cache.check_credentials(&set).await;
            let noted =
                cache.0.artifacts.database().write(move |c| {
                    Box::pin(async move { cache_rules::note_health(c, registry, &set, &health).await })
                });
            let noted: Result<(), wharf_metadata::Error> = noted.await;
            if let Err(error) = noted {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "The health of a credential set was not noted"
                );
            }
        });
    }

    async fn try_credentials(&self, set: &CredentialSetRow) -> Result<(), CredentialError> {
        let address: UpstreamAddress =
            set.login_server.parse().map_err(|error| problem("InvalidLoginServer", format!("{error}")))?;
        let credentials =
            rules::resolve(set, &self.0.secrets).await.map_err(|(code, message)| problem(code, message))?;
        let client = self.0.upstreams.client(&address, Some(credentials)).patience(1, Duration::ZERO);
        client.check().await.map_err(|error| {
            let code = match &error {
                UpstreamError::Unauthorized { .. } | UpstreamError::Denied { .. } => "InvalidCredentials",
                UpstreamError::ForeignRealm { .. } => "UntrustedTokenService",
                UpstreamError::Internal { .. } => "LoginServerNotAllowed",
                UpstreamError::Throttled { .. } => "LoginServerThrottled",
                _ => "LoginServerUnreachable",
            };
            problem(code, error.to_string())
        })
    }
}

fn key(set: &CredentialSetRow) -> String {
    format!("{} {} {}", set.login_server, set.username, set.password)
}

fn problem(code: &str, message: String) -> CredentialError {
    CredentialError { code: code.to_owned(), message }
}

/// How long is waited for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
