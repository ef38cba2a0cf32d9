//! Every store has to pass one suite; what only files can do is tested beside it.

mod files;
mod support;
#[macro_use]
mod suite;

mod file_store {
    store_suite!(crate::support::FileFixture);
}
