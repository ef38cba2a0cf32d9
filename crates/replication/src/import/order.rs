//! What is to be imported.

use std::fmt::Display;
use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;
use wharf_identity::Identity;
use wharf_jobs::NewJob;
use wharf_metadata::{Connection, RegistryRow, import_credentials, operations};
use wharf_model::{JobId, Reference, RegistryName, RepositoryName, Tag};
use wharf_registry::Artifacts;
use wharf_upstream::{Credentials, UpstreamAddress};

/// An import, as whoever may ask for it was allowed it. It is the payload of its job, so it holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportOrder {
    /// The operation that is polled meanwhile.
    pub operation: Uuid,
    /// Into which registry.
    pub registry: RegistryName,
    /// From where.
    pub source: ImportSource,
    /// The repository there.
    pub repository: RepositoryName,
    /// The manifest there.
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub reference: Reference,
    /// What it becomes here, at least one.
    pub targets: Vec<ImportTarget>,
    /// Whether tags that are there are moved.
    pub force: bool,
    /// Whether what refers to the manifests comes along.
    pub referrers: bool,
    /// Whether whoever asked may read every repository of the target's registry.
    pub may_mount: bool,
    /// Who asked, for the change log.
    pub actor: String,
}

/// Where something is imported from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ImportSource {
    /// A registry of this installation.
    Registry(RegistryName),
    /// Any other.
    Upstream(UpstreamAddress),
}

/// What something imported becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportTarget {
    /// In which repository.
    pub repository: RepositoryName,
    /// Under which tag; without one, by its digest alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

/// User name and password of a source, sealed.
#[derive(Clone, Debug)]
pub struct SealedCredentials(Vec<u8>);

#[derive(Serialize, Deserialize)]
struct Plain {
    username: String,
    password: String,
}

impl SealedCredentials {
    /// Seals the credentials of an import.
    #[must_use]
    pub fn seal(identity: &Identity, operation: Uuid, username: &str, password: &SecretString) -> Self {
        let plain = Plain { username: username.to_owned(), password: password.expose_secret().to_owned() };
        let plain = serde_json::to_vec(&plain).expect("two texts always serialise");
        Self(identity.seal(&context(operation), &plain))
    }

    pub(super) fn unseal(
        identity: &Identity,
        operation: Uuid,
        sealed: &[u8],
    ) -> Result<Credentials, wharf_identity::Error> {
        let plain = identity.unseal(&context(operation), sealed)?;
        let plain: Plain =
            serde_json::from_slice(&plain).unwrap_or(Plain { username: String::new(), password: String::new() });
        Ok(Credentials { username: plain.username, password: plain.password.into() })
    }
}

impl ImportOrder {
    /// Enqueues the import, in the transaction that began its operation.
    ///
    /// # Errors
    /// When the database fails. An order that does not fit into a job is refused before.
    pub async fn enqueue(
        &self,
        c: &mut Connection,
        artifacts: &Artifacts,
        registry: &RegistryRow,
        credentials: Option<&SealedCredentials>,
    ) -> Result<JobId, wharf_metadata::Error> {
        let too_large = |error: wharf_jobs::PayloadTooLarge| wharf_metadata::Error::Malformed {
            what: "import",
            value: error.to_string(),
        };
        let job = NewJob::new(KIND, self).map_err(too_large)?.key(self.operation.to_string()).registry(registry.id);
        let enqueued = artifacts.jobs().enqueue(c, &job).await?;
        operations::attach_job(c, self.operation, enqueued.id).await?;
        if let Some(SealedCredentials(sealed)) = credentials {
            import_credentials::insert(c, self.operation, registry.id, sealed).await?;
        }
        Ok(enqueued.id)
    }

    /// Whether it fits into a job.
    #[must_use]
    pub fn fits(&self) -> bool {
        NewJob::new(KIND, self).is_ok()
    }
}

fn context(operation: Uuid) -> String {
    format!("import {operation}")
}

fn to_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
    Reference::from_str(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// The kind of job.
pub(super) const KIND: &str = "import";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_the_job_and_hold_no_secret() {
        let order = ImportOrder {
            operation: Uuid::from_u128(1),
            registry: "contoso".parse().unwrap(),
            source: ImportSource::Upstream("docker.io".parse().unwrap()),
            repository: "library/alpine".parse().unwrap(),
            reference: "3.20".parse().unwrap(),
            targets: vec![
                ImportTarget { repository: "alpine".parse().unwrap(), tag: Some("3.20".parse().unwrap()) },
                ImportTarget { repository: "base".parse().unwrap(), tag: None },
            ],
            force: false,
            referrers: true,
            may_mount: true,
            actor: "somebody".to_owned(),
        };
        let json = serde_json::to_value(&order).unwrap();
        assert_eq!(json["reference"], "3.20");
        assert_eq!(json["source"], serde_json::json!({"upstream": "docker.io"}));
        assert_eq!(serde_json::from_value::<ImportOrder>(json).unwrap(), order);
        assert!(order.fits());
    }
}
