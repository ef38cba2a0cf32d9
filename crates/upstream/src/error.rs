//! What can go wrong with another registry.

use std::time::Duration;

use wharf_egress::EgressError;

/// Why another registry did not give what it was asked for. The texts are for the person who asked. Cloneable, since many
/// may wait for one request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It does not have it, or does not tell us.
    #[error("{what} was not found at {registry}")]
    NotFound {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// It wants credentials, or does not take those that we have.
    #[error("{registry} {refusal}{}", told(.message))]
    Unauthorized {
        /// The registry.
        registry: String,
        /// Which of the two.
        refusal: Refusal,
        /// What it says itself.
        message: Option<String>,
    },
    /// It knows us and does not let us.
    #[error("{registry} denies access to {what}{}", told(.message))]
    Denied {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// What it says itself.
        message: Option<String>,
    },
    /// It wants to be asked less often.
    #[error("{registry} is throttling requests{}", later(*.retry_after))]
    Throttled {
        /// The registry.
        registry: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It cannot be reached, or the connection broke.
    #[error("{registry} cannot be reached or stopped answering: {}", causes(.source))]
    Unreachable {
        /// The registry.
        registry: String,
        /// Why.
        source: EgressError,
    },
    /// It says that it has a problem of its own.
    #[error("{registry} answers with status {status}{}", told(.message))]
    Unavailable {
        /// The registry.
        registry: String,
        /// The status, of 500 and above.
        status: u16,
        /// What it says itself.
        message: Option<String>,
    },
    /// It, or where it leads, is an internal address.
    #[error("{registry} leads to {host}, an internal address; the operator can allow it with --allow-internal")]
    Internal {
        /// The registry.
        registry: String,
        /// The host that was to be reached.
        host: String,
    },
    /// It sends those who sign in to somebody else, who is not given its credentials.
    #[error(
        "{registry} wants its credentials sent to {realm}, which is not known to belong to it; they were not sent. The operator can allow it with [upstreams.realms]"
    )]
    ForeignRealm {
        /// The registry.
        registry: String,
        /// The host of the token service.
        realm: String,
    },
    /// It leads in a circle, or to where nothing is followed.
    #[error("{registry} redirects {what} {reason}")]
    Redirect {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// What it gives is not what it should be.
    #[error("{registry} gave something else than {what}: {reason}")]
    Lied {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What it gives is larger than anything that is taken.
    #[error("{what} at {registry} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// It is of a form that is not taken.
    #[error(
        "{what} at {registry} is a manifest of schema 1, which is not supported; push the image again with a current client"
    )]
    Unsupported {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// An answer that means nothing here.
    #[error("{registry} answers the request for {what} with status {status}{}", told(.message))]
    Unexpected {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
        /// What it says itself.
        message: Option<String>,
    },
}

/// What a registry that does not let us in finds missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There were no credentials.
    #[error("wants credentials")]
    CredentialsMissing,
    /// There were some.
    #[error("does not accept the credentials")]
    CredentialsRejected,
}

impl UpstreamError {
    /// Whether the same request may well succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Unreachable { .. } | Self::Unavailable { .. } => true,
            Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Denied { .. }
            | Self::Internal { .. }
            | Self::ForeignRealm { .. }
            | Self::Redirect { .. }
            | Self::Lied { .. }
            | Self::TooLarge { .. }
            | Self::Unsupported { .. }
            | Self::Unexpected { .. } => false,
        }
    }

    /// How long the registry wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A failure of the network, seen from the registry that was asked.
    pub(crate) fn network(registry: &str, error: EgressError) -> Self {
        let registry = registry.to_owned();
        match error {
            EgressError::Internal { host } => Self::Internal { registry, host },
            EgressError::TooLarge { url, most_bytes } => {
                Self::TooLarge { registry, what: url, limit_bytes: most_bytes as u64 }
            }
            source => Self::Unreachable { registry, source },
        }
    }
}

/// What the registry says, at the end of a sentence.
fn told(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
}

fn later(retry_after: Option<Duration>) -> String {
    retry_after.map(|wait| format!("; it asks to wait {} seconds", wait.as_secs())).unwrap_or_default()
}

/// An error with what is behind it: the innermost says what really happened.
fn causes(error: &EgressError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    let mut innermost = None;
    while let Some(error) = cause {
        innermost = Some(error.to_string());
        cause = error.source();
    }
    if let Some(innermost) = innermost {
        text.push_str(" (");
        text.push_str(&innermost);
        text.push(')');
    }
    text
}
