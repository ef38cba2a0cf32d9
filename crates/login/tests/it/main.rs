//! The token service in process: every way to sign in, and every way in which that must not work.

mod authorize;
mod certificates;
mod client_credentials;
mod device;
mod discovery;
mod federation;
mod managed;
mod people;
mod setup;
mod tokens;
