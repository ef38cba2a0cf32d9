//! The `identity` of a registry: a managed identity of its own, identities that were created apart, or both.
//!
//! Sources: `acr/control-plane.md` 7; az sends the whole object back after changing one thing.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_arm::{ArmError, Code, Members};
use wharf_identity::NewManagedIdentity;
use wharf_metadata::{Connection, resources};
use wharf_model::{PrincipalId, ResourceId};

use crate::{Cx, Failure, Resource, Verb};

/// The managed identities of a registry, as kept in the row's `identity`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identities {
    /// Whether it has one of its own.
    pub(crate) is_system: bool,
    /// That one's principal and tenant, once it was made.
    pub(crate) system: Option<(PrincipalId, Uuid)>,
    /// The others, by their ids in lower case.
    pub(crate) user: BTreeMap<String, ResourceId>,
}

impl Identities {
    /// Reads what is kept.
    pub(crate) fn of(kept: Option<&Value>) -> Self {
        let Some(kept) = kept else { return Self::default() };
        let id = |name: &str| kept.get(name).and_then(Value::as_str).and_then(|id| id.parse::<Uuid>().ok());
        let user = kept.get("userAssignedIdentities").and_then(Value::as_object).into_iter().flatten();
        Self {
            is_system: kept.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with(SYSTEM)),
            system: id("principalId").zip(id("tenantId")).map(|(principal, tenant)| (PrincipalId(principal), tenant)),
            user: user.filter_map(|(id, _)| id.parse().ok()).map(|id: ResourceId| (id.key().to_owned(), id)).collect(),
        }
    }

    /// What is kept; `None` when there is nothing.
    pub(crate) fn to_value(&self) -> Option<Value> {
        if *self == Self::default() {
            return None;
        }
        let mut kept = Map::new();
        kept.insert("type".to_owned(), json!(self.word()));
        if let Some((principal, tenant)) = self.system {
            kept.insert("principalId".to_owned(), json!(principal));
            kept.insert("tenantId".to_owned(), json!(tenant));
        }
        if !self.user.is_empty() {
            let user: Map<String, Value> = self.user.values().map(|id| (id.as_str().to_owned(), json!({}))).collect();
            kept.insert("userAssignedIdentities".to_owned(), Value::Object(user));
        }
        Some(Value::Object(kept))
    }

    fn word(&self) -> &'static str {
        match (self.is_system, self.user.is_empty()) {
            (true, true) => SYSTEM,
            (true, false) => "SystemAssigned, UserAssigned",
            (false, false) => "UserAssigned",
            (false, true) => "None",
        }
    }

    /// Takes over `identity` of a body. Without it everything stays, for a `PUT` too: clients that know nothing of
    /// identities must not end them. With it a `PUT` replaces; a `PATCH` adds identities, and takes away those that are
    /// `null`.
    ///
    /// # Errors
    /// When a member cannot be taken.
    pub(crate) fn merge(&mut self, body: &Members<'_>, verb: Verb) -> Result<(), ArmError> {
        if body.is_null("identity") {
            *self = Self::default();
            return Ok(());
        }
        let Some(identity) = body.object("identity")? else { return Ok(()) };
        let kind = match identity.text("type")? {
            Some(text) => Some(parse_type(&identity, text)?),
            None => None,
        };
        let given = identity.object("userAssignedIdentities")?;
        if verb == Verb::Put && (kind.is_some() || given.is_some()) || identity.is_null("userAssignedIdentities") {
            self.user.clear();
        }
        for (id, value) in given.iter().flat_map(Members::iter) {
            let parsed = parse_user_identity(id).map_err(|reason| {
                let place = identity.path("userAssignedIdentities");
                ArmError::invalid_member(&place, reason)
            })?;
            if value.is_null() {
                self.user.remove(parsed.key());
            } else {
                self.user.entry(parsed.key().to_owned()).or_insert(parsed);
            }
        }
        match kind {
            Some(Type::None) => *self = Self::default(),
            Some(Type::System) => (self.is_system, self.user) = (true, BTreeMap::new()),
            Some(Type::User) => self.is_system = false,
            Some(Type::Both) => self.is_system = true,
            None => {}
        }
        if matches!(kind, Some(Type::User | Type::Both)) && self.user.is_empty() {
            return Err(identity.invalid("userAssignedIdentities", "this type needs at least one identity"));
        }
        if self.user.len() > MOST_USER_IDENTITIES {
            let reason = format!("a registry has at most {MOST_USER_IDENTITIES} identities");
            return Err(identity.invalid("userAssignedIdentities", reason));
        }
        Ok(())
    }

    /// Makes or ends the registry's own managed identity, so that there is one exactly if there should be.
    ///
    /// # Errors
    /// When an identity that is referred to does not exist, or the database fails.
    pub(crate) async fn settle(
        &mut self,
        c: &mut Connection,
        cx: &Cx,
        old: &Self,
        registry: &Resource,
        tenant_id: Uuid,
    ) -> Result<(), Failure> {
        for (key, id) in &self.user {
            if !old.user.contains_key(key) && resources::find(c, id).await?.is_none() {
                let text = format!("The managed identity '{id}' does not exist. Create it first, or leave it out.");
                let target = "identity.userAssignedIdentities";
                return Err(ArmError::new(Code::FailedIdentityOperation, text).with_target(target).into());
            }
        }
        match (self.is_system, old.system) {
            (true, Some(system)) => self.system = Some(system),
            (true, None) => {
                let name = registry.id.name().unwrap_or_default();
                let new = NewManagedIdentity { name, tenant_id, resource_id: &registry.id, now: cx.now };
                let made = cx.identity().create_managed_identity(c, &new).await?;
                self.system = Some((made.principal_id, made.tenant_id));
            }
            (false, before) => {
                self.system = None;
                if let Some((principal, _)) = before {
                    cx.identity().delete_managed_identity(c, principal).await?;
                }
            }
        }
        Ok(())
    }

    /// As the API shows it; `known` holds what [`look_up`] found.
    pub(crate) fn render(&self, known: &HashMap<String, Value>) -> Option<Value> {
        let mut shown = self.to_value()?;
        if let Some(user) = shown.get_mut("userAssignedIdentities").and_then(Value::as_object_mut) {
            for (id, value) in user.iter_mut() {
                if let Some(found) = known.get(&id.to_ascii_lowercase()) {
                    value.clone_from(found);
                }
            }
        }
        Some(shown)
    }
}

/// Looks the identities up that registries of a page refer to: principal and client id, by id in lower case.
pub(crate) async fn look_up(
    c: &mut Connection,
    identities: impl IntoIterator<Item = &Identities>,
) -> Result<HashMap<String, Value>, Failure> {
    let wanted: BTreeMap<&String, &ResourceId> = identities.into_iter().flat_map(|one| &one.user).collect();
    let mut known = HashMap::new();
    for (key, id) in wanted {
        if let Some(found) = resources::find(c, id).await? {
            let member = |name: &str| found.properties.get(name).cloned().unwrap_or_default();
            let shown = json!({"principalId": member("principalId"), "clientId": member("clientId")});
            known.insert(key.clone(), shown);
        }
    }
    Ok(known)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    None,
    System,
    User,
    Both,
}

/// Reads `type`, with or without a blank after the comma.
fn parse_type(identity: &Members<'_>, text: &str) -> Result<Type, ArmError> {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    match squeezed.as_str() {
        "none" => Ok(Type::None),
        "systemassigned" => Ok(Type::System),
        "userassigned" => Ok(Type::User),
        "systemassigned,userassigned" | "userassigned,systemassigned" => Ok(Type::Both),
        _ => Err(identity
            .invalid("type", "expected one of None, SystemAssigned, UserAssigned, 'SystemAssigned, UserAssigned'")),
    }
}

fn parse_user_identity(id: &str) -> Result<ResourceId, String> {
    let parsed: ResourceId = id.parse().map_err(|error| format!("{error}"))?;
    let kind = parsed.resource_type().unwrap_or_default();
    if kind.eq_ignore_ascii_case(USER_IDENTITY_TYPE) {
        return Ok(parsed);
    }
    Err(format!("'{}' is not the id of a {USER_IDENTITY_TYPE}", super::reading::shortened(id)))
}

const SYSTEM: &str = "SystemAssigned";

/// The type of identities that were created apart.
pub(crate) const USER_IDENTITY_TYPE: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

/// A bound for what one row holds; ACR has no documented one.
const MOST_USER_IDENTITIES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001/resourceGroups/g";

    fn user(name: &str) -> String {
        format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}")
    }

    fn merge(identities: &mut Identities, verb: Verb, identity: Value) -> Result<(), ArmError> {
        let body = json!({"identity": identity});
        identities.merge(&Members::of(body.as_object().unwrap()), verb)
    }

    #[test]
    fn identities_are_added_replaced_and_taken_away() {
        let mut ours = Identities::default();
        merge(&mut ours, Verb::Patch, json!({"type": "systemassigned"})).unwrap();
        assert_eq!(ours.to_value(), Some(json!({"type": "SystemAssigned"})));
        let both = json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {user("One"): {}}});
        merge(&mut ours, Verb::Patch, both).unwrap();
        assert_eq!(ours.word(), "SystemAssigned, UserAssigned");
        merge(&mut ours, Verb::Patch, json!({"userAssignedIdentities": {user("two"): {}}})).unwrap();
        assert_eq!(ours.user.len(), 2);
        merge(&mut ours, Verb::Patch, json!({"userAssignedIdentities": {user("ONE"): null}})).unwrap();
        assert_eq!(ours.user.values().map(ToString::to_string).collect::<Vec<_>>(), [user("two")]);
        // As az sends the whole object back after a removal.
        merge(&mut ours, Verb::Put, json!({"type": "UserAssigned", "userAssignedIdentities": {user("One"): {}}}))
            .unwrap();
        assert_eq!(ours.to_value().unwrap()["userAssignedIdentities"], json!({user("One"): {}}));
        merge(&mut ours, Verb::Put, json!({"type": "None"})).unwrap();
        assert_eq!(ours.to_value(), None);
    }

    #[test]
    fn without_an_identity_everything_stays() {
        let mut ours = Identities { is_system: true, ..Identities::default() };
        ours.merge(&Members::default(), Verb::Put).unwrap();
        assert!(ours.is_system);
        merge(&mut ours, Verb::Patch, Value::Null).unwrap();
        assert!(!ours.is_system);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let mut ours = Identities { is_system: true, ..Identities::default() };
        ours.system = Some((PrincipalId(Uuid::from_u128(7)), Uuid::from_u128(8)));
        ours.user.insert(user("one").to_ascii_lowercase(), user("one").parse().unwrap());
        assert_eq!(Identities::of(ours.to_value().as_ref()), ours);
        assert_eq!(Identities::of(None), Identities::default());
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        let mut ours = Identities::default();
        for bad in [
            json!({"type": "Everything"}),
            json!({"type": "UserAssigned"}),
            json!({"type": "UserAssigned", "userAssignedIdentities": {"x": {}}}),
            json!({"type": "UserAssigned", "userAssignedIdentities": {format!("{GROUP}/providers/A.B/c/d"): {}}}),
            json!({"type": "UserAssigned", "userAssignedIdentities": [user("one")]}),
        ] {
            let error = merge(&mut ours, Verb::Put, bad.clone()).unwrap_err();
            assert!(error.target.is_some(), "{bad}");
        }
    }
}
