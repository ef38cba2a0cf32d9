//! Bringing a copy back.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use wharf_blobs::{BlobStore as _, FileStore, StorageKey};
use wharf_identity::SealingKey;
use wharf_metadata::{Database, DatabaseUrl, collection};
use wharf_model::Algorithm;

use super::{BLOBS, CREDENTIALS, DATABASE, FORMAT_VERSION, LABEL, Label, PAGE, SEALING_KEY, Saved, TLS};
use crate::data_dir::{DataDir, Mode, create_dir, sync_dir, write};
use crate::installation::Installation;

/// Brings the copy `source` back as the data directory `target`, which must not exist or be empty. It is checked before
/// it is put in place: the database opens, the sealing key is the right one, and every blob is there.
///
/// # Errors
/// When `target` holds something, when `source` is no copy or not whole, or when something cannot be read or written.
pub(crate) async fn restore(
    source: &Path,
    target: &Path,
    mut progress: impl FnMut(&Saved),
) -> Result<Saved, anyhow::Error> {
    let target = std::path::absolute(target).context("cannot tell where the data directory is to be")?;
    if fs::read_dir(&target).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("the data directory {} is not empty; name another with --data, or move it away", target.display());
    }
    let staging = Staging::begin(&target)?;
    let mut saved = Saved::default();
    {
        let mut place = Place {
            data: DataDir::at(&staging.path),
            blobs: FileStore::open(staging.path.join(BLOBS)).context("cannot create the blob store")?,
            has_label: false,
        };
        place.data.create()?;
        let read = async {
            if source.is_dir() {
                read_directory(source, source, &mut place, &mut saved, &mut progress).await
            } else {
                read_tar(source, &mut place, &mut saved, &mut progress).await
            }
        };
        read.await.with_context(|| format!("cannot restore {}", source.display()))?;
        if !place.has_label {
            bail!("{} is not a copy made by `wharf backup`: it has no {LABEL}", source.display());
        }
        check(&place).await.with_context(|| format!("the copy {} is not whole", source.display()))?;
    }
    staging.complete(&target)?;
    Ok(saved)
}

async fn read_tar(
    source: &Path,
    place: &mut Place,
    saved: &mut Saved,
    progress: &mut impl FnMut(&Saved),
) -> Result<(), anyhow::Error> {
    let file = File::open(source).context("cannot open it")?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1024 * 1024, file));
    for entry in archive.entries().context("it is not a tar file")? {
        let mut entry = entry.context("it is not a tar file, or damaged")?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            bail!("it holds something that is no file, which `wharf backup` never writes");
        }
        let name = entry.path().context("the name of an entry is damaged")?.to_string_lossy().into_owned();
        place.put(&name, &mut entry, saved).await.with_context(|| format!("cannot restore {name}"))?;
        progress(saved);
    }
    Ok(())
}

async fn read_directory(
    root: &Path,
    directory: &Path,
    place: &mut Place,
    saved: &mut Saved,
    progress: &mut impl FnMut(&Saved),
) -> Result<(), anyhow::Error> {
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))? {
            let path = entry.with_context(|| format!("cannot read {}", directory.display()))?.path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let mut file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            place.put(&name, &mut file, saved).await.with_context(|| format!("cannot restore {name}"))?;
            progress(saved);
        }
    }
    Ok(())
}

/// The data directory in the making.
struct Place {
    data: DataDir,
    blobs: FileStore,
    has_label: bool,
}

impl Place {
    /// Takes one file of the copy. Only names that a copy has are taken, so none can lead anywhere else.
    async fn put(&mut self, name: &str, content: &mut impl Read, saved: &mut Saved) -> Result<(), anyhow::Error> {
        let path = match name {
            LABEL => {
                let mut text = Vec::new();
                content.read_to_end(&mut text)?;
                let label: Label = serde_json::from_slice(&text).context("it is not understood")?;
                if label.format_version != FORMAT_VERSION {
                    bail!(
                        "it was made by Wharf {} in a format ({}) that this version does not know; use that version",
                        label.wharf_version,
                        label.format_version
                    );
                }
                self.has_label = true;
                return Ok(());
            }
            SEALING_KEY => self.data.sealing_key(),
            CREDENTIALS => self.data.credentials_file(),
            DATABASE => return put_large(&self.data.database(), content),
            name => match name.split_once('/') {
                Some((BLOBS, key)) => return self.put_blob(key, content, saved).await,
                Some((TLS, file)) if is_plain(file) => self.data.tls().join(file),
                _ => bail!("a copy made by `wharf backup` has no such file"),
            },
        };
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        let mode = if path == self.data.authority() { Mode::Public } else { Mode::Secret };
        Ok(write(&path, &bytes, mode)?)
    }

    async fn put_blob(&self, key: &str, content: &mut impl Read, saved: &mut Saved) -> Result<(), anyhow::Error> {
        let key: StorageKey = key.parse()?;
        // The digest is not wanted here: `wharf verify` reads everything again.
        let mut writer = self.blobs.create(&key, Algorithm::Sha256).await?;
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            content.take(PIECE as u64).read_to_end(&mut piece)?;
            if piece.is_empty() {
                break;
            }
            saved.blob_bytes += piece.len() as u64;
            writer.write(Bytes::from(piece)).await?;
        }
        writer.sync().await?;
        saved.blobs += 1;
        Ok(())
    }
}

const PIECE: usize = 256 * 1024;

fn is_plain(name: &str) -> bool {
    !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn put_large(path: &Path, content: &mut impl Read) -> Result<(), anyhow::Error> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    std::io::copy(content, &mut file)?;
    Ok(file.sync_all()?)
}

/// Whether what was restored can be served.
async fn check(place: &Place) -> Result<(), anyhow::Error> {
    for path in [place.data.sealing_key(), place.data.database()] {
        if !path.is_file() {
            bail!("{} is missing", path.file_name().unwrap_or_default().to_string_lossy());
        }
    }
    let sealing = SealingKey::load_or_create(&place.data.sealing_key()).context("its sealing key cannot be used")?;
    let database =
        Database::open(&DatabaseUrl::Sqlite(place.data.database())).await.context("its database cannot be opened")?;
    let checked = check_rows(place, &database, &sealing).await;
    database.close().await;
    checked
}

async fn check_rows(place: &Place, database: &Database, sealing: &SealingKey) -> Result<(), anyhow::Error> {
    Installation::load(database, sealing).await?.ok_or_else(|| anyhow!("its database is empty"))?;
    let mut after = 0;
    loop {
        let page = database.read(move |c| Box::pin(collection::list_blobs(c, after, PAGE))).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for blob in page {
            let Some(key) = &blob.storage_key else { continue };
            let stored =
                place.blobs.open(&key.parse()?).await.with_context(|| format!("blob {} is missing", blob.digest))?;
            if u64::try_from(blob.size_bytes) != Ok(stored.size()) {
                bail!("blob {} has {} bytes instead of {}", blob.digest, stored.size(), blob.size_bytes);
            }
        }
    }
}

/// A data directory beside its place. Dropped before it is complete, it is removed.
struct Staging {
    path: PathBuf,
    is_complete: bool,
}

impl Staging {
    fn begin(target: &Path) -> Result<Self, anyhow::Error> {
        let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else {
            bail!("{} is no name for a data directory", target.display());
        };
        let path = directory.join(format!(".{}.{}.restoring", name.to_string_lossy(), std::process::id()));
        create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path, is_complete: false })
    }

    fn complete(mut self, target: &Path) -> Result<(), anyhow::Error> {
        if target.is_dir() {
            fs::remove_dir(target).with_context(|| format!("cannot replace the empty {}", target.display()))?;
        }
        sync_dir(&self.path).with_context(|| format!("cannot sync {}", self.path.display()))?;
        fs::rename(&self.path, target)
            .with_context(|| format!("cannot put the data directory {} in place", target.display()))?;
        self.is_complete = true;
        let directory = target.parent().unwrap_or(Path::new("/"));
        sync_dir(directory).with_context(|| format!("cannot sync {}", directory.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_complete {
            // Its name says what it is if this fails.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for good in ["ca.pem", "server-2.key", "a_b"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["..", ".x", "a/b", "../x", "a\\b", "é"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
