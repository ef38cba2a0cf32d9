//! A role assignment: read from a body, and shown.

use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_access::{AssignmentAttributes, Condition};
use wharf_arm::{ArmError, Code, Members};
use wharf_metadata::RoleAssignmentRow;
use wharf_model::{PrincipalId, PrincipalKind, ResourceId};

use super::ROLE_ASSIGNMENTS;
use super::scope::{id_at, role_definition_id, role_of};
use crate::failure::Failure;

/// What the body of a `PUT` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) role_id: Uuid,
    /// As written, for errors.
    pub(super) role_definition_id: String,
    pub(super) principal_id: PrincipalId,
    /// What the principal is said to be, in the words of `principalType`.
    pub(super) principal_type: Option<&'static str>,
    pub(super) condition: Option<String>,
    pub(super) description: Option<String>,
}

impl Wanted {
    /// Reads a body.
    ///
    /// # Errors
    /// When something is missing or cannot be; for conditions with the place where it stands.
    pub(super) fn read(body: &Map<String, Value>) -> Result<Self, ArmError> {
        let body = Members::of(body);
        let properties = body.object("properties")?;
        let properties = body.required("properties", properties)?;
        let role = properties.required("roleDefinitionId", properties.text("roleDefinitionId")?)?;
        let role_id = role_of(role).ok_or_else(|| {
            properties
                .invalid("roleDefinitionId", "expected …/roleDefinitions/{GUID}, as az role definition list shows it")
        })?;
        let principal = properties.required("principalId", properties.text("principalId")?)?;
        let principal_id = Uuid::try_parse(principal)
            .map(PrincipalId)
            .map_err(|_| properties.invalid("principalId", "expected an object id, a GUID"))?;
        let description = texts(properties.text("description")?);
        if description.is_some_and(|text| text.chars().count() > MOST_DESCRIPTION) {
            return Err(properties.invalid("description", "it has more than 1,024 characters"));
        }
        Ok(Self {
            role_id,
            role_definition_id: role.to_owned(),
            principal_id,
            principal_type: principal_type(&properties)?,
            condition: condition(&properties)?,
            description: description.map(str::to_owned),
        })
    }
}

/// An empty text is none.
fn texts(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

fn principal_type(properties: &Members<'_>) -> Result<Option<&'static str>, ArmError> {
    let Some(word) = texts(properties.text("principalType")?) else { return Ok(None) };
    if word.eq_ignore_ascii_case("Unknown") {
        return Ok(None);
    }
    // What is written is one of three words; a managed identity is a service principal here.
    let known = PrincipalKind::EVERY.map(PrincipalKind::assignment_word);
    let found = known.into_iter().find(|known| known.eq_ignore_ascii_case(word));
    let unsupported = || {
        let text = format!(
            "The principal type '{word}' is not supported; there are User, Group and ServicePrincipal, which managed \
             identities are too."
        );
        ArmError::new(Code::PrincipalTypeNotSupported, text).with_target(properties.path("principalType"))
    };
    found.ok_or_else(unsupported).map(Some)
}

fn condition(properties: &Members<'_>) -> Result<Option<String>, ArmError> {
    let condition = texts(properties.text("condition")?);
    let version = texts(properties.text("conditionVersion")?);
    let invalid = |member: &str, reason: String| {
        let text = format!("The given role assignment condition is invalid. {reason}");
        ArmError::new(Code::InvalidCondition, text).with_target(properties.path(member))
    };
    let Some(condition) = condition else {
        return match version {
            None => Ok(None),
            Some(_) => Err(invalid("condition", "There is a conditionVersion, but no condition.".to_owned())),
        };
    };
    if version.is_some_and(|version| version != CONDITION_VERSION) {
        return Err(invalid("conditionVersion", format!("The conditionVersion must be '{CONDITION_VERSION}'.")));
    }
    match condition.parse::<Condition>() {
        // As written: whoever reads it again finds what they wrote.
        Ok(_) => Ok(Some(condition.to_owned())),
        Err(error) => {
            let told = error.to_string();
            let mut told = told.chars();
            let first = told.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
            Err(invalid("condition", format!("{first}{}.", told.as_str())))
        }
    }
}

/// What conditions on handing out access may ask of an assignment.
pub(super) fn attributes(row: &RoleAssignmentRow) -> AssignmentAttributes<'_> {
    AssignmentAttributes {
        role_definition_id: row.role_id,
        principal_id: row.principal_id.0,
        principal_type: &row.principal_type,
    }
}

/// The assignment as it is told at `asked_at`.
pub(super) fn show(row: &RoleAssignmentRow, asked_at: &ResourceId) -> Result<Value, Failure> {
    Ok(json!({
        "id": id_at(&row.scope, ROLE_ASSIGNMENTS, row.id)?.as_str(),
        "name": row.id,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "roleDefinitionId": role_definition_id(asked_at, row.role_id),
            "principalId": row.principal_id,
            "principalType": row.principal_type,
            "scope": row.scope.as_str(),
            "condition": row.condition,
            "conditionVersion": row.condition_version,
            "description": row.description,
            "createdOn": row.created_at.to_string(),
            "updatedOn": row.updated_at.to_string(),
            "createdBy": texts(Some(&row.created_by)),
            "updatedBy": texts(Some(&row.updated_by)),
            "delegatedManagedIdentityResourceId": null,
        },
    }))
}

/// The one version of the language of conditions.
pub(super) const CONDITION_VERSION: &str = "2.0";
/// Characters of the longest description.
const MOST_DESCRIPTION: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(properties: Value) -> Result<Wanted, ArmError> {
        let body = json!({ "properties": properties });
        Wanted::read(body.as_object().unwrap())
    }

    fn with(member: &str, value: Value) -> Result<Wanted, ArmError> {
        let role = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001/providers/Microsoft.Authorization/roleDefinitions/\
                    7f951dda-4ed3-4680-a7ca-43fe172d538d";
        let mut properties = json!({"roleDefinitionId": role, "principalId": "00000000-0000-0000-0000-000000000007"});
        properties[member] = value;
        read(properties)
    }

    #[test]
    fn a_body_is_read_in_any_casing_and_nothing_is_the_same_as_null() {
        let wanted = with("principalType", json!("serviceprincipal")).unwrap();
        assert_eq!(wanted.principal_type, Some("ServicePrincipal"));
        assert_eq!(wanted.principal_id.0, Uuid::from_u128(7));
        for (member, value) in [
            ("principalType", json!(null)),
            ("principalType", json!("Unknown")),
            ("condition", json!(null)),
            ("condition", json!("")),
            ("conditionVersion", json!(null)),
            ("description", json!("")),
            ("delegatedManagedIdentityResourceId", json!("/x")),
        ] {
            let wanted = with(member, value).unwrap();
            assert_eq!((wanted.principal_type, wanted.condition, wanted.description), (None, None, None), "{member}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let cases = [
            with("roleDefinitionId", json!("AcrPull")),
            with("roleDefinitionId", json!(null)),
            with("principalId", json!("me")),
            with("principalType", json!("Robot")),
            with("conditionVersion", json!("2.0")),
            with("condition", json!("@Request[x] StringEquals 'y'")),
            with("condition", json!("Exists")),
            with("description", json!("x".repeat(1025))),
            with("description", json!(7)),
        ];
        let told: Vec<String> = cases
            .into_iter()
            .map(|case| case.unwrap_err())
            .map(|error| format!("{} {}: {}", error.code.as_str(), error.target.unwrap_or_default(), error.message))
            .collect();
        insta::assert_snapshot!(told.join("\n"));
        let condition = "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringEquals 'a'";
        let mut body = json!({"roleDefinitionId": Uuid::nil(), "principalId": Uuid::nil(), "condition": condition});
        assert_eq!(read(body.clone()).unwrap().condition.as_deref(), Some(condition), "the version may be left out");
        body["conditionVersion"] = json!("1.0");
        assert!(read(body).unwrap_err().message.contains("must be '2.0'"));
        assert!(Wanted::read(&Map::new()).is_err());
    }
}
