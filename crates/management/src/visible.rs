//! Which of many things the actor may read.

use wharf_identity::Reach;
use wharf_model::ResourceId;

use crate::cx::{Actor, Cx};
use crate::failure::Failure;

/// What of a list is shown.
#[derive(Debug)]
pub(crate) enum Visible {
    /// Everything: who asks may read all that is in the scope.
    All,
    /// What they may read by itself.
    Within(Box<Reach>),
    /// Nothing: they have no role with this right at anything in the scope, and need not be looked for.
    Nothing,
}

impl Visible {
    /// What the actor may see of what is in `scope`, by a right such as `Microsoft.ContainerRegistry/registries/read`.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub(crate) async fn of(cx: &Cx, scope: &ResourceId, operation: &str) -> Result<Self, Failure> {
        let Actor::Principal(principal) = &cx.actor else { return Ok(Self::All) };
        if cx.may(operation, scope).await? {
            return Ok(Self::All);
        }
        let reach = cx.identity().reach(principal, operation).await?;
        Ok(if reach.enters(scope) { Self::Within(Box::new(reach)) } else { Self::Nothing })
    }

    /// Whether everything is shown.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether nothing is shown.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Whether this is shown.
    pub(crate) fn shows(&self, id: &ResourceId) -> bool {
        match self {
            Self::All => true,
            Self::Within(reach) => reach.covers(id),
            Self::Nothing => false,
        }
    }
}
