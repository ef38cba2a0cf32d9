//! Where an import takes from, and whether the caller may take it there.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use wharf_arm::{ArmError, Code};
use wharf_identity::{AuthError, Caller, Credentials, may};
use wharf_metadata::{RegistryRow, RoleAssignmentMode, registries, resources};
use wharf_model::{Action, RegistryName, RepositoryName, ResourceId, ResourceKind};
use wharf_registry::check_export;
use wharf_replication::import::{ImportSource, UpstreamAddress};

use super::super::Kept;
use super::super::properties::BypassOptions;
use super::body::{Body, Given, Place};
use super::{PULL, READ_CONTENT};
use crate::{Cx, Failure};

/// A source that the caller may take from.
pub(super) struct Found {
    pub(super) source: ImportSource,
    pub(super) repository: RepositoryName,
    /// What is needed to sign in there.
    pub(super) credentials: Option<Given>,
}

/// Finds the source. A registry of this installation is one however it is named.
///
/// # Errors
/// When there is none, or the caller may not take from it.
pub(super) async fn find(cx: &Cx, body: &Body) -> Result<Found, Failure> {
    let repository = body.repository.clone();
    let address = match &body.source {
        Place::Id(id) => {
            let row = by_id(cx, id, &repository, body.credentials.as_ref()).await?;
            check(cx, &row).await?;
            let source = ImportSource::Registry(row.name.clone());
            return Ok(Found { source, repository, credentials: None });
        }
        Place::Address(address) => address,
    };
    if let Some(row) = ours(cx, address).await? {
        require(cx, &row, &repository, body.credentials.as_ref()).await?;
        check(cx, &row).await?;
        let source = ImportSource::Registry(row.name.clone());
        return Ok(Found { source, repository, credentials: None });
    }
    let credentials = body
        .credentials
        .as_ref()
        .map(|given| Given { username: given.username.clone(), password: given.password.clone() });
    Ok(Found {
        source: ImportSource::Upstream(address.clone()),
        repository: address.repository(repository),
        credentials,
    })
}

/// The registry of ours with this id, if the caller may pull from it.
async fn by_id(
    cx: &Cx,
    id: &ResourceId,
    repository: &RepositoryName,
    credentials: Option<&Given>,
) -> Result<Arc<RegistryRow>, Failure> {
    let wanted = id.clone();
    let row = cx.database().read(move |c| Box::pin(async move { registries::find_by_resource(c, &wanted).await }));
    match row.await? {
        Some(row) => {
            let row = Arc::new(row);
            require(cx, &row, repository, credentials).await?;
            Ok(row)
        }
        // Who may not look is told the same as about one that is there.
        None if !cx.may(PULL, id).await? => Err(linked(cx, PULL, id)),
        None => {
            let text = format!(
                "The source registry '{id}' was not found. Name a registry of another installation by registryUri."
            );
            Err(ArmError::new(Code::ResourceNotFound, text).with_target("source.resourceId").into())
        }
    }
}

/// The registry of ours that answers at an address.
async fn ours(cx: &Cx, address: &UpstreamAddress) -> Result<Option<Arc<RegistryRow>>, Failure> {
    let servers = cx.login_servers();
    let host = match address.port() {
        Some(443) | None => address.host().to_owned(),
        Some(port) => format!("{}:{port}", address.host()),
    };
    let mut names: Vec<RegistryName> = servers.local().cloned().into_iter().collect();
    if let Some(label) = host.strip_suffix(&servers.suffix()).and_then(|rest| rest.strip_suffix('.')) {
        // With a label behind the name, or without.
        names.extend(label.split('-').next().and_then(|name| name.parse().ok()));
    }
    for name in names {
        if let Some(row) = cx.artifacts().find_registry(&name).await?
            && servers.with_label(&name, row.settings.domain_label.as_deref()) == host
        {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Refuses who may not pull: whose credentials are good for nothing there, or, without any, whose roles do not allow it.
async fn require(
    cx: &Cx,
    row: &RegistryRow,
    repository: &RepositoryName,
    credentials: Option<&Given>,
) -> Result<(), Failure> {
    if let Some(given) = credentials {
        return sign_in(cx, row, repository, given).await;
    }
    let Some(principal) = cx.actor.principal() else { return Ok(()) };
    let id = &row.resource_id;
    let (operation, is_allowed) = match row.settings.role_assignment_mode {
        RoleAssignmentMode::LegacyRegistryPermissions => (PULL, cx.may(PULL, id).await?),
        RoleAssignmentMode::AbacRepositoryPermissions => {
            let name = Some(repository.as_str());
            (READ_CONTENT, cx.identity().may_act_on_data(principal, READ_CONTENT, id, name).await?)
        }
    };
    // What everybody may pull needs no right.
    let is_public = may(&Caller::anonymous(row), Action::Pull, ResourceKind::Repository, repository.as_str());
    if is_allowed || is_public { Ok(()) } else { Err(linked(cx, operation, id)) }
}

async fn sign_in(cx: &Cx, row: &RegistryRow, repository: &RepositoryName, given: &Given) -> Result<(), Failure> {
    let client = cx.request.as_ref().map(|request| request.client);
    let credentials = Credentials::Basic { username: &given.username, password: given.password.expose_secret() };
    let refused = |text: String| Failure::from(ArmError::new(Code::LinkedAuthorizationFailed, text));
    let caller = match cx.identity().authenticate(row, credentials, client).await {
        Ok(caller) => caller,
        Err(AuthError::Unavailable(error)) => return Err(error.into()),
        Err(error) => {
            return Err(refused(format!(
                "The source registry '{}' does not accept the credentials: {error}.",
                row.name
            )));
        }
    };
    if may(&caller, Action::Pull, ResourceKind::Repository, repository.as_str()) {
        return Ok(());
    }
    Err(refused(format!(
        "The credentials do not allow to pull from '{repository}' of the source registry '{}'.",
        row.name
    )))
}

fn linked(cx: &Cx, operation: &str, id: &ResourceId) -> Failure {
    let text = format!(
        "The client '{}' has permission to import into the target registry, however it does not have permission to perform \
         action '{operation}' on the linked scope '{id}', or the scope does not exist.",
        cx.actor.name()
    );
    ArmError::new(Code::LinkedAuthorizationFailed, text).with_target("source").into()
}

/// Refuses to take from a registry that lets nothing go, or that is closed to the caller's network and to trusted services:
/// import is one, as in Azure.
async fn check(cx: &Cx, row: &RegistryRow) -> Result<(), Failure> {
    if let Err(error) = check_export(row) {
        return Err(ArmError::new(Code::OperationNotAllowed, format!("{error}.")).with_target("source").into());
    }
    let Some(request) = &cx.request else { return Ok(()) };
    if request.client.is_private || row.settings.allows_address(request.client.address) {
        return Ok(());
    }
    let id = row.resource_id.clone();
    let resource = cx.database().read(move |c| Box::pin(async move { resources::find(c, &id).await })).await?;
    let bypass = match resource {
        Some(resource) => Kept::of(&resource)?.properties.bypass_options,
        None => BypassOptions::default(),
    };
    if bypass == BypassOptions::AzureServices {
        return Ok(());
    }
    let text = format!(
        "The network rules of the source registry '{}' do not let the address '{}' in, and do not except trusted services. \
         Add a rule for the address there, or set networkRuleBypassOptions to AzureServices.",
        row.name,
        request.client.address.to_canonical()
    );
    Err(ArmError::new(Code::OperationNotAllowed, text).with_target("source").into())
}
