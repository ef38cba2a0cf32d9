//! The words that every other crate speaks: names, digests, references, permissions, ids and the clock.
//!
//! Everything here is a plain value. Types are *parsed, not checked*: whoever holds a
//! [`RepositoryName`] knows that it is well formed, so no later layer checks it again.
//! There is no I/O in this crate and it knows no other crate of the workspace.

mod access;
mod digest;
mod error_chain;
mod id;
mod locks;
mod name;
mod principal;
mod reference;
mod request;
mod resource_id;
mod tag_pattern;
mod time;

pub use access::{Access, Action, ParseScopeError, ResourceKind, Scope};
pub use digest::{Algorithm, Digest, Hasher, ParseDigestError};
pub use error_chain::error_chain;
pub use id::{BlobId, JobId, ManifestId, RegistryId, RegistryUid, RepositoryId, UploadId};
pub use locks::{Locks, LocksChange};
pub use name::{ParseNameError, RegistryName, RepositoryName, Tag};
pub use principal::{Client, PrincipalId, PrincipalKind};
pub use reference::Reference;
pub use request::{AccessNote, Endpoints, LoginServers, RequestContext};
pub use resource_id::{ParseResourceIdError, ResourceId};
pub use tag_pattern::{ParsePatternError, TagPattern};
pub use time::{Clock, FakeClock, SystemClock, Timestamp};
