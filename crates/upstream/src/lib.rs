//! Other registries, as seen by one that fetches from them: signing in there, manifests, blobs, referrers, tags.
//!
//! ```text
//! Upstreams            one per process: the way out, settings, which hosts speak plain HTTP
//!   └─ UpstreamClient  one registry with one set of credentials: its tokens
//!        ├─ manifests  by tag or digest, compared with their digest, read once
//!        ├─ blobs      as streams that go on where a connection was cut
//!        └─ referrers, tags
//! ```
//!
//! Another registry is not believed: what it sends has a largest size, its redirects are followed one by one through
//! [`wharf_egress`] without the credentials, and a token service gets them only if it belongs to the registry. Requests
//! that fail for a reason that may pass are repeated a few times.
//!
//! What this crate does not do: storing anything. Whoever stores a blob compares its digest, as with every blob.

mod address;
mod blobs;
mod challenge;
mod error;
mod manifests;
mod referrers;
mod request;
mod scheme;
mod settings;
mod sign_in;
mod upstreams;

pub use address::{ParseAddressError, UpstreamAddress};
pub use blobs::BlobStream;
pub use error::{Refusal, UpstreamError};
pub use manifests::{FetchedManifest, ManifestHead};
pub use settings::{Credentials, TrustedRealm, UpstreamSettings};
pub use upstreams::{UpstreamClient, Upstreams};
