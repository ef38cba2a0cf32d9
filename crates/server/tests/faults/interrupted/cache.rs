//! The artifact cache, killed while it fetches for somebody, and behind the answer.

use std::thread;

use serde_json::json;

use super::elsewhere::{ALLOW_LOOPBACK, Elsewhere, LAYER, arrived};
use super::{assert_no_file_is_left_over, pull_all, wait_until};
use crate::client::Client;
use crate::content::digest;
use crate::owner::Owner;
use crate::server::Site;

#[test]
fn a_fetch_that_is_killed_leaves_nothing_and_the_next_pull_begins_anew() {
    let site = Site::new(ALLOW_LOOPBACK);
    let elsewhere = Elsewhere::start();
    let mut server = site.start();
    let rule = json!({
        "sourceRepository": format!("{}/team/app", elsewhere.upstream.address()),
        "targetRepository": "cached",
    });
    Owner::of(&site, &server).put("cacheRules/app-rule", rule);
    for (number, held_at) in [0, 64 << 10, LAYER / 2, LAYER - 1].into_iter().enumerate() {
        let tag = format!("v{number}");
        let image = elsewhere.put("team/app", &tag);
        let (manifest, layer) = (image.digest().to_string(), digest(&image.blobs[1]));
        elsewhere.hold_back_after(held_at);
        let address = server.address();
        let (path, blob) = (format!("/v2/cached/manifests/{tag}"), format!("/v2/cached/blobs/{layer}"));
        let answer = server.client().get(&path).unwrap();
        assert_eq!((answer.status, digest(&answer.body)), (200, manifest.clone()), "the manifest is passed through");
        let wanted = blob.clone();
        let pull = thread::spawn(move || Client::new(address).get(&wanted));
        let fetched = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, &image.blobs[1]);
        wait_until("the layer is on its way", || elsewhere.upstream.count_fetches(&fetched) > 0);
        if held_at > 64 << 10 {
            wait_until("bytes have arrived", || arrived(&site) > 0);
        }
        server.kill();
        assert!(pull.join().unwrap().is_err(), "a part of a layer is not taken for a layer");
        site.verify();
        let stored = site.sql(&format!("SELECT COUNT(*) FROM blobs WHERE digest = '{layer}'"));
        assert_eq!(stored, 0, "what did not come whole is not there");

        elsewhere.let_go();
        server = site.start();
        let mut client = server.client();
        pull_all(&mut client, "cached");
        assert_eq!(client.get(&path).unwrap().status, 200);
        let pulled = client.get(&blob).unwrap();
        assert!(pulled.status == 200 && pulled.body == image.blobs[1], "the layer came whole");
        // Stored behind the answer: then it is there without the other registry.
        let rows = format!("SELECT COUNT(*) FROM tags WHERE name = '{tag}'");
        wait_until("the image is stored", || site.sql(&rows) == 1);
        let _ = elsewhere.upstream.take_seen();
        let (tags, digests) = pull_all(&mut client, "cached");
        assert!(tags.contains(&tag) && digests.contains(&manifest), "{tags:?} {digests:?}");
        assert_eq!(elsewhere.upstream.count_fetches(&fetched), 0);
        assert_no_file_is_left_over(&site);
    }
    server.stop();
    site.verify();
}
