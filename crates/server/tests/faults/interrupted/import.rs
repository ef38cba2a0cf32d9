//! An import that is killed while a layer comes in.

use serde_json::json;

use super::elsewhere::{ALLOW_LOOPBACK, Elsewhere, LAYER, arrived};
use super::{assert_no_file_is_left_over, pull_all, wait_for_jobs, wait_until};
use crate::owner::Owner;
use crate::server::Site;

#[test]
fn an_import_that_is_killed_goes_on_by_itself() {
    let site = Site::new(ALLOW_LOOPBACK);
    let elsewhere = Elsewhere::start();
    let mut server = site.start();
    // Before the first byte of a layer, in its middle, and before its last byte.
    let points = [0, LAYER / 10, LAYER / 2, LAYER - 1];
    for (number, &held_at) in points.iter().enumerate() {
        let tag = format!("v{number}");
        let image = elsewhere.put("team/app", &tag);
        elsewhere.hold_back_after(held_at);
        let source = json!({"registryUri": elsewhere.upstream.address(), "sourceImage": format!("team/app:{tag}")});
        Owner::of(&site, &server)
            .begin("importImage", &json!({"source": source, "targetTags": [format!("app:{tag}")]}));
        let layer = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, &image.blobs[1]);
        wait_until("the layer is on its way", || elsewhere.upstream.count_fetches(&layer) > 0);
        if held_at > 0 {
            // What comes is written in batches; the last of it may be in memory still.
            wait_until("bytes have arrived", || arrived(&site) > 0);
        }
        server.kill();
        assert_eq!(site.count("jobs WHERE state = 'Running'"), 1);
        assert_eq!(site.sql(&format!("SELECT COUNT(*) FROM tags WHERE name = '{tag}'")), 0);
        site.verify();

        elsewhere.let_go();
        server = site.start();
        wait_for_jobs(&site, number as i64 + 1);
        let mut client = server.client();
        let (tags, digests) = pull_all(&mut client, "app");
        assert!(tags.contains(&tag) && digests.contains(&image.digest().to_string()), "{tags:?}");
        let pulled = client.get(&format!("/v2/app/blobs/{layer}")).unwrap();
        assert!(pulled.status == 200 && pulled.body == image.blobs[1], "the layer came whole");
        assert_eq!(site.count("operations WHERE status = 'Succeeded'"), number as i64 + 1);
        assert_no_file_is_left_over(&site);
    }
    server.stop();
    site.verify();
}

#[test]
fn an_import_that_is_killed_again_and_again_comes_to_its_end() {
    let site = Site::new(ALLOW_LOOPBACK);
    let elsewhere = Elsewhere::start();
    let image = elsewhere.put("team/app", "v1");
    let layer = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, &image.blobs[1]);
    elsewhere.hold_back_after(LAYER / 2);
    let mut server = site.start();
    let source = json!({"registryUri": elsewhere.upstream.address(), "sourceImage": "team/app:v1"});
    Owner::of(&site, &server).begin("importImage", &json!({"source": source, "targetTags": ["app:v1"]}));
    for kill in 1..=3 {
        wait_until("the layer is on its way", || elsewhere.upstream.count_fetches(&layer) >= kill);
        server.kill();
        server = site.start();
    }
    // Stopped in order, it is given back, and that does not count as an attempt.
    wait_until("the layer is on its way", || elsewhere.upstream.count_fetches(&layer) >= 4);
    server.stop();
    assert_eq!(site.count("jobs WHERE state = 'Pending'"), 1);
    elsewhere.let_go();
    let server = site.start();
    wait_for_jobs(&site, 1);
    let (tags, _) = pull_all(&mut server.client(), "app");
    assert_eq!(tags, ["v1"]);
    server.stop();
    site.verify();
    assert_no_file_is_left_over(&site);
}
