//! SQLite: a pool of readers and one writer whose commits are shared by all who wait.
//!
//! A commit costs one sync of the write-ahead log (`synchronous=FULL`), whatever it carries. So writes go through a
//! queue: the writer begins a transaction, runs every write that waits, each behind a savepoint of its own, commits,
//! and only then answers them all. While one commit is being synced the next batch gathers by itself.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::{mpsc, oneshot};

use crate::{CommitStatistics, Connection, Error, Work};

/// A write that waits for its turn.
trait Job: Send {
    /// Runs it, and returns what is to be told to its caller after the commit.
    fn run<'c>(self: Box<Self>, connection: &'c mut Connection) -> Pin<Box<dyn Future<Output = Ran> + Send + 'c>>;

    /// Tells its caller why it could not even begin.
    fn refuse(self: Box<Self>, error: Error);
}

/// A use case's write, and where its result goes.
struct Write<W, T, E> {
    work: W,
    sender: oneshot::Sender<Result<T, E>>,
}

impl<W, T, E> Job for Write<W, T, E>
where
    W: for<'c> FnOnce(&'c mut Connection) -> Work<'c, T, E> + Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    fn run<'c>(self: Box<Self>, connection: &'c mut Connection) -> Pin<Box<dyn Future<Output = Ran> + Send + 'c>> {
        Box::pin(async move {
            let Self { work, sender } = *self;
            let result = work(connection).await;
            let keep = result.is_ok();
            // What a failed write saw may itself have been uncommitted, so it too is told only after the commit.
            let answer: Answer = Box::new(move |committed| {
                // The caller may have stopped waiting; the write stands all the same.
                drop(sender.send(result.and_then(|value| committed.map(|()| value).map_err(E::from))));
            });
            Ran { keep, answer }
        })
    }

    fn refuse(self: Box<Self>, error: Error) {
        drop(self.sender.send(Err(error.into())));
    }
}

/// Tells a caller how the commit that carried its write ended.
type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A write that has run but is not committed.
struct Ran {
    keep: bool,
    answer: Answer,
}

#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    readers: SqlitePool,
    writer: SqlitePool,
    queue: mpsc::Sender<Box<dyn Job>>,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path, statistics: Arc<CommitStatistics>) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(30))
            .pragma("cache_size", "-4096")
            .pragma("temp_store", "memory")
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864")
            // A page of a list is handed over at once: to wait for each other costs more than the rows.
            .row_buffer_size(1024)
            .statement_cache_capacity(256);
        // The writer comes first: it makes the file and its schema.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.read_only(true))
            .await?;
        let (queue, jobs) = mpsc::channel(QUEUE_LENGTH);
        tokio::spawn(run_writer(writer.clone(), jobs, statistics));
        Ok(Self { readers, writer, queue })
    }

    pub(crate) async fn reader(&self) -> Result<Connection, Error> {
        Ok(Connection::Sqlite(self.readers.acquire().await?))
    }

    pub(crate) async fn write<T, E>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Connection) -> Work<'c, T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(Write { work, sender });
        self.queue.send(job).await.map_err(|_| Error::Closed)?;
        receiver.await.map_err(|_| Error::Closed)?
    }

    /// `VACUUM INTO` reads one snapshot, so writers go on and the copy is whole.
    pub(crate) async fn copy_to(&self, target: &Path) -> Result<(), Error> {
        let mut reader = self.readers.acquire().await?;
        sqlx::query("VACUUM INTO $1").bind(target.to_string_lossy().into_owned()).execute(&mut *reader).await?;
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn run_writer(pool: SqlitePool, mut jobs: mpsc::Receiver<Box<dyn Job>>, statistics: Arc<CommitStatistics>) {
    while let Some(first) = jobs.recv().await {
        let mut answers = Vec::new();
        let outcome = run_batch(&pool, first, &mut jobs, &mut answers).await;
        if outcome.is_ok() {
            statistics.count(answers.len() as u64);
        }
        for answer in answers {
            answer(outcome.clone());
        }
    }
}

/// Runs `first` and everything that waits behind it in one transaction.
async fn run_batch(
    pool: &SqlitePool,
    first: Box<dyn Job>,
    jobs: &mut mpsc::Receiver<Box<dyn Job>>,
    answers: &mut Vec<Answer>,
) -> Result<(), Error> {
    let mut connection = match begin(pool).await {
        Ok(connection) => connection,
        Err(error) => {
            first.refuse(error.clone());
            return Err(error);
        }
    };
    let mut next = Some(first);
    let mut kept = false;
    let mut outcome = Ok(());
    while let Some(job) = next.take() {
        outcome = run_job(&mut connection, job, &mut kept, answers).await;
        if outcome.is_ok() && answers.len() < WRITES_PER_COMMIT {
            next = jobs.try_recv().ok();
        }
    }
    let outcome = match outcome {
        Ok(()) => connection.command("COMMIT").await,
        failed => failed,
    };
    if outcome.is_err() {
        // SQLite undoes the transaction itself on some failures (a full disk among them), so this may find none.
        drop(connection.command("ROLLBACK").await);
    }
    outcome
}

async fn begin(pool: &SqlitePool) -> Result<Connection, Error> {
    let mut connection = Connection::Sqlite(pool.acquire().await?);
    connection.command("BEGIN IMMEDIATE").await?;
    Ok(connection)
}

/// Runs one write, and undoes it alone if it fails. `kept` says whether the transaction holds anything yet: as long as it
/// does not, undoing means to begin again, which spares most writes a savepoint.
async fn run_job(
    connection: &mut Connection,
    job: Box<dyn Job>,
    kept: &mut bool,
    answers: &mut Vec<Answer>,
) -> Result<(), Error> {
    if *kept {
        // Savepoints of one name nest; going back goes to the newest, and the commit releases them all.
        if let Err(error) = connection.command("SAVEPOINT job").await {
            job.refuse(error.clone());
            return Err(error);
        }
    }
    // A write that panics ends alone: its caller hears that the write was dropped, the writer goes on.
    let ran = AssertUnwindSafe(job.run(connection)).catch_unwind().await.ok();
    let keep = ran.as_ref().is_some_and(|ran| ran.keep);
    answers.extend(ran.map(|ran| ran.answer));
    if keep {
        *kept = true;
        Ok(())
    } else if *kept {
        connection.command("ROLLBACK TO job").await
    } else {
        // As above: there may be no transaction left.
        drop(connection.command("ROLLBACK").await);
        connection.command("BEGIN IMMEDIATE").await
    }
}

/// Connections that read at once. Each keeps up to 4 MiB of pages.
const READERS: u32 = 4;

/// Writes that may wait; beyond that, callers wait to be let in.
const QUEUE_LENGTH: usize = 1024;

/// Writes that one commit carries at most, so that the first of them does not wait too long.
const WRITES_PER_COMMIT: usize = 256;
