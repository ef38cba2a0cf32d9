//! What runners do with jobs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};
use wharf_jobs::{Filter, JobError, NewJob, Outcome, State};
use wharf_metadata::{Database, Error, NewRegistry, registries};
use wharf_model::{Clock as _, RegistryId, RegistryUid, ResourceId, Timestamp};

use crate::support::{Queue, Scripted, end_of, job, on_both_engines};

on_both_engines!(
    a_job_begins_at_once_and_ends_with_its_result,
    a_job_of_a_transaction_that_fails_never_was,
    a_job_of_another_process_begins_within_a_second,
    a_failed_job_is_tried_again_later_and_later_and_given_up_at_last,
    what_fails_for_good_is_not_tried_again,
    a_panic_fails_the_attempt_and_nothing_else,
    the_other_side_may_ask_for_a_longer_rest,
    a_job_that_waits_is_called_off_without_having_run,
    a_running_job_is_called_off,
    a_worker_that_does_not_listen_is_dropped,
    a_worker_that_was_done_before_it_heard_is_done,
    a_part_that_is_done_lets_others_go_first,
    as_many_run_at_once_as_may,
    one_registry_does_not_take_all_the_room,
    progress_is_seen_while_the_job_runs,
    a_job_whose_registry_goes_is_stopped,
    ended_jobs_are_forgotten_after_a_week,
    what_does_not_fit_is_refused,
);

const SOON: Duration = Duration::from_secs(10);

pub(crate) async fn a_job_begins_at_once_and_ends_with_its_result(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let runner = worker.start(&queue.jobs);
    // Idle: looks are far apart now.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun_at = Instant::now();
    let enqueued = queue.enqueue(job(json!({ "what": "this" }))).await;
    assert!(enqueued.is_new);
    let attempt = attempts.recv().await.unwrap();
    assert!(begun_at.elapsed() < Duration::from_secs(1), "{:?}", begun_at.elapsed());
    assert_eq!((attempt.run.id(), attempt.run.attempt(), attempt.run.registry()), (enqueued.id, 1, None));
    let payload: serde_json::Value = attempt.run.payload().unwrap();
    assert_eq!(payload, json!({ "what": "this" }));
    assert!(matches!(attempt.run.payload::<Vec<i64>>(), Err(JobError::Permanent(_))));
    assert_eq!(attempt.run.state::<String>().unwrap(), None);
    attempt.ends(Ok(Outcome::Done(json!({ "removed": 3 }))));
    let ended = queue.reaches(enqueued.id, State::Succeeded).await;
    assert_eq!(ended.result, Some(json!({ "removed": 3 })));
    assert_eq!(end_of(&queue, enqueued.id).await, Some(json!({ "succeeded": { "removed": 3 } })));
    runner.stop().await;
    let counted = queue.jobs.statistics().kinds()[Scripted::KIND];
    assert_eq!((counted.attempts, counted.succeeded, counted.failed, counted.retried), (1, 1, 0, 0));
}

pub(crate) async fn a_job_of_a_transaction_that_fails_never_was(database: Database) {
    let queue = Queue::on(database);
    let jobs = queue.jobs.clone();
    let failed: Result<(), Error> = queue
        .database
        .write(move |c| {
            Box::pin(async move {
                jobs.enqueue(c, &job(json!(null))).await?;
                Err(Error::Closed)
            })
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(queue.jobs.list(&Filter::default(), None, 10).await.unwrap(), []);
}

pub(crate) async fn a_job_of_another_process_begins_within_a_second(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let other = queue.another();
    let _runner = worker.start(&other);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let id = queue.enqueue(job(json!(null))).await.id;
    let attempt = timeout(SOON, attempts.recv()).await.unwrap().unwrap();
    attempt.ends(Ok(Outcome::done()));
    queue.reaches(id, State::Succeeded).await;
}

pub(crate) async fn a_failed_job_is_tried_again_later_and_later_and_given_up_at_last(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let runner = worker.start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    for (attempt, rests) in [(1, 45..=75), (2, 90..=150)] {
        let begun = attempts.recv().await.unwrap();
        assert_eq!(begun.run.attempt(), attempt);
        begun.ends(Err(JobError::transient("the other side is down")));
        let resting = queue.reaches(id, State::Pending).await;
        assert_eq!(resting.error, Some(json!({ "message": "the other side is down" })));
        let rest = resting.due_at.since(queue.clock.now());
        assert!(rests.contains(&rest.as_secs()), "after attempt {attempt} it rests {rest:?}");
        queue.advance(rest - Duration::from_secs(1));
        runner.settle().await.unwrap();
        assert!(attempts.try_recv().is_err(), "it is not due yet");
        queue.advance(Duration::from_secs(1));
    }
    attempts.recv().await.unwrap().ends(Err(JobError::transient("still down").details(json!({ "code": "Down" }))));
    let given_up = queue.reaches(id, State::Failed).await;
    assert_eq!(given_up.error, Some(json!({ "message": "still down", "details": { "code": "Down" } })));
    let told = end_of(&queue, id).await.unwrap();
    assert_eq!(told, json!({ "failed": "still down", "details": { "code": "Down" } }));
    let counted = queue.jobs.statistics().kinds()[Scripted::KIND];
    assert_eq!((counted.attempts, counted.succeeded, counted.failed, counted.retried), (3, 0, 1, 2));
}

pub(crate) async fn what_fails_for_good_is_not_tried_again(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let runner = worker.start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    attempts.recv().await.unwrap().ends(Err(JobError::permanent("there is no such thing")));
    queue.reaches(id, State::Failed).await;
    queue.advance(Duration::from_secs(3600));
    runner.settle().await.unwrap();
    assert!(attempts.try_recv().is_err());
}

pub(crate) async fn a_panic_fails_the_attempt_and_nothing_else(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.start(&queue.jobs);
    let [first, second] = [queue.enqueue(job(json!(1))).await.id, queue.enqueue(job(json!(2))).await.id];
    let (one, other) = (attempts.recv().await.unwrap(), attempts.recv().await.unwrap());
    let (panicking, going_on) = if one.run.id() == first { (one, other) } else { (other, one) };
    panicking.panics();
    let resting = queue.reaches(first, State::Pending).await;
    assert!(resting.error.unwrap()["message"].as_str().unwrap().contains("panicked"));
    going_on.ends(Ok(Outcome::done()));
    queue.reaches(second, State::Succeeded).await;
    queue.advance(Duration::from_secs(3600));
    attempts.recv().await.unwrap().ends(Ok(Outcome::done()));
    assert_eq!(queue.reaches(first, State::Succeeded).await.error, None);
}

pub(crate) async fn the_other_side_may_ask_for_a_longer_rest(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    let asked = JobError::transient("429").retry_after(Duration::from_secs(5000));
    attempts.recv().await.unwrap().ends(Err(asked));
    let resting = queue.reaches(id, State::Pending).await;
    assert_eq!(resting.due_at.since(queue.clock.now()), Duration::from_secs(5000));
}

pub(crate) async fn a_job_that_waits_is_called_off_without_having_run(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.start(&queue.jobs);
    let far = Timestamp::from_unix_seconds(4_000_000_000);
    let id = queue.enqueue(job(json!(null)).key("k").run_at(far)).await.id;
    assert!(queue.cancel(id).await);
    queue.reaches(id, State::Canceled).await;
    assert_eq!(end_of(&queue, id).await, Some(json!("canceled")));
    assert!(attempts.try_recv().is_err());
    assert!(!queue.cancel(id).await, "it has ended");
    assert!(queue.enqueue(job(json!(null)).key("k").run_at(far)).await.is_new);
}

pub(crate) async fn a_running_job_is_called_off(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    let attempt = attempts.recv().await.unwrap();
    assert!(attempt.run.check().is_ok());
    assert!(queue.cancel(id).await);
    timeout(SOON, attempt.run.stop().cancelled()).await.expect("it is told within a second");
    assert!(matches!(attempt.run.check(), Err(JobError::Stopped)));
    assert!(matches!(attempt.run.report(&json!(1)).await, Err(JobError::Stopped)));
    queue.reaches(id, State::Canceled).await;
    assert_eq!(end_of(&queue, id).await, Some(json!("canceled")));
}

pub(crate) async fn a_worker_that_does_not_listen_is_dropped(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.deaf().start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    let _attempt = attempts.recv().await.unwrap();
    queue.cancel(id).await;
    timeout(SOON, queue.reaches(id, State::Canceled)).await.expect("patience has an end");
}

pub(crate) async fn a_worker_that_was_done_before_it_heard_is_done(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.deaf().start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    let attempt = attempts.recv().await.unwrap();
    queue.cancel(id).await;
    attempt.run.stop().cancelled().await;
    attempt.ends(Ok(Outcome::done()));
    queue.reaches(id, State::Succeeded).await;
}

pub(crate) async fn a_part_that_is_done_lets_others_go_first(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.limited(1, 1).start(&queue.jobs);
    let long = queue.enqueue(job(json!("long"))).await.id;
    let first = attempts.recv().await.unwrap();
    queue.advance(Duration::from_secs(1));
    let short = queue.enqueue(job(json!("short"))).await.id;
    queue.advance(Duration::from_secs(1));
    first.run.checkpoint(&json!({ "page": 2 })).await.unwrap();
    first.ends(Ok(Outcome::Again { run_at: queue.clock.now() }));
    let second = attempts.recv().await.unwrap();
    assert_eq!(second.run.id(), short);
    second.ends(Ok(Outcome::done()));
    let third = attempts.recv().await.unwrap();
    assert_eq!((third.run.id(), third.run.attempt()), (long, 1));
    assert_eq!(third.run.state().unwrap(), Some(json!({ "page": 2 })));
    third.ends(Ok(Outcome::done()));
    queue.reaches(long, State::Succeeded).await;
}

pub(crate) async fn as_many_run_at_once_as_may(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.limited(2, 2).start(&queue.jobs);
    for _ in 0..5 {
        queue.enqueue(job(json!(null))).await;
    }
    let mut begun = vec![attempts.recv().await.unwrap(), attempts.recv().await.unwrap()];
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(attempts.try_recv().is_err(), "there is no room");
        begun.remove(0).ends(Ok(Outcome::done()));
        begun.push(attempts.recv().await.unwrap());
    }
}

pub(crate) async fn one_registry_does_not_take_all_the_room(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let [busy, quiet] = [registry(&queue, "contoso").await, registry(&queue, "fabrikam").await];
    for _ in 0..4 {
        queue.enqueue(job(json!(null)).registry(busy)).await;
    }
    queue.enqueue(job(json!(null)).registry(quiet)).await;
    let _runner = worker.limited(3, 2).start(&queue.jobs);
    let mut begun = Vec::new();
    for _ in 0..3 {
        begun.push(attempts.recv().await.unwrap());
    }
    let of_quiet = begun.iter().position(|attempt| attempt.run.registry() == Some(quiet)).expect("it has its turn");
    begun.remove(of_quiet).ends(Ok(Outcome::done()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(attempts.try_recv().is_err(), "the busy one has had its share");
    begun.remove(0).ends(Ok(Outcome::done()));
    assert_eq!(attempts.recv().await.unwrap().run.registry(), Some(busy));
}

pub(crate) async fn progress_is_seen_while_the_job_runs(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    let attempt = attempts.recv().await.unwrap();
    for done in 0..=50 {
        attempt.run.report(&json!({ "done": done })).await.unwrap();
    }
    let seen = async |wanted: i64| {
        while queue.job(id).await.progress != Some(json!({ "done": wanted })) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, seen(50)).await.expect("the last report is written while the job runs");
    attempt.run.report(&json!({ "done": 51 })).await.unwrap();
    attempt.run.report(&json!({ "done": 52 })).await.unwrap();
    attempt.ends(Ok(Outcome::done()));
    assert_eq!(queue.reaches(id, State::Succeeded).await.progress, Some(json!({ "done": 52 })));
}

pub(crate) async fn a_job_whose_registry_goes_is_stopped(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let ends = worker.ends.clone();
    let runner = worker.start(&queue.jobs);
    let registry = registry(&queue, "contoso").await;
    let id = queue.enqueue(job(json!(null)).registry(registry)).await.id;
    let attempt = attempts.recv().await.unwrap();
    queue.database.write(move |c| Box::pin(registries::delete(c, registry))).await.unwrap();
    timeout(SOON, attempt.run.stop().cancelled()).await.expect("there is nothing to go on with");
    runner.settle().await.unwrap();
    assert!(queue.jobs.find(id).await.unwrap().is_none());
    assert_eq!(ends.load(Ordering::SeqCst), 0);
}

pub(crate) async fn ended_jobs_are_forgotten_after_a_week(database: Database) {
    let queue = Queue::on(database);
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.start(&queue.jobs);
    let id = queue.enqueue(job(json!(null))).await.id;
    attempts.recv().await.unwrap().ends(Ok(Outcome::done()));
    queue.reaches(id, State::Succeeded).await;
    let far = Timestamp::from_unix_seconds(4_000_000_000);
    let waiting = queue.enqueue(job(json!(null)).run_at(far)).await.id;
    queue.clock.advance(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(queue.jobs.forget_ended().await.unwrap(), 0);
    queue.clock.advance(Duration::from_micros(1));
    assert_eq!(queue.jobs.forget_ended().await.unwrap(), 1);
    assert!(queue.jobs.find(id).await.unwrap().is_none());
    queue.job(waiting).await;
}

pub(crate) async fn what_does_not_fit_is_refused(database: Database) {
    let queue = Queue::on(database);
    let large = "x".repeat(70_000);
    let refused = NewJob::new(Scripted::KIND, &large).unwrap_err();
    assert!(refused.to_string().contains("70002 bytes"), "{refused}");
    let (worker, mut attempts) = Scripted::new();
    let _runner = worker.start(&queue.jobs);
    queue.enqueue(job(json!(null))).await;
    let attempt = attempts.recv().await.unwrap();
    assert!(matches!(attempt.run.report(&large).await, Err(JobError::Permanent(_))));
    assert!(matches!(attempt.run.checkpoint(&large).await, Err(JobError::Permanent(_))));
}

async fn registry(queue: &Queue, name: &str) -> RegistryId {
    let new = NewRegistry {
        uid: RegistryUid(uuid::Uuid::new_v4()),
        name: name.parse().unwrap(),
        sku: "Premium".into(),
        admin_user_enabled: true,
        anonymous_pull_enabled: false,
        admin_passwords: [vec![1], vec![2]],
        created_at: queue.clock.now(),
        resource_id: ResourceId::root(),
        settings: Default::default(),
    };
    let insert = queue.database.write(move |c| Box::pin(async move { registries::insert(c, &new).await }));
    insert.await.unwrap().expect("the name is free")
}

#[tokio::test]
#[should_panic(expected = "two workers have the kind test.scripted")]
async fn a_kind_has_one_worker() {
    let engine = crate::engine::sqlite().await;
    let queue = Queue::on(engine.database.clone());
    let (worker, _attempts) = Scripted::new();
    let twin = worker.twin();
    drop(queue.jobs.start(vec![Arc::new(worker), Arc::new(twin)], crate::support::quick()));
}
