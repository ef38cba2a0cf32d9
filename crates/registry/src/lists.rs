//! Listings: tags, repositories, referrers. Each is one indexed query whose cost depends on the page alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wharf_metadata::manifests::{self, ReferrerRow};
use wharf_metadata::{RegistryRow, repositories, tags};
use wharf_model::{Digest, Reference, Tag};
use wharf_oci::Descriptor;

use crate::{Artifacts, Error, Target};

/// Which part of a listing is wanted.
#[derive(Clone, Debug)]
pub struct Page {
    /// How many items at most.
    pub limit: usize,
    /// The last item of the page before; items after it follow.
    pub last: Option<String>,
}

/// A part of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

impl<T> Listing<T> {
    /// One item more than wanted was asked for, to know whether more follow.
    fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}

impl Page {
    fn query(self) -> (String, i64) {
        (self.last.unwrap_or_default(), i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1))
    }
}

impl Artifacts {
    /// Lists the tags of a repository by name. `None` when there is no such repository.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn list_tags(&self, target: Target<'_>, page: Page) -> Result<Option<Listing<String>>, Error> {
        let (registry, repository, limit) = (target.registry.id, target.repository.clone(), page.limit);
        let (after, count) = page.query();
        let names = self
            .inner
            .database
            .read(move |c| {
                Box::pin(async move {
                    let Some(id) = repositories::find_shown(c, registry, &repository).await? else { return Ok(None) };
                    tags::list(c, id, &after, count).await.map(Some)
                })
            })
            .await
            .map_err(Error::Metadata)?;
        Ok(names.map(|names| Listing::cut(names, limit)))
    }

    /// Lists the repositories of a registry by name.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn list_repositories(&self, registry: &RegistryRow, page: Page) -> Result<Listing<String>, Error> {
        let (registry, limit) = (registry.id, page.limit);
        let (after, count) = page.query();
        let names = self
            .inner
            .database
            .read(move |c| Box::pin(async move { repositories::list_shown(c, registry, &after, count).await }))
            .await?;
        Ok(Listing::cut(names, limit))
    }

    /// Lists the manifests whose subject is `subject`, by digest. That the subject exists is not required.
    ///
    /// What older clients keep under the referrers tag (`sha256-…`) is listed with them.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    ///
    /// Source: distribution-spec v1.1, "Listing Referrers" and "Referrers Tag Schema".
    pub async fn list_referrers(
        &self,
        target: Target<'_>,
        subject: &Digest,
        artifact_type: Option<&str>,
        page: Page,
    ) -> Result<Listing<Descriptor>, Error> {
        let limit = page.limit;
        let (after, count) = page.query();
        let (registry, repository) = (target.registry.id, target.repository.clone());
        let (wanted, filter, from) = (subject.clone(), artifact_type.map(str::to_owned), after.clone());
        let rows = self
            .inner
            .database
            .read(move |c| {
                Box::pin(async move {
                    match repositories::find(c, registry, &repository).await? {
                        Some(id) => manifests::list_referrers(c, id, &wanted, filter.as_deref(), &from, count).await,
                        None => Ok(Vec::new()),
                    }
                })
            })
            .await
            .map_err(Error::Metadata)?;
        // Merged by digest; what the database knows wins over what a client wrote into the index.
        let mut found = BTreeMap::new();
        for descriptor in self.referrers_by_tag(target, subject, &after, limit).await? {
            if artifact_type.is_none_or(|wanted| descriptor.artifact_type.as_deref() == Some(wanted)) {
                found.insert(descriptor.digest.as_str().to_owned(), descriptor);
            }
        }
        for row in rows {
            let descriptor = describe(row)?;
            found.insert(descriptor.digest.as_str().to_owned(), descriptor);
        }
        Ok(Listing::cut(found.into_values().collect(), limit))
    }

    /// The manifests that the index under the referrers tag of `subject` lists after `after`, as far as they exist.
    /// Each is described by its own bytes, not by what the client wrote into the index.
    async fn referrers_by_tag(
        &self,
        target: Target<'_>,
        subject: &Digest,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Descriptor>, Error> {
        let Ok(tag) = format!("{}-{}", subject.algorithm().as_str(), subject.hex()).parse::<Tag>() else {
            return Ok(Vec::new());
        };
        let Some(index) = self.get_manifest(target, &Reference::Tag(tag)).await? else { return Ok(Vec::new()) };
        let Some(index) = index.parse() else { return Ok(Vec::new()) };
        let mut children: Vec<Digest> = index.children.into_iter().map(|child| child.digest).collect();
        children.retain(|digest| digest.as_str() > after);
        children.sort_unstable();
        let mut existing = Vec::new();
        for digest in children {
            if existing.len() > limit {
                break;
            }
            let Some(manifest) = self.get_manifest(target, &Reference::Digest(digest)).await? else { continue };
            let Some(parsed) = manifest.parse() else { continue };
            let mut descriptor =
                Descriptor::new(manifest.media_type.clone(), manifest.digest.clone(), manifest.bytes.len() as u64);
            descriptor.artifact_type = parsed.artifact_type;
            descriptor.annotations = parsed.annotations;
            existing.push(descriptor);
        }
        Ok(existing)
    }
}

fn describe(row: ReferrerRow) -> Result<Descriptor, Error> {
    let malformed = |what, value: &str| wharf_metadata::Error::Malformed { what, value: value.to_owned() };
    let annotations: Option<Map<String, Value>> = match &row.annotations {
        Some(text) => Some(serde_json::from_str(text).map_err(|_| malformed("annotations", text))?),
        None => None,
    };
    let digest: Digest = row.digest.parse().map_err(|_| malformed("digest", &row.digest))?;
    let mut descriptor = Descriptor::new(row.media_type, digest, u64::try_from(row.size_bytes).unwrap_or(0));
    descriptor.artifact_type = row.artifact_type;
    descriptor.annotations = annotations;
    Ok(descriptor)
}
