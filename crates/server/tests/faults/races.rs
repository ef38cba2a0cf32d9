//! Clients in each other's way, and clients that leave in the middle.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, authorization};
use crate::content::{digest, manifest};
use crate::random::Random;
use crate::server::{Server, Site};

/// The collector always runs, and spares what is younger than a few seconds.
const EAGER: &str = "[gc]\ninterval_seconds = 1\ngrace_seconds = 3\n";

#[test]
fn many_who_push_one_blob_at_once_all_succeed_and_one_copy_stays() {
    let site = Site::new(EAGER);
    let server = site.start();
    let mut random = Random::new(3);
    for length in [900, 60_000, 2_500_000] {
        let content = random.bytes(length);
        let image = manifest(std::slice::from_ref(&content), None, "the same for all");
        thread::scope(|scope| {
            for number in 0..12 {
                let (server, content, image) = (&server, &content, &image);
                scope.spawn(move || {
                    let mut client = server.client();
                    let repository = format!("race/{}", number % 3);
                    client.push_blob(&repository, content);
                    let pushed = client.put_manifest(&repository, "v1", image).unwrap();
                    assert_eq!(pushed.status, 201, "{pushed:?}");
                });
            }
        });
        let mut client = server.client();
        for number in 0..3 {
            let pulled = client.get(&format!("/v2/race/{number}/blobs/{}", digest(&content))).unwrap();
            assert!(pulled.status == 200 && pulled.body == *content, "{}", pulled.outcome());
        }
    }
    // Of the twelve copies of the large ones, one each.
    assert_eq!(site.count("blobs"), 3);
    assert_eq!(site.blob_files().len(), 2);
    server.stop();
    site.verify();
}

#[test]
fn an_image_that_is_deleted_and_pushed_at_once_is_whole_or_gone() {
    let site = Site::new(EAGER);
    let server = site.start();
    let mut random = Random::new(4);
    let blobs: Vec<Arc<Vec<u8>>> = vec![random.bytes(500), random.bytes(50_000)];
    let image = manifest(&blobs, None, "again and again");
    let target = format!("/v2/race/app/manifests/{}", digest(&image));
    let until = Instant::now() + Duration::from_secs(8);
    let is_over = || Instant::now() > until;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = server.client();
                while !is_over() {
                    blobs.iter().for_each(|blob| drop(client.push_blob("race/app", blob)));
                    let pushed = client.put_manifest("race/app", "v1", &image).unwrap();
                    // Somebody may have deleted a blob in between.
                    assert!(matches!(&*pushed.outcome(), "201" | "400 MANIFEST_BLOB_UNKNOWN"), "{}", pushed.outcome());
                }
            });
        }
        scope.spawn(|| {
            let mut client = server.client();
            while !is_over() {
                let deleted = client.delete(&target).unwrap();
                assert!(matches!(deleted.status, 202 | 404), "{}", deleted.outcome());
                let unlinked = client.delete(&format!("/v2/race/app/blobs/{}", digest(&blobs[1]))).unwrap();
                assert!(matches!(unlinked.status, 202 | 404 | 405), "{}", unlinked.outcome());
            }
        });
        scope.spawn(|| {
            let mut client = server.client();
            while !is_over() {
                let pulled = client.get("/v2/race/app/manifests/v1").unwrap();
                assert!(matches!(pulled.status, 200 | 404), "{}", pulled.outcome());
                assert!(pulled.status == 404 || pulled.body == image, "another manifest");
                let pulled = client.get(&format!("/v2/race/app/blobs/{}", digest(&blobs[1]))).unwrap();
                assert!(matches!(pulled.status, 200 | 404), "{}", pulled.outcome());
                assert!(pulled.status == 404 || pulled.body == *blobs[1], "other bytes");
            }
        });
        scope.spawn(|| {
            while !is_over() {
                site.collect();
            }
        });
    });
    server.stop();
    site.verify();
}

#[test]
fn a_push_that_pauses_between_blob_and_manifest_is_not_collected_within_the_grace() {
    let site = Site::new(EAGER);
    let server = site.start();
    thread::scope(|scope| {
        for number in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut random = Random::new(number);
                let mut client = server.client();
                for round in 0..5 {
                    let blobs = [random.bytes(800), random.bytes(70_000)];
                    let repository = format!("pause/{number}");
                    blobs.iter().for_each(|blob| drop(client.push_blob(&repository, blob)));
                    thread::sleep(Duration::from_millis(random.below(2_000) as u64));
                    // Docker asks whether the layer is there instead of sending it; that renews its lease.
                    let asked = client
                        .send("HEAD", &format!("/v2/{repository}/blobs/{}", digest(&blobs[1])), &[], b"")
                        .unwrap();
                    assert_eq!(asked.status, 200);
                    let pushed = client
                        .put_manifest(&repository, &format!("v{round}"), &manifest(&blobs, None, "pause"))
                        .unwrap();
                    assert_eq!(pushed.status, 201, "{}", pushed.outcome());
                }
            });
        }
    });
    server.stop();
    site.verify();
}

/// What the client does with an upload whose last request it did not wait for.
#[derive(Clone, Copy, Debug)]
enum Then {
    Retry,
    Cancel,
    EndWithAnotherDigest,
    SendMore,
}

#[test]
fn a_blob_whose_client_left_during_the_commit_keeps_its_bytes() {
    let site = Site::new(EAGER);
    let server = site.start();
    let mut random = Random::new(11);
    let mut pushed = 0;
    for round in 0..160 {
        let then = [Then::Retry, Then::Cancel, Then::EndWithAnotherDigest, Then::SendMore][round % 4];
        let content = random.bytes(20_000);
        let mut client = server.client();
        let location = client.start_upload("leave").unwrap();
        let taken = client.send("PATCH", &location, &[], &content).unwrap();
        assert_eq!(taken.status, 202, "{}", taken.outcome());
        let location = taken.header("location").to_owned();
        let end = format!("{location}&digest={}", digest(&content));
        send_and_leave(&server, &format!("PUT {end}"), Duration::from_micros(random.below(6_000) as u64));

        let next = |client: &mut Client| match then {
            Then::Retry => client.send("PUT", &end, &[], b"").unwrap(),
            Then::Cancel => client.delete(&location).unwrap(),
            Then::EndWithAnotherDigest => {
                client.send("PUT", &format!("{location}&digest={}", digest(b"other")), &[], b"").unwrap()
            }
            Then::SendMore => client.send("PATCH", &location, &[], b"and more").unwrap(),
        };
        let mut answer = next(&mut client);
        while answer.status == 409 {
            answer = next(&mut client);
        }
        assert!(answer.status < 500, "{then:?}: {}", answer.outcome());
        let pulled = client.get(&format!("/v2/leave/blobs/{}", digest(&content))).unwrap();
        match pulled.status {
            200 => assert!(pulled.body == *content, "{then:?}: {} bytes, not {}", pulled.body.len(), content.len()),
            404 => assert!(!matches!(then, Then::Retry), "a retried push was lost: {}", answer.outcome()),
            _ => panic!("round {round}, {then:?} was answered {}: the blob is {}", answer.outcome(), pulled.outcome()),
        }
        pushed += u32::from(pulled.status == 200);
    }
    println!("{pushed} of 160 uploads were complete although their client had left");
    server.stop();
    site.verify();
}

#[test]
fn an_upload_whose_client_left_during_a_chunk_leaves_no_row_behind() {
    let site = Site::new(EAGER);
    let server = site.start();
    let mut random = Random::new(13);
    for _ in 0..80 {
        let content = random.bytes(30_000);
        let mut client = server.client();
        let location = client.start_upload("leave").unwrap();
        let mut stream = Client::connect(server.address()).unwrap();
        let head = format!(
            "PATCH {location} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n",
            authorization(),
            content.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&content).unwrap();
        thread::sleep(Duration::from_micros(random.below(6_000) as u64));
        drop(stream);

        // The request that was left alone may still be at work, or not have begun.
        loop {
            let stands = client.get(&location).unwrap();
            if stands.status == 409 {
                continue;
            }
            assert_eq!(stands.status, 204, "{}", stands.outcome());
            let end = stands.header("range").strip_prefix("0-").unwrap().parse::<usize>().unwrap();
            let begin = if end == 0 { 0 } else { end + 1 };
            let target = format!("{}&digest={}", stands.header("location"), digest(&content));
            let ended = client.send("PUT", &target, &[], &content[begin..]).unwrap();
            match ended.status {
                201 => break,
                409 | 416 => {}
                _ => panic!("from {begin}: {}", ended.outcome()),
            }
        }
    }
    // A row that stays would, when it expires, take the blob's bytes with it.
    assert_eq!(site.count("uploads"), 0);
    server.stop();
    site.verify();
}

#[test]
fn uploads_that_break_off_anywhere_leave_nothing() {
    let site = Site::new(EAGER);
    let server = site.start();
    let mut random = Random::new(12);
    let files_open = server.open_files();
    for round in 0..120 {
        let content = random.bytes(300_000);
        let mut client = server.client();
        let location = client.start_upload("broken").unwrap();
        // Bytes that are sent with the digest are never resumed.
        let mut stream = Client::connect(server.address()).unwrap();
        let head = format!(
            "PUT {location}&digest={} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n",
            digest(&content),
            authorization(),
            content.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The server may have gone on already, or answered.
        let _ = stream.write_all(&content[..random.below(content.len())]);
        if round % 3 == 0 {
            thread::sleep(Duration::from_millis(random.below(10) as u64));
        }
    }
    server.wait_for_open_files(files_open + 4);
    assert_eq!(site.blob_files(), Vec::<std::path::PathBuf>::new());
    assert_eq!(site.count("uploads"), 0);
    server.stop();
    site.verify();
}

/// Sends a request without a body and closes the connection a moment later.
fn send_and_leave(server: &Server, request: &str, later: Duration) {
    let mut stream = Client::connect(server.address()).unwrap();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Length: 0\r\n\r\n",
        authorization()
    );
    stream.write_all(head.as_bytes()).unwrap();
    thread::sleep(later);
}

#[test]
fn a_backup_holds_the_collector_and_both_come_to_an_end() {
    let site = Site::new(EAGER);
    let server = site.start();
    let mut random = Random::new(5);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..3 {
            let (server, is_over, mut random) = (&server, &is_over, random.fork(number));
            scope.spawn(move || {
                let mut client = server.client();
                let repository = format!("held/{number}");
                while !is_over.load(Ordering::Relaxed) {
                    let blobs = [random.bytes(300), random.bytes(40_000)];
                    blobs.iter().for_each(|blob| drop(client.push_blob(&repository, blob)));
                    let image = manifest(&blobs, None, "held");
                    assert_eq!(client.put_manifest(&repository, "v1", &image).unwrap().status, 201);
                    assert_eq!(
                        client.delete(&format!("/v2/{repository}/manifests/{}", digest(&image))).unwrap().status,
                        202
                    );
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        let target = tempfile::TempDir::new().unwrap();
        let copy = target.path().join("copy");
        let output = site.command(&["backup", copy.to_str().unwrap()]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        is_over.store(true, Ordering::Relaxed);
        assert!(output.status.success(), "{told}");
        let restored = Site::new(EAGER);
        let output = restored.command(&["restore", copy.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        restored.verify();
    });
    site.collect();
    server.stop();
    site.verify();
}
