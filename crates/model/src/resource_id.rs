//! The ids of ARM resources, which are also the scopes of role assignments.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of a resource, or of a scope that resources are in: `/`, `/subscriptions/{id}`,
/// `/subscriptions/{id}/resourceGroups/{name}`, and resources under providers, nested and as extensions of one another.
///
/// Names keep the casing in which they were written, the fixed words get their documented spelling. Two ids are equal
/// when they differ in casing alone.
///
/// Source: `acr/control-plane.md` 2.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceId {
    text: String,
    key: String,
}

impl ResourceId {
    /// The scope that contains everything: `/`.
    #[must_use]
    pub fn root() -> Self {
        Self { text: "/".to_owned(), key: "/".to_owned() }
    }

    /// A subscription.
    #[must_use]
    pub fn of_subscription(id: Uuid) -> Self {
        Self::from_text(format!("/subscriptions/{id}"))
    }

    /// A resource group of this subscription, or something else's child by a word of its own: `/{word}/{name}` is appended.
    ///
    /// # Errors
    /// When `name` cannot be a segment of an id.
    pub fn child(&self, word: &str, name: &str) -> Result<Self, ParseResourceIdError> {
        let parent = if self.text == "/" { "" } else { self.text.as_str() };
        format!("{parent}/{word}/{name}").parse()
    }

    /// A resource of a provider in this scope: `/providers/{namespace}/{kind}/{name}` is appended.
    ///
    /// # Errors
    /// When a part cannot be a segment of an id.
    pub fn resource(&self, namespace: &str, kind: &str, name: &str) -> Result<Self, ParseResourceIdError> {
        let parent = if self.text == "/" { "" } else { self.text.as_str() };
        format!("{parent}/providers/{namespace}/{kind}/{name}").parse()
    }

    /// As written, with documented spelling of the fixed words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In lower case: what ids are compared, stored and looked up by.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The subscription's id, as written.
    #[must_use]
    pub fn subscription_id(&self) -> Option<&str> {
        let mut segments = self.segments();
        (segments.next()?.eq_ignore_ascii_case(SUBSCRIPTIONS)).then(|| segments.next()).flatten()
    }

    /// The resource group's name, as written.
    #[must_use]
    pub fn resource_group_name(&self) -> Option<&str> {
        let mut segments = self.segments().skip(2);
        (segments.next()?.eq_ignore_ascii_case(RESOURCE_GROUPS)).then(|| segments.next()).flatten()
    }

    /// The last segment; `None` for `/`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.segments().last()
    }

    /// The type of what this names, in the casing of the id: `Microsoft.ContainerRegistry/registries/tokens`,
    /// `Microsoft.Resources/subscriptions` or `Microsoft.Resources/resourceGroups`. `None` for `/`.
    #[must_use]
    pub fn resource_type(&self) -> Option<String> {
        let (_, own) = self.split_provider();
        if let Some(own) = own {
            let mut segments = own.split('/');
            let mut kind = segments.next()?.to_owned();
            for word in segments.step_by(2) {
                kind.push('/');
                kind.push_str(word);
            }
            return Some(kind);
        }
        match self.segments().count() {
            0 => None,
            2 => Some("Microsoft.Resources/subscriptions".to_owned()),
            _ => Some("Microsoft.Resources/resourceGroups".to_owned()),
        }
    }

    /// What this is directly in: a child's resource, an extension's scope, a resource's group, a group's subscription, a
    /// subscription's root. `None` for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (scope, own) = self.split_provider();
        let parent = match own {
            Some(own) if own.split('/').count() > 3 => {
                let cut = self.text.rmatch_indices('/').nth(1)?.0;
                &self.text[..cut]
            }
            Some(_) => scope,
            None if self.text == "/" => return None,
            None => &self.text[..self.text.rmatch_indices('/').nth(1)?.0],
        };
        Some(if parent.is_empty() { Self::root() } else { Self::from_text(parent.to_owned()) })
    }

    /// This, and everything that it is in, up to `/`: the scopes at which a role assignment counts for it.
    pub fn scopes(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// Whether `other` is this or is in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.key == "/"
            || other.key.strip_prefix(self.key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn from_text(text: String) -> Self {
        Self { key: text.to_ascii_lowercase(), text }
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.split('/').filter(|segment| !segment.is_empty())
    }

    /// The scope before the last `/providers/`, and what comes after it.
    fn split_provider(&self) -> (&str, Option<&str>) {
        match self.text.rfind(PROVIDERS_INFIX) {
            Some(at) => (&self.text[..at], Some(&self.text[at + PROVIDERS_INFIX.len()..])),
            None => (&self.text, None),
        }
    }
}

impl FromStr for ResourceId {
    type Err = ParseResourceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseResourceIdError { text: text.chars().take(200).collect() };
        if text == "/" {
            return Ok(Self::root());
        }
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let segments: Vec<&str> = trimmed.strip_prefix('/').ok_or_else(error)?.split('/').collect();
        if text.len() > MOST_BYTES || !segments.iter().all(|segment| is_segment(segment)) {
            return Err(error());
        }
        let mut written = String::with_capacity(trimmed.len());
        let mut push = |word: &str, name: &str| {
            for part in [word, name] {
                written.push('/');
                written.push_str(part);
            }
        };
        let mut rest = segments.as_slice();
        if let [word, id, after @ ..] = rest
            && word.eq_ignore_ascii_case(SUBSCRIPTIONS)
        {
            id.parse::<Uuid>().map_err(|_| error())?;
            push(SUBSCRIPTIONS, id);
            rest = after;
            if let [word, name, after @ ..] = rest
                && word.eq_ignore_ascii_case(RESOURCE_GROUPS)
            {
                push(RESOURCE_GROUPS, name);
                rest = after;
            }
        }
        while !rest.is_empty() {
            let [word, namespace, after @ ..] = rest else { return Err(error()) };
            if !word.eq_ignore_ascii_case(PROVIDERS) {
                return Err(error());
            }
            push(PROVIDERS, namespace);
            let end = after.iter().position(|word| word.eq_ignore_ascii_case(PROVIDERS)).unwrap_or(after.len());
            let (own, after) = after.split_at(end);
            if own.is_empty() || own.len() % 2 != 0 {
                return Err(error());
            }
            for pair in own.chunks(2) {
                push(pair[0], pair[1]);
            }
            rest = after;
        }
        Ok(Self::from_text(written))
    }
}

/// What a segment may hold: what ARM's names are made of, and nothing that means something in a path or a query.
fn is_segment(segment: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_.()$@:~! ,+=".contains(c);
    !segment.is_empty() && segment != "." && segment != ".." && segment.len() <= 260 && segment.chars().all(plain)
}

/// A text that is no resource id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a resource id; one reads /subscriptions/{{id}}/resourceGroups/{{name}}/providers/{{namespace}}/{{type}}/{{name}}"
)]
pub struct ParseResourceIdError {
    text: String,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for ResourceId {}

impl std::hash::Hash for ResourceId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl TryFrom<String> for ResourceId {
    type Error = ParseResourceIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ResourceId> for String {
    fn from(id: ResourceId) -> Self {
        id.text
    }
}

const SUBSCRIPTIONS: &str = "subscriptions";
const RESOURCE_GROUPS: &str = "resourceGroups";
const PROVIDERS: &str = "providers";
const PROVIDERS_INFIX: &str = "/providers/";
/// Longer ones exist nowhere.
const MOST_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001";

    fn id(text: &str) -> ResourceId {
        text.parse().unwrap()
    }

    fn token() -> ResourceId {
        id(&format!("{SUB}/resourcegroups/Rg1/PROVIDERS/Microsoft.ContainerRegistry/registries/Reg/tokens/t1"))
    }

    #[test]
    fn names_keep_their_casing_and_words_get_theirs() {
        let token = token();
        assert_eq!(
            token.as_str(),
            format!("{SUB}/resourceGroups/Rg1/providers/Microsoft.ContainerRegistry/registries/Reg/tokens/t1")
        );
        assert_eq!(token, id(&token.as_str().to_uppercase()));
        assert_eq!(token.resource_group_name(), Some("Rg1"));
        assert_eq!(token.subscription_id(), SUB.rsplit('/').next());
        assert_eq!(token.resource_type().as_deref(), Some("Microsoft.ContainerRegistry/registries/tokens"));
        assert_eq!(token.name(), Some("t1"));
    }

    #[test]
    fn scopes_go_up_to_the_root() {
        let up: Vec<String> = token().scopes().map(String::from).collect();
        let registry = format!("{SUB}/resourceGroups/Rg1/providers/Microsoft.ContainerRegistry/registries/Reg");
        assert_eq!(
            up,
            [
                format!("{registry}/tokens/t1"),
                registry,
                format!("{SUB}/resourceGroups/Rg1"),
                SUB.to_owned(),
                "/".into()
            ]
        );
        let assignment = id(&format!("{SUB}/resourceGroups/g/providers/Microsoft.Authorization/roleAssignments/x"));
        assert_eq!(assignment.parent(), Some(id(&format!("{SUB}/resourceGroups/g"))));
        let at_root = id("/providers/Microsoft.Authorization/roleAssignments/x");
        assert_eq!(at_root.parent(), Some(ResourceId::root()));
        assert_eq!(at_root.resource_type().as_deref(), Some("Microsoft.Authorization/roleAssignments"));
    }

    #[test]
    fn containment_ends_at_segments() {
        assert!(ResourceId::root().contains(&token()));
        assert!(id(&format!("{SUB}/resourceGroups/RG1")).contains(&token()));
        assert!(!id(&format!("{SUB}/resourceGroups/rg")).contains(&token()));
        assert!(!token().contains(&id(SUB)));
    }

    #[test]
    fn ids_are_built_from_parts() {
        let sub = ResourceId::of_subscription("7a1f0a52-0000-4000-8000-000000000001".parse().unwrap());
        let group = sub.child("resourceGroups", "g").unwrap();
        assert_eq!(group.as_str(), format!("{SUB}/resourceGroups/g"));
        let registry = group.resource("Microsoft.ContainerRegistry", "registries", "reg").unwrap();
        assert_eq!(registry.child("tokens", "t").unwrap().parent(), Some(registry));
        assert!(group.child("x", "a/b").is_err() && group.child("x", "").is_err() && group.child("x", "..").is_err());
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let long = format!("{SUB}/resourceGroups/{}", "x".repeat(3000));
        for text in [
            "",
            "x",
            "//",
            "/subscriptions",
            "/subscriptions/x",
            "/a/b",
            "/subscriptions/../x",
            "/providers/ns",
            "/providers/ns/type",
            "/providers/ns/t/n/c",
            "/providers/ns/t/a%2Fb",
            "/providers/ns/t/a?b",
            &long,
        ] {
            assert!(text.parse::<ResourceId>().is_err(), "{text}");
        }
    }
}
