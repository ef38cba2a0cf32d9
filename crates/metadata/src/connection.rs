//! One connection to either engine, and the macro that runs one SQL text on both.

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite};

/// A connection to the database, inside a transaction when it comes from [`crate::Database::write`].
#[derive(Debug)]
pub enum Connection {
    /// SQLite, from the readers' pool or the writer's own.
    Sqlite(PoolConnection<Sqlite>),
    /// PostgreSQL.
    Postgres(PoolConnection<Postgres>),
}

/// Evaluates one expression for whichever engine the connection belongs to: its types are inferred once for each.
macro_rules! on_engine {
    ($connection:expr, $c:ident => $body:expr) => {
        match $connection {
            $crate::Connection::Sqlite(connection) => {
                let $c = &mut **connection;
                $body
            }
            $crate::Connection::Postgres(connection) => {
                let $c = &mut **connection;
                $body
            }
        }
    };
}
pub(crate) use on_engine;

impl Connection {
    /// Runs a statement that takes nothing and returns nothing (transaction control).
    pub(crate) async fn command(&mut self, statement: &'static str) -> Result<(), crate::Error> {
        on_engine!(self, c => { sqlx::query(statement).execute(c).await?; });
        Ok(())
    }
}

/// `($1, $2), ($3, $4)`: placeholders for `rows` rows of `columns` values, counted from `first`.
pub(crate) fn placeholders(first: usize, rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            if column > 0 {
                text.push_str(", ");
            }
            text.push('$');
            text.push_str(&(first + row * columns + column).to_string());
        }
        text.push(')');
    }
    text
}

/// `$2, $3, $4`: a list of placeholders for `IN (…)`.
pub(crate) fn placeholder_list(first: usize, count: usize) -> String {
    (first..first + count).map(|position| format!("${position}")).collect::<Vec<_>>().join(", ")
}

/// How many values one statement may carry. SQLite allows 32,766 and PostgreSQL 65,535; fewer keep statements cacheable.
pub(crate) const VALUES_PER_STATEMENT: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_through_rows() {
        assert_eq!(placeholders(1, 2, 2), "($1, $2), ($3, $4)");
        assert_eq!(placeholder_list(2, 3), "$2, $3, $4");
    }
}
