//! Templates in templates: resources of the type `Microsoft.Resources/deployments`.

use std::sync::Arc;

use serde_json::{Map, Value};
use wharf_model::ResourceId;

use super::{Plan, settle};
use crate::template::bindings::Bindings;
use crate::template::budget::Budget;
use crate::template::document::Template;
use crate::template::environment::Environment;
use crate::template::error::{Stop, TemplateError};
use crate::template::evaluate::Loop;
use crate::template::runtime::{Evaluated, Known};

/// What becomes of resources that are in the group and not in the template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They stay.
    #[default]
    Incremental,
    /// They are deleted.
    Complete,
}

impl Mode {
    /// The mode with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "incremental" => Some(Self::Incremental),
            "complete" => Some(Self::Complete),
            _ => None,
        }
    }

    /// The word that deployments are shown with.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incremental => "Incremental",
            Self::Complete => "Complete",
        }
    }
}

/// A deployment that is a resource of another one.
#[derive(Debug)]
pub struct Nested {
    /// Its name.
    pub name: String,
    /// What it deploys to.
    pub scope: ResourceId,
    /// Where it is kept, for deployments to subscriptions.
    pub location: Option<String>,
    /// Its mode.
    pub mode: Mode,
    /// Its template.
    pub template: Template,
    /// What it is given.
    pub parameters: Map<String, Value>,
    /// Whose names its expressions use.
    pub(super) inherited: Inherited,
}

/// Whose names the expressions of a template in another one use.
#[derive(Debug)]
pub(super) enum Inherited {
    /// Its own; only work and room are counted together.
    Nothing { budget: Arc<Budget> },
    /// Those of the outer one: its parameters, variables, functions, loops and surroundings.
    Names { bindings: Arc<Bindings>, environment: Arc<Environment>, loops: Vec<Loop> },
}

impl Plan {
    /// The deployment at this position.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn nested(&self, position: usize, known: &Known) -> Result<Evaluated<Nested>, TemplateError> {
        settle(self.read_nested(position, known))
    }

    fn read_nested(&self, position: usize, known: &Known) -> Result<Nested, Stop> {
        let planned = &self.resources[position];
        let mut evaluator = self.evaluator(&planned.place, &planned.loops).with_resources(self, known);
        let place = format!("{}.properties", planned.place);
        let Some(Value::Object(properties)) = planned.source.get("properties") else {
            return Err(TemplateError::invalid(&planned.place, "a deployment needs 'properties'").into());
        };
        for unsupported in ["templateLink", "parametersLink", "onErrorDeployment", "extensionConfigs"] {
            if properties.contains_key(unsupported) {
                let what = format!("'{unsupported}' of a deployment; write the template and its parameters inline");
                return Err(TemplateError::unsupported(&place, what).into());
            }
        }
        let Some(template) = properties.get("template") else {
            return Err(TemplateError::invalid(&place, "a deployment needs a 'template'").into());
        };
        let mode = match properties.get("mode") {
            None => Mode::Incremental,
            Some(mode) => evaluator.at(".properties.mode", |e| {
                let word = e.string(mode)?;
                Mode::from_word(&word).ok_or_else(|| e.invalid("the mode is 'Incremental' or 'Complete'"))
            })?,
        };
        let location = match planned.source.get("location") {
            None => None,
            Some(location) => Some(evaluator.at(".location", |e| e.string(location))?),
        };
        let is_inner = is_inner(properties);
        let mut parameters = Map::new();
        if let Some(given) = properties.get("parameters") {
            let wrong = |reason: &str| TemplateError::invalid(&format!("{place}.parameters"), reason);
            let given = given.as_object().ok_or_else(|| wrong("parameters are an object"))?;
            if !is_inner && !given.is_empty() {
                return Err(wrong(
                    "only a deployment whose expressionEvaluationOptions have the scope 'inner' takes any",
                )
                .into());
            }
            for (name, value) in given {
                let value = evaluator.at(&format!(".properties.parameters.{name}"), |e| match value.get("value") {
                    Some(value) => e.json(value),
                    None if value.get("reference").is_some() => {
                        Err(TemplateError::unsupported(&e.place, "parameters from a key vault ('reference')").into())
                    }
                    None => Err(e.invalid("a parameter is given as an object with the member 'value'")),
                })?;
                parameters.insert(name.clone(), value);
            }
        }
        self.bindings.budget.charge(&place, template)?;
        let template = Template::parse(template.clone()).map_err(|error| within(&place, error))?;
        let inherited = if is_inner {
            Inherited::Nothing { budget: self.bindings.budget.clone() }
        } else {
            Inherited::Names {
                bindings: self.bindings.clone(),
                environment: self.environment.clone(),
                loops: planned.loops.clone(),
            }
        };
        let name = planned.id.name().unwrap_or_default().to_owned();
        let scope = planned.id.parent().unwrap_or_else(ResourceId::root);
        Ok(Nested { name, scope, location, mode, template, parameters, inherited })
    }
}

/// Whether a deployment's template has names of its own.
pub(super) fn is_inner(properties: &Map<String, Value>) -> bool {
    let scope = properties.get("expressionEvaluationOptions").and_then(|options| options.get("scope"));
    scope.and_then(Value::as_str).is_some_and(|scope| scope.eq_ignore_ascii_case("inner"))
}

/// An error of an inner template, with its place in the outer one.
fn within(place: &str, error: TemplateError) -> TemplateError {
    let outer = |inner: String| format!("{place}.template.{inner}");
    match error {
        TemplateError::Invalid { place, reason } => TemplateError::Invalid { place: outer(place), reason },
        TemplateError::Unsupported { place, what } => TemplateError::Unsupported { place: outer(place), what },
        TemplateError::TooLarge { place, what } => TemplateError::TooLarge { place: outer(place), what },
        other @ (TemplateError::Syntax { .. } | TemplateError::Parameter { .. }) => other,
    }
}
