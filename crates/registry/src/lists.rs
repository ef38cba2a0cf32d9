//! Listings: tags, repositories, referrers. Each is one indexed query whose cost depends on the page alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wharf_metadata::manifests::{self, ReferrerFilter, ReferrerRow};
use wharf_metadata::{RegistryRow, repositories, tags};
use wharf_model::{Digest, Reference, Tag};
use wharf_oci::Descriptor;

use crate::{Artifacts, Error, Sight, Target};

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
    pub(crate) fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}

impl Page {
    fn query(self) -> (String, i64) {
        let count = self.count();
        (self.last.unwrap_or_default(), count)
    }

    /// How many rows to ask for: one more than the page holds.
    pub(crate) fn count(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
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
        sight: Sight,
    ) -> Result<Listing<Descriptor>, Error> {
        let (after, limit) = (page.last.clone().unwrap_or_default(), page.limit);
        let wanted = Wanted { subject, artifact_type, sight };
        let by_subject = self.referrers_by_subject(target, wanted, page).await?;
        let by_tag = self.referrers_by_tag(target, wanted, &after, limit).await?;
        // Merged by digest; what the database knows wins. Behind the end of a list that was cut nothing is certain, so
        // the page ends there.
        let ends = [&by_subject, &by_tag].into_iter().filter(|list| list.more);
        let end = ends.filter_map(|list| list.items.last()).map(|last| last.digest.clone()).min();
        let more = by_subject.more || by_tag.more;
        let merged: BTreeMap<String, Descriptor> = by_tag
            .items
            .into_iter()
            .chain(by_subject.items)
            .filter(|descriptor| end.as_ref().is_none_or(|end| descriptor.digest <= *end))
            .map(|descriptor| (descriptor.digest.as_str().to_owned(), descriptor))
            .collect();
        let mut listing = Listing::cut(merged.into_values().collect(), limit);
        listing.more |= more;
        Ok(listing)
    }

    /// The manifests whose subject this is: as many as the page wants and an answer can hold.
    async fn referrers_by_subject(
        &self,
        target: Target<'_>,
        wanted: Wanted<'_>,
        page: Page,
    ) -> Result<Listing<Descriptor>, Error> {
        let limit = page.limit;
        let (after, count) = page.query();
        let (registry, repository) = (target.registry.id, target.repository.clone());
        let (subject, filter) = (wanted.subject.clone(), wanted.artifact_type.map(str::to_owned));
        let only_passed = wanted.sight.is_limited(target);
        let (rows, more) = self
            .inner
            .database
            .read(move |c| {
                Box::pin(async move {
                    let Some(id) = repositories::find(c, registry, &repository).await? else {
                        return Ok((Vec::new(), false));
                    };
                    let filter = ReferrerFilter { artifact_type: filter.as_deref(), only_passed };
                    let weights = manifests::weigh_referrers(c, id, &subject, filter, &after, count).await?;
                    let fitting = how_many_fit(weights.iter().map(|&bytes| u64::try_from(bytes).unwrap_or(0)), limit);
                    let more = fitting < weights.len();
                    let fitting = i64::try_from(fitting).unwrap_or(i64::MAX);
                    let rows = manifests::list_referrers(c, id, &subject, filter, &after, fitting).await?;
                    Ok::<_, wharf_metadata::Error>((rows, more))
                })
            })
            .await?;
        Ok(Listing { items: rows.into_iter().map(describe).collect::<Result<_, _>>()?, more })
    }

    /// The manifests that the index under the referrers tag of `subject` lists after `after`, as far as they exist.
    /// Each is described by its own bytes, not by what the client wrote into the index.
    async fn referrers_by_tag(
        &self,
        target: Target<'_>,
        Wanted { subject, artifact_type, sight }: Wanted<'_>,
        after: &str,
        limit: usize,
    ) -> Result<Listing<Descriptor>, Error> {
        let nothing = Listing { items: Vec::new(), more: false };
        let Ok(tag) = format!("{}-{}", subject.algorithm().as_str(), subject.hex()).parse::<Tag>() else {
            return Ok(nothing);
        };
        let Some((index, _)) = self.find_manifest(target, &Reference::Tag(tag)).await? else { return Ok(nothing) };
        if !self.is_in_sight(target, sight, &index).await? {
            return Ok(nothing);
        }
        let Some(index) = index.parse() else { return Ok(nothing) };
        let (mut items, mut bytes) = (Vec::new(), 0);
        for digest in self.existing(target, index.children.into_iter().map(|child| child.digest), after).await? {
            if items.len() > limit || bytes > ANSWER_BYTES {
                return Ok(Listing { items, more: true });
            }
            let Some((manifest, _)) = self.find_manifest(target, &Reference::Digest(digest)).await? else { continue };
            if !self.is_in_sight(target, sight, &manifest).await? {
                continue;
            }
            let Some(parsed) = manifest.parse() else { continue };
            if artifact_type.is_some_and(|wanted| parsed.artifact_type.as_deref() != Some(wanted)) {
                continue;
            }
            bytes += manifest.bytes.len() as u64;
            let (digest, size) = (manifest.digest.clone(), manifest.bytes.len() as u64);
            let mut descriptor = Descriptor::new(manifest.media_type.clone(), digest, size);
            descriptor.artifact_type = parsed.artifact_type;
            descriptor.annotations = parsed.annotations;
            items.push(descriptor);
        }
        Ok(Listing { items, more: false })
    }

    /// Those of the digests after `after` that the repository holds as manifests, in order.
    async fn existing(
        &self,
        target: Target<'_>,
        digests: impl Iterator<Item = Digest>,
        after: &str,
    ) -> Result<Vec<Digest>, Error> {
        let wanted: Vec<Digest> = digests.filter(|digest| digest.as_str() > after).collect();
        let (registry, repository) = (target.registry.id, target.repository.clone());
        let found = self
            .inner
            .database
            .read(move |c| {
                Box::pin(async move {
                    match repositories::find(c, registry, &repository).await? {
                        Some(id) => manifests::find_many(c, id, &wanted.iter().collect::<Vec<_>>()).await,
                        None => Ok(Vec::new()),
                    }
                })
            })
            .await
            .map_err(Error::Metadata)?;
        let mut existing: Vec<Digest> = found.into_iter().filter_map(|(digest, _)| digest.parse().ok()).collect();
        existing.sort_unstable();
        Ok(existing)
    }
}

/// Which referrers are to be listed, and for whom.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    subject: &'a Digest,
    artifact_type: Option<&'a str>,
    sight: Sight,
}

/// How many descriptors an answer may hold, given the bytes of their annotations: at least one.
fn how_many_fit(annotation_bytes: impl Iterator<Item = u64>, limit: usize) -> usize {
    let mut total = 0;
    let fitting = annotation_bytes.take(limit).take_while(|bytes| {
        let fits = total == 0 || total + bytes <= ANSWER_BYTES;
        total += bytes + 1;
        fits
    });
    fitting.count()
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

/// How many bytes of annotations one answer holds, about as many as a manifest may have.
const ANSWER_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_what_fits_and_at_least_one() {
        assert_eq!(how_many_fit([0; 50].into_iter(), 100), 50);
        assert_eq!(how_many_fit([0; 50].into_iter(), 10), 10);
        assert_eq!(how_many_fit([5 << 20, 1].into_iter(), 10), 1);
        assert_eq!(how_many_fit([1 << 20; 10].into_iter(), 10), 3);
        assert_eq!(how_many_fit([].into_iter(), 10), 0);
    }
}
