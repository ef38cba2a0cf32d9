//! Long-running operations: what is polled while something goes on behind its answer.
//!
//! An operation's id is a random UUID that only those know who were told it, and what is shown of it is how it went; so
//! whoever is signed in may look. (After a deletion there may be nothing left that one could have rights on.)

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_arm::{ArmError, Code, versions};
use wharf_metadata::operations::{self, OperationRow, Status};
use wharf_model::ResourceId;

use crate::answer::Answer;
use crate::cx::{Actor, Cx};
use crate::failure::Failure;
use crate::kind::Resource;
use crate::management::Management;
use crate::route::Polled;

impl Management {
    /// Notes that something goes on with a resource. Returns the operation's id, and where clients look for its result:
    /// a path with its query, for [`Answer::location`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_operation(&self, cx: &Cx, id: &ResourceId) -> Result<(Uuid, String), Failure> {
        let operation = Uuid::new_v4();
        let (resource, now) = (id.clone(), cx.now);
        self.database()
            .write(move |c| Box::pin(async move { operations::insert(c, operation, &resource, now).await }))
            .await?;
        Ok((operation, result_path(id, operation)))
    }

    /// Notes how an operation ended: what came of it, or why not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_operation(&self, operation: Uuid, outcome: Result<Option<Value>, Failure>) -> Result<(), Failure> {
        let now = self.cx(Actor::Operator).now;
        let (status, error, result) = match outcome {
            Ok(result) => (Status::Succeeded, None, result),
            Err(failure) => {
                failure.log(operation, "management.operation");
                (Status::Failed, Some(failure.error().to_value()), None)
            }
        };
        self.database()
            .write(move |c| {
                Box::pin(async move {
                    Ok(operations::end(c, operation, status, error.as_ref(), result.as_ref(), now).await?)
                })
            })
            .await
    }

    /// What is noted as going on with a resource.
    pub(crate) async fn open_operations(&self, id: &ResourceId) -> Result<Vec<Uuid>, Failure> {
        let resource = id.clone();
        self.database().read(move |c| Box::pin(async move { Ok(operations::list_open(c, &resource).await?) })).await
    }

    /// Notes that operations ended.
    pub(crate) async fn end_operations(&self, open: Vec<Uuid>, error: Option<ArmError>) -> Result<(), Failure> {
        for operation in open {
            let outcome = error.clone().map_or(Ok(None), |error| Err(error.into()));
            self.end_operation(operation, outcome).await?;
        }
        Ok(())
    }

    /// Forgets operations that ended long ago. Upkeep, to be run now and then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_operations(&self) -> Result<(), Failure> {
        let before = self.cx(Actor::Operator).now - KEPT;
        self.database().write(move |c| Box::pin(operations::delete_ended(c, before))).await?;
        Ok(())
    }

    /// How an operation goes, or what came of it.
    pub(crate) async fn poll(&self, id: Uuid, polled: Polled) -> Result<Answer, Failure> {
        let found = self.database().read(move |c| Box::pin(operations::find(c, id))).await?;
        let Some(operation) = found else {
            let text = format!("There is no operation '{id}'; operations are forgotten a week after they ended.");
            return Err(ArmError::new(Code::NotFound, text).into());
        };
        Ok(match polled {
            Polled::Status => {
                Answer { is_pending: operation.status == Status::InProgress, ..Answer::ok(show(&operation)) }
            }
            Polled::Result => result(operation),
        })
    }
}

fn show(operation: &OperationRow) -> Value {
    let mut shown = Map::new();
    shown.insert(
        "id".to_owned(),
        json!(format!("{}/operationResults/{}", subscription(&operation.resource_id), operation.id)),
    );
    shown.insert("name".to_owned(), json!(operation.id));
    shown.insert("status".to_owned(), json!(operation.status.as_str()));
    shown.insert("startTime".to_owned(), json!(operation.started_at.to_string()));
    if let Some(ended) = operation.ended_at {
        shown.insert("endTime".to_owned(), json!(ended.to_string()));
    }
    if let Some(error) = &operation.error {
        shown.insert("error".to_owned(), error.clone());
    }
    if let Some(percent) = operation.progress.as_ref().and_then(|progress| progress.get("percentComplete")) {
        shown.insert("percentComplete".to_owned(), percent.clone());
    }
    // Until it has ended, how far it is.
    if let Some(properties) = operation.result.as_ref().or(operation.progress.as_ref()) {
        shown.insert("properties".to_owned(), properties.clone());
    }
    Value::Object(shown)
}

fn result(operation: OperationRow) -> Answer {
    match operation.status {
        Status::InProgress => Answer {
            location: Some(result_path(&operation.resource_id, operation.id)),
            ..Answer::of(StatusCode::ACCEPTED, None)
        },
        Status::Succeeded => Answer::of(StatusCode::OK, operation.result),
        Status::Failed | Status::Canceled => {
            let error = operation.error.unwrap_or_else(|| ArmError::internal().to_value());
            let word = error.get("code").and_then(Value::as_str);
            let code = Code::EVERY.iter().find(|code| Some(code.as_str()) == word);
            Answer::of(
                code.map_or(StatusCode::INTERNAL_SERVER_ERROR, |code| code.status()),
                Some(json!({"error": error})),
            )
        }
    }
}

/// Where clients look for how an operation on a registry goes.
pub(crate) fn status_path(resource: &Resource, operation: Uuid) -> String {
    let (version, location) = (versions::CONTAINER_REGISTRY.newest(), resource.location.as_deref().unwrap_or("global"));
    let provider = "providers/Microsoft.ContainerRegistry";
    let subscription = subscription(&resource.id);
    format!("{subscription}/{provider}/locations/{location}/operationStatuses/{operation}?api-version={version}")
}

/// Where clients look for what came of an operation: a path with its query.
pub(crate) fn result_path(resource: &ResourceId, operation: Uuid) -> String {
    let version = versions::RESOURCES.newest();
    format!("{}/operationResults/{operation}?api-version={version}", subscription(resource))
}

fn subscription(id: &ResourceId) -> String {
    id.subscription_id().map(|id| format!("/subscriptions/{id}")).unwrap_or_default()
}

/// How long operations that have ended are kept.
const KEPT: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);
