//! The data directory.
//!
//! ```text
//! DIR/                    mode 0700
//!   lock                  0600  held by the server that runs here; holds its process id
//!   server.json           0600  where that server listens, for the other commands
//!   credentials.json      0600  what the first start generated, for people and scripts
//!   sealing.key           0600  seals every secret in the database
//!   metadata.db           0600  the embedded database, with its -wal and -shm
//!   blobs/                the embedded blob store
//!   tls/ca.pem            certificate of the authority, for clients to trust
//!   tls/ca.key            0600  its key
//!   tls/server.pem        0600  certificate and key of the server
//! ```
//!
//! Every file that we write here ourselves is written aside, synced and renamed, so that a crash leaves the old one or
//! the new one, and a first start that was cut off anywhere is completed by the next.

mod atomic;
mod lock;
mod server_file;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub(crate) use self::atomic::{Mode, create_dir, create_secret_file, sync_dir, write};
pub(crate) use self::lock::DirLock;
pub(crate) use self::server_file::ServerFile;

/// Paths inside the data directory.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The directory at `root`, which need not exist.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Creates the directory and those inside it, for its owner only.
    ///
    /// # Errors
    /// When a directory cannot be created.
    pub(crate) fn create(&self) -> Result<(), anyhow::Error> {
        for directory in [self.root.clone(), self.tls()] {
            create_dir(&directory).with_context(|| {
                format!(
                    "cannot create the directory {}; check its parent's permissions or give --data",
                    directory.display()
                )
            })?;
        }
        Ok(())
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file that a running server holds locked.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Where the server on this directory listens.
    pub(crate) fn server_file(&self) -> PathBuf {
        self.root.join("server.json")
    }

    /// What the first start generated.
    pub(crate) fn credentials_file(&self) -> PathBuf {
        self.root.join("credentials.json")
    }

    /// The key that seals secrets in the database.
    pub(crate) fn sealing_key(&self) -> PathBuf {
        self.root.join("sealing.key")
    }

    /// The embedded database.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("metadata.db")
    }

    /// The embedded blob store.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Certificates and their keys.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The certificate of the authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.tls().join("ca.pem")
    }
}
