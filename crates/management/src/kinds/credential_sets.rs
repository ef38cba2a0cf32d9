//! `registries/credentialSets`: what cache rules sign in with at other registries.
//!
//! A set names two secrets, as addresses in a Key Vault; what stands for them is the operator's matter
//! (`identity/src/secrets.rs`). Whether they work is found out by trying: when the set is written, and again when somebody
//! looks and the last attempt is a while ago.
//!
//! Source: `acr/control-plane.md` 8; `acr/semantics.md` 10.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use wharf_arm::{ArmError, Code, Members, versions};
use wharf_identity::secrets::SecretId;
use wharf_metadata::cache_rules::{self, CredentialSetRow};
use wharf_metadata::{Connection, registries};
use wharf_model::{RegistryName, ResourceId};
use wharf_replication::cache::RegistryAddress;

use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{About, Access, Ask, Draft, Kind, Place, Property, Removal, Resource, Shape, Verb};
use crate::kinds::cache_rules::{check_name, forget_registry};
use crate::kinds::registries::identity::Identities;
use crate::kinds::scope_maps::{find_registry, lock_registry, name_of};

/// The kind `Microsoft.ContainerRegistry/registries/credentialSets`.
#[derive(Debug)]
pub(crate) struct CredentialSets;

static ABOUT: About = About {
    namespace: "Microsoft.ContainerRegistry",
    path: "registries/credentialSets",
    summary: "Credential sets: what cache rules sign in with at other registries.",
    versions: versions::CONTAINER_REGISTRY,
    operations: "Microsoft.ContainerRegistry/registries/credentialSets",
    place: Place::Parent,
    is_tracked: false,
    patch: true,
    // Its identity is a principal.
    changes_access: true,
    check_name,
    actions: &[],
    properties: &[
        Property { path: LOGIN_SERVER, shape: Shape::Text, access: Access::Settled },
        Property { path: "authCredentials[].name", shape: Shape::Word(NAMES), access: Access::Written },
        Property { path: "authCredentials[].usernameSecretIdentifier", shape: Shape::Text, access: Access::Written },
        Property { path: "authCredentials[].passwordSecretIdentifier", shape: Shape::Text, access: Access::Written },
        Property {
            path: "authCredentials[].credentialHealth.status",
            shape: Shape::Word(HEALTH),
            access: Access::Shown,
        },
        Property { path: "authCredentials[].credentialHealth.errorCode", shape: Shape::Text, access: Access::Shown },
        Property { path: "authCredentials[].credentialHealth.errorMessage", shape: Shape::Text, access: Access::Shown },
        Property { path: "creationDate", shape: Shape::Time, access: Access::Shown },
        Property { path: "provisioningState", shape: Shape::Word(&["Succeeded"]), access: Access::Shown },
    ],
};

#[async_trait]
impl Kind for CredentialSets {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, _cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError> {
        let mut identities = ask.old.map(|old| Identities::of(old.identity.as_ref())).unwrap_or_default();
        identities.merge(&Members::of(ask.body), ask.verb)?;
        draft.identity = identities.to_value();
        let given = ask.properties()?;
        let login_server = read_login_server(&given, ask.old)?;
        draft.properties.insert(LOGIN_SERVER.to_owned(), json!(login_server));
        match read_credentials(&given)? {
            Some(credentials) => {
                draft.properties.insert(CREDENTIALS.to_owned(), json!([credentials]));
            }
            None if ask.verb == Verb::Put => {
                return Err(given.invalid(CREDENTIALS, "it is missing; it has one entry, named Credential1"));
            }
            None => {}
        }
        Ok(())
    }

    /// Tries the credentials before the transaction, which must not wait for another registry.
    async fn admit(&self, cx: &Cx, ask: &Ask<'_>) -> Result<(), Failure> {
        // Looked up here, so that the transaction need not.
        cx.management.tenant_id().await?;
        let (Some(cache), Ok(given)) = (cx.management.cache(), ask.properties()) else { return Ok(()) };
        if let (Ok(login_server), Ok(Some(credentials))) =
            (read_login_server(&given, ask.old), read_credentials(&given))
        {
            cache.check_credentials(&row(name_of(ask.id), login_server, &credentials)).await;
        }
        Ok(())
    }

    async fn write(
        &self,
        c: &mut Connection,
        cx: &Cx,
        old: Option<&Resource>,
        new: &mut Resource,
    ) -> Result<(), Failure> {
        let registry = lock_registry(c, &new.id).await?;
        let mut identities = Identities::of(new.identity.as_ref());
        let before = old.map(|old| Identities::of(old.identity.as_ref())).unwrap_or_default();
        if identities != before {
            let tenant = cx.management.tenant_id().await?;
            identities.settle(c, cx, &before, new, tenant).await?;
            new.identity = identities.to_value();
        }
        let row = row_of(new);
        cache_rules::put_set(c, registry.id, &row).await?;
        if let Some(health) = cx.management.cache().and_then(|cache| cache.last_check(&row)) {
            cache_rules::note_health(c, registry.id, &row, &health).await?;
        }
        cache_rules::announce(c, registry.id, &cx.actor.name(), cx.now).await?;
        Ok(())
    }

    async fn release(&self, c: &mut Connection, _cx: &Cx, resource: &Resource) -> Result<(), Failure> {
        let registry = lock_registry(c, &resource.id).await?;
        let name = name_of(&resource.id);
        if let Some((rule, _)) = cache_rules::list_users_of_set(c, registry.id, name).await?.first() {
            let text = format!(
                "The credential set '{name}' is in use by the cache rule '{rule}'. Give the rule another credential set or \
                 none, or delete it, first."
            );
            return Err(ArmError::new(Code::Conflict, text).into());
        }
        Ok(())
    }

    async fn remove(&self, c: &mut Connection, cx: &Cx, resource: &Resource) -> Result<Removal, Failure> {
        if let Some((principal, _)) = Identities::of(resource.identity.as_ref()).system {
            cx.identity().delete_managed_identity(c, principal).await?;
        }
        // With the registry, its credential sets go too.
        if let Some(registry) = find_registry(c, &resource.id).await?
            && cache_rules::delete_set(c, registry.id, name_of(&resource.id)).await?
        {
            cache_rules::announce(c, registry.id, &cx.actor.name(), cx.now).await?;
        }
        Ok(Removal::Done)
    }

    async fn render(&self, c: &mut Connection, cx: &Cx, page: &mut [Resource]) -> Result<(), Failure> {
        let health = list_health(c, cx, page).await?;
        for resource in page {
            let unknown =
                || json!({"status": UNHEALTHY, "errorCode": "NotChecked", "errorMessage": "It was not tried yet."});
            let health = health.get(resource.id.key()).cloned().unwrap_or_else(unknown);
            if let Some(list) = resource.properties.get_mut(CREDENTIALS).and_then(Value::as_array_mut) {
                for credentials in list.iter_mut().filter_map(Value::as_object_mut) {
                    credentials.insert("credentialHealth".to_owned(), health.clone());
                }
            }
            resource.properties.insert("creationDate".to_owned(), json!(resource.created.at.to_string()));
        }
        Ok(())
    }

    fn committed(&self, cx: &Cx, old: Option<&Resource>, new: Option<&Resource>) {
        forget_registry(cx, old, new);
    }
}

/// How the credential sets of a page are, by the keys of their ids. What was tried long ago is tried again for the next who
/// looks.
async fn list_health(c: &mut Connection, cx: &Cx, page: &[Resource]) -> Result<BTreeMap<String, Value>, Failure> {
    // A page is of one registry as a rule; from its first name to its last there is one query.
    let mut spans: BTreeMap<String, (ResourceId, String, String)> = BTreeMap::new();
    for resource in page {
        let (Some(parent), name) = (resource.id.parent(), name_of(&resource.id).to_ascii_lowercase()) else { continue };
        let span = spans.entry(parent.key().to_owned()).or_insert_with(|| (parent, name.clone(), name.clone()));
        if name < span.1 {
            span.1.clone_from(&name);
        }
        if name > span.2 {
            span.2 = name;
        }
    }
    let mut health = BTreeMap::new();
    for (key, (parent, first, last)) in spans {
        let Ok(name) = RegistryName::parse_any_case(name_of(&parent)) else { continue };
        let Some(registry) = registries::find_by_name(c, &name).await? else { continue };
        for set in cache_rules::list_sets(c, registry.id, &first, &last).await? {
            let id = format!("{key}/credentialsets/{}", set.name);
            let is_old = set.health.as_ref().is_none_or(|health| cx.now.since(health.checked_at) > HOLDS);
            if let Some(found) = &set.health {
                health.insert(id, show(found.error.as_ref()));
            }
            if let (true, Some(cache)) = (is_old, cx.management.cache()) {
                cache.check_credentials_later(registry.id, set);
            }
        }
    }
    Ok(health)
}

fn show(error: Option<&cache_rules::CredentialError>) -> Value {
    match error {
        None => json!({"status": HEALTHY}),
        Some(error) => json!({"status": UNHEALTHY, "errorCode": error.code, "errorMessage": error.message}),
    }
}

/// The host that the credentials are for, as the set keeps it.
fn read_login_server(given: &Members<'_>, old: Option<&Resource>) -> Result<String, ArmError> {
    let old = old.and_then(|old| old.properties.get(LOGIN_SERVER)).and_then(Value::as_str);
    let wanted = match given.text(LOGIN_SERVER)? {
        Some(text) => {
            let address: RegistryAddress = text.parse().map_err(|error| given.invalid(LOGIN_SERVER, error))?;
            Some(address.to_string())
        }
        None => None,
    };
    match (wanted, old) {
        (Some(wanted), Some(old)) if wanted != old => Err(ArmError::immutable(&given.path(LOGIN_SERVER))),
        (_, Some(old)) => Ok(old.to_owned()),
        (Some(wanted), None) => Ok(wanted),
        (None, None) => Err(given.invalid(LOGIN_SERVER, "it is missing; it is a registry's host, such as docker.io")),
    }
}

/// The one entry of `authCredentials`, as kept.
fn read_credentials(given: &Members<'_>) -> Result<Option<Map<String, Value>>, ArmError> {
    let Some(list) = given.objects(CREDENTIALS)? else { return Ok(None) };
    let [credentials] = list.as_slice() else {
        return Err(given.invalid(CREDENTIALS, "it has exactly one entry, named Credential1"));
    };
    let name = credentials.word("name", NAMES)?.unwrap_or(NAMES[0]);
    let mut kept = Map::new();
    kept.insert("name".to_owned(), json!(name));
    for member in [USERNAME, PASSWORD] {
        let text = credentials.required(member, credentials.text(member)?)?.trim();
        SecretId::parse_address(text).map_err(|error| credentials.invalid(member, error))?;
        kept.insert(member.to_owned(), json!(text));
    }
    Ok(Some(kept))
}

fn row(name: &str, login_server: String, credentials: &Map<String, Value>) -> CredentialSetRow {
    let text = |member: &str| credentials.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    CredentialSetRow {
        name: name.to_ascii_lowercase(),
        login_server,
        username: text(USERNAME),
        password: text(PASSWORD),
        health: None,
    }
}

fn row_of(resource: &Resource) -> CredentialSetRow {
    let login_server = resource.properties.get(LOGIN_SERVER).and_then(Value::as_str).unwrap_or_default().to_owned();
    let credentials = resource.properties.get(CREDENTIALS).and_then(|list| list.get(0)).and_then(Value::as_object);
    row(name_of(&resource.id), login_server, &credentials.cloned().unwrap_or_default())
}

const LOGIN_SERVER: &str = "loginServer";
const CREDENTIALS: &str = "authCredentials";
const USERNAME: &str = "usernameSecretIdentifier";
const PASSWORD: &str = "passwordSecretIdentifier";
const NAMES: &[&str] = &["Credential1"];
const HEALTHY: &str = "Healthy";
const UNHEALTHY: &str = "Unhealthy";
const HEALTH: &[&str] = &[HEALTHY, UNHEALTHY];
/// For how long an attempt to sign in is believed.
const HOLDS: Duration = Duration::from_secs(10 * 60);
