//! An installation on a temporary database, with a clock that moves only when told to.

use std::sync::Arc;

use uuid::Uuid;
use wharf_metadata::registries::RegistryChange;
use wharf_metadata::{Database, NewRegistry, RegistryRow, registries};
use wharf_model::{Clock, FakeClock, RegistryId, RegistryUid, ResourceId, Timestamp};

use crate::{AuthError, Caller, Credentials, Identity, SealingKey, SystemRandom, TOKEN_USER, TokenProblem, passwords};

pub(crate) const LOGIN_SERVER: &str = "contoso.example.com";

/// The admin user is on, its passwords are `<name>-password` and `<name>-password2`; anonymous pull is off.
pub(crate) fn registry_row(key: &SealingKey, name: &str) -> RegistryRow {
    let uid = RegistryUid(Uuid::new_v4());
    let seal = |password: String| passwords::seal(key, uid, &password.into());
    RegistryRow {
        id: RegistryId(1),
        uid,
        name: name.parse().unwrap(),
        sku: "Premium".to_owned(),
        admin_user_enabled: true,
        anonymous_pull_enabled: false,
        admin_passwords: [seal(format!("{name}-password")), seal(format!("{name}-password2"))],
        credentials_generation: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        resource_id: registry_id(name),
        settings: Default::default(),
    }
}

/// The resource group that the registries are in.
pub(crate) fn group_id() -> ResourceId {
    "/subscriptions/7a1f0a52-0000-4000-8000-000000000001/resourceGroups/rg".parse().unwrap()
}

/// A registry as an ARM resource.
pub(crate) fn registry_id(name: &str) -> ResourceId {
    group_id().resource("Microsoft.ContainerRegistry", "registries", name).unwrap()
}

/// One node, started, and two registries: `contoso` and `fabrikam`.
pub(crate) struct Installation {
    pub(crate) identity: Identity,
    pub(crate) contoso: RegistryRow,
    pub(crate) fabrikam: RegistryRow,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) database: Database,
    pub(crate) sealing: Arc<SealingKey>,
    _directory: tempfile::TempDir,
}

impl Installation {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", directory.path().join("wharf.db").display());
        let database = Database::open(&address.parse().unwrap()).await.unwrap();
        let sealing = Arc::new(SealingKey::ephemeral(&SystemRandom));
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix_seconds(1_790_000_000)));
        let identity = Identity::new(database.clone(), sealing.clone(), clock.clone());
        identity.start().await.unwrap();
        let contoso = insert(&database, registry_row(&sealing, "contoso")).await;
        let fabrikam = insert(&database, registry_row(&sealing, "fabrikam")).await;
        Self { identity, contoso, fabrikam, clock, database, sealing, _directory: directory }
    }

    /// Another node of the same installation, with its own clock's hands on the same clock.
    pub(crate) async fn another_node(&self) -> Identity {
        let identity = Identity::new(self.database.clone(), self.sealing.clone(), self.clock.clone());
        identity.start().await.unwrap();
        identity
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().unix_seconds()
    }

    pub(crate) async fn admin(&self) -> Arc<Caller> {
        self.basic("contoso", "contoso-password").await.unwrap()
    }

    /// An access token of contoso's admin user for `scopes`, written as in a form.
    pub(crate) async fn admin_token(&self, scopes: &str) -> String {
        self.token_for(&*self.admin().await, scopes).await
    }

    pub(crate) async fn refresh_token(&self) -> String {
        let admin = self.admin().await;
        self.identity.refresh_token(&self.contoso, LOGIN_SERVER, &admin).await.unwrap()
    }

    pub(crate) async fn token_for(&self, caller: &Caller, scopes: &str) -> String {
        let scopes: Vec<_> = scopes.split_whitespace().map(|scope| scope.parse().unwrap()).collect();
        self.identity.access_token(&self.contoso, LOGIN_SERVER, caller, &scopes).await.unwrap()
    }

    pub(crate) async fn bearer(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        self.identity.authenticate(&self.contoso, Credentials::Bearer(token), None).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        self.identity.authenticate(&self.contoso, Credentials::RefreshToken(token), None).await
    }

    pub(crate) async fn basic(&self, username: &str, password: &str) -> Result<Arc<Caller>, AuthError> {
        self.identity.authenticate(&self.contoso, Credentials::Basic { username, password }, None).await
    }

    /// All the ways in which a token can be presented, and what is wrong with it in each.
    pub(crate) async fn problems(&self, token: &str) -> [Option<TokenProblem>; 3] {
        [
            problem(self.bearer(token).await),
            problem(self.refresh(token).await),
            problem(self.basic(TOKEN_USER, token).await),
        ]
    }
}

/// What is wrong with a token; `None` if it was taken.
pub(crate) fn problem(result: Result<Arc<Caller>, AuthError>) -> Option<TokenProblem> {
    match result {
        Ok(_) => None,
        Err(AuthError::InvalidToken(problem)) => Some(problem),
        Err(other) => panic!("{other}"),
    }
}

/// Puts a registry into the database and returns its row.
pub(crate) async fn insert(database: &Database, row: RegistryRow) -> RegistryRow {
    database
        .write(move |c| {
            Box::pin(async move {
                let new = NewRegistry {
                    uid: row.uid,
                    name: row.name.clone(),
                    sku: row.sku,
                    admin_user_enabled: row.admin_user_enabled,
                    anonymous_pull_enabled: false,
                    admin_passwords: row.admin_passwords,
                    created_at: row.created_at,
                    resource_id: row.resource_id,
                    settings: Default::default(),
                };
                registries::insert(c, &new).await?;
                Ok::<_, wharf_metadata::Error>(registries::find_by_name(c, &row.name).await?.unwrap())
            })
        })
        .await
        .unwrap()
}

/// Changes a registry as its resource does, and returns its new row.
pub(crate) async fn change(
    identity: &Identity,
    row: &RegistryRow,
    change: impl FnOnce(&mut RegistryChange),
) -> RegistryRow {
    let (id, name, mut changed) = (row.id, row.name.clone(), RegistryChange::from(row));
    change(&mut changed);
    let written = identity.parts().database.write(move |c| {
        Box::pin(async move {
            registries::update(c, id, &changed, "somebody", Timestamp(0)).await?;
            registries::find_by_name(c, &name).await
        })
    });
    written.await.unwrap().expect("the registry is there")
}
