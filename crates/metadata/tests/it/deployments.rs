//! Deployments and their operations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_metadata::deployments::{self, DeploymentOperationRow, DeploymentRow, NewDeployment, State};
use wharf_metadata::{Database, Error};
use wharf_model::{ResourceId, Timestamp};

use crate::suite::{NOW, read, write};

all_engines!(
    a_name_is_deployed_again_once_the_last_run_has_ended,
    a_run_that_was_stopped_learns_of_it,
    operations_are_listed_from_the_newest,
    the_oldest_deployments_are_forgotten,
    deployments_go_with_their_group,
    of_many_runs_of_one_name_one_begins,
);

const LATER: Timestamp = Timestamp(NOW.0 + 60_000_000);

fn group(name: &str) -> ResourceId {
    format!("/subscriptions/7a1f0a52-0000-4000-8000-000000000001/resourceGroups/{name}").parse().unwrap()
}

fn new(scope: &ResourceId, name: &str, started_at: Timestamp) -> NewDeployment {
    NewDeployment {
        id: scope.resource("Microsoft.Resources", "deployments", name).unwrap(),
        scope: scope.clone(),
        run_id: Uuid::new_v4(),
        location: None,
        tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        mode: "Incremental",
        template: members(json!({"resources": []})),
        shown: members(json!({"parameters": {}})),
        started_at,
        lease_until: LATER,
    }
}

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn begin(db: &Database, new: &NewDeployment) -> Option<(i64, bool)> {
    let new = new.clone();
    write!(db, c => deployments::begin(c, &new)).unwrap()
}

async fn end(db: &Database, row: i64, run_id: Uuid, state: State) -> bool {
    write!(db, c => deployments::end(c, row, run_id, state, &members(json!({"outputs": {}})), LATER)).unwrap()
}

async fn find(db: &Database, id: &ResourceId) -> Option<DeploymentRow> {
    let id = id.clone();
    read!(db, c => deployments::find(c, &id)).unwrap()
}

pub(crate) async fn a_name_is_deployed_again_once_the_last_run_has_ended(db: Database) {
    let first = new(&group("G"), "Main", NOW);
    let (row, is_new) = begin(&db, &first).await.unwrap();
    assert!(is_new);
    let second = new(&group("g"), "main", LATER);
    assert_eq!(begin(&db, &second).await, None, "the first goes on");
    let found = find(&db, &second.id).await.unwrap();
    assert_eq!((found.row, found.run_id, found.state), (row, first.run_id, State::Running));
    assert_eq!((found.id.name(), found.tags), (Some("Main"), first.tags.clone()));

    assert!(end(&db, row, first.run_id, State::Failed).await);
    assert!(!end(&db, row, first.run_id, State::Succeeded).await, "it ended before");
    assert_eq!(begin(&db, &second).await, Some((row, false)));
    assert!(!end(&db, row, first.run_id, State::Failed).await, "another run has taken its place");
    assert!(end(&db, row, second.run_id, State::Succeeded).await);
    let found = find(&db, &first.id).await.unwrap();
    assert_eq!(
        (found.state, found.changed_at, found.shown),
        (State::Succeeded, LATER, members(json!({"outputs": {}})))
    );
    let id = first.id.clone();
    let template = read!(db, c => deployments::find_template(c, &id)).unwrap();
    assert_eq!(template, Some(json!({"resources": []})));
    assert!(write!(db, c => deployments::delete(c, &second.id)).unwrap());
    assert_eq!(find(&db, &first.id).await, None);
}

pub(crate) async fn a_run_that_was_stopped_learns_of_it(db: Database) {
    let first = new(&group("g"), "main", NOW);
    let (row, _) = begin(&db, &first).await.unwrap();
    let run_id = first.run_id;
    let until = Timestamp(LATER.0 + 1);
    assert!(write!(db, c => deployments::renew(c, row, run_id, until)).unwrap());
    assert_eq!(find(&db, &first.id).await.unwrap().lease_until, until);
    assert!(read!(db, c => deployments::list_abandoned(c, until, 10)).unwrap().is_empty());
    let abandoned = read!(db, c => deployments::list_abandoned(c, Timestamp(until.0 + 1), 10)).unwrap();
    assert_eq!(abandoned.len(), 1);
    assert!(end(&db, row, run_id, State::Canceled).await);
    assert!(!write!(db, c => deployments::renew(c, row, run_id, until)).unwrap());
    assert!(read!(db, c => deployments::list_abandoned(c, Timestamp(until.0 + 1), 10)).unwrap().is_empty());
}

pub(crate) async fn operations_are_listed_from_the_newest(db: Database) {
    let first = new(&group("g"), "main", NOW);
    let (row, _) = begin(&db, &first).await.unwrap();
    let operation = |id: &str, error: Option<Value>| DeploymentOperationRow {
        operation_id: id.to_owned(),
        kind: "Create".to_owned(),
        state: if error.is_some() { State::Failed } else { State::Succeeded },
        status_code: "Created".to_owned(),
        target: Some(first.id.clone()),
        symbolic_name: Some("acr".to_owned()),
        error,
        started_at: NOW,
        ended_at: LATER,
    };
    let rows = [operation("1", None), operation("2", Some(json!({"code": "Conflict"})))];
    for new in rows.clone() {
        let run_id = first.run_id;
        write!(db, c => deployments::insert_operation(c, row, run_id, &new)).unwrap();
    }
    let stale = rows[0].clone();
    write!(db, c => deployments::insert_operation(c, row, Uuid::new_v4(), &stale)).unwrap();
    let listed = read!(db, c => deployments::list_operations(c, row)).unwrap();
    assert_eq!(listed, [rows[1].clone(), rows[0].clone()]);
    end(&db, row, first.run_id, State::Succeeded).await;
    begin(&db, &new(&group("g"), "main", LATER)).await.unwrap();
    assert!(read!(db, c => deployments::list_operations(c, row)).unwrap().is_empty());
}

pub(crate) async fn the_oldest_deployments_are_forgotten(db: Database) {
    let scope = group("g");
    for (i, name) in ["c", "a", "b"].into_iter().enumerate() {
        let new = new(&scope, name, Timestamp(NOW.0 + i as i64));
        let (row, _) = begin(&db, &new).await.unwrap();
        end(&db, row, new.run_id, if name == "a" { State::Failed } else { State::Succeeded }).await;
    }
    begin(&db, &new(&scope, "running", Timestamp(NOW.0 - 5))).await.unwrap();
    begin(&db, &new(&group("other"), "x", NOW)).await.unwrap();
    assert_eq!(names(&db, None, "", 10).await, ["a", "b", "c", "running"]);
    let after = scope.resource("Microsoft.Resources", "deployments", "a").unwrap();
    assert_eq!(names(&db, None, after.key(), 1).await, ["b"]);
    assert_eq!(names(&db, Some(State::Failed), "", 10).await, ["a"]);
    write!(db, c => deployments::delete_oldest(c, &group("g"), 2)).unwrap();
    assert_eq!(names(&db, None, "", 10).await, ["a", "b", "running"]);
}

async fn names(db: &Database, state: Option<State>, after: &str, limit: i64) -> Vec<String> {
    let (scope, after) = (group("g"), after.to_owned());
    let rows = read!(db, c => deployments::list(c, &scope, state, &after, limit)).unwrap();
    rows.iter().map(|row| row.id.name().unwrap().to_owned()).collect()
}

pub(crate) async fn deployments_go_with_their_group(db: Database) {
    let (ours, other) = (new(&group("g"), "main", NOW), new(&group("g2"), "main", NOW));
    begin(&db, &ours).await.unwrap();
    begin(&db, &other).await.unwrap();
    write!(db, c => deployments::delete_in(c, &group("G"))).unwrap();
    assert_eq!(find(&db, &ours.id).await, None);
    assert!(find(&db, &other.id).await.is_some());
}

pub(crate) async fn of_many_runs_of_one_name_one_begins(db: Database) {
    let runs = (0..8).map(|_| {
        let (db, new) = (db.clone(), new(&group("g"), "main", NOW));
        tokio::spawn(async move {
            let begun: Result<_, Error> =
                db.write(move |c| Box::pin(async move { deployments::begin(c, &new).await })).await;
            begun.unwrap().is_some()
        })
    });
    let mut begun = 0;
    for run in runs.collect::<Vec<tokio::task::JoinHandle<bool>>>() {
        begun += usize::from(run.await.unwrap());
    }
    assert_eq!(begun, 1);
}
