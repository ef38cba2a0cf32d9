//! Many rows at start-up: nothing is walked, so nothing takes longer.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::content::manifest;
use crate::server::Site;

const TAGS: usize = 20_000;
const CLIENTS: usize = 16;

#[test]
fn a_server_with_many_tags_starts_as_quickly_as_an_empty_one() {
    let site = Site::new("[gc]\ninterval_seconds = 0\n");
    let server = site.start();
    let began = Instant::now();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let address = server.address();
            scope.spawn(move || {
                let mut client = Client::new(address);
                let config = Arc::new(format!("config {number}").into_bytes());
                let repository = format!("many/{number}");
                client.push_blob(&repository, &config);
                let image = manifest(&[config], None, "many");
                for tag in 0..TAGS / CLIENTS {
                    let pushed = client.put_manifest(&repository, &format!("v{tag}"), &image).unwrap();
                    assert_eq!(pushed.status, 201, "{pushed:?}");
                }
            });
        }
    });
    println!("{TAGS} tags were pushed in {:?}", began.elapsed());
    server.kill();
    assert_eq!(site.count("tags"), TAGS as i64);
    for former in ["killed", "stopped"] {
        let took = start_and_list(&site);
        println!("a start with {TAGS} tags and a list of some, the former server {former}: {took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

/// How long a start takes, and the first list of tags after it. Stops the server in order.
fn start_and_list(site: &Site) -> Duration {
    let server = site.start();
    let began = Instant::now();
    let listed = server.client().get("/v2/many/3/tags/list?n=100").unwrap();
    assert_eq!(listed.status, 200);
    let took = server.started_in + began.elapsed();
    server.stop();
    took
}
