//! The wire vocabulary of the registry protocol: routes, errors, headers, descriptors and manifests.
//!
//! Nothing here does I/O. The HTTP crate `wharf-data-plane` parses and prints with it, `wharf-registry` reads
//! manifests with it. Sources: distribution-spec (main branch of July 2026), image-spec v1.1, and
//! `acr/data-plane.md` for what Azure Container Registry does differently.

mod descriptor;
mod manifest;
pub mod media_type;

pub use descriptor::{Descriptor, Index, MAX_SIZE_BYTES, Platform};
pub use manifest::{BlobReference, ManifestError, ParsedManifest};
