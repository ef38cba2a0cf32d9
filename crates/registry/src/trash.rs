//! Soft delete: what is deleted can be restored for a while.
//!
//! While a registry's policy is on, whatever deletes (an untag, a deletion by tag or digest or of a repository, a tag that
//! is moved, retention, a purge) puts it into the trash of its repository instead of destroying it. What is there cannot be
//! pulled, listed or pushed again, and its blobs stay; `metadata::trash` says how it is kept.
//!
//! | what | how |
//! | --- | --- |
//! | into the trash | `untagging.rs` for tags, `manifests/removal.rs` for manifests, `repositories.rs` for whole repositories |
//! | lists | [`lists`] |
//! | out of it | [`restore`] |
//! | gone for good | [`purge`]: a reconciler, with the number of days that the policy has at that moment |
//!
//! Source: `acr/semantics.md` 4.4; what it leaves open is in `docs/decisions/0034-soft-delete.md` and `0035-restoring.md`.

mod lists;
mod purge;
mod restore;

pub use lists::trash_cursor;
pub use restore::{MissingChild, RestoreError, Restored};
