//! The mode `Complete`: what is in the group and not in the template goes.

use std::sync::Arc;

use wharf_arm::template::Plan;
use wharf_model::ResourceId;

use super::{Run, Stopped, fresh, word_of};
use crate::kind::Place;

impl Run {
    /// Deletes what the template does not have. Locks stand against it as against every deletion.
    pub(super) async fn remove_others(&self, plan: &Arc<Plan>, deployed: &[ResourceId]) -> Result<(), Stopped> {
        let others = self.others(plan, deployed).await.map_err(|failure| self.failed(self.told(failure)))?;
        for id in others {
            let started_at = self.now();
            let cx = fresh(&self.cx);
            let outcome = cx.management.delete(&cx, &id).await;
            let outcome = outcome.map(|answer| word_of(answer.status)).map_err(|failure| self.told(failure));
            let goes_on = self.go_on(Some(self.note("Delete", Some(&id), &outcome, started_at))).await;
            if let Err(error) = outcome {
                return Err(self.failed(error));
            }
            goes_on?;
        }
        Ok(())
    }

    async fn others(&self, plan: &Plan, deployed: &[ResourceId]) -> Result<Vec<ResourceId>, crate::Failure> {
        others_in_group(&self.cx, plan, deployed).await
    }
}

/// What is in the group of a plan, is not named by it, and holds nothing that it deploys. What is put on the group rather
/// than into it, such as locks, does not count.
pub(in crate::deployments) async fn others_in_group(
    cx: &crate::Cx,
    plan: &Plan,
    deployed: &[ResourceId],
) -> Result<Vec<ResourceId>, crate::Failure> {
    let named: Vec<&ResourceId> =
        plan.resources().iter().filter(|p| p.is_deployed).map(|p| &p.id).chain(deployed).collect();
    let mut others = cx.management.list_in_group(plan.scope()).await?;
    others.retain(|id| {
        let is_in_group = cx.management.kind_of(id).is_some_and(|entry| entry.about.place == Place::Group);
        is_in_group && !named.iter().any(|named| id.contains(named))
    });
    Ok(others)
}
