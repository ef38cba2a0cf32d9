//! Runs deployments: one resource after another, as the caller.

mod complete;

pub(super) use complete::others_in_group;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::StatusCode;
use serde_json::{Map, Value, json};
use tracing::{info, warn};
use uuid::Uuid;
use wharf_arm::template::{Mode, Planned, limits};
use wharf_arm::{ArmError, Code};
use wharf_metadata::deployments::{self, DeploymentOperationRow, NewDeployment, State};
use wharf_metadata::resources;
use wharf_model::{ResourceId, Timestamp, error_chain};

use super::places::Place;
use super::prepare::{self, Prepared};
use super::step::Evaluation;
use super::{is_subscription, operation, records, show};
use crate::answer::Answer;
use crate::cx::{Actor, Cx};
use crate::failure::Failure;
use crate::locks::{self, Change};
use crate::service::Call;

/// `PUT …/deployments/{name}`.
pub(super) async fn put(cx: &Cx, id: ResourceId, call: Call, place: Place) -> Result<Answer, Failure> {
    cx.require(&operation("write"), &id).await?;
    let prepared = prepare::prepare(cx, id, call.body).await?;
    let correlation_id = prepare::correlation(cx);
    prepare::check(cx, &prepared.id, &prepared.plan, correlation_id).await?;
    let (run, is_new) = Run::begin(cx, &prepared, correlation_id, None).await?;
    let (id, run_id) = (prepared.id.clone(), run.run_id);
    let mut going = tokio::spawn(async move {
        let _ = run.finish(prepared).await;
        drop(place);
    });
    // Most are done at once; of the others the client is told where to look.
    let _ = tokio::time::timeout(PATIENCE, &mut going).await;
    let row = records::look(&fresh(cx), &id).await?.ok_or_else(|| ArmError::resource_not_found(&id))?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut answer = Answer::of(status, Some(show::deployment(&row)));
    if row.state != State::Succeeded {
        let version =
            if cx.api_version.is_empty() { wharf_arm::versions::RESOURCES.newest() } else { cx.api_version.as_str() };
        answer.async_operation = Some(format!("{id}/operationStatuses/{run_id}?api-version={version}"));
    }
    Ok(answer)
}

/// A deployment that runs.
struct Run {
    cx: Cx,
    id: ResourceId,
    row: i64,
    run_id: Uuid,
    correlation_id: Uuid,
    /// What is shown of it so far.
    shown: Map<String, Value>,
    /// Those that it is in, the outermost first, and itself: all of them go on while it does.
    chain: Vec<(i64, Uuid)>,
}

/// Why a run ended before its end.
enum Stopped {
    /// Something could not be done.
    Failed(ArmError),
    /// Somebody stopped it.
    Canceled,
}

/// What a run came to.
struct Done {
    outputs: Map<String, Value>,
    deployed: Vec<ResourceId>,
}

impl Run {
    /// Notes that a deployment begins. Returns it, and whether its name is new.
    ///
    /// # Errors
    /// When another one of the name goes on, or something stands against it.
    async fn begin(
        cx: &Cx,
        prepared: &Prepared,
        correlation_id: Uuid,
        outer: Option<&Self>,
    ) -> Result<(Self, bool), Failure> {
        let cx = fresh(cx);
        let id = prepared.id.clone();
        if let Some(row) = records::look(&cx, &id).await? {
            if row.state == State::Running {
                return Err(records::active(&row).into());
            }
            if row.location != prepared.location {
                let text = format!(
                    "Invalid deployment location: the deployment '{}' already exists in location '{}'; use another name or that location.",
                    id.name().unwrap_or_default(),
                    row.location.unwrap_or_default(),
                );
                return Err(ArmError::new(Code::InvalidDeploymentLocation, text).into());
            }
        }
        let scope = id.parent().unwrap_or_else(ResourceId::root);
        let new = NewDeployment {
            id: id.clone(),
            scope,
            run_id: Uuid::new_v4(),
            location: prepared.location.clone(),
            tags: prepared.tags.clone(),
            mode: prepared.mode.as_str(),
            template: prepared.template.source().clone(),
            shown: show::head(prepared, correlation_id),
            started_at: cx.now,
            lease_until: cx.now + LEASE,
        };
        let (run_id, shown) = (new.run_id, new.shown.clone());
        let begun = cx.management.transact(false, move |c| Box::pin(async move { write_begin(c, &new).await })).await?;
        let Some((row, is_new)) = begun else {
            let row = records::look(&cx, &id).await?;
            return Err(row.as_ref().map_or_else(ArmError::internal, records::active).into());
        };
        let mut chain = outer.map(|outer| outer.chain.clone()).unwrap_or_default();
        chain.push((row, run_id));
        info!(deployment = %id, correlation_id = %correlation_id, "Deployment {id} began");
        Ok((Self { cx, id, row, run_id, correlation_id, shown, chain }, is_new))
    }

    /// Deploys, and notes how that ended. Returns what was deployed.
    async fn finish(mut self, prepared: Prepared) -> Result<Vec<ResourceId>, Stopped> {
        // Whatever goes wrong in the code, the deployment must not seem to run for ever.
        let outcome = AssertUnwindSafe(self.deploy(&prepared)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| Err(Stopped::Failed(ArmError::internal())));
        let mut shown = std::mem::take(&mut self.shown);
        let state = match &outcome {
            Ok(done) => {
                shown.insert("outputs".to_owned(), Value::Object(done.outputs.clone()));
                let ids: Vec<Value> = done.deployed.iter().map(|id| json!({"id": id})).collect();
                shown.insert("outputResources".to_owned(), json!(ids));
                State::Succeeded
            }
            Err(Stopped::Failed(error)) => {
                shown.insert("error".to_owned(), error.to_value());
                State::Failed
            }
            Err(Stopped::Canceled) => State::Canceled,
        };
        let (row, run_id, now) = (self.row, self.run_id, self.now());
        let noted = self
            .cx
            .database()
            .write(move |c| {
                Box::pin(async move { deployments::end(c, row, run_id, state, &shown, now).await })
                    as wharf_metadata::Work<'_, bool, wharf_metadata::Error>
            })
            .await;
        match noted {
            Ok(_) => {
                info!(deployment = %self.id, state = state.as_str(), "Deployment {} ended: {}", self.id, state.as_str())
            }
            Err(e) => {
                warn!(deployment = %self.id, "The end of deployment {} was not noted: {}", self.id, error_chain(&e))
            }
        }
        outcome.map(|done| done.deployed)
    }

    async fn deploy(&self, prepared: &Prepared) -> Result<Done, Stopped> {
        let plan = &prepared.plan;
        let order = plan.order().map_err(|error| self.failed(error.into()))?;
        let mut evaluation = Evaluation::of(plan.clone());
        let mut deployed = Vec::new();
        self.go_on(None).await?;
        for position in order {
            let planned = &plan.resources()[position];
            if !planned.is_deployed || planned.is_existing {
                continue;
            }
            let started_at = self.now();
            let outcome = if planned.is_deployment() {
                match self.deploy_nested(&mut evaluation, planned, position).await {
                    Ok(inner) => {
                        deployed.extend(inner);
                        Ok("OK".to_owned())
                    }
                    Err(Stopped::Failed(error)) => Err(error),
                    Err(Stopped::Canceled) => {
                        self.go_on(None).await?;
                        let text = format!("The deployment '{}' was canceled.", planned.id);
                        Err(ArmError::new(Code::DeploymentCanceled, text))
                    }
                }
            } else {
                self.deploy_resource(&mut evaluation, planned, position).await.inspect(|_| {
                    deployed.push(planned.id.clone());
                })
            };
            let mut note = self.note("Create", Some(&planned.id), &outcome, started_at);
            note.symbolic_name = planned.symbolic_name.clone();
            let goes_on = self.go_on(Some(note)).await;
            if let Err(error) = outcome {
                return Err(self.failed(error));
            }
            goes_on?;
            evaluation.deployed(&planned.id);
        }
        if prepared.mode == Mode::Complete {
            self.remove_others(plan, &deployed).await?;
        }
        let outputs = self.evaluate_outputs(&mut evaluation, prepared).await?;
        Ok(Done { outputs, deployed })
    }

    async fn deploy_resource(
        &self,
        evaluation: &mut Evaluation,
        planned: &Planned,
        position: usize,
    ) -> Result<String, ArmError> {
        let version = prepare::require_version(&self.cx, planned)?;
        let cx = Cx { api_version: version, ..fresh(&self.cx) };
        let body = evaluation.settle(&cx, move |plan, known| plan.body(position, known)).await;
        let body = body.map_err(|failure| self.told(failure))?;
        let answer = cx.management.put(&cx, &planned.id, body).await.map_err(|failure| self.told(failure))?;
        Ok(word_of(answer.status))
    }

    async fn deploy_nested(
        &self,
        evaluation: &mut Evaluation,
        planned: &Planned,
        position: usize,
    ) -> Result<Vec<ResourceId>, Stopped> {
        let failed = |failure: Failure| Stopped::Failed(self.told(failure));
        let nested =
            evaluation.settle(&self.cx, move |plan, known| plan.nested(position, known)).await.map_err(failed)?;
        if self.chain.len() >= limits::NESTED_DEPLOYMENTS {
            return Err(failed(prepare::too_deep(planned)));
        }
        super::require_scope(&nested.scope).map_err(Stopped::Failed)?;
        let name = planned.id.name().unwrap_or_default();
        let id = super::id_of(&nested.scope, name).map_err(Stopped::Failed)?;
        let cx = fresh(&self.cx);
        let prepared = prepare::prepare_nested(&cx, &id, nested).await.map_err(failed)?;
        let (run, _) = Self::begin(&cx, &prepared, self.correlation_id, Some(self)).await.map_err(failed)?;
        Box::pin(run.finish(prepared)).await
    }

    async fn evaluate_outputs(
        &self,
        evaluation: &mut Evaluation,
        prepared: &Prepared,
    ) -> Result<Map<String, Value>, Stopped> {
        let names: Vec<String> = prepared.plan.output_names().map(str::to_owned).collect();
        let mut outputs = Map::new();
        if names.is_empty() {
            return Ok(outputs);
        }
        let started_at = self.now();
        let mut outcome = Ok("OK".to_owned());
        let cx = fresh(&self.cx);
        for name in names {
            let wanted = name.clone();
            match evaluation.settle(&cx, move |plan, known| plan.output(&wanted, known)).await {
                Ok(Some(output)) => {
                    outputs.insert(name, output.to_value());
                }
                Ok(None) => {}
                Err(failure) => {
                    outcome = Err(self.told(failure));
                    break;
                }
            }
        }
        if outcome.is_ok() && Value::Object(outputs.clone()).to_string().len() > MOST_OUTPUT_BYTES {
            let text = "The outputs of the template are longer than 4 MiB.";
            outcome = Err(ArmError::new(Code::InvalidTemplate, text).with_target("outputs"));
        }
        self.go_on(Some(self.note("EvaluateDeploymentOutput", None, &outcome, started_at))).await?;
        match outcome {
            Ok(_) => Ok(outputs),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Says that it goes on, together with what was done last.
    ///
    /// # Errors
    /// `Canceled` when it, or one that it is in, was stopped.
    async fn go_on(&self, note: Option<DeploymentOperationRow>) -> Result<(), Stopped> {
        let (row, run_id, chain, until) = (self.row, self.run_id, self.chain.clone(), self.now() + LEASE);
        let going = self.cx.database().write(move |c| {
            Box::pin(async move {
                if let Some(note) = note {
                    deployments::insert_operation(c, row, run_id, &note).await?;
                }
                let mut goes_on = true;
                for (row, run_id) in chain {
                    goes_on &= deployments::renew(c, row, run_id, until).await?;
                }
                Ok::<_, Failure>(goes_on)
            })
        });
        match going.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stopped::Canceled),
            Err(failure) => Err(Stopped::Failed(self.told(failure))),
        }
    }

    fn note(
        &self,
        kind: &str,
        target: Option<&ResourceId>,
        outcome: &Result<String, ArmError>,
        started_at: Timestamp,
    ) -> DeploymentOperationRow {
        DeploymentOperationRow {
            operation_id: Uuid::new_v4().simple().to_string().to_uppercase(),
            kind: kind.to_owned(),
            state: if outcome.is_ok() { State::Succeeded } else { State::Failed },
            status_code: match outcome {
                Ok(word) => word.clone(),
                Err(error) => word_of(error.status),
            },
            target: target.cloned(),
            symbolic_name: None,
            error: outcome.as_ref().err().map(ArmError::to_value),
            started_at,
            ended_at: self.now(),
        }
    }

    /// What the client is told of a failure; what is ours goes to the log.
    fn told(&self, failure: Failure) -> ArmError {
        failure.log(self.correlation_id, "management.deployments");
        failure.error().clone()
    }

    fn failed(&self, error: ArmError) -> Stopped {
        let text = "At least one resource deployment operation failed. List the deployment's operations for details.";
        let target = self.id.to_string();
        Stopped::Failed(ArmError::new(Code::DeploymentFailed, text).with_target(target).with_details(vec![error]))
    }

    fn now(&self) -> Timestamp {
        fresh(&self.cx).now
    }
}

async fn write_begin(c: &mut wharf_metadata::Connection, new: &NewDeployment) -> Result<Option<(i64, bool)>, Failure> {
    if !is_subscription(&new.scope) {
        let name = new.scope.name().unwrap_or_default();
        let held = resources::hold(c, &new.scope).await?.ok_or_else(|| ArmError::group_not_found(name))?;
        if held.is_deleting {
            let text =
                format!("The resource group '{name}' is in deprovisioning state and cannot perform this operation.");
            return Err(ArmError::new(Code::ResourceGroupBeingDeleted, text).into());
        }
    }
    locks::require_unlocked(c, &new.id, Change::Write).await?;
    let begun = deployments::begin(c, new).await?;
    deployments::delete_oldest(c, &new.scope, MOST_KEPT).await?;
    Ok(begun)
}

/// The same request, now.
fn fresh(cx: &Cx) -> Cx {
    Cx { now: cx.management.cx(Actor::Operator).now, ..cx.clone() }
}

/// ARM's word for a status: `Created`, `BadRequest`.
fn word_of(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("Unknown").replace([' ', '-'], "")
}

/// How long a request waits for the end before it answers that it goes on.
const PATIENCE: Duration = Duration::from_secs(3);
/// For how long a run is believed to go on that says nothing.
const LEASE: Duration = Duration::from_secs(60);
/// How many deployments a scope remembers. Source: Azure, "Resource group limits".
const MOST_KEPT: i64 = 800;
const MOST_OUTPUT_BYTES: usize = limits::TEMPLATE_BYTES;
