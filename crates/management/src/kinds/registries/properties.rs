//! The properties of a registry: as they are kept, how a body changes them, and how the API shows them.
//!
//! Sources: `acr/control-plane.md` 6 and 7; defaults: `acr/semantics.md` 18.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wharf_arm::{ArmError, Code, Members};
use wharf_metadata::{RegistrySettings, RoleAssignmentMode};
use wharf_model::Timestamp;

use super::network::{DefaultAction, NetworkRules};
use super::policies::{OnStatus, Policies};
use super::reading::{Given, Merge as _, Words, words};

words! {
    /// Whether something that is off by default is on.
    Switch { Disabled = "Disabled", Enabled = "Enabled" }
}

words! {
    /// Whether something that is on by default is on.
    OnSwitch { Enabled = "Enabled", Disabled = "Disabled" }
}

words! {
    /// Which kinds of addresses the registry's hosts have.
    EndpointProtocol { Ipv4 = "IPv4", Both = "IPv4AndIPv6" }
}

words! {
    /// Whether Azure's own services pass the rules for addresses.
    BypassOptions { AzureServices = "AzureServices", None = "None" }
}

words! {
    /// Within what the label of the registry's host is the same again for the same name. `Unsecure` has no label.
    LabelScope {
        Unsecure = "Unsecure",
        Tenant = "TenantReuse",
        Subscription = "SubscriptionReuse",
        ResourceGroup = "ResourceGroupReuse",
        Never = "NoReuse",
    }
}

impl Words for RoleAssignmentMode {
    const WORDS: &'static [&'static str] = &["LegacyRegistryPermissions", "AbacRepositoryPermissions"];
    const VALUES: &'static [Self] = &[Self::LegacyRegistryPermissions, Self::AbacRepositoryPermissions];
}

/// What can be set on a registry, apart from its tier, tags and identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Properties {
    pub(crate) admin_user_enabled: bool,
    pub(crate) anonymous_pull_enabled: bool,
    pub(crate) network_rules: NetworkRules,
    pub(crate) policies: Policies,
    pub(crate) data_endpoint_enabled: bool,
    pub(crate) regional_endpoints: Switch,
    pub(crate) endpoint_protocol: EndpointProtocol,
    pub(crate) public_network_access: OnSwitch,
    pub(crate) bypass_options: BypassOptions,
    pub(crate) bypass_allowed_for_tasks: bool,
    pub(crate) zone_redundancy: Switch,
    pub(crate) metadata_search: Switch,
    pub(crate) role_assignment_mode: RoleAssignmentMode,
    pub(crate) label_scope: LabelScope,
    pub(crate) writable_cache_repositories: Switch,
    /// The label that follows the registry's name in its host: `<name>-<label>`. Set when the registry is created.
    pub(crate) label: Option<String>,
}

/// What of a registry's answer is not in its properties.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    /// The registry's host, with the port where it is not 443.
    pub(crate) login_server: &'a str,
    /// The registry's name.
    pub(crate) name: &'a str,
    /// Where it is said to be.
    pub(crate) location: &'a str,
    /// What all registries' hosts end in.
    pub(crate) suffix: &'a str,
    /// Whether it is Premium: others show no rules for addresses.
    pub(crate) is_premium: bool,
    /// When it was created.
    pub(crate) created_at: Timestamp,
}

impl Properties {
    /// What a PUT begins with: the defaults, and of what is there that which can be set at creation only.
    pub(crate) fn replaced(old: &Self) -> Self {
        Self {
            zone_redundancy: old.zone_redundancy,
            label_scope: old.label_scope,
            label: old.label.clone(),
            ..Self::default()
        }
    }

    /// Takes over what the body says, whatever the tier. `is_new` says whether the registry is being created.
    ///
    /// # Errors
    /// When a member cannot be taken, or can be set at creation only and differs.
    pub(crate) fn merge(&mut self, body: &Members<'_>, is_new: bool) -> Result<(), ArmError> {
        body.boolean_into("adminUserEnabled", &mut self.admin_user_enabled)?;
        body.boolean_into("anonymousPullEnabled", &mut self.anonymous_pull_enabled)?;
        match body.given("networkRuleSet")? {
            Given::Absent => {}
            Given::Null => self.network_rules = NetworkRules::default(),
            Given::Object(rules) => self.network_rules.merge(&rules)?,
        }
        match body.given("policies")? {
            Given::Absent => {}
            Given::Null => self.policies = Policies::default(),
            Given::Object(policies) => self.policies.merge(&policies)?,
        }
        body.boolean_into("dataEndpointEnabled", &mut self.data_endpoint_enabled)?;
        body.word_into("regionalEndpoints", &mut self.regional_endpoints)?;
        body.word_into("endpointProtocol", &mut self.endpoint_protocol)?;
        body.word_into("publicNetworkAccess", &mut self.public_network_access)?;
        body.word_into("networkRuleBypassOptions", &mut self.bypass_options)?;
        body.boolean_into("networkRuleBypassAllowedForTasks", &mut self.bypass_allowed_for_tasks)?;
        body.word_into("metadataSearch", &mut self.metadata_search)?;
        body.word_into("roleAssignmentMode", &mut self.role_assignment_mode)?;
        body.word_into("writableCacheRepos", &mut self.writable_cache_repositories)?;
        refuse_encryption(body)?;
        // It means nothing any more, so another value than that of the creation is not worth a refusal.
        let mut zones = self.zone_redundancy;
        body.word_into("zoneRedundancy", &mut zones)?;
        if is_new {
            self.zone_redundancy = zones;
        }
        if let Some(scope) = body.find_word::<LabelScope>(LABEL_SCOPE)? {
            if !is_new && scope != self.label_scope {
                return Err(ArmError::immutable(&body.path(LABEL_SCOPE)));
            }
            self.label_scope = scope;
        }
        Ok(())
    }

    /// What the data plane acts on.
    pub(crate) fn settings(&self) -> RegistrySettings {
        RegistrySettings {
            role_assignment_mode: self.role_assignment_mode,
            accepts_arm_tokens: self.policies.arm_tokens == OnStatus::Enabled,
            public_network_access: self.public_network_access == OnSwitch::Enabled,
            allows_other_addresses: self.network_rules.default_action == DefaultAction::Allow,
            allowed_addresses: self.network_rules.allowed_addresses(),
            domain_label: self.label.clone(),
        }
    }

    /// As the API shows them.
    pub(crate) fn render(&self, facts: &Facts<'_>) -> Value {
        let Facts { name, location, suffix, .. } = facts;
        // A label beside the name belongs to the registry's host, so also to the hosts that are made from it.
        let host = match &self.label {
            Some(label) => format!("{name}-{label}"),
            None => (*name).to_owned(),
        };
        let hosts = |is_on: bool, word: &str| match is_on {
            true => vec![format!("{host}.{location}.{word}.{suffix}")],
            false => Vec::new(),
        };
        let mut shown = json!({
            "loginServer": facts.login_server,
            "creationDate": facts.created_at.to_string(),
            "provisioningState": "Succeeded",
            "adminUserEnabled": self.admin_user_enabled,
            "policies": self.policies.render(),
            "encryption": {"status": "disabled"},
            "dataEndpointEnabled": self.data_endpoint_enabled,
            "dataEndpointHostNames": hosts(self.data_endpoint_enabled, "data"),
            "regionalEndpoints": self.regional_endpoints,
            "regionalEndpointHostNames": hosts(self.regional_endpoints == Switch::Enabled, "geo"),
            "endpointProtocol": self.endpoint_protocol,
            "privateEndpointConnections": [],
            "publicNetworkAccess": self.public_network_access,
            "networkRuleBypassOptions": self.bypass_options,
            "networkRuleBypassAllowedForTasks": self.bypass_allowed_for_tasks,
            "zoneRedundancy": self.zone_redundancy,
            "anonymousPullEnabled": self.anonymous_pull_enabled,
            "metadataSearch": self.metadata_search,
            "roleAssignmentMode": self.role_assignment_mode,
            "autoGeneratedDomainNameLabelScope": self.label_scope,
            "writableCacheRepos": self.writable_cache_repositories,
        });
        if facts.is_premium {
            shown["networkRuleSet"] = self.network_rules.render();
        }
        shown
    }
}

/// A key that customers manage cannot be had, since there is no Key Vault: content that only seems to be encrypted under
/// one would be worse than a refusal.
fn refuse_encryption(body: &Members<'_>) -> Result<(), ArmError> {
    words! {
        /// Whether content is encrypted under a key of the customer's.
        Encryption { Disabled = "disabled", Enabled = "enabled" }
    }
    let Some(encryption) = body.object("encryption")? else { return Ok(()) };
    let mut status = Encryption::Disabled;
    encryption.word_into("status", &mut status)?;
    if status == Encryption::Disabled && !encryption.has("keyVaultProperties") {
        return Ok(());
    }
    let text = "Encryption under a key that you manage is not supported: there is no key vault here. Leave 'encryption' \
                out, and encrypt the disk or the object storage that holds the blobs.";
    Err(ArmError::new(Code::InvalidParameter, text).with_target(body.path("encryption")))
}

const LABEL_SCOPE: &str = "autoGeneratedDomainNameLabelScope";
