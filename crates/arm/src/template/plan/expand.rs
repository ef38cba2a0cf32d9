//! Works out which resources there are: loops, conditions, names and ids.

use std::sync::Arc;

use serde_json::{Map, Value};
use wharf_model::ResourceId;

use super::{Plan, Planned, unexpected};
use crate::template::document::{Template, is_deployment, resources_in};
use crate::template::error::{Stop, TemplateError};
use crate::template::evaluate::{Evaluator, Loop};
use crate::template::ids::{self, TypeAndNames};
use crate::template::limits;

/// The resource that another one is written in.
struct Parent {
    resource_type: String,
    name: String,
    scope: Option<ResourceId>,
}

/// A resource as written, on its way into the plan.
struct Written<'t> {
    place: String,
    symbolic_name: Option<&'t str>,
    /// Shared by the rounds of a loop.
    source: Arc<Map<String, Value>>,
}

impl Plan {
    /// Puts every resource of the template into the plan.
    pub(super) fn expand(&mut self, template: &Template) -> Result<(), TemplateError> {
        for (place, symbolic_name, source) in template.resources()? {
            let loops = self.loops.clone();
            let source = self.share(&place, source)?;
            self.expand_written(&Written { place, symbolic_name, source }, None, &loops)?;
        }
        Ok(())
    }

    /// A copy of a resource as written, which is counted: what stands in a resource of a loop is copied in each round.
    fn share(&self, place: &str, source: &Map<String, Value>) -> Result<Arc<Map<String, Value>>, TemplateError> {
        let source = Value::Object(source.clone());
        self.bindings.budget.charge(place, &source)?;
        match source {
            Value::Object(source) => Ok(Arc::new(source)),
            _ => Ok(Arc::default()),
        }
    }

    /// A resource, once or as often as its loop goes round.
    fn expand_written(
        &mut self,
        written: &Written<'_>,
        parent: Option<&Parent>,
        loops: &[Loop],
    ) -> Result<(), TemplateError> {
        for unsupported in ["import", "extension", "asserts", "@options"] {
            if written.source.contains_key(unsupported) {
                let what = format!("the member '{unsupported}' of a resource");
                return Err(TemplateError::unsupported(&written.place, what));
            }
        }
        let Some(copy) = written.source.get("copy") else {
            return self.expand_one(written, parent, loops, None);
        };
        let place = format!("{}.copy", written.place);
        let wrong =
            || TemplateError::invalid(&place, "the loop of a resource is an object with a 'name' and a 'count'");
        let copy = copy.as_object().ok_or_else(wrong)?;
        let mut evaluator = self.early_evaluator(&place, loops);
        let name = copy.get("name").ok_or_else(wrong)?;
        let name = evaluator.string(name).map_err(unexpected)?;
        let count = evaluator.count(copy.get("count")).map_err(unexpected)?;
        if let Some(mode) = copy.get("mode") {
            let mode = evaluator.at(".mode", |e| e.string(mode)).map_err(unexpected)?;
            if !["serial", "parallel"].contains(&mode.to_ascii_lowercase().as_str()) {
                return Err(TemplateError::invalid(&place, "the 'mode' of a loop is 'Serial' or 'Parallel'"));
            }
        }
        if let Some(symbolic_name) = written.symbolic_name {
            self.index.by_group.entry(symbolic_name.to_owned()).or_default();
        }
        for index in 0..count {
            let mut loops = loops.to_vec();
            loops.push(Loop { name: name.clone(), index, is_outer: true });
            self.expand_one(written, parent, &loops, Some((&name, index)))?;
        }
        // A loop that does not go round can be named by `dependsOn` all the same.
        self.index.by_loop.entry(name.to_lowercase()).or_default();
        Ok(())
    }

    fn expand_one(
        &mut self,
        written: &Written<'_>,
        parent: Option<&Parent>,
        loops: &[Loop],
        round: Option<(&str, i64)>,
    ) -> Result<(), TemplateError> {
        if self.resources.len() >= limits::RESOURCES {
            let what = format!("there are more than {} resources", limits::RESOURCES);
            return Err(TemplateError::TooLarge { place: written.place.clone(), what });
        }
        self.bindings.budget.resource(&written.place)?;
        let mut evaluator = self.early_evaluator(&written.place, loops);
        let head = Head::read(&written.source, &mut evaluator, parent, &self.scope).map_err(unexpected)?;
        let id = head.id(&written.place, &self.scope)?;

        let position = self.resources.len();
        let symbolic_name = written.symbolic_name.map(|name| match round {
            Some((_, index)) => format!("{name}[{index}]"),
            None => name.to_owned(),
        });
        if head.is_deployed && !head.is_existing && self.index.by_id.contains_key(&id) {
            let other = &self.resources[self.index.by_id[&id]];
            if other.is_deployed && !other.is_existing {
                let reason = format!("the resource '{id}' is defined twice, here and at '{}'", other.place);
                return Err(TemplateError::invalid(&written.place, reason));
            }
        }
        // What is deployed is found before what is only referred to, or left out.
        let is_found = |other: usize| self.resources[other].is_deployed && !self.resources[other].is_existing;
        if self.index.by_id.get(&id).is_none_or(|other| !is_found(*other)) {
            self.index.by_id.insert(id.clone(), position);
        }
        if let Some(symbolic_name) = &symbolic_name {
            self.index.by_symbol.insert(symbolic_name.clone(), position);
        }
        if let (Some(name), Some(_)) = (written.symbolic_name, round) {
            self.index.by_group.entry(name.to_owned()).or_default().push(position);
        }
        if let Some((name, _)) = round {
            self.index.by_loop.entry(name.to_lowercase()).or_default().push(position);
        }
        self.index.by_name.entry(head.name.to_lowercase()).or_default().push(position);
        let inner = Parent { resource_type: head.resource_type.clone(), name: head.name.clone(), scope: head.scope };
        let is_deployed = head.is_deployed;
        self.resources.push(Planned {
            id,
            resource_type: head.resource_type,
            api_version: head.api_version,
            symbolic_name,
            place: written.place.clone(),
            depends_on: Vec::new(),
            is_deployed,
            is_existing: head.is_existing,
            source: written.source.clone(),
            loops: loops.to_vec(),
        });
        // What is written in a resource that is left out is left out too.
        if let (Some(children), true) = (written.source.get("resources"), is_deployed) {
            for (place, symbolic_name, source) in resources_in(&format!("{}.resources", written.place), children)? {
                let source = self.share(&place, source)?;
                self.expand_written(&Written { place, symbolic_name, source }, Some(&inner), loops)?;
            }
        }
        Ok(())
    }
}

/// What says which resource it is.
struct Head {
    resource_type: String,
    name: String,
    api_version: String,
    is_deployed: bool,
    is_existing: bool,
    /// The resource that this one extends, as written.
    scope: Option<ResourceId>,
    /// Where it is, if not where the template is deployed to.
    base: Option<ResourceId>,
}

impl Head {
    fn read(
        source: &Map<String, Value>,
        evaluator: &mut Evaluator<'_>,
        parent: Option<&Parent>,
        target: &ResourceId,
    ) -> Result<Self, Stop> {
        let required = |evaluator: &mut Evaluator<'_>, name: &str| match source.get(name) {
            Some(value) => evaluator.at(&format!(".{name}"), |e| e.string(value)),
            None => Err(evaluator.invalid(format!("a resource needs the member '{name}'"))),
        };
        let is_deployed = match source.get("condition") {
            Some(condition) => evaluator.at(".condition", |e| e.condition(condition))?,
            None => true,
        };
        let resource_type = required(evaluator, "type")?;
        let api_version = required(evaluator, "apiVersion")?;
        let name = required(evaluator, "name")?;
        let (resource_type, name) = match parent {
            None => (resource_type, name),
            Some(parent) => parent.join(resource_type, name),
        };
        let scope = match source.get("scope") {
            Some(scope) => Some(evaluator.at(".scope", |e| {
                let text = e.string(scope)?;
                match text.as_str() {
                    "/" => Ok(ResourceId::root()),
                    text => ids::absolute(target, text).ok_or_else(|| {
                        e.invalid(format!("the scope '{text}' is no id of a resource, and none below '{target}'"))
                    }),
                }
            })?),
            None => parent.and_then(|parent| parent.scope.clone()),
        };
        let is_existing = source.get("existing") == Some(&Value::Bool(true));
        let mut base = None;
        if source.contains_key("subscriptionId") || source.contains_key("resourceGroup") {
            base = Some(elsewhere(source, evaluator, target)?);
        }
        Ok(Self { resource_type, name, api_version, is_deployed, is_existing, scope, base })
    }

    fn id(&self, place: &str, target: &ResourceId) -> Result<ResourceId, TemplateError> {
        let wrong = |reason: String| TemplateError::invalid(place, reason);
        let parts = TypeAndNames::of(&self.resource_type, &self.name).map_err(wrong)?;
        let is_group = self.resource_type.eq_ignore_ascii_case(ids::GROUPS);
        if is_group && target.resource_group_name().is_some() && !self.is_existing {
            return Err(wrong("a resource group can be deployed to a subscription only".to_owned()));
        }
        let scope = self.scope.as_ref().or(self.base.as_ref()).unwrap_or(target);
        let id = parts.within(scope.as_str().trim_end_matches('/'));
        id.parse().map_err(|_| {
            let name: String = self.name.chars().take(200).collect();
            wrong(format!(
                "the name '{name}' of the resource of type '{}' cannot be one of a resource",
                self.resource_type
            ))
        })
    }
}

impl Parent {
    /// Type and name of a resource that is written in this one, where both are relative.
    fn join(&self, resource_type: String, name: String) -> (String, String) {
        let prefix = format!("{}/", self.resource_type.to_lowercase());
        if resource_type.to_lowercase().starts_with(&prefix) {
            let is_full = name.split('/').count() == resource_type.split('/').count() - 1;
            return (resource_type, if is_full { name } else { format!("{}/{name}", self.name) });
        }
        (format!("{}/{resource_type}", self.resource_type), format!("{}/{name}", self.name))
    }
}

/// The subscription or group that a resource names by `subscriptionId` and `resourceGroup`.
fn elsewhere(
    source: &Map<String, Value>,
    evaluator: &mut Evaluator<'_>,
    target: &ResourceId,
) -> Result<ResourceId, Stop> {
    let mut member = |name: &str| match source.get(name) {
        Some(value) => evaluator.at(&format!(".{name}"), |e| e.string(value)).map(Some),
        None => Ok(None),
    };
    let subscription = member("subscriptionId")?;
    let group = member("resourceGroup")?;
    let subscription = subscription.as_deref().or(target.subscription_id()).unwrap_or_default();
    let id = match &group {
        Some(group) => format!("/subscriptions/{subscription}/resourceGroups/{group}"),
        None => format!("/subscriptions/{subscription}"),
    };
    id.parse().map_err(|_| evaluator.invalid(format!("'{id}' is no resource group")))
}

/// Whether a member of a resource is for the template and no part of the body that is sent.
pub(super) fn is_of_template(member: &str) -> bool {
    const MEMBERS: &[&str] = &[
        "apiVersion",
        "comments",
        "condition",
        "copy",
        "dependsOn",
        "existing",
        "metadata",
        "name",
        "resourceGroup",
        "resources",
        "scope",
        "subscriptionId",
        "type",
    ];
    MEMBERS.contains(&member)
}

impl Planned {
    /// Whether it is a deployment, with a template of its own.
    #[must_use]
    pub fn is_deployment(&self) -> bool {
        is_deployment(&self.source)
    }
}
