//! What the body of an import says.

use secrecy::SecretString;
use serde_json::{Map, Value};
use wharf_arm::{ArmError, Members};
use wharf_model::{Reference, RepositoryName, ResourceId, Tag};
use wharf_replication::import::{ImportTarget, UpstreamAddress};

/// An import as it is asked for.
pub(super) struct Body {
    pub(super) source: Place,
    pub(super) repository: RepositoryName,
    pub(super) reference: Reference,
    pub(super) credentials: Option<Given>,
    pub(super) targets: Vec<ImportTarget>,
    pub(super) force: bool,
    pub(super) referrers: bool,
}

/// Where the source is, as the caller names it.
pub(super) enum Place {
    Id(ResourceId),
    Address(UpstreamAddress),
}

/// User name and password.
pub(super) struct Given {
    pub(super) username: String,
    pub(super) password: SecretString,
}

impl Body {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn read(body: &Map<String, Value>) -> Result<Self, ArmError> {
        let body = Members::of(body);
        let source = body.required("source", body.object("source")?)?;
        let place = match (source.text("resourceId")?, source.text("registryUri")?) {
            (Some(id), _) => {
                Place::Id(id.parse().map_err(|_| source.invalid("resourceId", "it is not the id of a registry"))?)
            }
            (None, Some(uri)) => Place::Address(uri.parse().map_err(|error| source.invalid("registryUri", error))?),
            (None, None) => {
                return Err(source.invalid("registryUri", "name the source by registryUri or by resourceId"));
            }
        };
        let image = source.required("sourceImage", source.text("sourceImage")?)?;
        let (repository, reference) = read_image(image).map_err(|reason| source.invalid("sourceImage", reason))?;
        let (source_name, reference) = (repository, reference.unwrap_or_else(latest));
        Ok(Self {
            source: place,
            credentials: read_credentials(&source)?,
            targets: read_targets(&body, &source_name, &reference)?,
            repository: source_name,
            reference,
            force: body.word("mode", &["NoForce", "Force"])? == Some("Force"),
            referrers: body.boolean("includeReferrers")?.unwrap_or(true),
        })
    }
}

fn read_credentials(source: &Members<'_>) -> Result<Option<Given>, ArmError> {
    let Some(credentials) = source.object("credentials")? else { return Ok(None) };
    let password = credentials.required("password", credentials.text("password")?)?;
    let username = credentials.text("username")?.filter(|name| !name.is_empty()).unwrap_or(TOKEN_USER);
    if username.len() + password.len() > LONGEST_CREDENTIALS {
        return Err(credentials.invalid("password", "it is too long"));
    }
    if username.contains(':') || username.chars().any(char::is_control) {
        return Err(credentials.invalid("username", "it holds characters that no user name can have"));
    }
    Ok(Some(Given { username: username.to_owned(), password: password.into() }))
}

/// The targets: tags, and repositories that get no tag. Without either it is called as at the source.
fn read_targets(
    body: &Members<'_>,
    source: &RepositoryName,
    reference: &Reference,
) -> Result<Vec<ImportTarget>, ArmError> {
    let mut targets: Vec<ImportTarget> = Vec::new();
    for text in body.texts("targetTags")?.unwrap_or_default() {
        let invalid = |reason: String| body.invalid("targetTags", format!("'{}': {reason}", shortened(text)));
        let (repository, tag) = read_image(text).map_err(&invalid)?;
        let tag = match (tag, reference) {
            (Some(Reference::Tag(tag)), _) => Some(tag),
            (None, Reference::Tag(tag)) => Some(tag.clone()),
            (Some(Reference::Digest(_)), _) => return Err(invalid("a target has a tag, not a digest".to_owned())),
            // `az acr import --source app@sha256:…` names `app`; a tag that nobody named is not made up.
            (None, Reference::Digest(_)) => None,
        };
        targets.push(ImportTarget { repository, tag });
    }
    for text in body.texts("untaggedTargetRepositories")?.unwrap_or_default() {
        let invalid = |error| body.invalid("untaggedTargetRepositories", format!("'{}': {error}", shortened(text)));
        targets.push(ImportTarget { repository: text.parse().map_err(invalid)?, tag: None });
    }
    if targets.is_empty() {
        let tag = match reference {
            Reference::Tag(tag) => Some(tag.clone()),
            Reference::Digest(_) => None,
        };
        targets.push(ImportTarget { repository: source.clone(), tag });
    }
    let mut seen = Vec::new();
    targets.retain(|target| {
        let is_new = !seen.contains(target);
        seen.push(target.clone());
        is_new
    });
    if targets.len() > MOST_TARGETS {
        return Err(body.invalid("targetTags", format!("there may be {MOST_TARGETS} at most")));
    }
    Ok(targets)
}

/// Reads `repository`, `repository:tag`, `repository@digest` or `repository:tag@digest`, of which the digest counts.
fn read_image(text: &str) -> Result<(RepositoryName, Option<Reference>), String> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest.parse().map_err(|error| format!("{error}"))?)),
        None => (text, None),
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) => (name, Some(tag.parse::<Tag>().map_err(|error| error.to_string())?)),
        None => (name, None),
    };
    let repository = name.parse().map_err(|error| format!("{error}"))?;
    Ok((repository, digest.map(Reference::Digest).or(tag.map(Reference::Tag))))
}

fn latest() -> Reference {
    "latest".parse().expect("latest is a tag")
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

/// Who signs in with a token for a password, at registries that take those.
const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";
/// More than any registry takes.
const LONGEST_CREDENTIALS: usize = 32 << 10;
/// How many targets one import has.
const MOST_TARGETS: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(body: &Value) -> Result<Body, ArmError> {
        Body::read(body.as_object().unwrap())
    }

    fn targets(source: &str, body: Value) -> Result<Vec<String>, String> {
        let mut body = body;
        body["source"] = json!({"registryUri": "localhost:5000", "sourceImage": source});
        let read = read(&body).map_err(|error| error.message.into_owned())?;
        let show = |target: ImportTarget| match target.tag {
            Some(tag) => format!("{}:{tag}", target.repository),
            None => target.repository.to_string(),
        };
        Ok(read.targets.into_iter().map(show).collect())
    }

    #[test]
    fn what_a_target_does_not_say_is_as_at_the_source() {
        let at = |digest| format!("team/app@{digest}");
        assert_eq!(targets("team/app:v1", json!({})).unwrap(), ["team/app:v1"]);
        assert_eq!(targets("team/app", json!({})).unwrap(), ["team/app:latest"]);
        assert_eq!(
            targets("team/app:v1", json!({"targetTags": ["copy", "copy:v2", "copy"]})).unwrap(),
            ["copy:v1", "copy:v2"]
        );
        assert_eq!(targets(&at(DIGEST), json!({})).unwrap(), ["team/app"]);
        assert_eq!(targets(&at(DIGEST), json!({"targetTags": ["a:b"]})).unwrap(), ["a:b"]);
        assert_eq!(
            targets("app:v1", json!({"targetTags": [], "untaggedTargetRepositories": ["mirror"]})).unwrap(),
            ["mirror"]
        );
        assert_eq!(targets(&at(DIGEST), json!({"targetTags": ["a"]})).unwrap(), ["a"]);
        assert!(targets("app:v1", json!({"targetTags": [at(DIGEST)]})).is_err());
        assert!(targets("app:v1", json!({"targetTags": ["UPPER:v1"]})).is_err());
    }

    #[test]
    fn a_source_is_named_by_address_or_by_id() {
        let of = |source: Value| read(&json!({"source": source, "mode": "force"}));
        let body =
            of(json!({"registryUri": "registry.example.com:5000", "sourceImage": format!("a/b:t@{DIGEST}")})).unwrap();
        assert!(matches!(&body.source, Place::Address(address) if address.to_string() == "registry.example.com:5000"));
        assert_eq!(body.reference.to_string(), DIGEST);
        assert!(body.force && body.referrers && body.credentials.is_none());
        let token = json!({"registryUri": "a.example", "sourceImage": "b", "credentials": {"password": "p"}});
        assert_eq!(of(token).unwrap().credentials.unwrap().username, TOKEN_USER);
        for bad in [
            json!({"sourceImage": "a:b"}),
            json!({"registryUri": "a.example"}),
            json!({"registryUri": "a.example/b", "sourceImage": "a:b"}),
            json!({"registryUri": "a.example", "sourceImage": "a.example/A:b"}),
            json!({"registryUri": "a.example", "sourceImage": "a@sha256:12"}),
            json!({"registryUri": "a.example", "sourceImage": "a", "credentials": {"username": "u"}}),
            json!({"resourceId": "registries/x", "sourceImage": "a"}),
        ] {
            assert!(of(bad.clone()).is_err(), "{bad}");
        }
    }
}
