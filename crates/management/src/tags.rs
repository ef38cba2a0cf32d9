//! `{scope}/providers/Microsoft.Resources/tags/default`: the tags of a resource group or a resource, by themselves. What
//! `az tag` works with.

use async_trait::async_trait;
use http::Method;
use serde_json::{Map, Value, json};
use wharf_arm::{ArmError, Code, Members, versions};
use wharf_model::ResourceId;

use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::service::{Call, Endpoint, Service, ServiceType};

/// The service.
#[derive(Debug)]
pub(crate) struct Tags;

static TYPES: [ServiceType; 1] = [ServiceType {
    word: "tags",
    versions: versions::RESOURCES,
    endpoints: &[
        Endpoint { method: Method::GET, path: "/default", summary: "Show the tags of a scope" },
        Endpoint { method: Method::PUT, path: "/default", summary: "Replace the tags of a scope" },
        Endpoint { method: Method::PATCH, path: "/default", summary: "Merge, replace or delete tags of a scope" },
        Endpoint { method: Method::DELETE, path: "/default", summary: "Remove the tags of a scope" },
    ],
}];

#[async_trait]
impl Service for Tags {
    fn namespace(&self) -> &'static str {
        "Microsoft.Resources"
    }

    fn types(&self) -> &'static [ServiceType] {
        &TYPES
    }

    async fn serve(&self, cx: &Cx, call: Call) -> Result<Answer, Failure> {
        if !matches!(call.rest().as_slice(), [name] if name.eq_ignore_ascii_case("default")) {
            let text = "A scope has one resource of tags, which is called 'default'.";
            return Err(ArmError::new(Code::NotFound, text).into());
        }
        let scope = &call.scope;
        if call.method == Method::GET || call.method == Method::HEAD {
            return Ok(Answer::ok(show(scope, &present(cx, scope).await?)));
        }
        let body = call.json()?;
        let sent = Members::of(&body);
        let named = sent.object_or_empty("properties")?.object("tags")?;
        let named: Map<String, Value> =
            named.unwrap_or_default().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let wanted = match call.method {
            Method::PUT => named,
            Method::PATCH => {
                let operation = sent.required("operation", sent.word("operation", &["Merge", "Replace", "Delete"])?)?;
                apply(operation, present(cx, scope).await?, named)
            }
            _ => Map::new(),
        };
        let change = json!({"tags": wanted}).as_object().cloned().unwrap_or_default();
        let answer = cx.management.patch(cx, scope, change).await?;
        if call.method == Method::DELETE {
            return Ok(Answer::empty());
        }
        Ok(Answer::ok(show(scope, &tags_of(answer.body.as_ref()))))
    }
}

/// The tags that a scope has.
async fn present(cx: &Cx, scope: &ResourceId) -> Result<Map<String, Value>, Failure> {
    if scope.resource_group_name().is_none() {
        let text = "Resource groups and resources have tags; what is above them has none here.";
        return Err(ArmError::new(Code::BadRequest, text).into());
    }
    Ok(tags_of(Some(&cx.management.get(cx, scope).await?)))
}

fn tags_of(resource: Option<&Value>) -> Map<String, Value> {
    resource.and_then(|resource| resource.get("tags")).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// What a `PATCH` makes of tags. Names are the same in any casing; a value that is given with `Delete` must be the tag's.
fn apply(operation: &str, mut present: Map<String, Value>, named: Map<String, Value>) -> Map<String, Value> {
    if operation == "Replace" {
        return named;
    }
    for (name, value) in named {
        let standing = present.keys().find(|other| other.to_lowercase() == name.to_lowercase()).cloned();
        if operation == "Merge" {
            present.insert(standing.unwrap_or(name), value);
        } else if let Some(standing) = standing
            && (value == present[&standing] || value.as_str() == Some(""))
        {
            present.remove(&standing);
        }
    }
    present
}

fn show(scope: &ResourceId, tags: &Map<String, Value>) -> Value {
    json!({
        "id": format!("{scope}/providers/Microsoft.Resources/tags/default"),
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": tags},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_merged_replaced_and_deleted() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let present = map(json!({"Env": "test", "owner": "me"}));
        let after = |operation, named| Value::Object(apply(operation, present.clone(), map(named)));
        assert_eq!(after("Merge", json!({"env": "x", "n": "1"})), json!({"Env": "x", "n": "1", "owner": "me"}));
        assert_eq!(after("Replace", json!({"n": "1"})), json!({"n": "1"}));
        assert_eq!(after("Delete", json!({"ENV": "test", "owner": "you"})), json!({"owner": "me"}));
        assert_eq!(after("Delete", json!({"owner": "", "absent": ""})), json!({"Env": "test"}));
    }
}
