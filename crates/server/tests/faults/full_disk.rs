//! No room left: for the bytes of blobs, for rows, for both. What fails must fail clearly and alone; what is there can be
//! read all the time; and when there is room again the same server goes on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::{Client, Response};
use crate::content::{digest, manifest};
use crate::random::Random;
use crate::server::{Server, Site};

/// A small filesystem in memory, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(mebibytes: u32) -> Self {
        let directory = TempDir::new().unwrap();
        let size = format!("size={mebibytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "wharf-faults"]).arg(directory.path()).status();
        assert!(mounted.is_ok_and(|status| status.success()), "this test mounts a filesystem; run it as root");
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn free_bytes(&self) -> u64 {
        let found = rustix::fs::statvfs(self.path()).unwrap();
        found.f_bavail * found.f_frsize
    }

    /// Takes all room but about `left` bytes.
    fn fill(&self, left: u64) {
        let take = self.free_bytes().saturating_sub(left);
        fs::write(self.path().join("ballast"), vec![1; take as usize]).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since a server that a failed test left may still be there for a moment.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// What a client is told: that it is the storage, and that it is full.
fn assert_full(answer: &Response, what: &str) {
    assert_eq!(answer.outcome(), "507 UNAVAILABLE", "{what}: {}", String::from_utf8_lossy(&answer.body));
    assert!(String::from_utf8_lossy(&answer.body).contains("full"), "{what}");
}

/// An image that is there before the disk fills.
struct Former {
    blobs: [std::sync::Arc<Vec<u8>>; 2],
    image: Vec<u8>,
}

impl Former {
    fn push(server: &Server, random: &mut Random) -> Self {
        let blobs = [random.bytes(2_000), random.bytes(200_000)];
        let mut client = server.client();
        blobs.iter().for_each(|blob| drop(client.push_blob("full", blob)));
        let image = manifest(&blobs, None, "there before");
        assert_eq!(client.put_manifest("full", "former", &image).unwrap().status, 201);
        Self { blobs, image }
    }

    /// Everything can be read, over a new connection and over one that exists.
    fn assert_readable(&self, client: &mut Client) {
        let pulled = client.get("/v2/full/manifests/former").unwrap();
        assert!(pulled.status == 200 && pulled.body == self.image, "{}", pulled.outcome());
        for blob in &self.blobs {
            let pulled = client.get(&format!("/v2/full/blobs/{}", digest(blob))).unwrap();
            assert!(pulled.status == 200 && pulled.body == **blob, "{}", pulled.outcome());
        }
        assert_eq!(client.get("/v2/full/tags/list").unwrap().status, 200);
        assert_eq!(client.get("/healthz").unwrap().status, 200);
    }
}

#[test]
fn a_full_disk_refuses_pushes_clearly_and_recovers_when_there_is_room() {
    let disk = SmallDisk::new(40);
    let site = Site::with_data("[gc]\ninterval_seconds = 1\ngrace_seconds = 600\n", &disk.path().join("data"));
    let server = site.start();
    let mut random = Random::new(21);
    let former = Former::push(&server, &mut random);
    let files = site.blob_files().len();
    let mut client = server.client();

    // A chunk that was acknowledged while there was room.
    let begun = random.bytes(3_000_000);
    let location = client.start_upload("full").unwrap();
    let taken = client.send("PATCH", &location, &[], &begun[..1_000_000]).unwrap();
    assert_eq!(taken.status, 202);
    let begun_at = taken.header("location").to_owned();

    disk.fill(1_500_000);
    let large = random.bytes(6_000_000);
    for round in 0..3 {
        assert_full(&client.try_push_blob("full", &large).unwrap(), &format!("a blob, attempt {round}"));
        former.assert_readable(&mut client);
    }
    // As docker does it: a stream of unknown length.
    let location = client.start_upload("full").unwrap();
    assert_full(&client.stream("PATCH", &location, &large).unwrap(), "a stream");
    former.assert_readable(&mut server.client());
    assert_eq!(site.blob_files().len(), files + 1, "refused uploads leave their files behind");

    // Now also none for rows.
    client.push_blob("full", &random.bytes(300_000));
    let config = random.bytes(400);
    client.push_blob("full", &config);
    disk.make_room();
    disk.fill(0);
    let mut refused = 0;
    for number in 0..400 {
        let image = manifest(std::slice::from_ref(&config), None, &format!("{number} {}", "x".repeat(20_000)));
        let answer = client.put_manifest("full", &format!("v{number}"), &image).unwrap();
        if answer.status == 201 {
            // There was room left in the log of the database.
            let pulled = client.get(&format!("/v2/full/manifests/v{number}")).unwrap();
            assert!(pulled.status == 200 && pulled.body == image);
            continue;
        }
        assert_full(&answer, "a manifest");
        assert_eq!(client.get(&format!("/v2/full/manifests/v{number}")).unwrap().status, 404);
        assert_eq!(client.get(&format!("/v2/full/manifests/{}", digest(&image))).unwrap().status, 404);
        former.assert_readable(&mut client);
        refused += 1;
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "the disk never filled");
    assert_full(&client.try_push_blob("full", &random.bytes(3_000)).unwrap(), "a small blob");
    assert_full(&client.delete("/v2/full/manifests/former").unwrap(), "a deletion");
    former.assert_readable(&mut server.client());
    let ready = client.get("/readyz").unwrap();
    println!(
        "while the disk is full, /readyz answers {}: {}",
        ready.status,
        String::from_utf8_lossy(&ready.body).trim()
    );

    disk.make_room();
    let began = Instant::now();
    let image = manifest(std::slice::from_ref(&config), None, "there after");
    assert_eq!(client.put_manifest("full", "after", &image).unwrap().outcome(), "201");
    assert_eq!(client.try_push_blob("full", &large).unwrap().outcome(), "201");
    println!("pushes went on {:?} after there was room", began.elapsed());
    former.assert_readable(&mut client);
    // The upload that stood still meanwhile goes on where it was.
    let taken = client.send("PATCH", &begun_at, &[("Content-Range", "1000000-2999999")], &begun[1_000_000..]).unwrap();
    assert_eq!(taken.outcome(), "202");
    let ended =
        client.send("PUT", &format!("{}&digest={}", taken.header("location"), digest(&begun)), &[], b"").unwrap();
    assert_eq!(ended.outcome(), "201");
    let pulled = client.get(&format!("/v2/full/blobs/{}", digest(&begun))).unwrap();
    assert!(pulled.body == *begun);
    wait_until_ready(&mut client);
    assert_eq!(client.delete("/v2/full/manifests/former").unwrap().outcome(), "202");
    server.stop();
    site.verify();
    assert_eq!(site.count("uploads"), 0);
}

#[test]
fn a_chunk_that_finds_the_disk_full_ends_its_upload_and_no_other() {
    let disk = SmallDisk::new(24);
    let site = Site::with_data("[gc]\ninterval_seconds = 0\n", &disk.path().join("data"));
    let server = site.start();
    let mut random = Random::new(22);
    let (mine, other) = (random.bytes(9_000_000), random.bytes(800_000));
    let mut client = server.client();
    let mut begin = |content: &[u8]| {
        let location = client.start_upload("full").unwrap();
        let taken = client.send("PATCH", &location, &[], content).unwrap();
        assert_eq!(taken.status, 202);
        taken.header("location").to_owned()
    };
    let mine_at = begin(&mine[..400_000]);
    let other_at = begin(&other[..400_000]);
    disk.fill(1_000_000);
    let mut client = server.client();
    let answer = client.send("PATCH", &mine_at, &[], &mine[400_000..]).unwrap();
    assert_full(&answer, "a chunk");
    // Its bytes were removed, so that others have room; or, when there was not even room to write that down, it stands
    // where it stood.
    let answer = client.get(&mine_at).unwrap();
    match answer.status {
        404 => assert_eq!(answer.outcome(), "404 BLOB_UPLOAD_UNKNOWN"),
        _ => assert_eq!((answer.status, answer.header("range")), (204, "0-399999")),
    }
    disk.make_room();
    if answer.status == 204 {
        let target = format!("{}&digest={}", answer.header("location"), digest(&mine));
        assert_eq!(client.send("PUT", &target, &[], &mine[400_000..]).unwrap().outcome(), "201");
    }
    let target = format!("{other_at}&digest={}", digest(&other));
    assert_eq!(client.send("PUT", &target, &[], &other[400_000..]).unwrap().outcome(), "201");
    assert_eq!(client.try_push_blob("full", &mine).unwrap().outcome(), "201");
    server.stop();
    site.verify();
    assert_eq!(site.count("uploads"), 0);
}

/// Commits run out of room at every possible byte: the database must come out whole each time, also by a kill.
#[test]
fn commits_that_run_out_of_room_anywhere_are_whole_or_nothing() {
    let disk = SmallDisk::new(24);
    let site = Site::with_data("[gc]\ninterval_seconds = 0\n", &disk.path().join("data"));
    let mut random = Random::new(23);
    let mut server = site.start();
    let former = Former::push(&server, &mut random);
    let config = random.bytes(100);
    server.client().push_blob("full", &config);
    let (mut refused, mut taken) = (0, Vec::new());
    for round in 0..30 {
        disk.fill(random.below(500_000) as u64);
        let mut client = server.client();
        for number in 0..6 {
            let image = manifest(
                std::slice::from_ref(&config),
                None,
                &format!("{round} {number} {}", "y".repeat(random.below(30_000))),
            );
            let tag = format!("v{round}-{number}");
            let answer = client.put_manifest("full", &tag, &image).unwrap();
            match answer.status {
                201 => taken.push((tag, image)),
                _ => {
                    assert_full(&answer, "a manifest");
                    refused += 1;
                }
            }
        }
        former.assert_readable(&mut client);
        if round % 5 == 4 {
            server.kill();
            disk.make_room();
            site.verify();
            server = site.start();
        } else {
            disk.make_room();
        }
        let mut client = server.client();
        for (tag, image) in &taken {
            let pulled = client.get(&format!("/v2/full/manifests/{tag}")).unwrap();
            assert!(pulled.status == 200 && pulled.body == *image, "{tag}: {}", pulled.outcome());
        }
        former.assert_readable(&mut client);
    }
    println!("{refused} pushes were refused, {} taken", taken.len());
    assert!(refused > 20 && taken.len() > 20, "the disk was not at its edge: {refused} refused, {} taken", taken.len());
    server.stop();
    site.verify();
}

/// Somebody starts a server on a full disk.
#[test]
fn a_start_on_a_full_disk_says_so_or_serves_reads() {
    let disk = SmallDisk::new(24);
    let site = Site::with_data("", &disk.path().join("data"));
    let server = site.start();
    let former = Former::push(&server, &mut Random::new(24));
    server.kill();
    disk.fill(0);
    let mut child = site.spawn();
    let until = Instant::now() + Duration::from_secs(5);
    let ended = loop {
        match child.try_wait().unwrap() {
            None if Instant::now() < until => thread::sleep(Duration::from_millis(50)),
            ended => break ended,
        }
    };
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    match ended {
        Some(status) => {
            println!("a start on a full disk ends with {status}: {told}");
            assert!(told.contains("full") || told.contains("No space left"), "{told}");
        }
        None => {
            println!("a start on a full disk serves: {told}");
            assert!(told.contains("Listening on"), "{told}");
        }
    }
    disk.make_room();
    let server = site.start();
    former.assert_readable(&mut server.client());
    server.stop();
    site.verify();
}

/// A proof that the blob store works is believed for ten seconds, and so is the lack of it for none.
fn wait_until_ready(client: &mut Client) {
    let until = Instant::now() + Duration::from_secs(15);
    while client.get("/readyz").unwrap().status != 200 {
        assert!(Instant::now() < until, "the server does not become ready again");
        thread::sleep(Duration::from_millis(200));
    }
}
