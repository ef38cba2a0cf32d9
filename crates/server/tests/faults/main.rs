//! What happens when things go wrong: the real server is killed, runs out of disk, is fed nonsense and is kept waiting.
//!
//! Each module owns one kind of trouble. All of them start the binary that was just built, on a data directory of their
//! own, speak to it over sockets with a client that knows nothing of the server's code, and look at what is left: by
//! reading everything back, by `wharf verify`, and by counting files, rows, descriptors and memory. Whatever else a test
//! asserts, it also asserts that the server did not panic.
//!
//! | module | trouble |
//! | --- | --- |
//! | `crash` | killed at random moments, over and over; `crash::oracle` knows what must be there afterwards |
//! | `durability` | the order of system calls: on disk first, then answered |
//! | `full_disk` | no room left, for bytes and for rows |
//! | `bad_requests` | requests that no honest client sends |
//! | `slow_clients` | clients that stand still, leave, or ask for too much at once |
//! | `races` | clients in each other's way |
//! | `interrupted` | killed in the middle of purges, restorations, imports and fetches of the cache |
//! | `large` | many rows at start-up |
//!
//! Needs root (a small filesystem is mounted) and `strace`.

mod bad_requests;
mod client;
mod content;
mod crash;
mod durability;
mod full_disk;
mod interrupted;
mod large;
mod owner;
mod races;
mod random;
mod server;
mod slow_clients;
