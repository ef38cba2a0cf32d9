//! A tar file written entry by entry, whose contents arrive in pieces.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tar::{EntryType, Header};

/// Tar's unit, in bytes.
const BLOCK: u64 = 512;

/// Writes a tar file for its owner only.
pub(super) struct TarWriter {
    file: BufWriter<File>,
    /// What is still to come of the entry that was begun.
    left: u64,
    padding: u64,
    modified: u64,
}

impl TarWriter {
    /// Begins a new file; entries are dated `modified`, in seconds since the epoch.
    pub(super) fn create(path: &Path, modified: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { file: BufWriter::with_capacity(1024 * 1024, file), left: 0, padding: 0, modified })
    }

    /// Begins an entry of `size` bytes.
    pub(super) fn begin(&mut self, name: &str, size: u64) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_path(name)?;
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(self.modified);
        header.set_cksum();
        self.file.write_all(header.as_bytes())?;
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK) - size;
        Ok(())
    }

    /// Goes on with the entry that was begun.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other("an entry is longer than was announced"))?;
        self.file.write_all(bytes)
    }

    /// Ends the entry that was begun.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(io::Error::other("an entry is shorter than was announced"));
        }
        self.write_zeros(self.padding)
    }

    /// Ends the file; it is on disk on return.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.write_zeros(2 * BLOCK)?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    fn write_zeros(&mut self, count: u64) -> io::Result<()> {
        io::copy(&mut io::Read::take(io::repeat(0), count), &mut self.file).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn others_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.tar");
        let mut writer = TarWriter::create(&path, 7).unwrap();
        for size in [0usize, 1, 511, 512, 513, 100_000] {
            writer.begin(&format!("blobs/{size}"), size as u64).unwrap();
            for piece in vec![b'x'; size].chunks(1000) {
                writer.write(piece).unwrap();
            }
            writer.end().unwrap();
        }
        writer.finish().unwrap();
        let mut archive = tar::Archive::new(File::open(&path).unwrap());
        let mut sizes = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert_eq!(entry.path().unwrap().to_str().unwrap(), format!("blobs/{}", bytes.len()));
            sizes.push(bytes.len());
        }
        assert_eq!(sizes, [0, 1, 511, 512, 513, 100_000]);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = TarWriter::create(&directory.path().join("x.tar"), 7).unwrap();
        writer.begin("a", 2).unwrap();
        writer.write(b"x").unwrap();
        assert!(writer.end().is_err());
        assert!(writer.write(b"xx").is_err());
    }
}
