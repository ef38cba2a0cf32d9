//! The directories: where a key's file is, and how its directory entry becomes durable.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};

use crate::key::SHARDS;
use crate::{Error, StorageKey};

/// The store's directory and its 16 shards.
#[derive(Debug)]
pub(super) struct Shards {
    root: PathBuf,
    root_file: File,
    syncs: Vec<SharedSync>,
}

impl Shards {
    /// Makes what is missing and syncs it.
    pub(super) fn open(root: PathBuf) -> Result<Self, Error> {
        let failed = |action| {
            let what = format!("the blob directory {}", root.display());
            move |error: io::Error| Error::io(action, what, error)
        };
        if !root.is_dir() {
            make_directory(&root).map_err(failed("create"))?;
        }
        let root_file = File::open(&root).map_err(failed("open"))?;
        let mut present = HashSet::<OsString>::new();
        for entry in fs::read_dir(&root).map_err(failed("read"))? {
            present.insert(entry.map_err(failed("read"))?.file_name());
        }
        for name in (0..SHARDS).map(|shard| format!("{shard:x}")) {
            if !present.contains(Path::new(&name).as_os_str()) {
                match DirBuilder::new().mode(DIRECTORY_MODE).create(root.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(failed("create the shards of")(error));
                    }
                    _ => {}
                }
            }
        }
        // Also when all were there: the process that made them may have died before it came to this line.
        root_file.sync_all().map_err(failed("sync"))?;
        let syncs = (0..=u8::MAX).map(|_| SharedSync::default()).collect();
        Ok(Self { root, root_file, syncs })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The root, open as a directory: for paths relative to it.
    pub(super) fn root_file(&self) -> &File {
        &self.root_file
    }

    /// Where the bytes of `key` are.
    pub(super) fn path(&self, key: &StorageKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    pub(super) fn shard_path(&self, shard: u8) -> PathBuf {
        self.root.join(format!("{shard:x}"))
    }

    /// Makes the directory entries durable that `key`'s shard has by now.
    pub(super) fn sync_shard_of(&self, key: &StorageKey) -> Result<(), Error> {
        let path = self.shard_path(key.shard());
        self.syncs[usize::from(key.shard())]
            .run(|| File::open(&path)?.sync_all())
            .map_err(|error| Error::io("sync the directory", path.display().to_string(), error))
    }
}

/// Makes `path` with its parents, and makes each new entry durable.
fn make_directory(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    if !parent.is_dir() {
        make_directory(parent)?;
    }
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

/// A sync of one directory that all share who wait for it at the same time.
///
/// A sync in progress may have passed one's own entry already, so everyone waits for a round that began after they came.
#[derive(Debug, Default)]
struct SharedSync {
    rounds: Mutex<Rounds>,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct Rounds {
    started: u64,
    /// The latest round that succeeded.
    succeeded: u64,
    is_running: bool,
}

impl SharedSync {
    fn run(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let lock = || self.rounds.lock().expect("nothing panics under this lock");
        let mut rounds = lock();
        let wanted = rounds.started + 1;
        while rounds.is_running {
            rounds = self.finished.wait(rounds).expect("nothing panics under this lock");
            if rounds.succeeded >= wanted {
                return Ok(());
            }
        }
        rounds.started += 1;
        rounds.is_running = true;
        let round = rounds.started;
        drop(rounds);

        let result = sync();

        let mut rounds = lock();
        rounds.is_running = false;
        if result.is_ok() {
            rounds.succeeded = round;
        }
        drop(rounds);
        self.finished.notify_all();
        result
    }
}

/// For the server's own user only: who may read a blob is decided elsewhere, from its repository.
const DIRECTORY_MODE: u32 = 0o700;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn all_shards_are_made_and_opening_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("deep/er");
        for _ in 0..2 {
            Shards::open(root.clone()).unwrap();
            assert_eq!(fs::read_dir(&root).unwrap().count(), usize::from(SHARDS));
        }
        fs::remove_dir(root.join("7")).unwrap();
        Shards::open(root.clone()).unwrap();
        assert!(root.join("7").is_dir());
    }

    #[test]
    fn whoever_comes_back_was_in_a_round_that_began_after_they_came() {
        let sync = SharedSync::default();
        let entries = Mutex::new(HashSet::new());
        let durable = Mutex::new(HashSet::new());
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..8 {
                let (sync, entries, durable, count) = (&sync, &entries, &durable, &count);
                scope.spawn(move || {
                    for entry in 0..200 {
                        entries.lock().unwrap().insert((thread, entry));
                        let run = sync.run(|| {
                            let seen = entries.lock().unwrap().clone();
                            thread::yield_now();
                            *durable.lock().unwrap() = seen;
                            count.fetch_add(1, Ordering::Relaxed);
                            Ok(())
                        });
                        run.unwrap();
                        assert!(durable.lock().unwrap().contains(&(thread, entry)));
                    }
                });
            }
        });
        assert!(count.load(Ordering::Relaxed) <= 1600);
    }

    #[test]
    fn a_failed_round_is_no_success_for_those_who_wait() {
        let sync = SharedSync::default();
        assert!(sync.run(|| Err(io::Error::other("disk"))).is_err());
        let mut ran = false;
        sync.run(|| {
            ran = true;
            Ok(())
        })
        .unwrap();
        assert!(ran);
    }
}
