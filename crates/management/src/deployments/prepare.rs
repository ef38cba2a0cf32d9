//! What comes before a deployment, and is all of `validate`: the template is read and planned, and each resource looked at
//! as far as it can be before those that it needs are there.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_arm::template::{DeploymentRequest, Evaluated, Known, Mode, Nested, Plan, Planned, Template, limits};
use wharf_arm::{ArmError, Code};
use wharf_model::ResourceId;

use super::{calculate, environment, is_subscription, operation, show};
use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::service::Call;

/// A template on its way to be deployed.
pub(super) struct Prepared {
    pub(super) id: ResourceId,
    pub(super) location: Option<String>,
    pub(super) tags: std::collections::BTreeMap<String, String>,
    pub(super) mode: Mode,
    pub(super) template: Template,
    pub(super) wants_ids_only: bool,
    pub(super) plan: Arc<Plan>,
}

/// `POST …/validate`.
pub(super) async fn validate(cx: &Cx, id: ResourceId, call: Call) -> Result<Answer, Failure> {
    cx.require(&operation("validate/action"), &id).await?;
    let prepared = prepare(cx, id, call.body).await?;
    let correlation_id = correlation(cx);
    check(cx, &prepared.id, &prepared.plan, correlation_id).await?;
    let mut properties = show::head(&prepared, correlation_id);
    let resources: Vec<Value> = show::deployed_ids(&prepared.plan).map(|id| json!({"id": id})).collect();
    properties.insert("validatedResources".to_owned(), json!(resources));
    properties.insert("provisioningState".to_owned(), json!("Succeeded"));
    properties.insert("timestamp".to_owned(), json!(cx.now.to_string()));
    properties.insert("duration".to_owned(), json!("PT0S"));
    let id = &prepared.id;
    let mut shown = json!({"id": id, "name": id.name(), "type": show::TYPE, "properties": properties});
    if let Some(location) = &prepared.location {
        shown["location"] = json!(location);
    }
    Ok(Answer::ok(shown))
}

/// Reads a request to deploy, and works out the plan.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn prepare(cx: &Cx, id: ResourceId, body: Bytes) -> Result<Prepared, Failure> {
    let request = calculate::in_background(move || DeploymentRequest::parse(&body)).await?;
    let scope = id.parent().unwrap_or_else(ResourceId::root);
    if is_subscription(&scope) {
        if request.location.is_none() {
            let text = "The location property is required for this deployment: say where it is to be kept.";
            return Err(ArmError::new(Code::LocationRequired, text).with_target("location").into());
        }
        if request.mode == Mode::Complete {
            let text =
                "The mode 'Complete' is for deployments to resource groups; use 'Incremental' for a subscription.";
            return Err(ArmError::new(Code::InvalidTemplateDeployment, text).with_target("properties.mode").into());
        }
    }
    let environment = environment::of(cx, &id, request.location.as_deref(), request.mode, &request.template).await?;
    let (template, parameters) = (request.template.clone(), request.parameters);
    let plan = calculate::in_background(move || Plan::new(&template, parameters, environment)).await?;
    Ok(Prepared {
        id,
        location: request.location,
        tags: request.tags,
        mode: request.mode,
        template: request.template,
        wants_ids_only: request.wants_ids_only,
        plan: Arc::new(plan),
    })
}

/// Works out the plan of a deployment in another one. Whoever may not deploy there learns nothing of the place.
///
/// # Errors
/// What is wrong with it, or that the caller may not.
pub(super) async fn prepare_nested(cx: &Cx, id: &ResourceId, nested: Nested) -> Result<Prepared, Failure> {
    cx.require(&operation("write"), id).await?;
    if nested.mode == Mode::Complete {
        let text = "A deployment in another one has the mode 'Incremental'; 'Complete' is for the outermost.";
        return Err(ArmError::new(Code::InvalidTemplateDeployment, text).into());
    }
    let environment = environment::of(cx, id, nested.location.as_deref(), nested.mode, &nested.template).await?;
    let (location, mode, template) = (nested.location.clone(), nested.mode, nested.template.clone());
    let plan = calculate::in_background(move || Plan::of_nested(&nested, environment)).await?;
    let tags = std::collections::BTreeMap::new();
    Ok(Prepared { id: id.clone(), location, tags, mode, template, wants_ids_only: false, plan: Arc::new(plan) })
}

/// Looks at every resource of a plan, and of the plans in it as far as they can be worked out.
///
/// # Errors
/// `InvalidTemplateDeployment` with what stands against each.
pub(super) async fn check(cx: &Cx, id: &ResourceId, plan: &Arc<Plan>, correlation_id: Uuid) -> Result<(), Failure> {
    let mut found = Vec::new();
    check_within(cx, plan, 0, &mut found).await?;
    if found.is_empty() {
        return Ok(());
    }
    let name = id.name().unwrap_or_default();
    let text = format!(
        "The template deployment '{name}' is not valid according to the validation procedure. The tracking id is \
         '{correlation_id}'. See inner errors for details."
    );
    Err(ArmError::new(Code::InvalidTemplateDeployment, text).with_details(found).into())
}

async fn check_within(cx: &Cx, plan: &Arc<Plan>, depth: usize, found: &mut Vec<ArmError>) -> Result<(), Failure> {
    for (position, planned) in plan.resources().iter().enumerate() {
        if found.len() >= MOST_ERRORS {
            return Ok(());
        }
        if !planned.is_deployed || planned.is_existing {
            continue;
        }
        let outcome = match planned.is_deployment() {
            true => Box::pin(check_nested(cx, plan, position, depth, found)).await,
            false => check_resource(cx, plan, position).await,
        };
        match outcome {
            Ok(()) => {}
            Err(failure) if failure.error().status.is_client_error() => {
                let error = failure.error().clone();
                let target = error.target.clone().unwrap_or_else(|| planned.id.to_string());
                found.push(error.with_target(target));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

async fn check_nested(
    cx: &Cx,
    plan: &Arc<Plan>,
    position: usize,
    depth: usize,
    found: &mut Vec<ArmError>,
) -> Result<(), Failure> {
    let planned = &plan.resources()[position];
    require_version(cx, planned)?;
    cx.require(&operation("write"), &planned.id).await?;
    if depth + 1 >= limits::NESTED_DEPLOYMENTS {
        return Err(too_deep(planned));
    }
    let (inner, known) = (plan.clone(), Known::default());
    let nested = calculate::in_background(move || inner.nested(position, &known)).await?;
    let Evaluated::Ready(nested) = nested else { return Ok(()) };
    super::require_scope(&nested.scope)?;
    match prepare_nested(cx, &planned.id, nested).await {
        Ok(prepared) => check_within(cx, &prepared.plan, depth + 1, found).await,
        // The group may be one that the template makes.
        Err(failure) if failure.error().code == Code::ResourceGroupNotFound && waits(plan, planned) => Ok(()),
        Err(failure) => Err(failure),
    }
}

async fn check_resource(cx: &Cx, plan: &Arc<Plan>, position: usize) -> Result<(), Failure> {
    let planned = &plan.resources()[position];
    let version = require_version(cx, planned)?;
    let cx = Cx { api_version: version, ..cx.clone() };
    let (inner, known) = (plan.clone(), Known::default());
    let body = calculate::in_background(move || inner.body(position, &known)).await?;
    let body = match body {
        Evaluated::Ready(body) if !waits(plan, planned) => body,
        // What it needs is not there yet: only the caller's rights can be told.
        _ => return require_write(&cx, planned).await,
    };
    cx.management.check_put(&cx, &planned.id, body).await
}

async fn require_write(cx: &Cx, planned: &Planned) -> Result<(), Failure> {
    match cx.management.kind_of(&planned.id) {
        Some(entry) => cx.require(&entry.write, &planned.id).await,
        None => cx.management.check_put(cx, &planned.id, Map::new()).await,
    }
}

/// Whether it comes after something that this template deploys.
fn waits(plan: &Plan, planned: &Planned) -> bool {
    planned
        .depends_on
        .iter()
        .map(|before| &plan.resources()[*before])
        .any(|before| before.is_deployed && !before.is_existing)
}

/// Refuses types and api-versions that there are not.
///
/// # Errors
/// In ARM's words.
pub(super) fn require_version(cx: &Cx, planned: &Planned) -> Result<String, ArmError> {
    let kind = planned.id.resource_type().unwrap_or_default();
    let Some(versions) = cx.management.versions_of(&kind) else {
        let text = format!(
            "The resource type '{}' could not be found (at '{}'); the providers that there are can be listed at /providers.",
            planned.resource_type, planned.place
        );
        return Err(ArmError::new(Code::InvalidResourceType, text).with_status(http::StatusCode::BAD_REQUEST));
    };
    versions.find(&planned.api_version).ok_or_else(|| {
        let text = format!(
            "No registered resource provider found for API version '{}' for type '{kind}' (at '{}'). The supported api-versions are \
             '{}'.",
            planned.api_version,
            planned.place,
            versions.listed.join(", ")
        );
        ArmError::new(Code::NoRegisteredProviderFound, text)
    })
}

pub(super) fn too_deep(planned: &Planned) -> Failure {
    let text = format!(
        "Deployments are in one another more than {} deep (at '{}').",
        limits::NESTED_DEPLOYMENTS,
        planned.place
    );
    ArmError::new(Code::InvalidTemplateDeployment, text).into()
}

/// The id under which a deployment, its answer and the log lines about it go together.
pub(super) fn correlation(cx: &Cx) -> Uuid {
    cx.request.as_ref().map_or_else(Uuid::new_v4, |request| request.request_id)
}

/// How many errors are told at once.
const MOST_ERRORS: usize = 20;
