//! The verifier: reads every row and every byte, and says what is not as it should be. It changes nothing.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use wharf_metadata::collection::{self, StoredBlob, StoredManifest};
use wharf_metadata::sizes;
use wharf_metadata::trash;
use wharf_model::{Digest, Hasher, error_chain};
use wharf_oci::ParsedManifest;

use crate::blobs::parse_key;
use crate::{Artifacts, Error};

/// What the verifier found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct VerifyReport {
    /// Blobs whose bytes were read and hashed.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Manifests whose bytes were hashed and whose references were followed.
    pub manifests: u64,
    /// Those of them that were deleted and can be restored.
    pub manifests_in_trash: u64,
    /// What is wrong, a line for a person each. Empty when all is well.
    pub problems: Vec<String>,
    /// What is unusual but allowed, such as an index whose child was deleted by its digest.
    pub notes: Vec<String>,
}

impl Artifacts {
    /// Verifies everything. `progress` hears of blobs and bytes done. Runs beside pushes and pulls; what vanishes while
    /// it looks is looked at again before it is called missing.
    ///
    /// # Errors
    /// When the metadata cannot be read at all. What is wrong with single items is in the report.
    pub async fn verify(&self, mut progress: impl FnMut(u64, u64) + Send) -> Result<VerifyReport, Error> {
        let mut report = VerifyReport::default();
        let mut after = 0;
        loop {
            let page = self.inner.database.read(move |c| Box::pin(collection::list_blobs(c, after, PAGE))).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for blob in page {
                report.blobs += 1;
                report.blob_bytes += u64::try_from(blob.size_bytes).unwrap_or(0);
                if let Some(problem) = self.check_blob(&blob).await
                    && self.still_there(&blob).await?
                {
                    report.problems.push(problem);
                }
                progress(report.blobs, report.blob_bytes);
            }
        }
        let mut after = 0;
        loop {
            let page = self.inner.database.read(move |c| Box::pin(collection::list_manifests(c, after, PAGE))).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for manifest in page {
                report.manifests += 1;
                self.check_manifest(&manifest, &mut report).await?;
            }
        }
        let miscounts = self.inner.database.read(|c| Box::pin(collection::list_miscounts(c))).await?;
        report.problems.extend(miscounts.into_iter().map(|m| {
            format!(
                "repository {} counts {} manifests and {} tags but has {} and {}",
                m.repository, m.manifest_count, m.tag_count, m.manifests, m.tags
            )
        }));
        report.problems.extend(self.inner.database.read(|c| Box::pin(sizes::list_miscounts(c))).await?);
        report.problems.extend(self.inner.database.read(|c| Box::pin(collection::list_inconsistencies(c))).await?);
        report.problems.extend(self.inner.database.read(|c| Box::pin(trash::list_inconsistencies(c))).await?);
        Ok(report)
    }

    async fn check_blob(&self, blob: &StoredBlob) -> Option<String> {
        let Ok(digest) = blob.digest.parse::<Digest>() else {
            return Some(format!("blob {:?} has no valid digest", blob.digest));
        };
        match self.hash_blob(blob, &digest).await {
            Ok((actual, length)) if actual != digest => {
                Some(format!("the bytes of blob {digest} have the digest {actual} ({length} bytes)"))
            }
            Ok((_, length)) if i64::try_from(length) != Ok(blob.size_bytes) => {
                Some(format!("blob {digest} has {length} bytes but is recorded with {}", blob.size_bytes))
            }
            Ok(_) => None,
            Err(error) => Some(format!("blob {digest} cannot be read: {}", error_chain(&error))),
        }
    }

    async fn hash_blob(&self, blob: &StoredBlob, digest: &Digest) -> Result<(Digest, u64), Error> {
        let mut hasher = Hasher::new(digest.algorithm());
        let mut length = 0;
        if let Some(bytes) = &blob.bytes {
            hasher.update(bytes);
            length = bytes.len() as u64;
        }
        if let Some(key) = &blob.storage_key {
            let stored = self.inner.blobs.open(&parse_key(key)?).await?;
            let size = stored.size();
            let mut stream = stored.stream(0..size);
            while let Some(bytes) = stream.next().await {
                let bytes = bytes?;
                length += bytes.len() as u64;
                hasher.update(&bytes);
            }
        }
        Ok((hasher.finish(), length))
    }

    /// Whether the row still stands as it was: the collector may have removed the blob meanwhile.
    async fn still_there(&self, blob: &StoredBlob) -> Result<bool, Error> {
        let after = blob.id - 1;
        let rows = self.inner.database.read(move |c| Box::pin(collection::list_blobs(c, after, 1))).await?;
        Ok(rows.first().is_some_and(|now| now.id == blob.id && now.storage_key == blob.storage_key))
    }

    async fn check_manifest(&self, manifest: &StoredManifest, report: &mut VerifyReport) -> Result<(), Error> {
        let place = if manifest.is_in_trash { " (in the trash)" } else { "" };
        let name = format!("{}@{}{place}", manifest.repository, manifest.digest);
        report.manifests_in_trash += u64::from(manifest.is_in_trash);
        let Ok(digest) = manifest.digest.parse::<Digest>() else {
            report.problems.push(format!("manifest {name} has no valid digest"));
            return Ok(());
        };
        let actual = Digest::of(digest.algorithm(), &manifest.bytes);
        if actual != digest {
            report.problems.push(format!("the bytes of manifest {name} have the digest {actual}"));
            return Ok(());
        }
        let parsed = match ParsedManifest::parse(Some(&manifest.media_type), &manifest.bytes) {
            Ok(parsed) => parsed,
            Err(error) => {
                report.problems.push(format!("manifest {name} cannot be read: {error}"));
                return Ok(());
            }
        };
        let (id, repository) = (manifest.id, wharf_model::RepositoryId(manifest.repository_id));
        let children: Vec<Digest> = parsed.children.iter().map(|child| child.digest.clone()).collect();
        let (linked, held, exists) = self
            .inner
            .database
            .read(move |c| {
                Box::pin(async move {
                    let linked = collection::list_blobs_of_manifest(c, id).await?;
                    let wanted: Vec<&Digest> = children.iter().collect();
                    let held = wharf_metadata::manifests::find_many(c, repository, &wanted).await?;
                    let exists = collection::list_manifests(c, id - 1, 1).await?.iter().any(|row| row.id == id);
                    Ok::<_, wharf_metadata::Error>((linked, held, exists))
                })
            })
            .await?;
        if !exists {
            return Ok(());
        }
        let linked: HashSet<String> = linked.into_iter().collect();
        for blob in parsed.blobs.iter().filter(|blob| blob.must_exist && !linked.contains(blob.digest.as_str())) {
            report.problems.push(format!("manifest {name} refers to blob {} which is not there", blob.digest));
        }
        // What an index in the trash lists may be in another part of it.
        if manifest.is_in_trash {
            return Ok(());
        }
        let held: HashSet<String> = held.into_iter().map(|(digest, _)| digest).collect();
        for child in parsed.children.iter().filter(|child| !held.contains(child.digest.as_str())) {
            report.notes.push(format!("index {name} lists manifest {} which was deleted", child.digest));
        }
        Ok(())
    }
}

/// Rows read at once; manifests have up to 4 MiB each, so few.
const PAGE: i64 = 16;
