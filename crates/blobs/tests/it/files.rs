//! What only the store of files can do or meet.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use wharf_blobs::{BlobStore, Error, FileStore};
use wharf_model::{Algorithm, Digest};

use crate::support::{FileFixture, Fixture, content, eventually, list, new_key, put, read_all, write_frames};

/// A filesystem of a few MiB, gone again with this value.
struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    fn mount(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        match mount {
            Ok(output) if output.status.success() => Self { dir },
            Ok(output) => panic!(
                "this test fills a small disk, for which it must be allowed to mount a tmpfs: run it as root ({})",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
            Err(error) => panic!("this test fills a small disk and needs the program mount: {error}"),
        }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("blobs")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.dir.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_the_upload_and_nothing_else() {
    let disk = SmallDisk::mount("8m");
    let store = FileStore::open(disk.root()).unwrap();
    let before = content(1 << 20, 1);
    let kept = put(&store, &before).await;

    let key = new_key();
    let mut writer = store.create(&key, Algorithm::Sha256).await.unwrap();
    let written = write_frames(writer.as_mut(), &content(20 << 20, 2), 65_536).await;
    let error = match written {
        Ok(()) => writer.sync().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    assert!(error.to_string().starts_with("the blob storage is full: could not write /"), "{error}");
    assert!(matches!(writer.sync().await, Err(Error::Broken { .. })));
    assert!(matches!(writer.write(content(1 << 20, 3)).await, Err(Error::Broken { .. })));

    // The store is as it was, and has room again even before the writer is dropped.
    assert!(read_all(&store, &kept).await.unwrap() == before);
    let another = put(&store, &content(4 << 20, 4)).await;
    drop(writer);
    assert!(read_all(&store, &another).await.unwrap() == content(4 << 20, 4));
    assert_eq!(list(&store).await.len(), 2);
    store.probe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_upload_survives_a_full_disk_and_goes_on() {
    let disk = SmallDisk::mount("8m");
    let store = FileStore::open(disk.root()).unwrap();
    let filler = disk.dir.path().join("filler");
    let bytes = content(5 << 20, 1);
    let key = new_key();
    let mut writer = store.create(&key, Algorithm::Sha256).await.unwrap();
    writer.write(bytes.slice(..2 << 20)).await.unwrap();
    writer.sync().await.unwrap();

    // tmpfs says how much it has left only by refusing.
    fs::write(&filler, vec![0; 5 << 20]).unwrap();
    writer.write(bytes.slice(2 << 20..)).await.unwrap();
    assert!(matches!(writer.sync().await, Err(Error::Full { .. })));
    drop(writer);
    fs::remove_file(&filler).unwrap();

    let mut writer = store.resume(&key, 2 << 20, Algorithm::Sha256).await.unwrap();
    writer.write(bytes.slice(2 << 20..)).await.unwrap();
    writer.sync().await.unwrap();
    assert_eq!(writer.digest(Algorithm::Sha256).await.unwrap(), Digest::of(Algorithm::Sha256, &bytes));
    assert!(read_all(&store, &key).await.unwrap() == bytes);
}

#[tokio::test]
async fn a_file_is_made_with_its_first_batch_and_for_its_owner_only() {
    let fixture = FileFixture::new();
    let key = new_key();
    let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
    writer.write(content(1000, 1)).await.unwrap();
    let _ = writer.digest(Algorithm::Sha256).await.unwrap();
    assert!(!fixture.path(&key).exists());
    writer.sync().await.unwrap();
    assert!(fs::read(fixture.path(&key)).unwrap() == content(1000, 1));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fixture.path(&key)), 0o600);
    assert_eq!(mode(&fixture.root()), 0o700);
    assert_eq!(mode(fixture.path(&key).parent().unwrap()), 0o700);
}

#[tokio::test]
async fn hot_blobs_are_not_opened_again_and_deleted_ones_not_kept() {
    let fixture = FileFixture::new();
    let key = put(fixture.store(), &content(1000, 1)).await;
    let _ = fixture.store().open(&key).await.unwrap();
    fs::rename(fixture.path(&key), fixture.dir.path().join("away")).unwrap();
    assert!(fixture.store().open(&key).await.is_ok());
    fixture.store().delete(&key).await.unwrap();
    assert!(matches!(fixture.store().open(&key).await, Err(Error::Missing { .. })));
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let root = fixture.dir.path().to_owned();
    let open: Vec<_> =
        links.filter(|link| link.starts_with(&root)).filter(|link| *link != root.join("blobs")).collect();
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test]
async fn strange_files_are_neither_listed_nor_touched() {
    let fixture = FileFixture::new();
    let key = put(fixture.store(), &content(10, 1)).await;
    let strange = fixture.root().join("0/README");
    fs::write(&strange, "?").unwrap();
    let wrong_shard = if key.as_str().starts_with('0') { "1" } else { "0" };
    fs::write(fixture.root().join(wrong_shard).join(&key.as_str()[2..]), "in the wrong shard").unwrap();
    assert_eq!(list(fixture.store()).await, [(key, 10)]);
    assert!(strange.exists());
}

#[tokio::test]
async fn a_probe_says_what_is_wrong() {
    let fixture = FileFixture::new();
    fs::remove_dir_all(fixture.root()).unwrap();
    let error = fixture.store().probe().await.unwrap_err();
    assert_eq!(error.to_string(), format!("could not create the probe file {}/probe-0", fixture.root().display()));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let error = FileStore::open("/proc/nothing/blobs".into()).unwrap_err();
    assert_eq!(error.to_string(), "could not create the blob directory /proc/nothing/blobs");
}

#[test]
fn an_upload_waits_when_the_disk_lags_behind() {
    let fixture = FileFixture::new();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let occupied = tokio::task::spawn_blocking(move || released.recv().unwrap());
        let bytes = content(10 << 20, 1);
        let key = new_key();
        let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
        let mut start = 0;
        loop {
            let mut write = writer.write(bytes.slice(start..start + 65_536));
            start += 65_536;
            if futures_util::poll!(&mut write).is_pending() {
                break;
            }
        }
        // One batch that would be worked on, one that waits, one being gathered.
        assert_eq!(writer.length(), 3 * 512 * 1024);
        release.send(()).unwrap();
        occupied.await.unwrap();
        // The write that was given up had taken its bytes.
        writer.write(bytes.slice(start..)).await.unwrap();
        writer.sync().await.unwrap();
        assert!(read_all(fixture.store(), &key).await.unwrap() == bytes);
    });
}

#[test]
fn an_upload_that_outlives_its_runtime_leaves_nothing_and_does_not_hang() {
    let fixture = FileFixture::new();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let mut writer = first.block_on(async {
        let mut writer = fixture.store().create(&new_key(), Algorithm::Sha256).await.unwrap();
        write_frames(writer.as_mut(), &content(3 << 20, 1), 65_536).await.unwrap();
        writer
    });
    drop(first);
    second.block_on(async {
        let _ = writer.digest(Algorithm::Sha512).await;
        drop(writer);
        eventually("nothing left", async || list(fixture.store()).await.is_empty()).await;
    });
}
