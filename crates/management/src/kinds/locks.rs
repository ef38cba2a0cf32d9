//! `Microsoft.Authorization/locks`: what may not be deleted or changed. What they do is told in [`crate::locks`].

use async_trait::async_trait;
use serde_json::json;
use wharf_arm::{ArmError, Code, versions};

use crate::cx::Cx;
use crate::kind::{About, Access, Ask, Draft, Kind, Place, Property, Shape};

/// The kind.
#[derive(Debug)]
pub(crate) struct Locks;

static ABOUT: About = About {
    namespace: "Microsoft.Authorization",
    path: "locks",
    summary: "Locks on subscriptions, resource groups and resources",
    versions: versions::LOCKS,
    operations: "Microsoft.Authorization/locks",
    place: Place::Scope,
    is_tracked: false,
    patch: false,
    changes_access: false,
    check_name,
    actions: &[],
    properties: &[
        Property { path: "level", shape: Shape::Word(LEVELS), access: Access::Written },
        Property { path: "notes", shape: Shape::Text, access: Access::Written },
        Property { path: "owners", shape: Shape::Objects, access: Access::Written },
    ],
};

#[async_trait]
impl Kind for Locks {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, _cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError> {
        if ask.id.subscription_id().is_none() {
            let text = "Locks are put on subscriptions, resource groups and resources.";
            return Err(ArmError::new(Code::InvalidRequestUri, text));
        }
        let properties = ask.properties()?;
        let level = properties.required("level", properties.word("level", LEVELS)?)?;
        draft.properties.insert("level".to_owned(), json!(level));
        if let Some(notes) = properties.text("notes")? {
            if notes.chars().count() > MOST_NOTES {
                return Err(properties.invalid("notes", format!("notes have {MOST_NOTES} characters at most")));
            }
            draft.properties.insert("notes".to_owned(), json!(notes));
        }
        if let Some(owners) = properties.list("owners")? {
            draft.properties.insert("owners".to_owned(), json!(owners));
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), ArmError> {
    if name.chars().count() <= 260 && !name.ends_with('.') {
        return Ok(());
    }
    Err(ArmError::new(
        Code::InvalidResourceName,
        "The name of a lock has up to 260 characters and does not end with a period.",
    ))
}

const LEVELS: &[&str] = &["CanNotDelete", "ReadOnly"];
const MOST_NOTES: usize = 512;
