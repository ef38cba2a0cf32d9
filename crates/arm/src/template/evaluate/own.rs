//! Functions that look at the template or the deployment, or that leave some of their arguments alone.

use serde_json::Value;

use super::{Evaluator, Outcome, Stage, Stop};
use crate::template::error::{Fault, TemplateError};
use crate::template::expression::Expression;
use crate::template::functions::{self, kind_of};
use crate::template::ids;

/// The names of the functions below and in the files beside, in lower case.
const NAMES: &[&str] = &[
    "and",
    "coalesce",
    "copyindex",
    "deployer",
    "deployment",
    "environment",
    "extensionresourceid",
    "fail",
    "filter",
    "groupby",
    "if",
    "lambda",
    "lambdavariables",
    "map",
    "mapvalues",
    "newguid",
    "or",
    "parameters",
    "reduce",
    "reference",
    "references",
    "resourcegroup",
    "resourceid",
    "sort",
    "subscription",
    "subscriptionresourceid",
    "tenant",
    "tenantresourceid",
    "toobject",
    "utcnow",
    "variables",
];

/// Whether there is a function of this name that is the evaluator's own, given in lower case.
pub(crate) fn is_own(name: &str) -> bool {
    NAMES.contains(&name) || is_list(name)
}

/// `listCredentials` and its like, which ask a resource to do something.
pub(super) fn is_list(name: &str) -> bool {
    name.strip_prefix("list").is_some_and(|rest| !rest.is_empty())
}

impl Evaluator<'_> {
    /// Calls one of the evaluator's own functions; `None` when there is none of this name.
    pub(super) fn own_function(&mut self, lower: &str, name: &str, arguments: &[Expression]) -> Option<Outcome> {
        let environment = self.environment;
        Some(match lower {
            "parameters" => self.named(name, arguments, |e, named| match e.stage {
                Stage::Function => e.argument(named),
                _ => e.parameter(named).map(|value| (*value).clone()),
            }),
            "variables" => self.named(name, arguments, |e, named| e.variable(named).map(|value| (*value).clone())),
            "if" => self.choice(name, arguments),
            "and" => self.all_or_any(name, arguments, false),
            "or" => self.all_or_any(name, arguments, true),
            "coalesce" => self.coalesce(name, arguments),
            "copyindex" => self.copy_index(name, arguments),
            "fail" => self.fail(name, arguments),
            "lambda" => Err(self.invalid("a lambda stands as an argument of 'map', 'filter' and their like only")),
            "lambdavariables" => self.named(name, arguments, Self::local),
            "map" | "filter" | "reduce" | "sort" | "toobject" | "groupby" | "mapvalues" => {
                self.with_lambda(lower, name, arguments)
            }
            "resourceid" => self.id(name, arguments, |ids| ids::resource_id(&environment.scope, ids)),
            "subscriptionresourceid" => {
                self.id(name, arguments, |ids| ids::subscription_resource_id(&environment.scope, ids))
            }
            "tenantresourceid" => self.id(name, arguments, ids::tenant_resource_id),
            "extensionresourceid" => self.id(name, arguments, ids::extension_resource_id),
            "resourcegroup" => match &environment.resource_group {
                Some(group) => self.surroundings(name, arguments, group),
                None => Err(self.invalid(format!(
                    "the template function '{name}' is not expected in a deployment to a subscription"
                ))),
            },
            "subscription" => self.surroundings(name, arguments, &environment.subscription),
            "tenant" => self.surroundings(name, arguments, &environment.tenant),
            "deployment" => self.surroundings(name, arguments, &environment.deployment),
            "environment" => self.surroundings(name, arguments, &environment.environment),
            "deployer" => self.surroundings(name, arguments, &environment.deployer),
            "utcnow" => self.utc_now(name, arguments),
            "newguid" => self.new_guid(name, arguments),
            "reference" => self.reference(name, arguments),
            "references" => self.references(name, arguments),
            _ if is_list(lower) => self.list(name, arguments),
            _ => return None,
        })
    }

    /// A function of the template.
    pub(super) fn user_function(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        let bindings = self.bindings;
        let Some(function) = bindings.functions.get(name) else {
            return Err(self.invalid(format!("the template function '{name}' is not defined in the template")));
        };
        self.expect(name, arguments, function.parameters.len(), function.parameters.len())?;
        let mut given = Vec::with_capacity(arguments.len());
        for (parameter, argument) in function.parameters.iter().zip(arguments) {
            given.push((parameter.clone(), self.expression(argument)?));
        }
        self.aside(&format!("function '{name}'"), format!("functions.{name}.output"), Stage::Function, |e| {
            e.arguments = given;
            e.json(&function.output)
        })
    }

    /// A function whose one argument is a name.
    fn named(
        &mut self,
        name: &str,
        arguments: &[Expression],
        find: impl FnOnce(&mut Self, &str) -> Outcome,
    ) -> Outcome {
        self.expect(name, arguments, 1, 1)?;
        match self.expression(&arguments[0])? {
            Value::String(named) => find(self, &named),
            other => {
                let reason = format!("expects a string and is given {}", kind_of(&other));
                Err(self.fault(name, arguments, Fault::wrong(reason)))
            }
        }
    }

    fn argument(&mut self, named: &str) -> Outcome {
        let found = self.arguments.iter().find(|(name, _)| name.eq_ignore_ascii_case(named));
        let found = found.map(|(_, value)| value.clone());
        found.ok_or_else(|| self.invalid(format!("the function has no parameter '{named}'")))
    }

    fn local(&mut self, named: &str) -> Outcome {
        let found = self.locals.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(named));
        let found = found.map(|(_, value)| value.clone());
        found.ok_or_else(|| self.invalid(format!("no lambda around this has a variable '{named}'")))
    }

    fn choice(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        self.expect(name, arguments, 3, 3)?;
        let is_true = self.truth(name, arguments, 0)?;
        self.expression(&arguments[if is_true { 1 } else { 2 }])
    }

    /// `and` and `or`, which need not look further than to the first argument that decides.
    fn all_or_any(&mut self, name: &str, arguments: &[Expression], decides: bool) -> Outcome {
        self.expect(name, arguments, 2, usize::MAX)?;
        for at in 0..arguments.len() {
            if self.truth(name, arguments, at)? == decides {
                return Ok(decides.into());
            }
        }
        Ok((!decides).into())
    }

    fn truth(&mut self, name: &str, arguments: &[Expression], at: usize) -> Result<bool, Stop> {
        match self.expression(&arguments[at])? {
            Value::Bool(value) => Ok(value),
            other => {
                let reason = format!("expects a boolean as argument {} and is given {}", at + 1, kind_of(&other));
                Err(self.fault(name, arguments, Fault::wrong(reason)))
            }
        }
    }

    fn coalesce(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        self.expect(name, arguments, 1, usize::MAX)?;
        for argument in arguments {
            let value = self.expression(argument)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        Ok(Value::Null)
    }

    fn copy_index(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        self.expect(name, arguments, 0, 2)?;
        let (mut named, mut offset) = (None, 0);
        for (at, argument) in arguments.iter().enumerate() {
            match self.expression(argument)? {
                Value::String(text) if at == 0 => named = Some(text),
                Value::Number(number) if number.is_i64() && (at == 1 || arguments.len() == 1) => {
                    offset = number.as_i64().unwrap_or_default();
                }
                _ => {
                    let reason =
                        Fault::wrong("expects the name of a copy loop and an integer to be added, both optional");
                    return Err(self.fault(name, arguments, reason));
                }
            }
        }
        let found = match &named {
            Some(named) => self.loops.iter().rev().find(|each| each.name.eq_ignore_ascii_case(named)),
            None => self.loops.iter().rev().find(|each| each.is_outer).or(self.loops.last()),
        };
        let Some(index) = found.map(|each| each.index) else {
            return Err(match named {
                Some(named) => self.invalid(format!("there is no copy loop '{named}' around this '{name}'")),
                None => self.invalid(format!("the template function '{name}' is expected within a copy loop only")),
            });
        };
        match index.checked_add(offset) {
            Some(index) => Ok(index.into()),
            None => Err(self.fault(name, arguments, Fault::wrong("comes to more than 64 bits hold"))),
        }
    }

    fn fail(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        self.named(name, arguments, |e, message| {
            let message: String = message.chars().take(1000).collect();
            Err(e.invalid(format!("the template says: {message}")))
        })
    }

    fn id(
        &mut self,
        name: &str,
        arguments: &[Expression],
        put_together: impl FnOnce(&[&str]) -> Result<String, String>,
    ) -> Outcome {
        self.expect(name, arguments, 2, usize::MAX)?;
        let mut given = Vec::with_capacity(arguments.len());
        for (at, argument) in arguments.iter().enumerate() {
            match self.expression(argument)? {
                Value::String(text) => given.push(text),
                other => {
                    let reason = format!("expects a string as argument {} and is given {}", at + 1, kind_of(&other));
                    return Err(self.fault(name, arguments, Fault::wrong(reason)));
                }
            }
        }
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        put_together(&given).map(Value::from).map_err(|reason| {
            self.invalid(format!(
                "the template function '{name}' cannot put an id together, {reason}: '{}'",
                self.written(name, arguments)
            ))
        })
    }

    fn surroundings(&mut self, name: &str, arguments: &[Expression], value: &Value) -> Outcome {
        self.expect(name, arguments, 0, 0)?;
        Ok(value.clone())
    }

    fn utc_now(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        self.expect(name, arguments, 0, 1)?;
        self.only_in_defaults(name)?;
        let format = match arguments.first() {
            Some(format) => match self.expression(format)? {
                Value::String(format) => Some(format),
                other => {
                    let reason = format!("expects a string and is given {}", kind_of(&other));
                    return Err(self.fault(name, arguments, Fault::wrong(reason)));
                }
            },
            None => None,
        };
        let written = functions::now_as_text(self.environment.now, format.as_deref());
        Ok(written.map_err(|fault| self.fault(name, arguments, fault))?.into())
    }

    fn new_guid(&mut self, name: &str, arguments: &[Expression]) -> Outcome {
        self.expect(name, arguments, 0, 0)?;
        self.only_in_defaults(name)?;
        Ok((self.environment.new_guid)().hyphenated().to_string().into())
    }

    fn only_in_defaults(&self, name: &str) -> Result<(), TemplateError> {
        match self.stage {
            Stage::Default => Ok(()),
            _ => Err(TemplateError::invalid(
                &self.place,
                format!("the template function '{name}' is expected in the default of a parameter only"),
            )),
        }
    }
}
