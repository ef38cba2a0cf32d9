//! The wire vocabulary of the registry protocol: routes, errors, headers, descriptors and manifests.
//!
//! Nothing here does I/O. The HTTP crate `wharf-data-plane` parses and prints with it, `wharf-registry` reads
//! manifests with it. Sources: distribution-spec (main branch of July 2026), image-spec v1.1, and
//! `acr/data-plane.md` for what Azure Container Registry does differently.

mod challenge;
mod descriptor;
mod error;
pub mod header;
mod manifest;
pub mod media_type;
mod page;
mod range;
mod route;

pub use challenge::Challenge;
pub use descriptor::{Descriptor, Index, MAX_SIZE_BYTES, Platform};
pub use error::{Code, OciError};
pub use manifest::{BlobReference, ManifestError, ParsedManifest};
pub use page::{MAX_PAGE_ITEMS, Order, PageError, PageQuery};
pub use range::{ByteRange, ContentRange, ParseContentRangeError};
pub use route::{Endpoint, MetadataOwner, Need, ROUTES, Route, RouteError, Row};
