//! Jobs as their workers and those who enqueue them see them, on both engines.

mod crashes;
#[path = "../../../metadata/tests/it/engine.rs"]
mod engine;
mod runner;
mod support;
