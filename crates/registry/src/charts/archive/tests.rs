//! Packages that are none.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::*;

type Item<'a> = (EntryType, &'a str, &'a [u8]);

const FILE: EntryType = EntryType::Regular;

fn header(kind: EntryType, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

fn tar(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, content) in items {
        builder.append(&header(*kind, name.as_bytes(), content.len() as u64), *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(items: &[Item<'_>]) -> Result<Vec<u8>, InvalidArchive> {
    read_chart_yaml(&gzip(&tar(items)))
}

#[test]
fn the_chart_yaml_of_the_folder_is_read_and_no_other() {
    let items: &[Item<'_>] = &[
        (EntryType::Directory, "web/", b""),
        (FILE, "web/values.yaml", b"a: b"),
        (FILE, "web/charts/db/Chart.yaml", b"name: db"),
        (FILE, "web/./Chart.yaml", b"name: web"),
    ];
    assert_eq!(read(items).unwrap(), b"name: web");
    assert_eq!(read(&[(FILE, "web\\Chart.yaml", b"x")]).unwrap(), b"x");
    assert_eq!(read(&[(FILE, "./web/Chart.yaml", b"x")]), Err(InvalidArchive::NoChartYaml), "nor does Helm find it");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "/etc/passwd",
        "web/../../etc/passwd",
        "..",
        "web/../Chart.yaml",
        "C:/x",
        "web/C:\\x",
        "\\\\host\\x",
        "Chart.yaml",
    ] {
        let items: &[Item<'_>] = &[(FILE, name, b"x"), (FILE, "web/Chart.yaml", b"name: web")];
        assert!(matches!(read(items), Err(InvalidArchive::Outside { .. })), "{name}");
    }
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Char, EntryType::GNUSparse] {
        assert!(matches!(read(&[(kind, "web/x", b"")]), Err(InvalidArchive::NotAFile { .. })), "{kind:?}");
    }
}

/// A record of a pax extension of 100 to 999 bytes.
fn record(key: &str, value: &str) -> Vec<u8> {
    let body = format!(" {key}={value}\n");
    format!("{}{body}", body.len() + 3).into_bytes()
}

#[test]
fn long_names_count_in_either_spelling() {
    let deep = format!("web/{}Chart.yaml", "a/".repeat(200));
    let pax = record("path", &deep);
    let items: &[Item<'_>] = &[
        (EntryType::XHeader, "x", &pax),
        (FILE, "web/Chart.yaml", b"not this one"),
        (EntryType::GNULongName, "x", deep.as_bytes()),
        (FILE, "web/Chart.yaml", b"nor this one"),
        (FILE, "web/Chart.yaml", b"this one"),
    ];
    assert_eq!(read(items).unwrap(), b"this one");
    let up = record("path", &format!("web/{}x", "../".repeat(50)));
    let items: &[Item<'_>] = &[(EntryType::XHeader, "x", &up), (FILE, "web/Chart.yaml", b"")];
    assert!(matches!(read(items), Err(InvalidArchive::Outside { .. })));
    let size = record("size", &"0".repeat(100));
    assert!(matches!(read(&[(EntryType::XHeader, "x", &size)]), Err(InvalidArchive::Damaged(_))));
    let huge = vec![b'a'; 70 << 10];
    assert_eq!(read(&[(EntryType::GNULongName, "x", &huge)]), Err(InvalidArchive::TooLarge));
}

#[test]
fn what_is_missing_or_there_twice_is_told() {
    assert_eq!(read(&[(FILE, "web/values.yaml", b"")]), Err(InvalidArchive::NoChartYaml));
    assert_eq!(read(&[]), Err(InvalidArchive::NoChartYaml));
    let items: &[Item<'_>] = &[(FILE, "a/Chart.yaml", b"name: a"), (FILE, "b/Chart.yaml", b"name: b")];
    assert_eq!(read(items), Err(InvalidArchive::TwoChartYamls));
    let long = vec![b'#'; 257 << 10];
    assert_eq!(read(&[(FILE, "a/Chart.yaml", &long)]), Err(InvalidArchive::ChartYamlTooLarge));
    let large = vec![0; (5 << 20) + 1];
    assert!(matches!(read(&[(FILE, "a/x", &large)]), Err(InvalidArchive::FileTooLarge { .. })));
    let many: Vec<Item<'_>> = vec![(FILE, "a/x", b""); MOST_ENTRIES + 1];
    assert_eq!(read(&many), Err(InvalidArchive::TooManyFiles));
}

#[test]
fn what_is_cut_off_anywhere_is_no_package() {
    let whole = gzip(&tar(&[(FILE, "web/Chart.yaml", b"name: web"), (FILE, "web/x", &[7; 3000])]));
    assert!(read_chart_yaml(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(read_chart_yaml(&whole[..length]).is_err(), "{length} of {}", whole.len());
    }
    for position in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x41;
        let _ = read_chart_yaml(&flipped);
    }
    assert_eq!(read_chart_yaml(b"PK\x03\x04"), Err(InvalidArchive::NotGzip));
    let mut more = whole;
    more.extend_from_slice(b"more");
    assert!(read_chart_yaml(&more).is_err());
}

/// Two megabytes that unpack to two gigabytes: inside the file that is wanted, inside another and behind the end of the
/// archive.
#[test]
fn what_unpacks_to_gigabytes_is_given_up_early() {
    let member = gzip(&vec![0; 10 << 20]);
    for head in [
        &header(FILE, b"web/Chart.yaml", 100 << 30).as_bytes()[..],
        &header(FILE, b"web/x", 4 << 20).as_bytes()[..],
        &tar(&[(FILE, "web/Chart.yaml", b"name: web")])[..],
    ] {
        let mut bomb = gzip(head);
        for _ in 0..200 {
            bomb.extend_from_slice(&member[..]);
        }
        let started = std::time::Instant::now();
        let refused = read_chart_yaml(&bomb).unwrap_err();
        assert!(matches!(refused, InvalidArchive::TooLarge | InvalidArchive::FileTooLarge { .. }), "{refused:?}");
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
