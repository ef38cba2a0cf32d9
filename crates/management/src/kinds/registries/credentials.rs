//! The admin user's passwords: `listCredentials` and `regenerateCredential`.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use wharf_arm::{ArmError, Code, Members};
use wharf_identity::PasswordName;
use wharf_metadata::{RegistryRow, registries};

use super::Kept;
use crate::{Answer, Cx, Failure, Resource};

/// Shows both passwords.
///
/// # Errors
/// When the admin user is switched off.
pub(super) async fn list(cx: &Cx, registry: &Resource) -> Result<Answer, Failure> {
    let row = admin_of(cx, registry).await?;
    show(cx, &row)
}

/// Replaces one of the passwords by a new one, and shows both.
///
/// # Errors
/// When the admin user is switched off, or the body names none of the two.
pub(super) async fn regenerate(cx: &Cx, registry: &Resource, body: &Map<String, Value>) -> Result<Answer, Failure> {
    let body = Members::of(body);
    let word = body.required("name", body.word("name", &["password", "password2"])?)?;
    let which = PasswordName::from_word(word).ok_or_else(|| body.invalid("name", "it is none of the two"))?;
    let row = admin_of(cx, registry).await?;
    let row = match cx.identity().regenerate(&row, which, &cx.actor.name()).await {
        Err(wharf_identity::Error::Busy { .. }) => {
            let text = "The credentials are being changed by others at the same time. Try again.";
            return Err(ArmError::new(Code::Conflict, text).into());
        }
        Err(wharf_identity::Error::RegistryGone { .. }) => {
            return Err(ArmError::resource_not_found(&registry.id).into());
        }
        other => other?,
    };
    cx.artifacts().forget_registry(&row.name);
    show(cx, &row)
}

/// The registry's row, if its admin user is on.
async fn admin_of(cx: &Cx, registry: &Resource) -> Result<RegistryRow, Failure> {
    let id = registry.id.clone();
    let found =
        cx.database().read(move |c| Box::pin(async move { registries::find_by_resource(c, &id).await })).await?;
    let row = found.ok_or_else(|| ArmError::resource_not_found(&registry.id))?;
    if Kept::of(registry)?.properties.admin_user_enabled {
        return Ok(row);
    }
    let text = format!(
        "Cannot perform credential operations for {} as admin user is disabled. Enable the admin user first: az acr update \
         --name {} --admin-enabled true.",
        registry.id, row.name
    );
    Err(ArmError::new(Code::UnAuthorizedForCredentialOperations, text).into())
}

fn show(cx: &Cx, row: &RegistryRow) -> Result<Answer, Failure> {
    let passwords = cx.identity().reveal(row)?;
    let passwords: Vec<Value> = PasswordName::EVERY
        .iter()
        .zip(&passwords)
        .map(|(name, value)| json!({"name": name.as_str(), "value": value.expose_secret()}))
        .collect();
    Ok(Answer::ok(json!({"username": row.name.as_str(), "passwords": passwords})))
}
