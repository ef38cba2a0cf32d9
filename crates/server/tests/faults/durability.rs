//! First on disk, then answered: what a power cut would take is what was not synced, so the order of the system calls
//! around an answer tells what it would leave.
//!
//! The server runs under `strace`. Requests go one after the other, and the calls between two answers belong to the
//! second of them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::content::{digest, manifest};
use crate::random::Random;
use crate::server::Site;

/// A system call. Its beginning and its end are lines of the trace.
#[derive(Clone, Debug)]
struct Call {
    began: usize,
    ended: usize,
    /// Such as `fdatasync(7</data/blobs/3f/…>`.
    text: String,
}

impl Call {
    fn is(&self, name: &str) -> bool {
        self.text.strip_prefix(name).is_some_and(|rest| rest.starts_with('('))
    }

    fn is_write(&self) -> bool {
        ["write", "writev", "pwrite64", "pwritev", "pwritev2"].iter().any(|name| self.is(name))
    }

    fn is_sync(&self) -> bool {
        self.is("fsync") || self.is("fdatasync")
    }

    /// The file that it is about.
    fn file(&self) -> Option<PathBuf> {
        let (_, rest) = self.text.split_once('<')?;
        Some(PathBuf::from(rest.split_once('>')?.0))
    }

    fn is_about(&self, path: &Path) -> bool {
        self.file().is_some_and(|file| file == path)
    }

    /// The status of the answer that it sends.
    fn answer(&self) -> Option<u16> {
        let sends = self.is_write() || self.is("sendto") || self.is("sendmsg");
        let (_, rest) = self.text.split_once("\"HTTP/1.1 ").filter(|_| sends)?;
        rest.get(..3)?.parse().ok()
    }
}

#[test]
fn answers_come_after_the_bytes_are_on_disk() {
    let version = Command::new("strace").arg("-V").output();
    assert!(version.is_ok_and(|version| version.status.success()), "this test needs strace: apt-get install strace");

    let site = Site::new("[gc]\ninterval_seconds = 0\n");
    let traces = tempfile::TempDir::new().unwrap();
    let trace = traces.path().join("trace");
    let calls = "trace=fsync,fdatasync,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,mkdir,mkdirat,rename,renameat,renameat2";
    // The tracer is the grandchild, so that the server is the process that is stopped.
    let server =
        site.start_under(&["strace", "-D", "-f", "-y", "-s", "48", "-e", calls, "-o", trace.to_str().unwrap()]);
    let mut client = server.client();
    let mut random = Random::new(7);

    let (large, small) = (random.bytes(1_300_000), random.bytes(3_000));
    let mut expected = vec![("readiness", 200, false, false)];
    let mut expect = |what, status, has_file, has_rows| expected.push((what, status, has_file, has_rows));
    client.push_blob("traced", &large);
    expect("start of an upload", 202, false, false);
    expect("large blob", 201, true, true);
    client.push_blob("traced", &small);
    expect("start of an upload", 202, false, false);
    expect("small blob", 201, false, true);
    let (first, second) = large[..700_000].split_at(300_000);
    let mut location = client.start_upload("traced").unwrap();
    expect("start of an upload", 202, false, false);
    for (chunk, range) in [(first, "0-299999"), (second, "300000-699999")] {
        let taken = client.send("PATCH", &location, &[("Content-Range", range)], chunk).unwrap();
        location = taken.header("location").to_owned();
        expect("chunk", 202, true, true);
    }
    client.send("PUT", &format!("{location}&digest={}", digest(&large[..700_000])), &[], b"").unwrap();
    expect("end of a chunked upload", 201, false, true);
    let image = manifest(&[small.clone(), large.clone()], None, "traced");
    client.put_manifest("traced", "v1", &image).unwrap();
    expect("manifest", 201, false, true);
    client.delete("/v2/traced/manifests/v1").unwrap();
    expect("deletion of a tag", 202, false, true);
    client.delete(&format!("/v2/traced/manifests/{}", digest(&image))).unwrap();
    expect("deletion of a manifest", 202, false, true);
    client.delete(&format!("/v2/traced/blobs/{}", digest(&small))).unwrap();
    expect("deletion of a blob", 202, false, true);
    server.stop();

    let calls = read(&trace);
    let answers: Vec<&Call> = calls.iter().filter(|call| call.answer().is_some()).collect();
    let statuses: Vec<u16> = answers.iter().filter_map(|call| call.answer()).collect();
    assert_eq!(statuses, expected.iter().map(|(_, status, ..)| *status).collect::<Vec<_>>());
    let wal = site.data().join("metadata.db-wal");
    let mut synced_shards = Vec::new();
    for (number, (what, _, has_file, has_rows)) in expected.into_iter().enumerate().skip(1) {
        let begin = answers[number - 1].began;
        let end = answers[number].began;
        let between = |call: &&Call| call.began > begin && call.began < end;
        let bytes: Vec<&Call> =
            calls.iter().filter(between).filter(|call| call.is_write() && is_blob(&site, call)).collect();
        assert_eq!(!bytes.is_empty(), has_file, "{what}: {bytes:#?}");
        let mut on_disk = begin;
        if let Some(last) = bytes.last() {
            let file = last.file().expect("it is a blob's");
            let shard = file.parent().expect("blobs lie in shards").to_owned();
            on_disk = sync_of(&calls, &file, last.ended, end)
                .unwrap_or_else(|| panic!("{what}: {} was not synced before the answer", file.display()));
            if !synced_shards.contains(&file) {
                let synced = sync_of(&calls, &shard, bytes[0].began, end);
                let synced = synced.unwrap_or_else(|| panic!("{what}: {} was not synced", shard.display()));
                on_disk = on_disk.max(synced);
                synced_shards.push(file);
            }
        }
        let rows: Vec<&Call> =
            calls.iter().filter(between).filter(|call| call.is_write() && call.is_about(&wal)).collect();
        assert_eq!(!rows.is_empty(), has_rows, "{what}: {rows:#?}");
        if let Some(last) = rows.last() {
            assert!(sync_of(&calls, &wal, last.ended, end).is_some(), "{what}: the rows were not synced");
            // A row must never be on disk before the bytes that it speaks of.
            assert!(on_disk < rows[0].began, "{what}: the row was written before its bytes were safe");
        }
    }
    check_first_start(&site, &calls, answers[0].began);
    site.verify();
}

/// Whatever the first start made is there after a power cut: the directory of every new entry was synced.
fn check_first_start(site: &Site, calls: &[Call], end: usize) {
    let blobs = site.data().join("blobs");
    let mut made = calls.iter().filter(|call| {
        call.ended < end && (call.is("mkdir") || call.is("mkdirat")) && call.text.contains(&*blobs.to_string_lossy())
    });
    let last = made.next_back().expect("the first start makes the shards");
    assert!(sync_of(calls, &blobs, last.ended, end).is_some(), "the shards are not durable");
    for (directory, entry) in [(site.data(), "blobs"), (site.data().parent().unwrap(), "data")] {
        let path = directory.join(entry);
        let quoted = format!("\"{}\"", path.display());
        let made = calls.iter().find(|call| call.is("mkdir") && call.text.contains(&quoted));
        let made = made.unwrap_or_else(|| panic!("{} was not made", path.display()));
        assert!(sync_of(calls, directory, made.ended, end).is_some(), "the entry of {} is not durable", path.display());
    }
    let wal = site.data().join("metadata.db-wal");
    let first = calls.iter().find(|call| call.is_write() && call.is_about(&wal)).expect("rows were written");
    assert!(sync_of(calls, site.data(), first.began, end).is_some(), "the entry of the database is not durable");
}

fn is_blob(site: &Site, call: &Call) -> bool {
    call.file().is_some_and(|file| file.starts_with(site.data().join("blobs")))
}

/// The end of a sync of `path` that began after `from` and ended before `until`.
fn sync_of(calls: &[Call], path: &Path, from: usize, until: usize) -> Option<usize> {
    let found = calls.iter().find(|call| {
        call.is_sync() && call.is_about(path) && call.began > from && call.ended < until && call.text.ends_with("= 0")
    });
    found.map(|call| call.ended)
}

/// Reads a trace; calls that were interrupted by another thread's are put together again.
fn read(trace: &Path) -> Vec<Call> {
    let text = fs::read_to_string(trace).expect("strace has written its trace");
    let mut open: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(begin) = call.strip_suffix(" <unfinished ...>") {
            open.insert(thread, (number, begin));
        } else if let Some((_, rest)) = call.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            if let Some((began, begin)) = open.remove(thread) {
                calls.push(Call { began, ended: number, text: format!("{begin}{rest}") });
            }
        } else {
            calls.push(Call { began: number, ended: number, text: call.to_owned() });
        }
    }
    calls.sort_by_key(|call| call.began);
    calls
}

#[test]
fn traces_are_read() {
    let directory = tempfile::TempDir::new().unwrap();
    let trace = directory.path().join("trace");
    let lines = [
        "71 fdatasync(9</d/blobs/00/x> <unfinished ...>",
        "72 writev(4<TCP:[1]>, [{iov_base=\"HTTP/1.1 201 Created\\r\\n\"..., iov_len=9}], 1) = 9",
        "71 <... fdatasync resumed>)  = 0",
    ];
    fs::write(&trace, lines.join("\n")).unwrap();
    let calls = read(&trace);
    assert_eq!(calls[1].answer(), Some(201));
    let file = Path::new("/d/blobs/00/x");
    assert!(calls[0].is_sync() && calls[0].is_about(file));
    assert_eq!(sync_of(&calls, file, 0, 1), None, "it ended after the answer");
}
