//! The management plane: Azure Resource Manager, over HTTP and in process.
//!
//! ```text
//! request ─► router    Route::parse(path)                 what is wanted: a kind, a service, ARM's own
//!            admission identity: whose token is this      401 with the challenge
//!            resources put, get, list, delete, act        rights, locks, ETags, one transaction, the kind's hooks
//!            response  headers, AccessNote                ◄─ JSON, also when it is an error
//! ```
//!
//! A kind of resource is a type that implements [`Kind`]; what it does not say is done once for all kinds. What is no
//! resource of the common table (role assignments, deployments) is a [`Service`]. Callers in this process use the same
//! mechanism through [`Management::put`] and its neighbours.
//!
//! What this crate does not do: finding out that a request is for the management host, TLS, access logs. Those are the
//! server's, which calls [`Management::serve`].

mod admission;
mod answer;
mod authorization;
mod body;
mod catalogue;
mod cx;
mod deployments;
mod failure;
mod generic;
mod in_process;
mod kind;
mod kinds;
mod locations;
mod locks;
mod management;
mod metadata_document;
mod openapi;
mod operations;
mod providers;
mod query;
mod resources;
mod response;
mod route;
mod router;
mod service;
mod services;
mod subscriptions;
mod tags;
mod visible;

pub use answer::Answer;
pub use cx::{Actor, Cx};
pub use failure::Failure;
pub use kind::{
    About, Access, Action, ActionAt, ActionCall, Ask, Draft, Kind, Place, Property, Removal, Resource, Shape, Verb,
};
pub use management::Management;
pub use query::Query;
pub use service::{Call, Endpoint, Service, ServiceType};
