//! The `policies` of a registry. Source: `acr/semantics.md` 4.3 to 4.8 and 18.
//!
//! Each member of the body is merged on its own: `az` sends the whole object after changing one policy, templates send
//! one policy alone.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wharf_arm::{ArmError, Members};
use wharf_model::Timestamp;

use super::reading::{Given, Merge as _, Words, words};

words! {
    /// Whether a policy that is off by default is on.
    Status { Disabled = "disabled", Enabled = "enabled" }
}

words! {
    /// Whether a policy that is on by default is on.
    OnStatus { Enabled = "enabled", Disabled = "disabled" }
}

words! {
    /// The kind of content trust.
    TrustType { Notary = "Notary" }
}

/// All policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Policies {
    /// New manifests wait until they are passed.
    pub(crate) quarantine: Status,
    /// Content trust.
    pub(crate) trust: Status,
    /// Untagged manifests are removed.
    pub(crate) retention: Retention,
    /// Artifacts may leave the registry by import and transfer.
    pub(crate) export: OnStatus,
    /// Tokens for Azure Resource Manager may be exchanged for one of the registry.
    pub(crate) arm_tokens: OnStatus,
    /// What is deleted can be restored for a while.
    pub(crate) soft_delete: SoftDelete,
}

/// For how long manifests without a tag are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Retention {
    pub(crate) status: Status,
    /// 0 to 365.
    pub(crate) days: i64,
    /// When the policy changed last, in microseconds since 1970.
    pub(crate) updated_at: i64,
    /// Since when the policy is on, in microseconds since 1970.
    pub(crate) since: i64,
}

/// For how long what was deleted is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SoftDelete {
    pub(crate) status: Status,
    /// 1 to 90.
    pub(crate) retention_days: i64,
    /// When the policy changed last, in microseconds since 1970.
    pub(crate) updated_at: i64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { status: Status::Disabled, days: DEFAULT_DAYS, updated_at: 0, since: 0 }
    }
}

impl Default for SoftDelete {
    fn default() -> Self {
        Self { status: Status::Disabled, retention_days: DEFAULT_DAYS, updated_at: 0 }
    }
}

impl Retention {
    /// The policy, if it is on.
    pub(crate) fn in_force(&self) -> Option<wharf_metadata::registries::Retention> {
        let Self { days, since, .. } = *self;
        (self.status == Status::Enabled).then_some(wharf_metadata::registries::Retention { days, since })
    }
}

impl SoftDelete {
    /// The policy, if it is on.
    pub(crate) fn in_force(&self) -> Option<wharf_metadata::registries::SoftDelete> {
        let days = self.retention_days;
        (self.status == Status::Enabled).then_some(wharf_metadata::registries::SoftDelete { days })
    }
}

impl Policies {
    /// Takes over what the body says.
    pub(crate) fn merge(&mut self, body: &Members<'_>) -> Result<(), ArmError> {
        merge_status(body, "quarantinePolicy", &mut self.quarantine)?;
        merge_status(body, "trustPolicy", &mut self.trust)?;
        if let Some(policy) = body.object("trustPolicy")? {
            policy.find_word::<TrustType>("type")?;
        }
        merge_status(body, "exportPolicy", &mut self.export)?;
        merge_status(body, "azureADAuthenticationAsArmPolicy", &mut self.arm_tokens)?;
        match body.given("retentionPolicy")? {
            Given::Absent => {}
            Given::Null => self.retention = Retention::default(),
            Given::Object(policy) => {
                policy.word_into("status", &mut self.retention.status)?;
                policy.number_into("days", 0..=365, DEFAULT_DAYS, &mut self.retention.days)?;
            }
        }
        match body.given("softDeletePolicy")? {
            Given::Absent => {}
            Given::Null => self.soft_delete = SoftDelete::default(),
            Given::Object(policy) => {
                policy.word_into("status", &mut self.soft_delete.status)?;
                policy.number_into("retentionDays", 1..=90, DEFAULT_DAYS, &mut self.soft_delete.retention_days)?;
            }
        }
        Ok(())
    }

    /// Notes `now` at the policies that are not as they were. `old` is `None` for a new registry.
    pub(crate) fn stamp(&mut self, old: Option<&Self>, now: Timestamp) {
        let is_on = |retention: &Retention| retention.status == Status::Enabled;
        if is_on(&self.retention) && !old.is_some_and(|old| is_on(&old.retention)) {
            self.retention.since = now.0;
        }
        self.retention.updated_at = old.map_or(now.0, |old| old.retention.updated_at);
        self.soft_delete.updated_at = old.map_or(now.0, |old| old.soft_delete.updated_at);
        if old.is_some_and(|old| old.retention != self.retention) {
            self.retention.updated_at = now.0;
        }
        if old.is_some_and(|old| old.soft_delete != self.soft_delete) {
            self.soft_delete.updated_at = now.0;
        }
    }

    /// As the API shows them.
    pub(crate) fn render(&self) -> Value {
        json!({
            "quarantinePolicy": {"status": self.quarantine},
            "trustPolicy": {"type": TrustType::Notary, "status": self.trust},
            "retentionPolicy": {
                "days": self.retention.days,
                "lastUpdatedTime": Timestamp(self.retention.updated_at).to_string(),
                "status": self.retention.status,
            },
            "exportPolicy": {"status": self.export},
            "azureADAuthenticationAsArmPolicy": {"status": self.arm_tokens},
            "softDeletePolicy": {
                "retentionDays": self.soft_delete.retention_days,
                "lastUpdatedTime": Timestamp(self.soft_delete.updated_at).to_string(),
                "status": self.soft_delete.status,
            },
        })
    }
}

/// Takes over a policy that has nothing but its status.
fn merge_status<T: Words>(body: &Members<'_>, name: &str, status: &mut T) -> Result<(), ArmError> {
    match body.given(name)? {
        Given::Absent => {}
        Given::Null => *status = T::default(),
        Given::Object(policy) => policy.word_into("status", status)?,
    }
    Ok(())
}

/// How many days a policy has that was not told.
const DEFAULT_DAYS: i64 = 7;
