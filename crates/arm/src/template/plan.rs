//! What a template comes to: its resources, each with its id, in the order in which they can be deployed.
//!
//! ```text
//! Template + parameters + Environment ──► Plan ─► resources(), in order
//!                                          ├─ body(i, known) ───► Ready(body) or Needs(question)
//!                                          ├─ nested(i, known) ─► Ready(a template in the template)
//!                                          └─ output(name, known)
//! ```
//!
//! Ids, conditions, loops and dependencies are worked out at once; bodies and outputs when their turn comes, since they may
//! ask for the state of resources deployed before.

mod dependencies;
mod expand;
mod nested;
mod outputs;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};
use wharf_model::ResourceId;

use super::bindings::{Bindings, Names, Parameter};
use super::budget::Budget;
use super::document::Template;
use super::environment::Environment;
use super::error::{Stop, TemplateError};
use super::evaluate::{Evaluator, Loop, Resources, Stage, Target};
use super::ids;
use super::runtime::{Evaluated, Known};
use super::schema;

use nested::Inherited;
pub use nested::{Mode, Nested};
pub use outputs::Output;

/// What a template comes to.
#[derive(Debug)]
pub struct Plan {
    bindings: Arc<Bindings>,
    /// What functions learn of the surroundings.
    environment: Arc<Environment>,
    /// Where resources go that do not say otherwise.
    scope: ResourceId,
    /// Loops of outer templates that this one is in.
    loops: Vec<Loop>,
    resources: Vec<Planned>,
    index: Index,
    outputs: Map<String, Value>,
}

/// A resource of a plan.
#[derive(Debug)]
pub struct Planned {
    /// Its id.
    pub id: ResourceId,
    /// Its type as written.
    pub resource_type: String,
    /// The api-version that the template asks for.
    pub api_version: String,
    /// Its symbolic name, with the index in its loop, in templates that have such names.
    pub symbolic_name: Option<String>,
    /// Where it stands in the template.
    pub place: String,
    /// The resources that come before it, by their position in the plan.
    pub depends_on: Vec<usize>,
    /// False when its condition is false: then nothing is done.
    pub is_deployed: bool,
    /// Whether it is only referred to.
    pub is_existing: bool,
    source: Arc<Map<String, Value>>,
    loops: Vec<Loop>,
}

/// How resources of the template are found.
#[derive(Debug, Default)]
struct Index {
    by_id: HashMap<ResourceId, usize>,
    /// By symbolic name as written, with the index in a loop.
    by_symbol: HashMap<String, usize>,
    /// By the symbolic name of a loop.
    by_group: BTreeMap<String, Vec<usize>>,
    /// By the name of a copy loop, in lower case.
    by_loop: HashMap<String, Vec<usize>>,
    /// By name with slashes, in lower case.
    by_name: HashMap<String, Vec<usize>>,
}

impl Plan {
    /// Works out the plan of a template that is deployed by itself or in another one with scope `inner`.
    ///
    /// # Errors
    /// What is wrong with the parameters or with the template.
    pub fn new(
        template: &Template,
        supplied: Map<String, Value>,
        environment: Environment,
    ) -> Result<Self, TemplateError> {
        Self::with_budget(template, supplied, environment, Arc::default())
    }

    /// Works out the plan of a template in another one.
    ///
    /// # Errors
    /// Likewise.
    pub fn of_nested(nested: &Nested, environment: Environment) -> Result<Self, TemplateError> {
        match &nested.inherited {
            Inherited::Nothing { budget } => {
                Self::with_budget(&nested.template, nested.parameters.clone(), environment, budget.clone())
            }
            Inherited::Names { bindings, environment: outer, loops } => {
                Self::build(&nested.template, bindings.clone(), outer.clone(), environment.scope.clone(), loops.clone())
            }
        }
    }

    fn with_budget(
        template: &Template,
        supplied: Map<String, Value>,
        environment: Environment,
        budget: Arc<Budget>,
    ) -> Result<Self, TemplateError> {
        let bindings = Arc::new(bind(template, supplied, budget)?);
        let scope = environment.scope.clone();
        let mut evaluator = Evaluator::new(&bindings, &environment, Stage::Start, "parameters".to_owned());
        evaluator.every_parameter().map_err(unexpected)?;
        Self::build(template, bindings, Arc::new(environment), scope, Vec::new())
    }

    fn build(
        template: &Template,
        bindings: Arc<Bindings>,
        environment: Arc<Environment>,
        scope: ResourceId,
        loops: Vec<Loop>,
    ) -> Result<Self, TemplateError> {
        let mut plan = Self {
            bindings,
            environment,
            scope,
            loops,
            resources: Vec::new(),
            index: Index::default(),
            outputs: template.section("outputs"),
        };
        plan.expand(template)?;
        plan.find_dependencies()?;
        Ok(plan)
    }

    /// The resources, as they stand in the template.
    #[must_use]
    pub fn resources(&self) -> &[Planned] {
        &self.resources
    }

    /// Where it is deployed to.
    #[must_use]
    pub fn scope(&self) -> &ResourceId {
        &self.scope
    }

    /// The body to be sent for a resource.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn body(&self, position: usize, known: &Known) -> Result<Evaluated<Map<String, Value>>, TemplateError> {
        let planned = &self.resources[position];
        let body = planned.source.iter().filter(|(name, _)| !expand::is_of_template(name));
        let body: Map<String, Value> = body.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut evaluator = self.evaluator(&planned.place, &planned.loops).with_resources(self, known);
        settle(evaluator.members(&body))
    }

    /// The parameters with their values, as deployments are shown; secret ones without.
    #[must_use]
    pub fn parameters(&self) -> Map<String, Value> {
        let definitions = &self.bindings.definitions;
        let shown = self.bindings.parameters.iter().map(|(name, parameter)| {
            let declared = schema::type_of(&parameter.declaration, definitions);
            let mut shown = json!({"type": declared.map_or("Object", schema::Type::as_str)});
            if !schema::holds_secrets(&parameter.declaration, definitions) {
                shown["value"] = parameter.value.get().map(|value| (**value).clone()).unwrap_or_default();
            }
            (name.to_owned(), shown)
        });
        shown.collect()
    }

    fn evaluator(&self, place: &str, loops: &[Loop]) -> Evaluator<'_> {
        Evaluator::new(&self.bindings, &self.environment, Stage::Run, place.to_owned()).within(loops)
    }

    /// An evaluator for what must be known before anything is deployed.
    fn early_evaluator(&self, place: &str, loops: &[Loop]) -> Evaluator<'_> {
        Evaluator::new(&self.bindings, &self.environment, Stage::Start, place.to_owned()).within(loops)
    }

    /// The position of the resource that a text in `reference` or `dependsOn` means.
    fn position(&self, text: &str) -> Option<usize> {
        let by_symbol = self.index.by_symbol.get(text).copied();
        let by_id = || ids::absolute(&self.scope, text).and_then(|id| self.index.by_id.get(&id).copied());
        let by_name = || match self.index.by_name.get(&text.to_lowercase()).map(Vec::as_slice) {
            Some([position]) => Some(*position),
            _ => None,
        };
        by_symbol.or_else(by_id).or_else(by_name)
    }

    fn target_at(&self, position: usize) -> Target {
        let planned = &self.resources[position];
        Target {
            id: planned.id.clone(),
            api_version: Some(planned.api_version.clone()),
            is_deployed: planned.is_deployed,
        }
    }
}

impl Resources for Plan {
    fn target(&self, text: &str) -> Option<Target> {
        if let Some(position) = self.position(text) {
            return Some(self.target_at(position));
        }
        let id = ids::absolute(&self.scope, text)?;
        Some(Target { id, api_version: None, is_deployed: true })
    }

    fn targets(&self, symbolic_name: &str) -> Option<Vec<Target>> {
        let positions = self.index.by_group.get(symbolic_name)?;
        Some(positions.iter().map(|position| self.target_at(*position)).collect())
    }
}

/// Joins the declarations of parameters with the values that came with the request.
fn bind(template: &Template, supplied: Map<String, Value>, budget: Arc<Budget>) -> Result<Bindings, TemplateError> {
    let mut parameters = Names::new();
    let definitions = template.section("definitions");
    for (name, declaration) in template.section("parameters") {
        let Value::Object(declaration) = declaration else {
            return Err(TemplateError::parameter(&name, "is declared by what is no object"));
        };
        schema::type_of(&declaration, &definitions).map_err(|reason| TemplateError::parameter(&name, reason))?;
        let parameter = Parameter { declaration, supplied: None, value: OnceLock::new() };
        if !parameters.insert(&name, parameter) {
            return Err(TemplateError::parameter(&name, "is declared twice, in different casing"));
        }
    }
    for (name, value) in supplied {
        let Some(parameter) = parameters.get_mut(&name) else {
            let known: Vec<&str> = parameters.iter().map(|(name, _)| name).take(50).collect();
            let reason = format!("is not declared by the template; it has '{}'", known.join(", "));
            return Err(TemplateError::parameter(&name, reason));
        };
        if parameter.supplied.replace(value).is_some() {
            return Err(TemplateError::parameter(&name, "is given twice, in different casing"));
        }
    }
    Ok(Bindings { parameters, variables: template.variables()?, functions: template.functions()?, definitions, budget })
}

/// What an evaluation came to, when it may ask for resources.
fn settle<T>(outcome: Result<T, Stop>) -> Result<Evaluated<T>, TemplateError> {
    match outcome {
        Ok(value) => Ok(Evaluated::Ready(value)),
        Err(Stop::Needs(call)) => Ok(Evaluated::Needs(*call)),
        Err(Stop::Error(error)) => Err(error),
    }
}

/// What an evaluation failed with, when it may not: before `Stage::Run` nothing is asked.
fn unexpected(stop: Stop) -> TemplateError {
    match stop {
        Stop::Error(error) => error,
        Stop::Needs(call) => TemplateError::invalid("", format!("the state of '{}' is not known yet", call.id)),
    }
}
