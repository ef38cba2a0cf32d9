//! `$filter` of the lists of role assignments and role definitions.

use uuid::Uuid;
use wharf_arm::{Argument, ArmError, Code, Filter};

/// Which role assignments are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AssignmentsAsked {
    /// `atScope()`: not those below the scope.
    pub(super) not_below: bool,
    /// `principalId eq '…'`: those given to exactly this principal.
    pub(super) principal: Option<Uuid>,
    /// `assignedTo('…')`: those that count for this principal, by groups too.
    pub(super) counting_for: Option<Uuid>,
}

/// Which role definitions are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DefinitionsAsked {
    /// `roleName eq '…'`.
    pub(super) name: Option<String>,
    /// `type eq 'BuiltInRole'`, or `'CustomRole'`.
    pub(super) is_built_in: Option<bool>,
    /// `atScopeAndBelow()`: also those that can be assigned below the scope alone.
    pub(super) also_below: bool,
}

impl AssignmentsAsked {
    /// # Errors
    /// `InvalidFilterInQueryString`, for what role assignments cannot be listed by.
    pub(super) fn of(filter: Option<&str>) -> Result<Self, ArmError> {
        let mut asked = Self::default();
        for term in terms(filter)? {
            match (term.word.as_str(), term.value) {
                ("atscope()", None) => asked.not_below = true,
                ("assignedto()", Some(id)) => asked.counting_for = Some(guid(&id)?),
                ("principalid", Some(id)) => asked.principal = Some(guid(&id)?),
                _ => {
                    return Err(unsupported(
                        "role assignments can be listed by atScope(), principalId eq '{id}' and assignedTo('{id}')",
                    ));
                }
            }
        }
        Ok(asked)
    }
}

impl DefinitionsAsked {
    /// # Errors
    /// `InvalidFilterInQueryString`, for what roles cannot be listed by.
    pub(super) fn of(filter: Option<&str>) -> Result<Self, ArmError> {
        let mut asked = Self::default();
        for term in terms(filter)? {
            match (term.word.as_str(), term.value) {
                ("atscopeandbelow()", None) => asked.also_below = true,
                ("rolename", Some(name)) => asked.name = Some(name),
                ("type", Some(word)) if word.eq_ignore_ascii_case(BUILT_IN) => asked.is_built_in = Some(true),
                ("type", Some(word)) if word.eq_ignore_ascii_case(CUSTOM) => asked.is_built_in = Some(false),
                _ => {
                    return Err(unsupported(
                        "roles can be listed by roleName eq '{name}', type eq 'BuiltInRole' or 'CustomRole', and \
                         atScopeAndBelow()",
                    ));
                }
            }
        }
        Ok(asked)
    }
}

/// A part of a filter whose parts must all hold: a member and its value, or a call with at most one text. Words are in
/// lower case, those of calls with their parentheses.
struct Term {
    word: String,
    value: Option<String>,
}

fn terms(filter: Option<&str>) -> Result<Vec<Term>, ArmError> {
    let Some(filter) = filter else { return Ok(Vec::new()) };
    let parts = match Filter::parse(filter)? {
        Filter::And(parts) => parts,
        single => vec![single],
    };
    let term = |part| match part {
        Filter::Equals { member, value } => {
            // Some SDKs write `properties/roleName`.
            let member = member.to_ascii_lowercase();
            let word = member.strip_prefix("properties/").unwrap_or(&member).to_owned();
            Ok(Term { word, value: Some(value) })
        }
        Filter::Call { name, arguments } => match arguments.as_slice() {
            [] => Ok(Term { word: format!("{name}()"), value: None }),
            [Argument::Text(text)] => Ok(Term { word: format!("{name}()"), value: Some(text.clone()) }),
            _ => Err(unsupported("calls take one text at most")),
        },
        Filter::Or(_) | Filter::Not(_) | Filter::And(_) => Err(unsupported("its parts can be joined by and only")),
    };
    parts.into_iter().map(term).collect()
}

fn guid(text: &str) -> Result<Uuid, ArmError> {
    Uuid::try_parse(text).map_err(|_| unsupported("a principal is named by its object id, a GUID"))
}

fn unsupported(reason: &str) -> ArmError {
    ArmError::new(Code::InvalidFilterInQueryString, format!("The filter cannot be used here: {reason}."))
        .with_target("$filter")
}

/// What the roles are called that came with the product.
pub(super) const BUILT_IN: &str = "BuiltInRole";
/// What the roles are called that users defined.
pub(super) const CUSTOM: &str = "CustomRole";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    #[test]
    fn what_az_and_the_sdks_send_is_understood() {
        let read = |filter: &str| AssignmentsAsked::of(Some(filter)).unwrap();
        assert_eq!(AssignmentsAsked::of(None).unwrap(), AssignmentsAsked::default());
        assert!(read("atScope()").not_below && read("ATSCOPE()").not_below);
        assert_eq!(read(&format!("principalId eq '{ID}'")).principal, Some(ID));
        assert_eq!(read(&format!("assignedTo('{ID}')")).counting_for, Some(ID));
        let both = read(&format!("atScope() and assignedTo('{ID}')"));
        assert_eq!(both, AssignmentsAsked { not_below: true, principal: None, counting_for: Some(ID) });

        let read = |filter: &str| DefinitionsAsked::of(Some(filter)).unwrap();
        assert_eq!(read("roleName eq 'It''s mine'").name.as_deref(), Some("It's mine"));
        assert_eq!(
            read("type eq 'CustomRole' and atScopeAndBelow()"),
            DefinitionsAsked { name: None, is_built_in: Some(false), also_below: true }
        );
    }

    #[test]
    fn what_cannot_be_asked_is_refused_and_not_ignored() {
        for filter in [
            "x",
            "x eq 'y'",
            "atScope() or atScope()",
            "not atScope()",
            "principalId eq 'me'",
            "assignedTo()",
            "assignedTo('a','b')",
        ] {
            assert!(AssignmentsAsked::of(Some(filter)).is_err(), "{filter}");
            assert!(DefinitionsAsked::of(Some(filter)).is_err(), "{filter}");
        }
    }
}
