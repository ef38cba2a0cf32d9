//! Operations beside reading and writing.

use std::sync::Arc;

use serde_json::{Map, Value};
use wharf_model::ResourceId;

use super::read;
use crate::answer::Answer;
use crate::catalogue::Entry;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{Action, ActionAt, ActionCall};
use crate::locks::{self, Change};
use crate::management::Management;
use crate::query::Query;

/// What an action is called with.
#[derive(Debug, Default)]
pub(crate) struct Called {
    /// The segment that followed.
    pub(crate) tail: Option<String>,
    /// The body.
    pub(crate) body: Map<String, Value>,
    /// The query.
    pub(crate) query: Query,
}

impl Management {
    /// Does an action of a kind at a resource or a subscription.
    ///
    /// # Errors
    /// What stands against it.
    pub(crate) async fn act_on_resource(
        &self,
        cx: &Cx,
        entry: &Arc<Entry>,
        action: &'static Action,
        id: &ResourceId,
        called: Called,
    ) -> Result<Answer, Failure> {
        cx.require(action.operation, id).await?;
        let resource = match action.at {
            ActionAt::Subscription => None,
            ActionAt::Resource => {
                let (entry, id) = (entry.clone(), id.clone());
                let found = self
                    .database()
                    .read(move |c| {
                        Box::pin(async move {
                            let found = read::get(c, &entry, &id).await?;
                            if action.locked_by_read_only {
                                locks::require_unlocked(c, &id, Change::Write).await?;
                            }
                            Ok::<_, Failure>(found)
                        })
                    })
                    .await?;
                Some(found)
            }
        };
        let id = resource.as_ref().map_or_else(|| id.clone(), |resource| resource.id.clone());
        let Called { tail, body, query } = called;
        entry.kind.act(cx, ActionCall { action, id, resource, tail, body, query }).await
    }
}
