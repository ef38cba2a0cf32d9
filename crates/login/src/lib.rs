//! The token service over HTTP: OpenID Connect for `az`, the SDKs and people.
//!
//! ```text
//! /adfs/…                        an authority without tenants, which clients believe without asking anybody
//! /<tenant>/…                    an authority as Entra ID's; also behind a prefix
//!    …/.well-known/openid-configuration   …/discovery/keys      what there is
//!    …/oauth2/token    …/oauth2/devicecode   …/oauth2/authorize   for clients
//! /login/…                       pages for people
//! /common/userrealm/…            what clients ask before they send a password
//! /msi/token   /metadata/identity/oauth2/token               programs without secrets of their own
//! ```
//!
//! Who somebody is, is decided by `identity`; here it is read from requests and written into answers, in the forms and with
//! the error codes that Entra ID's clients know. Pages are plain HTML: no script runs on them, and none could.
//!
//! What this crate does not do: finding the host, TLS, access logs. Those are the server's.

mod answer;
mod authority;
mod client;
mod clients;
mod device;
mod discovery;
mod error;
mod form;
mod managed;
mod pages;
mod redirect;
mod route;
mod router;
mod scope;
mod token;

pub use managed::CameThroughProxy;
pub use router::Login;
