//! Reading a chart's package: a tar archive, compressed with gzip, of one folder that holds a `Chart.yaml`.
//!
//! Whoever pushes a package may be anybody, and a few kilobytes unpack to gigabytes. So it is read as a stream that ends at
//! a bound, nothing of it is kept but one small file, and nothing is written anywhere. What Helm would refuse to load is
//! refused here: names that lead out of the folder, files of more than 5 MiB.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

/// Why a package is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArchive {
    /// It is not compressed with gzip.
    #[error("it is no gzip archive")]
    NotGzip,
    /// What is inside is damaged or cut off.
    #[error("it is damaged or cut off: {0}")]
    Damaged(String),
    /// It unpacks to more than a chart may have.
    #[error("it unpacks to more than {} MiB", MOST_UNPACKED_BYTES >> 20)]
    TooLarge,
    /// It holds more files than a chart may have.
    #[error("it holds more than {MOST_ENTRIES} files")]
    TooManyFiles,
    /// A file is larger than Helm reads.
    #[error("the file {name} in it has more than {} MiB", LARGEST_FILE_BYTES >> 20)]
    FileTooLarge {
        /// The file.
        name: String,
    },
    /// A name leads somewhere else.
    #[error("it holds the name {name:?}, which is not inside the chart's folder")]
    Outside {
        /// The name.
        name: String,
    },
    /// Something that is neither a file nor a folder.
    #[error("{name:?} in it is neither a file nor a folder")]
    NotAFile {
        /// Its name.
        name: String,
    },
    /// There is no `Chart.yaml` in its folder.
    #[error("it holds no Chart.yaml in a folder")]
    NoChartYaml,
    /// There are two of them, and readers would not agree which counts.
    #[error("it holds more than one Chart.yaml")]
    TwoChartYamls,
    /// It is larger than anybody needs.
    #[error("its Chart.yaml has more than {} KiB", LARGEST_CHART_YAML_BYTES >> 10)]
    ChartYamlTooLarge,
}

/// Reads the `Chart.yaml` of a package, and the package to its end. This takes a while, on the thread that calls.
///
/// # Errors
/// [`InvalidArchive`].
pub(super) fn read_chart_yaml(package: &[u8]) -> Result<Vec<u8>, InvalidArchive> {
    if !package.starts_with(GZIP) {
        return Err(InvalidArchive::NotGzip);
    }
    let is_over = Rc::new(Cell::new(false));
    let bounded = Bounded { inner: MultiGzDecoder::new(package), left: MOST_UNPACKED_BYTES, is_over: is_over.clone() };
    let mut archive = Archive::new(bounded);
    let read = read_entries(&mut archive).and_then(|found| {
        // What stands behind the end of the archive counts too, and so does the checksum.
        io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
        found.ok_or(InvalidArchive::NoChartYaml)
    });
    if is_over.get() { Err(InvalidArchive::TooLarge) } else { read }
}

fn read_entries<R: Read>(archive: &mut Archive<R>) -> Result<Option<Vec<u8>>, InvalidArchive> {
    let (mut found, mut long_name, mut count) = (None, None, 0);
    // Raw, so that extensions are not read into memory unasked, however long they are.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        count += 1;
        if count > MOST_ENTRIES {
            return Err(InvalidArchive::TooManyFiles);
        }
        match entry.header().entry_type() {
            EntryType::XHeader => long_name = path_in_extension(&read_small(&mut entry, LARGEST_EXTENSION_BYTES)?)?,
            EntryType::GNULongName => {
                let name = read_small(&mut entry, LARGEST_EXTENSION_BYTES)?;
                long_name = Some(name.split(|&byte| byte == 0).next().unwrap_or_default().to_vec());
            }
            EntryType::XGlobalHeader => {}
            kind => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let name = String::from_utf8_lossy(&name).into_owned();
                let inside = inside(&name)?;
                let name = shortened(&name);
                match kind {
                    EntryType::Directory => {}
                    EntryType::Regular | EntryType::Continuous => {
                        if entry.size() > LARGEST_FILE_BYTES {
                            return Err(InvalidArchive::FileTooLarge { name });
                        }
                        if inside == CHART_YAML {
                            let bytes = read_small(&mut entry, LARGEST_CHART_YAML_BYTES).map_err(|error| {
                                if error == InvalidArchive::TooLarge {
                                    InvalidArchive::ChartYamlTooLarge
                                } else {
                                    error
                                }
                            })?;
                            if found.replace(bytes).is_some() {
                                return Err(InvalidArchive::TwoChartYamls);
                            }
                        }
                    }
                    _ => return Err(InvalidArchive::NotAFile { name }),
                }
            }
        }
    }
    Ok(found)
}

/// The name behind the chart's folder. It must not lead out of it, on any system; empty for the folder itself.
fn inside(original: &str) -> Result<String, InvalidArchive> {
    let outside = || InvalidArchive::Outside { name: shortened(original) };
    // Helm takes an archive that was made on Windows, and its first separator for the one that counts.
    let name = original.replace('\\', "/");
    let (folder, rest) = name.split_once('/').unwrap_or((&name, ""));
    let components: Vec<&str> = rest.split('/').filter(|component| !matches!(*component, "" | ".")).collect();
    if folder.is_empty() || folder == ".." || components.contains(&"..") {
        return Err(outside());
    }
    let rest = components.join("/");
    let is_drive = |text: &str| text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic();
    if is_drive(folder) || is_drive(&rest) || folder.contains('\0') || rest.contains('\0') || folder == CHART_YAML {
        return Err(outside());
    }
    Ok(rest)
}

/// As much of a text as an error tells.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_TOLD).collect()
}

/// The `path` of a pax extension. One that changes a file's size is refused: readers that pass over it would see another
/// archive.
fn path_in_extension(extension: &[u8]) -> Result<Option<Vec<u8>>, InvalidArchive> {
    let mut path = None;
    for record in PaxExtensions::new(extension) {
        let record = record.map_err(damaged)?;
        match record.key_bytes() {
            b"path" => path = Some(record.value_bytes().to_vec()),
            b"size" => return Err(InvalidArchive::Damaged("a file's size is given twice".to_owned())),
            _ => {}
        }
    }
    Ok(path)
}

fn read_small<R: Read>(entry: &mut Entry<'_, R>, most: u64) -> Result<Vec<u8>, InvalidArchive> {
    if entry.size() > most {
        return Err(InvalidArchive::TooLarge);
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(damaged)?;
    Ok(bytes)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn damaged(error: io::Error) -> InvalidArchive {
    InvalidArchive::Damaged(shortened(&error.to_string()))
}

/// A reader that ends with an error at a bound, and remembers that it did.
struct Bounded<R> {
    inner: R,
    left: u64,
    is_over: Rc<Cell<bool>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                self.is_over.set(true);
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
        }
        Ok(read)
    }
}

const GZIP: &[u8] = &[0x1f, 0x8b];

const CHART_YAML: &str = "Chart.yaml";

/// What a package may unpack to. Helm reads no more either.
const MOST_UNPACKED_BYTES: u64 = 100 << 20;

/// The largest file in a package; Helm reads no larger ones.
const LARGEST_FILE_BYTES: u64 = 5 << 20;

/// The largest `Chart.yaml`. It is shown in every index.
pub(super) const LARGEST_CHART_YAML_BYTES: u64 = 256 << 10;

/// The largest extension of a file's header: a long name.
const LARGEST_EXTENSION_BYTES: u64 = 64 << 10;

/// How much of a name or a reason is told, in characters.
const LONGEST_TOLD: usize = 120;

/// How many files a package may hold.
const MOST_ENTRIES: usize = 20_000;

#[cfg(test)]
mod tests;
