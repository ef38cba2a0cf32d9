//! A fresh database of each engine for each test.

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::{Connection as _, PgConnection};
use wharf_metadata::{Database, DatabaseUrl};

pub(crate) struct Engine {
    pub(crate) database: Database,
    url: DatabaseUrl,
    directory: Option<tempfile::TempDir>,
}

pub(crate) async fn sqlite() -> Engine {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = DatabaseUrl::Sqlite(directory.path().join("metadata.db"));
    Engine { database: Database::open(&url).await.expect("SQLite opens"), url, directory: Some(directory) }
}

/// A database of its own on the server that `TEST_DATABASE_URL` names; `make test` starts one.
pub(crate) async fn postgres() -> Engine {
    let server = std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL must name a PostgreSQL server; `make test` starts one");
    let name = format!("wharf_{}", unique());
    let mut connection = PgConnection::connect(&server).await.expect("the PostgreSQL server answers");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .expect("CREATE DATABASE");
    let mut address: url::Url = server.parse().expect("TEST_DATABASE_URL is a URL");
    address.set_path(&name);
    let url = DatabaseUrl::Postgres(address.to_string());
    Engine { database: Database::open(&url).await.expect("PostgreSQL opens"), url, directory: None }
}

impl Engine {
    pub(crate) async fn stop(self) {
        self.database.close().await;
        if let DatabaseUrl::Postgres(url) = &self.url {
            let server = std::env::var("TEST_DATABASE_URL").expect("it was there before");
            let name =
                url.rsplit('/').next().and_then(|n| n.split('?').next()).expect("we built this address").to_owned();
            let mut connection = PgConnection::connect(&server).await.expect("the PostgreSQL server answers");
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await.expect("DROP DATABASE");
        }
        drop(self.directory);
    }
}

#[expect(clippy::disallowed_methods, reason = "only to make names unique")]
fn unique() -> u128 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    nanoseconds * 1000 + u128::from(COUNT.fetch_add(1, Ordering::Relaxed) % 1000)
}
