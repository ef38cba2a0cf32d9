//! Use cases against real stores: SQLite and files in a temporary directory, and a clock that the test moves.

mod backing_up;
mod collecting;
mod deleting;
mod describing;
mod measuring;
mod pulling;
mod purging;
mod pushing;
mod quarantining;
mod remembering;
mod removing;
mod restoring;
mod retaining;
mod trash_model;
mod uploading;
mod verifying;
mod world;
mod writing_once;
