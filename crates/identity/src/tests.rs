//! What the tests of this crate share, and the tests that walk through all of it.

mod attacks;
mod exchange;
mod journeys;
mod people;
mod registry_tokens;
mod roles;
mod rotation;
mod setup;

pub(crate) use setup::{Installation, registry_row};
