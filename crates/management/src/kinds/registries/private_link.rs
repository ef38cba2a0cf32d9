//! `privateLinkResources`: what a private endpoint of a registry is made of. Source: `acr/semantics.md` 5.

use serde_json::{Value, json};
use wharf_arm::{ArmError, Code};

use super::Kept;
use super::properties::Switch;
use crate::{Answer, Cx, Failure, Resource};

/// Answers with the groups of a registry, of which there is one, or with the one that is asked for.
///
/// # Errors
/// When there is no group of this name.
pub(super) fn show(cx: &Cx, registry: &Resource, group: Option<&str>) -> Result<Answer, Failure> {
    let shown = render(cx, registry)?;
    match group {
        None => Ok(Answer::list(vec![shown])),
        Some(name) if name.eq_ignore_ascii_case(GROUP) => Ok(Answer::ok(shown)),
        Some(name) => {
            let text = format!("The registry has no private link resource '{name}'; there is '{GROUP}'.");
            Err(ArmError::new(Code::ResourceNotFound, text).into())
        }
    }
}

fn render(cx: &Cx, registry: &Resource) -> Result<Value, Failure> {
    let kept = Kept::of(registry)?;
    let location = registry.location.as_deref().unwrap_or_default();
    let mut members = vec![GROUP.to_owned(), format!("registry_data_{location}")];
    if kept.properties.regional_endpoints == Switch::Enabled {
        members.push(format!("registry_{location}"));
    }
    Ok(json!({
        "id": format!("{}/privateLinkResources/{GROUP}", registry.id),
        "name": GROUP,
        "type": "Microsoft.ContainerRegistry/registries/privateLinkResources",
        "properties": {
            "groupId": GROUP,
            "requiredMembers": members,
            "requiredZoneNames": [format!("privatelink.{}", cx.login_servers().domain())],
        },
    }))
}

/// The one group that registries have.
const GROUP: &str = "registry";
