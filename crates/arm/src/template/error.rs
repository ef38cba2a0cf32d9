//! Why a template is refused, and how an evaluation ends early.

use super::runtime::RuntimeCall;
use crate::{ArmError, Code};

/// Why a template cannot be deployed. Says where, and quotes the expression; never quotes the value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is not JSON, not even as ARM reads it.
    #[error("The request content is not JSON: {reason} at line {line}, column {column}.")]
    Syntax {
        /// What was expected or is too much.
        reason: String,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
    },
    /// The template says what no template may say.
    #[error("Deployment template validation failed: {reason} (at '{place}').")]
    Invalid {
        /// The member, written as `resources[0].properties.sku`.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Azure Resource Manager would take this, Wharf does not.
    #[error("The template uses what this server does not support: {what} (at '{place}').")]
    Unsupported {
        /// The member that uses it.
        place: String,
        /// The function, type or member.
        what: String,
    },
    /// A parameter is missing, of another type, or out of its bounds.
    #[error("Deployment template validation failed: the parameter '{parameter}' {reason}.")]
    Parameter {
        /// The parameter's name.
        parameter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The template takes more work or room than a template may.
    #[error("Deployment template validation failed: the template is too large: {what} (at '{place}').")]
    TooLarge {
        /// What was being worked on.
        place: String,
        /// What there is too much of, and how much may be.
        what: String,
    },
}

impl TemplateError {
    pub(crate) fn invalid(place: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { place: place.to_owned(), reason: reason.into() }
    }

    pub(crate) fn unsupported(place: &str, what: impl Into<String>) -> Self {
        Self::Unsupported { place: place.to_owned(), what: what.into() }
    }

    pub(crate) fn parameter(parameter: &str, reason: impl Into<String>) -> Self {
        Self::Parameter { parameter: parameter.to_owned(), reason: reason.into() }
    }

    /// ARM's code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Syntax { .. } => Code::InvalidRequestContent,
            Self::Invalid { .. } | Self::Parameter { .. } | Self::TooLarge { .. } => Code::InvalidTemplate,
            Self::Unsupported { .. } => Code::InvalidTemplateDeployment,
        }
    }
}

impl From<TemplateError> for ArmError {
    fn from(error: TemplateError) -> Self {
        let target = match &error {
            TemplateError::Syntax { .. } => None,
            TemplateError::Invalid { place, .. }
            | TemplateError::Unsupported { place, .. }
            | TemplateError::TooLarge { place, .. } => Some(place.clone()),
            TemplateError::Parameter { parameter, .. } => Some(format!("parameters.{parameter}")),
        };
        let answer = Self::new(error.code(), error.to_string());
        match target {
            Some(target) => answer.with_target(target),
            None => answer,
        }
    }
}

/// How an evaluation ends before its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stop {
    /// It cannot be done.
    Error(TemplateError),
    /// It can be done once somebody has asked for this.
    Needs(Box<RuntimeCall>),
}

impl From<TemplateError> for Stop {
    fn from(error: TemplateError) -> Self {
        Self::Error(error)
    }
}

/// Why a function does not take its arguments; the evaluator adds where that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The arguments are wrong; the text follows "The template function 'x' ".
    Wrong(String),
    /// The function does what is asked for in Azure, but not here.
    Unsupported(String),
    /// The result would be too large.
    TooLarge(&'static str),
}

impl Fault {
    pub(crate) fn wrong(text: impl Into<String>) -> Self {
        Self::Wrong(text.into())
    }
}
