//! The words of Azure Resource Manager: api-versions, errors, envelopes, paging, templates. No I/O.

mod error;
mod members;
pub mod versions;

pub use error::{ArmError, Code};
pub use members::Members;
