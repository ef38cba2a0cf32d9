//! `Microsoft.Resources/resourceGroups`: what resources are in. A group that goes takes them along.

use async_trait::async_trait;
use serde_json::json;
use wharf_arm::{ArmError, Code, Members, versions};

use crate::cx::Cx;
use crate::kind::{About, Access, Ask, Draft, Kind, Place, Property, Shape};

/// The kind.
#[derive(Debug)]
pub(crate) struct ResourceGroups;

static ABOUT: About = About {
    namespace: "Microsoft.Resources",
    path: "resourceGroups",
    summary: "Resource groups",
    versions: versions::RESOURCES,
    operations: "Microsoft.Resources/subscriptions/resourceGroups",
    place: Place::Subscription,
    is_tracked: true,
    patch: true,
    changes_access: false,
    check_name,
    actions: &[],
    properties: &[Property { path: "provisioningState", shape: Shape::Text, access: Access::Shown }],
};

#[async_trait]
impl Kind for ResourceGroups {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, _cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError> {
        // The id of another resource that manages this group's; az sends it back.
        if let Some(manager) = Members::of(ask.body).text("managedBy")? {
            draft.properties.insert("managedBy".to_owned(), json!(manager));
        }
        Ok(())
    }
}

/// Source: Azure, "Naming rules and restrictions for Azure resources".
fn check_name(name: &str) -> Result<(), ArmError> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_().".contains(c);
    if name.chars().count() <= 90 && name.chars().all(is_plain) && !name.ends_with('.') && !name.is_empty() {
        return Ok(());
    }
    let text = format!(
        "The provided resource group name '{}' is invalid: it has up to 90 letters, digits, hyphens, underscores, parentheses and periods, \
         and does not end with a period.",
        name.chars().take(100).collect::<String>()
    );
    Err(ArmError::new(Code::InvalidResourceGroup, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_azure_takes() {
        for good in ["rg1", "My-Group_(x).y", "ürg"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "x.", "a b", "a/b", "a~", &"x".repeat(91)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
