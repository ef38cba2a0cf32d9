//! A kind of resource: what a type must say so that everything else about it is done once for all kinds.
//!
//! ```text
//! PUT, PATCH   admit ─► one transaction: [ plan ─► write ─► the row of the resource ─► render ] ─► committed
//! DELETE               one transaction: [ remove ─► the row goes ]      ─► committed
//! GET          the rows of a page ─► render
//! POST, GET    act: operations beside, such as `listCredentials`
//! ```
//!
//! The mechanism does the rest: routes and their casing, ids, api-versions, authorization, locks, whether subscription,
//! group and parent are there, ETags, `systemData`, tags and locations, paging, errors, headers. How to add a kind is
//! told in `docs/adding-a-resource.md`.

use std::fmt;

use async_trait::async_trait;
use http::Method;
use serde_json::{Map, Value};
use wharf_arm::ArmError;
use wharf_arm::versions::Versions;
use wharf_metadata::Connection;
use wharf_model::ResourceId;

use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::query::Query;

/// A resource as kept: the row that all kinds share. `properties`, `sku` and `identity` belong to the kind.
pub use wharf_metadata::resources::ResourceRow as Resource;

/// A kind of resource.
#[async_trait]
pub trait Kind: Send + Sync + fmt::Debug + 'static {
    /// What does not depend on the request.
    fn about(&self) -> &'static About;

    /// Works out what the resource is to be: reads `sku`, `identity` and `properties` from the body into `draft`.
    ///
    /// `draft` already has location and tags. For a `PATCH` it holds the rest of the resource as it is; for a `PUT` the
    /// rest is empty, to be filled with what the body says and the documented defaults; what was settled when the
    /// resource was created is in `ask.old`. Members that are unknown, read-only or the same as before are ignored.
    ///
    /// # Errors
    /// What is wrong with the body, with its place as the target.
    fn plan(&self, cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError>;

    /// Asks for rights beyond `…/write` on the resource itself, such as on another one that the body names. Before the
    /// transaction.
    ///
    /// # Errors
    /// `LinkedAuthorizationFailed`, or that it cannot be found out.
    async fn admit(&self, _cx: &Cx, _ask: &Ask<'_>) -> Result<(), Failure> {
        Ok(())
    }

    /// Writes what the kind keeps beside the resource's row, in the transaction that writes the row. `old` is `None`
    /// when the resource is created. What is put into `new` here is stored.
    ///
    /// # Errors
    /// What stands against it; then nothing is written.
    async fn write(
        &self,
        _c: &mut Connection,
        _cx: &Cx,
        _old: Option<&Resource>,
        _new: &mut Resource,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// Says what stands against deleting this very resource, in the transaction that removes it, before [`Self::remove`].
    /// Not asked when the resource goes because what it is in goes.
    ///
    /// # Errors
    /// Why it must stay.
    async fn release(&self, _c: &mut Connection, _cx: &Cx, _resource: &Resource) -> Result<(), Failure> {
        Ok(())
    }

    /// Removes what the kind keeps beside the resource's row, in the transaction that removes the row. The resource's
    /// children, and the role assignments in it, are gone already.
    ///
    /// Answers [`Removal::More`] when there is more than fits into one transaction: what was removed is committed, the
    /// resource shows as `Deleting`, and this is called again until it is done, after a restart too.
    ///
    /// # Errors
    /// What stands against it; then nothing of this call is removed.
    async fn remove(&self, _c: &mut Connection, _cx: &Cx, _resource: &Resource) -> Result<Removal, Failure> {
        Ok(Removal::Done)
    }

    /// Puts what is computed into the `properties` (or `sku`, `identity`) of resources that are about to be shown; takes
    /// out what is not shown. A page holds up to a thousand: ask the database once for all of them, or not at all.
    ///
    /// # Errors
    /// When it cannot be found out.
    async fn render(&self, _c: &mut Connection, _cx: &Cx, _page: &mut [Resource]) -> Result<(), Failure> {
        Ok(())
    }

    /// Called after a change is committed and before its answer goes out: lets caches forget. Must not fail.
    fn committed(&self, _cx: &Cx, _old: Option<&Resource>, _new: Option<&Resource>) {}

    /// Does one of [`About::actions`]. The caller's right to it has been asked for.
    ///
    /// # Errors
    /// Why it cannot be done.
    async fn act(&self, _cx: &Cx, call: ActionCall) -> Result<Answer, Failure> {
        Err(ArmError::resource_not_found(&call.id).into())
    }
}

/// What does not depend on the request.
#[derive(Debug)]
pub struct About {
    /// `Microsoft.ContainerRegistry`.
    pub namespace: &'static str,
    /// The type within the namespace in the documented spelling: `registries`, `registries/tokens`.
    pub path: &'static str,
    /// What a reader of the OpenAPI document is told about the kind.
    pub summary: &'static str,
    /// The api-versions accepted, one of the tables of `wharf_arm::versions`.
    pub versions: Versions,
    /// What its operations begin with in roles, without `/read`, `/write`, `/delete`: usually namespace and path.
    pub operations: &'static str,
    /// Where it may be.
    pub place: Place,
    /// Whether it has a location and tags, and stands in the generic lists.
    pub is_tracked: bool,
    /// Whether it can be changed by `PATCH`.
    pub patch: bool,
    /// Whether it decides about who may do what, so that its changes go through `write_access`.
    pub changes_access: bool,
    /// Refuses names that no resource of this kind can have.
    pub check_name: fn(&str) -> Result<(), ArmError>,
    /// Operations beside reading and writing.
    pub actions: &'static [Action],
    /// Its properties, for the OpenAPI document.
    pub properties: &'static [Property],
}

impl About {
    /// `Microsoft.ContainerRegistry/registries/tokens`.
    #[must_use]
    pub fn type_name(&self) -> String {
        format!("{}/{}", self.namespace, self.path)
    }
}

/// Where resources of a kind may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a resource group; listed in groups and in subscriptions.
    Group,
    /// In a resource of the kind whose type is this one's without its last word.
    Parent,
    /// On any scope, from the root down to a resource.
    Scope,
    /// In a subscription: resource groups.
    Subscription,
}

/// An operation beside reading and writing.
#[derive(Debug)]
pub struct Action {
    /// `GET` or `POST`.
    pub method: Method,
    /// Its word in the path: `listCredentials`.
    pub name: &'static str,
    /// What it stands at.
    pub at: ActionAt,
    /// The right that it needs: `Microsoft.ContainerRegistry/registries/listCredentials/action`.
    pub operation: &'static str,
    /// Whether it may be followed by one more segment: `privateLinkResources/{group}`.
    pub has_tail: bool,
    /// Whether a `ReadOnly` lock forbids it, because it changes something or shows secrets.
    pub locked_by_read_only: bool,
    /// What a reader of the OpenAPI document is told.
    pub summary: &'static str,
}

/// What an action stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionAt {
    /// A resource, which is looked up before: `{id}/listCredentials`.
    Resource,
    /// The namespace in a subscription: `/subscriptions/{s}/providers/{namespace}/checkNameAvailability`.
    Subscription,
}

/// An action that was called.
#[derive(Debug)]
pub struct ActionCall {
    /// Which.
    pub action: &'static Action,
    /// The resource's id, or the subscription's.
    pub id: ResourceId,
    /// The resource, for actions at one.
    pub resource: Option<Resource>,
    /// The segment that followed.
    pub tail: Option<String>,
    /// The body; empty when there was none.
    pub body: Map<String, Value>,
    /// The query.
    pub query: Query,
}

impl ActionCall {
    /// The resource of an action at a resource.
    ///
    /// # Errors
    /// 404, for actions that are not at one.
    pub fn resource(&self) -> Result<&Resource, ArmError> {
        self.resource.as_ref().ok_or_else(|| ArmError::resource_not_found(&self.id))
    }
}

/// A `PUT` or `PATCH`.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The resource's id: as it is stored, or as the caller wrote it when it is new.
    pub id: &'a ResourceId,
    /// Which of the two.
    pub verb: Verb,
    /// The resource as it is.
    pub old: Option<&'a Resource>,
    /// The body, a JSON object.
    pub body: &'a Map<String, Value>,
}

impl<'a> Ask<'a> {
    /// `properties` of the body; empty when there are none.
    ///
    /// # Errors
    /// When it is something other than an object.
    pub fn properties(&self) -> Result<wharf_arm::Members<'a>, ArmError> {
        wharf_arm::Members::of(self.body).object_or_empty("properties")
    }
}

/// Which way a resource is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Creates, or replaces.
    Put,
    /// Changes what is named.
    Patch,
}

/// What a resource is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Where it is, for tracked kinds.
    pub location: Option<String>,
    /// Its tags.
    pub tags: std::collections::BTreeMap<String, String>,
    /// `sku`, for kinds that have one.
    pub sku: Option<Value>,
    /// `identity`, for kinds that have one.
    pub identity: Option<Value>,
    /// `properties`, as stored.
    pub properties: Map<String, Value>,
}

/// Whether a removal is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Nothing is left.
    Done,
    /// There is more to be removed, in another transaction.
    More,
}

/// A property of a kind, for the OpenAPI document.
#[derive(Debug)]
pub struct Property {
    /// Its place: `networkRuleSet.defaultAction`; `[]` after a word means each of a list.
    pub path: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Who writes it.
    pub access: Access,
}

/// What a property holds.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An instant, RFC 3339.
    Time,
    /// The id of a resource.
    Id,
    /// A list of texts.
    Texts,
    /// An object whose members are its paths, or free.
    Object,
    /// A list of objects.
    Objects,
}

/// Who writes a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The caller, at any time.
    Written,
    /// The caller, when the resource is created.
    Settled,
    /// The server.
    Shown,
}
