//! What the tests share: a store in a place that can be tampered with, content, and reading to the end.

use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tempfile::TempDir;
use uuid::Uuid;
use wharf_blobs::{Blob, BlobStore, BlobWriter, Error, FileStore, StorageKey};

/// What a kind of store brings to be tested by the suite.
pub(crate) trait Fixture: Sized {
    /// A new, empty store.
    fn new() -> Self;

    fn store(&self) -> &dyn BlobStore;

    /// The store as it is found after a restart: nothing in memory is left.
    fn restart(&mut self) -> impl Future<Output = ()>;

    /// Damages a stored blob so that only `length` bytes are left.
    fn truncate(&self, key: &StorageKey, length: u64) -> impl Future<Output = ()>;
}

pub(crate) struct FileFixture {
    pub(crate) dir: TempDir,
    store: FileStore,
}

impl FileFixture {
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("blobs")
    }

    pub(crate) fn path(&self, key: &StorageKey) -> PathBuf {
        self.root().join(key.as_str())
    }
}

impl Fixture for FileFixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path().join("blobs")).unwrap();
        Self { dir, store }
    }

    fn store(&self) -> &dyn BlobStore {
        &self.store
    }

    async fn restart(&mut self) {
        self.store = FileStore::open(self.root()).unwrap();
    }

    async fn truncate(&self, key: &StorageKey, length: u64) {
        std::fs::OpenOptions::new().write(true).open(self.path(key)).unwrap().set_len(length).unwrap();
    }
}

pub(crate) fn new_key() -> StorageKey {
    StorageKey::new(Uuid::now_v7())
}

/// `length` bytes that repeat nowhere soon and differ between seeds (xorshift).
pub(crate) fn content(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// Writes `bytes` in frames of `frame` bytes.
pub(crate) async fn write_frames(writer: &mut dyn BlobWriter, bytes: &Bytes, frame: usize) -> Result<(), Error> {
    for start in (0..bytes.len()).step_by(frame) {
        writer.write(bytes.slice(start..bytes.len().min(start + frame))).await?;
    }
    Ok(())
}

/// Stores `bytes` under a new key.
pub(crate) async fn put(store: &dyn BlobStore, bytes: &Bytes) -> StorageKey {
    let key = new_key();
    let mut writer = store.create(&key, wharf_model::Algorithm::Sha256).await.unwrap();
    write_frames(writer.as_mut(), bytes, 100_000).await.unwrap();
    writer.sync().await.unwrap();
    key
}

/// Reads a range to its end.
pub(crate) async fn read(blob: &Arc<dyn Blob>, range: Range<usize>) -> Result<Vec<u8>, Error> {
    let mut stream = blob.clone().stream(range.start as u64..range.end as u64);
    assert_eq!(stream.remaining(), range.len() as u64);
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        assert!(!piece.is_empty(), "a piece holds something");
        bytes.extend_from_slice(&piece);
        assert_eq!(stream.remaining() as usize + bytes.len(), range.len());
    }
    Ok(bytes)
}

/// Reads the whole blob under `key`.
pub(crate) async fn read_all(store: &dyn BlobStore, key: &StorageKey) -> Result<Vec<u8>, Error> {
    let blob = store.open(key).await?;
    let size = blob.size() as usize;
    read(&blob, 0..size).await
}

pub(crate) async fn list(store: &dyn BlobStore) -> Vec<(StorageKey, u64)> {
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|(key, _): &(StorageKey, u64)| key.clone());
        let page = store.list_page(after.as_ref()).await.unwrap();
        if page.is_empty() {
            assert!(found.is_sorted());
            return found;
        }
        found.extend(page.into_iter().map(|blob| (blob.key, blob.size_bytes)));
    }
}

/// Waits for what happens in the background.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("after 10 s still not: {what}");
}
