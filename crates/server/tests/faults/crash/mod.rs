//! Killed at random moments, over and over.
//!
//! Workers push, tag, delete and read while the collector runs in the server, with times so short that it always has
//! something to do, and beside it as a command. At a random moment all of it gets SIGKILL. The next server must show what
//! was acknowledged, byte by byte, and of what was under way all or nothing.
//!
//! `WHARF_FAULTS_SEED` repeats a run's choices (not its timing), `WHARF_FAULTS_KILLS` sets how many there are.

mod oracle;
mod shared;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::server::{Server, Site};
use shared::Shared;
use worker::{ACKNOWLEDGED, COMPARED, Worker};

const WORKERS: u64 = 6;

/// How long the start after a kill may take. Generous: a debug build on a busy machine.
const RESTART: Duration = Duration::from_secs(10);

#[test]
fn what_was_acknowledged_survives_kills() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let seed = number("WHARF_FAULTS_SEED", u64::from(std::process::id()) << 20 | 0xfa17);
    let kills = number("WHARF_FAULTS_KILLS", 54);
    println!("WHARF_FAULTS_SEED={seed}");
    let mut random = Random::new(seed);
    let site = Site::new(&format!(
        "[gc]\ninterval_seconds = 1\ngrace_seconds = {}\nupload_ttl_seconds = 60\n",
        worker::GRACE.as_secs()
    ));
    let mut server = site.start();
    let shared = Arc::new(Shared::new(server.address(), &mut random));
    let mut workers: Vec<Worker> =
        (0..WORKERS).map(|number| Worker::new(number, random.fork(number), shared.clone())).collect();
    let mut restarts = Vec::new();

    for round in 1..=kills {
        let delay = Duration::from_millis(random.between(10, 900) as u64);
        run_and_kill(&site, server, &mut workers, delay, random.chance(30));
        if random.chance(15) {
            kill_while_starting(&site, Duration::from_millis(random.between(0, 400) as u64));
        }
        if random.chance(25) {
            site.age();
        }
        if round % 9 == 0 {
            site.verify();
        }
        server = site.start();
        restarts.push(server.started_in);
        assert!(server.started_in < RESTART, "round {round}: the start took {:?}", server.started_in);
        let address = server.address();
        on_each(&mut workers, |worker| worker.check(address));
        shared.check(address).unwrap_or_else(|text| panic!("round {round}: {text}"));
    }

    let address = server.address();
    on_each(&mut workers, |worker| worker.finish(address));
    server.stop();
    site.verify();
    assert_nothing_is_left_behind(&site);
    site.verify();
    restarts.sort();
    println!(
        "{kills} kills, {} acknowledged changes, {} answers compared; starts took {:?} (median), {:?} (longest)",
        ACKNOWLEDGED.load(Ordering::Relaxed),
        COMPARED.load(Ordering::Relaxed),
        restarts[restarts.len() / 2],
        restarts[restarts.len() - 1],
    );
    assert!(ACKNOWLEDGED.load(Ordering::Relaxed) > kills * 10, "too little happened between the kills");
}

/// Lets everybody work for a while and kills the server, and the collector beside it.
fn run_and_kill(site: &Site, server: Server, workers: &mut [Worker], delay: Duration, with_collector: bool) {
    let killed = AtomicBool::new(false);
    let address = server.address();
    let mut collector = with_collector.then(|| {
        let mut command = site.command(&["gc"]);
        command.stdout(std::process::Stdio::null()).spawn().expect("gc can be run")
    });
    let failures: Vec<String> = thread::scope(|scope| {
        let killed = &killed;
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|worker| scope.spawn(move || worker.work(address, &|| killed.load(Ordering::SeqCst))))
            .collect();
        thread::sleep(delay);
        killed.store(true, Ordering::SeqCst);
        if let Some(collector) = &mut collector {
            // It may have ended already.
            let _ = collector.kill();
        }
        server.kill();
        threads.into_iter().filter_map(|thread| thread.join().expect("workers do not panic").err()).collect()
    });
    if let Some(mut collector) = collector {
        collector.wait().expect("it is ours");
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// A server that dies before it has recovered from the last death.
fn kill_while_starting(site: &Site, delay: Duration) {
    let mut child = site.spawn();
    thread::sleep(delay);
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
}

fn on_each(workers: &mut [Worker], what: impl Fn(&mut Worker) -> Result<(), String> + Sync) {
    let failures: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(|| what(worker))).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("workers do not panic").err()).collect()
    });
    assert!(failures.is_empty(), "{failures:#?}");
}

/// When everything is old, the collector leaves exactly the files that rows refer to.
fn assert_nothing_is_left_behind(site: &Site) {
    let began = Instant::now();
    thread::sleep(worker::GRACE);
    for _ in 0..3 {
        site.age();
        site.collect();
    }
    let files = site.blob_files().len() as i64;
    assert_eq!(site.count("doomed_objects"), 0);
    assert_eq!(files, site.count("blobs WHERE storage_key IS NOT NULL") + site.count("uploads"));
    println!("the collector left {files} files, each with its row; that took {:?}", began.elapsed());
}
