//! Everything that is to be imported: the manifest, what it lists, and what refers to any of these.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use wharf_model::{Digest, Reference};
use wharf_oci::BlobReference;
use wharf_upstream::UpstreamError;

use super::error::ImportError;
use super::source::{Found, Source};

/// The manifests of an import, and the blobs that they refer to.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Digest,
    /// Each behind what it lists and behind its subject.
    pub(super) manifests: Vec<Found>,
    /// Each once; those that have to be in a registry.
    pub(super) blobs: Vec<BlobReference>,
}

impl Tree {
    /// Finds all of it. Nothing is written.
    pub(super) async fn find(source: &Source, reference: &Reference, referrers: bool) -> Result<Self, ImportError> {
        let first = source.get_manifest(reference).await?;
        let root = first.digest.clone();
        let mut known: HashMap<Digest, Found> = HashMap::new();
        // In the order in which they came up, a level at a time: subjects before their referrers.
        let mut order: Vec<Digest> = Vec::new();
        let mut size_bytes = 0;
        let mut level = vec![first];
        while !level.is_empty() {
            let mut next: Vec<Wanted> = Vec::new();
            for found in &level {
                next.extend(
                    found
                        .content
                        .children
                        .iter()
                        .map(|child| Wanted { digest: child.digest.clone(), must_exist: true }),
                );
            }
            if referrers {
                let digests: Vec<Digest> = level.iter().map(|found| found.digest.clone()).collect();
                let listing: Vec<_> = digests.iter().map(|digest| source.list_referrers(digest)).collect();
                let listed: Vec<Vec<Digest>> = stream::iter(listing).buffered(AT_ONCE).try_collect().await?;
                let listed = listed.into_iter().flatten();
                next.extend(listed.map(|digest| Wanted { digest, must_exist: false }));
            }
            for found in level {
                size_bytes += found.bytes.len();
                if size_bytes > MOST_BYTES {
                    return Err(ImportError::TooMuch { what: "bytes of manifests", most: MOST_BYTES });
                }
                order.push(found.digest.clone());
                known.insert(found.digest.clone(), found);
            }
            let mut seen = HashSet::new();
            next.retain(|wanted| !known.contains_key(&wanted.digest) && seen.insert(wanted.digest.clone()));
            if known.len() + next.len() > MOST_MANIFESTS {
                return Err(ImportError::TooMuch { what: "manifests", most: MOST_MANIFESTS });
            }
            let fetching: Vec<_> = next.into_iter().map(|wanted| wanted.fetch(source)).collect();
            let fetched: Vec<Option<Found>> = stream::iter(fetching).buffered(AT_ONCE).try_collect().await?;
            level = fetched.into_iter().flatten().collect();
        }
        let blobs = blobs_of(order.iter().filter_map(|digest| known.get(digest)))?;
        Ok(Self { root, manifests: sort(order, known), blobs })
    }
}

/// A manifest that is to be found.
struct Wanted {
    digest: Digest,
    /// Whether what is imported is not whole without it. A list of referrers may be older than what it lists.
    must_exist: bool,
}

impl Wanted {
    async fn fetch(self, source: &Source) -> Result<Option<Found>, ImportError> {
        match source.get_manifest(&Reference::Digest(self.digest)).await {
            Ok(found) => Ok(Some(found)),
            Err(ImportError::NotFound { .. } | ImportError::Upstream(UpstreamError::NotFound { .. }))
                if !self.must_exist =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Puts children before what lists them, and otherwise keeps the order.
fn sort(order: Vec<Digest>, mut known: HashMap<Digest, Found>) -> Vec<Found> {
    let mut sorted = Vec::with_capacity(known.len());
    for first in order {
        // What is left to be done, the last first: a manifest, or its children before it.
        let mut left = vec![(first, false)];
        while let Some((digest, is_ready)) = left.pop() {
            if is_ready {
                sorted.extend(known.remove(&digest));
            } else if let Some(found) = known.get(&digest) {
                let children: Vec<Digest> = found.content.children.iter().map(|child| child.digest.clone()).collect();
                left.push((digest, true));
                left.extend(children.into_iter().rev().map(|child| (child, false)));
            }
        }
    }
    sorted
}

fn blobs_of<'a>(manifests: impl Iterator<Item = &'a Found>) -> Result<Vec<BlobReference>, ImportError> {
    let mut seen = HashSet::new();
    let mut blobs = Vec::new();
    for manifest in manifests {
        let wanted = manifest.content.blobs.iter().filter(|blob| blob.must_exist);
        blobs.extend(wanted.filter(|blob| seen.insert(blob.digest.clone())).cloned());
        if blobs.len() > MOST_BLOBS {
            return Err(ImportError::TooMuch { what: "blobs", most: MOST_BLOBS });
        }
    }
    Ok(blobs)
}

/// How many manifests are asked for at once.
const AT_ONCE: usize = 8;
/// How much one import brings. Manifests are held in memory until they are pushed.
const MOST_MANIFESTS: usize = 2_000;
const MOST_BYTES: usize = 64 << 20;
const MOST_BLOBS: usize = 50_000;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wharf_model::Algorithm;
    use wharf_oci::Descriptor;
    use wharf_oci::{Index, ParsedManifest, media_type};

    use super::*;

    fn index(children: &[&Found]) -> Found {
        let describe = |child: &&Found| Descriptor::new(child.media_type.clone(), child.digest.clone(), 1);
        let bytes: Bytes = Index::of(children.iter().map(describe).collect()).to_json().into();
        Found {
            digest: Digest::of(Algorithm::Sha256, &bytes),
            media_type: media_type::OCI_INDEX.to_owned(),
            content: ParsedManifest::parse(Some(media_type::OCI_INDEX), &bytes).unwrap(),
            bytes,
        }
    }

    #[test]
    fn children_stand_before_what_lists_them_and_each_once() {
        let leaf = index(&[]);
        let inner = index(&[&leaf]);
        let root = index(&[&inner, &leaf]);
        let order = vec![root.digest.clone(), inner.digest.clone(), leaf.digest.clone()];
        let known = [&root, &inner, &leaf].map(|found| (found.digest.clone(), found.clone())).into();
        let sorted: Vec<Digest> = sort(order, known).into_iter().map(|found| found.digest).collect();
        assert_eq!(sorted, [leaf.digest, inner.digest, root.digest]);
    }
}
