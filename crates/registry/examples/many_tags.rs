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
        println!("{} tags after {:.0} s", count.min(first + PART), begun.elapsed().as_secs_f64());
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
    // In short turns, so that whatever else the machine does hits both alike. Who begins changes.
    let (mut on_empty, mut on_full) = (Spent::default(), Spent::default());
    println!(
        "{:>8} {:>18} {:>18} {:>7}   pushes a second (processor time of one), so far",
        "turns", "empty", "full", "ratio"
    );
    for turn in 0..TURNS {
        for is_empty in if turn % 2 == 0 { [true, false] } else { [false, true] } {
            let (measured, spent) = if is_empty { (&empty, &mut on_empty) } else { (&full, &mut on_full) };
            let (begun, processor) = (Instant::now(), processor_time());
            push_many(measured, turn).await;
            spent.time += begun.elapsed();
            spent.processor += processor_time() - processor;
        }
        if (turn + 1) % (TURNS / 10) == 0 {
            let pushes = ((turn + 1) * PUSHES) as f64;
            let show = |spent: &Spent| {
                let micros = spent.processor.as_secs_f64() * 1e6 / pushes;
                format!("{:.0} ({micros:.0} µs)", pushes / spent.time.as_secs_f64())
            };
            let ratio = on_empty.time.as_secs_f64() / on_full.time.as_secs_f64() * 100.0;
            println!("{:>8} {:>18} {:>18} {ratio:>6.0}%", turn + 1, show(&on_empty), show(&on_full));
        }
    }
}

/// What pushes took.
#[derive(Default)]
struct Spent {
    time: Duration,
    processor: Duration,
}

/// What this process has used of its processors, in steps of 10 ms.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|&field| fields[field].parse::<u64>().expect("it is a number")).sum();
    Duration::from_millis(ticks * 10)
}

/// Pushes images.
async fn push_many(measured: &Measured, turn: usize) {
    let pushes = stream::iter(0..PUSHES).for_each_concurrent(16, |number| async move {
        let repository = REPOSITORIES[number % REPOSITORIES.len()];
        let layer = format!("layer {turn} {number} {}", "x".repeat(1000)).into_bytes();
        measured.push_blob(repository, &layer).await;
        measured.push_manifest(repository, &format!("turn-{turn}-{number}"), &layer).await;
    });
    pushes.await;
}

const REPOSITORIES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// Tags that are set between two lines about it.
const PART: usize = 100_000;

const PUSHES: usize = 200;

const TURNS: usize = 150;
