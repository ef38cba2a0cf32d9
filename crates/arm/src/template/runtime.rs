//! What an evaluation cannot know by itself: the state of resources.
//!
//! An evaluation that comes to `reference(…)` or `listCredentials(…)` ends with a [`RuntimeCall`]. Whoever runs the
//! deployment asks the resource, puts the answer into [`Known`], and evaluates again.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use wharf_model::ResourceId;

/// A question about a resource that an expression asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuntimeCall {
    /// The resource.
    pub id: ResourceId,
    /// The api-version that the expression names, or that of the resource in the template.
    pub api_version: Option<String>,
    /// What about it.
    pub wanted: Wanted,
}

/// What is wanted of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// The resource as `GET` shows it.
    Resource,
    /// What `POST {id}/{name}` answers, such as `listCredentials`.
    Action {
        /// The word in the path.
        name: String,
        /// The body, as JSON; empty when there is none.
        body: String,
    },
}

/// The answers so far.
#[derive(Clone, Debug, Default)]
pub struct Known(HashMap<RuntimeCall, Arc<Value>>);

impl Known {
    /// Adds an answer.
    pub fn insert(&mut self, call: RuntimeCall, answer: Value) {
        self.0.insert(call, Arc::new(answer));
    }

    pub(crate) fn get(&self, call: &RuntimeCall) -> Option<&Arc<Value>> {
        self.0.get(call)
    }
}

/// What an evaluation came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluated<T> {
    /// Its result.
    Ready(T),
    /// It needs this answer first.
    Needs(RuntimeCall),
}
