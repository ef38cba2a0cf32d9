//! Evaluates expressions, and JSON that holds expressions.
//!
//! An evaluation is made of plain function calls, without I/O. What it cannot know ends it ([`Stop::Needs`]); it is begun
//! anew when the answer is there. Everything that it produces is counted by the [`super::budget::Budget`].

mod lambdas;
mod own;
mod resources;

pub(crate) use own::is_own;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::bindings::{Bindings, Definition};
use super::environment::Environment;
use super::error::{Fault, Stop, TemplateError};
use super::expression::{Expression, Text};
use super::functions::{self, kind_of, member};
use super::limits;
use super::runtime::Known;
use super::schema;

/// What may be asked where the evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the default of a parameter: other parameters; no variables, no resources.
    Default,
    /// In names, conditions, counts and variables: what is known before anything is deployed.
    Start,
    /// In bodies and outputs: the state of resources too.
    Run,
    /// In a function of the template: its arguments alone.
    Function,
}

/// A copy loop that the evaluation is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    pub(crate) name: String,
    pub(crate) index: i64,
    /// Whether `copyIndex()` without a name means this one: true for resources and outputs.
    pub(crate) is_outer: bool,
}

/// What a name or id that `reference` is given means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) id: wharf_model::ResourceId,
    pub(crate) api_version: Option<String>,
    /// False for a resource of the template whose condition is false.
    pub(crate) is_deployed: bool,
}

/// Knows the resources of the template.
pub(crate) trait Resources {
    /// The resource with this symbolic name, name or id.
    fn target(&self, text: &str) -> Option<Target>;
    /// The resources of the loop with this symbolic name.
    fn targets(&self, symbolic_name: &str) -> Option<Vec<Target>>;
}

/// The state of an evaluation.
pub(crate) struct Evaluator<'e> {
    bindings: &'e Bindings,
    environment: &'e Environment,
    stage: Stage,
    resources: Option<(&'e dyn Resources, &'e Known)>,
    pub(crate) loops: Vec<Loop>,
    /// Variables of lambdas, the innermost last.
    locals: Vec<(String, Value)>,
    /// Arguments of the function of the template that is evaluated.
    arguments: Vec<(String, Value)>,
    /// Parameters and variables whose values are being found.
    in_progress: Vec<String>,
    depth: usize,
    /// The member that is evaluated, for messages.
    pub(crate) place: String,
}

type Outcome = Result<Value, Stop>;

impl<'e> Evaluator<'e> {
    pub(crate) fn new(bindings: &'e Bindings, environment: &'e Environment, stage: Stage, place: String) -> Self {
        Self {
            bindings,
            environment,
            stage,
            resources: None,
            loops: Vec::new(),
            locals: Vec::new(),
            arguments: Vec::new(),
            in_progress: Vec::new(),
            depth: 0,
            place,
        }
    }

    /// The same, in these loops.
    pub(crate) fn within(mut self, loops: &[Loop]) -> Self {
        self.loops = loops.to_vec();
        self
    }

    /// The same, with resources whose state may be asked for.
    pub(crate) fn with_resources(mut self, resources: &'e dyn Resources, known: &'e Known) -> Self {
        self.resources = Some((resources, known));
        self
    }

    /// Evaluates JSON: texts that are expressions, in names of members too, and property loops.
    pub(crate) fn json(&mut self, value: &Value) -> Outcome {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(elements) => {
                let mut evaluated = Vec::with_capacity(elements.len());
                for (i, element) in elements.iter().enumerate() {
                    evaluated.push(self.at(&format!("[{i}]"), |e| e.json(element))?);
                }
                Ok(Value::Array(evaluated))
            }
            Value::Object(members) => self.members(members).map(Value::Object),
            other => {
                self.bindings.budget.charge(&self.place, other)?;
                Ok(other.clone())
            }
        }
    }

    /// Evaluates the members of an object.
    pub(crate) fn members(&mut self, members: &Map<String, Value>) -> Result<Map<String, Value>, Stop> {
        let mut evaluated = Map::new();
        for (name, value) in members {
            if let ("copy", Some(loops)) = (name.as_str(), property_loops(value)) {
                for (i, each) in loops.into_iter().enumerate() {
                    let (name, elements) = self.at(&format!(".copy[{i}]"), |e| e.property_loop(each))?;
                    evaluated.insert(name, elements);
                }
                continue;
            }
            let name = match Text::of(name) {
                Text::Expression(_) => match self.text(name)? {
                    Value::String(name) => name,
                    other => return Err(self.invalid(format!("the name of a member is {}", kind_of(&other)))),
                },
                Text::Literal(name) => name.to_owned(),
            };
            let value = self.at(&format!(".{name}"), |e| e.json(value))?;
            evaluated.insert(name, value);
        }
        Ok(evaluated)
    }

    /// Evaluates a text: an expression, or itself.
    pub(crate) fn text(&mut self, text: &str) -> Outcome {
        self.bindings.budget.step(&self.place, 1 + text.len() as u64 / 64)?;
        match Text::of(text) {
            Text::Literal(literal) => {
                let value = Value::from(literal);
                self.bindings.budget.charge(&self.place, &value)?;
                Ok(value)
            }
            Text::Expression(source) => {
                let expression = parse(source, &self.place)?;
                self.expression(&expression)
            }
        }
    }

    /// Evaluates to a text, or refuses what is none.
    pub(crate) fn string(&mut self, value: &Value) -> Result<String, Stop> {
        match self.json(value)? {
            Value::String(text) => Ok(text),
            other => Err(self.invalid(format!("expected a string and found {}", kind_of(&other)))),
        }
    }

    /// Evaluates to truth, or refuses what is none.
    pub(crate) fn condition(&mut self, value: &Value) -> Result<bool, Stop> {
        match self.json(value)? {
            Value::Bool(value) => Ok(value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            other => Err(self.invalid(format!("expected a boolean and found {}", kind_of(&other)))),
        }
    }

    /// Evaluates how often a loop goes round.
    pub(crate) fn count(&mut self, value: Option<&Value>) -> Result<i64, Stop> {
        let value = value.ok_or_else(|| self.invalid("a copy loop needs a 'count'"))?;
        match self.at(".count", |e| e.json(value))? {
            Value::Number(number) if number.as_i64().is_some_and(|count| (0..=limits::COPIES).contains(&count)) => {
                Ok(number.as_i64().unwrap_or_default())
            }
            _ => Err(self.invalid(format!("the 'count' of a copy loop is an integer from 0 to {}", limits::COPIES))),
        }
    }

    /// Evaluates at a member below the present place.
    pub(crate) fn at<T>(&mut self, step: &str, evaluate: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        let length = self.place.len();
        self.place.push_str(step);
        let outcome = evaluate(self);
        self.place.truncate(length);
        outcome
    }

    pub(crate) fn invalid(&self, reason: impl Into<String>) -> Stop {
        TemplateError::invalid(&self.place, reason).into()
    }

    fn expression(&mut self, expression: &Expression) -> Outcome {
        self.bindings.budget.step(&self.place, 1)?;
        if self.depth >= limits::EVALUATION_DEPTH {
            let what = format!("expressions nest deeper than {}", limits::EVALUATION_DEPTH);
            return Err(TemplateError::TooLarge { place: self.place.clone(), what }.into());
        }
        self.depth += 1;
        let outcome = match expression {
            Expression::Text(text) => Ok(Value::from(text.as_str())),
            Expression::Integer(number) => Ok(Value::from(*number)),
            Expression::Call { name, arguments } => self.call(name, arguments),
            Expression::Member { .. } | Expression::Index { .. } => self.access(expression),
        };
        self.depth -= 1;
        let value = outcome?;
        self.bindings.budget.charge(&self.place, &value)?;
        Ok(value)
    }

    /// Goes from the root of `a().b[0].c` to the element, without copying what is on the way.
    fn access(&mut self, expression: &Expression) -> Outcome {
        let mut steps = Vec::new();
        let mut root = expression;
        loop {
            root = match root {
                Expression::Member { of, name } => {
                    steps.push(Value::from(name.as_str()));
                    of
                }
                Expression::Index { of, index } => {
                    steps.push(self.expression(index)?);
                    of
                }
                _ => break,
            };
        }
        let root_value = self.shared(root)?;
        let mut at: &Value = &root_value;
        for step in steps.iter().rev() {
            let next = match (at, step) {
                (Value::Object(members), Value::String(name)) => member(members, name),
                (Value::Array(elements), Value::Number(index)) => {
                    index.as_u64().and_then(|index| usize::try_from(index).ok()).and_then(|index| elements.get(index))
                }
                _ => None,
            };
            at = next.ok_or_else(|| self.no_element(expression, at, step))?;
        }
        Ok(at.clone())
    }

    fn no_element(&self, expression: &Expression, of: &Value, step: &Value) -> Stop {
        let found = match of {
            Value::Object(members) => {
                let names: Vec<&str> = members.keys().take(20).map(String::as_str).collect();
                format!("an object with the members '{}'", names.join(", "))
            }
            Value::Array(elements) => format!("an array of {}", elements.len()),
            other => kind_of(other).to_owned(),
        };
        let step = match step {
            Value::String(name) => format!("property '{name}'"),
            Value::Number(index) => format!("element {index}"),
            other => format!("element named by {}", kind_of(other)),
        };
        self.invalid(format!("the language expression {step} doesn't exist in {found}: '{}'", shown(expression)))
    }

    /// The value of an expression, without a copy where it is that of a parameter or variable.
    fn shared(&mut self, expression: &Expression) -> Result<Arc<Value>, Stop> {
        if let Expression::Call { name, arguments } = expression
            && let [Expression::Text(named)] = arguments.as_slice()
            && self.arguments.is_empty()
            && self.stage != Stage::Function
        {
            self.bindings.budget.step(&self.place, 1)?;
            if name.eq_ignore_ascii_case("parameters") {
                return self.parameter(named);
            }
            if name.eq_ignore_ascii_case("variables") {
                return self.variable(named);
            }
        }
        Ok(Arc::new(self.expression(expression)?))
    }

    fn parameter(&mut self, name: &str) -> Result<Arc<Value>, Stop> {
        let Some(parameter) = self.bindings.parameters.get(name) else {
            return Err(self.invalid(format!("the template parameter '{name}' is not found")));
        };
        if let Some(value) = parameter.value.get() {
            return Ok(value.clone());
        }
        let value = match (&parameter.supplied, parameter.declaration.get("defaultValue")) {
            (Some(value), _) => {
                self.bindings.budget.charge(&self.place, value)?;
                value.clone()
            }
            (None, Some(default)) => {
                let place = format!("parameters.{name}.defaultValue");
                self.aside(&format!("parameter '{name}'"), place, Stage::Default, |e| e.json(default))?
            }
            (None, None) if parameter.declaration.get("nullable") == Some(&Value::Bool(true)) => Value::Null,
            (None, None) => {
                let reason = "has no value; give one, or a defaultValue in the template";
                return Err(TemplateError::parameter(name, reason).into());
            }
        };
        schema::check(&parameter.declaration, &value, &self.bindings.definitions)
            .map_err(|reason| TemplateError::parameter(name, reason))?;
        Ok(parameter.value.get_or_init(|| Arc::new(value)).clone())
    }

    /// Finds the value of every parameter.
    pub(crate) fn every_parameter(&mut self) -> Result<(), Stop> {
        let bindings = self.bindings;
        bindings.parameters.iter().try_for_each(|(name, _)| self.parameter(name).map(drop))
    }

    fn variable(&mut self, name: &str) -> Result<Arc<Value>, Stop> {
        let Some(variable) = self.bindings.variables.get(name) else {
            return Err(self.invalid(format!("the template variable '{name}' is not found")));
        };
        if self.stage == Stage::Default {
            return Err(self.invalid("the template function 'variables' is not expected in the default of a parameter"));
        }
        if let Some(value) = variable.value.get() {
            return Ok(value.clone());
        }
        let place = format!("variables.{name}");
        let value = self.aside(&format!("variable '{name}'"), place, Stage::Start, |e| match &variable.definition {
            Definition::Value(value) => e.json(value),
            Definition::Copy(each) => e.property_loop(each).map(|(_, elements)| elements),
        })?;
        Ok(variable.value.get_or_init(|| Arc::new(value)).clone())
    }

    /// Evaluates something that is written elsewhere in the template, and refuses to go in circles.
    fn aside(
        &mut self,
        what: &str,
        place: String,
        stage: Stage,
        evaluate: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        if self.in_progress.iter().any(|other| other.eq_ignore_ascii_case(what)) {
            let circle = self.in_progress.join(" → ");
            return Err(self.invalid(format!("there is a circle: {circle} → {what}")));
        }
        self.in_progress.push(what.to_owned());
        let before = (
            std::mem::replace(&mut self.place, place),
            std::mem::replace(&mut self.stage, stage),
            std::mem::take(&mut self.loops),
            std::mem::take(&mut self.locals),
            std::mem::take(&mut self.arguments),
        );
        let outcome = evaluate(self);
        (self.place, self.stage, self.loops, self.locals, self.arguments) = before;
        self.in_progress.pop();
        outcome
    }

    /// An element of `copy` in an object: the member's name, and its elements.
    fn property_loop(&mut self, each: &Map<String, Value>) -> Result<(String, Value), Stop> {
        let Some(Value::String(name)) = each.get("name") else {
            return Err(self.invalid("a copy loop needs a 'name'"));
        };
        let input = each.get("input").ok_or_else(|| self.invalid("a copy loop of values needs an 'input'"))?;
        let count = self.count(each.get("count"))?;
        let elements = self.repeat(name, false, count, |e| e.at(".input", |e| e.json(input)))?;
        Ok((name.clone(), Value::Array(elements)))
    }

    /// Evaluates once for each round of a loop.
    pub(crate) fn repeat<T>(
        &mut self,
        name: &str,
        is_outer: bool,
        count: i64,
        mut evaluate: impl FnMut(&mut Self) -> Result<T, Stop>,
    ) -> Result<Vec<T>, Stop> {
        (0..count)
            .map(|index| {
                self.loops.push(Loop { name: name.to_owned(), index, is_outer });
                let outcome = evaluate(self);
                self.loops.pop();
                outcome
            })
            .collect()
    }

    fn call(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        if name.contains('.') {
            return self.user_function(name, arguments);
        }
        let lower = name.to_ascii_lowercase();
        if let Some(function) = functions::find(&lower) {
            self.expect(name, arguments, function.fewest, function.most)?;
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                values.push(self.expression(argument)?);
            }
            return (function.run)(values).map_err(|fault| self.fault(name, arguments, fault));
        }
        match self.own_function(&lower, name, arguments) {
            Some(outcome) => outcome,
            None if functions::is_unsupported(&lower) => {
                let what = format!("the template function '{name}' in '{}'", self.written(name, arguments));
                Err(TemplateError::unsupported(&self.place, what).into())
            }
            None => Err(self.invalid(format!("the template function '{name}' is not valid"))),
        }
    }

    /// Refuses a call with too few or too many arguments.
    fn expect(&self, name: &str, arguments: &[Expression], fewest: usize, most: usize) -> Result<(), Stop> {
        if (fewest..=most).contains(&arguments.len()) {
            return Ok(());
        }
        let expected = match (fewest, most) {
            (fewest, most) if fewest == most => format!("{fewest}"),
            (fewest, usize::MAX) => format!("at least {fewest}"),
            (fewest, most) => format!("{fewest} to {most}"),
        };
        Err(self.invalid(format!(
            "the template function '{name}' expects {expected} arguments and is given {}: '{}'",
            arguments.len(),
            self.written(name, arguments)
        )))
    }

    fn fault(&self, name: &str, arguments: &[Expression], fault: Fault) -> Stop {
        let written = self.written(name, arguments);
        match fault {
            Fault::Wrong(reason) => self.invalid(format!("the template function '{name}' {reason}: '{written}'")),
            Fault::Unsupported(what) => {
                TemplateError::unsupported(&self.place, format!("{what} in '{written}'")).into()
            }
            Fault::TooLarge(what) => {
                TemplateError::TooLarge { place: self.place.clone(), what: format!("{what} in '{written}'") }.into()
            }
        }
    }

    /// A call as it is shown in messages.
    fn written(&self, name: &str, arguments: &[Expression]) -> String {
        shown(&Expression::Call { name: name.to_owned(), arguments: arguments.to_vec() })
    }
}

/// An expression as it is shown in messages: what fits into a line.
fn shown(expression: &Expression) -> String {
    const MOST: usize = 200;
    let text = expression.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Parses the expression at a place.
pub(crate) fn parse(source: &str, place: &str) -> Result<Expression, TemplateError> {
    Expression::parse(source).map_err(|e| {
        let shown: String = source.chars().take(200).collect();
        TemplateError::invalid(place, format!("unable to parse the language expression '{shown}': {e}"))
    })
}

/// The loops that a member named `copy` holds: a list of objects with a name, a count and an input.
fn property_loops(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    let elements = value.as_array().filter(|elements| !elements.is_empty())?;
    elements.iter().map(|each| each.as_object().filter(|each| each.contains_key("count"))).collect()
}
