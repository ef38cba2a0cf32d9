//! Graph over HTTP, as `az` speaks it.

mod access;
mod applications;
mod groups;
mod lists;
mod users;
mod world;
