//! The management plane over HTTP, in process.

mod access;
mod arm;
mod authorization;
mod cache;
mod deployments;
mod documents;
mod groups;
mod http;
mod identities;
mod import;
mod in_process;
mod lists;
mod locks;
mod plane;
mod purge_policies;
mod races;
mod registries;
mod subscriptions;
mod tags;
mod tokens;
