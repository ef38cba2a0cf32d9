//! Purges: removing what is old, by rules, from a whole registry.
//!
//! ```text
//! PurgeSpec ─► the registry's repositories, by name, that a filter matches
//!                └─► pages of its tags, from the limit of age back          a page: what matches, less the newest to keep
//!                      └─► remove_tags, some at a time, each looked at again     ─► PurgeWatch is told, keeps PurgeState
//!                └─► pages of its manifests: no tag, no index, no subject   likewise; once more if indexes went
//! ```
//!
//! Nothing is listed before work begins, and nothing is remembered but the place: a purge of a million tags needs no more
//! memory than one of ten, and one that was cut off goes on from the last page. What is due is found on the indexes of time,
//! and looked at again in the transaction that removes it, so whatever is pushed, tagged, locked or pulled meanwhile stays.
//! Between its transactions a purge rests, so that others write.
//!
//! A dry run reads only. It pretends to have removed what it found, so that it finds what the purge would find after that.
//!
//! Source: `acr/semantics.md` 4.5; where we differ from `acr purge` is in `docs/decisions/0039-purges.md`.

mod age;
mod filter;
mod manifests;
mod overlay;
mod policy;
mod report;
mod run;
mod spec;
mod state;
mod tags;
mod watch;

pub use age::{Age, AgeError};
pub use filter::FilterError;
pub use policy::{PurgeWorker, StartedPurge, next_purge};
pub use report::{PurgeReport, SkippedCounts};
pub use run::PurgeError;
pub use spec::{PurgeSpec, SpecError, Untagged};
pub use state::PurgeState;
pub use watch::{PurgeEvent, PurgeItem, PurgeStopped, PurgeWatch, Purged, Unwatched};
