//! Objects created, changed and deleted.

use secrecy::SecretString;
use serde_json::{Map, Value};
use wharf_identity::directory::{
    ChangePasswordError, NewApplication, NewGroup, NewServicePrincipal, NewUser, SignInError,
};
use wharf_metadata::directory::{Properties, applications};
use wharf_model::PrincipalId;

use crate::call::{Answer, Call, application_id, flag, id_in_address, text, texts, uuid};
use crate::credentials::{objects, show_secret};
use crate::error::{Code, GraphError};
use crate::path::{Collection, Link};
use crate::render::Row;
use crate::schema::{self, Wanted};

impl Call {
    /// `POST /<collection>`.
    pub(crate) async fn create(&self, collection: Collection, body: Map<String, Value>) -> Result<Answer, GraphError> {
        let wanted = schema::read(collection, body)?;
        match collection {
            Collection::Applications => Box::pin(self.create_application(wanted)).await,
            Collection::ServicePrincipals => Box::pin(self.create_service_principal(wanted)).await,
            Collection::Users => Box::pin(self.create_user(wanted)).await,
            Collection::Groups => Box::pin(self.create_group(wanted)).await,
            Collection::DirectoryObjects => Err(GraphError::not_found("directoryObjects")),
        }
    }

    /// `PATCH /<collection>/<key>`.
    pub(crate) async fn update(&self, row: Row, body: Map<String, Value>) -> Result<Answer, GraphError> {
        let wanted = schema::read(row.collection(), body)?;
        match row.collection() {
            Collection::Applications => Box::pin(self.update_application(row, wanted)).await?,
            Collection::ServicePrincipals => Box::pin(self.update_service_principal(row, wanted)).await?,
            Collection::Users => Box::pin(self.update_user(row, wanted)).await?,
            Collection::Groups => Box::pin(self.update_group(row, wanted)).await?,
            Collection::DirectoryObjects => {}
        }
        Ok(Answer::Nothing)
    }

    /// `DELETE /<collection>/<key>`.
    pub(crate) async fn delete(&self, row: Row) -> Result<Answer, GraphError> {
        match &row {
            Row::Application(application) => {
                self.require_manager(&[row.id()]).await?;
                self.identity.delete_application(application.id).await?;
            }
            Row::Principal(principal) if row.collection() == Collection::Users => {
                self.require_administrator().await?;
                self.identity.delete_principal(principal.id).await?;
            }
            Row::Principal(principal) => {
                self.require_manager(&[row.id()]).await?;
                self.identity.delete_principal(principal.id).await?;
            }
        }
        Ok(Answer::Nothing)
    }

    /// `POST /me/changePassword`.
    pub(crate) async fn change_password(&self, row: Row, body: &Map<String, Value>) -> Result<Answer, GraphError> {
        if row.id() != self.caller.id.0 {
            return Err(GraphError::new(Code::Denied, "A user's password is changed by themselves alone."));
        }
        let required = |name: &str| {
            text(body, name)?.ok_or_else(|| GraphError::invalid(format!("Property '{name}' is required.")))
        };
        let (present, new): (&str, SecretString) = (required("currentPassword")?, required("newPassword")?.into());
        match self.identity.change_user_password(&self.caller.name, present, &new, Some(self.client)).await {
            Ok(_) => Ok(Answer::Nothing),
            Err(ChangePasswordError::Refused(error)) => Err(error.into()),
            Err(ChangePasswordError::SignIn(SignInError::Unavailable(error))) => Err(error.into()),
            Err(ChangePasswordError::SignIn(SignInError::Throttled(busy))) => {
                Err(wharf_identity::DirectoryError::from(busy).into())
            }
            Err(ChangePasswordError::SignIn(_)) => Err(GraphError::invalid("The specified current password is wrong.")),
        }
    }

    async fn create_application(&self, wanted: Wanted) -> Result<Answer, GraphError> {
        self.require_registrar().await?;
        let handled = &wanted.handled;
        let secrets = match handled.get("passwordCredentials") {
            Some(list) => objects(list, "passwordCredentials")?,
            None => Vec::new(),
        };
        let secrets: Vec<_> = secrets.into_iter().map(|secret| self.new_secret(secret)).collect::<Result<_, _>>()?;
        let new = NewApplication {
            tenant_id: self.caller.tenant_id,
            display_name: required_text(handled, "displayName")?,
            identifier_uris: texts(handled, "identifierUris")?.unwrap_or_default(),
            properties: without_nulls(wanted.kept),
            certificates: self.certificates(handled.get("keyCredentials").unwrap_or(&Value::Null), None).await?,
            owner: Some(self.caller.id),
        };
        let row = self.identity.create_application(new).await?;
        let holder = wharf_identity::directory::Holder::Application(row.id);
        let mut shown_secrets = Vec::new();
        for secret in secrets {
            let (credential, text) = self.identity.add_secret(holder, secret).await?;
            shown_secrets.push(show_secret(&credential, Some(&text)));
        }
        let mut object = self.render_one(Row::Application(row)).await?;
        if !shown_secrets.is_empty() {
            object.insert("passwordCredentials".to_owned(), shown_secrets.into());
        }
        Ok(self.created("applications", object))
    }

    async fn update_application(&self, row: Row, wanted: Wanted) -> Result<(), GraphError> {
        self.require_manager(&[row.id()]).await?;
        let (id, holder) = (application_id(&row.id().to_string())?, row.holder());
        let Wanted { handled, kept } = wanted;
        let (name, uris) = (text(&handled, "displayName")?.map(str::to_owned), texts(&handled, "identifierUris")?);
        let certificates = match handled.get("keyCredentials") {
            Some(list) => Some(self.certificates(list, holder).await?),
            None => None,
        };
        let change = move |row: &mut wharf_metadata::ApplicationRow| {
            if let Some(name) = name {
                row.display_name = name;
            }
            if let Some(uris) = uris {
                row.identifier_uris = uris;
            }
            schema::merge(&mut row.properties, kept);
            Ok(())
        };
        self.identity.update_application(id, certificates, change).await?;
        if let (Some(list), Some(holder)) = (handled.get("passwordCredentials"), holder) {
            self.keep_secrets(holder, list).await?;
        }
        Ok(())
    }

    async fn create_service_principal(&self, wanted: Wanted) -> Result<Answer, GraphError> {
        let app_id = required_text(&wanted.handled, "appId")?;
        let unknown = || {
            GraphError::invalid(format!(
                "The appId '{app_id}' of the service principal does not reference a valid application object."
            ))
        };
        let id = uuid(&app_id).map_err(|_| unknown())?;
        let application = self.database.read(move |c| Box::pin(applications::find_by_app(c, id))).await?;
        let application = application.filter(|row| row.tenant_id == self.caller.tenant_id);
        let Some(application) = application else {
            self.require_registrar().await?;
            return Err(unknown());
        };
        self.require_manager(&[application.id.0]).await?;
        if wanted.handled.contains_key("keyCredentials") || wanted.handled.contains_key("passwordCredentials") {
            return Err(GraphError::invalid("Credentials are added to a service principal once it is there."));
        }
        let new = NewServicePrincipal {
            app_id: id,
            is_enabled: flag(&wanted.handled, "accountEnabled")?.unwrap_or(true),
            properties: without_nulls(wanted.kept),
            owner: Some(self.caller.id),
        };
        let row = self.identity.create_service_principal(new).await?;
        Ok(self.created("servicePrincipals", self.render_one(Row::Principal(row)).await?))
    }

    async fn update_service_principal(&self, row: Row, wanted: Wanted) -> Result<(), GraphError> {
        self.require_manager(&[row.id()]).await?;
        let Wanted { handled, kept } = wanted;
        if handled.contains_key("appId") {
            return Err(GraphError::invalid("Property 'appId' is read-only and cannot be set."));
        }
        let holder = row.holder();
        let touches_credentials =
            ["keyCredentials", "passwordCredentials"].iter().any(|name| handled.contains_key(*name));
        if touches_credentials && holder.is_none() {
            return Err(GraphError::invalid("A managed identity has no credentials of its own."));
        }
        let (name, is_enabled) = (text(&handled, "displayName")?.map(str::to_owned), flag(&handled, "accountEnabled")?);
        if name.is_some() || is_enabled.is_some() || !kept.is_empty() {
            self.update_principal(&row, name, is_enabled, None, kept).await?;
        }
        if let Some(holder) = holder {
            if let Some(list) = handled.get("keyCredentials") {
                let certificates = self.certificates(list, Some(holder)).await?;
                self.identity.set_certificates(holder, certificates).await?;
            }
            if let Some(list) = handled.get("passwordCredentials") {
                self.keep_secrets(holder, list).await?;
            }
        }
        Ok(())
    }

    async fn create_user(&self, wanted: Wanted) -> Result<Answer, GraphError> {
        self.require_administrator().await?;
        let handled = &wanted.handled;
        let (password, must_change) = password(handled)?;
        let password =
            password.ok_or_else(|| GraphError::invalid("A password must be specified to create a new user."))?;
        let new = NewUser {
            tenant_id: self.caller.tenant_id,
            user_name: required_text(handled, "userPrincipalName")?,
            display_name: required_text(handled, "displayName")?,
            password: Some(password),
            // As Graph has it: whoever was given a password by another replaces it, unless told otherwise.
            must_change_password: must_change.unwrap_or(true),
            is_enabled: flag(handled, "accountEnabled")?.unwrap_or(true),
            properties: without_nulls(wanted.kept),
        };
        let row = self.identity.create_user(new).await?;
        let object = self.render_one(Row::Principal(row)).await?;
        Ok(self.created("users", self.select(Collection::Users, object)))
    }

    async fn update_user(&self, row: Row, wanted: Wanted) -> Result<(), GraphError> {
        self.require_administrator().await?;
        let Wanted { handled, kept } = wanted;
        let (password, must_change) = password(&handled)?;
        let (name, is_enabled) = (text(&handled, "displayName")?.map(str::to_owned), flag(&handled, "accountEnabled")?);
        let user_name = text(&handled, "userPrincipalName")?.map(str::to_owned);
        if name.is_some() || is_enabled.is_some() || user_name.is_some() || !kept.is_empty() {
            self.update_principal(&row, name, is_enabled, user_name, kept).await?;
        }
        match (password, must_change) {
            (Some(password), must_change) => {
                let must_change = must_change.unwrap_or(true);
                self.identity.set_user_password(PrincipalId(row.id()), &password, must_change).await?;
            }
            (None, Some(must_change)) => {
                self.identity.set_must_change_password(PrincipalId(row.id()), must_change).await?;
            }
            (None, None) => {}
        }
        Ok(())
    }

    async fn create_group(&self, wanted: Wanted) -> Result<Answer, GraphError> {
        self.require_administrator().await?;
        let handled = &wanted.handled;
        check_group(handled)?;
        let bound = |name: &str| -> Result<Vec<PrincipalId>, GraphError> {
            texts(handled, name)?.unwrap_or_default().iter().map(|address| id_in_address(address)).collect()
        };
        let new = NewGroup {
            tenant_id: self.caller.tenant_id,
            display_name: required_text(handled, "displayName")?,
            properties: without_nulls(wanted.kept),
            owners: bound("owners")?,
            members: bound("members")?,
        };
        let row = self.identity.create_group(new).await?;
        Ok(self.created("groups", self.render_one(Row::Principal(row)).await?))
    }

    async fn update_group(&self, row: Row, wanted: Wanted) -> Result<(), GraphError> {
        self.require_manager(&[row.id()]).await?;
        let Wanted { handled, kept } = wanted;
        check_group(&handled)?;
        let name = text(&handled, "displayName")?.map(str::to_owned);
        if name.is_some() || !kept.is_empty() {
            self.update_principal(&row, name, None, None, kept).await?;
        }
        for (property, link) in [("members", Link::Members), ("owners", Link::Owners)] {
            for address in texts(&handled, property)?.unwrap_or_default() {
                self.link(&row, link, id_in_address(&address)?).await?;
            }
        }
        Ok(())
    }

    async fn update_principal(
        &self,
        row: &Row,
        name: Option<String>,
        is_enabled: Option<bool>,
        user_name: Option<String>,
        kept: Map<String, Value>,
    ) -> Result<(), GraphError> {
        let change = move |row: &mut wharf_metadata::PrincipalRow| {
            if let Some(name) = name {
                row.display_name = name;
            }
            if let Some(is_enabled) = is_enabled {
                row.is_enabled = is_enabled;
            }
            if user_name.is_some() {
                row.user_name = user_name;
            }
            schema::merge(&mut row.properties, kept);
            Ok(())
        };
        self.identity.update_principal(PrincipalId(row.id()), change).await?;
        Ok(())
    }
}

/// There are security groups, and no others.
fn check_group(handled: &Map<String, Value>) -> Result<(), GraphError> {
    let is_security =
        flag(handled, "securityEnabled")?.unwrap_or(true) && !flag(handled, "mailEnabled")?.unwrap_or(false);
    let has_types = texts(handled, "groupTypes")?.is_some_and(|types| !types.is_empty());
    if is_security && !has_types {
        return Ok(());
    }
    Err(GraphError::invalid(
        "Only security groups are supported: securityEnabled is true, mailEnabled is false, groupTypes is empty.",
    ))
}

/// What a body says of a user's password, and whether it is to be replaced at the next sign-in.
fn password(handled: &Map<String, Value>) -> Result<(Option<SecretString>, Option<bool>), GraphError> {
    match handled.get("passwordProfile") {
        None | Some(Value::Null) => Ok((None, None)),
        Some(Value::Object(profile)) => {
            let password = text(profile, "password")?.map(SecretString::from);
            Ok((password, flag(profile, "forceChangePasswordNextSignIn")?))
        }
        Some(_) => Err(GraphError::invalid("Property 'passwordProfile' must be an object.")),
    }
}

fn required_text(handled: &Map<String, Value>, name: &str) -> Result<String, GraphError> {
    let missing = || GraphError::invalid(format!("A value is required for property '{name}' of resource."));
    text(handled, name)?.map(str::to_owned).ok_or_else(missing)
}

fn without_nulls(kept: Map<String, Value>) -> Properties {
    kept.into_iter().filter(|(_, value)| !value.is_null()).collect()
}
