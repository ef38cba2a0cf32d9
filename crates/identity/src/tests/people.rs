//! Principals with roles, as tests need them.

use secrecy::ExposeSecret as _;
use uuid::Uuid;
use wharf_access::built_in_roles;
use wharf_metadata::directory::Properties;
use wharf_metadata::{RoleAssignmentMode, RoleAssignmentRow, RoleDefinitionRow, roles};
use wharf_model::{PrincipalId, ResourceId, Timestamp};

use super::setup::Installation;
use crate::directory::{NewClient, NewGroup, NewSecret, NewUser};
use crate::{PrincipalGrant, TokenStyle};

pub(crate) const TENANT: Uuid = Uuid::from_u128(7);
pub(crate) const ACR: &str = "https://containerregistry.azure.net";

/// A service principal with its secret.
#[derive(Clone, Debug)]
pub(crate) struct Robot {
    pub(crate) id: PrincipalId,
    pub(crate) app_id: String,
    pub(crate) secret: String,
    /// Its secret's id, and what holds it.
    pub(crate) key: (crate::directory::Holder, Uuid),
}

impl Installation {
    pub(crate) async fn robot(&self) -> Robot {
        use wharf_model::Clock as _;
        let (identity, now) = (self.identity.clone(), self.clock.now());
        let secret = Some(NewSecret::default());
        let new = NewClient { tenant_id: TENANT, display_name: "robot".into(), app_id: None, secret, now };
        let made = self.database.write_access(move |c| Box::pin(async move { identity.create_client(c, new).await }));
        let made = made.await.unwrap();
        let (row, secret) = made.secret.unwrap();
        Robot {
            id: made.principal.id,
            app_id: made.application.app_id.to_string(),
            secret: secret.expose_secret().to_owned(),
            key: (crate::directory::Holder::Application(made.application.id), row.key_id),
        }
    }

    pub(crate) async fn person(&self, name: &str) -> PrincipalId {
        let new = NewUser {
            tenant_id: TENANT,
            user_name: format!("{name}@example.com"),
            display_name: name.into(),
            password: Some("correct horse".into()),
            must_change_password: false,
            is_enabled: true,
            properties: Properties::new(),
        };
        self.identity.create_user(new).await.unwrap().id
    }

    pub(crate) async fn group(&self, members: &[PrincipalId]) -> PrincipalId {
        let new = NewGroup {
            tenant_id: TENANT,
            display_name: "group".into(),
            properties: Properties::new(),
            owners: vec![],
            members: members.to_vec(),
        };
        self.identity.create_group(new).await.unwrap().id
    }

    /// Gives somebody a role and returns the assignment's name.
    pub(crate) async fn assign(&self, to: PrincipalId, role: &str, scope: &ResourceId) -> Uuid {
        self.assign_if(to, role, scope, None).await
    }

    pub(crate) async fn assign_if(
        &self,
        to: PrincipalId,
        role: &str,
        scope: &ResourceId,
        condition: Option<&str>,
    ) -> Uuid {
        let role = built_in_roles().iter().find(|own| own.name == role).unwrap_or_else(|| panic!("{role}")).id;
        self.assign_id(to, role, scope, condition).await
    }

    pub(crate) async fn assign_id(
        &self,
        to: PrincipalId,
        role_id: Uuid,
        scope: &ResourceId,
        condition: Option<&str>,
    ) -> Uuid {
        let row = RoleAssignmentRow {
            id: Uuid::new_v4(),
            scope: scope.clone(),
            principal_id: to,
            principal_type: "ServicePrincipal".into(),
            role_id,
            condition: condition.map(str::to_owned),
            condition_version: condition.map(|_| "2.0".to_owned()),
            description: None,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            created_by: String::new(),
            updated_by: String::new(),
        };
        let id = row.id;
        let insert =
            self.database.write_access(move |c| Box::pin(async move { roles::insert_assignment(c, &row).await }));
        assert!(insert.await.unwrap());
        id
    }

    pub(crate) async fn unassign(&self, assignment: Uuid) {
        let delete =
            self.database.write_access(move |c| Box::pin(async move { roles::delete_assignment(c, assignment).await }));
        assert!(delete.await.unwrap());
    }

    /// Defines a role with these permissions.
    pub(crate) async fn define(&self, permissions: &str) -> Uuid {
        self.define_in(permissions, vec![ResourceId::root()]).await
    }

    /// Defines a role with these permissions, to be assigned in these scopes.
    pub(crate) async fn define_in(&self, permissions: &str, assignable_scopes: Vec<ResourceId>) -> Uuid {
        let row = RoleDefinitionRow {
            id: Uuid::new_v4(),
            name: "Custom".into(),
            description: String::new(),
            permissions: permissions.into(),
            assignable_scopes,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            created_by: String::new(),
            updated_by: String::new(),
        };
        let id = row.id;
        let put = self.database.write_access(move |c| Box::pin(async move { roles::put_definition(c, &row).await }));
        assert!(put.await.unwrap());
        id
    }

    /// Whether contoso's roles count by repository from now on.
    pub(crate) fn by_repository(&mut self, on: bool) {
        let mut settings = (*self.contoso.settings).clone();
        settings.role_assignment_mode = if on {
            RoleAssignmentMode::AbacRepositoryPermissions
        } else {
            RoleAssignmentMode::LegacyRegistryPermissions
        };
        self.contoso.settings = settings.into();
    }

    /// An access token of the token service.
    pub(crate) async fn principal_token(&self, id: PrincipalId, audience: &str) -> String {
        let signed_in = self.identity.find_signed_in(id).await.unwrap().unwrap();
        let grant = PrincipalGrant {
            principal: &signed_in.principal,
            generation: signed_in.generation,
            audience,
            issuer: "https://login.example.com",
            client_id: "client",
            style: TokenStyle::Secret,
        };
        self.identity.issue_principal_token(&grant).await.unwrap().token
    }
}
