//! The subset of Microsoft Graph that `az ad` and `az role assignment` need: applications, service principals, users and
//! groups.
//!
//! ```text
//! request ─► path.rs: where does it lead ─► service.rs: by whose token ─► query.rs, filter.rs: which of them, how much
//!                                                │
//!            render.rs, schema.rs: as shown ◄────┼──► access.rs: may they ─► changes.rs, credentials.rs, links.rs
//!                                                └──► list.rs: look-ups and pages
//! ```
//!
//! Objects have the properties that Graph documents; of those that mean nothing here it keeps what was set. What this
//! crate does not do: it has no rules about principals and credentials, which are the directory's
//! ([`wharf_identity::directory`]).

mod access;
mod call;
mod changes;
mod credentials;
mod error;
mod filter;
mod links;
mod list;
mod path;
mod query;
mod render;
mod schema;
mod service;

pub use service::Graph;
