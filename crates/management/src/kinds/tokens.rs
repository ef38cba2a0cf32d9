//! `registries/tokens`: names with up to two generated passwords, and the registry's action `generateCredentials`, which
//! makes them.
//!
//! The resource's row holds what a client wrote: scope map and status. Sign-in reads the tables `tokens` and
//! `token_passwords`. A password is shown once, by the action; reading a token tells when each was made and when it ends.
//!
//! A `PUT` or `PATCH` without `credentials` leaves the passwords alone; one with `credentials.passwords` keeps those that it
//! names and removes the others. So a template that is deployed again does not end anybody's password.
//!
//! Source: `acr/control-plane.md` 8; `acr/semantics.md` 1.

use std::collections::BTreeMap;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_arm::{ArmError, Code, Members, versions};
use wharf_identity::{NewTokenPassword, TokenPasswordName, is_token_name};
use wharf_metadata::{Connection, RegistryRow, TokenPasswordRow, resources, tokens};
use wharf_model::{RegistryName, ResourceId, Timestamp};

use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{About, Access, ActionCall, Ask, Draft, Kind, Place, Property, Removal, Resource, Shape, Verb};
use crate::kinds::scope_maps::{check_quota, find_registry, lock_registry, name_of};
use crate::locks::{self, Change};

/// The kind `Microsoft.ContainerRegistry/registries/tokens`.
#[derive(Debug)]
pub(crate) struct Tokens;

static ABOUT: About = About {
    namespace: "Microsoft.ContainerRegistry",
    path: "registries/tokens",
    summary: "Tokens: names and passwords whose rights are those of a scope map.",
    versions: versions::CONTAINER_REGISTRY,
    operations: "Microsoft.ContainerRegistry/registries/tokens",
    place: Place::Parent,
    is_tracked: false,
    patch: true,
    changes_access: true,
    check_name,
    actions: &[],
    properties: &[
        Property { path: "scopeMapId", shape: Shape::Id, access: Access::Written },
        Property { path: "status", shape: Shape::Word(STATUSES), access: Access::Written },
        Property { path: "credentials.passwords[].name", shape: Shape::Word(PASSWORDS), access: Access::Written },
        Property { path: "credentials.passwords[].creationTime", shape: Shape::Time, access: Access::Shown },
        Property { path: "credentials.passwords[].expiry", shape: Shape::Time, access: Access::Shown },
        Property { path: "creationDate", shape: Shape::Time, access: Access::Shown },
        Property { path: "provisioningState", shape: Shape::Word(&["Succeeded"]), access: Access::Shown },
    ],
};

#[async_trait]
impl Kind for Tokens {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, _cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError> {
        check_against_registry(ask.id)?;
        let given = ask.properties()?;
        if let Some(text) = given.text("scopeMapId")? {
            let id = read_scope_map_id(&given, text, ask.id)?;
            draft.properties.insert("scopeMapId".to_owned(), json!(id.as_str()));
        } else if ask.verb == Verb::Put {
            return Err(given.invalid("scopeMapId", "it is missing; it is the id of a scope map of the same registry"));
        }
        if let Some(status) = given.word("status", STATUSES)? {
            draft.properties.insert("status".to_owned(), json!(status));
        } else if ask.verb == Verb::Put {
            draft.properties.insert("status".to_owned(), json!(ENABLED));
        }
        if let Some(kept) = read_kept_passwords(&given)? {
            draft.properties.insert(KEPT.to_owned(), kept);
        }
        Ok(())
    }

    async fn write(
        &self,
        c: &mut Connection,
        _cx: &Cx,
        old: Option<&Resource>,
        new: &mut Resource,
    ) -> Result<(), Failure> {
        let kept = new.properties.remove(KEPT);
        let registry = lock_registry(c, &new.id).await?;
        if old.is_none() {
            check_quota(&registry, "tokens", tokens::count(c, registry.id).await?)?;
        }
        let scope_map = find_scope_map(c, new).await?;
        new.properties.insert("scopeMapId".to_owned(), json!(scope_map.as_str()));
        let is_enabled = new.properties.get("status").and_then(Value::as_str) == Some(ENABLED);
        let token = tokens::put(c, registry.id, name_of(&new.id), name_of(&scope_map), is_enabled).await?;
        if let Some(kept) = kept {
            keep_passwords(c, &registry, token, &kept).await?;
        }
        Ok(())
    }

    async fn remove(&self, c: &mut Connection, _cx: &Cx, resource: &Resource) -> Result<Removal, Failure> {
        // With the registry, its tokens go too.
        if let Some(registry) = find_registry(c, &resource.id).await? {
            tokens::delete(c, registry.id, name_of(&resource.id)).await?;
        }
        Ok(Removal::Done)
    }

    async fn render(&self, c: &mut Connection, _cx: &Cx, page: &mut [Resource]) -> Result<(), Failure> {
        let passwords = list_passwords(c, page).await?;
        for resource in page {
            let shown: Vec<Value> = passwords.get(resource.id.key()).into_iter().flatten().filter_map(show).collect();
            let credentials = json!({"certificates": [], "passwords": shown});
            resource.properties.insert("credentials".to_owned(), credentials);
            resource.properties.insert("creationDate".to_owned(), json!(resource.created.at.to_string()));
        }
        Ok(())
    }
}

/// `POST {registry}/generateCredentials`: makes one password of a token, or both, and shows them this once.
///
/// # Errors
/// What is wrong with the body; 404 when there is no such token; 409 when a lock stands against it.
pub(crate) async fn generate_credentials(cx: &Cx, call: ActionCall) -> Result<Answer, Failure> {
    let registry = call.resource()?.id.clone();
    let asked = read_generation(&call.body, &registry, cx.now)?;
    let (identity, stamp) = (cx.identity().clone(), cx.stamp());
    let made = cx.database().write_access(move |c| {
        Box::pin(async move {
            let Generation { token: id, names, expires_at } = asked;
            // In the order in which every other change locks: the registry against deletion, the token, all tokens.
            let held = resources::hold(c, &registry).await?;
            if held.is_none_or(|held| held.is_deleting) {
                return Err(ArmError::parent_not_found(&registry, &id).into());
            }
            let resource = resources::find_to_change(c, &id).await?;
            // The registry's locks were looked at for the action; those of the token are the token's own.
            locks::require_unlocked(c, &id, Change::Write).await?;
            let row = lock_registry(c, &id).await?;
            let token = tokens::find_by_name(c, row.id, name_of(&id)).await?;
            let (Some(mut resource), Some(token)) = (resource, token) else {
                return Err(Failure::from(ArmError::resource_not_found(&id)));
            };
            let made = identity.generate_token_passwords(c, row.uid, token.id, &names, expires_at).await?;
            // The resource shows the new times, so it is another one for whoever holds its ETag.
            resource.etag = Uuid::now_v7().to_string();
            resource.changed = stamp;
            resources::update(c, &resource).await?;
            Ok((token.name, made))
        })
    });
    let (username, made) = made.await?;
    let passwords: Vec<Value> = made.iter().map(show_new).collect();
    Ok(Answer::ok(json!({"username": username, "passwords": passwords})))
}

/// What `generateCredentials` is asked to do.
struct Generation {
    token: ResourceId,
    names: Vec<TokenPasswordName>,
    expires_at: Option<Timestamp>,
}

fn read_generation(body: &Map<String, Value>, registry: &ResourceId, now: Timestamp) -> Result<Generation, ArmError> {
    let given = Members::of(body);
    let text = given.required("tokenId", given.text("tokenId")?)?;
    let token = read_child_id(text, registry, "tokens").ok_or_else(|| {
        given.invalid("tokenId", format!("expected the id of a token of this registry, {registry}/tokens/…"))
    })?;
    let names = match given.word("name", PASSWORDS)?.and_then(TokenPasswordName::from_word) {
        Some(name) => vec![name],
        None => TokenPasswordName::EVERY.to_vec(),
    };
    let expires_at = given.time("expiry")?;
    if expires_at.is_some_and(|at| at <= now) {
        return Err(given.invalid("expiry", format!("it is not after the present, {now}")));
    }
    Ok(Generation { token, names, expires_at })
}

/// The id of a scope map as a body writes it, if it can be one of the token's registry.
fn read_scope_map_id(given: &Members<'_>, text: &str, token: &ResourceId) -> Result<ResourceId, ArmError> {
    let registry = token.parent().unwrap_or_else(ResourceId::root);
    read_child_id(text, &registry, "scopeMaps").ok_or_else(|| {
        given.invalid(
            "scopeMapId",
            format!("expected the id of a scope map of the same registry, {registry}/scopeMaps/…"),
        )
    })
}

/// An id, if it names a child of this kind of the registry.
fn read_child_id(text: &str, registry: &ResourceId, kind: &str) -> Option<ResourceId> {
    let id: ResourceId = text.parse().ok()?;
    let is_child = id.parent().as_ref() == Some(registry);
    let expected = format!("{}/{kind}", registry.resource_type()?);
    (is_child && id.resource_type()?.eq_ignore_ascii_case(&expected)).then_some(id)
}

/// The id of the scope map that a token is to have, in the spelling of the scope map itself.
async fn find_scope_map(c: &mut Connection, token: &Resource) -> Result<ResourceId, Failure> {
    const MEMBER: &str = "properties.scopeMapId";
    let text = token.properties.get("scopeMapId").and_then(Value::as_str).unwrap_or_default();
    let id: ResourceId = text.parse().map_err(|error| ArmError::invalid_member(MEMBER, error))?;
    match resources::find(c, &id).await? {
        Some(found) => Ok(found.id),
        None => Err(ArmError::invalid_member(MEMBER, format!("there is no scope map '{}'", name_of(&id))).into()),
    }
}

/// The passwords that a body wants kept, as [`keep_passwords`] reads them; `None` when it says nothing of passwords.
fn read_kept_passwords(given: &Members<'_>) -> Result<Option<Value>, ArmError> {
    let Some(credentials) = given.object("credentials")? else { return Ok(None) };
    if credentials.list("certificates")?.is_some_and(|list| !list.is_empty()) {
        return Err(credentials.invalid("certificates", "tokens sign in with passwords only"));
    }
    let Some(passwords) = credentials.objects("passwords")? else { return Ok(None) };
    let mut kept = Vec::with_capacity(passwords.len().min(2));
    for password in &passwords {
        let name = password.required("name", password.word("name", PASSWORDS)?)?;
        let expiry = password.time("expiry")?.map(|at| at.0);
        kept.push(json!({"name": name, "expiry": expiry, "path": password.path("")}));
    }
    Ok(Some(kept.into()))
}

/// Removes the passwords that are not named.
async fn keep_passwords(c: &mut Connection, registry: &RegistryRow, token: i64, kept: &Value) -> Result<(), Failure> {
    let standing = tokens::find(c, registry.id, token).await?.map(|row| row.passwords).unwrap_or_default();
    let kept = kept.as_array().map(Vec::as_slice).unwrap_or_default();
    let named = |slot: i16| {
        let name = TokenPasswordName::of_slot(slot).map(TokenPasswordName::as_str);
        kept.iter().find(|entry| entry["name"].as_str() == name)
    };
    for entry in kept {
        let (name, path) = (entry["name"].as_str().unwrap_or_default(), entry["path"].as_str().unwrap_or_default());
        let slot = TokenPasswordName::from_word(name).map(TokenPasswordName::slot);
        let Some(password) = standing.iter().find(|password| Some(password.slot) == slot) else {
            let text = format!(
                "the token has no {name}; passwords are made by generateCredentials and only kept or removed here"
            );
            return Err(ArmError::invalid_member(&format!("{path}name"), text).into());
        };
        let expiry = entry["expiry"].as_i64().map(Timestamp);
        if expiry.is_some() && expiry != password.expires_at {
            let text = "it is settled by generateCredentials when the password is made";
            return Err(ArmError::invalid_member(&format!("{path}expiry"), text).into());
        }
    }
    for password in &standing {
        if named(password.slot).is_none() {
            tokens::delete_password(c, token, password.slot).await?;
        }
    }
    Ok(())
}

/// The passwords of all tokens of a page, by the keys of their ids.
async fn list_passwords(
    c: &mut Connection,
    page: &[Resource],
) -> Result<BTreeMap<String, Vec<TokenPasswordRow>>, Failure> {
    // A page is of one registry as a rule; from its first name to its last there is one query.
    let mut spans: BTreeMap<String, (ResourceId, &str, &str)> = BTreeMap::new();
    let names: Vec<(Option<ResourceId>, String)> =
        page.iter().map(|resource| (resource.id.parent(), name_of(&resource.id).to_ascii_lowercase())).collect();
    for (parent, name) in &names {
        let Some(parent) = parent else { continue };
        let span = spans.entry(parent.key().to_owned()).or_insert((parent.clone(), name, name));
        span.1 = span.1.min(name);
        span.2 = span.2.max(name);
    }
    let mut passwords: BTreeMap<String, Vec<TokenPasswordRow>> = BTreeMap::new();
    for (registry, (parent, first, last)) in spans {
        let Ok(name) = RegistryName::parse_any_case(name_of(&parent)) else { continue };
        for (token, password) in tokens::list_passwords(c, &name, first, last).await? {
            passwords.entry(format!("{registry}/tokens/{token}")).or_default().push(password);
        }
    }
    Ok(passwords)
}

/// A password as a token shows it: everything but itself.
fn show(password: &TokenPasswordRow) -> Option<Value> {
    let name = TokenPasswordName::of_slot(password.slot)?;
    Some(show_times(name, password.created_at, password.expires_at).into())
}

fn show_new(password: &NewTokenPassword) -> Value {
    let mut shown = show_times(password.name, password.created_at, password.expires_at);
    shown.insert("value".to_owned(), json!(password.value.expose_secret()));
    shown.into()
}

fn show_times(name: TokenPasswordName, created_at: Timestamp, expires_at: Option<Timestamp>) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("name".to_owned(), json!(name.as_str()));
    shown.insert("creationTime".to_owned(), json!(created_at.to_string()));
    if let Some(expires_at) = expires_at {
        shown.insert("expiry".to_owned(), json!(expires_at.to_string()));
    }
    shown
}

/// Source: the published specification, `TokenNameParameter`. An application's id is no name of a token, since it is the
/// user name of its own.
fn check_name(name: &str) -> Result<(), ArmError> {
    if is_token_name(name) {
        return Ok(());
    }
    let text = "A token's name has 5 to 50 letters, digits and hyphens, and is no GUID.";
    Err(ArmError::new(Code::InvalidResourceName, text))
}

/// The admin user has the registry's name.
fn check_against_registry(id: &ResourceId) -> Result<(), ArmError> {
    let registry = id.parent().unwrap_or_else(ResourceId::root);
    if name_of(id).eq_ignore_ascii_case(name_of(&registry)) {
        let text = "A token cannot have the name of its registry, which is the admin user's.";
        return Err(ArmError::new(Code::InvalidResourceName, text));
    }
    Ok(())
}

const ENABLED: &str = "enabled";
const STATUSES: &[&str] = &[ENABLED, "disabled"];
const PASSWORDS: &[&str] = &["password1", "password2"];
/// Where a draft carries the passwords that are to be kept; never stored.
const KEPT: &str = "keptPasswords";
