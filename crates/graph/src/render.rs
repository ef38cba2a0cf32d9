//! Objects as Graph shows them.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_identity::directory::Holder;
use wharf_metadata::directory::{Family, applications, credentials, key};
use wharf_metadata::{ApplicationRow, CredentialKind, CredentialRow, PrincipalRow};
use wharf_model::PrincipalKind;

use crate::call::Call;
use crate::credentials::{date, show_certificate, show_secret};
use crate::error::GraphError;
use crate::path::Collection;
use crate::query::Position;
use crate::schema;

/// An object as kept.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    Application(ApplicationRow),
    Principal(PrincipalRow),
}

impl Row {
    /// Its object id.
    pub(crate) fn id(&self) -> Uuid {
        match self {
            Self::Application(row) => row.id.0,
            Self::Principal(row) => row.id.0,
        }
    }

    /// The tenant that it is in.
    pub(crate) fn tenant_id(&self) -> Uuid {
        match self {
            Self::Application(row) => row.tenant_id,
            Self::Principal(row) => row.tenant_id,
        }
    }

    pub(crate) fn collection(&self) -> Collection {
        match self {
            Self::Application(_) => Collection::Applications,
            Self::Principal(row) => match Family::of(row.kind) {
                Family::Users => Collection::Users,
                Family::Groups => Collection::Groups,
                Family::ServicePrincipals => Collection::ServicePrincipals,
            },
        }
    }

    /// What has its credentials, if it can have any.
    pub(crate) fn holder(&self) -> Option<Holder> {
        match self {
            Self::Application(row) => Some(Holder::Application(row.id)),
            Self::Principal(row) => {
                (row.kind == PrincipalKind::ServicePrincipal).then_some(Holder::ServicePrincipal(row.id))
            }
        }
    }

    /// Where it stands in a list.
    pub(crate) fn position(&self) -> Position {
        let name = match self {
            Self::Application(row) => &row.display_name,
            Self::Principal(row) => &row.display_name,
        };
        Position { name_key: key(name), id: self.id() }
    }
}

impl Call {
    /// Objects of one row each, with everything that there is of them.
    pub(crate) async fn render(&self, rows: &[Row]) -> Result<Vec<Map<String, Value>>, GraphError> {
        let holders: Vec<Uuid> = rows.iter().filter_map(Row::holder).map(Holder::id).collect();
        let app_ids: Vec<Uuid> = rows
            .iter()
            .filter_map(|row| match row {
                Row::Application(_) => None,
                Row::Principal(row) => row.app_id,
            })
            .collect();
        let (held, uris) = self
            .database
            .read(move |c| {
                Box::pin(async move {
                    let held = credentials::list(c, &holders).await?;
                    let uris = applications::list_uris(c, &app_ids).await?;
                    Ok::<_, wharf_metadata::Error>((held, uris))
                })
            })
            .await?;
        let mut credentials_of: HashMap<Uuid, Vec<CredentialRow>> = HashMap::new();
        for row in held {
            credentials_of.entry(row.owner_id).or_default().push(row);
        }
        let mut uris_of: HashMap<Uuid, Vec<String>> = HashMap::new();
        for (app_id, uri) in uris {
            uris_of.entry(app_id).or_default().push(uri);
        }
        let shown = rows.iter().map(|row| {
            let held = credentials_of.remove(&row.id()).unwrap_or_default();
            match row {
                Row::Application(row) => application(row, &held),
                Row::Principal(row) => match row.kind {
                    PrincipalKind::User => user(row),
                    PrincipalKind::Group => group(row),
                    PrincipalKind::ServicePrincipal | PrincipalKind::ManagedIdentity => {
                        let uris = row.app_id.and_then(|id| uris_of.get(&id)).map(Vec::as_slice).unwrap_or_default();
                        service_principal(row, &held, uris)
                    }
                },
            }
        });
        Ok(shown.collect())
    }

    /// One object.
    pub(crate) async fn render_one(&self, row: Row) -> Result<Map<String, Value>, GraphError> {
        Ok(self.render(&[row]).await?.pop().unwrap_or_default())
    }

    /// The properties of an object that are wanted.
    pub(crate) fn select(&self, collection: Collection, object: Map<String, Value>) -> Map<String, Value> {
        let usual = (collection == Collection::Users).then_some(schema::USUAL_OF_USERS);
        self.query.select(object, usual)
    }

    /// Objects of several kinds in one list, each saying what it is.
    pub(crate) async fn mixed(&self, rows: Vec<Row>) -> Result<Vec<Value>, GraphError> {
        let objects = self.render(&rows).await?;
        let typed = rows.iter().zip(objects).map(|(row, object)| {
            let mut object = self.select(row.collection(), object);
            object.insert("@odata.type".to_owned(), json!(format!("#{}", row.collection().type_name())));
            Value::Object(object)
        });
        Ok(typed.collect())
    }
}

/// Puts the properties with a meaning of their own before those that are only kept.
fn with(collection: Collection, properties: &wharf_metadata::directory::Properties, own: Value) -> Map<String, Value> {
    let mut shown = schema::show(collection, properties);
    if let Value::Object(own) = own {
        shown.extend(own);
    }
    shown
}

fn of_kind(held: &[CredentialRow], kind: CredentialKind, show: impl Fn(&CredentialRow) -> Value) -> Vec<Value> {
    held.iter().filter(|row| row.kind == kind).map(show).collect()
}

fn application(row: &ApplicationRow, held: &[CredentialRow]) -> Map<String, Value> {
    let own = json!({
        "id": row.id.0,
        "appId": row.app_id,
        "displayName": row.display_name,
        "createdDateTime": date(row.created_at),
        "deletedDateTime": null,
        "applicationTemplateId": null,
        "identifierUris": row.identifier_uris,
        "keyCredentials": of_kind(held, CredentialKind::Certificate, show_certificate),
        "passwordCredentials": of_kind(held, CredentialKind::Secret, |row| show_secret(row, None)),
        "publisherDomain": null,
    });
    let mut shown = with(Collection::Applications, &row.properties, own);
    shown.entry("signInAudience").and_modify(|audience| {
        if audience.is_null() {
            *audience = "AzureADMyOrg".into();
        }
    });
    shown
}

fn service_principal(row: &PrincipalRow, held: &[CredentialRow], uris: &[String]) -> Map<String, Value> {
    let mut names: Vec<String> = row.app_id.iter().map(Uuid::to_string).collect();
    names.extend_from_slice(uris);
    let is_managed = row.kind == PrincipalKind::ManagedIdentity;
    // As Entra does for managed identities: whether it is a resource of its own, and which.
    let alternatives: Vec<String> = row.resource_id.as_ref().map_or_else(Vec::new, |resource| {
        let is_own = resource.resource_type().is_some_and(|kind| kind.eq_ignore_ascii_case(USER_ASSIGNED));
        vec![format!("isExplicit={}", if is_own { "True" } else { "False" }), resource.to_string()]
    });
    let own = json!({
        "id": row.id,
        "appId": row.app_id,
        "accountEnabled": row.is_enabled,
        "alternativeNames": alternatives,
        "appDisplayName": if is_managed { Value::Null } else { row.display_name.as_str().into() },
        "appOwnerOrganizationId": row.tenant_id,
        "createdDateTime": date(row.created_at),
        "deletedDateTime": null,
        "displayName": row.display_name,
        "keyCredentials": of_kind(held, CredentialKind::Certificate, show_certificate),
        "passwordCredentials": of_kind(held, CredentialKind::Secret, |row| show_secret(row, None)),
        "servicePrincipalNames": names,
        "servicePrincipalType": if is_managed { "ManagedIdentity" } else { "Application" },
    });
    with(Collection::ServicePrincipals, &row.properties, own)
}

fn user(row: &PrincipalRow) -> Map<String, Value> {
    let own = json!({
        "id": row.id,
        "accountEnabled": row.is_enabled,
        "createdDateTime": date(row.created_at),
        "deletedDateTime": null,
        "displayName": row.display_name,
        // It says whether the password is to be replaced; nobody is shown that.
        "passwordProfile": null,
        "userPrincipalName": row.user_name,
    });
    let mut shown = with(Collection::Users, &row.properties, own);
    shown.entry("userType").and_modify(|kind| {
        if kind.is_null() {
            *kind = "Member".into();
        }
    });
    shown
}

fn group(row: &PrincipalRow) -> Map<String, Value> {
    let own = json!({
        "id": row.id,
        "createdDateTime": date(row.created_at),
        "deletedDateTime": null,
        "displayName": row.display_name,
        "groupTypes": [],
        "mail": null,
        "mailEnabled": false,
        "securityEnabled": true,
    });
    with(Collection::Groups, &row.properties, own)
}

const USER_ASSIGNED: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
