//! Reading what a body says, member by member, with errors that name the place.
//!
//! Clients are not strict: booleans and numbers come as texts, words in any casing, absent members as `null`, and whole
//! objects are sent back with members that we never had. So a reader asks for what it knows and ignores the rest.
//! Source: `acr/control-plane.md` 6.

use chrono::{DateTime, NaiveDateTime};
use serde_json::{Map, Value};
use wharf_model::Timestamp;

use crate::ArmError;

/// An object of a body, and where it stands in it.
#[derive(Clone, Debug, Default)]
pub struct Members<'a> {
    object: Option<&'a Map<String, Value>>,
    path: String,
}

impl<'a> Members<'a> {
    /// A whole body.
    #[must_use]
    pub fn of(body: &'a Map<String, Value>) -> Self {
        Self { object: Some(body), path: String::new() }
    }

    /// The place of a member, as errors tell it: `properties.policies`.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A member as it is. Names are compared without regard to case, as ARM does.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        let object = self.object?;
        object
            .get(name)
            .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    /// Whether the member is there and is `null`: to be cleared.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.get(name).is_some_and(Value::is_null)
    }

    /// Whether the member is there and is not `null`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.present(name).is_some()
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.object.into_iter().flatten()
    }

    /// A text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, ArmError> {
        self.read(name, "expected a text", Value::as_str)
    }

    /// A boolean, also as a text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ArmError> {
        self.read(name, "expected true or false", |value| match value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    /// A whole number, also as a text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ArmError> {
        self.read(name, "expected a whole number", |value| match value {
            Value::String(text) => text.parse().ok(),
            value => value.as_i64(),
        })
    }

    /// One of the words, in any casing; returned in the documented spelling.
    ///
    /// # Errors
    /// When it is something else.
    pub fn word(&self, name: &str, words: &'static [&'static str]) -> Result<Option<&'static str>, ArmError> {
        let Some(value) = self.present(name) else { return Ok(None) };
        let found = value.as_str().and_then(|text| words.iter().find(|word| word.eq_ignore_ascii_case(text)));
        match found {
            Some(word) => Ok(Some(word)),
            None => Err(ArmError::invalid_member(&self.path(name), format!("expected one of {}", words.join(", ")))),
        }
    }

    /// An instant, RFC 3339; without an offset it is UTC, as .NET and Python write it.
    ///
    /// # Errors
    /// When it is something else.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ArmError> {
        self.read(name, "expected a time such as 2030-12-31T23:59:59Z", |value| {
            let text = value.as_str()?.trim();
            let instant = match DateTime::parse_from_rfc3339(text) {
                Ok(instant) => instant.to_utc(),
                Err(_) => NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?.and_utc(),
            };
            Some(Timestamp(instant.timestamp_micros()))
        })
    }

    /// An object.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(&self, name: &str) -> Result<Option<Self>, ArmError> {
        let object = self.read(name, "expected an object", Value::as_object)?;
        Ok(object.map(|object| Self { object: Some(object), path: self.path(name) }))
    }

    /// An object; one without members, when it is not there. Either way, errors name its place.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object_or_empty(&self, name: &str) -> Result<Self, ArmError> {
        Ok(self.object(name)?.unwrap_or_else(|| Self { object: None, path: self.path(name) }))
    }

    /// A list, as it is.
    ///
    /// # Errors
    /// When it is something else.
    pub fn list(&self, name: &str) -> Result<Option<&'a [Value]>, ArmError> {
        self.read(name, "expected a list", |value| value.as_array().map(Vec::as_slice))
    }

    /// A list of objects.
    ///
    /// # Errors
    /// When it is something else.
    pub fn objects(&self, name: &str) -> Result<Option<Vec<Self>>, ArmError> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        let item = |(position, value): (usize, &'a Value)| {
            let path = format!("{}[{position}]", self.path(name));
            match value.as_object() {
                Some(object) => Ok(Self { object: Some(object), path }),
                None => Err(ArmError::invalid_member(&path, "expected an object")),
            }
        };
        list.iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// When it is something else.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, ArmError> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        let item = |(position, value): (usize, &'a Value)| {
            value
                .as_str()
                .ok_or_else(|| ArmError::invalid_member(&format!("{}[{position}]", self.path(name)), "expected a text"))
        };
        list.iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }

    /// The error for a member that cannot be taken.
    #[must_use]
    pub fn invalid(&self, name: &str, reason: impl std::fmt::Display) -> ArmError {
        ArmError::invalid_member(&self.path(name), reason)
    }

    /// A member that must be there.
    ///
    /// # Errors
    /// When `value`, which was read, is not.
    pub fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, ArmError> {
        value.ok_or_else(|| self.invalid(name, "it is missing"))
    }

    fn present(&self, name: &str) -> Option<&'a Value> {
        self.get(name).filter(|value| !value.is_null())
    }

    fn read<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ArmError> {
        match self.present(name) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.invalid(name, expected)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_with_and_without_an_offset() {
        let body = json!({
            "z": "2026-09-21T14:13:20Z", "ticks": "2026-09-21T14:13:20.1234567Z", "offset": "2026-09-21T16:13:20+02:00",
            "naive": "2026-09-21T14:13:20.5", "last": "9999-12-31T23:59:59.999999+00:00", "none": null, "not": "tomorrow", "number": 5
        });
        let members = Members::of(body.as_object().unwrap());
        let time = |name| members.time(name).unwrap().map(|time| time.0);
        assert_eq!(time("z"), Some(1_790_000_000_000_000));
        assert_eq!(time("ticks"), Some(1_790_000_000_123_456));
        assert_eq!(time("offset"), time("z"));
        assert_eq!(time("naive"), Some(1_790_000_000_500_000));
        assert_eq!(members.time("last").unwrap().unwrap().to_string(), "9999-12-31T23:59:59.9999990Z");
        assert_eq!(time("none"), None);
        assert!(members.time("not").is_err() && members.time("number").is_err());
    }

    #[test]
    fn values_are_read_as_clients_write_them() {
        let body = json!({"a": "TRUE", "n": "7", "mode": "readonly", "x": null, "o": {"List": ["a", 1], "things": [{}, {"v": 1}]}});
        let members = Members::of(body.as_object().unwrap());
        assert_eq!(members.boolean("A"), Ok(Some(true)));
        assert_eq!(members.integer("n"), Ok(Some(7)));
        assert_eq!(members.word("mode", &["ReadOnly", "ReadWrite"]), Ok(Some("ReadOnly")));
        assert_eq!(members.text("x"), Ok(None));
        assert!(members.is_null("x") && !members.has("x") && !members.is_null("absent"));
        let o = members.object("o").unwrap().unwrap();
        assert_eq!(o.texts("list").unwrap_err().target.as_deref(), Some("o.list[1]"));
        let things = o.objects("things").unwrap().unwrap();
        assert_eq!(things[1].text("v").unwrap_err().target.as_deref(), Some("o.things[1].v"));
        assert!(members.word("mode", &["x"]).is_err() && members.object("n").is_err() && members.integer("a").is_err());
        assert!(Members::default().text("anything").unwrap().is_none());
    }
}
