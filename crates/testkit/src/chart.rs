//! Helm charts, small ones.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

/// The package of a chart: what `helm package` makes of it, at its least.
#[must_use]
pub fn chart(name: &str, version: &str) -> Vec<u8> {
    let yaml =
        format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: \"1.10\"\ndescription: The {name}\n");
    package(&[(&format!("{name}/Chart.yaml"), yaml.as_bytes()), (&format!("{name}/values.yaml"), b"a: b\n")])
}

/// A tar archive of these files, compressed with gzip. The same files make the same bytes.
///
/// # Panics
/// When a name is longer than 100 bytes or leads out of the archive.
#[must_use]
pub fn package(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_ustar();
        header.set_path(name).expect("the name is short");
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, *content).expect("writing to memory succeeds");
    }
    let archive = builder.into_inner().expect("writing to memory succeeds");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&archive).expect("writing to memory succeeds");
    encoder.finish().expect("writing to memory succeeds")
}
