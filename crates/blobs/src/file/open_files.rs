//! Blobs that were opened recently, so that opening a hot one costs no system call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::blob::FileBlob;
use crate::StorageKey;

/// A cache of open files in two generations, which approximates "least recently used" at constant cost.
///
/// What is used goes into the young generation. When that is full it becomes the old one, and what nobody used since
/// the last change of generations is closed.
#[derive(Debug)]
pub(super) struct OpenFiles {
    half: usize,
    files: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<StorageKey, Arc<FileBlob>>,
    old: HashMap<StorageKey, Arc<FileBlob>>,
    evictions: u64,
}

/// Says when the opening of a file began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening(u64);

impl OpenFiles {
    /// A cache of `capacity` files at most.
    pub(super) fn new(capacity: usize) -> Self {
        Self { half: capacity / 2, files: Mutex::default() }
    }

    pub(super) fn find(&self, key: &StorageKey) -> Option<Arc<FileBlob>> {
        let mut files = self.lock();
        if let Some(blob) = files.young.get(key) {
            return Some(blob.clone());
        }
        let blob = files.old.remove(key)?;
        let closed = files.add(self.half, key.clone(), blob.clone());
        drop(files);
        drop(closed);
        Some(blob)
    }

    /// To be called before a file is opened that shall be inserted.
    pub(super) fn begin(&self) -> Opening {
        Opening(self.lock().evictions)
    }

    /// Keeps `blob` open, unless something was evicted since `opening`: it might have been this very blob, and a
    /// deleted file that stays open would keep its place on the disk.
    pub(super) fn insert(&self, opening: Opening, key: &StorageKey, blob: &Arc<FileBlob>) {
        let mut files = self.lock();
        if files.evictions == opening.0 {
            let closed = files.add(self.half, key.clone(), blob.clone());
            drop(files);
            drop(closed);
        }
    }

    /// Forgets a blob whose file was deleted.
    pub(super) fn evict(&self, key: &StorageKey) {
        let mut files = self.lock();
        files.evictions += 1;
        let closed = (files.young.remove(key), files.old.remove(key));
        drop(files);
        drop(closed);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.files.lock().expect("nothing panics under this lock")
    }
}

impl Generations {
    /// Adds to the young generation. Returns what is to be closed, for the caller to do so without the lock.
    fn add(&mut self, half: usize, key: StorageKey, blob: Arc<FileBlob>) -> HashMap<StorageKey, Arc<FileBlob>> {
        self.young.insert(key, blob);
        if self.young.len() < half {
            return HashMap::new();
        }
        let young = std::mem::take(&mut self.young);
        std::mem::replace(&mut self.old, young)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(number: u128) -> StorageKey {
        StorageKey::new(Uuid::from_u128(number))
    }

    fn insert(files: &OpenFiles, number: u128) {
        files.insert(files.begin(), &key(number), &Arc::new(FileBlob::for_test(key(number))));
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let files = OpenFiles::new(8);
        for number in 0..100 {
            insert(&files, number);
            assert!(files.find(&key(0)).is_some(), "{number}");
            let files = files.lock();
            assert!(files.young.len() + files.old.len() <= 8);
        }
        assert!(files.find(&key(1)).is_none());
        assert!(files.find(&key(99)).is_some());
    }

    #[test]
    fn a_file_deleted_while_it_was_being_opened_is_not_kept() {
        let files = OpenFiles::new(8);
        let opening = files.begin();
        files.evict(&key(1));
        files.insert(opening, &key(1), &Arc::new(FileBlob::for_test(key(1))));
        assert!(files.find(&key(1)).is_none());
        insert(&files, 1);
        assert!(files.find(&key(1)).is_some());
        files.evict(&key(1));
        assert!(files.find(&key(1)).is_none());
    }
}
