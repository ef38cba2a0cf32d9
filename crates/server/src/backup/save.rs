//! Making a copy.

use std::fs::{self, DirBuilder, File};
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use serde::Serialize;
use wharf_blobs::{BlobStore as _, FileStore, StorageKey};
use wharf_metadata::collection::{self, StoredBlob};
use wharf_metadata::{Database, DatabaseUrl};
use wharf_model::{Digest, Hasher, Timestamp};
use wharf_registry::{Artifacts, ObjectHold};

use super::tar::TarWriter;
use super::{BLOBS, CREDENTIALS, DATABASE, FORMAT_VERSION, LABEL, Label, PAGE, SEALING_KEY, TLS};
use crate::app::App;
use crate::data_dir::{Mode, create_dir, create_secret_file, sync_dir, write};

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Saved {
    /// Blobs that have a file of their own.
    pub(crate) blobs: u64,
    /// Their bytes.
    pub(crate) blob_bytes: u64,
}

/// Copies everything to `target`: a tar file if its name ends in `.tar`, else a directory. Nothing is there under that
/// name until the copy is whole. `progress` hears of blobs and bytes done.
///
/// # Errors
/// When `target` exists, when something cannot be read or written, or when a blob is not what it should be.
pub(crate) async fn save(app: &App, target: &Path, mut progress: impl FnMut(&Saved)) -> Result<Saved, anyhow::Error> {
    let target = std::path::absolute(target).context("cannot tell where the copy is to be")?;
    let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if target.exists() && !is_empty(&target) {
        bail!("{} exists already; name a file or directory that does not", target.display());
    }
    let partial = PartialCopy::begin(&target)?;
    let mut sink = Sink::create(&partial.path, &target, app.clock.now())?;
    let mut hold = app.artifacts.hold_objects().await.context("cannot keep the collector from removing blobs")?;
    let saved = save_all(app, &partial, &mut sink, &mut hold, &mut progress).await;
    let released = app.artifacts.release_objects(hold).await;
    let saved = saved?;
    if let Err(error) = released {
        // The copy is whole all the same, and the hold ends by itself.
        tracing::warn!(error = &error as &dyn std::error::Error, "The collector may remove no blobs for an hour");
    }
    sink.finish()?;
    partial.complete(&target)?;
    Ok(saved)
}

async fn save_all(
    app: &App,
    partial: &PartialCopy,
    sink: &mut Sink,
    hold: &mut ObjectHold,
    progress: &mut impl FnMut(&Saved),
) -> Result<Saved, anyhow::Error> {
    save_small_files(app, sink)?;
    let path = partial.snapshot.join(DATABASE);
    let snapshot = take_snapshot(app, &path).await?;
    let saved = save_blobs(app, &snapshot, sink, hold, progress).await;
    snapshot.close().await;
    let saved = saved?;
    // Closed in order, SQLite has moved everything into the one file.
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        bail!("the snapshot of the database was not completed in {}", path.display());
    }
    sink.file(DATABASE, &path)?;
    Ok(saved)
}

fn save_small_files(app: &App, sink: &mut Sink) -> Result<(), anyhow::Error> {
    let label = Label {
        format_version: FORMAT_VERSION,
        wharf_version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: app.clock.now().to_string(),
    };
    sink.bytes(LABEL, &serde_json::to_vec_pretty(&label).context("a label always serialises")?)?;
    sink.file(SEALING_KEY, &app.data.sealing_key())?;
    // Its owner may have removed it.
    if app.data.credentials_file().is_file() {
        sink.file(CREDENTIALS, &app.data.credentials_file())?;
    }
    let directory = app.data.tls();
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", directory.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What begins with a dot is being written.
        if !name.starts_with('.') && entry.path().is_file() {
            sink.file(&format!("{TLS}/{name}"), &entry.path())?;
        }
    }
    Ok(())
}

/// Copies the blobs that the snapshot knows. None of them can vanish meanwhile, as long as the hold is renewed.
async fn save_blobs(
    app: &App,
    snapshot: &Database,
    sink: &mut Sink,
    hold: &mut ObjectHold,
    progress: &mut impl FnMut(&Saved),
) -> Result<Saved, anyhow::Error> {
    let mut saved = Saved::default();
    let mut after = 0;
    loop {
        let page = snapshot
            .read(move |c| Box::pin(collection::list_blobs(c, after, PAGE)))
            .await
            .context("cannot list the blobs")?;
        let Some(last) = page.last() else { return Ok(saved) };
        after = last.id;
        for blob in page {
            // Small ones are in the database itself.
            let Some(key) = &blob.storage_key else { continue };
            save_blob(app, sink, hold, key, &blob).await.with_context(|| {
                format!("cannot copy blob {}; `wharf verify` tells what else is wrong", blob.digest)
            })?;
            saved.blobs += 1;
            saved.blob_bytes += u64::try_from(blob.size_bytes).unwrap_or(0);
            progress(&saved);
        }
    }
}

async fn save_blob(
    app: &App,
    sink: &mut Sink,
    hold: &mut ObjectHold,
    key: &str,
    row: &StoredBlob,
) -> Result<(), anyhow::Error> {
    let key: StorageKey = key.parse().context("its storage key is damaged")?;
    let digest: Digest = row.digest.parse().context("its digest is damaged")?;
    let stored = app.artifacts.blob_store().open(&key).await.context("it cannot be opened")?;
    let size = stored.size();
    let mut hasher = Hasher::new(digest.algorithm());
    let mut pieces = stored.stream(0..size);
    let mut writing = sink.begin_blob(&key, size, &digest).await?;
    while let Some(piece) = pieces.next().await {
        app.artifacts.renew_hold(hold).await.context("cannot keep the collector from removing blobs")?;
        let piece = piece.context("it cannot be read")?;
        hasher.update(&piece);
        writing.write(piece).await?;
    }
    writing.end().await?;
    let actual = hasher.finish();
    if actual != digest {
        bail!("its bytes have the digest {actual}, so it is damaged");
    }
    Ok(())
}

/// Takes a snapshot of the database and opens it. What means something to the running installation alone is left out.
async fn take_snapshot(app: &App, path: &Path) -> Result<Database, anyhow::Error> {
    create_secret_file(path).with_context(|| format!("cannot create {}", path.display()))?;
    if !app.database.copy_to(path).await.context("cannot take a snapshot of the database")? {
        bail!(
            "the database is PostgreSQL, which has its own tools for this: \
             use pg_dump, and copy the data directory's sealing.key and tls beside it"
        );
    }
    let snapshot = Database::open(&DatabaseUrl::Sqlite(path.to_owned())).await.context("cannot open the snapshot")?;
    Artifacts::forget_what_runs(&snapshot).await.context("cannot prepare the snapshot")?;
    Ok(snapshot)
}

/// A copy that is not whole yet, under a name of its own. Dropped, it is removed.
struct PartialCopy {
    path: PathBuf,
    /// The directory, for its owner only, in which the snapshot of the database is taken.
    snapshot: PathBuf,
    is_complete: bool,
}

impl PartialCopy {
    fn begin(target: &Path) -> Result<Self, anyhow::Error> {
        let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else {
            bail!("{} is no name for a copy", target.display());
        };
        create_dir(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let aside =
            |suffix: &str| directory.join(format!(".{}.{}.{suffix}", name.to_string_lossy(), std::process::id()));
        let partial = Self { path: aside("partial"), snapshot: aside("snapshot"), is_complete: false };
        DirBuilder::new()
            .mode(0o700)
            .create(&partial.snapshot)
            .with_context(|| format!("cannot create {}", partial.snapshot.display()))?;
        Ok(partial)
    }

    fn complete(mut self, target: &Path) -> Result<(), anyhow::Error> {
        if target.is_dir() {
            fs::remove_dir(target).with_context(|| format!("cannot replace the empty {}", target.display()))?;
        }
        fs::rename(&self.path, target).with_context(|| format!("cannot name the copy {}", target.display()))?;
        self.is_complete = true;
        let directory = target.parent().unwrap_or(Path::new("/"));
        sync_dir(directory).with_context(|| format!("cannot sync {}", directory.display()))
    }
}

impl Drop for PartialCopy {
    fn drop(&mut self) {
        // Nobody can be told when this fails, and the names say what was left.
        let _ = fs::remove_dir_all(&self.snapshot);
        if !self.is_complete {
            let _ = if self.path.is_dir() { fs::remove_dir_all(&self.path) } else { fs::remove_file(&self.path) };
        }
    }
}

/// Where a copy goes.
enum Sink {
    Directory { root: PathBuf, blobs: FileStore },
    Tar(TarWriter),
}

impl Sink {
    fn create(path: &Path, target: &Path, now: Timestamp) -> Result<Self, anyhow::Error> {
        let cannot = || format!("cannot create {}", path.display());
        if target.extension().is_some_and(|extension| extension == "tar") {
            let modified = u64::try_from(now.unix_seconds()).unwrap_or(0);
            return Ok(Self::Tar(TarWriter::create(path, modified).with_context(cannot)?));
        }
        create_dir(path).with_context(cannot)?;
        create_dir(&path.join(TLS)).with_context(cannot)?;
        let blobs = FileStore::open(path.join(BLOBS)).with_context(cannot)?;
        Ok(Self::Directory { root: path.to_owned(), blobs })
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), anyhow::Error> {
        let cannot = || format!("cannot write {name}");
        match self {
            Self::Directory { root, .. } => write(&root.join(name), bytes, Mode::Secret).with_context(cannot),
            Self::Tar(tar) => {
                let mut put = || {
                    tar.begin(name, bytes.len() as u64)?;
                    tar.write(bytes)?;
                    tar.end()
                };
                put().with_context(cannot)
            }
        }
    }

    fn file(&mut self, name: &str, source: &Path) -> Result<(), anyhow::Error> {
        let cannot = || format!("cannot copy {}", source.display());
        match self {
            Self::Directory { root, .. } => {
                let copy = || {
                    fs::copy(source, root.join(name))?;
                    File::open(root.join(name))?.sync_all()
                };
                copy().with_context(cannot)
            }
            Self::Tar(tar) => {
                let mut copy = || -> std::io::Result<()> {
                    let mut file = File::open(source)?;
                    tar.begin(name, file.metadata()?.len())?;
                    let mut buffer = vec![0; 256 * 1024];
                    loop {
                        match file.read(&mut buffer)? {
                            0 => return tar.end(),
                            length => tar.write(&buffer[..length])?,
                        }
                    }
                };
                copy().with_context(cannot)
            }
        }
    }

    async fn begin_blob(
        &mut self,
        key: &StorageKey,
        size: u64,
        digest: &Digest,
    ) -> Result<BlobSink<'_>, anyhow::Error> {
        match self {
            Self::Directory { blobs, .. } => Ok(BlobSink::Directory(blobs.create(key, digest.algorithm()).await?)),
            Self::Tar(tar) => {
                tar.begin(&format!("{BLOBS}/{key}"), size)?;
                Ok(BlobSink::Tar(tar))
            }
        }
    }

    fn finish(self) -> Result<(), anyhow::Error> {
        match self {
            Self::Directory { root, .. } => {
                sync_dir(&root.join(TLS)).and_then(|()| sync_dir(&root)).context("cannot sync the copy")
            }
            Self::Tar(tar) => tar.finish().context("cannot finish the tar file"),
        }
    }
}

/// Where the bytes of one blob go.
enum BlobSink<'a> {
    Directory(Box<dyn wharf_blobs::BlobWriter>),
    Tar(&'a mut TarWriter),
}

impl BlobSink<'_> {
    async fn write(&mut self, piece: bytes::Bytes) -> Result<(), anyhow::Error> {
        match self {
            Self::Directory(writer) => Ok(writer.write(piece).await?),
            Self::Tar(tar) => Ok(tar.write(&piece)?),
        }
    }

    async fn end(self) -> Result<(), anyhow::Error> {
        match self {
            Self::Directory(mut writer) => Ok(writer.sync().await?),
            Self::Tar(tar) => Ok(tar.end()?),
        }
    }
}
