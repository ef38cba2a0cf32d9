//! The words of Azure Resource Manager: api-versions, errors, envelopes, paging, templates. No I/O.

mod error;
mod filter;
mod members;
pub mod template;
pub mod versions;

pub use error::{ArmError, Code};
pub use filter::{Argument, Filter};
pub use members::Members;
