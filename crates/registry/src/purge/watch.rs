//! Who is told what a purge does, while it does it.

use async_trait::async_trait;

use super::state::{PurgeState, Step};
use crate::Skipped;

/// Is told what a purge does, keeps how far it is, and may stop it.
#[async_trait]
pub trait PurgeWatch: Send + Sync {
    /// Is told what happened, in order.
    ///
    /// # Errors
    /// To stop the purge. What was done until then stays done.
    async fn told(&mut self, event: PurgeEvent<'_>) -> Result<(), PurgeStopped>;
}

/// A watcher asked to stop; it knows why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the purge was stopped")]
pub struct PurgeStopped;

/// What a purge does.
#[derive(Clone, Copy, Debug)]
pub enum PurgeEvent<'a> {
    /// The tags or the manifests of a repository come next.
    Begins {
        /// The repository.
        repository: &'a str,
        /// Which of the two.
        what: Purged,
    },
    /// A repository is locked whole, so nothing of it goes.
    RepositoryLocked {
        /// The repository.
        repository: &'a str,
    },
    /// Something was removed; with a dry run, it would be.
    Removed {
        /// The repository.
        repository: &'a str,
        /// What.
        item: PurgeItem<'a>,
        /// A lock of its own was lifted for it.
        was_locked: bool,
    },
    /// Something that was to be removed was not.
    Skipped {
        /// The repository.
        repository: &'a str,
        /// What.
        item: PurgeItem<'a>,
        /// Why.
        reason: Skipped,
    },
    /// A page is done: whoever goes on from this state leaves nothing out.
    Kept(&'a PurgeState),
}

/// Tags or manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purged {
    /// Tags.
    Tags,
    /// Manifests without a tag.
    Manifests,
}

impl From<Step> for Purged {
    fn from(step: Step) -> Self {
        match step {
            Step::Tags => Self::Tags,
            Step::Manifests => Self::Manifests,
        }
    }
}

/// A tag or a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeItem<'a> {
    /// The tag of this name.
    Tag(&'a str),
    /// The manifest of this digest.
    Manifest(&'a str),
}

impl std::fmt::Display for PurgeItem<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(name) => write!(f, ":{name}"),
            Self::Manifest(digest) => write!(f, "@{digest}"),
        }
    }
}

/// Watches nothing and stops nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

#[async_trait]
impl PurgeWatch for Unwatched {
    async fn told(&mut self, _event: PurgeEvent<'_>) -> Result<(), PurgeStopped> {
        Ok(())
    }
}
