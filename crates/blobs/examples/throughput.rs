//! How fast the store of files is, with the content received in frames as from a socket.
//!
//! ```text
//! cargo build --release -p wharf-blobs --example throughput
//! taskset -c 0 target/release/examples/throughput [DIRECTORY]
//! ```
//!
//! Prints one line per workload: the median of five rounds and the processor's time, which is what to trust on a machine
//! that does other work as well. `DIRECTORY` (default: the current one) should be on the disk
//! in question, not on a tmpfs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use uuid::Uuid;
use wharf_blobs::{BlobStore, FileStore, StorageKey};
use wharf_model::{Algorithm, Digest, Hasher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let directory = tempfile::Builder::new().prefix("throughput-").tempdir_in(parent)?;
    let threads = std::thread::available_parallelism()?.get();
    println!("{threads} core(s), {}", directory.path().display());
    hash_alone();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let opening = Instant::now();
        let store: Arc<dyn BlobStore> = Arc::new(FileStore::open(directory.path().join("blobs"))?);
        println!("first opening: {:?}", opening.elapsed());
        writes(&store, "write 1 GiB x 1", 1 << 30, 1, 1).await;
        writes(&store, "write 64 MiB x 2", 64 << 20, 2, 4).await;
        writes(&store, "write 1 MiB x 8", 1 << 20, 8, 16).await;
        writes(&store, "write 1 KiB x 16", 1 << 10, 16, 64).await;
        writes(&store, "write 1 KiB x 1", 1 << 10, 1, 200).await;
        reads(&store, "read 1 GiB x 1", 1 << 30, 1 << 30, 1, 1).await;
        reads(&store, "read 64 MiB x 4", 64 << 20, 64 << 20, 4, 4).await;
        reads(&store, "read 64 KiB of 64 MiB x 16", 64 << 20, 64 << 10, 16, 2000).await;
        reads(&store, "read 4 KiB x 32", 4 << 10, 4 << 10, 32, 2000).await;
        Ok(())
    })
}

fn hash_alone() {
    let block = frame_of(1 << 20);
    let begin = Moment::now();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    (0..512).for_each(|_| hasher.update(&block));
    let _ = hasher.finish();
    report("sha256 alone", vec![begin.elapsed()], 512 << 20, 1);
}

/// `uploads` at once, each of `count` blobs one after the other.
async fn writes(store: &Arc<dyn BlobStore>, what: &str, size: usize, uploads: usize, count: usize) {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Moment::now();
        let tasks = (0..uploads).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut keys = Vec::new();
                for _ in 0..count {
                    keys.push(put(store.as_ref(), size).await.0);
                }
                keys
            })
        });
        let keys: Vec<StorageKey> = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
        rounds.push(begin.elapsed());
        // ext4 looks at every inode freed in the last minutes before it gives out another one: a thousand deletions make
        // each creation after them several times as slow. So small files stay; large ones need their place again.
        if size >= 1 << 20 {
            for key in keys {
                store.delete(&key).await.unwrap();
            }
        }
    }
    report(what, rounds, size * uploads * count, uploads * count);
}

async fn reads(store: &Arc<dyn BlobStore>, what: &str, size: usize, range: usize, readers: usize, count: usize) {
    let key = put(store.as_ref(), size).await.0;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Moment::now();
        let tasks = (0..readers).map(|reader| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                for number in 0..count {
                    let blob = store.open(&key).await.unwrap();
                    let start = ((number * 31 + reader * 7) * range % (size - range + 1)) as u64;
                    let mut stream = blob.stream(start..start + range as u64);
                    while let Some(piece) = stream.next().await {
                        std::hint::black_box(piece.unwrap());
                    }
                }
            })
        });
        join_all(tasks).await.into_iter().for_each(Result::unwrap);
        rounds.push(begin.elapsed());
    }
    store.delete(&key).await.unwrap();
    report(what, rounds, range * readers * count, readers * count);
}

async fn put(store: &dyn BlobStore, size: usize) -> (StorageKey, Digest) {
    let key = StorageKey::new(Uuid::now_v7());
    let mut writer = store.create(&key, Algorithm::Sha256).await.unwrap();
    let mut left = size;
    while left > 0 {
        // A copy, as a read from a socket is one; it costs 0.02 s per GiB.
        let frame = FRAME.with(|frame| Bytes::copy_from_slice(&frame[..left.min(FRAME_SIZE)]));
        left -= frame.len();
        writer.write(frame).await.unwrap();
        // As if the socket had had nothing for a moment.
        tokio::task::yield_now().await;
    }
    writer.sync().await.unwrap();
    let digest = writer.digest(Algorithm::Sha256).await.unwrap();
    (key, digest)
}

/// An instant, and how much the process had worked until then.
struct Moment {
    at: Instant,
    worked: Duration,
}

/// What passed between two moments.
struct Round {
    time: Duration,
    worked: Duration,
}

impl Moment {
    fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux says how long a process has worked");
        // Fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms; the second field is a name in parentheses.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Self { at: Instant::now(), worked: Duration::from_millis(ticks * 10) }
    }

    fn elapsed(&self) -> Round {
        let now = Self::now();
        Round { time: now.at - self.at, worked: now.worked - self.worked }
    }
}

fn report(what: &str, mut rounds: Vec<Round>, bytes: usize, count: usize) {
    rounds.sort_unstable_by_key(|round| round.time);
    let median = rounds[rounds.len() / 2].time.as_secs_f64();
    let worked = rounds.iter().map(|round| round.worked).sum::<Duration>().as_secs_f64() / rounds.len() as f64;
    let rate = |time: f64| bytes as f64 / time / 1e9;
    println!(
        "{what:<28} {:6.2} GB/s ({:.2}..{:.2}) {:9.0} /s {:10.1} us each, of work {:10.1} us = {:.2} s/GiB",
        rate(median),
        rate(rounds[rounds.len() - 1].time.as_secs_f64()),
        rate(rounds[0].time.as_secs_f64()),
        count as f64 / median,
        median * 1e6 / count as f64,
        worked * 1e6 / count as f64,
        worked / (bytes as f64 / f64::from(1 << 30)),
    );
}

fn frame_of(size: usize) -> Vec<u8> {
    (0..size).map(|number| (number * number) as u8).collect()
}

thread_local! {
    static FRAME: Vec<u8> = frame_of(FRAME_SIZE);
}

/// About what one read from a busy socket gives.
const FRAME_SIZE: usize = 128 << 10;

const ROUNDS: usize = 5;
