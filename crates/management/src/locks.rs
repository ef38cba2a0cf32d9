//! Locks: what may not be changed or deleted, whatever roles say.
//!
//! A lock counts for the scope that it is on and for everything in it. `CanNotDelete` stands against deletion, `ReadOnly`
//! against every change. What holds a locked resource cannot be deleted either.
//!
//! Source: Azure, "Lock your resources to protect your infrastructure".

use wharf_arm::{ArmError, Code};
use wharf_metadata::{Connection, resources};
use wharf_model::ResourceId;

use crate::failure::Failure;
use crate::kind::Resource;

/// What is to be done to something that may be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is created or changed, or something is done that changes it.
    Write,
    /// It is deleted, with what is in it.
    Delete,
}

/// Refuses when a lock stands against the change. To be called in the transaction that makes it.
///
/// # Errors
/// `ScopeLocked`, naming the scopes.
pub(crate) async fn require_unlocked(c: &mut Connection, id: &ResourceId, change: Change) -> Result<(), Failure> {
    let scopes: Vec<ResourceId> = id.scopes().collect();
    let below = (change == Change::Delete).then_some(id);
    let locks = resources::list_locks(c, &scopes, below).await?;
    let standing: Vec<String> = locks
        .iter()
        .filter(|lock| change == Change::Delete || is_read_only(lock))
        .filter_map(|lock| lock.id.parent())
        .map(|scope| format!("'{scope}'"))
        .collect();
    if standing.is_empty() {
        return Ok(());
    }
    let verb = match change {
        Change::Write => "write",
        Change::Delete => "delete",
    };
    let text = format!(
        "The scope '{id}' cannot perform {verb} operation because following scope(s) are locked: {}. Please remove the lock and try again.",
        standing.join(", ")
    );
    Err(ArmError::new(Code::ScopeLocked, text).into())
}

/// Whether this is a lock itself: locks can be put on what is locked, and removed.
pub(crate) fn is_lock(id: &ResourceId) -> bool {
    id.resource_type().is_some_and(|kind| kind.eq_ignore_ascii_case(TYPE))
}

fn is_read_only(lock: &Resource) -> bool {
    lock.properties.get("level").and_then(|level| level.as_str()) == Some("ReadOnly")
}

/// The type of locks.
const TYPE: &str = "Microsoft.Authorization/locks";
