//! Every table and every line of SQL, for SQLite and for PostgreSQL.
//!
//! ```text
//! caller ── read(closure) ──► a pooled connection                       (many at once)
//!        └─ write(closure) ─► SQLite:     one writer; closures that wait share a commit
//!                             PostgreSQL: a transaction each; the server groups their commits
//! ```
//!
//! The SQL is one text for both engines (`$1` placeholders, `ON CONFLICT`, `RETURNING`); a module per table holds
//! functions that take a [`Connection`] and know nothing of transactions, so that a use case can put as many of them
//! as it needs into one [`Database::write`]. Where the engines differ, the two statements stand side by side.
//!
//! What this crate does not do: it has no rules. Whether a tag may be moved is decided by whoever calls.

mod access_version;
mod connection;
mod database;
mod error;
#[cfg(test)]
mod plans;
mod postgres;
mod sqlite;

pub mod attributes;
pub mod blobs;
pub mod cache_rules;
pub mod cached;
pub mod changes;
pub mod charts;
pub mod collection;
pub mod deployments;
pub mod directory;
pub mod federation;
pub mod import_credentials;
pub mod jobs;
pub mod manifests;
pub mod operations;
pub mod owned_scopes;
pub mod pulls;
pub mod purge;
pub mod quarantine;
pub mod registries;
pub mod removal;
pub mod repositories;
pub mod resources;
pub mod retention;
pub mod roles;
pub mod scope_maps;
pub mod secrets;
pub mod settings;
pub mod sign_ins;
pub mod signing_keys;
pub mod sizes;
pub mod subscriptions;
pub mod tags;
pub mod tokens;
pub mod trash;
pub mod uploads;
pub mod values;

pub use connection::Connection;
pub use database::{CommitStatistics, Database, DatabaseUrl};
pub use directory::{ApplicationId, ApplicationRow, CredentialKind, CredentialRow, PrincipalRow};
pub use error::Error;
pub use owned_scopes::OwnedScopes;
pub use registries::{NewRegistry, RegistryRow, RegistrySettings, RoleAssignmentMode};
pub use roles::{AssignmentFilter, HeldRoleRow, RoleAssignmentRow, RoleDefinitionRow};
pub use signing_keys::SigningKeyRow;
pub use tokens::{TokenPasswordRow, TokenRow};

/// A boxed future that borrows the connection it runs on: what [`Database::read`] and [`Database::write`] take.
pub type Work<'c, T, E> = std::pin::Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;
