//! One server per data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::DataDir;

/// Proof that no other server runs on the data directory. The kernel takes the lock back when the process ends, however
/// it ends, so a lock is never stale.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock. A command may hold it for a moment to see whether a server runs, so this waits for a little.
    ///
    /// # Errors
    /// When another process holds it; the message names that process.
    pub(crate) fn take(data: &DataDir) -> Result<Self, anyhow::Error> {
        let path = data.lock_file();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open the lock file {}", path.display()))?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder's id is a help in the message only.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let process = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                bail!(
                    "another wharf{process} runs on the data directory {}; stop it first, or give this one another --data",
                    data.root().display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let note = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        note(&mut file).with_context(|| format!("cannot write the lock file {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

fn try_lock(file: &File) -> Result<(), TryLockError> {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => std::thread::sleep(PATIENCE / 20),
            outcome => return outcome,
        }
    }
}

/// How long a lock may be held by somebody who only looks.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_only_looks_is_not_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::at(directory.path());
        let looking = File::create(data.lock_file()).unwrap();
        looking.lock_shared().unwrap();
        let looker = std::thread::spawn(move || {
            std::thread::sleep(PATIENCE / 5);
            drop(looking);
        });
        DirLock::take(&data).unwrap();
        looker.join().unwrap();
    }

    #[test]
    fn the_second_is_refused_and_told_who_is_first() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::at(directory.path());
        let first = DirLock::take(&data).unwrap();
        let message = DirLock::take(&data).unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(first);
        DirLock::take(&data).unwrap();
    }
}
