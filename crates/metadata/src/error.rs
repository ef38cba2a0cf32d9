//! What can go wrong below the rows.

use std::sync::Arc;

/// A failure of the database. Cloneable, since writers who shared a commit share its failure.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The statement or the connection failed.
    #[error("the database refused or did not answer")]
    Engine(#[source] Arc<sqlx::Error>),
    /// There is no room for what was to be written. Nothing of it was.
    #[error("the disk that holds the database is full")]
    Full,
    /// The migrations could not be brought up to date.
    #[error("the database's schema could not be brought up to date")]
    Migrate(#[source] Arc<sqlx::migrate::MigrateError>),
    /// A row holds what no code of ours would write.
    #[error("the database holds a malformed {what}: {value:?}")]
    Malformed {
        /// What kind of value it should have been.
        what: &'static str,
        /// What is there.
        value: String,
    },
    /// The address of the database is none that we understand.
    #[error("{url:?} is no database address; expected sqlite:PATH or postgres://…")]
    Url {
        /// The address without its password.
        url: String,
    },
    /// The database was closed while this request waited.
    #[error("the database is shutting down")]
    Closed,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        /// SQLite's `SQLITE_FULL` and PostgreSQL's `disk_full`.
        const FULL: [&str; 2] = ["13", "53100"];
        match &error {
            sqlx::Error::Database(told) if told.code().is_some_and(|code| FULL.contains(&code.as_ref())) => Self::Full,
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Closed,
            _ => Self::Engine(Arc::new(error)),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migrate(Arc::new(error))
    }
}

/// Parses what a column holds; a failure means that the row was not written by us.
pub(crate) fn parse<T: std::str::FromStr>(what: &'static str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| Error::Malformed { what, value: value.to_owned() })
}

/// Reads what a JSON column holds; a failure means that the row was not written by us.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(what: &'static str, value: &str) -> Result<T, Error> {
    serde_json::from_str(value).map_err(|_| Error::Malformed { what, value: value.to_owned() })
}

/// What goes into a JSON column. For types of ours, whose keys are texts.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types serialise")
}
