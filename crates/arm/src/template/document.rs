//! A template as written: its sections, checked as far as can be without values.

use serde_json::{Map, Value};

use super::bindings::{Definition, Names, UserFunction, Variable};
use super::error::TemplateError;
use super::evaluate::{is_own, parse};
use super::expression::{Expression, Text};
use super::functions;
use super::hash;
use super::limits;

/// A template whose sections have the right form and whose expressions parse and name functions that there are.
#[derive(Clone, Debug)]
pub struct Template {
    source: Map<String, Value>,
}

impl Template {
    /// Takes a template apart.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(template: Value) -> Result<Self, TemplateError> {
        let Value::Object(source) = template else {
            return Err(TemplateError::invalid("template", "a template is a JSON object"));
        };
        for (name, value) in &source {
            let is_well_formed = match name.as_str() {
                "$schema" | "contentVersion" | "languageVersion" | "apiProfile" => value.is_string(),
                "parameters" | "variables" | "outputs" | "definitions" | "metadata" => value.is_object(),
                "functions" => value.is_array(),
                "resources" => value.is_array() || value.is_object(),
                "imports" | "extensions" | "asserts" | "extensionConfigs" => {
                    return Err(TemplateError::unsupported(name, format!("the section '{name}'")));
                }
                _ => return Err(TemplateError::invalid(name, format!("a template has no section '{name}'"))),
            };
            if !is_well_formed {
                return Err(TemplateError::invalid(name, format!("the section '{name}' is of the wrong type")));
            }
        }
        for required in ["$schema", "contentVersion", "resources"] {
            if !source.contains_key(required) {
                return Err(TemplateError::invalid(required, format!("the required property '{required}' is missing")));
            }
        }
        let schema = source["$schema"].as_str().unwrap_or_default().to_ascii_lowercase();
        for other in ["managementgroupdeploymenttemplate", "tenantdeploymenttemplate"] {
            if schema.contains(other) {
                return Err(TemplateError::unsupported(
                    "$schema",
                    "deployments to management groups and to the tenant",
                ));
            }
        }
        if !schema.contains("deploymenttemplate.json") {
            let reason = "this is no schema of a deployment template, such as \
                          'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#'";
            return Err(TemplateError::invalid("$schema", reason));
        }
        let has_symbolic_names = match source.get("languageVersion").and_then(Value::as_str) {
            None | Some("1.0" | "1.9-experimental") => false,
            Some("2.0" | "2.1-experimental" | "2.2-experimental") => true,
            Some(other) => {
                return Err(TemplateError::unsupported("languageVersion", format!("the language version '{other}'")));
            }
        };
        if has_symbolic_names != source["resources"].is_object() {
            let form = if has_symbolic_names { "an object with symbolic names" } else { "an array" };
            return Err(TemplateError::invalid("resources", format!("in this languageVersion, resources are {form}")));
        }
        let template = Self { source };
        template.check_numbers()?;
        template.check_expressions()?;
        Ok(template)
    }

    /// The template as written.
    #[must_use]
    pub fn source(&self) -> &Map<String, Value> {
        &self.source
    }

    /// A number that is the same for the same template.
    #[must_use]
    pub fn hash(&self) -> String {
        hash::murmur(Value::Object(self.source.clone()).to_string().as_bytes()).to_string()
    }

    /// The resources with their places, and their symbolic names if they have such.
    pub(crate) fn resources(&self) -> Result<Vec<WrittenResource<'_>>, TemplateError> {
        resources_in("resources", &self.source["resources"])
    }

    pub(crate) fn section(&self, name: &str) -> Map<String, Value> {
        self.source.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    pub(crate) fn variables(&self) -> Result<Names<Variable>, TemplateError> {
        let mut variables = Names::new();
        let twice =
            |name: &str| TemplateError::invalid(&format!("variables.{name}"), "there are two variables of this name");
        for (name, value) in self.section("variables") {
            if let ("copy", Value::Array(loops)) = (name.as_str(), &value) {
                for (i, each) in loops.iter().enumerate() {
                    let place = format!("variables.copy[{i}]");
                    let wrong = || TemplateError::invalid(&place, "a copy loop has a 'name', a 'count' and an 'input'");
                    let each = each.as_object().ok_or_else(wrong)?;
                    let name = each.get("name").and_then(Value::as_str).ok_or_else(wrong)?;
                    let variable = Variable { definition: Definition::Copy(each.clone()), value: Default::default() };
                    if !variables.insert(name, variable) {
                        return Err(twice(name));
                    }
                }
                continue;
            }
            if !variables.insert(&name, Variable { definition: Definition::Value(value), value: Default::default() }) {
                return Err(twice(&name));
            }
        }
        if variables.len() > limits::VARIABLES {
            return Err(too_many("variables", limits::VARIABLES));
        }
        Ok(variables)
    }

    pub(crate) fn functions(&self) -> Result<Names<UserFunction>, TemplateError> {
        let mut functions = Names::new();
        let spaces = self.source.get("functions").and_then(Value::as_array);
        for (i, space) in spaces.into_iter().flatten().enumerate() {
            let place = format!("functions[{i}]");
            let wrong = |reason: &str| TemplateError::invalid(&place, reason);
            let namespace =
                space.get("namespace").and_then(Value::as_str).ok_or_else(|| wrong("it needs a 'namespace'"))?;
            let members = space.get("members").and_then(Value::as_object).ok_or_else(|| wrong("it needs 'members'"))?;
            for (name, member) in members {
                let place = format!("{place}.members.{name}");
                let wrong = |reason: &str| TemplateError::invalid(&place, reason);
                let output = member
                    .pointer("/output/value")
                    .ok_or_else(|| wrong("a function needs an 'output' with a 'value'"))?;
                let parameters = match member.get("parameters") {
                    None => Vec::new(),
                    Some(Value::Array(parameters)) => {
                        let names = parameters.iter().map(|each| each.get("name")?.as_str().map(str::to_owned));
                        names.collect::<Option<_>>().ok_or_else(|| wrong("each of its parameters needs a 'name'"))?
                    }
                    Some(_) => return Err(wrong("its 'parameters' are an array")),
                };
                let function = UserFunction { parameters, output: output.clone() };
                if !functions.insert(&format!("{namespace}.{name}"), function) {
                    return Err(wrong("there are two functions of this name"));
                }
            }
        }
        Ok(functions)
    }

    fn check_numbers(&self) -> Result<(), TemplateError> {
        for (section, most) in [("parameters", limits::PARAMETERS), ("outputs", limits::OUTPUTS)] {
            if self.section(section).len() > most {
                return Err(too_many(section, most));
            }
        }
        self.variables()?;
        self.functions()?;
        Ok(())
    }

    /// Parses every expression, so that mistakes are told before anything is deployed.
    fn check_expressions(&self) -> Result<(), TemplateError> {
        let functions = self.functions()?;
        let check = |place: &str, text: &str| {
            let Text::Expression(source) = Text::of(text) else { return Ok(()) };
            let expression = parse(source, place)?;
            let mut outcome = Ok(());
            expression.visit(&mut |part| {
                if let (Ok(()), Expression::Call { name, .. }) = (&outcome, part) {
                    outcome = check_name(place, name, &functions);
                }
            });
            outcome
        };
        for section in ["parameters", "variables", "functions", "outputs"] {
            if let Some(value) = self.source.get(section) {
                visit_texts(&mut section.to_owned(), value, &check)?;
            }
        }
        for (place, _, resource) in self.resources()? {
            check_resource(&place, resource, &check)?;
        }
        Ok(())
    }
}

/// A resource as written: its place, its symbolic name if it has one, and itself.
pub(crate) type WrittenResource<'t> = (String, Option<&'t str>, &'t Map<String, Value>);

/// The resources of a section: an array, or an object with symbolic names.
pub(crate) fn resources_in<'t>(place: &str, section: &'t Value) -> Result<Vec<WrittenResource<'t>>, TemplateError> {
    let named: Vec<(String, Option<&str>, &Value)> = match section {
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(i, each)| (format!("{place}[{i}]"), None, each)).collect()
        }
        Value::Object(members) => {
            members.iter().map(|(name, each)| (format!("{place}.{name}"), Some(name.as_str()), each)).collect()
        }
        _ => return Err(TemplateError::invalid(place, "resources are an array, or an object with symbolic names")),
    };
    let as_object = |(place, name, each): (String, Option<&'t str>, &'t Value)| match each {
        Value::Object(resource) => Ok((place, name, resource)),
        _ => Err(TemplateError::invalid(&place, "a resource is an object")),
    };
    named.into_iter().map(as_object).collect()
}

/// Checks a resource's texts, but those of a template in it: that one is checked when it is deployed, with its own names.
fn check_resource(
    place: &str,
    resource: &Map<String, Value>,
    check: &impl Fn(&str, &str) -> Result<(), TemplateError>,
) -> Result<(), TemplateError> {
    for (name, value) in resource {
        let mut place = format!("{place}.{name}");
        match (name.as_str(), value) {
            ("resources", inner) => {
                for (place, _, resource) in resources_in(&place, inner)? {
                    check_resource(&place, resource, check)?;
                }
            }
            ("properties", Value::Object(properties)) if is_deployment(resource) => {
                for (name, value) in properties.iter().filter(|(name, _)| *name != "template") {
                    visit_texts(&mut format!("{place}.{name}"), value, check)?;
                }
            }
            _ => visit_texts(&mut place, value, check)?,
        }
    }
    Ok(())
}

/// Whether a resource of a template is itself a deployment.
pub(crate) fn is_deployment(resource: &Map<String, Value>) -> bool {
    resource.get("type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case(DEPLOYMENTS))
}

fn check_name(place: &str, name: &str, functions: &Names<UserFunction>) -> Result<(), TemplateError> {
    let lower = name.to_ascii_lowercase();
    if name.contains('.') {
        return match functions.get(name) {
            Some(_) => Ok(()),
            None => Err(TemplateError::invalid(
                place,
                format!("the template function '{name}' is not defined in the template"),
            )),
        };
    }
    if functions::find(&lower).is_some() || is_own(&lower) {
        return Ok(());
    }
    if functions::is_unsupported(&lower) {
        return Err(TemplateError::unsupported(place, format!("the template function '{name}'")));
    }
    Err(TemplateError::invalid(place, format!("the template function '{name}' is not valid")))
}

/// Visits every text in a value, names of members included.
pub(crate) fn visit_texts<E>(
    place: &mut String,
    value: &Value,
    visitor: &impl Fn(&str, &str) -> Result<(), E>,
) -> Result<(), E> {
    let length = place.len();
    match value {
        Value::String(text) => visitor(place, text)?,
        Value::Array(elements) => {
            for (i, element) in elements.iter().enumerate() {
                place.push_str(&format!("[{i}]"));
                visit_texts(place, element, visitor)?;
                place.truncate(length);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                visitor(place, name)?;
                place.push('.');
                place.push_str(name);
                visit_texts(place, value, visitor)?;
                place.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}

fn too_many(section: &str, most: usize) -> TemplateError {
    TemplateError::TooLarge { place: section.to_owned(), what: format!("there are more than {most} {section}") }
}

pub(crate) const DEPLOYMENTS: &str = "Microsoft.Resources/deployments";
