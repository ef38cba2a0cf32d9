//! Whether the value of a parameter is what its declaration says.
//!
//! Declarations say `type`, `nullable`, `allowedValues`, bounds, and in templates with `languageVersion` 2.0 also the
//! types of elements and members, and `$ref` to a definition. Values of secure parameters are never quoted.

use serde_json::{Map, Value};

use super::functions::{kind_of, same};

/// How many definitions may refer to one another.
const MOST_REFERENCES: usize = 32;

/// A type of the template language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    SecureText,
    Integer,
    Boolean,
    Array,
    Object,
    SecureObject,
}

impl Type {
    /// The type with this word, whatever its casing.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "string" => Some(Self::Text),
            "securestring" => Some(Self::SecureText),
            "int" => Some(Self::Integer),
            "bool" => Some(Self::Boolean),
            "array" => Some(Self::Array),
            "object" => Some(Self::Object),
            "secureobject" => Some(Self::SecureObject),
            _ => None,
        }
    }

    /// The word that deployments are shown with.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "String",
            Self::SecureText => "SecureString",
            Self::Integer => "Int",
            Self::Boolean => "Bool",
            Self::Array => "Array",
            Self::Object => "Object",
            Self::SecureObject => "SecureObject",
        }
    }

    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Self::SecureText | Self::SecureObject)
    }

    /// Whether a value is of this type.
    pub(crate) fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text | Self::SecureText => value.is_string(),
            Self::Integer => value.is_i64(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            // Parameters of Bicep's type `any` are declared as objects.
            Self::Object | Self::SecureObject => value.is_object(),
        }
    }
}

/// The type that a declaration comes to, through its references.
pub(crate) fn type_of(declaration: &Map<String, Value>, definitions: &Map<String, Value>) -> Result<Type, String> {
    let declared = resolve(declaration, definitions)?;
    match declared.get("type") {
        Some(Value::String(word)) => Type::of(word).ok_or_else(|| format!("has the type '{word}', which there is not")),
        _ => Err("has no type".to_owned()),
    }
}

/// Whether values of this declaration are secrets, or hold some.
pub(crate) fn holds_secrets(declaration: &Map<String, Value>, definitions: &Map<String, Value>) -> bool {
    holds_secrets_at(0, declaration, definitions)
}

fn holds_secrets_at(depth: usize, declaration: &Map<String, Value>, definitions: &Map<String, Value>) -> bool {
    let Ok(declared) = resolve(declaration, definitions) else { return true };
    let is_secure = |word: &Value| word.as_str().and_then(Type::of).is_some_and(Type::is_secure);
    if depth > MOST_REFERENCES || declared.get("type").is_some_and(is_secure) {
        return true;
    }
    let inner = ["items", "additionalProperties"].into_iter().filter_map(|name| declared.get(name));
    let properties = declared.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let first = declared.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
    let mut inner = inner.chain(properties).chain(first).filter_map(Value::as_object);
    inner.any(|inner| holds_secrets_at(depth + 1, inner, definitions))
}

/// Checks a value.
///
/// # Errors
/// What is wrong, to stand after "the parameter 'x' ".
pub(crate) fn check(
    declaration: &Map<String, Value>,
    value: &Value,
    definitions: &Map<String, Value>,
) -> Result<(), String> {
    check_at("", declaration, value, definitions)
}

fn check_at(
    place: &str,
    declaration: &Map<String, Value>,
    value: &Value,
    definitions: &Map<String, Value>,
) -> Result<(), String> {
    let at = if place.is_empty() { String::new() } else { format!(" at '{place}'") };
    let is_nullable = |declaration: &Map<String, Value>| declaration.get("nullable") == Some(&Value::Bool(true));
    let declared = resolve(declaration, definitions)?;
    if value.is_null() && (is_nullable(declaration) || is_nullable(declared)) {
        return Ok(());
    }
    let expected = type_of(declared, definitions)?;
    if !expected.takes(value) {
        return Err(format!("expects a value of type '{}'{at} and is given '{}'", expected.as_str(), kind_of(value)));
    }
    for declared in [declaration, declared] {
        check_allowed(declared, value, expected, &at)?;
        check_bounds(declared, value, &at)?;
        check_members(place, declared, value, definitions)?;
        if declared.contains_key("discriminator") {
            return Err(format!("has a type with a 'discriminator'{at}, which this server does not support"));
        }
    }
    Ok(())
}

fn check_allowed(declared: &Map<String, Value>, value: &Value, expected: Type, at: &str) -> Result<(), String> {
    let Some(Value::Array(allowed)) = declared.get("allowedValues") else { return Ok(()) };
    let is_allowed = |value: &Value| allowed.iter().any(|other| same(other, value));
    // Of an array, each element may be checked, or the whole.
    let are_allowed = value.as_array().is_some_and(|elements| elements.iter().all(is_allowed));
    if is_allowed(value) || are_allowed {
        return Ok(());
    }
    if expected.is_secure() {
        return Err(format!("is given a value{at} that is not among the allowed ones"));
    }
    let allowed: Vec<String> = allowed.iter().take(50).map(Value::to_string).collect();
    Err(format!("is given a value{at} that is not among the allowed ones: {}", allowed.join(", ")))
}

fn check_bounds(declared: &Map<String, Value>, value: &Value, at: &str) -> Result<(), String> {
    let bound = |name: &str| declared.get(name).and_then(Value::as_i64);
    let length = match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(elements) => Some(elements.len()),
        _ => None,
    };
    let length = length.and_then(|length| i64::try_from(length).ok());
    for (name, measured, is_least) in [
        ("minLength", length, true),
        ("maxLength", length, false),
        ("minValue", value.as_i64(), true),
        ("maxValue", value.as_i64(), false),
    ] {
        if let (Some(bound), Some(measured)) = (bound(name), measured)
            && (if is_least { measured < bound } else { measured > bound })
        {
            let what = if name.ends_with("Length") { "length" } else { "value" };
            return Err(format!("has the {name} {bound} and its {what}{at} is {measured}"));
        }
    }
    Ok(())
}

fn check_members(
    place: &str,
    declared: &Map<String, Value>,
    value: &Value,
    definitions: &Map<String, Value>,
) -> Result<(), String> {
    match value {
        Value::Object(members) => {
            let properties = declared.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let Some(property) = property.as_object() else { continue };
                check_at(&inner(place, name), property, members.get(name).unwrap_or(&Value::Null), definitions)?;
            }
            let known = |name: &String| properties.is_some_and(|properties| properties.contains_key(name));
            for (name, value) in members.iter().filter(|(name, _)| !known(name)) {
                match declared.get("additionalProperties") {
                    Some(Value::Object(property)) => check_at(&inner(place, name), property, value, definitions)?,
                    Some(Value::Bool(false)) => return Err(format!("has no member '{}'", inner(place, name))),
                    _ => {}
                }
            }
        }
        Value::Array(elements) => {
            let first = declared.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for (i, element) in elements.iter().enumerate() {
                if let Some(Value::Object(item)) = first.get(i).or(declared.get("items")) {
                    check_at(&format!("{place}[{i}]"), item, element, definitions)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn inner(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// Follows `$ref` to where the type is told.
fn resolve<'d>(
    declaration: &'d Map<String, Value>,
    definitions: &'d Map<String, Value>,
) -> Result<&'d Map<String, Value>, String> {
    let mut declared = declaration;
    for _ in 0..MOST_REFERENCES {
        let Some(Value::String(reference)) = declared.get("$ref") else { return Ok(declared) };
        let name = reference.strip_prefix("#/definitions/");
        let found = name.and_then(|name| definitions.get(name)).and_then(Value::as_object);
        declared =
            found.ok_or_else(|| format!("refers to the type '{reference}', which the template does not define"))?;
    }
    Err("has a type that refers to others in a circle".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_json(declaration: Value, value: Value) -> Result<(), String> {
        let definitions = json!({
            "name": {"type": "string", "minLength": 2},
            "pair": {"type": "object", "properties": {"a": {"$ref": "#/definitions/name"}, "b": {"type": "int", "nullable": true}}, "additionalProperties": false},
            "round": {"$ref": "#/definitions/round"},
        });
        check(declaration.as_object().unwrap(), &value, definitions.as_object().unwrap())
    }

    #[test]
    fn values_fit_their_declaration() {
        for (declaration, value) in [
            (json!({"type": "string"}), json!("x")),
            (json!({"type": "String", "allowedValues": ["a", "b"]}), json!("b")),
            (json!({"type": "array", "allowedValues": ["a", "b"]}), json!(["b", "a"])),
            (json!({"type": "int", "minValue": 1, "maxValue": 3}), json!(3)),
            (json!({"type": "string", "nullable": true}), json!(null)),
            (json!({"$ref": "#/definitions/pair"}), json!({"a": "xy"})),
            (json!({"type": "array", "items": {"$ref": "#/definitions/name"}}), json!(["xy", "zz"])),
        ] {
            assert_eq!(check_json(declaration.clone(), value), Ok(()), "{declaration}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_without_the_value() {
        for (declaration, value, expected) in [
            (json!({"type": "int"}), json!("secret"), "expects a value of type 'Int' and is given 'String'"),
            (
                json!({"type": "securestring", "allowedValues": ["hidden"]}),
                json!("secret"),
                "is given a value that is not among the allowed ones",
            ),
            (
                json!({"type": "string", "allowedValues": ["a", "b"]}),
                json!("secret"),
                "is given a value that is not among the allowed ones: \"a\", \"b\"",
            ),
            (
                json!({"type": "securestring", "minLength": 12}),
                json!("secret"),
                "has the minLength 12 and its length is 6",
            ),
            (
                json!({"$ref": "#/definitions/pair"}),
                json!({"a": "x"}),
                "has the minLength 2 and its length at 'a' is 1",
            ),
            (json!({"$ref": "#/definitions/pair"}), json!({"a": "xx", "c": 1}), "has no member 'c'"),
            (
                json!({"$ref": "#/definitions/pair"}),
                json!({}),
                "expects a value of type 'String' at 'a' and is given 'Null'",
            ),
            (json!({"$ref": "#/definitions/round"}), json!({}), "has a type that refers to others in a circle"),
            (json!({"type": "text"}), json!(""), "has the type 'text', which there is not"),
            (json!({}), json!(""), "has no type"),
        ] {
            assert_eq!(check_json(declaration, value), Err(expected.to_owned()));
        }
    }
}
