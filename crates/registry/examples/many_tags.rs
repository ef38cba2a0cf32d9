//! Measures pushes into a registry that holds many tags against pushes into an empty one, in turns:
//! `cargo run --release -p wharf-registry --example many_tags [TAGS]`.
//!
//! Goal: with 1,000,000 tags in a registry, pushes keep at least 80 % of their rate on an empty one.
//!
//! A push here is that of an image with a layer of its own and a config that all share: a blob and a manifest with a new tag, to
//! one of ten repositories, 16 at once. The reconcilers that count and write run beside it.

#[path = "shared/registry.rs"]
mod registry;

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use registry::Measured;

#[tokio::main]
async fn main() {
    let count = std::env::args().nth(1).map_or(1_000_000, |text| text.parse::<usize>().expect("a number"));
    let [empty, full] = [Measured::new().await, Measured::new().await];
    for measured in [&empty, &full] {
        for repository in REPOSITORIES {
            measured.push_blob(repository, b"{}").await;
            measured.push_blob(repository, b"layer").await;
        }
    }
    let begun = Instant::now();
    for first in (0..count).step_by(PART) {
        let part = first..count.min(first + PART);
        let full = &full;
        let pushes = stream::iter(part).for_each_concurrent(256, |number| async move {
            let repository = REPOSITORIES[number % REPOSITORIES.len()];
            full.push_manifest(repository, &format!("v{number}"), b"layer").await;
        });
        pushes.await;
        full.artifacts.count_bytes().await.expect("bytes are counted");
        println!("{} tags after {:.0} s", first + PART.min(count), begun.elapsed().as_secs_f64());
    }
    for measured in [&empty, &full] {
        let artifacts = measured.artifacts.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                artifacts.count_bytes().await.expect("bytes are counted");
            }
        });
    }
    println!("{:>8} {:>12} {:>12} {:>8}   pushes a second", "round", "empty", "full", "ratio");
    let mut rates = Vec::new();
    for round in 0..ROUNDS {
        // Who begins changes, so that neither always has the quieter half.
        let (first, second) = if round % 2 == 0 { (&empty, &full) } else { (&full, &empty) };
        let (one, two) = (push_many(first, round).await, push_many(second, round).await);
        let (empty, full) = if round % 2 == 0 { (one, two) } else { (two, one) };
        println!("{round:>8} {empty:>12.0} {full:>12.0} {:>7.0}%", full / empty * 100.0);
        rates.push((empty, full));
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let empty = median(rates.iter().map(|rate| rate.0).collect());
    let full = median(rates.iter().map(|rate| rate.1).collect());
    println!("{:>8} {empty:>12.0} {full:>12.0} {:>7.0}%", "median", full / empty * 100.0);
}

/// Pushes images, and returns how many a second.
async fn push_many(measured: &Measured, round: usize) -> f64 {
    let begun = Instant::now();
    let pushes = stream::iter(0..PUSHES).for_each_concurrent(16, |number| async move {
        let repository = REPOSITORIES[number % REPOSITORIES.len()];
        let layer = format!("layer {round} {number} {}", "x".repeat(1000)).into_bytes();
        measured.push_blob(repository, &layer).await;
        measured.push_manifest(repository, &format!("round-{round}-{number}"), &layer).await;
    });
    pushes.await;
    PUSHES as f64 / begun.elapsed().as_secs_f64()
}

const REPOSITORIES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// Tags that are set between two lines about it.
const PART: usize = 100_000;

const PUSHES: usize = 2_000;

const ROUNDS: usize = 12;
