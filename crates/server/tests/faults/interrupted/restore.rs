//! The restoration of a large index, and a purge into the trash, killed in between.

use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use super::{pull_all, wait_until};
use crate::client::Client;
use crate::content::{IMAGE, digest, manifest};
use crate::owner::Owner;
use crate::server::{Server, Site};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Restored in transactions of a hundred.
const CHILDREN: usize = 450;

#[test]
fn a_restoration_that_is_killed_leaves_nothing_half_and_the_next_one_goes_on() {
    let site = Site::new("[gc]\ninterval_seconds = 0\n");
    let mut server = site.start();
    let owner = Owner::of(&site, &server);
    owner.patch(json!({"policies": {"softDeletePolicy": {"status": "enabled", "retentionDays": 7}}}));
    let index = push_index(&mut server.client());
    let path = format!("/acr/v1/_deleted/app/_manifests/{index}?force=True");
    let live = || {
        site.sql(
            "SELECT COUNT(*) FROM manifests m JOIN repositories r ON r.id = m.repository_id WHERE r.deleted_at IS NULL",
        )
    };

    let mut killed_between = 0;
    for round in 0_i64..6 {
        delete_all(&server, &index);
        assert_eq!(live(), 0);
        let (address, restored) = (server.address(), path.clone());
        let request = thread::spawn(move || restore(&mut Client::new(address), &restored));
        wait_until("some are back", || live() > 100 * (round % 4));
        server.kill();
        let answer = request.join().unwrap();
        let back = live();
        killed_between += i64::from(back > 0 && back < 1 + CHILDREN as i64);
        site.verify();

        server = site.start();
        let mut client = server.client();
        let (tags, digests) = pull_all(&mut client, "app");
        assert_eq!(digests.len() as i64, back);
        if answer.is_some_and(|status| status == 200) {
            assert_eq!(tags, ["all"], "it was told to be done");
        }
        // Whoever asked asks again.
        assert_eq!(restore(&mut client, &path), Some(200));
        let (tags, digests) = pull_all(&mut client, "app");
        assert_eq!((tags, digests.len()), (vec!["all".to_owned()], 1 + CHILDREN));
    }
    assert!(killed_between > 0, "never killed between two transactions of one restoration");
    server.stop();
    site.verify();
}

/// The status of the answer, if there was one.
fn restore(client: &mut Client, path: &str) -> Option<u16> {
    client
        .send("POST", path, &[("Content-Type", "application/json")], br#"{"tag":"all"}"#)
        .ok()
        .map(|answer| answer.status)
}

/// Pushes an index of many images, which share their blobs, as `app:all`. Returns its digest.
fn push_index(client: &mut Client) -> String {
    let blobs = [Arc::new(b"{}".to_vec()), Arc::new(b"a layer".to_vec())];
    for blob in &blobs {
        client.push_blob("app", blob);
    }
    let children: Value = (0..CHILDREN)
        .map(|number| {
            let bytes = manifest(&blobs, None, &number.to_string());
            let pushed = client.put_manifest("app", &digest(&bytes), &bytes).unwrap();
            assert_eq!(pushed.status, 201, "{pushed:?}");
            json!({"mediaType": IMAGE, "digest": digest(&bytes), "size": bytes.len()})
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).to_string();
    let pushed = client.send("PUT", "/v2/app/manifests/all", &[("Content-Type", INDEX)], index.as_bytes()).unwrap();
    assert_eq!(pushed.status, 201, "{pushed:?}");
    digest(index.as_bytes())
}

/// Deletes the index, then what it listed.
fn delete_all(server: &Server, index: &str) {
    let mut client = server.client();
    let (_, digests) = pull_all(&mut client, "app");
    let deleted = client.delete(&format!("/v2/app/manifests/{index}")).unwrap();
    assert_eq!(deleted.status, 202, "{deleted:?}");
    let address = server.address();
    thread::scope(|scope| {
        for part in digests.chunks(digests.len() / 8 + 1) {
            scope.spawn(move || {
                let mut client = Client::new(address);
                for digest in part.iter().filter(|digest| *digest != index) {
                    let deleted = client.delete(&format!("/v2/app/manifests/{digest}")).unwrap();
                    assert_eq!(deleted.status, 202, "{deleted:?}");
                }
            });
        }
    });
}
