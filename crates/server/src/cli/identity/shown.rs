//! Objects of the directory as they are printed. The names of the fields are those of Microsoft Graph.

use serde::Serialize;
use uuid::Uuid;
use wharf_identity::directory::thumbprint;
use wharf_metadata::{ApplicationRow, CredentialKind, CredentialRow, PrincipalRow};
use wharf_model::{PrincipalId, Timestamp};

/// A user, a group or a managed identity.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownPrincipal {
    pub(super) id: PrincipalId,
    pub(super) display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_principal_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource_id: Option<String>,
    pub(super) account_enabled: bool,
    pub(super) created_date_time: String,
}

impl From<&PrincipalRow> for ShownPrincipal {
    fn from(row: &PrincipalRow) -> Self {
        Self {
            id: row.id,
            display_name: row.display_name.clone(),
            user_principal_name: row.user_name.clone(),
            app_id: row.app_id,
            resource_id: row.resource_id.as_ref().map(ToString::to_string),
            account_enabled: row.is_enabled,
            created_date_time: row.created_at.to_string(),
        }
    }
}

/// An application with its service principal.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownApplication {
    pub(super) app_id: Uuid,
    pub(super) id: Uuid,
    pub(super) display_name: String,
    /// The object id that role assignments name.
    pub(super) service_principal_id: Option<PrincipalId>,
    pub(super) account_enabled: Option<bool>,
    pub(super) created_date_time: String,
}

impl ShownApplication {
    pub(super) fn new(row: &ApplicationRow, principal: Option<&PrincipalRow>) -> Self {
        Self {
            app_id: row.app_id,
            id: row.id.0,
            display_name: row.display_name.clone(),
            service_principal_id: principal.map(|row| row.id),
            account_enabled: principal.map(|row| row.is_enabled),
            created_date_time: row.created_at.to_string(),
        }
    }
}

/// A secret or a certificate, without what is secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownCredential {
    pub(super) key_id: Uuid,
    pub(super) kind: &'static str,
    pub(super) display_name: Option<String>,
    /// The first characters of a secret, or a certificate's thumbprint.
    pub(super) hint: Option<String>,
    pub(super) start_date_time: String,
    pub(super) end_date_time: Option<String>,
    #[serde(skip)]
    ended: bool,
}

impl ShownCredential {
    pub(super) fn new(row: &CredentialRow, now: Timestamp) -> Self {
        let (kind, hint) = match row.kind {
            CredentialKind::Password => ("password", None),
            CredentialKind::Secret => ("secret", row.hint.clone()),
            CredentialKind::Certificate => {
                let hexadecimal = thumbprint(&row.value).iter().map(|byte| format!("{byte:02X}")).collect();
                ("certificate", Some(hexadecimal))
            }
        };
        Self {
            key_id: row.key_id,
            kind,
            display_name: row.display_name.clone(),
            hint,
            start_date_time: row.starts_at.to_string(),
            end_date_time: row.ends_at.map(|at| at.to_string()),
            ended: row.ends_at.is_some_and(|at| at <= now),
        }
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let ends = match &self.end_date_time {
            Some(at) if self.ended => format!("{at} (expired)"),
            Some(at) => at.clone(),
            None => "never".to_owned(),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![self.key_id.to_string(), self.kind.to_owned(), text(&self.display_name), text(&self.hint), ends]
    }

    pub(super) const HEADING: [&'static str; 5] = ["KEY ID", "KIND", "NAME", "HINT", "ENDS"];
}

pub(super) fn on_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}
