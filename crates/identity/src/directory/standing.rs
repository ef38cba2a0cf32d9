//! Principals as they stand now, and the clients that they sign in by: read once for each version of who may do what.

use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;
use uuid::Uuid;
use wharf_metadata::directory::{applications, credentials, groups, key, principals};
use wharf_metadata::{Connection, CredentialKind, CredentialRow, PrincipalRow};
use wharf_model::{PrincipalId, PrincipalKind, ResourceId, Timestamp};

use super::certificates::ClientCertificate;
use crate::identity::Identity;
use crate::passwords::LONGEST_PASSWORD;
use crate::{Error, Principal, SealingKey};

/// A principal that may sign in, with the generation of its credentials: tokens carry it, and die with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The principal, with its groups.
    pub principal: Arc<Principal>,
    /// Goes up when the principal is switched off or loses a credential.
    pub generation: i64,
}

/// An application, as the token service sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientApplication {
    /// The application (client) id.
    pub app_id: Uuid,
    /// The tenant that it is in.
    pub tenant_id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// Where people may be sent back to by a client that proves itself (`web.redirectUris`).
    pub web_redirect_uris: Vec<String>,
    /// Where people may be sent back to by a client without secrets, on their machine or in their browser
    /// (`publicClient.redirectUris`, `spa.redirectUris`).
    pub public_redirect_uris: Vec<String>,
    /// Whether it may sign people in without proving itself where no address tells what it is, as with device codes
    /// (`isFallbackPublicClient`).
    pub is_public_client: bool,
}

/// What is remembered of principals and clients, and under which version of who may do what it was read.
pub(crate) struct Standing {
    principals: Cache<PrincipalId, (i64, Option<SignedIn>)>,
    clients: Cache<Uuid, (i64, Arc<Client>)>,
}

/// What is known of an application id: the principal that signs in by it, and its credentials. Empty for one that is
/// not known.
#[derive(Clone, Default)]
pub(crate) struct Client {
    /// The principal while it may sign in.
    pub(crate) signed_in: Option<SignedIn>,
    pub(crate) secrets: Vec<CredentialRow>,
    pub(crate) certificates: Arc<[ClientCertificate]>,
    pub(crate) application: Option<Arc<ClientApplication>>,
}

/// A secret that a client has, as far as it matters to whoever gave it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretMatch {
    pub(crate) is_generated: bool,
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Option<Timestamp>,
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self { principals: Cache::new(MOST_PRINCIPALS), clients: Cache::new(MOST_CLIENTS) }
    }
}

impl Identity {
    /// Finds a principal that may sign in, with its groups: those that it is in itself or by way of other groups. `None`
    /// when it is gone or switched off, and for groups, which never sign in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_principal(&self, id: PrincipalId) -> Result<Option<Arc<Principal>>, Error> {
        Ok(self.find_signed_in(id).await?.map(|signed_in| signed_in.principal))
    }

    /// Finds a principal as [`Identity::find_principal`] does, with the generation of its credentials.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_signed_in(&self, id: PrincipalId) -> Result<Option<SignedIn>, Error> {
        let parts = self.parts();
        // Before anything is read, so that nothing is kept longer than it holds.
        let version = parts.database.access_version().await?;
        let known = &parts.directory.standing.principals;
        if let Some((read_under, found)) = known.get(&id)
            && read_under == version
        {
            return Ok(found);
        }
        let found = parts.database.read(|c| Box::pin(read_principal(c, id))).await?;
        known.insert(id, (version, found.clone()));
        Ok(found)
    }

    /// Finds the service principal or managed identity with this application (client) id, as [`Identity::find_principal`]
    /// does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_principal_by_app(&self, app_id: Uuid) -> Result<Option<Arc<Principal>>, Error> {
        let client = self.client_of(app_id).await?;
        Ok(client.signed_in.as_ref().map(|signed_in| signed_in.principal.clone()))
    }

    /// Finds the managed identity that belongs to a resource, as [`Identity::find_principal`] does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_principal_by_resource(&self, resource: &ResourceId) -> Result<Option<Arc<Principal>>, Error> {
        let resource = resource.clone();
        let found = self
            .parts()
            .database
            .read(move |c| Box::pin(async move { principals::find_by_resource(c, &resource).await }));
        let found = found.await?;
        match found {
            Some(row) => self.find_principal(row.id).await,
            None => Ok(None),
        }
    }

    /// Finds a user by the user principal name, in any case, as [`Identity::find_principal`] does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_user(&self, user_name: &str) -> Result<Option<Arc<Principal>>, Error> {
        let user_name = user_name.to_owned();
        let found = self
            .parts()
            .database
            .read(move |c| Box::pin(async move { principals::find_by_user_name(c, &user_name).await }));
        let found = found.await?;
        match found {
            Some(row) => self.find_principal(row.id).await,
            None => Ok(None),
        }
    }

    /// The principal that signs in with this application (client) id, and the certificates whose keys may sign its
    /// assertions, those that do not count yet or any more among them. `None` when there is none that may sign in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_certificates(
        &self,
        app_id: Uuid,
    ) -> Result<Option<(SignedIn, Arc<[ClientCertificate]>)>, Error> {
        let client = self.client_of(app_id).await?;
        Ok(client.signed_in.clone().map(|signed_in| (signed_in, client.certificates.clone())))
    }

    /// The application with this application (client) id, as the token service needs it to sign people in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_application(&self, app_id: Uuid) -> Result<Option<Arc<ClientApplication>>, Error> {
        Ok(self.client_of(app_id).await?.application.clone())
    }

    /// What is known of an application id.
    pub(crate) async fn client_of(&self, app_id: Uuid) -> Result<Arc<Client>, Error> {
        let parts = self.parts();
        let version = parts.database.access_version().await?;
        let known = &parts.directory.standing.clients;
        if let Some((read_under, client)) = known.get(&app_id)
            && read_under == version
        {
            return Ok(client);
        }
        let client = Arc::new(parts.database.read(|c| Box::pin(read_client(c, app_id))).await?);
        known.insert(app_id, (version, client.clone()));
        Ok(client)
    }
}

impl Client {
    /// The secret of the client that this text is; if it is several, one that counts now. Every secret is compared, and
    /// where there is none, as much is done as for one.
    pub(crate) fn find_secret(&self, sealing: &SealingKey, secret: &str, now: Timestamp) -> Option<SecretMatch> {
        let fits = secret.len() <= LONGEST_PASSWORD;
        let given = if fits { secret.as_bytes() } else { b"" };
        if self.secrets.is_empty() {
            let _ =
                std::hint::black_box(sealing.verifies_mac(&secret_context(Uuid::nil(), Uuid::nil()), given, &[0; 32]));
        }
        let mut found: Option<SecretMatch> = None;
        for row in &self.secrets {
            let is_right = sealing.verifies_mac(&secret_context(row.owner_id, row.key_id), given, &row.value);
            if is_right && fits && found.as_ref().is_none_or(|found| !found.counts(now)) {
                found = Some(SecretMatch {
                    is_generated: row.is_generated,
                    starts_at: row.starts_at,
                    ends_at: row.ends_at,
                });
            }
        }
        found
    }
}

impl SecretMatch {
    pub(crate) fn counts(&self, now: Timestamp) -> bool {
        self.starts_at <= now && self.ends_at.is_none_or(|end| now < end)
    }
}

/// What a secret's MAC is made for: it opens nothing under another owner or id.
pub(crate) fn secret_context(owner: Uuid, key_id: Uuid) -> String {
    format!("credential/{owner}/{key_id}")
}

async fn read_principal(c: &mut Connection, id: PrincipalId) -> Result<Option<SignedIn>, wharf_metadata::Error> {
    match principals::find(c, id).await? {
        Some(row) => signed_in(c, row).await,
        None => Ok(None),
    }
}

/// The principal of a row, if it may sign in.
async fn signed_in(c: &mut Connection, row: PrincipalRow) -> Result<Option<SignedIn>, wharf_metadata::Error> {
    if !row.is_enabled || row.kind == PrincipalKind::Group {
        return Ok(None);
    }
    let groups = groups::list_all_group_ids(c, row.id).await?;
    Ok(Some(SignedIn {
        generation: row.generation,
        principal: Arc::new(Principal {
            id: row.id,
            kind: row.kind,
            tenant_id: row.tenant_id,
            app_id: row.app_id,
            name: row.user_name.unwrap_or(row.display_name),
            groups,
        }),
    }))
}

async fn read_client(c: &mut Connection, app_id: Uuid) -> Result<Client, wharf_metadata::Error> {
    let application = applications::find_by_app(c, app_id).await?;
    let principal = principals::find_by_app(c, app_id).await?;
    let owners: Vec<Uuid> =
        principal.iter().map(|row| row.id.0).chain(application.iter().map(|row| row.id.0)).collect();
    let (mut secrets, mut certificates) = (Vec::new(), Vec::new());
    for row in credentials::list(c, &owners).await? {
        match row.kind {
            CredentialKind::Secret => secrets.push(row),
            CredentialKind::Certificate => certificates.push(ClientCertificate::of(row)),
            // Of users alone.
            CredentialKind::Password => {}
        }
    }
    let signed_in = match principal {
        Some(row) => signed_in(c, row).await?,
        None => None,
    };
    let application = application.map(|row| Arc::new(client_application(row)));
    Ok(Client { signed_in, secrets, certificates: certificates.into(), application })
}

fn client_application(row: wharf_metadata::ApplicationRow) -> ClientApplication {
    let uris = |platform: &str| -> Vec<String> {
        let listed = row.properties.get(platform).and_then(|platform| platform.get("redirectUris")?.as_array());
        listed.into_iter().flatten().filter_map(|uri| uri.as_str().map(str::to_owned)).collect()
    };
    ClientApplication {
        app_id: row.app_id,
        tenant_id: row.tenant_id,
        web_redirect_uris: uris("web"),
        public_redirect_uris: [uris("publicClient"), uris("spa")].concat(),
        is_public_client: row.properties.get("isFallbackPublicClient").and_then(|value| value.as_bool()) == Some(true),
        display_name: row.display_name,
    }
}

/// A text for a user that no other account has, whether or not there is such a user.
pub(crate) fn user_account(user_name: &str) -> String {
    format!("user/{}", key(user_name))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("signed_in", &self.signed_in).finish_non_exhaustive()
    }
}

/// How many principals and clients are remembered.
const MOST_PRINCIPALS: u64 = 20_000;
const MOST_CLIENTS: u64 = 10_000;
