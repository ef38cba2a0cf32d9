//! Why something could not be had from elsewhere.

use std::sync::Arc;
use std::time::Duration;

use wharf_registry::ContentError;
use wharf_upstream::UpstreamError;

/// Why another registry gave nothing. Cloneable, since many may wait for one request.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Problem {
    /// It said so, or said nothing.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// There is nothing to sign in with. The text is for whoever looks after the rule.
    #[error("the credential set {set} cannot be used: {reason}")]
    Credentials {
        /// The credential set.
        set: String,
        /// Why.
        reason: Arc<str>,
    },
    /// It came and could not be stored, or the stores failed before.
    #[error("{0}")]
    Store(Arc<str>),
}

impl Problem {
    pub(super) fn store(error: impl std::error::Error + 'static) -> Self {
        Self::Store(wharf_model::error_chain(&error).to_string().into())
    }

    /// Whether the registry should be left alone for a while.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.is_transient())
    }

    /// Whether the registry said that it has no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Upstream(UpstreamError::NotFound { .. }))
    }

    /// Whether it is about who we are.
    pub(super) fn is_about_credentials(&self) -> bool {
        let refused = |error: &UpstreamError| {
            matches!(
                error,
                UpstreamError::Unauthorized { .. } | UpstreamError::Denied { .. } | UpstreamError::ForeignRealm { .. }
            )
        };
        match self {
            Self::Upstream(error) => refused(error),
            Self::Credentials { .. } => true,
            Self::Store(_) => false,
        }
    }
}

/// Why the cache has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// What is here may not be read, or the stores fail.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The registry that a rule takes from wants to be asked less often, and nothing is here.
    #[error("the registry {registry}, from which the cache rule '{rule}' takes, is throttling requests")]
    Throttled {
        /// The rule.
        rule: String,
        /// The registry that it takes from.
        registry: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The registry that a rule takes from cannot be used, and nothing is here.
    #[error("the cache rule '{rule}' takes from {registry}, which is not available now")]
    Unavailable {
        /// The rule.
        rule: String,
        /// The registry that it takes from.
        registry: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// What a rule would take cannot be taken. For the caller it is as good as not there; the operator finds the reason in
    /// the log.
    #[error("the cache rule '{rule}' could not take it from {registry}: {reason}")]
    Refused {
        /// The rule.
        rule: String,
        /// The registry that it takes from.
        registry: String,
        /// In words that tell no secrets.
        reason: &'static str,
    },
}

impl From<wharf_registry::Error> for CacheError {
    fn from(error: wharf_registry::Error) -> Self {
        Self::Content(error.into())
    }
}

impl From<wharf_metadata::Error> for CacheError {
    fn from(error: wharf_metadata::Error) -> Self {
        wharf_registry::Error::from(error).into()
    }
}
