//! What must hold eventually, and the proof that it does.

mod collect;
mod verify;

pub use collect::CollectReport;
pub use verify::VerifyReport;
