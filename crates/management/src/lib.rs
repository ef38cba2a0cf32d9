//! The management plane: Azure Resource Manager, over HTTP and in process.

mod answer;
mod body;
mod cx;
mod failure;
mod kind;
mod kinds;
mod management;
mod query;
mod service;

pub use answer::Answer;
pub use cx::{Actor, Cx};
pub use failure::Failure;
pub use kind::{
    About, Access, Action, ActionAt, ActionCall, Ask, Draft, Kind, Place, Property, Removal, Resource, Shape, Verb,
};
pub use management::Management;
pub use query::Query;
pub use service::{Call, Endpoint, Service, ServiceType};
