//! Functions that take a lambda: `map(parameters('names'), lambda('name', toLower(lambdaVariables('name'))))`.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Evaluator, Outcome, Stop};
use crate::template::error::Fault;
use crate::template::expression::Expression;
use crate::template::functions::{as_text, kind_of};

/// A lambda's variables, and its body.
struct Lambda<'x> {
    variables: Vec<&'x str>,
    body: &'x Expression,
}

impl Evaluator<'_> {
    pub(super) fn with_lambda(&mut self, lower: &str, name: &str, arguments: &[Expression]) -> Outcome {
        let (fewest, most) = match lower {
            "reduce" => (3, 3),
            "toobject" => (2, 3),
            _ => (2, 2),
        };
        self.expect(name, arguments, fewest, most)?;
        let given = self.expression(&arguments[0])?;
        if lower == "mapvalues" {
            let lambda = self.lambda(name, arguments, 1, 1..=1)?;
            let Value::Object(members) = given else {
                return Err(self.not_given(name, arguments, "an object", &given));
            };
            let mapped = members.into_iter().map(|(key, value)| Ok((key, self.apply(&lambda, vec![value])?)));
            return Ok(Value::Object(mapped.collect::<Result<Map<_, _>, Stop>>()?));
        }
        let Value::Array(elements) = given else { return Err(self.not_given(name, arguments, "an array", &given)) };
        match lower {
            "map" => {
                let lambda = self.lambda(name, arguments, 1, 1..=2)?;
                let mapped = numbered(elements).map(|(index, element)| self.apply(&lambda, vec![element, index]));
                Ok(Value::Array(mapped.collect::<Result<_, _>>()?))
            }
            "filter" => {
                let lambda = self.lambda(name, arguments, 1, 1..=2)?;
                let mut kept = Vec::new();
                for (index, element) in numbered(elements) {
                    if self.applies(name, arguments, &lambda, vec![element.clone(), index])? {
                        kept.push(element);
                    }
                }
                Ok(Value::Array(kept))
            }
            "reduce" => {
                let start = self.expression(&arguments[1])?;
                let lambda = self.lambda(name, arguments, 2, 2..=3)?;
                numbered(elements)
                    .try_fold(start, |result, (index, element)| self.apply(&lambda, vec![result, element, index]))
            }
            "sort" => {
                let lambda = self.lambda(name, arguments, 1, 2..=2)?;
                self.merge_sort(elements, &mut |e, one, other| {
                    e.applies(name, arguments, &lambda, vec![one.clone(), other.clone()])
                })
                .map(Value::Array)
            }
            "groupby" => {
                let lambda = self.lambda(name, arguments, 1, 1..=1)?;
                let mut groups = Map::new();
                for element in elements {
                    let key = self.key(name, arguments, &lambda, &element)?;
                    if let Value::Array(group) = groups.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
                        group.push(element);
                    }
                }
                Ok(Value::Object(groups))
            }
            _ => {
                let key = self.lambda(name, arguments, 1, 1..=1)?;
                let value = match arguments.len() {
                    3 => Some(self.lambda(name, arguments, 2, 1..=1)?),
                    _ => None,
                };
                let mut members = Map::new();
                for element in elements {
                    let key = self.key(name, arguments, &key, &element)?;
                    let value = match &value {
                        Some(value) => self.apply(value, vec![element])?,
                        None => element,
                    };
                    members.insert(key, value);
                }
                Ok(Value::Object(members))
            }
        }
    }

    /// The lambda that stands as an argument, with so many variables.
    fn lambda<'x>(
        &mut self,
        name: &str,
        arguments: &'x [Expression],
        at: usize,
        variables: std::ops::RangeInclusive<usize>,
    ) -> Result<Lambda<'x>, Stop> {
        let wrong = || {
            let (fewest, most) = (variables.start(), variables.end());
            let count = if fewest == most { format!("{fewest}") } else { format!("{fewest} to {most}") };
            Fault::wrong(format!("expects a lambda with {count} variables as argument {}", at + 1))
        };
        if let Expression::Call { name: called, arguments: parts } = &arguments[at]
            && called.eq_ignore_ascii_case("lambda")
            && let Some((body, named)) = parts.split_last()
            && variables.contains(&named.len())
        {
            let named = named.iter().map(|each| match each {
                Expression::Text(variable) => Some(variable.as_str()),
                _ => None,
            });
            if let Some(variables) = named.collect::<Option<Vec<_>>>() {
                return Ok(Lambda { variables, body });
            }
        }
        Err(self.fault(name, arguments, wrong()))
    }

    /// The lambda's value where its variables have these values; those beyond its variables are left out.
    fn apply(&mut self, lambda: &Lambda<'_>, values: Vec<Value>) -> Outcome {
        let before = self.locals.len();
        self.locals.extend(lambda.variables.iter().map(|variable| (*variable).to_owned()).zip(values));
        let outcome = self.expression(lambda.body);
        self.locals.truncate(before);
        outcome
    }

    fn applies(
        &mut self,
        name: &str,
        arguments: &[Expression],
        lambda: &Lambda<'_>,
        values: Vec<Value>,
    ) -> Result<bool, Stop> {
        match self.apply(lambda, values)? {
            Value::Bool(value) => Ok(value),
            other => {
                let reason = format!("expects its lambda to return a boolean and got {}", kind_of(&other));
                Err(self.fault(name, arguments, Fault::wrong(reason)))
            }
        }
    }

    fn key(
        &mut self,
        name: &str,
        arguments: &[Expression],
        lambda: &Lambda<'_>,
        element: &Value,
    ) -> Result<String, Stop> {
        match self.apply(lambda, vec![element.clone()])? {
            key @ (Value::String(_) | Value::Number(_)) => Ok(as_text(&key)),
            other => {
                let reason = format!("expects its lambda to return a string and got {}", kind_of(&other));
                Err(self.fault(name, arguments, Fault::wrong(reason)))
            }
        }
    }

    /// Sorts by a lambda that says whether one element stands before another. It may fail, and it may contradict itself,
    /// which the library's sorting does not take.
    fn merge_sort(
        &mut self,
        mut elements: Vec<Value>,
        is_less: &mut dyn FnMut(&mut Self, &Value, &Value) -> Result<bool, Stop>,
    ) -> Result<Vec<Value>, Stop> {
        if elements.len() < 2 {
            return Ok(elements);
        }
        let right = elements.split_off(elements.len() / 2);
        let left = self.merge_sort(elements, is_less)?;
        let right = self.merge_sort(right, is_less)?;
        let mut merged = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
            // Of equal elements, the one that was first stays first.
            let order = if is_less(self, other, one)? { Ordering::Greater } else { Ordering::Less };
            merged.extend(if order.is_lt() { left.next() } else { right.next() });
        }
        merged.extend(left);
        merged.extend(right);
        Ok(merged)
    }

    fn not_given(&self, name: &str, arguments: &[Expression], what: &str, given: &Value) -> Stop {
        let reason = format!("expects {what} as argument 1 and is given {}", kind_of(given));
        self.fault(name, arguments, Fault::wrong(reason))
    }
}

fn numbered(elements: Vec<Value>) -> impl Iterator<Item = (Value, Value)> {
    elements.into_iter().enumerate().map(|(index, element)| (Value::from(index), element))
}
