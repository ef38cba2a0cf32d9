//! PostgreSQL: a pool of connections, a transaction for each write.
//!
//! The server groups commits itself (`commit_delay` is not needed: backends that wait for the log are woken together).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::{CommitStatistics, Connection, Error, Work};

#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    pool: PgPool,
    statistics: Arc<CommitStatistics>,
}

impl Postgres {
    pub(crate) async fn open(url: &str, statistics: Arc<CommitStatistics>) -> Result<Self, Error> {
        let options: PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options.application_name("wharf"))
            .await?;
        sqlx::migrate!("migrations/postgres").run(&pool).await?;
        Ok(Self { pool, statistics })
    }

    pub(crate) async fn connection(&self) -> Result<Connection, Error> {
        Ok(Connection::Postgres(self.pool.acquire().await?))
    }

    pub(crate) async fn write<T, E>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Connection) -> Work<'c, T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let this = self.clone();
        // A task of its own: a caller who stops waiting must not leave a half-done transaction on the connection.
        let task = tokio::spawn(async move {
            let mut connection = this.connection().await?;
            connection.command("BEGIN").await?;
            match AssertUnwindSafe(work(&mut connection)).catch_unwind().await {
                Ok(Ok(value)) => {
                    connection.command("COMMIT").await?;
                    this.statistics.count(1);
                    Ok(value)
                }
                failed => {
                    // The connection goes back to the pool, so it may not keep a transaction open, come what may.
                    connection.command("ROLLBACK").await?;
                    failed.unwrap_or_else(|_panic| Err(Error::Closed.into()))
                }
            }
        });
        task.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Connections that one node opens at most.
const CONNECTIONS: u32 = 16;
