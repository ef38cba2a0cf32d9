//! `passwordCredentials` and `keyCredentials`: shown, read, added and removed.

use chrono::{DateTime, SecondsFormat, Utc};
use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_identity::directory::{CertificateEntry, Holder, NewSecret, ParsedCertificate, SecretEnd, thumbprint};
use wharf_metadata::directory::credentials;
use wharf_metadata::{CredentialKind, CredentialRow};
use wharf_model::Timestamp;

use crate::call::{Answer, Call, text, uuid};
use crate::error::GraphError;
use crate::render::Row;

impl Call {
    /// `POST …/addPassword`: makes a secret, which this answer alone shows.
    pub(crate) async fn add_password(&self, row: Row, body: &Map<String, Value>) -> Result<Answer, GraphError> {
        let holder = self.managed_holder(&row).await?;
        let empty = Map::new();
        let wanted = match body.get("passwordCredential") {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(wanted)) => wanted,
            Some(_) => return Err(GraphError::invalid("Property 'passwordCredential' must be an object.")),
        };
        let (row, secret) = self.identity.add_secret(holder, self.new_secret(wanted)?).await?;
        let Value::Object(shown) = show_secret(&row, Some(&secret)) else { return Ok(Answer::Nothing) };
        Ok(Answer::Json(StatusCode::OK, self.in_context("microsoft.graph.passwordCredential", shown)))
    }

    /// `POST …/removePassword`.
    pub(crate) async fn remove_password(&self, row: Row, body: &Map<String, Value>) -> Result<Answer, GraphError> {
        let holder = self.managed_holder(&row).await?;
        let key_id = text(body, "keyId")?.ok_or_else(|| GraphError::invalid("Property 'keyId' is required."))?;
        self.identity.remove_secret(holder, uuid(key_id)?).await?;
        Ok(Answer::Nothing)
    }

    /// What has the credentials, if the caller may change them.
    async fn managed_holder(&self, row: &Row) -> Result<Holder, GraphError> {
        self.require_manager(&[row.id()]).await?;
        row.holder().ok_or_else(|| GraphError::invalid("A managed identity has no credentials of its own."))
    }

    /// Reads a secret to be made. A client's clock may be ahead of ours: what is to begin in a moment begins now.
    pub(crate) fn new_secret(&self, wanted: &Map<String, Value>) -> Result<NewSecret, GraphError> {
        let now = self.clock.now();
        let starts_at =
            instant(wanted, "startDateTime")?.filter(|&start| start < now || start.since(now) > CLOCKS_DIFFER);
        let ends = instant(wanted, "endDateTime")?.map_or(SecretEnd::Usual, SecretEnd::At);
        Ok(NewSecret { display_name: text(wanted, "displayName")?.map(str::to_owned), starts_at, ends, chosen: None })
    }

    /// Reads what `keyCredentials` is to hold. An entry with the id of a certificate that is there keeps that one: what is
    /// shown has no `key`, and is sent back so.
    pub(crate) async fn certificates(
        &self,
        wanted: &Value,
        holder: Option<Holder>,
    ) -> Result<Vec<CertificateEntry>, GraphError> {
        let list = objects(wanted, "keyCredentials")?;
        let there: Vec<Uuid> = match holder {
            None => Vec::new(),
            Some(holder) => {
                let id = holder.id();
                let rows =
                    self.database.read(move |c| Box::pin(async move { credentials::list(c, &[id]).await })).await?;
                let certificates = rows.into_iter().filter(|row| row.kind == CredentialKind::Certificate);
                certificates.map(|row| row.key_id).collect()
            }
        };
        list.into_iter().map(|entry| certificate(entry, &there)).collect()
    }

    /// Removes the secrets that `passwordCredentials` leaves out. None is added so.
    pub(crate) async fn keep_secrets(&self, holder: Holder, wanted: &Value) -> Result<(), GraphError> {
        let mut kept = Vec::new();
        for entry in objects(wanted, "passwordCredentials")? {
            match text(entry, "keyId")? {
                Some(id) => kept.push(uuid(id)?),
                None => return Err(GraphError::invalid("A new password credential is made by addPassword.")),
            }
        }
        let id = holder.id();
        let rows = self.database.read(move |c| Box::pin(async move { credentials::list(c, &[id]).await })).await?;
        let secrets: Vec<Uuid> =
            rows.iter().filter(|row| row.kind == CredentialKind::Secret).map(|row| row.key_id).collect();
        if let Some(unknown) = kept.iter().find(|id| !secrets.contains(id)) {
            let reason = "a new password credential is made by addPassword";
            return Err(GraphError::invalid(format!("No secret was found with the keyId '{unknown}'; {reason}.")));
        }
        for gone in secrets.iter().filter(|id| !kept.contains(id)) {
            self.identity.remove_secret(holder, *gone).await?;
        }
        Ok(())
    }
}

/// The entries of a list of objects.
pub(crate) fn objects<'v>(list: &'v Value, name: &str) -> Result<Vec<&'v Map<String, Value>>, GraphError> {
    let wrong = || GraphError::invalid(format!("Property '{name}' must be a list of objects."));
    match list {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.iter().map(|entry| entry.as_object().ok_or_else(wrong)).collect(),
        _ => Err(wrong()),
    }
}

fn certificate(entry: &Map<String, Value>, there: &[Uuid]) -> Result<CertificateEntry, GraphError> {
    let key_id = match text(entry, "keyId")? {
        Some(id) => uuid(id)?,
        None => Uuid::new_v4(),
    };
    if there.contains(&key_id) {
        return Ok(CertificateEntry::Kept(key_id));
    }
    for (name, only) in [("type", "AsymmetricX509Cert"), ("usage", "Verify")] {
        if let Some(word) = text(entry, name)?.filter(|word| !word.eq_ignore_ascii_case(only)) {
            let text = format!("The {name} '{word}' of a key credential is not supported; there is {only}.");
            return Err(GraphError::invalid(text));
        }
    }
    let key = text(entry, "key")?.ok_or_else(|| {
        GraphError::invalid(format!("The key credential '{key_id}' is new and needs a certificate in 'key'."))
    })?;
    Ok(CertificateEntry::New {
        key_id,
        display_name: text(entry, "displayName")?.filter(|name| !name.is_empty()).map(str::to_owned),
        certificate: ParsedCertificate::parse(key.as_bytes())?,
        starts_at: instant(entry, "startDateTime")?,
        ends_at: instant(entry, "endDateTime")?,
    })
}

/// A secret as Graph shows it; with its text in the answer that it was made by.
pub(crate) fn show_secret(row: &CredentialRow, secret: Option<&SecretString>) -> Value {
    json!({
        "customKeyIdentifier": null,
        "displayName": row.display_name,
        "endDateTime": date(row.ends_at.unwrap_or(NEVER)),
        "hint": row.hint,
        "keyId": row.key_id,
        "secretText": secret.map(|secret| secret.expose_secret()),
        "startDateTime": date(row.starts_at),
    })
}

/// A certificate as Graph shows it: by its thumbprint.
pub(crate) fn show_certificate(row: &CredentialRow) -> Value {
    let hexadecimal: String = thumbprint(&row.value).iter().map(|byte| format!("{byte:02X}")).collect();
    json!({
        "customKeyIdentifier": hexadecimal,
        "displayName": row.display_name,
        "endDateTime": date(row.ends_at.unwrap_or(NEVER)),
        "key": null,
        "keyId": row.key_id,
        "startDateTime": date(row.starts_at),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    })
}

/// An instant as Graph writes it.
pub(crate) fn date(at: Timestamp) -> String {
    DateTime::<Utc>::from_timestamp(at.unix_seconds(), 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A member of a body that is an instant.
fn instant(body: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, GraphError> {
    let Some(written) = text(body, name)? else { return Ok(None) };
    let instant = DateTime::parse_from_rfc3339(written).map_err(|_| {
        GraphError::invalid(format!("Property '{name}' must be an instant such as 2026-11-21T10:00:00Z."))
    })?;
    Ok(Some(Timestamp(instant.timestamp_micros())))
}

/// When a secret ends that never does: 2299-12-31T00:00:00Z.
const NEVER: Timestamp = Timestamp(10_413_705_600_000_000);
/// How far ahead a client's clock may be.
const CLOCKS_DIFFER: std::time::Duration = std::time::Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        assert_eq!(date(NEVER), "2299-12-31T00:00:00Z");
        let read = |text: &str| {
            let Value::Object(body) = json!({"at": text}) else { unreachable!() };
            instant(&body, "at").ok().flatten().map(date)
        };
        assert_eq!(read("2026-11-21T10:00:00Z").as_deref(), Some("2026-11-21T10:00:00Z"));
        assert_eq!(read("2026-11-21T12:00:00.5+02:00").as_deref(), Some("2026-11-21T10:00:00Z"));
        for bad in ["", "2026-11-21", "tomorrow", "2026-11-21T10:00:00"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
