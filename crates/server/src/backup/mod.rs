//! Copies of an installation, and bringing them back.
//!
//! ```text
//! backup.json         what this is
//! sealing.key         ┐
//! credentials.json    │ as in the data directory
//! tls/…               ┘
//! blobs/f/0192…       each blob under its storage key
//! metadata.db         a snapshot of the database, without upload sessions, doomed objects and holds
//! ```
//!
//! A copy is a directory of this shape or a tar file of it. It is consistent although the server goes on: the database
//! is copied first, then the blobs that the snapshot knows, and a hold on objects keeps the collector from removing any
//! of them meanwhile.

mod load;
mod save;
mod tar;

use serde::{Deserialize, Serialize};

pub(crate) use self::load::restore;
pub(crate) use self::save::{Saved, save};

/// `backup.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Label {
    /// The shape described above is 1.
    format_version: u32,
    /// The program that made the copy.
    wharf_version: String,
    /// When it began.
    created_at: String,
}

const FORMAT_VERSION: u32 = 1;

const LABEL: &str = "backup.json";
const SEALING_KEY: &str = "sealing.key";
const CREDENTIALS: &str = "credentials.json";
const DATABASE: &str = "metadata.db";
const TLS: &str = "tls";
const BLOBS: &str = "blobs";

/// Blobs listed at once.
const PAGE: i64 = 500;
