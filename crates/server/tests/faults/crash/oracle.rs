//! What must be there: a model of a repository that one worker alone changes, and of tags that all workers write.
//!
//! Every request changes the model in one step. While a request is under way the model has two states, before and after;
//! a server that was killed meanwhile must show one of them whole, never a mixture.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A repository as it should be.
#[derive(Clone, Debug, Default)]
pub(super) struct Repository {
    /// By digest.
    pub(super) manifests: BTreeMap<String, Manifest>,
    /// By name, with the digest of its manifest.
    pub(super) tags: BTreeMap<String, String>,
    /// By digest.
    pub(super) blobs: BTreeMap<String, Blob>,
    /// Manifests and blobs whose deletion was acknowledged and that were not pushed again.
    pub(super) gone: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) subject: Option<String>,
    pub(super) blobs: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) content: Arc<Vec<u8>>,
    /// When the last request that pushed or mounted it was sent: its lease began later.
    pub(super) since: Instant,
}

impl Repository {
    pub(super) fn put_blob(&mut self, digest: &str, content: &Arc<Vec<u8>>) {
        self.gone.remove(digest);
        self.blobs.insert(digest.to_owned(), Blob { content: content.clone(), since: Instant::now() });
    }

    pub(super) fn delete_blob(&mut self, digest: &str) {
        self.blobs.remove(digest);
        self.gone.insert(digest.to_owned());
    }

    pub(super) fn put_manifest(&mut self, digest: &str, manifest: Manifest, tag: Option<&str>) {
        self.gone.remove(digest);
        self.manifests.insert(digest.to_owned(), manifest);
        if let Some(tag) = tag {
            self.tags.insert(tag.to_owned(), digest.to_owned());
        }
    }

    /// Deletes a manifest with its tags and everything that refers to it.
    pub(super) fn delete_manifest(&mut self, digest: &str) {
        if self.manifests.remove(digest).is_none() {
            return;
        }
        self.tags.retain(|_, named| named != digest);
        self.gone.insert(digest.to_owned());
        for referrer in self.referrers(digest) {
            self.delete_manifest(&referrer);
        }
    }

    pub(super) fn referrers(&self, digest: &str) -> BTreeSet<String> {
        let about = |manifest: &Manifest| manifest.subject.as_deref() == Some(digest);
        self.manifests.iter().filter(|(_, manifest)| about(manifest)).map(|(digest, _)| digest.clone()).collect()
    }

    /// Whether a manifest refers to the blob, which then may not go.
    pub(super) fn needs(&self, blob: &str) -> bool {
        self.manifests.values().any(|manifest| manifest.blobs.iter().any(|needed| needed == blob))
    }

    /// Whether both hold the same manifests under the same tags.
    pub(super) fn shows_the_same(&self, manifests: &BTreeSet<String>, tags: &BTreeMap<String, String>) -> bool {
        self.tags == *tags && self.manifests.keys().eq(manifests)
    }
}

/// A tag that many write. Each write is an interval of time; `None` stands for its deletion.
#[derive(Debug, Default)]
pub(super) struct SharedTag {
    writes: Vec<Write>,
}

#[derive(Clone, Debug)]
struct Write {
    began: u64,
    /// `u64::MAX` while nobody knows whether it took place.
    ended: u64,
    value: Option<String>,
}

/// Orders the beginnings and ends of writes.
static MOMENTS: AtomicU64 = AtomicU64::new(1);

pub(super) fn moment() -> u64 {
    MOMENTS.fetch_add(1, Ordering::SeqCst)
}

impl SharedTag {
    /// A write begins; its number.
    pub(super) fn begin(&mut self, value: Option<String>) -> usize {
        self.writes.push(Write { began: moment(), ended: u64::MAX, value });
        self.writes.len() - 1
    }

    /// A write was acknowledged.
    pub(super) fn end(&mut self, write: usize) {
        self.writes[write].ended = moment();
    }

    /// The server is dead and `found` is what it left. Tells what else would have been right, if `found` is not.
    pub(super) fn settle(&mut self, found: Option<&str>) -> Result<(), String> {
        let nothing = Write { began: 0, ended: 0, value: None };
        let writes: Vec<Write> = std::iter::once(nothing).chain(self.writes.drain(..)).collect();
        // Overwritten for certain: a write that began later than this one ended was acknowledged.
        let is_last = |write: &Write| !writes.iter().any(|other| other.ended != u64::MAX && other.began > write.ended);
        let possible: Vec<&Write> = writes.iter().filter(|write| is_last(write)).collect();
        if !possible.iter().any(|write| write.value.as_deref() == found) {
            return Err(format!("{found:?} is none of {possible:?}"));
        }
        self.writes.push(Write { began: moment(), ended: moment(), value: found.map(str::to_owned) });
        Ok(())
    }
}

#[test]
fn the_oracle_knows_which_write_may_be_the_last() {
    let history = || {
        let mut tag = SharedTag::default();
        let first = tag.begin(Some("a".into()));
        tag.end(first);
        let second = tag.begin(Some("b".into()));
        tag.begin(Some("c".into()));
        tag.end(second);
        tag
    };
    assert!(history().settle(Some("a")).is_err(), "overwritten by an acknowledged write");
    assert!(history().settle(None).is_err(), "acknowledged writes are lost");
    assert!(history().settle(Some("b")).is_ok(), "acknowledged");
    assert!(history().settle(Some("c")).is_ok(), "under way, and perhaps the last");
    let mut tag = SharedTag::default();
    tag.begin(Some("a".into()));
    assert!(tag.settle(None).is_ok(), "nobody was told");
}
