//! Evaluates what a plan's expressions come to, and asks resources what they want to know.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use wharf_arm::template::{Evaluated, Known, Plan, RuntimeCall, TemplateError, Wanted};
use wharf_arm::{ArmError, Code};
use wharf_model::ResourceId;

use super::calculate;
use crate::cx::Cx;
use crate::failure::Failure;

/// A plan, with what is known of the resources that it asks about.
pub(super) struct Evaluation {
    plan: Arc<Plan>,
    known: Arc<Known>,
    /// What the plan deploys and has not deployed yet.
    waiting: HashSet<ResourceId>,
    questions: usize,
}

impl Evaluation {
    /// Of a plan of which nothing is deployed yet.
    pub(super) fn of(plan: Arc<Plan>) -> Self {
        let waiting = super::show::deployed_ids(&plan).cloned().collect();
        Self { plan, known: Arc::default(), waiting, questions: 0 }
    }

    /// Of a plan of which everything is believed to be there: what-if asks what is there now.
    pub(super) fn of_what_is(plan: Arc<Plan>) -> Self {
        Self { plan, known: Arc::default(), waiting: HashSet::new(), questions: 0 }
    }

    /// Notes that a resource is deployed: from now on it can be asked about.
    pub(super) fn deployed(&mut self, id: &ResourceId) {
        self.waiting.remove(id);
    }

    /// Evaluates, and answers the questions that come up, as the caller.
    ///
    /// # Errors
    /// What is wrong with the expressions, or why a question cannot be answered.
    pub(super) async fn settle<T: Send + 'static>(
        &mut self,
        cx: &Cx,
        evaluate: impl Fn(&Plan, &Known) -> Result<Evaluated<T>, TemplateError> + Clone + Send + 'static,
    ) -> Result<T, Failure> {
        loop {
            let (plan, known, evaluate) = (self.plan.clone(), self.known.clone(), evaluate.clone());
            match calculate::in_background(move || evaluate(&plan, &known)).await? {
                Evaluated::Ready(value) => return Ok(value),
                Evaluated::Needs(call) => {
                    let answer = self.ask(cx, &call).await?;
                    Arc::make_mut(&mut self.known).insert(call, answer);
                }
            }
        }
    }

    async fn ask(&mut self, cx: &Cx, call: &RuntimeCall) -> Result<Value, Failure> {
        self.questions += 1;
        if self.questions > MOST_QUESTIONS {
            let text = format!("The template asks about the state of resources more than {MOST_QUESTIONS} times.");
            return Err(ArmError::new(Code::InvalidTemplate, text).into());
        }
        let id = &call.id;
        if self.waiting.contains(id) {
            let text =
                format!("The template asks for the state of '{id}' before it is deployed; name it in 'dependsOn'.");
            return Err(ArmError::new(Code::InvalidTemplate, text).into());
        }
        let kind = id.resource_type().unwrap_or_default();
        if let (Some(versions), Some(wanted)) = (cx.management.versions_of(&kind), &call.api_version)
            && versions.find(wanted).is_none()
        {
            let text = format!(
                "No registered resource provider found for API version '{wanted}' for type '{kind}', as asked for '{id}'. The \
                 supported api-versions are '{}'.",
                versions.listed.join(", ")
            );
            return Err(ArmError::new(Code::NoRegisteredProviderFound, text).into());
        }
        match &call.wanted {
            Wanted::Resource => cx.management.get(cx, id).await,
            Wanted::Action { name, body } => {
                let body: Map<String, Value> = match body.as_str() {
                    "" => Map::new(),
                    body => serde_json::from_str(body).map_err(Failure::internal)?,
                };
                Ok(cx.management.act(cx, id, name, body).await?.body.unwrap_or_default())
            }
        }
    }
}

/// How often the expressions of a template may ask.
const MOST_QUESTIONS: usize = 2000;
