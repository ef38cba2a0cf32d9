//! Backups: whole, and made while everything goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wharf_blobs::FileStore;
use wharf_metadata::{Database, DatabaseUrl};
use wharf_model::{Algorithm, Digest};
use wharf_registry::{Artifacts, BackupError, Settings};

use crate::world::World;

const BIG: &[u8] = &[9; 100 << 10];

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_whole() {
    let world = Arc::new(World::new().await);
    for number in 0..10 {
        world.push_image("app", &format!("v{number}"), &[&[number; 50 << 10], BIG, b"small"]).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let load = {
        let (world, stop) = (world.clone(), stop.clone());
        tokio::spawn(async move {
            let mut number = 10_u8;
            while !stop.load(Ordering::Relaxed) {
                let digest = world.push_image("app", &format!("v{number}"), &[&[number; 50 << 10]]).await;
                assert!(world.delete("app", digest.as_str()).await);
                world.delete("app", &format!("v{}", number % 10)).await;
                world.clock.advance(Duration::from_secs(5 * 60));
                world.artifacts.collect(false).await.unwrap();
                number = number.wrapping_add(1).max(10);
            }
        })
    };
    let target = tempfile::tempdir().unwrap();
    let report = world.artifacts.backup(target.path(), |_, _| {}).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    assert!(report.blobs >= 12, "{report:?}");

    let database = Database::open(&DatabaseUrl::Sqlite(target.path().join("metadata.db"))).await.unwrap();
    let blobs = FileStore::open(target.path().join("blobs")).unwrap();
    let restored = Artifacts::new(database, Arc::new(blobs), world.clock.clone(), Settings::default(), &[1; 32]);
    let verified = restored.verify(|_, _| {}).await.unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    assert_eq!((verified.blobs, verified.blob_bytes), (report.blobs, report.blob_bytes));
}

#[tokio::test]
async fn damaged_bytes_are_not_backed_up_as_if_they_were_sound() {
    let world = World::new().await;
    world.push_blob("app", BIG).await;
    let sound = Digest::of(Algorithm::Sha256, BIG);
    let mut open = vec![world.directory.path().join("blobs")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                std::fs::write(&path, [8; 100 << 10]).unwrap();
            }
        }
    }
    let world = world.again().await;
    let target = tempfile::tempdir().unwrap();
    let refused = world.artifacts.backup(target.path(), |_, _| {}).await.unwrap_err();
    assert!(matches!(refused, BackupError::Damaged { digest, .. } if digest == sound));
}
