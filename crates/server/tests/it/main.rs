//! The real program, started on free ports of the loopback address.

mod backup;
mod commands;
mod first_start;
mod harness;
mod identity;
mod jobs;
mod large_blobs;
mod listeners;
mod log;
mod networks;
mod repositories;
mod services;
mod shutdown;
mod tls;
