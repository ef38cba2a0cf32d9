//! What must hold eventually, and the proof that it does.

mod backup;
mod collect;
mod removal;
mod verify;

pub use backup::ObjectHold;
pub use collect::CollectReport;
pub use verify::VerifyReport;
