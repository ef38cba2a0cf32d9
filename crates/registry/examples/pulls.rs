//! Measures what the note of a pull costs, and its flush: `cargo run --release -p wharf-registry --example pulls`.
//!
//! Goal: well under a microsecond on the path of a pull, without allocating.

#[path = "shared/registry.rs"]
mod registry;

use std::sync::Arc;
use std::time::Instant;

use registry::Measured;
use wharf_model::Reference;
use wharf_registry::{Manifest, Sight, Target};

#[tokio::main]
async fn main() {
    let measured = Measured::new().await;
    for content in [&b"{}"[..], b"layer"] {
        measured.push_blob("app", content).await;
    }
    for number in 0..TAGS {
        measured.push_manifest("app", &format!("v{number}"), b"layer").await;
    }
    let mut manifests = Vec::new();
    for number in 0..TAGS {
        let (name, reference) = ("app".parse().expect("a name"), format!("v{number}").parse().expect("a tag"));
        let target = Target { registry: &measured.registry, repository: &name };
        let reference: Reference = reference;
        let found = measured.artifacts.get_manifest(target, &reference, Sight::Everything).await.expect("it is read");
        manifests.push(found.expect("it is there"));
    }
    let one = &manifests[..1];
    println!("note of a pull, one manifest, one thread    {:>8.1} ns", note(&measured, one, 1));
    println!("note of a pull, one manifest, two threads   {:>8.1} ns", note(&measured, one, 2));
    println!("note of a pull, {TAGS} manifests, two threads {:>8.1} ns", note(&measured, &manifests, 2));
    let begun = Instant::now();
    measured.artifacts.flush_pulls().await.expect("it is written");
    println!("flush of {TAGS} manifests and as many tags    {:>8.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

/// Nanoseconds for a note, on each thread.
fn note(measured: &Measured, manifests: &[Arc<Manifest>], threads: usize) -> f64 {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for round in 0..NOTES {
                    measured.artifacts.note_pull(&manifests[round % manifests.len()], false);
                }
            });
        }
    });
    begun.elapsed().as_secs_f64() * 1e9 / NOTES as f64
}

const TAGS: usize = 5_000;

const NOTES: usize = 10_000_000;
