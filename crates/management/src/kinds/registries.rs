//! `Microsoft.ContainerRegistry/registries`.
//!
//! ```text
//! body ─► plan: Kept (tier, properties, identity)  ─► the resource's row, all of it
//!                                                  └► the table `registries`: what the data plane acts on
//! ```
//!
//! The second is a projection of the first, written in the same transaction together with its row of the change log, so
//! that every node acts on a change at once. What the admin user signs in with is in the projection alone.
//!
//! Sources: `acr/control-plane.md` 6 and 7; `acr/semantics.md` 1, 4, 5 and 18. Properties whose effect is yet to come are
//! kept and shown if it matters to nobody's security that they do nothing; `docs/compatibility.md` lists them.

mod credentials;
pub(crate) mod identity;
mod import;
mod label;
mod name;
mod network;
mod policies;
mod private_link;
mod properties;
pub(crate) mod reading;
mod shape;
pub(crate) mod sku;
mod tiers;
mod usages;

use async_trait::async_trait;
use http::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_arm::{ArmError, Code, Members, versions};
use wharf_metadata::changes::{self, NewChange};
use wharf_metadata::registries::RegistryChange;
use wharf_metadata::{Connection, NewRegistry, registries, subscriptions};
use wharf_model::{RegistryName, RegistryUid, ResourceId};

use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{About, Action, ActionAt, ActionCall, Ask, Draft, Kind, Place, Removal, Resource, Verb};
use crate::kinds::{scope_maps, tokens};
use identity::Identities;
use properties::{Facts, Properties};
use sku::Sku;

/// The kind of registries.
#[derive(Debug)]
pub(crate) struct Registries;

/// A registry as its resource keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) sku: Sku,
    pub(crate) properties: Properties,
    pub(crate) identities: Identities,
}

impl Kept {
    /// Reads the row.
    ///
    /// # Errors
    /// When it holds what no code of ours would write.
    pub(crate) fn of(resource: &Resource) -> Result<Self, Failure> {
        let name = resource.sku.as_ref().and_then(|sku| sku.get("name")).and_then(Value::as_str).unwrap_or_default();
        Ok(Self {
            sku: Sku::parse("sku.name", name).map_err(Failure::internal)?,
            properties: serde_json::from_value(Value::Object(resource.properties.clone()))
                .map_err(Failure::internal)?,
            identities: Identities::of(resource.identity.as_ref()),
        })
    }

    fn sku_value(&self) -> Value {
        json!({"name": self.sku, "tier": self.sku})
    }

    fn properties_value(&self) -> Result<Map<String, Value>, serde_json::Error> {
        match serde_json::to_value(&self.properties)? {
            Value::Object(properties) => Ok(properties),
            _ => Ok(Map::new()),
        }
    }

    fn change(&self) -> RegistryChange {
        RegistryChange {
            sku: self.sku.as_str().to_owned(),
            admin_user_enabled: self.properties.admin_user_enabled,
            anonymous_pull_enabled: self.properties.anonymous_pull_enabled,
            settings: self.properties.settings(),
        }
    }
}

#[async_trait]
impl Kind for Registries {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError> {
        let old = ask.old.map(Kept::of).transpose().map_err(|failure| failure.error().clone())?;
        let body = Members::of(ask.body);
        let sku = match body.object("sku")? {
            Some(sku) => sku.text("name")?.map(|name| Sku::parse(&sku.path("name"), name)).transpose()?,
            None => None,
        };
        let Some(sku) = sku.or(old.as_ref().map(|old| old.sku)) else {
            let text = "The SKU is missing. Set 'sku.name' to one of: Basic, Standard, Premium.";
            return Err(ArmError::new(Code::InvalidSku, text).with_target("sku.name"));
        };
        let mut properties = match (&old, ask.verb) {
            (None, _) => Properties::default(),
            (Some(old), Verb::Patch) => old.properties.clone(),
            (Some(old), Verb::Put) => Properties::replaced(&old.properties),
        };
        properties.merge(&ask.properties()?, old.is_none())?;
        tiers::fit(&mut properties, sku, old.as_ref().map(|old| (&old.properties, old.sku)))?;
        tiers::check_together(&properties)?;
        properties.policies.stamp(old.as_ref().map(|old| &old.properties.policies), cx.now);
        let mut identities = old.map(|old| old.identities).unwrap_or_default();
        identities.merge(&body, ask.verb)?;

        let planned = Kept { sku, properties, identities };
        draft.sku = Some(planned.sku_value());
        draft.identity = planned.identities.to_value();
        draft.properties = planned.properties_value().map_err(|_| ArmError::internal())?;
        Ok(())
    }

    /// Whoever gives a registry an identity that was created apart must be allowed to use that identity.
    async fn admit(&self, cx: &Cx, ask: &Ask<'_>) -> Result<(), Failure> {
        let old = ask.old.map(|old| Identities::of(old.identity.as_ref())).unwrap_or_default();
        let mut new = old.clone();
        new.merge(&Members::of(ask.body), ask.verb)?;
        for (_, id) in new.user.iter().filter(|(key, _)| !old.user.contains_key(*key)) {
            if !cx.may(ASSIGN_IDENTITY, id).await? {
                let text = format!(
                    "The client '{}' has permission to write the registry '{}', however it does not have permission to \
                     perform action '{ASSIGN_IDENTITY}' on the linked scope '{id}'.",
                    cx.actor.name(),
                    ask.id
                );
                return Err(ArmError::new(Code::LinkedAuthorizationFailed, text).into());
            }
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
        let mut kept = Kept::of(new)?;
        let before = old.map(|old| Identities::of(old.identity.as_ref())).unwrap_or_default();
        if kept.identities != before || old.is_none() {
            let tenant = find_tenant(c, &new.id).await?;
            kept.identities.settle(c, cx, &before, new, tenant).await?;
            new.identity = kept.identities.to_value();
        }
        if old.is_none() {
            return create(c, cx, kept, new).await;
        }
        let row = registries::find_by_resource(c, &new.id).await?;
        let row = row.ok_or_else(|| ArmError::resource_not_found(&new.id))?;
        registries::update(c, row.id, &kept.change(), &cx.actor.name(), cx.now).await?;
        Ok(())
    }

    /// Quick for large registries too: this one is out of sight at once, what it held goes as upkeep.
    async fn remove(&self, c: &mut Connection, cx: &Cx, resource: &Resource) -> Result<Removal, Failure> {
        if let Some(row) = registries::find_by_resource(c, &resource.id).await? {
            registries::hide(c, row.id, &cx.actor.name(), cx.now).await?;
        }
        if let Some((principal, _)) = Identities::of(resource.identity.as_ref()).system {
            cx.identity().delete_managed_identity(c, principal).await?;
        }
        Ok(Removal::Done)
    }

    async fn render(&self, c: &mut Connection, cx: &Cx, page: &mut [Resource]) -> Result<(), Failure> {
        let kept = page.iter().map(Kept::of).collect::<Result<Vec<_>, _>>()?;
        let known = identity::look_up(c, kept.iter().map(|kept| &kept.identities)).await?;
        let suffix = cx.login_servers().suffix();
        for (resource, kept) in page.iter_mut().zip(kept) {
            let name = name_of(&resource.id)?;
            let facts = Facts {
                login_server: &cx.login_servers().with_label(&name, kept.properties.label.as_deref()),
                name: name.as_str(),
                location: resource.location.as_deref().unwrap_or_default(),
                suffix: &suffix,
                is_premium: kept.sku == Sku::Premium,
                created_at: resource.created.at,
            };
            if let Value::Object(shown) = kept.properties.render(&facts) {
                resource.properties = shown;
            }
            resource.identity = kept.identities.render(&known);
        }
        Ok(())
    }

    fn committed(&self, cx: &Cx, old: Option<&Resource>, new: Option<&Resource>) {
        if let Some(Ok(name)) = old.or(new).map(|resource| name_of(&resource.id)) {
            cx.artifacts().forget_registry(&name);
        }
    }

    async fn act(&self, cx: &Cx, call: ActionCall) -> Result<Answer, Failure> {
        match call.action.name {
            CHECK_NAME => name::check_availability(cx, &call.id, &call.body).await,
            LIST_CREDENTIALS => credentials::list(cx, call.resource()?).await,
            REGENERATE_CREDENTIAL => credentials::regenerate(cx, call.resource()?, &call.body).await,
            GENERATE_CREDENTIALS => tokens::generate_credentials(cx, call).await,
            LIST_USAGES => usages::list(cx, call.resource()?).await,
            IMPORT_IMAGE => import::begin(cx, call.resource()?, &call.body).await,
            // There are none beside the registry itself; `az acr show-endpoints` asks.
            REPLICATIONS => Ok(Answer::list(Vec::new())),
            PRIVATE_LINK_RESOURCES => private_link::show(cx, call.resource()?, call.tail.as_deref()),
            _ => Err(ArmError::resource_not_found(&call.id).into()),
        }
    }
}

/// Creates what the data plane knows of a registry.
async fn create(c: &mut Connection, cx: &Cx, mut kept: Kept, new: &mut Resource) -> Result<(), Failure> {
    let name = name_of(&new.id)?;
    let group = new.id.parent().unwrap_or_else(ResourceId::root);
    kept.properties.label = label::label(kept.properties.label_scope, &name, find_tenant(c, &new.id).await?, &group);
    new.properties = kept.properties_value().map_err(Failure::internal)?;
    let uid = RegistryUid(Uuid::new_v4());
    let change = kept.change();
    let row = NewRegistry {
        uid,
        name,
        sku: change.sku,
        admin_user_enabled: change.admin_user_enabled,
        anonymous_pull_enabled: change.anonymous_pull_enabled,
        admin_passwords: cx.identity().new_admin_credentials(uid, None)?.sealed,
        created_at: cx.now,
        resource_id: new.id.clone(),
        settings: change.settings,
    };
    let Some(id) = registries::insert(c, &row).await? else {
        if registries::find_by_resource(c, &new.id).await?.is_some() {
            let text = format!("Another request is creating '{}' at the same time; try again.", new.id);
            return Err(ArmError::new(Code::Conflict, text).into());
        }
        return Err(name::taken(row.name.as_str()).into());
    };
    let created = NewChange {
        kind: changes::Kind::RegistryCreate,
        actor: &cx.actor.name(),
        repository: None,
        tag: None,
        digest: None,
        changed_at: cx.now,
    };
    changes::append(c, id, &[created]).await?;
    scope_maps::create_system(c, cx, new).await
}

/// The tenant of the subscription that a resource is in.
async fn find_tenant(c: &mut Connection, id: &ResourceId) -> Result<Uuid, Failure> {
    let text = id.subscription_id().unwrap_or_default();
    let missing = || Failure::from(ArmError::subscription_not_found(text));
    let subscription = text.parse().map_err(|_| missing())?;
    let found = subscriptions::find(c, subscription).await?;
    Ok(found.ok_or_else(missing)?.tenant_id)
}

/// As [`find_tenant`], on a connection of its own.
async fn tenant_of(cx: &Cx, id: &ResourceId) -> Result<Uuid, Failure> {
    let id = id.clone();
    cx.database().read(move |c| Box::pin(async move { find_tenant(c, &id).await })).await
}

/// The registry's name: the last segment of its id, in lower case.
fn name_of(id: &ResourceId) -> Result<RegistryName, Failure> {
    RegistryName::parse_any_case(id.name().unwrap_or_default()).map_err(Failure::internal)
}

const ASSIGN_IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action";

const CHECK_NAME: &str = "checkNameAvailability";
const LIST_CREDENTIALS: &str = "listCredentials";
const REGENERATE_CREDENTIAL: &str = "regenerateCredential";
const GENERATE_CREDENTIALS: &str = "generateCredentials";
const LIST_USAGES: &str = "listUsages";
const IMPORT_IMAGE: &str = "importImage";
const REPLICATIONS: &str = "replications";
const PRIVATE_LINK_RESOURCES: &str = "privateLinkResources";

static ABOUT: About = About {
    namespace: "Microsoft.ContainerRegistry",
    path: "registries",
    summary: "Container registries.",
    versions: versions::CONTAINER_REGISTRY,
    operations: "Microsoft.ContainerRegistry/registries",
    place: Place::Group,
    is_tracked: true,
    patch: true,
    // Identities are principals, and the admin user and the role mode say who may what.
    changes_access: true,
    check_name: name::check,
    actions: &[
        Action {
            method: Method::POST,
            name: CHECK_NAME,
            at: ActionAt::Subscription,
            operation: "Microsoft.ContainerRegistry/checkNameAvailability/read",
            has_tail: false,
            locked_by_read_only: false,
            summary: "Tells whether a name for a registry can be had.",
        },
        Action {
            method: Method::POST,
            name: LIST_CREDENTIALS,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/listCredentials/action",
            has_tail: false,
            locked_by_read_only: true,
            summary: "Shows the admin user's passwords.",
        },
        Action {
            method: Method::POST,
            name: REGENERATE_CREDENTIAL,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/regenerateCredential/action",
            has_tail: false,
            locked_by_read_only: true,
            summary: "Replaces one of the admin user's passwords by a new one.",
        },
        Action {
            method: Method::POST,
            name: GENERATE_CREDENTIALS,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/generateCredentials/action",
            has_tail: false,
            locked_by_read_only: true,
            summary: "Gives a token of the registry new passwords.",
        },
        Action {
            method: Method::POST,
            name: IMPORT_IMAGE,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/importImage/action",
            has_tail: false,
            locked_by_read_only: true,
            summary: "Copies an artifact from another registry or repository into this one.",
        },
        Action {
            method: Method::GET,
            name: LIST_USAGES,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/listUsages/read",
            has_tail: false,
            locked_by_read_only: false,
            summary: "Tells what the registry uses and how much its tier has.",
        },
        Action {
            method: Method::GET,
            name: REPLICATIONS,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/replications/read",
            has_tail: false,
            locked_by_read_only: false,
            summary: "Lists the replicas of the registry in other regions, of which there are none.",
        },
        Action {
            method: Method::GET,
            name: PRIVATE_LINK_RESOURCES,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/privateLinkResources/read",
            has_tail: true,
            locked_by_read_only: false,
            summary: "Tells what private endpoints of the registry are made of.",
        },
    ],
    properties: shape::PROPERTIES,
};
