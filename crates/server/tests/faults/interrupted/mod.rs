//! Killed in the middle of work that takes a while: purges, restorations, imports, fetches of the artifact cache.
//!
//! When to kill is chosen by how far the work has come: rows that are there or gone, bytes that another registry has sent
//! and holds back. What was begun goes on when the server is started again, or is begun anew by whoever asked; whatever the
//! moment, nothing dangles: each manifest that is there can be pulled with everything that it refers to.

mod cache;
mod elsewhere;
mod import;
mod purge;
mod restore;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;
use crate::content::digest;
use crate::server::Site;

/// How long anything may take that is waited for. Generous: a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the jobs that there are have ended well, as many as are expected.
fn wait_for_jobs(site: &Site, count: i64) {
    wait_until("the jobs have ended", || site.count("jobs WHERE ended_at IS NULL") == 0);
    assert_eq!(site.count("jobs WHERE state = 'Succeeded'"), count, "a job came to nothing");
}

/// Pulls everything that a repository has, and returns its tags and the digests of its manifests.
fn pull_all(client: &mut Client, repository: &str) -> (Vec<String>, Vec<String>) {
    let tags = list(client, &format!("/acr/v1/{repository}/_tags?n=1000"), "tags", "name");
    let digests = list(client, &format!("/acr/v1/{repository}/_manifests?n=1000"), "manifests", "digest");
    for wanted in &digests {
        let answer = client.get(&format!("/v2/{repository}/manifests/{wanted}")).expect("the server answers");
        assert_eq!((answer.status, &digest(&answer.body)), (200, wanted), "{repository}@{wanted}");
        let manifest: Value = serde_json::from_slice(&answer.body).expect("a manifest is JSON");
        let blobs = manifest["layers"].as_array().into_iter().flatten().chain(manifest.get("config"));
        for blob in blobs {
            let name = blob["digest"].as_str().expect("a descriptor has a digest");
            let answer = client.send("HEAD", &format!("/v2/{repository}/blobs/{name}"), &[], b"").unwrap();
            assert_eq!(answer.status, 200, "{repository}@{wanted} needs the blob {name}");
        }
        for child in manifest["manifests"].as_array().into_iter().flatten() {
            let name = child["digest"].as_str().expect("a descriptor has a digest");
            assert!(digests.iter().any(|digest| digest == name), "{repository}@{wanted} lists {name}");
        }
    }
    for tag in &tags {
        let answer = client.send("HEAD", &format!("/v2/{repository}/manifests/{tag}"), &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{repository}:{tag}");
        assert!(digests.iter().any(|digest| digest == answer.header("docker-content-digest")), "{repository}:{tag}");
    }
    (tags, digests)
}

/// The members of all pages of a list.
fn list(client: &mut Client, first: &str, of: &str, member: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = first.to_owned();
    loop {
        let answer = client.get(&next).expect("the server answers");
        if answer.status == 404 {
            return found;
        }
        assert_eq!(answer.status, 200, "{next}: {}", String::from_utf8_lossy(&answer.body));
        let page: Value = serde_json::from_slice(&answer.body).expect("a list is JSON");
        let items = page[of].as_array().into_iter().flatten();
        found.extend(items.filter_map(|item| Some(item[member].as_str()?.to_owned())));
        match answer.header("link").split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
            Some((link, _)) => next = link.to_owned(),
            None => return found,
        }
    }
}

/// When everything is old, the collector leaves exactly the files that rows refer to.
fn assert_no_file_is_left_over(site: &Site) {
    for _ in 0..3 {
        site.age();
        site.collect();
    }
    let files = site.blob_files().len() as i64;
    assert_eq!(files, site.count("blobs WHERE storage_key IS NOT NULL") + site.count("uploads"));
}
