//! Outputs of a template.

use serde_json::{Map, Value, json};

use super::{Plan, settle};
use crate::template::error::{Stop, TemplateError};
use crate::template::runtime::{Evaluated, Known};
use crate::template::schema;

/// An output with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The type's word.
    pub type_word: &'static str,
    /// The value, if it is no secret.
    pub value: Option<Value>,
}

impl Output {
    /// As deployments are shown.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.value {
            Some(value) => json!({"type": self.type_word, "value": value}),
            None => json!({"type": self.type_word}),
        }
    }
}

impl Plan {
    /// The names of the outputs.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.outputs.keys().map(String::as_str)
    }

    /// An output; `None` when its condition is false.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn output(&self, name: &str, known: &Known) -> Result<Evaluated<Option<Output>>, TemplateError> {
        settle(self.read_output(name, known))
    }

    fn read_output(&self, name: &str, known: &Known) -> Result<Option<Output>, Stop> {
        let place = format!("outputs.{name}");
        let wrong = |reason: String| TemplateError::invalid(&place, reason);
        let Some(Value::Object(declaration)) = self.outputs.get(name) else {
            return Err(wrong("an output is an object with a 'type' and a 'value'".to_owned()).into());
        };
        let mut evaluator = self.evaluator(&place, &self.loops).with_resources(self, known);
        if let Some(condition) = declaration.get("condition")
            && !evaluator.at(".condition", |e| e.condition(condition))?
        {
            return Ok(None);
        }
        let value = match (declaration.get("value"), declaration.get("copy")) {
            (Some(value), None) => evaluator.at(".value", |e| e.json(value))?,
            (None, Some(Value::Object(copy))) => {
                let input =
                    copy.get("input").ok_or_else(|| wrong("a loop of an output needs an 'input'".to_owned()))?;
                let count = evaluator.at(".copy", |e| e.count(copy.get("count")))?;
                let elements = evaluator.repeat("", true, count, |e| e.at(".copy.input", |e| e.json(input)))?;
                Value::Array(elements)
            }
            _ => return Err(wrong("an output has either a 'value' or a 'copy'".to_owned()).into()),
        };
        self.typed(declaration, value).map(Some).map_err(|reason| wrong(format!("the output {reason}")).into())
    }

    fn typed(&self, declaration: &Map<String, Value>, value: Value) -> Result<Output, String> {
        let definitions = &self.bindings.definitions;
        let declared = schema::type_of(declaration, definitions)?;
        schema::check(declaration, &value, definitions)?;
        let is_secret = schema::holds_secrets(declaration, definitions);
        Ok(Output { type_word: declared.as_str(), value: (!is_secret).then_some(value) })
    }
}
