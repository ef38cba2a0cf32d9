//! What a `Chart.yaml` says: read from YAML out of a package, or from JSON out of the config of a chart that Helm pushed.
//!
//! Members are those that Helm knows; others are left out, as Helm leaves them out. The index of a repository of charts is
//! made of these, so what one chart says must not make the whole unreadable: characters that YAML does not know are dropped.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::archive::shortened;
use super::version;

/// A chart's description of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ChartMetadata {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    home: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    sources: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) version: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    keywords: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    maintainers: Vec<Maintainer>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    icon: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    api_version: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    tags: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    app_version: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_false")]
    deprecated: bool,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    kube_version: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<Dependency>,
    #[serde(deserialize_with = "or_default", rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Maintainer {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    email: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    url: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Dependency {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(deserialize_with = "or_default")]
    repository: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_false")]
    enabled: bool,
    #[serde(deserialize_with = "or_default", rename = "import-values", skip_serializing_if = "Vec::is_empty")]
    import_values: Vec<Value>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    alias: String,
}

/// Why a `Chart.yaml` is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// It cannot be read.
    #[error("its Chart.yaml cannot be read: {0}")]
    Unreadable(String),
    /// It does not say which chart this is.
    #[error("its Chart.yaml names no chart")]
    NoName,
    /// The version is none that can be compared with others.
    #[error("its version is no semantic version")]
    Version,
    /// There is another kind of chart than Helm knows.
    #[error("its type is neither application nor library")]
    Kind,
    /// It says more than is kept.
    #[error("its Chart.yaml says more than {} KiB", LARGEST_BYTES >> 10)]
    TooLarge,
}

impl ChartMetadata {
    /// Reads a `Chart.yaml`.
    ///
    /// # Errors
    /// [`InvalidMetadata`].
    pub(super) fn of_yaml(yaml: &[u8]) -> Result<Self, InvalidMetadata> {
        let text = std::str::from_utf8(yaml).map_err(|error| InvalidMetadata::Unreadable(error.to_string()))?;
        let read: Result<Self, _> = serde_saphyr::from_str(text);
        // The first line of the error says what is wrong and where; the rest shows it.
        let read = read.map_err(|error| {
            let text = error.to_string();
            InvalidMetadata::Unreadable(shortened(text.lines().next().unwrap_or_default()))
        })?;
        read.checked()
    }

    /// Reads the config of a chart in a registry.
    ///
    /// # Errors
    /// [`InvalidMetadata`].
    pub(super) fn of_json(json: &[u8]) -> Result<Self, InvalidMetadata> {
        let read: Result<Self, _> = serde_json::from_slice(json);
        read.map_err(|error| InvalidMetadata::Unreadable(shortened(&error.to_string())))?.checked()
    }

    /// The same without what no YAML document may hold, if it says what every chart must say.
    fn checked(self) -> Result<Self, InvalidMetadata> {
        let mut whole = serde_json::to_value(self).expect("strings, lists and maps with string keys always serialise");
        clean(&mut whole);
        let cleaned: Self = serde_json::from_value(whole).expect("what was serialised is read again");
        if cleaned.name.is_empty() {
            return Err(InvalidMetadata::NoName);
        }
        if version::parse(&cleaned.version).is_none() {
            return Err(InvalidMetadata::Version);
        }
        if !matches!(cleaned.kind.as_str(), "" | "application" | "library") {
            return Err(InvalidMetadata::Kind);
        }
        if cleaned.to_json().len() > LARGEST_BYTES {
            return Err(InvalidMetadata::TooLarge);
        }
        Ok(cleaned)
    }

    /// As JSON, which is how charts are described in registries.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, lists and maps with string keys always serialise")
    }
}

/// `null`, or nothing behind a key, is as good as no key.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.chars().any(|character| !is_yaml(character)) {
                text.retain(is_yaml);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(members) => {
            *members = std::mem::take(members)
                .into_iter()
                .map(|(mut key, mut value)| {
                    key.retain(is_yaml);
                    clean(&mut value);
                    (key, value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a character may stand in a YAML document: YAML 1.2, section 5.1, as Helm's reader takes it.
fn is_yaml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

/// The most that one chart says in the index, in bytes.
const LARGEST_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(yaml: &str) -> Result<String, String> {
        ChartMetadata::of_yaml(yaml.as_bytes()).map(|chart| chart.to_json()).map_err(|error| error.to_string())
    }

    #[test]
    fn texts_stay_as_they_are_written_and_what_is_empty_is_left_out() {
        let yaml = "apiVersion: v2\nname: web\nversion: 1.10.0\nappVersion: 1.10\nhome:\nkeywords: [a, 1]\ndeprecated: false
annotations: {x: 1, notes: \"a\\nb\"}\nunknown: {a: b}\ndependencies:\n- {name: db, repository: null, import-values: [a, {child: b}]}\n";
        let json = r#"{"name":"web","version":"1.10.0","keywords":["a","1"],"apiVersion":"v2","appVersion":"1.10","annotations":{"notes":"a\nb","x":"1"},"dependencies":[{"name":"db","repository":"","import-values":["a",{"child":"b"}]}]}"#;
        assert_eq!(of(yaml).unwrap(), json);
        assert_eq!(ChartMetadata::of_json(json.as_bytes()).unwrap().to_json(), json);
    }

    #[test]
    fn what_is_no_chart_is_told_apart() {
        for (yaml, told) in [
            ("", "names no chart"),
            ("version: 1.0.0", "names no chart"),
            ("name: web", "no semantic version"),
            ("name: web\nversion: newest", "no semantic version"),
            ("name: web\nversion: 1.0.0\ntype: virus", "neither application nor library"),
            ("name: [web]\nversion: 1.0.0", "cannot be read: "),
            ("name: a\nname: b\nversion: 1.0.0", "cannot be read: "),
            ("- name", "cannot be read: "),
            ("name: web\nversion: 1.0.0\n---\nname: other", "cannot be read: "),
            ("a: &a [1]\nkeywords: *b", "cannot be read: "),
        ] {
            let error = of(yaml).unwrap_err();
            assert!(error.contains(told) && !error.contains('\n'), "{yaml:?}: {error}");
        }
        assert!(ChartMetadata::of_yaml(b"name: \xff").is_err());
        let long = format!("name: web\nversion: 1.0.0\ndescription: {}", "a".repeat(300 << 10));
        assert!(of(&long).unwrap_err().contains("says more than 256 KiB"));
    }

    #[test]
    fn aliases_that_multiply_end_at_a_budget() {
        let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            yaml.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", ")));
        }
        yaml.push_str("name: web\nversion: 1.0.0\nimport: *a11\n");
        let started = std::time::Instant::now();
        assert!(of(&yaml).unwrap_err().contains("cannot be read"));
        assert!(started.elapsed() < std::time::Duration::from_secs(10));
    }

    #[test]
    fn nothing_in_a_chart_makes_the_index_unreadable() {
        let json = "{\"name\":\"web\",\"version\":\"1.0.0\",\"description\":\"a\\u007f\\u0001\\ufeff\\uffffb\\ud83d\\ude00\\n\",\"annotations\":{\"k\\u0000\":\"\\u009b\"}}";
        let cleaned = ChartMetadata::of_json(json.as_bytes()).unwrap();
        assert_eq!(cleaned.description, "ab😀\n");
        assert_eq!(cleaned.annotations, BTreeMap::from([("k".to_owned(), String::new())]));
    }
}
