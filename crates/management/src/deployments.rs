//! Deployments of templates: `Microsoft.Resources/deployments` at resource groups and subscriptions.
//!
//! ```text
//! validate ─► prepare: read, plan, look at each resource          nothing is changed
//! PUT      ─► prepare ─► a row that says Running ─► run ───────┐  a task of its own; the request waits a little
//!                                                              ▼
//!             resource after resource, through Management::put, as the caller; a row for each
//!                                                              ▼
//!                               outputs, Succeeded │ Failed, at the first that fails │ Canceled
//! ```
//!
//! Whoever runs a deployment renews its lease with every resource. A run whose lease is over was ended by the end of its
//! process: it is shown as failed, and what it deployed stays, as with every failure. Deploying again goes on from there,
//! since resources that are as the template wants them do not change.
//!
//! The words and expressions of templates are `wharf_arm::template`'s; here is what needs resources, rights and time.
//!
//! Source: `acr/control-plane.md` 5 and 13.

mod calculate;
mod environment;
mod places;
mod prepare;
mod records;
mod run;
mod show;
mod step;
mod what_if;

use async_trait::async_trait;
use http::Method;
use serde_json::json;
use wharf_arm::template::{self, Template};
use wharf_arm::{ArmError, Code, versions};
use wharf_model::ResourceId;

use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::service::{Call, Endpoint, Service, ServiceType};

pub(crate) use records::recover;

/// The service that answers for deployments.
#[derive(Debug)]
pub(crate) struct Deployments;

#[async_trait]
impl Service for Deployments {
    fn namespace(&self) -> &'static str {
        "Microsoft.Resources"
    }

    fn types(&self) -> &'static [ServiceType] {
        const TYPES: &[ServiceType] = &[
            ServiceType { word: "deployments", versions: versions::RESOURCES, endpoints: ENDPOINTS },
            ServiceType { word: "calculateTemplateHash", versions: versions::RESOURCES, endpoints: HASH },
        ];
        TYPES
    }

    fn most_body_bytes(&self) -> usize {
        // A template of four MiB with its parameters.
        5 * 1024 * 1024
    }

    async fn serve(&self, cx: &Cx, call: Call) -> Result<Answer, Failure> {
        let rest = call.rest();
        if call.word == "calculateTemplateHash" {
            return match (&call.method, rest.as_slice()) {
                (&Method::POST, []) => calculate_hash(call).await,
                _ => Err(call.unsupported()),
            };
        }
        let Some((name, below)) = rest.split_first() else {
            require_scope(&call.scope)?;
            return match call.method {
                Method::GET => records::list(cx, &call).await,
                _ => Err(call.unsupported()),
            };
        };
        require_scope(&call.scope)?;
        let id = id_of(&call.scope, name)?;
        let below: Vec<String> = below.iter().map(|word| word.to_ascii_lowercase()).collect();
        let below: Vec<&str> = below.iter().map(String::as_str).collect();
        match (call.method.clone(), below.as_slice()) {
            (Method::GET, []) => records::get(cx, &id).await,
            (Method::HEAD, []) => records::head(cx, &id).await,
            (Method::PUT, []) => run::put(cx, id, call, places::admit(cx)?).await,
            (Method::DELETE, []) => records::delete(cx, &id).await,
            (Method::POST, ["validate"]) => {
                let _place = places::admit(cx)?;
                prepare::validate(cx, id, call).await
            }
            (Method::POST, ["whatif"]) => {
                let _place = places::admit(cx)?;
                what_if::what_if(cx, id, call).await
            }
            (Method::POST, ["cancel"]) => records::cancel(cx, &id).await,
            (Method::POST, ["exporttemplate"]) => records::export_template(cx, &id).await,
            (Method::GET, ["operations"]) => records::list_operations(cx, &id, &call.query).await,
            (Method::GET, ["operations", operation]) => records::get_operation(cx, &id, operation).await,
            (Method::GET, ["operationstatuses", run]) => records::get_status(cx, &id, run).await,
            _ => Err(call.unsupported()),
        }
    }
}

/// `POST /providers/Microsoft.Resources/calculateTemplateHash`.
async fn calculate_hash(call: Call) -> Result<Answer, Failure> {
    let (minified, hash) = calculate::in_background(move || {
        let template = Template::parse(template::read_json(&call.body)?)?;
        Ok((serde_json::Value::Object(template.source().clone()).to_string(), template.hash()))
    })
    .await?;
    Ok(Answer::ok(json!({"minifiedTemplate": minified, "templateHash": hash})))
}

/// Templates are deployed to resource groups and subscriptions.
fn require_scope(scope: &ResourceId) -> Result<(), ArmError> {
    let is_group = scope.resource_type().as_deref() == Some(crate::route::GROUPS);
    if is_group || is_subscription(scope) {
        return Ok(());
    }
    let text = format!("Deployments to '{scope}' are not supported; deploy to a resource group or a subscription.");
    Err(ArmError::new(Code::InvalidTemplateDeployment, text))
}

fn is_subscription(scope: &ResourceId) -> bool {
    scope.resource_type().as_deref() == Some("Microsoft.Resources/subscriptions")
}

/// The id of a deployment. Its name: Azure, "Resource name rules".
fn id_of(scope: &ResourceId, name: &str) -> Result<ResourceId, ArmError> {
    let is_name =
        !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._()".contains(c));
    let id = scope.resource("Microsoft.Resources", "deployments", name).ok().filter(|_| is_name);
    id.ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        let text = format!(
            "'{shown}' cannot be the name of a deployment: names have 1 to 64 letters, digits, '-', '.', '_', '(' and ')'."
        );
        ArmError::new(Code::InvalidResourceName, text)
    })
}

/// What rights on a deployment are called: `Microsoft.Resources/deployments/read`.
fn operation(verb: &str) -> String {
    format!("Microsoft.Resources/deployments/{verb}")
}

const ENDPOINTS: &[Endpoint] = &[
    Endpoint { method: Method::GET, path: "", summary: "Lists the deployments to a scope." },
    Endpoint { method: Method::GET, path: "/{name}", summary: "Shows a deployment." },
    Endpoint { method: Method::PUT, path: "/{name}", summary: "Deploys a template." },
    Endpoint { method: Method::DELETE, path: "/{name}", summary: "Forgets a deployment; what it deployed stays." },
    Endpoint { method: Method::POST, path: "/{name}/validate", summary: "Looks whether a template can be deployed." },
    Endpoint { method: Method::POST, path: "/{name}/whatIf", summary: "Tells what deploying a template would change." },
    Endpoint { method: Method::POST, path: "/{name}/cancel", summary: "Stops a deployment before its next resource." },
    Endpoint { method: Method::POST, path: "/{name}/exportTemplate", summary: "Shows the template of a deployment." },
    Endpoint { method: Method::GET, path: "/{name}/operations", summary: "Lists what a deployment did." },
    Endpoint {
        method: Method::GET,
        path: "/{name}/operations/{operation}",
        summary: "Shows what a deployment did to a resource.",
    },
    Endpoint { method: Method::GET, path: "/{name}/operationStatuses/{run}", summary: "Tells how a deployment goes." },
];

const HASH: &[Endpoint] = &[Endpoint { method: Method::POST, path: "", summary: "Calculates the hash of a template." }];
