//! Which of the places that may set a key counts, and where a value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag on the command line, such as `--data`.
    Flag(String),
    /// A variable such as `WHARF_DATA`.
    Environment(String),
    /// The file that was read.
    File(PathBuf),
    /// The server that runs, or ran last, on the data directory.
    Server(PathBuf),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(variable) => f.write_str(variable),
            Self::File(path) | Self::Server(path) => path.display().fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Chooses between the places that may set a key, and remembers the choice.
pub(super) struct Layers<'a> {
    pub(super) matches: &'a ArgMatches,
    pub(super) path: Option<PathBuf>,
    pub(super) server: Option<PathBuf>,
    pub(super) origins: BTreeMap<&'static str, Origin>,
}

impl Layers<'_> {
    /// The value of `key`: `given` on the command line or in the environment (there it is called `id`), `file`, default.
    pub(super) fn pick<T>(
        &mut self,
        key: &'static str,
        id: &str,
        given: Option<T>,
        file: Option<T>,
        default: impl FnOnce() -> T,
    ) -> T {
        self.pick_option(key, id, given, file).unwrap_or_else(default)
    }

    /// Like [`Layers::pick`] for a key without a default.
    pub(super) fn pick_option<T>(
        &mut self,
        key: &'static str,
        id: &str,
        given: Option<T>,
        file: Option<T>,
    ) -> Option<T> {
        let origin = match (&given, &file) {
            (Some(_), _) => self.given_origin(id),
            (None, Some(_)) => Origin::File(self.path.clone().unwrap_or_default()),
            (None, None) => Origin::Default,
        };
        self.origins.insert(key, origin);
        given.or(file)
    }

    /// Like [`Layers::pick`], with what a server on the data directory does before the default.
    pub(super) fn pick_with_server<T>(
        &mut self,
        key: &'static str,
        (given, file, server): (Option<T>, Option<T>, Option<T>),
        default: impl FnOnce() -> T,
    ) -> T {
        match (self.pick_option(key, key, given, file), server) {
            (Some(value), _) => value,
            (None, Some(value)) => {
                self.origins.insert(key, Origin::Server(self.server.clone().unwrap_or_default()));
                value
            }
            (None, None) => default(),
        }
    }

    fn given_origin(&self, id: &str) -> Origin {
        // A command does not know every id: what it does not know was not given to it.
        match self.matches.try_contains_id(id).ok().and_then(|_| self.matches.value_source(id)) {
            Some(ValueSource::EnvVariable) => Origin::Environment(format!("WHARF_{}", id.to_uppercase())),
            _ => Origin::Flag(format!("--{}", id.replace('_', "-"))),
        }
    }
}
