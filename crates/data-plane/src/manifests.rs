//! `/v2/<name>/manifests/<reference>`.

mod delete;
mod get;
mod put;

pub(crate) use delete::delete;
pub(crate) use get::get;
pub(crate) use put::put;
