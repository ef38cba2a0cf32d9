//! `PUT` and `PATCH`: one transaction that looks, decides and writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};
use uuid::Uuid;
use wharf_arm::{ArmError, Code, Members};
use wharf_metadata::{Connection, resources};
use wharf_model::ResourceId;

use super::envelope;
use crate::answer::Answer;
use crate::catalogue::Entry;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{About, Ask, Draft, Place, Resource, Verb};
use crate::locks::{self, Change};
use crate::management::Management;

/// What a request makes depend on the ETag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
}

impl Conditions {
    /// Those of a request.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self { if_match: text(header::IF_MATCH), if_none_match: text(header::IF_NONE_MATCH) }
    }

    /// Refuses when the resource is not as the caller believes.
    pub(crate) fn check(&self, old: Option<&Resource>) -> Result<(), ArmError> {
        let names = |list: &str, etag: Option<&str>| {
            list.split(',').map(str::trim).any(|tag| {
                let tag = tag.strip_prefix("W/").unwrap_or(tag);
                etag.is_some_and(|etag| tag == "*" || tag.trim_matches('"') == etag)
            })
        };
        let etag = old.map(|old| old.etag.as_str());
        if self.if_match.as_deref().is_some_and(|list| !names(list, etag)) {
            let text = match etag {
                Some(etag) => {
                    format!("The resource has changed: its ETag is \"{etag}\". Read it again and repeat the change.")
                }
                None => "If-Match was given, and there is no such resource.".to_owned(),
            };
            return Err(ArmError::new(Code::PreconditionFailed, text));
        }
        if self.if_none_match.as_deref().is_some_and(|list| names(list, etag)) {
            let text = "If-None-Match was given, and there is such a resource.";
            return Err(ArmError::new(Code::PreconditionFailed, text));
        }
        Ok(())
    }
}

/// A change of a resource on its way.
struct Write {
    cx: Cx,
    entry: Arc<Entry>,
    id: ResourceId,
    verb: Verb,
    body: Map<String, Value>,
    conditions: Conditions,
}

/// A change that is committed.
struct Written {
    old: Option<Resource>,
    new: Resource,
    shown: Resource,
}

impl Management {
    /// Creates or changes a resource.
    ///
    /// # Errors
    /// What stands against it; then nothing was changed.
    pub(crate) async fn write_resource(
        &self,
        cx: &Cx,
        entry: &Arc<Entry>,
        id: &ResourceId,
        verb: Verb,
        body: Map<String, Value>,
        conditions: Conditions,
    ) -> Result<Answer, Failure> {
        let write = self.admit_write(cx, entry, id, verb, body, conditions).await?;
        let changes_access = entry.about.changes_access;
        let written = self.transact(changes_access, move |c| Box::pin(async move { write.run(c).await })).await?;
        entry.kind.committed(cx, written.old.as_ref(), Some(&written.new));
        let status = if written.old.is_none() { StatusCode::CREATED } else { StatusCode::OK };
        let etag = written.shown.etag.clone();
        Ok(Answer::of(status, Some(envelope::show(entry, written.shown))).with_etag(etag))
    }

    /// Looks whether a resource could be created or changed like that, and changes nothing.
    ///
    /// # Errors
    /// What stands against it, as far as the resource's own kind can tell without writing.
    pub(crate) async fn check_write(
        &self,
        cx: &Cx,
        entry: &Arc<Entry>,
        id: &ResourceId,
        verb: Verb,
        body: Map<String, Value>,
    ) -> Result<(), Failure> {
        let write = self.admit_write(cx, entry, id, verb, body, Conditions::default()).await?;
        self.database().read(move |c| Box::pin(async move { write.plan(c).await.map(drop) })).await
    }

    async fn admit_write(
        &self,
        cx: &Cx,
        entry: &Arc<Entry>,
        id: &ResourceId,
        verb: Verb,
        body: Map<String, Value>,
        conditions: Conditions,
    ) -> Result<Write, Failure> {
        cx.require(&entry.write, id).await?;
        let wanted = id.clone();
        let old = self.database().read(move |c| Box::pin(async move { resources::find(c, &wanted).await })).await?;
        entry.kind.admit(cx, &Ask { id, verb, old: old.as_ref(), body: &body }).await?;
        Ok(Write { cx: cx.clone(), entry: entry.clone(), id: id.clone(), verb, body, conditions })
    }
}

impl Write {
    async fn run(self, c: &mut Connection) -> Result<Written, Failure> {
        let (old, mut new) = self.plan(c).await?;
        let kind = &self.entry.kind;
        kind.write(c, &self.cx, old.as_ref(), &mut new).await?;
        if old.is_some() {
            resources::update(c, &new).await?;
        } else {
            new.row = resources::insert(c, &new, self.entry.is_listed()).await?.ok_or_else(|| raced(&new.id))?;
        }
        let mut shown = new.clone();
        kind.render(c, &self.cx, std::slice::from_mut(&mut shown)).await?;
        Ok(Written { old, new, shown })
    }

    /// Looks at everything that the change depends on, and works out what the resource is to be.
    async fn plan(&self, c: &mut Connection) -> Result<(Option<Resource>, Resource), Failure> {
        let about = self.entry.about;
        let id = place(c, about, &self.id).await?;
        let old = resources::find_to_change(c, &id).await?;
        let id = old.as_ref().map_or(id, |old| old.id.clone());
        if old.as_ref().is_some_and(|old| old.is_deleting) {
            return Err(being_deleted(&id).into());
        }
        if old.is_none() && self.verb == Verb::Patch {
            return Err(match about.place {
                Place::Subscription => ArmError::group_not_found(id.name().unwrap_or_default()),
                _ => ArmError::resource_not_found(&id),
            }
            .into());
        }
        self.conditions.check(old.as_ref())?;
        if !locks::is_lock(&id) {
            locks::require_unlocked(c, &id, Change::Write).await?;
        }
        if old.is_none() {
            (about.check_name)(id.name().unwrap_or_default())?;
        }
        let ask = Ask { id: &id, verb: self.verb, old: old.as_ref(), body: &self.body };
        let mut draft = begin(about, &ask)?;
        self.entry.kind.plan(&self.cx, &ask, &mut draft)?;
        let new = complete(&self.cx, id, old.as_ref(), draft);
        Ok((old, new))
    }
}

/// Writes a resource that comes with another one, in the transaction of that one. It must not be there yet.
///
/// # Errors
/// When it is there, or the database fails.
pub(crate) async fn insert_within(
    c: &mut Connection,
    cx: &Cx,
    about: &About,
    id: &ResourceId,
    draft: Draft,
) -> Result<Resource, Failure> {
    let mut new = complete(cx, id.clone(), None, draft);
    new.row = resources::insert(c, &new, about.is_tracked).await?.ok_or_else(|| raced(id))?;
    Ok(new)
}

/// Makes sure that what the resource is in is there and stays. Returns the resource's id with the names of those in the
/// casing in which they were created.
async fn place(c: &mut Connection, about: &About, id: &ResourceId) -> Result<ResourceId, Failure> {
    let Some(parent) = id.parent() else { return Ok(id.clone()) };
    if about.place == Place::Subscription || is_subscription(&parent) {
        return Ok(id.clone());
    }
    if about.place != Place::Group
        && let Some(group) = group_of(id)
        && group != parent
    {
        hold_group(c, &group).await?;
    }
    let held = match about.place {
        Place::Group => hold_group(c, &parent).await?,
        _ if group_of(id).as_ref() == Some(&parent) => hold_group(c, &parent).await?,
        _ => {
            let Some(held) = resources::hold(c, &parent).await? else {
                return Err(match about.place {
                    Place::Parent => ArmError::parent_not_found(&parent, id),
                    _ => ArmError::resource_not_found(&parent),
                }
                .into());
            };
            if held.is_deleting {
                return Err(being_deleted(&parent).into());
            }
            held
        }
    };
    let own = &id.as_str()[parent.as_str().len()..];
    Ok(format!("{}{own}", held.id).parse().unwrap_or_else(|_| id.clone()))
}

async fn hold_group(c: &mut Connection, group: &ResourceId) -> Result<resources::Held, Failure> {
    let name = group.name().unwrap_or_default();
    let held = resources::hold(c, group).await?.ok_or_else(|| ArmError::group_not_found(name))?;
    if held.is_deleting {
        let text = format!("The resource group '{name}' is in deprovisioning state and cannot perform this operation.");
        return Err(ArmError::new(Code::ResourceGroupBeingDeleted, text).into());
    }
    Ok(held)
}

/// The resource group that something is in; its own id, if it is one.
fn group_of(id: &ResourceId) -> Option<ResourceId> {
    id.scopes().find(|scope| scope.resource_type().as_deref() == Some(crate::route::GROUPS))
}

fn is_subscription(id: &ResourceId) -> bool {
    id.parent().is_none_or(|parent| parent == ResourceId::root())
}

/// What the resource is before its kind has read the body.
fn begin(about: &About, ask: &Ask<'_>) -> Result<Draft, ArmError> {
    let mut draft = match (ask.verb, ask.old) {
        (Verb::Patch, Some(old)) => Draft {
            location: old.location.clone(),
            tags: old.tags.clone(),
            sku: old.sku.clone(),
            identity: old.identity.clone(),
            properties: old.properties.clone(),
        },
        _ => Draft { location: ask.old.and_then(|old| old.location.clone()), ..Draft::default() },
    };
    if about.is_tracked {
        let body = Members::of(ask.body);
        draft.location = Some(location(about, ask, body.text("location")?)?);
        if body.get("tags").is_some() {
            draft.tags = tags(&body)?;
        }
    }
    Ok(draft)
}

/// Where the resource is. It cannot be moved.
fn location(about: &About, ask: &Ask<'_>, wanted: Option<&str>) -> Result<String, ArmError> {
    let wanted = match wanted.map(|text| (text, location_key(text))) {
        None => None,
        Some((_, Some(key))) => Some(key),
        Some((text, None)) => {
            let text = format!("The provided location '{text}' is not a region's name; one reads 'eastus'.");
            return Err(ArmError::new(Code::LocationNotAvailableForResourceType, text).with_target("location"));
        }
    };
    match (wanted, ask.old.and_then(|old| old.location.as_deref())) {
        (Some(wanted), Some(old)) if wanted != old => {
            let name = ask.id.name().unwrap_or_default();
            let (code, what) = match about.place {
                Place::Subscription => (Code::InvalidResourceGroupLocation, "resource group"),
                _ => (Code::InvalidResourceLocation, "resource"),
            };
            let text = format!(
                "The {what} '{name}' already exists in location '{old}'. A {what} with the same name cannot be created in location \
                 '{wanted}'. Please select a new name."
            );
            Err(ArmError::new(code, text))
        }
        (_, Some(old)) => Ok(old.to_owned()),
        (Some(wanted), None) => Ok(wanted),
        (None, None) => {
            let text = "The location property is required for this definition.";
            Err(ArmError::new(Code::LocationRequired, text).with_target("location"))
        }
    }
}

/// A region's name as it is stored: `East US` is `eastus`. `None` for what cannot be one.
fn location_key(text: &str) -> Option<String> {
    let key: String = text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_lowercase()).collect();
    let is_name =
        !key.is_empty() && key.len() <= 64 && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    is_name.then_some(key)
}

/// Tags replace those that there were. Source of the limits: Azure, "Use tags to organize your Azure resources".
fn tags(body: &Members<'_>) -> Result<BTreeMap<String, String>, ArmError> {
    let invalid = |text: String| ArmError::new(Code::InvalidTag, text).with_target("tags");
    let mut tags = BTreeMap::new();
    for (name, value) in body.object("tags")?.unwrap_or_default().iter() {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            _ => return Err(invalid(format!("The value of the tag '{name}' is not a text."))),
        };
        if name.trim().is_empty() || name.len() > 512 || name.chars().any(|c| "<>%&\\?/".contains(c) || c.is_control())
        {
            return Err(invalid(format!(
                "'{}' cannot be the name of a tag.",
                name.chars().take(100).collect::<String>()
            )));
        }
        if value.len() > 256 {
            return Err(invalid(format!("The value of the tag '{name}' is longer than 256 characters.")));
        }
        if tags.keys().any(|other: &String| other.to_lowercase() == name.to_lowercase()) {
            return Err(invalid(format!("There are two tags '{name}'; names are the same whatever their casing.")));
        }
        tags.insert(name.clone(), value);
    }
    if tags.len() > MOST_TAGS {
        return Err(invalid(format!("A resource has {MOST_TAGS} tags at most.")));
    }
    Ok(tags)
}

/// The resource as it will be stored.
fn complete(cx: &Cx, id: ResourceId, old: Option<&Resource>, draft: Draft) -> Resource {
    let changed = cx.stamp();
    Resource {
        row: old.map_or(0, |old| old.row),
        id,
        location: draft.location,
        tags: draft.tags,
        sku: draft.sku,
        identity: draft.identity,
        properties: draft.properties,
        etag: Uuid::new_v4().simple().to_string(),
        is_deleting: false,
        created: old.map_or_else(|| changed.clone(), |old| old.created.clone()),
        changed,
    }
}

fn raced(id: &ResourceId) -> ArmError {
    ArmError::new(Code::Conflict, format!("Another request is creating '{id}' at the same time; try again."))
}

fn being_deleted(id: &ResourceId) -> ArmError {
    ArmError::new(Code::ResourceBeingDeleted, format!("'{id}' is being deleted; wait until it is gone."))
}

const MOST_TAGS: usize = 50;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn locations_are_compared_without_blanks_and_casing() {
        assert_eq!(location_key("East US 2").as_deref(), Some("eastus2"));
        for bad in ["", " ", "east-us", "ö", &"x".repeat(65)] {
            assert_eq!(location_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn tags_are_bounded() {
        let read = |tags: Value| {
            let body = json!({"tags": tags});
            super::tags(&Members::of(body.as_object().unwrap()))
        };
        assert_eq!(read(json!({"a": "b", "n": 1})).unwrap().len(), 2);
        assert_eq!(read(json!(null)).unwrap().len(), 0);
        assert!(read(json!({"a": "b", "A": "c"})).is_err());
        assert!(read(json!({"a": ["b"]})).is_err() && read(json!({"": "b"})).is_err() && read(json!("x")).is_err());
        let many: Map<String, Value> = (0..51).map(|n| (n.to_string(), json!(""))).collect();
        assert!(read(Value::Object(many)).is_err());
    }
}
