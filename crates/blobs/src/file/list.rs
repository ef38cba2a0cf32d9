//! Walking the directories, for those who look for orphans.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use wharf_model::Timestamp;

use super::shards::Shards;
use crate::key::SHARDS;
use crate::{Error, StorageKey, StoredBlob};

/// What follows `after` in its shard, or else in the first later shard that holds anything. Blocks.
pub(super) fn page(shards: &Shards, after: Option<&StorageKey>) -> Result<Vec<StoredBlob>, Error> {
    for shard in after.map_or(0, StorageKey::shard)..SHARDS {
        let page = shard_page(shards, shard, after)?;
        if !page.is_empty() {
            return Ok(page);
        }
    }
    Ok(Vec::new())
}

fn shard_page(shards: &Shards, shard: u8, after: Option<&StorageKey>) -> Result<Vec<StoredBlob>, Error> {
    let path = shards.shard_path(shard);
    let failed = |error| Error::io("list", path.display().to_string(), error);
    let mut page = Vec::new();
    for entry in fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Ok(key) = format!("{shard:x}/{}", name.to_string_lossy()).parse::<StorageKey>() else {
            tracing::warn!(path = %entry.path().display(), "{} is no blob and is left alone", entry.path().display());
            continue;
        };
        if after.is_some_and(|after| key <= *after) {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) => page.push(StoredBlob {
                key,
                size_bytes: metadata.len(),
                modified_at: Timestamp(metadata.mtime() * 1_000_000 + metadata.mtime_nsec() / 1000),
            }),
            // Deleted since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    page.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(page)
}
