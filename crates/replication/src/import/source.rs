//! Where an import takes from: a registry of ours, or any other.

use std::sync::Arc;

use bytes::Bytes;
use wharf_metadata::RegistryRow;
use wharf_model::{Digest, Reference, RepositoryName};
use wharf_oci::ParsedManifest;
use wharf_registry::{Artifacts, Page, Sight, Target};
use wharf_upstream::{UpstreamClient, UpstreamError};

use super::error::ImportError;

/// A repository to take from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) place: Place,
    pub(super) repository: RepositoryName,
}

/// The registry that it is in.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Ours(Arc<RegistryRow>, Artifacts),
    Upstream(Box<UpstreamClient>),
}

/// A manifest of the source, compared with its digest.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    pub(super) content: ParsedManifest,
}

impl Source {
    /// The name of the registry, for messages.
    pub(super) fn registry(&self) -> String {
        match &self.place {
            Place::Ours(row, _) => row.name.to_string(),
            Place::Upstream(client) => client.address().to_string(),
        }
    }

    /// Reads a manifest.
    pub(super) async fn get_manifest(&self, reference: &Reference) -> Result<Found, ImportError> {
        let (row, artifacts) = match &self.place {
            Place::Upstream(client) => {
                let found = client.get_manifest(&self.repository, reference).await?;
                let (digest, media_type, bytes) = (found.digest, found.media_type, found.bytes);
                return Ok(Found { digest, media_type, bytes, content: found.content });
            }
            Place::Ours(row, artifacts) => (row, artifacts),
        };
        let target = Target { registry: row, repository: &self.repository };
        let Some(manifest) = artifacts.get_manifest(target, reference, Sight::Passed).await? else {
            let separator = if matches!(reference, Reference::Tag(_)) { ':' } else { '@' };
            let what = format!("{}{separator}{reference}", self.repository);
            return Err(ImportError::NotFound { registry: row.name.to_string(), what });
        };
        let unreadable = |reason| ImportError::Manifest { digest: manifest.digest.clone(), reason };
        let content = ParsedManifest::parse(Some(&manifest.media_type), &manifest.bytes).map_err(unreadable)?;
        Ok(Found {
            digest: manifest.digest.clone(),
            media_type: manifest.media_type.clone(),
            bytes: manifest.bytes.clone(),
            content,
        })
    }

    /// The digests of what refers to a manifest.
    pub(super) async fn list_referrers(&self, digest: &Digest) -> Result<Vec<Digest>, ImportError> {
        let (row, artifacts) = match &self.place {
            Place::Upstream(client) => {
                return match client.list_referrers(&self.repository, digest).await {
                    Ok(found) => Ok(found.into_iter().map(|descriptor| descriptor.digest).collect()),
                    // A list that some registries keep to themselves; the artifact itself can be had.
                    Err(
                        error @ (UpstreamError::Denied { .. }
                        | UpstreamError::Unauthorized { .. }
                        | UpstreamError::Unexpected { .. }),
                    ) => {
                        tracing::warn!(digest = %digest, error = &error as &dyn std::error::Error,
                            "Importing {digest} without what refers to it, which {} does not list", self.registry());
                        Ok(Vec::new())
                    }
                    Err(error) => Err(error.into()),
                };
            }
            Place::Ours(row, artifacts) => (row, artifacts),
        };
        let target = Target { registry: row, repository: &self.repository };
        let mut found: Vec<Digest> = Vec::new();
        loop {
            let page = Page { last: found.last().map(ToString::to_string), limit: PAGE };
            let listed = artifacts.list_referrers(target, digest, None, page, Sight::Passed).await?;
            let more = listed.more && !listed.items.is_empty();
            found.extend(listed.items.into_iter().map(|descriptor| descriptor.digest));
            if !more {
                return Ok(found);
            }
        }
    }
}

/// How many referrers are read at a time.
const PAGE: usize = 1000;
