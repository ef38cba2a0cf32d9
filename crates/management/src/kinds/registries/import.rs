//! `importImage`: artifacts of other registries, and of other repositories, are copied into a registry.
//!
//! What can be told at once is told at once: whether the body makes sense, whether the caller may take from the source,
//! whether a tag is in the way. The copying itself is a job, whose operation is polled.
//!
//! Sources: `acr/semantics.md` 11, `acr/control-plane.md` 2.3 and 8; `docs/decisions/0043-import.md` for what these leave open.

mod body;
mod source;

use http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;
use wharf_arm::{ArmError, Code};
use wharf_metadata::{RegistryRow, RoleAssignmentMode, operations, registries};
use wharf_registry::{AttributesError, Target};
use wharf_replication::import::{ImportOrder, ImportTarget, SealedCredentials};

use crate::operations::{result_path, status_path};
use crate::{Answer, Cx, Failure, Resource};
use body::Body;

/// Begins an import into a registry.
///
/// # Errors
/// When the body is wrong, the caller may not take from the source, a tag is in the way, or the database fails.
pub(super) async fn begin(cx: &Cx, registry: &Resource, body: &Map<String, Value>) -> Result<Answer, Failure> {
    let body = Body::read(body)?;
    let id = registry.id.clone();
    let row = cx.database().read(move |c| Box::pin(async move { registries::find_by_resource(c, &id).await })).await?;
    let row = row.ok_or_else(|| ArmError::resource_not_found(&registry.id))?;
    let found = source::find(cx, &body).await?;
    if !body.force {
        refuse_existing_tags(cx, &row, &body.targets).await?;
    }

    let operation = Uuid::new_v4();
    let credentials = found
        .credentials
        .map(|given| SealedCredentials::seal(cx.identity(), operation, &given.username, &given.password));
    let order = ImportOrder {
        operation,
        registry: row.name.clone(),
        source: found.source,
        repository: found.repository,
        reference: body.reference,
        targets: body.targets,
        force: body.force,
        referrers: body.referrers,
        may_mount: may_mount(cx, registry, &row).await?,
        actor: cx.actor.name(),
    };
    if !order.fits() {
        let text = "The import names more targets than fit into one request. Import them in several.";
        return Err(ArmError::new(Code::InvalidParameter, text).with_target("targetTags").into());
    }
    let (artifacts, resource, now) = (cx.artifacts().clone(), registry.id.clone(), cx.now);
    let begun = cx.database().write(move |c| {
        Box::pin(async move {
            operations::insert(c, operation, &resource, now).await?;
            order.enqueue(c, &artifacts, &row, credentials.as_ref()).await
        })
    });
    begun.await?;
    Ok(Answer {
        location: Some(result_path(&registry.id, operation)),
        async_operation: Some(status_path(registry, operation)),
        ..Answer::of(StatusCode::ACCEPTED, None)
    })
}

/// Refuses an import that is not to move tags, and would.
async fn refuse_existing_tags(cx: &Cx, row: &RegistryRow, targets: &[ImportTarget]) -> Result<(), Failure> {
    for ImportTarget { repository, tag } in targets {
        let Some(tag) = tag else { continue };
        match cx.artifacts().describe_tag(Target { registry: row, repository }, tag).await {
            Ok(_) => {
                let text = format!(
                    "Tag {repository}:{tag} already exists in target registry {}. To overwrite it, import with mode Force \
                     (az acr import --force).",
                    row.name
                );
                return Err(ArmError::new(Code::Conflict, text).with_target("targetTags").into());
            }
            Err(AttributesError::Store(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Whether the caller may read every repository of the registry, so that blobs may be linked whichever holds them.
async fn may_mount(cx: &Cx, registry: &Resource, row: &RegistryRow) -> Result<bool, Failure> {
    match (cx.actor.principal(), row.settings.role_assignment_mode) {
        (None, _) => Ok(true),
        (Some(_), RoleAssignmentMode::LegacyRegistryPermissions) => cx.may(PULL, &registry.id).await,
        // Each repository may be another's.
        (Some(_), RoleAssignmentMode::AbacRepositoryPermissions) => Ok(false),
    }
}

/// The right to pull where roles count for whole registries, and where they count for repositories.
const PULL: &str = "Microsoft.ContainerRegistry/registries/pull/read";
const READ_CONTENT: &str = "Microsoft.ContainerRegistry/registries/repositories/content/read";
