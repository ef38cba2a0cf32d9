//! The server in process, for tests: real use cases, a temporary SQLite file, blobs in a temporary directory and a clock
//! that moves only when told to. There are no sockets; requests go straight to the plane that is meant.
//!
//! ```no_run
//! # async fn example() {
//! use wharf_model::Action;
//! use wharf_testkit::{TestServer, image};
//!
//! let server = TestServer::start().await;
//! let pusher = server.token("web", &[Action::Pull, Action::Push]).await;
//! pusher.push("web", "v1", &image("some content")).await;
//! let answer = server.anonymous().get("/v2/web/manifests/v1").await;
//! assert_eq!(answer.status, 401);
//! # }
//! ```

mod chart;
mod client;
mod image;
mod installation;
mod response;
mod server;
mod service;
mod upstream;
mod workers;

pub use chart::{chart, package};
pub use client::{Client, RequestBuilder};
pub use image::{Image, image, index};
pub use response::TestResponse;
pub use server::{Options, TestServer};
pub use service::{Service, ServiceClient, ServiceResponse};
pub use upstream::{Failure, Quirks, Seen, SignIn, Upstream};
