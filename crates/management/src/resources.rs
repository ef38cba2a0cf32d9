//! What is done with resources of every kind: written, read, listed, deleted, acted upon.
//!
//! Each has a form for requests that came over HTTP and for callers in process; rights are asked for in both, and the
//! operator may everything.

mod act;
mod delete;
mod envelope;
mod list;
mod read;
mod write;

pub(crate) use act::Called;
pub(crate) use envelope::show_briefly;
pub(crate) use list::{ListPage, MOST_SCANNED, PageQuery, ROWS, next_link};
pub(crate) use write::{Conditions, insert_within};
