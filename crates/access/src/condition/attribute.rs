//! The attributes that requests have, and their values.

use std::fmt;

use uuid::Uuid;
use wharf_model::Timestamp;

/// What is known of a request when its condition is decided. A condition that hangs on what is absent does
/// not hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    /// The repository that a request on the data plane is for.
    pub repository: Option<&'a str>,
    /// The role assignment that is to be made or changed.
    pub requested: Option<AssignmentAttributes<'a>>,
    /// The role assignment that is there and is to be deleted or changed.
    pub existing: Option<AssignmentAttributes<'a>>,
    /// When and from where the request came.
    pub environment: Option<Environment>,
}

/// A role assignment, to conditions on handing out access.
#[derive(Clone, Copy, Debug)]
pub struct AssignmentAttributes<'a> {
    /// The role.
    pub role_definition_id: Uuid,
    /// To whom it is given.
    pub principal_id: Uuid,
    /// What they are: `User`, `Group` or `ServicePrincipal`.
    pub principal_type: &'a str,
}

/// When and from where a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The time.
    pub now: Timestamp,
    /// Whether it came over the private endpoint.
    pub is_private: bool,
}

/// An attribute that a condition can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Repository,
    Requested(Part),
    Existing(Part),
    UtcNow,
    IsPrivateLink,
}

/// A part of a role assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    RoleDefinitionId,
    PrincipalId,
    PrincipalType,
}

/// What an attribute's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Guid,
    Boolean,
    DateTime,
}

impl Type {
    /// For errors: "it is …".
    pub(super) fn one(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Guid => "a GUID",
            Self::Boolean => "true or false",
            Self::DateTime => "a time, such as '2026-12-31T23:59:59Z'",
        }
    }

    /// For errors: "it compares …".
    pub(super) fn many(self) -> &'static str {
        match self {
            Self::Text => "texts",
            Self::Guid => "GUIDs",
            Self::Boolean => "true and false",
            Self::DateTime => "times",
        }
    }
}

/// A value that an attribute has at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Guid(Uuid),
    Boolean(bool),
    DateTime(Timestamp),
}

impl Attribute {
    const EVERY: [Self; 9] = [
        Self::Repository,
        Self::Requested(Part::RoleDefinitionId),
        Self::Requested(Part::PrincipalId),
        Self::Requested(Part::PrincipalType),
        Self::Existing(Part::RoleDefinitionId),
        Self::Existing(Part::PrincipalId),
        Self::Existing(Part::PrincipalType),
        Self::UtcNow,
        Self::IsPrivateLink,
    ];

    /// The attribute that is written so, in any casing.
    pub(super) fn find(source: &str, name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|attribute| {
            let (own_source, own_name) = attribute.parts();
            own_source.eq_ignore_ascii_case(source) && own_name.eq_ignore_ascii_case(name)
        })
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Repository => ("Request", "Microsoft.ContainerRegistry/registries/repositories:name"),
            Self::Requested(part) => ("Request", part.name()),
            Self::Existing(part) => ("Resource", part.name()),
            Self::UtcNow => ("Environment", "UtcNow"),
            Self::IsPrivateLink => ("Environment", "isPrivateLink"),
        }
    }

    pub(super) fn kind(self) -> Type {
        match self {
            Self::Repository | Self::Requested(Part::PrincipalType) | Self::Existing(Part::PrincipalType) => Type::Text,
            Self::Requested(_) | Self::Existing(_) => Type::Guid,
            Self::UtcNow => Type::DateTime,
            Self::IsPrivateLink => Type::Boolean,
        }
    }

    /// Whether its value differs between requests that have everything else in common.
    pub(super) fn is_of_environment(self) -> bool {
        matches!(self, Self::UtcNow | Self::IsPrivateLink)
    }

    pub(super) fn value<'a>(self, of: &Attributes<'a>) -> Option<Value<'a>> {
        match self {
            Self::Repository => of.repository.map(Value::Text),
            Self::Requested(part) => of.requested.map(|assignment| part.value(assignment)),
            Self::Existing(part) => of.existing.map(|assignment| part.value(assignment)),
            Self::UtcNow => of.environment.map(|environment| Value::DateTime(environment.now)),
            Self::IsPrivateLink => of.environment.map(|environment| Value::Boolean(environment.is_private)),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, name) = self.parts();
        write!(f, "@{source}[{name}]")
    }
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::RoleDefinitionId => "Microsoft.Authorization/roleAssignments:RoleDefinitionId",
            Self::PrincipalId => "Microsoft.Authorization/roleAssignments:PrincipalId",
            Self::PrincipalType => "Microsoft.Authorization/roleAssignments:PrincipalType",
        }
    }

    fn value(self, of: AssignmentAttributes<'_>) -> Value<'_> {
        match self {
            Self::RoleDefinitionId => Value::Guid(of.role_definition_id),
            Self::PrincipalId => Value::Guid(of.principal_id),
            Self::PrincipalType => Value::Text(of.principal_type),
        }
    }
}

/// All attributes, for errors.
pub(super) fn known() -> String {
    let all: Vec<String> = Attribute::EVERY.iter().map(ToString::to_string).collect();
    all.join(", ")
}
