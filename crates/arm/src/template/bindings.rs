//! What names in expressions mean: parameters, variables and functions of a template.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::budget::Budget;

/// The names of one template, with the values that were found so far.
#[derive(Debug)]
pub(crate) struct Bindings {
    pub(crate) parameters: Names<Parameter>,
    pub(crate) variables: Names<Variable>,
    pub(crate) functions: Names<UserFunction>,
    /// Types that parameters refer to.
    pub(crate) definitions: Map<String, Value>,
    pub(crate) budget: Arc<Budget>,
}

/// A parameter: its value is found when it is first asked for.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// Its declaration: `type`, `defaultValue`, `allowedValues` …
    pub(crate) declaration: Map<String, Value>,
    /// The value that came with the request.
    pub(crate) supplied: Option<Value>,
    pub(crate) value: OnceLock<Arc<Value>>,
}

/// A variable: its value is found when it is first asked for.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) definition: Definition,
    pub(crate) value: OnceLock<Arc<Value>>,
}

/// How a variable is defined.
#[derive(Debug)]
pub(crate) enum Definition {
    /// By a value with expressions.
    Value(Value),
    /// By a loop: an element of `variables.copy`.
    Copy(Map<String, Value>),
}

/// A function of the template, by namespace and name.
#[derive(Debug)]
pub(crate) struct UserFunction {
    /// The names of its parameters, in order.
    pub(crate) parameters: Vec<String>,
    /// What it returns.
    pub(crate) output: Value,
}

/// Things by name, whatever the name's casing.
#[derive(Debug)]
pub(crate) struct Names<T>(BTreeMap<String, (String, T)>);

impl<T> Names<T> {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a thing. Returns `false`, having done nothing, when there is one with the name.
    pub(crate) fn insert(&mut self, name: &str, thing: T) -> bool {
        let key = name.to_lowercase();
        let is_new = !self.0.contains_key(&key);
        if is_new {
            self.0.insert(key, (name.to_owned(), thing));
        }
        is_new
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.0.get(&name.to_lowercase()).map(|(_, thing)| thing)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.0.get_mut(&name.to_lowercase()).map(|(_, thing)| thing)
    }

    /// The things with their names as written.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.values().map(|(name, thing)| (name.as_str(), thing))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
