//! `DELETE`: a resource goes with everything in it.
//!
//! What is small goes in the transaction of the request. What is not is marked as being deleted, and goes in one
//! transaction after another; after a while the request answers 202 and the rest is done behind it. A restart goes on
//! with what is marked ([`Management::resume_deletions`]).

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use tracing::{info, warn};
use wharf_arm::ArmError;
use wharf_metadata::{Connection, deployments, resources, roles};
use wharf_model::ResourceId;

use super::{Conditions, read};
use crate::answer::Answer;
use crate::catalogue::Entry;
use crate::cx::{Actor, Cx};
use crate::failure::Failure;
use crate::kind::{Place, Removal, Resource};
use crate::locks::{self, Change};
use crate::management::Management;

/// What a transaction has removed, and whether that was all.
#[derive(Default)]
struct Step {
    removed: Vec<Resource>,
    is_done: bool,
}

/// A resource that is being deleted: this one, and not what is made later under its name. Rows are never used again.
#[derive(Clone)]
struct Marked {
    row: i64,
    id: ResourceId,
}

impl Marked {
    fn of(resource: &Resource) -> Self {
        Self { row: resource.row, id: resource.id.clone() }
    }

    /// The resource, unless somebody else has finished its deletion.
    async fn find(&self, c: &mut Connection) -> Result<Option<Resource>, Failure> {
        let found = resources::find_to_change(c, &self.id).await?;
        Ok(found.filter(|found| found.row == self.row && found.is_deleting))
    }
}

impl Management {
    /// Deletes a resource with everything in it.
    ///
    /// # Errors
    /// What stands against it; then it stays as it is.
    pub(crate) async fn delete_resource(
        &self,
        cx: &Cx,
        entry: &Arc<Entry>,
        id: &ResourceId,
        conditions: Conditions,
    ) -> Result<Answer, Failure> {
        cx.require(&entry.delete, id).await?;
        let (begin_cx, begin_entry, begin_id) = (cx.clone(), entry.clone(), id.clone());
        let begun = self
            .transact(true, move |c| {
                Box::pin(async move { begin(c, &begin_cx, &begin_entry, &begin_id, &conditions).await })
            })
            .await?;
        let is_group = entry.about.place == Place::Subscription;
        let Some((marked, first)) = begun else {
            if is_group {
                return Err(ArmError::group_not_found(id.name().unwrap_or_default()).into());
            }
            return Ok(Answer::no_content());
        };
        self.forget(cx, &first);
        let done = if is_group { Answer::empty() } else { Answer::no_content() };
        if first.is_done {
            return Ok(done);
        }
        let deadline = Instant::now() + self.patience();
        while Instant::now() < deadline {
            if self.delete_step(cx, &marked).await?.is_none_or(|step| step.is_done) {
                return Ok(done);
            }
        }
        let (operation, location) = self.begin_operation(cx, id).await?;
        let (management, cx) = (self.clone(), cx.clone());
        tokio::spawn(async move {
            let outcome = management.delete_rest(&cx, &marked).await;
            if let Err(failure) = management.end_operation(operation, outcome.map(|_| None)).await {
                warn!("The end of a deletion could not be noted: {}", wharf_model::error_chain(&failure));
            }
        });
        Ok(Answer { location: Some(location), ..Answer::of(StatusCode::ACCEPTED, None) })
    }

    /// Goes on with what was being deleted when the process ended, or when a deletion failed halfway.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume_deletions(&self) -> Result<(), Failure> {
        let cx = self.cx(Actor::Operator);
        let marked = self.database().read(|c| Box::pin(resources::list_deleting(c, MOST_RESUMED))).await?;
        for marked in marked.iter().map(Marked::of) {
            info!(resource = %marked.id, "Going on with the deletion of {}", marked.id);
            // Asked for before, so that they are none of a later deletion under the same name.
            let operations = self.open_operations(&marked.id).await?;
            let outcome = self.delete_rest(&cx, &marked).await;
            let error = match &outcome {
                // Whoever finished it ends what they noted of it.
                Ok(false) => continue,
                Ok(true) => None,
                Err(failure) => Some(failure.error().clone()),
            };
            self.end_operations(operations, error).await?;
            outcome?;
        }
        Ok(())
    }

    /// Goes on until nothing is left. Returns whether the last of it went here, and not at somebody else's hands.
    async fn delete_rest(&self, cx: &Cx, marked: &Marked) -> Result<bool, Failure> {
        loop {
            match self.delete_step(cx, marked).await? {
                None => return Ok(false),
                Some(step) if step.is_done => return Ok(true),
                // Others who write come in between.
                Some(_) => tokio::task::yield_now().await,
            }
        }
    }

    /// One transaction of a deletion that is under way. `None` when somebody else has finished it.
    async fn delete_step(&self, cx: &Cx, marked: &Marked) -> Result<Option<Step>, Failure> {
        let (step_cx, marked) = (cx.clone(), marked.clone());
        let step = self
            .transact(true, move |c| {
                Box::pin(async move {
                    match marked.find(c).await? {
                        Some(root) => remove(c, &step_cx, &root).await.map(Some),
                        None => Ok(None),
                    }
                })
            })
            .await?;
        if let Some(step) = &step {
            self.forget(cx, step);
        }
        Ok(step)
    }

    /// Lets the kinds' caches forget what is gone.
    fn forget(&self, cx: &Cx, step: &Step) {
        for removed in &step.removed {
            if let Some(entry) = self.kind_of(&removed.id) {
                entry.kind.committed(cx, Some(removed), None);
            }
        }
    }
}

/// The first transaction: looks whether it may go at all. `None` when there is nothing to delete.
async fn begin(
    c: &mut Connection,
    cx: &Cx,
    entry: &Entry,
    id: &ResourceId,
    conditions: &Conditions,
) -> Result<Option<(Marked, Step)>, Failure> {
    let root = resources::find_to_change(c, id).await?;
    conditions.check(root.as_ref())?;
    let Some(root) = root else {
        if entry.about.place != Place::Subscription
            && let Some(error) = read::missing_above(c, id).await?
        {
            return Err(error.into());
        }
        return Ok(None);
    };
    if !locks::is_lock(id) {
        locks::require_unlocked(c, id, Change::Delete).await?;
    }
    if !root.is_deleting {
        entry.kind.release(c, cx, &root).await?;
    }
    let step = remove(c, cx, &root).await?;
    Ok(Some((Marked::of(&root), step)))
}

/// Removes as much of a resource as fits into one transaction: what is in it first, the deepest before what holds it.
async fn remove(c: &mut Connection, cx: &Cx, root: &Resource) -> Result<Step, Failure> {
    let mut step = Step::default();
    let below = resources::list_below(c, &root.id, ROWS_PER_STEP).await?;
    let is_all = (below.len() as i64) < ROWS_PER_STEP;
    for resource in below {
        if !remove_one(c, cx, &resource).await? {
            resources::set_deleting(c, root.row).await?;
            return Ok(step);
        }
        step.removed.push(resource);
    }
    if !is_all || !remove_one(c, cx, root).await? {
        resources::set_deleting(c, root.row).await?;
        return Ok(step);
    }
    // Whoever makes something of this name later must not inherit who had rights in it.
    roles::delete_at_and_below(c, &root.id).await?;
    deployments::delete_in(c, &root.id).await?;
    step.removed.push(root.clone());
    step.is_done = true;
    Ok(step)
}

/// Removes a resource that nothing is in any more. Returns whether it is gone.
async fn remove_one(c: &mut Connection, cx: &Cx, resource: &Resource) -> Result<bool, Failure> {
    if let Some(entry) = cx.management.kind_of(&resource.id)
        && entry.kind.remove(c, cx, resource).await? == Removal::More
    {
        resources::set_deleting(c, resource.row).await?;
        return Ok(false);
    }
    resources::delete(c, resource.row).await?;
    Ok(true)
}

/// How many resources one transaction removes.
const ROWS_PER_STEP: i64 = 100;
/// How many deletions are gone on with at a time.
const MOST_RESUMED: i64 = 100;
