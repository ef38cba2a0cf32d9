//! How commands print what they found.

use std::io::{self, Write as _};

use anyhow::Context as _;
use serde::Serialize;

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// Columns of text.
    Table,
    /// One JSON document.
    Json,
}

/// `--output`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct OutputFlag {
    /// For people or for programs
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub(super) output: Output,
}

/// Prints a text to standard output.
///
/// # Errors
/// When it cannot be written; that nobody reads on (as with `| head`) is none.
pub(super) fn print(text: &str) -> Result<(), anyhow::Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
///
/// # Errors
/// As [`print()`].
pub(super) fn print_json(value: &impl Serialize) -> Result<(), anyhow::Error> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write the answer as JSON")?;
    text.push('\n');
    print(&text)
}

/// Prints rows under a heading, in columns as wide as they need to be.
///
/// # Errors
/// As [`print()`].
pub(super) fn print_table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<(), anyhow::Error> {
    print(&table(heading, rows))
}

fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let heading = heading.iter().map(|cell| (*cell).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    let columns = lines[0].len();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A count with its noun: `1 blob`, `2 blobs`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A number of bytes for people: `1.5 GiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = vec![vec!["contoso".to_owned(), "Premium".to_owned()], vec!["é".to_owned(), String::new()]];
        assert_eq!(table(&["NAME", "SKU"], rows), "NAME     SKU\ncontoso  Premium\né\n");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "blob")), ["0 blobs", "1 blob", "2 blobs"]);
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
    }
}
