//! What can be set on a registry at the command line, and how the management API is told.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

/// The tiers, as ACR names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum Sku {
    /// The smallest.
    Basic,
    /// The middle.
    Standard,
    /// The largest.
    Premium,
}

/// Whether something is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    #[value(alias = "true", alias = "enabled")]
    On,
    #[value(alias = "false", alias = "disabled")]
    Off,
}

/// Which roles count, in the words of `az acr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoleMode {
    /// Roles on the whole registry
    Rbac,
    /// Roles on repositories, with conditions
    RbacAbac,
}

/// What happens to addresses that no rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DefaultAction {
    Allow,
    Deny,
}

/// What `create` and `update` have in common. What is not given stays as it is.
#[derive(Debug, Default, Args)]
pub(super) struct Options {
    /// Whether everybody may pull; not in the tier Basic
    #[arg(long, value_name = "SWITCH", group = "change")]
    anonymous_pull: Option<Switch>,
    /// Whether clients that do not come over the private listeners are let in; off only in the tier Premium
    #[arg(long, value_name = "SWITCH", group = "change")]
    public_network_access: Option<Switch>,
    /// What happens to addresses that no rule names: allow or deny
    #[arg(long, value_name = "ACTION", group = "change")]
    default_action: Option<DefaultAction>,
    /// An address or network (IPv4) that is let in; repeat it for several, `none` removes all. Replaces the rules there are
    #[arg(long = "ip-rule", value_name = "CIDR", group = "change")]
    ip_rules: Vec<String>,
    /// Which roles count: on the whole registry (rbac) or on repositories (rbac-abac)
    #[arg(long, value_name = "MODE", group = "change")]
    role_assignment_mode: Option<RoleMode>,
    /// Whether tokens for Azure Resource Manager may sign in to the registry
    #[arg(long, value_name = "SWITCH", group = "change")]
    arm_tokens: Option<Switch>,
    /// A tag; repeat it for several, `none` removes all. Replaces the tags there are
    #[arg(long = "tag", value_name = "NAME=VALUE", group = "change", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
}

impl Options {
    /// The body of the request that sets them.
    pub(super) fn body(&self, sku: Option<Sku>, admin: Option<Switch>) -> Map<String, Value> {
        let mut properties = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                properties.insert(name.to_owned(), value);
            }
        };
        set("adminUserEnabled", admin.map(|switch| json!(switch == Switch::On)));
        set("anonymousPullEnabled", self.anonymous_pull.map(|switch| json!(switch == Switch::On)));
        set(
            "publicNetworkAccess",
            self.public_network_access.map(|switch| match switch {
                Switch::On => json!("Enabled"),
                Switch::Off => json!("Disabled"),
            }),
        );
        set(
            "roleAssignmentMode",
            self.role_assignment_mode.map(|mode| match mode {
                RoleMode::Rbac => json!("LegacyRegistryPermissions"),
                RoleMode::RbacAbac => json!("AbacRepositoryPermissions"),
            }),
        );
        let policy = self.arm_tokens.map(|switch| match switch {
            Switch::On => json!({"azureADAuthenticationAsArmPolicy": {"status": "enabled"}}),
            Switch::Off => json!({"azureADAuthenticationAsArmPolicy": {"status": "disabled"}}),
        });
        set("policies", policy);
        set("networkRuleSet", self.network_rules());

        let mut body = Map::new();
        body.insert("properties".to_owned(), Value::Object(properties));
        if let Some(sku) = sku {
            body.insert("sku".to_owned(), json!({"name": format!("{sku:?}")}));
        }
        if !self.tags.is_empty() {
            let tags = self.tags.iter().filter(|(name, _)| !name.is_empty());
            body.insert("tags".to_owned(), tags.map(|(name, value)| (name.clone(), json!(value))).collect());
        }
        body
    }

    fn network_rules(&self) -> Option<Value> {
        let mut rules = Map::new();
        if let Some(action) = self.default_action {
            rules.insert("defaultAction".to_owned(), json!(format!("{action:?}")));
        }
        if !self.ip_rules.is_empty() {
            let values = self.ip_rules.iter().filter(|value| *value != NONE);
            rules
                .insert("ipRules".to_owned(), values.map(|value| json!({"action": "Allow", "value": value})).collect());
        }
        (!rules.is_empty()).then_some(Value::Object(rules))
    }
}

/// Takes `NAME=VALUE` apart; `none` is a tag without a name, which only clears.
fn parse_tag(text: &str) -> Result<(String, String), String> {
    if text == NONE {
        return Ok((String::new(), String::new()));
    }
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a tag is written NAME=VALUE, such as team=blue".to_owned()),
    }
}

const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_not_sent() {
        let body = Options::default().body(None, None);
        assert_eq!(Value::Object(body), json!({"properties": {}}));
    }

    #[test]
    fn options_become_the_members_of_the_api() {
        let options = Options {
            anonymous_pull: Some(Switch::Off),
            public_network_access: Some(Switch::Off),
            default_action: Some(DefaultAction::Deny),
            ip_rules: vec!["203.0.113.7".to_owned()],
            role_assignment_mode: Some(RoleMode::RbacAbac),
            arm_tokens: Some(Switch::Off),
            tags: vec![("team".to_owned(), "blue".to_owned())],
        };
        let body = options.body(Some(Sku::Standard), Some(Switch::On));
        assert_eq!(
            Value::Object(body),
            json!({
                "sku": {"name": "Standard"},
                "tags": {"team": "blue"},
                "properties": {
                    "adminUserEnabled": true, "anonymousPullEnabled": false, "publicNetworkAccess": "Disabled",
                    "roleAssignmentMode": "AbacRepositoryPermissions",
                    "policies": {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}},
                    "networkRuleSet": {
                        "defaultAction": "Deny", "ipRules": [{"action": "Allow", "value": "203.0.113.7"}],
                    },
                },
            })
        );
    }

    #[test]
    fn none_clears() {
        let options =
            Options { ip_rules: vec![NONE.to_owned()], tags: vec![parse_tag(NONE).unwrap()], ..Options::default() };
        let body = Value::Object(options.body(None, None));
        assert_eq!(body, json!({"tags": {}, "properties": {"networkRuleSet": {"ipRules": []}}}));
        assert!(parse_tag("team").is_err() && parse_tag("=x").is_err());
    }
}
