//! `GET` of one resource.

use std::sync::Arc;

use serde_json::Value;
use wharf_arm::ArmError;
use wharf_metadata::{Connection, resources};
use wharf_model::ResourceId;

use super::envelope;
use crate::answer::Answer;
use crate::catalogue::Entry;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::Place;
use crate::management::Management;
use crate::route::GROUPS;

impl Management {
    /// Shows a resource.
    ///
    /// # Errors
    /// 403 before 404: who may not read is not told what there is.
    pub(crate) async fn read_resource(&self, cx: &Cx, entry: &Arc<Entry>, id: &ResourceId) -> Result<Answer, Failure> {
        cx.require(&entry.read, id).await?;
        let (cx, entry, id) = (cx.clone(), entry.clone(), id.clone());
        self.database()
            .read(move |c| {
                Box::pin(async move {
                    let mut found = get(c, &entry, &id).await?;
                    entry.kind.render(c, &cx, std::slice::from_mut(&mut found)).await?;
                    let etag = found.etag.clone();
                    Ok(Answer::ok(envelope::show(&entry, found)).with_etag(etag))
                })
            })
            .await
    }

    /// The resource as clients get it.
    ///
    /// # Errors
    /// As for [`Self::read_resource`].
    pub(crate) async fn show_resource(&self, cx: &Cx, entry: &Arc<Entry>, id: &ResourceId) -> Result<Value, Failure> {
        Ok(self.read_resource(cx, entry, id).await?.body.unwrap_or_default())
    }
}

/// Finds a resource, or says what of its id is missing.
pub(super) async fn get(c: &mut Connection, entry: &Entry, id: &ResourceId) -> Result<crate::kind::Resource, Failure> {
    match resources::find(c, id).await? {
        Some(found) => Ok(found),
        None => Err(missing(c, entry, id).await?.into()),
    }
}

/// What of a resource's id is missing: its group, its parent or only itself.
pub(super) async fn missing(c: &mut Connection, entry: &Entry, id: &ResourceId) -> Result<ArmError, Failure> {
    if entry.about.place == Place::Subscription {
        return Ok(ArmError::group_not_found(id.name().unwrap_or_default()));
    }
    if let Some(error) = missing_above(c, id).await? {
        return Ok(error);
    }
    let parent = id.parent().filter(|_| entry.about.place == Place::Parent);
    if let Some(parent) = parent
        && resources::find(c, &parent).await?.is_none()
    {
        return Ok(ArmError::parent_not_found(&parent, id));
    }
    Ok(ArmError::resource_not_found(id))
}

/// Whether the resource group of something is missing.
pub(super) async fn missing_above(c: &mut Connection, id: &ResourceId) -> Result<Option<ArmError>, Failure> {
    let group = id.scopes().find(|scope| scope.resource_type().as_deref() == Some(GROUPS));
    let Some(group) = group else { return Ok(None) };
    let is_there = resources::find(c, &group).await?.is_some();
    Ok((!is_there).then(|| ArmError::group_not_found(group.name().unwrap_or_default())))
}
