//! What the tests of this crate share, and the tests that walk through all of it.

mod attacks;
mod journeys;
mod rotation;
mod setup;

pub(crate) use setup::registry_row;
