//! A purge that is killed while it removes tags and manifests, and while others set new tags on what it removes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use super::{pull_all, wait_for_jobs, wait_until};
use crate::client::Client;
use crate::content::{digest, manifest};
use crate::owner::Owner;
use crate::server::Site;

const IMAGES: usize = 640;

/// How many of the images' tags and then of their manifests are left when the server is killed.
const KILLED_AT: [(&str, i64); 5] = [
    ("tags WHERE name LIKE 't%'", 639),
    ("tags WHERE name LIKE 't%'", 400),
    ("tags WHERE name LIKE 't%'", 150),
    ("manifests", 600),
    ("manifests", 350),
];

#[test]
fn a_purge_that_is_killed_goes_on_and_spares_what_is_tagged_meanwhile() {
    let site = Site::new("[gc]\ninterval_seconds = 0\n");
    let mut server = site.start();
    let manifests = Arc::new(push_images(server.address()));
    let owner = Owner::of(&site, &server);
    owner.put("purgePolicies/all", json!({"filters": ["app:^t"], "ago": "0d", "untagged": true}));
    owner.begin("purgePolicies/all/run", &json!({}));

    // Tags again while the purge is at it, every seventh image under a name that no filter matches.
    let place = Arc::new(Mutex::new(server.address()));
    let (is_over, kept) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeMap::new())));
    let tagging = {
        let (place, is_over, kept, manifests) = (place.clone(), is_over.clone(), kept.clone(), manifests.clone());
        thread::spawn(move || {
            for number in (0..IMAGES).rev().step_by(7) {
                while !is_over.load(Ordering::SeqCst) {
                    let address = *place.lock().unwrap();
                    let tag = format!("keep-{number}");
                    let put = Client::new(address).put_manifest("app", &tag, &manifests[number]);
                    // A server that was killed does not answer, and the next one is asked again.
                    if put.is_ok_and(|answer| answer.status == 201) {
                        kept.lock().unwrap().insert(tag, digest(&manifests[number]));
                        break;
                    }
                }
                thread::sleep(std::time::Duration::from_millis(15));
            }
        })
    };

    for (rows, left) in KILLED_AT {
        wait_until("the purge has come that far", || site.sql(&format!("SELECT COUNT(*) FROM {rows}")) <= left);
        server.kill();
        assert_eq!(site.count("jobs WHERE ended_at IS NULL"), 1, "it was over before it was killed");
        site.verify();
        server = site.start();
        *place.lock().unwrap() = server.address();
    }
    wait_for_jobs(&site, 1);
    is_over.store(true, Ordering::SeqCst);
    tagging.join().unwrap();

    let mut client = server.client();
    let (tags, digests) = pull_all(&mut client, "app");
    let kept = kept.lock().unwrap();
    assert!(kept.len() > 20, "too little was tagged meanwhile: {}", kept.len());
    for (tag, digest) in kept.iter() {
        assert!(tags.contains(tag) && digests.contains(digest), "{tag} was set on {digest} and is gone");
    }
    assert!(tags.iter().all(|tag| tag.starts_with("keep-")), "{tags:?}");
    let untagged = "manifests m WHERE NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)";
    assert_eq!(site.count(untagged), 0, "all that had no tag in the end is gone");
    assert_eq!(site.count("purge_runs WHERE status = 'Succeeded'"), 1);
    server.stop();
    site.verify();
}

/// Pushes the images, which share their blobs, as `app:t<number>`. Returns their manifests.
fn push_images(address: SocketAddr) -> Vec<Vec<u8>> {
    let blobs = [Arc::new(b"{}".to_vec()), Arc::new(b"a layer".to_vec())];
    let mut client = Client::new(address);
    for blob in &blobs {
        client.push_blob("app", blob);
    }
    let manifests: Vec<_> = (0..IMAGES).map(|number| manifest(&blobs, None, &number.to_string())).collect();
    thread::scope(|scope| {
        for worker in 0..8 {
            let manifests = &manifests;
            scope.spawn(move || {
                let mut client = Client::new(address);
                for number in (worker..IMAGES).step_by(8) {
                    let pushed = client.put_manifest("app", &format!("t{number}"), &manifests[number]).unwrap();
                    assert_eq!(pushed.status, 201, "{pushed:?}");
                }
            });
        }
    });
    manifests
}
