//! Runners that end, in order or not, and several of them on one database.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use wharf_jobs::{JobError, NewJob, Outcome, RunnerSettings, State, Worker};
use wharf_metadata::Database;
use wharf_model::Clock as _;

use crate::support::{Queue, Scripted, Steps, end_of, job, on_both_engines, quick, steps_of};

on_both_engines!(
    a_job_goes_on_at_once_after_an_orderly_end,
    a_deaf_worker_does_not_hold_an_orderly_end_up,
    a_job_goes_on_when_the_lease_of_a_dead_process_is_over,
    a_job_that_kills_its_process_each_time_is_given_up,
    a_job_that_dies_between_its_steps_takes_each_once,
    two_runners_never_run_one_job_at_once,
    who_lost_the_lease_can_neither_checkpoint_nor_end_the_job,
    a_lease_is_renewed_while_the_worker_works,
);

const LEASE: Duration = Duration::from_secs(30);

/// Waits for something while leases run out, one after the other: a write that was under way when its process died may
/// have taken one more.
async fn while_leases_run_out<T>(queue: &Queue, wanted: impl Future<Output = T>) -> T {
    let run_out = async {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            queue.clock.advance(LEASE);
        }
    };
    tokio::select! {
        biased;
        wanted = wanted => wanted,
        () = run_out => unreachable!("it goes on until it is dropped"),
    }
}

pub(crate) async fn a_job_goes_on_at_once_after_an_orderly_end(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let (twin, ends) = (worker.twin(), worker.ends.clone());
    let runner = worker.start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    let first = attempts.recv().await.unwrap();
    first.run.checkpoint(&"half").await.unwrap();
    first.run.report(&json!({ "done": 1 })).await.unwrap();
    first.run.report(&json!({ "done": 2 })).await.unwrap();
    runner.stop().await;
    let given_back = queue.job(id).await;
    assert_eq!((given_back.state, given_back.attempts, given_back.error), (State::Pending, 0, None));
    assert_eq!(given_back.progress, Some(json!({ "done": 2 })));
    assert_eq!(ends.load(Ordering::SeqCst), 0);

    let _runner = twin.start(&queue.another());
    let second = attempts.recv().await.unwrap();
    assert_eq!((second.run.attempt(), second.run.state().unwrap()), (1, Some("half".to_owned())));
    second.ends(Ok(Outcome::done()));
    queue.reaches(id, State::Succeeded).await;
}

pub(crate) async fn a_deaf_worker_does_not_hold_an_orderly_end_up(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let runner = worker.deaf().start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    let _attempt = attempts.recv().await.unwrap();
    timeout(Duration::from_secs(10), runner.stop()).await.expect("patience has an end");
    assert_eq!(queue.job(id).await.state, State::Pending);
}

pub(crate) async fn a_job_goes_on_when_the_lease_of_a_dead_process_is_over(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let twin = worker.twin();
    let runner = worker.start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    let _first = attempts.recv().await.unwrap();
    drop(runner);

    let runner = twin.start(&queue.another());
    queue.clock.advance(LEASE - Duration::from_secs(1));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(attempts.try_recv().is_err(), "the dead one may live as far as anybody knows");
    queue.clock.advance(Duration::from_secs(1));
    let second = attempts.recv().await.unwrap();
    assert_eq!((second.run.id(), second.run.attempt()), (id, 2));
    second.ends(Ok(Outcome::done()));
    queue.reaches(id, State::Succeeded).await;
    runner.stop().await;
}

/// An embedded database alone is one's own. The dead one's last writes are done before the next begins.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_alone_goes_on_at_once_after_a_crash() {
    let engine = crate::engine::sqlite().await;
    let queue = Queue::on(engine.database.clone());
    let (worker, mut attempts) = Scripted::new();
    let twin = worker.twin();
    let runner = worker.start(&queue.jobs);
    queue.enqueue(job(json!(null))).await;
    let _first = attempts.recv().await.unwrap();
    drop(runner);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let settings = RunnerSettings { is_alone: true, ..quick() };
    let runner = queue.another().start(vec![Arc::new(twin)], settings);
    assert_eq!(attempts.recv().await.unwrap().run.attempt(), 2);
    runner.stop().await;
    engine.stop().await;
}

pub(crate) async fn a_job_that_kills_its_process_each_time_is_given_up(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let id = queue.enqueue(job(json!(null))).await.id;
    let (mut attempt, mut dead) = (0, Vec::new());
    while attempt < 3 {
        let runner = queue.another().start(vec![Arc::new(worker.twin())], quick());
        let begun = while_leases_run_out(&queue, attempts.recv()).await.unwrap();
        assert!(begun.run.attempt() > attempt);
        attempt = begun.run.attempt();
        drop(runner);
        // A worker that hears that the test is over ends its attempt.
        dead.push(begun);
    }
    let _runner = queue.another().start(vec![Arc::new(worker.twin())], quick());
    let given_up = while_leases_run_out(&queue, queue.reaches(id, State::Failed)).await;
    assert!(given_up.error.unwrap()["message"].as_str().unwrap().contains("none of its last 3 attempts"));
    assert!(attempts.try_recv().is_err());
    assert!(end_of(&queue, id).await.unwrap()["failed"].is_string());
}

pub(crate) async fn a_job_that_dies_between_its_steps_takes_each_once(database: Database) {
    let queue = Queue::on(database);
    let worker = || -> Vec<Arc<dyn Worker>> { vec![Arc::new(Steps { database: queue.database.clone(), count: 40 })] };
    let id = queue.enqueue(NewJob::new(Steps::KIND, &()).unwrap()).await.id;
    let mut crashes = 0;
    loop {
        let runner = queue.another().start(worker(), quick());
        // Each one dies after another number of steps, wherever it then is.
        let enough = steps_of(&queue.database, id).await.len() + 1 + crashes % 3;
        let steps = async {
            while steps_of(&queue.database, id).await.len() < enough.min(40) {
                tokio::task::yield_now().await;
            }
        };
        while_leases_run_out(&queue, steps).await;
        if enough >= 40 {
            while_leases_run_out(&queue, queue.reaches(id, State::Succeeded)).await;
            runner.stop().await;
            break;
        }
        drop(runner);
        crashes += 1;
    }
    assert!(crashes > 5, "{crashes}");
    assert_eq!(steps_of(&queue.database, id).await, (0..40).collect::<Vec<i64>>());
}

pub(crate) async fn two_runners_never_run_one_job_at_once(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let worker = worker.limited(3, 3);
    let runners = [worker.twin().start(&queue.another()), worker.twin().start(&queue.another())];
    let mut jobs = Vec::new();
    for n in 0..60 {
        jobs.push(queue.enqueue(job(json!(n))).await.id);
    }
    // The worker itself panics when a job is run twice at once; here, that each is run once.
    let mut seen = Vec::new();
    while seen.len() < 60 {
        let attempt = attempts.recv().await.unwrap();
        seen.push(attempt.run.id());
        attempt.ends(Ok(Outcome::done()));
    }
    for id in &jobs {
        assert_eq!(queue.reaches(*id, State::Succeeded).await.attempts, 1);
    }
    seen.sort();
    jobs.sort();
    assert_eq!(seen, jobs);
    for runner in &runners {
        runner.stop().await;
    }
    assert_eq!(worker.ends.load(Ordering::SeqCst), 60);
}

pub(crate) async fn who_lost_the_lease_can_neither_checkpoint_nor_end_the_job(database: Database) {
    let queue = Queue::on(database);
    let (slow, mut slow_attempts) = Scripted::new();
    let (quick, mut quick_attempts) = Scripted::new();
    // Its process sleeps for a minute, say, with the machine.
    let sleeper = slow.deaf();
    let slow_ends = sleeper.ends.clone();
    let settings = RunnerSettings { look_every: Duration::from_secs(3600), ..RunnerSettings::default() };
    let id = queue.enqueue(job(json!(null))).await.id;
    let runner = queue.jobs.start(vec![Arc::new(sleeper)], settings);
    let old = slow_attempts.recv().await.unwrap();
    queue.clock.advance(LEASE);
    let other = queue.another();
    let _other_runner = quick.start(&other);
    let new = quick_attempts.recv().await.unwrap();
    assert_eq!(new.run.id(), id);

    let before = queue.job(id).await;
    assert!(matches!(old.run.checkpoint(&"stale").await, Err(JobError::Stopped)));
    assert!(old.run.stop().is_cancelled(), "now it knows");
    let stale = old.run.clone();
    let fenced = queue.database.write(move |c| Box::pin(async move { stale.fence(c).await })).await;
    assert!(matches!(fenced, Err(JobError::Stopped)));
    old.ends(Ok(Outcome::Done(json!("stale"))));
    runner.stop().await;
    let after = queue.job(id).await;
    assert_eq!((after.state, after.lease_number, after.checkpoint), (State::Running, before.lease_number, None));
    assert_eq!(slow_ends.load(Ordering::SeqCst), 0);

    let fresh = new.run.clone();
    let fenced = queue.database.write(move |c| Box::pin(async move { fresh.fence(c).await })).await;
    assert!(fenced.is_ok());
    new.ends(Ok(Outcome::Done(json!("fresh"))));
    assert_eq!(queue.reaches(id, State::Succeeded).await.result, Some(json!("fresh")));
}

pub(crate) async fn a_lease_is_renewed_while_the_worker_works(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let twin = worker.twin();
    let lease = Duration::from_millis(300);
    let settings = RunnerSettings { lease, ..quick() };
    let _runner = queue.jobs.start(vec![Arc::new(worker)], settings);
    let _other = queue.another().start(vec![Arc::new(twin)], settings);
    let id = queue.enqueue(job(json!(null))).await.id;
    let attempt = attempts.recv().await.unwrap();
    // The clock goes as time does; three leases' worth of it.
    for _ in 0..45 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        queue.clock.advance(Duration::from_millis(20));
    }
    assert!(attempts.try_recv().is_err(), "nobody else has it");
    assert!(queue.job(id).await.due_at > queue.clock.now());
    attempt.ends(Ok(Outcome::done()));
    queue.reaches(id, State::Succeeded).await;
}
