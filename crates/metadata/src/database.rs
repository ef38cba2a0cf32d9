//! The handle through which everything reads and writes.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::{Connection, Error, Work, access_version, postgres, sqlite};

/// Where the metadata is. Parsed from `--database`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file, made when absent: `sqlite:PATH`.
    Sqlite(PathBuf),
    /// A PostgreSQL server: `postgres://user:password@host/name`.
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(path.trim_start_matches("//").into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let without_password = text.rsplit('@').next().unwrap_or_default();
        Err(Error::Url { url: without_password.to_owned() })
    }
}

/// A handle to the database; clones share it.
#[derive(Clone, Debug)]
pub struct Database {
    engine: Engine,
    statistics: Arc<CommitStatistics>,
    /// The newest version of who may do what that this process knows of.
    access_version: Arc<AtomicI64>,
}

#[derive(Clone, Debug)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// Counts since the start, for metrics.
#[derive(Debug, Default)]
pub struct CommitStatistics {
    /// Transactions committed.
    pub commits: AtomicU64,
    /// Writes that they carried; divided by `commits` this tells how well writers are grouped.
    pub writes: AtomicU64,
}

impl CommitStatistics {
    pub(crate) fn count(&self, writes: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(writes, Ordering::Relaxed);
    }
}

impl Database {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be reached or made, or was written by a newer Wharf.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, Error> {
        let statistics = Arc::new(CommitStatistics::default());
        let engine = match url {
            DatabaseUrl::Sqlite(path) => Engine::Sqlite(sqlite::Sqlite::open(path, statistics.clone()).await?),
            DatabaseUrl::Postgres(url) => Engine::Postgres(postgres::Postgres::open(url, statistics.clone()).await?),
        };
        let database = Self { engine, statistics, access_version: Arc::new(AtomicI64::new(0)) };
        database.follow_access().await?;
        Ok(database)
    }

    /// Runs `work` on a connection of its own. It sees everything that was committed before it began.
    ///
    /// # Errors
    /// What `work` fails with, or that no connection could be had.
    pub async fn read<T, E>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Connection) -> Work<'c, T, E> + Send,
    ) -> Result<T, E>
    where
        E: From<Error>,
    {
        let mut connection = match &self.engine {
            Engine::Sqlite(engine) => engine.reader().await?,
            Engine::Postgres(engine) => engine.connection().await?,
        };
        work(&mut connection).await
    }

    /// Runs `work` in a transaction and returns once it is committed and on disk. If `work` fails, nothing of it
    /// remains. Writers that wait at the same time may share one commit; each is undone alone.
    ///
    /// The work goes on to its end even when the caller stops waiting.
    ///
    /// # Errors
    /// What `work` fails with, or that the commit failed.
    pub async fn write<T, E>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Connection) -> Work<'c, T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &self.engine {
            Engine::Sqlite(engine) => engine.write(work).await,
            Engine::Postgres(engine) => engine.write(work).await,
        }
    }

    /// Runs `work` like [`Self::write`], and with it starts a new version of who may do what: whatever anybody worked out
    /// under the version before counts no more once this returns. To be used for every change of principals, their
    /// credentials, groups, roles, role assignments, scope maps and tokens.
    ///
    /// # Errors
    /// What `work` fails with, or that the commit failed.
    pub async fn write_access<T, E>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Connection) -> Work<'c, T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let known = self.access_version.clone();
        let (version, done) = self
            .write(move |c| {
                Box::pin(async move {
                    let done = work(c).await?;
                    // Last, so that on PostgreSQL the row, which all such writes share, is locked for a moment only.
                    let version = access_version::increment(c).await?;
                    Ok::<_, E>((version, done))
                })
            })
            .await?;
        known.fetch_max(version, Ordering::Release);
        Ok(done)
    }

    /// The version of who may do what. What was worked out under this version holds while it stays the same.
    ///
    /// On SQLite it costs nothing and is as new as the last [`Self::follow_access`] where another process wrote; on
    /// PostgreSQL it is asked for each time. Ask before reading what is worked out from, not after.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn access_version(&self) -> Result<i64, Error> {
        if self.is_shared() {
            return self.follow_access().await;
        }
        Ok(self.access_version.load(Ordering::Acquire))
    }

    /// Reads the version of who may do what, as other processes may have made it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn follow_access(&self) -> Result<i64, Error> {
        let version = self.read(|c| Box::pin(access_version::get(c))).await?;
        self.access_version.fetch_max(version, Ordering::Release);
        Ok(version)
    }

    /// Whether other processes are expected to write to this database all the time, so that what a process read
    /// may be out of date a moment later.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// How well commits are shared.
    #[must_use]
    pub fn statistics(&self) -> &CommitStatistics {
        &self.statistics
    }

    /// Writes a consistent copy of a SQLite database to `target` while others go on reading and writing.
    /// Returns `false`, having done nothing, for PostgreSQL, which has tools of its own for that (`pg_dump`).
    ///
    /// # Errors
    /// When the target exists or cannot be written.
    pub async fn copy_to(&self, target: &std::path::Path) -> Result<bool, Error> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.copy_to(target).await.map(|()| true),
            Engine::Postgres(_) => Ok(false),
        }
    }

    /// Finishes what was begun, refuses what comes later, and closes all connections.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(engine) => engine.close().await,
            Engine::Postgres(engine) => engine.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_addresses_are_told_apart() {
        assert_eq!("sqlite:/x/y.db".parse::<DatabaseUrl>().unwrap(), DatabaseUrl::Sqlite("/x/y.db".into()));
        assert!(matches!("postgres://u:p@h/d".parse::<DatabaseUrl>().unwrap(), DatabaseUrl::Postgres(_)));
        let error = "mysql://user:secret@host/d".parse::<DatabaseUrl>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
