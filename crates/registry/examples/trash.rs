//! Measures the trash with a large repository in it: `cargo run --release -p wharf-registry --example trash [MANIFESTS]`.
//!
//! Goals: deleting a repository of 100,000 manifests is as quick with soft delete as without (decision 33); a page of what was
//! deleted takes at most 1 ms at any position, also while the books are still being written; writing and purging them goes in
//! transactions of milliseconds.

#[path = "shared/registry.rs"]
mod registry;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use registry::Measured;
use wharf_metadata::registries::SoftDelete;
use wharf_metadata::trash;
use wharf_model::{Clock as _, RepositoryName, SystemClock};
use wharf_registry::{Page, Target};

#[tokio::main]
async fn main() {
    let count = std::env::args().nth(1).map_or(100_000, |text| text.parse::<usize>().expect("a number"));
    let mut measured = Measured::new().await;
    let mut settings = (*measured.registry.settings).clone();
    settings.soft_delete = Some(SoftDelete { days: 7 });
    measured.registry.settings = Arc::new(settings);
    for blob in [b"{}".as_slice(), b"layer"] {
        measured.push_blob("app", blob).await;
    }
    let (full, begun) = (&measured, Instant::now());
    stream::iter(0..count)
        .for_each_concurrent(
            256,
            |number| async move { full.push_manifest("app", &format!("v{number}"), b"layer").await },
        )
        .await;
    println!("{count} manifests with a tag each, pushed in {:.0} s", begun.elapsed().as_secs_f64());
    let name: RepositoryName = "app".parse().expect("it is a name");
    let target = Target { registry: &measured.registry, repository: &name };
    let begun = Instant::now();
    let gone = measured.artifacts.delete_repository(target, "example").await.expect("it is deleted");
    println!("deleted, and its {} manifests listed: {:.0} ms", gone.manifests.len(), millis(begun));
    print_pages(&measured, target, "before it has its rows", &gone.manifests).await;

    let database = measured.artifacts.database();
    let now = SystemClock.now();
    let unsettled = database.read(move |c| Box::pin(trash::list_unsettled(c, now))).await.expect("it is read");
    let (repository, id) = unsettled[0];
    let begun = Instant::now();
    let mut steps = Vec::new();
    loop {
        let step = Instant::now();
        if !database.write(move |c| Box::pin(trash::settle_some(c, repository, id, 200))).await.expect("it is written")
        {
            break;
        }
        steps.push(step.elapsed());
        if steps.len() == count / 400 {
            print_pages(&measured, target, "half of it", &gone.manifests).await;
        }
    }
    print_steps("all have their rows", begun, steps);
    print_pages(&measured, target, "with its rows", &gone.manifests).await;

    let begun = Instant::now();
    let digest = gone.manifests[count / 2].parse().expect("it is a digest");
    measured.artifacts.restore_manifest(target, &digest, None, true, "example").await.expect("it is restored");
    println!("restored one: {:.1} ms", millis(begun));
    let (begun, now) = (Instant::now(), SystemClock.now());
    let mut steps = Vec::new();
    loop {
        let step = Instant::now();
        let purge = database.write(move |c| Box::pin(trash::purge_some(c, id, now, 200)));
        let (_, more) = purge.await.expect("it is purged");
        steps.push(step.elapsed());
        if !more {
            break;
        }
    }
    print_steps("purged", begun, steps);
}

async fn print_pages(measured: &Measured, target: Target<'_>, when: &str, digests: &[String]) {
    for (place, last) in [("first", None), ("middle", digests.get(digests.len() / 2).cloned())] {
        let page = Page { limit: 100, last };
        let mut times = Vec::new();
        for _ in 0..50 {
            let begun = Instant::now();
            measured.artifacts.list_deleted_manifests(target, page.clone()).await.expect("they are listed");
            times.push(begun.elapsed());
        }
        let tag = Page { limit: 100, last: page.last.is_some().then(|| "v5".to_owned()) };
        let mut tags = Vec::new();
        for _ in 0..50 {
            let begun = Instant::now();
            measured.artifacts.list_deleted_tags(target, tag.clone()).await.expect("they are listed");
            tags.push(begun.elapsed());
        }
        println!(
            "100 of what was deleted, {when}, {place} page: manifests {:?}, tags {:?}",
            median(times),
            median(tags)
        );
    }
}

fn print_steps(what: &str, begun: Instant, mut steps: Vec<Duration>) {
    steps.sort_unstable();
    let longest = steps.last().copied().unwrap_or_default();
    println!(
        "{what}: {:.1} s in {} transactions, median {:?}, longest {longest:?}",
        millis(begun) / 1000.0,
        steps.len(),
        median(steps)
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}
