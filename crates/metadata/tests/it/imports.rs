//! Operations that jobs do, and what imports sign in with.

use serde_json::json;
use uuid::Uuid;
use wharf_metadata::jobs::{self, NewJobRow};
use wharf_metadata::operations::{self, Status};
use wharf_metadata::{Database, import_credentials, registries};
use wharf_model::{JobId, ResourceId, Timestamp};

use crate::suite::{NOW, read, registry, write};

all_engines!(an_operation_goes_as_its_job_goes, credentials_go_with_their_import_and_with_their_registry);

pub(crate) async fn an_operation_goes_as_its_job_goes(db: Database) {
    let ours = registry(&db, "contoso").await;
    let (operation, on) = (Uuid::from_u128(7), ResourceId::root());
    let job = JobId(Uuid::from_u128(8));
    let later = Timestamp(NOW.0 + 1);
    write!(db, c => operations::insert(c, operation, &on, NOW)).unwrap();
    let payload = json!({});
    write!(db, c => jobs::insert(
        c,
        &NewJobRow { id: job, kind: "import", key: None, registry: Some(ours), payload: &payload, run_at: NOW },
        NOW
    ))
    .unwrap();
    write!(db, c => operations::attach_job(c, operation, job)).unwrap();
    let found = read!(db, c => operations::find(c, operation)).unwrap().unwrap();
    assert_eq!((found.status, found.job, found.progress), (Status::InProgress, Some(job), None));
    assert_eq!(write!(db, c => operations::delete_ended(c, later)).unwrap(), 0);

    // The job goes with its registry, and nobody ends the operation.
    write!(db, c => registries::delete(c, ours)).unwrap();
    assert_eq!(read!(db, c => operations::find(c, operation)).unwrap().unwrap().status, Status::Canceled);
    assert_eq!(write!(db, c => operations::delete_ended(c, later)).unwrap(), 1);
}

pub(crate) async fn credentials_go_with_their_import_and_with_their_registry(db: Database) {
    let ours = registry(&db, "contoso").await;
    let [first, second] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    write!(db, c => import_credentials::insert(c, first, ours, b"one")).unwrap();
    write!(db, c => import_credentials::insert(c, second, ours, b"two")).unwrap();
    assert_eq!(read!(db, c => import_credentials::find(c, first)).unwrap().as_deref(), Some(&b"one"[..]));
    write!(db, c => import_credentials::delete(c, first)).unwrap();
    assert_eq!(read!(db, c => import_credentials::find(c, first)).unwrap(), None);
    write!(db, c => registries::delete(c, ours)).unwrap();
    assert_eq!(read!(db, c => import_credentials::find(c, second)).unwrap(), None);
}
