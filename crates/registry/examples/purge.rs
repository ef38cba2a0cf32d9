//! Measures a purge, and what pushes and pulls beside it notice of it:
//! `cargo run --release -p wharf-registry --example purge [OLD NEW]`.
//!
//! Goal: purging 100,000 of 140,000 manifests takes under 60 s, while pushes and pulls keep at least 80 % of their rate.
//!
//! All is in one repository. The purge removes 100,000 tags and then the manifests that they named, and reads all the others. A
//! push is that of an image with a layer of its own; a pull is that of a manifest by a tag that stays, and of its config. The
//! reconciler that counts bytes runs beside it.

#[path = "shared/registry.rs"]
mod registry;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use registry::Measured;
use wharf_model::{Algorithm, Clock as _, Digest, Reference, RepositoryName, SystemClock};
use wharf_registry::{PurgeSpec, PurgeState, Sight, Target, Untagged, Unwatched};

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let old = numbers.next().unwrap_or(100_000);
    let new = numbers.next().unwrap_or(40_000);
    let measured = Arc::new(Measured::new().await);
    for content in [&b"{}"[..], b"layer"] {
        measured.push_blob(REPOSITORY, content).await;
    }
    let begun = Instant::now();
    let tags = (0..old).map(|number| format!("old-{number}")).chain((0..new).map(|number| format!("new-{number}")));
    let pushes = stream::iter(tags).for_each_concurrent(256, |tag| {
        let measured = measured.clone();
        async move { measured.push_manifest(REPOSITORY, &tag, b"layer").await }
    });
    pushes.await;
    measured.artifacts.count_bytes().await.expect("bytes are counted");
    println!("{} manifests after {:.0} s", old + new, begun.elapsed().as_secs_f64());

    let load = Arc::new(Load::default());
    for worker in 0..WORKERS {
        tokio::spawn(push(measured.clone(), load.clone(), worker));
        tokio::spawn(pull(measured.clone(), load.clone(), worker, new));
    }
    let counted = measured.artifacts.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(3)).await;
            counted.count_bytes().await.expect("bytes are counted");
        }
    });
    tokio::time::sleep(Duration::from_secs(3)).await;

    println!("{:<8} {:>8} {:>10} {:>10}   a second", "", "seconds", "pushes", "pulls");
    let before = load.during(tokio::time::sleep(ALONE)).await.1;
    before.print("before");
    let spec = PurgeSpec {
        filters: vec![format!("{REPOSITORY}:^old-")],
        ago: Some("0s".parse().expect("it is an age")),
        untagged: Untagged::Too,
        ..PurgeSpec::default()
    };
    let state = PurgeState::begin(SystemClock.now(), false);
    let mut unwatched = Unwatched;
    let purge = measured.artifacts.purge(&measured.registry, &spec, "example", state, &mut unwatched);
    let (done, during) = load.during(purge).await;
    during.print("purging");
    let after = load.during(tokio::time::sleep(ALONE)).await.1;
    after.print("after");
    load.is_over.store(true, Ordering::Relaxed);

    let report = done.expect("it is purged").report;
    println!(
        "removed {} tags and {} manifests in {:.1} s",
        report.deleted_tags, report.deleted_manifests, during.seconds
    );
    let kept = |of: fn(&Rates) -> f64| of(&during) / ((of(&before) + of(&after)) / 2.0) * 100.0;
    println!(
        "kept {:.0} % of the pushes and {:.0} % of the pulls",
        kept(|rates| rates.pushes),
        kept(|rates| rates.pulls)
    );
}

/// What clients did until now.
#[derive(Default)]
struct Load {
    pushes: AtomicU64,
    pulls: AtomicU64,
    is_over: AtomicBool,
}

/// How often a second.
struct Rates {
    seconds: f64,
    pushes: f64,
    pulls: f64,
}

impl Load {
    async fn during<T>(&self, work: impl Future<Output = T>) -> (T, Rates) {
        let counts = || [&self.pushes, &self.pulls].map(|count| count.load(Ordering::Relaxed));
        let (begun, before) = (Instant::now(), counts());
        let done = work.await;
        let seconds = begun.elapsed().as_secs_f64();
        let [pushes, pulls] = [0, 1].map(|which| (counts()[which] - before[which]) as f64 / seconds);
        (done, Rates { seconds, pushes, pulls })
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl Rates {
    fn print(&self, what: &str) {
        println!("{what:<8} {:>8.1} {:>10.0} {:>10.0}", self.seconds, self.pushes, self.pulls);
    }
}

async fn push(measured: Arc<Measured>, load: Arc<Load>, worker: usize) {
    for number in 0.. {
        if load.is_over() {
            return;
        }
        let layer = format!("layer {worker} {number} {}", "x".repeat(1000)).into_bytes();
        measured.push_blob(REPOSITORY, &layer).await;
        measured.push_manifest(REPOSITORY, &format!("live-{worker}-{number}"), &layer).await;
        load.pushes.fetch_add(1, Ordering::Relaxed);
    }
}

async fn pull(measured: Arc<Measured>, load: Arc<Load>, worker: usize, new: usize) {
    let name: RepositoryName = REPOSITORY.parse().expect("it is a name");
    let config = Digest::of(Algorithm::Sha256, b"{}");
    // A step that shares no divisor with most counts goes through all of them.
    for number in (worker..).step_by(7919) {
        if load.is_over() {
            return;
        }
        let target = Target { registry: &measured.registry, repository: &name };
        let tag: Reference = format!("new-{}", number % new).parse().expect("it is a tag");
        let found = measured.artifacts.get_manifest(target, &tag, Sight::Everything).await.expect("it may be pulled");
        measured.artifacts.note_pull(&found.expect("it is there"), false);
        let blob = measured.artifacts.open_blob(target, &config, Sight::Everything).await.expect("it is readable");
        assert!(blob.is_some(), "a blob in use is gone");
        load.pulls.fetch_add(1, Ordering::Relaxed);
        // As much as a network takes; without, two of these would keep two processors busy with what is remembered.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

const REPOSITORY: &str = "team/app";

/// Clients that push, and as many that pull.
const WORKERS: usize = 4;

/// How long the rates without a purge are measured.
const ALONE: Duration = Duration::from_secs(10);
