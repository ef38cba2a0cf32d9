//! Applications and their service principals.

use secrecy::SecretString;
use uuid::Uuid;
use wharf_metadata::directory::{Properties, applications, credentials, owners, principals};
use wharf_metadata::{ApplicationId, ApplicationRow, Connection, CredentialRow, PrincipalRow};
use wharf_model::{PrincipalId, PrincipalKind, Timestamp};

use super::changes::{get_principal, remove_unless_last_owner};
use super::error::DirectoryError;
use super::rules;
use super::secrets::{CertificateEntry, Holder, NewSecret, put_certificates};
use crate::identity::Identity;

/// An application to be created.
#[derive(Debug)]
pub struct NewApplication {
    /// The tenant that it will be in.
    pub tenant_id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// The URIs that stand for it beside its id.
    pub identifier_uris: Vec<String>,
    /// What Graph keeps of it beside.
    pub properties: Properties,
    /// Its certificates, all new.
    pub certificates: Vec<CertificateEntry>,
    /// Who owns it.
    pub owner: Option<PrincipalId>,
}

/// A service principal to be created.
#[derive(Debug)]
pub struct NewServicePrincipal {
    /// The application that it signs in for.
    pub app_id: Uuid,
    /// Whether it may sign in.
    pub is_enabled: bool,
    /// What Graph keeps of it beside.
    pub properties: Properties,
    /// Who owns it.
    pub owner: Option<PrincipalId>,
}

/// An application with its service principal and a secret, to be created at once.
#[derive(Debug)]
pub struct NewClient {
    /// The tenant that it will be in.
    pub tenant_id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// The application (client) id; a new one, if not given.
    pub app_id: Option<Uuid>,
    /// Its first secret; none, if not given.
    pub secret: Option<NewSecret>,
    /// When.
    pub now: Timestamp,
}

/// An application with its service principal.
#[derive(Debug)]
pub struct CreatedClient {
    /// The application.
    pub application: ApplicationRow,
    /// Its service principal.
    pub principal: PrincipalRow,
    /// Its secret, shown this once.
    pub secret: Option<(CredentialRow, SecretString)>,
}

impl Identity {
    /// Creates an application. Several may have the same name.
    ///
    /// # Errors
    /// When a value cannot be, or another application has one of the URIs.
    pub async fn create_application(&self, new: NewApplication) -> Result<ApplicationRow, DirectoryError> {
        check_application(&new.display_name, &new.identifier_uris, &new.properties)?;
        let now = self.parts().clock.now();
        let row = ApplicationRow {
            id: ApplicationId(Uuid::new_v4()),
            tenant_id: new.tenant_id,
            app_id: Uuid::new_v4(),
            display_name: new.display_name,
            identifier_uris: new.identifier_uris,
            properties: new.properties,
            created_at: now,
            updated_at: now,
        };
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    if !applications::insert(c, &row).await? {
                        return Err(uri_taken(&row));
                    }
                    put_certificates(c, Holder::Application(row.id), new.certificates, now).await?;
                    if let Some(owner) = new.owner {
                        owners::add(c, row.id.0, owner).await?;
                    }
                    Ok(row)
                })
            })
            .await
    }

    /// Changes what an application is called, its URIs and what is kept of it, and its certificates if they are given. Its
    /// service principal gets a new name with it. Its ids stay as they are, whatever `change` does.
    ///
    /// # Errors
    /// When there is no such application, when `change` fails, when a value cannot be or another application has one of
    /// the URIs.
    pub async fn update_application(
        &self,
        id: ApplicationId,
        certificates: Option<Vec<CertificateEntry>>,
        change: impl FnOnce(&mut ApplicationRow) -> Result<(), DirectoryError> + Send + 'static,
    ) -> Result<ApplicationRow, DirectoryError> {
        let now = self.parts().clock.now();
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    applications::lock(c, id).await?;
                    let old = get_application(c, id).await?;
                    let mut row = old.clone();
                    change(&mut row)?;
                    (row.id, row.app_id, row.tenant_id, row.updated_at) = (old.id, old.app_id, old.tenant_id, now);
                    check_application(&row.display_name, &row.identifier_uris, &row.properties)?;
                    if !applications::update(c, &row).await? {
                        return Err(uri_taken(&row));
                    }
                    if row.display_name != old.display_name
                        && let Some(found) = principals::find_by_app(c, row.app_id).await?
                    {
                        principals::lock(c, found.id).await?;
                        let mut principal = get_principal(c, found.id).await?;
                        principal.display_name.clone_from(&row.display_name);
                        principal.updated_at = now;
                        principals::update(c, &principal).await?;
                    }
                    if let Some(certificates) = certificates {
                        put_certificates(c, Holder::Application(id), certificates, now).await?;
                    }
                    get_application(c, id).await
                })
            })
            .await
    }

    /// Deletes an application with its credentials, and its service principal with its role assignments. Every token that
    /// was issued to it ends.
    ///
    /// # Errors
    /// When there is no such application.
    pub async fn delete_application(&self, id: ApplicationId) -> Result<(), DirectoryError> {
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    let row = get_application(c, id).await?;
                    if let Some(principal) = principals::find_by_app(c, row.app_id).await? {
                        remove_unless_last_owner(c, principal.id).await?;
                    }
                    applications::delete(c, id).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Creates the service principal of an application.
    ///
    /// # Errors
    /// When there is no such application, or it has one.
    pub async fn create_service_principal(&self, new: NewServicePrincipal) -> Result<PrincipalRow, DirectoryError> {
        rules::check_properties(&new.properties)?;
        let now = self.parts().clock.now();
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    let application = applications::find_by_app(c, new.app_id).await?;
                    let application =
                        application.ok_or_else(|| DirectoryError::not_found("application", new.app_id))?;
                    let mut row = service_principal(&application, now);
                    (row.is_enabled, row.properties) = (new.is_enabled, new.properties);
                    if !principals::insert(c, &row).await? {
                        return Err(DirectoryError::Taken { what: "appId", value: new.app_id.to_string() });
                    }
                    if let Some(owner) = new.owner {
                        owners::add(c, row.id.0, owner).await?;
                    }
                    Ok(row)
                })
            })
            .await
    }

    /// Creates an application with its service principal and a secret, in the caller's transaction
    /// ([`wharf_metadata::Database::write_access`]).
    ///
    /// # Errors
    /// When a value cannot be or the application id is taken.
    pub async fn create_client(&self, c: &mut Connection, new: NewClient) -> Result<CreatedClient, DirectoryError> {
        rules::check_display_name(&new.display_name)?;
        let application = ApplicationRow {
            id: ApplicationId(Uuid::new_v4()),
            tenant_id: new.tenant_id,
            app_id: new.app_id.unwrap_or_else(Uuid::new_v4),
            display_name: new.display_name,
            identifier_uris: Vec::new(),
            properties: Properties::new(),
            created_at: new.now,
            updated_at: new.now,
        };
        let principal = service_principal(&application, new.now);
        if !applications::insert(c, &application).await? || !principals::insert(c, &principal).await? {
            return Err(DirectoryError::Taken { what: "appId", value: application.app_id.to_string() });
        }
        let secret = match new.secret {
            None => None,
            Some(secret) => {
                let (row, text) = self.draw_secret(application.id.0, secret)?;
                credentials::put(c, &row).await?;
                Some((row, text))
            }
        };
        Ok(CreatedClient { application, principal, secret })
    }

    /// Makes a principal an owner of an application, a service principal or a group. Returns `false` when it is one
    /// already.
    ///
    /// # Errors
    /// When there is no such object or principal.
    pub async fn add_owner(&self, object: Uuid, owner: PrincipalId) -> Result<bool, DirectoryError> {
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    let is_application = applications::find(c, ApplicationId(object)).await?.is_some();
                    if !is_application {
                        get_principal(c, PrincipalId(object)).await?;
                    }
                    if get_principal(c, owner).await?.kind == PrincipalKind::Group {
                        return Err(DirectoryError::invalid("owner", "is a group, which owns nothing"));
                    }
                    Ok(owners::add(c, object, owner).await?)
                })
            })
            .await
    }

    /// Ends a principal's ownership. Returns `false` when there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_owner(&self, object: Uuid, owner: PrincipalId) -> Result<bool, DirectoryError> {
        let removed = self.parts().database.write_access(move |c| Box::pin(owners::remove(c, object, owner))).await;
        Ok(removed?)
    }
}

/// A service principal of an application, under its name.
fn service_principal(application: &ApplicationRow, now: Timestamp) -> PrincipalRow {
    PrincipalRow {
        id: PrincipalId(Uuid::new_v4()),
        kind: PrincipalKind::ServicePrincipal,
        tenant_id: application.tenant_id,
        display_name: application.display_name.clone(),
        user_name: None,
        app_id: Some(application.app_id),
        resource_id: None,
        is_enabled: true,
        generation: 1,
        properties: Properties::new(),
        created_at: now,
        updated_at: now,
    }
}

async fn get_application(c: &mut Connection, id: ApplicationId) -> Result<ApplicationRow, DirectoryError> {
    applications::find(c, id).await?.ok_or_else(|| DirectoryError::not_found("application", id))
}

fn check_application(name: &str, uris: &[String], properties: &Properties) -> Result<(), DirectoryError> {
    rules::check_display_name(name)?;
    rules::check_identifier_uris(uris)?;
    rules::check_properties(properties)
}

fn uri_taken(row: &ApplicationRow) -> DirectoryError {
    DirectoryError::Taken { what: "identifierUris", value: row.identifier_uris.join(", ") }
}
