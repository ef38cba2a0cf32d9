//! The body of a request to deploy.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::Template;
use super::error::TemplateError;
use super::jsonc;
use super::limits;
use super::plan::Mode;

/// What a client asks to deploy: the body of `PUT`, `validate` and `whatIf`.
#[derive(Clone, Debug)]
pub struct DeploymentRequest {
    /// Where the deployment is kept, for those to subscriptions.
    pub location: Option<String>,
    /// The deployment's own tags.
    pub tags: BTreeMap<String, String>,
    /// What becomes of resources that are not in the template.
    pub mode: Mode,
    /// The template.
    pub template: Template,
    /// The values of parameters, by name.
    pub parameters: Map<String, Value>,
    /// Whether `whatIf` is asked for ids alone.
    pub wants_ids_only: bool,
}

impl DeploymentRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong with it or with the template, or what of it is not supported.
    pub fn parse(body: &[u8]) -> Result<Self, TemplateError> {
        let Value::Object(body) = jsonc::read(body)? else { return Err(wrong("", "it is a JSON object")) };
        let Some(Value::Object(properties)) = body.get("properties") else {
            return Err(wrong("properties", "it is an object with the members 'mode' and 'template'"));
        };
        for unsupported in ["templateLink", "parametersLink", "onErrorDeployment", "extensionConfigs", "externalInputs"]
        {
            if properties.get(unsupported).is_some_and(|value| !value.is_null() && *value != Value::Object(Map::new()))
            {
                let what = format!("'{unsupported}'; send the template and its parameters inline");
                return Err(TemplateError::unsupported(&format!("properties.{unsupported}"), what));
            }
        }
        let mode = match properties.get("mode") {
            None | Some(Value::Null) => Mode::Incremental,
            Some(mode) => mode
                .as_str()
                .and_then(Mode::from_word)
                .ok_or_else(|| wrong("properties.mode", "the mode is 'Incremental' or 'Complete'"))?,
        };
        let template = match properties.get("template") {
            None | Some(Value::Null) => return Err(wrong("properties.template", "a deployment needs a template")),
            Some(template) => template.clone(),
        };
        if template.to_string().len() > limits::TEMPLATE_BYTES {
            let what = "it is longer than 4 MiB".to_owned();
            return Err(TemplateError::TooLarge { place: "properties.template".to_owned(), what });
        }
        let location = match body.get("location") {
            None | Some(Value::Null) => None,
            Some(Value::String(location)) => Some(location.clone()),
            Some(_) => return Err(wrong("location", "it is a string")),
        };
        let format = properties.get("whatIfSettings").and_then(|settings| settings.get("resultFormat"));
        let wants_ids_only = format.and_then(Value::as_str).is_some_and(|f| f.eq_ignore_ascii_case("ResourceIdOnly"));
        Ok(Self {
            location,
            tags: tags(body.get("tags"))?,
            mode,
            template: Template::parse(template)?,
            parameters: parameters(properties.get("parameters"))?,
            wants_ids_only,
        })
    }
}

fn tags(value: Option<&Value>) -> Result<BTreeMap<String, String>, TemplateError> {
    let error = || wrong("tags", "tags are an object whose members are strings");
    match value {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(members)) => {
            let tag =
                |(name, value): (&String, &Value)| Ok((name.clone(), value.as_str().ok_or_else(error)?.to_owned()));
            members.iter().map(tag).collect()
        }
        Some(_) => Err(error()),
    }
}

fn parameters(value: Option<&Value>) -> Result<Map<String, Value>, TemplateError> {
    let given = match value {
        None | Some(Value::Null) => return Ok(Map::new()),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(wrong("properties.parameters", "parameters are an object")),
    };
    let mut parameters = Map::new();
    for (name, parameter) in given {
        let place = format!("properties.parameters.{name}");
        let value = match parameter.as_object() {
            Some(parameter) if parameter.contains_key("value") => parameter["value"].clone(),
            Some(parameter) if parameter.get("reference").is_some_and(|value| !value.is_null()) => {
                return Err(TemplateError::unsupported(&place, "parameters from a key vault ('reference')"));
            }
            Some(parameter) if parameter.get("expression").is_some_and(|value| !value.is_null()) => {
                return Err(TemplateError::unsupported(&place, "parameters that are expressions ('expression')"));
            }
            _ => return Err(wrong(&place, "a parameter is given as an object with the member 'value'")),
        };
        parameters.insert(name.clone(), value);
    }
    Ok(parameters)
}

fn wrong(place: &str, reason: &str) -> TemplateError {
    TemplateError::invalid(if place.is_empty() { "the request" } else { place }, reason)
}
