//! Deployment templates: JSON whose texts hold expressions, and what it comes to.
//!
//! ```text
//! bytes ─jsonc─► Value ─request─► DeploymentRequest ─plan─► Plan ─► a body per resource, outputs
//!                                  (document: Template)      ▲
//!                           parameters, Environment ─────────┘◄── Known: what resources answered
//! ```
//!
//! Everything here is a calculation: no I/O, no clock, no randomness but what the [`Environment`] brings. An evaluation
//! that comes to a question about a resource ends with the question ([`Evaluated::Needs`]) and is begun anew with the
//! answer. How large templates may be, and how much work they may make, is in [`limits`]: what is beyond is refused early,
//! so that a small template cannot be made to fill the memory or to run for long.
//!
//! What there is: parameters with types, bounds and definitions; variables; functions of the template; conditions; copy
//! loops of resources, properties, variables and outputs; children written in their parents; extension resources with a
//! `scope`; symbolic names and `existing` (languageVersion 2.0, as Bicep writes it); templates in templates with inner and
//! outer scope; outputs. What is not: linked templates, key vault references, extensions, management groups and tenants as
//! targets, and some functions about networks and zones. They are refused by name.
//!
//! Source: "Understand the structure and syntax of ARM templates", "ARM template functions".

mod bindings;
mod budget;
mod document;
mod environment;
mod error;
mod evaluate;
mod expression;
mod functions;
mod hash;
mod ids;
mod jsonc;
pub mod limits;
mod plan;
mod request;
mod runtime;
mod schema;

#[cfg(test)]
mod tests;

pub use document::Template;
pub use environment::Environment;
pub use error::TemplateError;
pub use expression::{Expression, ParseExpressionError};
pub use jsonc::read as read_json;
pub use plan::{Mode, Nested, Output, Plan, Planned};
pub use request::DeploymentRequest;
pub use runtime::{Evaluated, Known, RuntimeCall, Wanted};
