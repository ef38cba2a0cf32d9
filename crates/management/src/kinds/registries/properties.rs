//! The properties of a registry: as they are kept, how a body changes them, and how the API shows them.
//!
//! Sources: `acr/control-plane.md` 6 and 7; defaults: `acr/semantics.md` 18.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wharf_arm::{ArmError, Code, Members};
use wharf_metadata::{RegistrySettings, RoleAssignmentMode};
use wharf_model::Timestamp;
use wharf_registry::parse_patterns;

use super::network::{DefaultAction, NetworkRules};
use super::policies::{OnStatus, Policies, Status};
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
    /// Patterns of tags that are written once in all its repositories.
    pub(crate) write_once_tags: Vec<String>,
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
        merge_write_once_tags(body, &mut self.write_once_tags)?;
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
            retention: self.policies.retention.in_force(),
            soft_delete: self.policies.soft_delete.in_force(),
            quarantine: self.policies.quarantine == Status::Enabled,
            allows_export: self.policies.export == OnStatus::Enabled,
            writable_cache_repositories: self.writable_cache_repositories == Switch::Enabled,
            write_once_tags: self.write_once_tags.clone(),
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
        // ACR has no such member; clients that know nothing of it are not shown it unless somebody set it.
        if !self.write_once_tags.is_empty() {
            shown[WRITE_ONCE_TAGS] = json!(self.write_once_tags);
        }
        shown
    }
}

/// Patterns of tags. They replace those that there are; `null` and an empty list end them.
fn merge_write_once_tags(body: &Members<'_>, patterns: &mut Vec<String>) -> Result<(), ArmError> {
    match body.texts(WRITE_ONCE_TAGS)? {
        Some(texts) => {
            *patterns = parse_patterns(texts).map_err(|error| body.invalid(WRITE_ONCE_TAGS, error))?;
        }
        None if body.is_null(WRITE_ONCE_TAGS) => patterns.clear(),
        None => {}
    }
    Ok(())
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

const WRITE_ONCE_TAGS: &str = "writeOnceTags";

const LABEL_SCOPE: &str = "autoGeneratedDomainNameLabelScope";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    fn merge(properties: &mut Properties, body: Value, is_new: bool) -> Result<(), ArmError> {
        properties.merge(&Members::of(body.as_object().unwrap()), is_new)
    }

    fn render(properties: &Properties) -> Value {
        let facts = Facts {
            login_server: "contoso.example.com",
            name: "contoso",
            location: "eastus",
            suffix: "example.com",
            is_premium: true,
            created_at: NOW,
        };
        properties.render(&facts)
    }

    fn new() -> Properties {
        let mut properties = Properties::default();
        properties.policies.stamp(None, NOW);
        properties
    }

    #[test]
    fn a_new_registry_has_the_documented_defaults() {
        insta::assert_json_snapshot!(render(&new()));
    }

    #[test]
    fn what_is_shown_can_be_sent_back_whole() {
        let mut properties = new();
        let body = json!({
            "adminUserEnabled": "True", "anonymousPullEnabled": true, "dataEndpointEnabled": true,
            "regionalEndpoints": "enabled", "endpointProtocol": "ipv4andipv6", "publicNetworkAccess": "DISABLED",
            "networkRuleBypassOptions": "none", "networkRuleBypassAllowedForTasks": true, "zoneRedundancy": "Enabled",
            "metadataSearch": "Enabled", "roleAssignmentMode": "abacrepositorypermissions", "writableCacheRepos": "Enabled",
            "autoGeneratedDomainNameLabelScope": "tenantreuse",
            "networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"action": "allow", "value": "203.0.113.0/24"}]},
            "policies": {
                "quarantinePolicy": {"status": "Enabled"}, "trustPolicy": {"type": "notary", "status": "enabled"},
                "retentionPolicy": {"days": 30, "status": "enabled"}, "exportPolicy": {"status": "disabled"},
                "azureADAuthenticationAsArmPolicy": {"status": "disabled"},
                "softDeletePolicy": {"retentionDays": 90, "status": "enabled"},
            },
        });
        merge(&mut properties, body, true).unwrap();
        insta::assert_json_snapshot!(render(&properties));
        let mut again = properties.clone();
        merge(&mut again, render(&properties), false).unwrap();
        assert_eq!(again, properties);
        let mut replaced = Properties::replaced(&properties);
        merge(&mut replaced, render(&properties), false).unwrap();
        replaced.policies.stamp(Some(&properties.policies), Timestamp(NOW.0 + 1));
        assert_eq!(replaced, properties);
        let kept: Properties = serde_json::from_value(serde_json::to_value(&properties).unwrap()).unwrap();
        assert_eq!(kept, properties);
    }

    #[test]
    fn patterns_of_tags_show_once_there_are_any_and_are_replaced_as_a_whole() {
        let mut properties = new();
        let untouched = render(&properties);
        assert!(untouched.get("writeOnceTags").is_none());
        merge(&mut properties, json!({"writeOnceTags": ["v*", "v*", "release-?"]}), false).unwrap();
        assert_eq!(render(&properties)["writeOnceTags"], json!(["v*", "release-?"]));
        assert_eq!(properties.settings().write_once_tags, ["v*", "release-?"]);
        // What a client sends back that knows nothing of them.
        merge(&mut properties, untouched.clone(), false).unwrap();
        assert_eq!(properties.write_once_tags, ["v*", "release-?"]);
        let kept: Properties = serde_json::from_value(serde_json::to_value(&properties).unwrap()).unwrap();
        assert_eq!(kept, properties);
        merge(&mut properties, json!({"writeOnceTags": ["*"]}), false).unwrap();
        assert_eq!(properties.write_once_tags, ["*"]);
        for empty in [json!({"writeOnceTags": []}), json!({"writeOnceTags": null})] {
            let mut emptied = properties.clone();
            merge(&mut emptied, empty, false).unwrap();
            assert_eq!(render(&emptied), untouched);
        }
        let many: Vec<String> = (0..51).map(|n| format!("v{n}")).collect();
        for bad in [json!(["a b"]), json!([""]), json!(["v1", 2]), json!("v*"), json!(many)] {
            let error = merge(&mut properties, json!({"writeOnceTags": bad}), false).unwrap_err();
            assert!(
                error.target.as_deref().is_some_and(|target| target.starts_with("writeOnceTags")),
                "{bad}: {error:?}"
            );
        }
        assert_eq!(properties.write_once_tags, ["*"]);
    }

    #[test]
    fn policies_that_exclude_each_other_in_azure_go_together() {
        let mut properties = new();
        let body = json!({"policies": {
            "retentionPolicy": {"days": 0, "status": "enabled"}, "softDeletePolicy": {"retentionDays": 1, "status": "enabled"},
            "quarantinePolicy": {"status": "enabled"},
        }});
        merge(&mut properties, body, false).unwrap();
        properties.policies.stamp(Some(&new().policies), Timestamp(NOW.0 + 1));
        let settings = properties.settings();
        assert_eq!(settings.retention.map(|policy| (policy.days, policy.since)), Some((0, NOW.0 + 1)));
        assert_eq!(settings.soft_delete.map(|policy| policy.days), Some(1));
        assert!(settings.quarantine);
        // Another number of days goes on; off and on again begins anew.
        let old = properties.clone();
        merge(&mut properties, json!({"policies": {"retentionPolicy": {"days": 9}}}), false).unwrap();
        properties.policies.stamp(Some(&old.policies), Timestamp(NOW.0 + 2));
        assert_eq!(properties.settings().retention.unwrap().since, NOW.0 + 1);
        for (status, at) in [("disabled", 3), ("enabled", 4)] {
            let old = properties.clone();
            merge(&mut properties, json!({"policies": {"retentionPolicy": {"status": status}}}), false).unwrap();
            properties.policies.stamp(Some(&old.policies), Timestamp(NOW.0 + at));
        }
        assert_eq!(properties.settings().retention.unwrap().since, NOW.0 + 4);
    }

    #[test]
    fn members_are_merged_one_by_one() {
        let mut properties = new();
        merge(&mut properties, json!({"policies": {"retentionPolicy": {"days": 30}}}), false).unwrap();
        merge(&mut properties, json!({"policies": {"retentionPolicy": {"status": "enabled"}}}), false).unwrap();
        merge(&mut properties, json!({"policies": {"softDeletePolicy": {"status": "enabled"}}}), false).unwrap();
        assert_eq!(properties.policies.retention.days, 30);
        merge(&mut properties, json!({"policies": {"retentionPolicy": null}, "networkRuleSet": null}), false).unwrap();
        assert_eq!(properties.policies.retention.days, 7);
        assert_eq!(render(&properties)["policies"]["softDeletePolicy"]["status"], "enabled");
    }

    #[test]
    fn a_policy_tells_when_it_changed() {
        let old = new();
        let later = Timestamp(NOW.0 + 5_000_000);
        let mut changed = old.clone();
        merge(&mut changed, json!({"policies": {"retentionPolicy": {"days": 8}}}), false).unwrap();
        changed.policies.stamp(Some(&old.policies), later);
        assert_eq!(changed.policies.retention.updated_at, later.0);
        assert_eq!(changed.policies.soft_delete.updated_at, NOW.0);
        let mut same = changed.clone();
        same.policies.stamp(Some(&changed.policies), Timestamp(later.0 + 1));
        assert_eq!(same, changed);
    }

    #[test]
    fn values_out_of_range_and_unknown_words_name_their_place() {
        for (body, target) in [
            (json!({"policies": {"retentionPolicy": {"days": 366}}}), "policies.retentionPolicy.days"),
            (
                json!({"policies": {"softDeletePolicy": {"retentionDays": 0}}}),
                "policies.softDeletePolicy.retentionDays",
            ),
            (json!({"policies": {"trustPolicy": {"type": "cosign"}}}), "policies.trustPolicy.type"),
            (json!({"roleAssignmentMode": "rbac"}), "roleAssignmentMode"),
            (json!({"adminUserEnabled": "yes"}), "adminUserEnabled"),
            (json!({"networkRuleSet": []}), "networkRuleSet"),
        ] {
            let error = merge(&mut new(), body.clone(), true).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(target), "{body}");
        }
    }

    #[test]
    fn what_is_settled_at_creation_is_not_changed_later() {
        let mut properties = new();
        merge(&mut properties, json!({"zoneRedundancy": "Enabled"}), false).unwrap();
        assert_eq!(properties.zone_redundancy, Switch::Disabled);
        merge(&mut properties, json!({"autoGeneratedDomainNameLabelScope": "unsecure"}), false).unwrap();
        let error = merge(&mut properties, json!({"autoGeneratedDomainNameLabelScope": "NoReuse"}), false).unwrap_err();
        assert_eq!(error.code, Code::InvalidImmutableProperty);
    }

    #[test]
    fn a_key_of_the_customers_is_refused() {
        for body in [
            json!({"encryption": {"status": "Enabled"}}),
            json!({"encryption": {"keyVaultProperties": {"keyIdentifier": "https://vault/keys/k"}}}),
        ] {
            assert!(merge(&mut new(), body, true).unwrap_err().message.contains("no key vault"));
        }
        merge(&mut new(), json!({"encryption": {"status": "disabled", "keyVaultProperties": null}}), true).unwrap();
    }

    #[test]
    fn the_data_plane_gets_what_it_acts_on() {
        let mut properties = new();
        assert_eq!(properties.settings(), RegistrySettings::default());
        let body = json!({
            "publicNetworkAccess": "Disabled", "roleAssignmentMode": "AbacRepositoryPermissions",
            "networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"value": "203.0.113.7"}]},
            "policies": {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}},
        });
        merge(&mut properties, body, true).unwrap();
        let settings = properties.settings();
        assert!(!settings.public_network_access && !settings.accepts_arm_tokens && !settings.allows_other_addresses);
        assert_eq!(settings.allowed_addresses, ["203.0.113.7/32".parse().unwrap()]);
        assert_eq!(settings.role_assignment_mode, RoleAssignmentMode::AbacRepositoryPermissions);
    }
}
