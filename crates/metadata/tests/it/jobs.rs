//! Jobs and their leases.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;
use wharf_metadata::jobs::{self, Attempt, Ending, Filter, JobRow, Lease, NewJobRow, State, Taking};
use wharf_metadata::{Database, registries};
use wharf_model::{JobId, RegistryId, Timestamp};

use crate::suite::{NOW, read, registry, write};

all_engines!(
    of_a_key_one_job_is_open,
    a_job_is_taken_once_and_when_it_is_due,
    registries_take_turns,
    many_take_many_jobs_and_none_twice,
    who_lost_a_lease_changes_nothing,
    attempts_are_counted_since_the_last_new_checkpoint,
    a_job_that_is_called_off_becomes_due,
    jobs_are_listed_newest_first_and_forgotten,
    jobs_go_with_their_registry,
);

fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000_000)
}

async fn put(
    db: &Database,
    key: Option<&'static str>,
    registry: Option<RegistryId>,
    run_at: Timestamp,
) -> (JobId, bool) {
    let id = JobId(Uuid::new_v4());
    write!(db, c => async {
        let payload = json!({ "n": 1 });
        jobs::insert(c, &NewJobRow { id, kind: "test", key, registry, payload: &payload, run_at }, run_at).await
    })
    .unwrap()
}

async fn take(db: &Database, after_lane: i64, now: Timestamp) -> Option<JobRow> {
    take_unless(db, after_lane, now, vec![], vec![]).await
}

async fn take_unless(
    db: &Database,
    after_lane: i64,
    now: Timestamp,
    full: Vec<i64>,
    mine: Vec<JobId>,
) -> Option<JobRow> {
    write!(db, c => async {
        let (kind, full_lanes, running) = ("test", &full[..], &mine[..]);
        let lease_until = Timestamp(now.0 + 30_000_000);
        jobs::lease(c, &Taking { kind, after_lane, full_lanes, running, holder: Uuid::nil(), now, lease_until }).await
    })
    .unwrap()
}

fn lease_of(job: &JobRow) -> Lease {
    Lease { job: job.id, number: job.lease_number }
}

async fn find(db: &Database, id: JobId) -> JobRow {
    read!(db, c => jobs::find(c, id)).unwrap().expect("the job is there")
}

async fn end(db: &Database, lease: Lease, state: State, now: Timestamp) -> bool {
    write!(db, c => async {
        let result = json!({ "done": true });
        jobs::end(c, lease, Ending { state, result: Some(&result), error: None }, None, now).await
    })
    .unwrap()
}

async fn is_due(db: &Database, now: Timestamp, mine: Vec<JobId>) -> bool {
    let kinds = read!(db, c => jobs::list_due_kinds(c, &["other", "test"], &mine, now)).unwrap();
    kinds == ["test"]
}

pub(crate) async fn of_a_key_one_job_is_open(db: Database) {
    let (first, is_new) = put(&db, Some("k"), None, at(10)).await;
    assert!(is_new);
    assert_eq!(put(&db, Some("k"), None, at(20)).await, (first, false));
    assert_eq!(find(&db, first).await.due_at, at(10), "a later time changes nothing");
    assert_eq!(put(&db, Some("k"), None, at(5)).await, (first, false));
    assert_eq!(find(&db, first).await.due_at, at(5), "it is wanted earlier");
    assert!(put(&db, Some("other"), None, at(0)).await.1);
    assert!(put(&db, None, None, at(0)).await.1 && put(&db, None, None, at(0)).await.1, "without a key there are many");
    let open = read!(db, c => jobs::find_open(c, "test", "k")).unwrap().unwrap();
    assert_eq!((open.id, open.key.as_deref()), (first, Some("k")));

    let running = loop {
        let job = take(&db, -1, at(6)).await.unwrap();
        if job.id == first {
            break job;
        }
    };
    assert_eq!(put(&db, Some("k"), None, at(0)).await, (first, false));
    assert_eq!(find(&db, first).await.due_at, at(36), "one that runs is left alone");
    assert!(end(&db, lease_of(&running), State::Succeeded, at(7)).await);
    assert!(put(&db, Some("k"), None, at(0)).await.1, "the key is free again");
    assert_eq!(find(&db, first).await.result, Some(json!({ "done": true })));
}

pub(crate) async fn a_job_is_taken_once_and_when_it_is_due(db: Database) {
    let (id, _) = put(&db, None, None, at(10)).await;
    assert!(!is_due(&db, at(9), vec![]).await);
    assert!(take(&db, -1, at(9)).await.is_none());
    assert!(is_due(&db, at(10), vec![]).await);
    let job = take(&db, -1, at(10)).await.unwrap();
    assert_eq!((job.id, job.state, job.attempts, job.started_at), (id, State::Running, 1, Some(at(10))));
    assert_eq!((&job.payload, job.created_at, job.due_at), (&json!({ "n": 1 }), at(10), at(40)));
    assert!(take(&db, -1, at(39)).await.is_none() && !is_due(&db, at(39), vec![]).await, "the lease holds");

    let held = write!(db, c => async { jobs::renew(c, lease_of(&job), at(60), Some(&json!("half"))).await }).unwrap();
    assert_eq!(held, Some(false));
    assert!(take(&db, -1, at(59)).await.is_none());
    assert!(!is_due(&db, at(60), vec![id]).await && take_unless(&db, -1, at(60), vec![], vec![id]).await.is_none());
    let again = take(&db, -1, at(60)).await.unwrap();
    assert_eq!((again.id, again.attempts, again.progress), (id, 2, Some(json!("half"))));
    assert_eq!(again.started_at, Some(at(10)));

    write!(db, c => jobs::void_leases(c, at(61))).unwrap();
    assert_eq!(take(&db, -1, at(61)).await.unwrap().attempts, 3, "the leases of those who are gone are void");
}

pub(crate) async fn registries_take_turns(db: Database) {
    let [a, b] = [registry(&db, "contoso").await, registry(&db, "fabrikam").await];
    for second in 0..3 {
        put(&db, None, Some(a), at(second)).await;
    }
    put(&db, None, Some(b), at(5)).await;
    put(&db, None, None, at(6)).await;
    let mut order = Vec::new();
    let mut after = -1;
    while let Some(job) = take(&db, after, at(10)).await {
        after = job.registry.map_or(0, |registry| registry.0);
        order.push((job.registry, job.created_at));
    }
    let expected = [(None, at(6)), (Some(a), at(0)), (Some(b), at(5)), (Some(a), at(1)), (Some(a), at(2))];
    assert_eq!(order, expected);

    put(&db, None, Some(a), at(20)).await;
    put(&db, None, Some(b), at(21)).await;
    let job = take_unless(&db, -1, at(22), vec![a.0], vec![]).await.unwrap();
    assert_eq!(job.registry, Some(b), "the other has had its share");
    assert!(take_unless(&db, -1, at(22), vec![a.0, b.0], vec![]).await.is_none());
}

pub(crate) async fn many_take_many_jobs_and_none_twice(db: Database) {
    let mut wanted = BTreeSet::new();
    for _ in 0..40 {
        wanted.insert(put(&db, None, None, at(0)).await.0);
    }
    let takers: Vec<_> = (0..8)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while let Some(job) = take(&db, -1, at(1)).await {
                    taken.push(job.id);
                }
                taken
            })
        })
        .collect();
    let mut taken = Vec::new();
    for taker in takers {
        taken.extend(taker.await.unwrap());
    }
    // One that skips what another is taking may find nothing and leave; what is left is there for the next look.
    while let Some(job) = take(&db, -1, at(1)).await {
        taken.push(job.id);
    }
    assert_eq!(taken.len(), 40);
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), wanted);
}

pub(crate) async fn who_lost_a_lease_changes_nothing(db: Database) {
    let (id, _) = put(&db, None, None, at(0)).await;
    let old = lease_of(&take(&db, -1, at(0)).await.unwrap());
    assert!(write!(db, c => jobs::fence(c, old)).unwrap());
    let new = lease_of(&take(&db, -1, at(30)).await.unwrap());
    assert_eq!((new.job, new.number), (id, old.number + 1));
    let before = find(&db, id).await;

    assert_eq!(read!(db, c => jobs::look(c, old)).unwrap(), None);
    assert!(!write!(db, c => jobs::fence(c, old)).unwrap());
    assert_eq!(write!(db, c => async { jobs::renew(c, old, at(99), Some(&json!(1))).await }).unwrap(), None);
    assert!(!write!(db, c => async { jobs::checkpoint(c, old, &json!(1)).await }).unwrap());
    assert!(!write!(db, c => async { jobs::give_back(c, old, at(99), Attempt::CutShort, None).await }).unwrap());
    assert!(!end(&db, old, State::Failed, at(31)).await);
    assert_eq!(find(&db, id).await, before);

    assert_eq!(read!(db, c => jobs::look(c, new)).unwrap(), Some(false));
    assert!(end(&db, new, State::Succeeded, at(32)).await);
    assert!(!end(&db, new, State::Failed, at(33)).await, "a job ends once");
    assert_eq!(read!(db, c => jobs::look(c, new)).unwrap(), None);
    let job = find(&db, id).await;
    assert_eq!((job.state, job.ended_at, job.lease_number), (State::Succeeded, Some(at(32)), 2));
}

pub(crate) async fn attempts_are_counted_since_the_last_new_checkpoint(db: Database) {
    let (id, _) = put(&db, None, None, at(0)).await;
    let fail = async |job: &JobRow, now: i64| {
        let lease = lease_of(job);
        let error: Value = json!({ "message": "no" });
        let given_back = write!(db, c => async {
            jobs::give_back(c, lease, at(now), Attempt::Failed { error: &error }, None).await
        });
        assert!(given_back.unwrap());
    };
    for attempt in 1..=3 {
        let job = take(&db, -1, at(attempt)).await.unwrap();
        assert_eq!(job.attempts, attempt);
        fail(&job, attempt + 1).await;
    }
    assert_eq!(find(&db, id).await.error, Some(json!({ "message": "no" })));

    let job = take(&db, -1, at(10)).await.unwrap();
    let keep = async |lease: Lease, state: Value| {
        assert!(write!(db, c => async { jobs::checkpoint(c, lease, &state).await }).unwrap());
    };
    keep(lease_of(&job), json!({ "page": 2 })).await;
    assert_eq!(find(&db, id).await.attempts, 1);
    fail(&job, 11).await;
    let job = take(&db, -1, at(11)).await.unwrap();
    assert_eq!((job.attempts, &job.checkpoint), (2, &Some(json!({ "page": 2 }))));
    keep(lease_of(&job), json!({ "page": 2 })).await;
    assert_eq!(find(&db, id).await.attempts, 2, "that is no progress");

    let lease = lease_of(&job);
    assert!(write!(db, c => async { jobs::give_back(c, lease, at(12), Attempt::CutShort, None).await }).unwrap());
    let job = find(&db, id).await;
    assert_eq!((job.attempts, job.state, job.due_at), (1, State::Pending, at(12)), "it was not its fault");
    let lease = lease_of(&take(&db, -1, at(12)).await.unwrap());
    let progress = json!(7);
    let again = write!(db, c => async { jobs::give_back(c, lease, at(50), Attempt::WentOn, Some(&progress)).await });
    assert!(again.unwrap());
    let job = find(&db, id).await;
    assert_eq!((job.attempts, job.due_at, job.progress), (0, at(50), Some(json!(7))));
}

pub(crate) async fn a_job_that_is_called_off_becomes_due(db: Database) {
    let (id, _) = put(&db, None, None, at(1000)).await;
    assert!(write!(db, c => jobs::request_cancel(c, id, at(1))).unwrap());
    assert!(write!(db, c => jobs::request_cancel(c, id, at(2))).unwrap(), "asking twice is no mistake");
    let job = take(&db, -1, at(2)).await.unwrap();
    assert_eq!((job.id, job.cancel_requested_at), (id, Some(at(1))));
    let lease = lease_of(&job);
    assert_eq!(read!(db, c => jobs::look(c, lease)).unwrap(), Some(true));
    assert_eq!(write!(db, c => async { jobs::renew(c, lease, at(40), None).await }).unwrap(), Some(true));
    assert!(write!(db, c => jobs::request_cancel(c, id, at(3))).unwrap());
    assert_eq!(find(&db, id).await.due_at, at(40), "one that runs keeps its lease");
    assert!(end(&db, lease, State::Canceled, at(4)).await);
    assert!(!write!(db, c => jobs::request_cancel(c, id, at(5))).unwrap(), "it has ended");
    assert!(!write!(db, c => jobs::request_cancel(c, JobId(Uuid::nil()), at(5))).unwrap());
}

pub(crate) async fn jobs_are_listed_newest_first_and_forgotten(db: Database) {
    let ours = registry(&db, "contoso").await;
    let mut ids = Vec::new();
    for second in 0..5 {
        ids.push(put(&db, None, (second % 2 == 0).then_some(ours), at(second)).await.0);
    }
    let list = async |filter: Filter, before: Option<(Timestamp, JobId)>, limit: i64| {
        read!(db, c => jobs::list(c, &filter, before, limit)).unwrap()
    };
    let page = list(Filter::default(), None, 2).await;
    assert_eq!(page.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[4], ids[3]]);
    let last = (page[1].created_at, page[1].id);
    let rest = list(Filter::default(), Some(last), 10).await;
    assert_eq!(rest.iter().map(|job| job.id).collect::<Vec<_>>(), [ids[2], ids[1], ids[0]]);
    let of_ours = Filter { registry: Some(ours), ..Filter::default() };
    assert_eq!(list(of_ours, None, 10).await.len(), 3);
    let others = Filter { kind: Some("other".into()), ..Filter::default() };
    assert_eq!(list(others, None, 10).await, []);

    for now in [20, 21, 22] {
        let lease = lease_of(&take(&db, -1, at(10)).await.unwrap());
        assert!(end(&db, lease, State::Succeeded, at(now)).await);
    }
    let done = Filter { state: Some(State::Succeeded), ..Filter::default() };
    assert_eq!(list(done, None, 10).await.len(), 3);
    assert_eq!(read!(db, c => jobs::count_open(c)).unwrap(), [("test".to_owned(), State::Pending, 2)]);
    assert_eq!(write!(db, c => jobs::delete_ended(c, at(22), 1)).unwrap(), 1);
    assert_eq!(write!(db, c => jobs::delete_ended(c, at(22), 9)).unwrap(), 1);
    assert_eq!(write!(db, c => jobs::delete_ended(c, at(22), 9)).unwrap(), 0);
    assert_eq!(list(Filter::default(), None, 10).await.len(), 3);
}

pub(crate) async fn jobs_go_with_their_registry(db: Database) {
    let [ours, other] = [registry(&db, "contoso").await, registry(&db, "fabrikam").await];
    put(&db, None, Some(other), at(0)).await;
    put(&db, Some("k"), Some(ours), at(0)).await;
    let lease = lease_of(&take(&db, ours.0 - 1, at(0)).await.unwrap());
    write!(db, c => registries::delete(c, ours)).unwrap();
    assert!(!write!(db, c => jobs::fence(c, lease)).unwrap());
    assert!(!end(&db, lease, State::Succeeded, at(1)).await);
    assert_eq!(read!(db, c => jobs::list(c, &Filter::default(), None, 10)).unwrap().len(), 1);
}
