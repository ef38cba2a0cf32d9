//! Use cases against real stores: SQLite and files in a temporary directory, and a clock that the test moves.

mod backing_up;
mod collecting;
mod deleting;
mod describing;
mod purging;
mod pushing;
mod remembering;
mod uploading;
mod verifying;
mod world;
