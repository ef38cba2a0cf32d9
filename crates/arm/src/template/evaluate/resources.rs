//! Functions that look at resources: `reference`, `references`, `listCredentials` and its like.

use serde_json::{Map, Value, json};

use super::{Evaluator, Outcome, Stage, Stop, Target};
use crate::template::error::Fault;
use crate::template::expression::Expression;
use crate::template::functions::kind_of;
use crate::template::runtime::{RuntimeCall, Wanted};

impl Evaluator<'_> {
    /// `reference(resource, [api-version], ['Full'])`.
    pub(super) fn reference(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        self.expect(name, arguments, 1, 3)?;
        let texts = self.texts(name, arguments)?;
        let is_full = match texts.get(2) {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("full") => true,
            Some(_) => return Err(self.fault(name, arguments, Fault::wrong("expects 'Full' as argument 3"))),
        };
        let target = self.target(name, arguments, &texts[0])?;
        self.state_of(name, arguments, &target, texts.get(1), is_full)
    }

    /// `references(symbolicNameOfLoop, ['Full'])`.
    pub(super) fn references(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        self.expect(name, arguments, 1, 2)?;
        let texts = self.texts(name, arguments)?;
        let is_full = texts.get(1).is_some_and(|word| word.eq_ignore_ascii_case("full"));
        self.allowed(name)?;
        let targets = self.resources.and_then(|(resources, _)| resources.targets(&texts[0]));
        let Some(targets) = targets else {
            let reason = format!("the template has no copy loop of resources with the symbolic name '{}'", texts[0]);
            return Err(self.invalid(reason));
        };
        let deployed = targets.iter().filter(|target| target.is_deployed);
        let states = deployed.map(|target| self.state_of(name, arguments, target, None, is_full));
        Ok(Value::Array(states.collect::<Result<_, _>>()?))
    }

    /// `listCredentials(resource, api-version, [body])`.
    pub(super) fn list(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        self.expect(name, arguments, 2, 3)?;
        let texts = self.texts(name, &arguments[..2])?;
        let body = match arguments.get(2) {
            None => String::new(),
            Some(argument) => match self.expression(argument)? {
                body @ Value::Object(_) => body.to_string(),
                other => {
                    let reason = format!("expects an object as argument 3 and is given {}", kind_of(&other));
                    return Err(self.fault(name, arguments, Fault::wrong(reason)));
                }
            },
        };
        let target = self.target(name, arguments, &texts[0])?;
        let wanted = Wanted::Action { name: name.to_owned(), body };
        self.ask(name, RuntimeCall { id: target.id, api_version: Some(texts[1].clone()), wanted })
    }

    fn state_of(
        &mut self,
        name: &str,
        arguments: &[Expression],
        target: &Target,
        api_version: Option<&String>,
        is_full: bool,
    ) -> Outcome {
        if !target.is_deployed {
            let reason = format!("names '{}', whose condition is false", target.id);
            return Err(self.fault(name, arguments, Fault::wrong(reason)));
        }
        let api_version = api_version.cloned().or_else(|| target.api_version.clone());
        if api_version.is_none() {
            let reason = format!("needs an api-version for '{}', which is not in the template", target.id);
            return Err(self.fault(name, arguments, Fault::wrong(reason)));
        }
        let call = RuntimeCall { id: target.id.clone(), api_version, wanted: Wanted::Resource };
        let shown_version = call.api_version.clone();
        let resource = self.ask(name, call)?;
        let Value::Object(mut resource) = resource else { return Ok(Value::Object(Map::new())) };
        if !is_full {
            return Ok(resource.remove("properties").unwrap_or_else(|| json!({})));
        }
        let id = resource.remove("id").and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
        resource.remove("name");
        let resource_type = resource.remove("type").unwrap_or_default();
        let relative = id.rsplit_once("/providers/").map_or(id.as_str(), |(_, relative)| relative);
        resource.insert("resourceId".to_owned(), json!(relative));
        resource.insert("resourceType".to_owned(), resource_type);
        resource.insert("subscriptionId".to_owned(), json!(target.id.subscription_id()));
        resource.insert("resourceGroupName".to_owned(), json!(target.id.resource_group_name()));
        resource.insert("apiVersion".to_owned(), json!(shown_version));
        Ok(Value::Object(resource))
    }

    /// What is known about a resource, or the question.
    fn ask(&mut self, name: &str, call: RuntimeCall) -> Outcome {
        self.allowed(name)?;
        match self.resources.and_then(|(_, known)| known.get(&call)) {
            Some(answer) => Ok((**answer).clone()),
            None => Err(Stop::Needs(Box::new(call))),
        }
    }

    fn target(&mut self, name: &str, arguments: &[Expression], text: &str) -> Result<Target, Stop> {
        self.allowed(name)?;
        let found = self.resources.and_then(|(resources, _)| resources.target(text));
        found.ok_or_else(|| {
            let shown: String = text.chars().take(300).collect();
            let reason = format!("is given '{shown}', which is no resource of the template and no id of a resource");
            self.fault(name, arguments, Fault::wrong(reason))
        })
    }

    fn allowed(&self, name: &str) -> Result<(), Stop> {
        match self.stage {
            Stage::Run if self.resources.is_some() => Ok(()),
            _ => Err(self.invalid(format!(
                "the template function '{name}' is not expected here; it can be used in properties of resources and in outputs"
            ))),
        }
    }

    fn texts(&mut self, name: &str, arguments: &[Expression]) -> Result<Vec<String>, Stop> {
        let mut texts = Vec::with_capacity(arguments.len());
        for (at, argument) in arguments.iter().enumerate() {
            match self.expression(argument)? {
                Value::String(text) => texts.push(text),
                other => {
                    let reason = format!("expects a string as argument {} and is given {}", at + 1, kind_of(&other));
                    return Err(self.fault(name, arguments, Fault::wrong(reason)));
                }
            }
        }
        Ok(texts)
    }
}
