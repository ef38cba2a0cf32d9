//! Who reaches a registry: `networkRuleSet`. Source: `acr/semantics.md` 5.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wharf_arm::{ArmError, Code, Members};

use super::reading::{Merge as _, shortened, words};
use super::sku::Sku;

words! {
    /// What happens to addresses that no rule names.
    DefaultAction { Allow = "Allow", Deny = "Deny" }
}

words! {
    /// What a rule does to the addresses that it names.
    Action { Allow = "Allow" }
}

/// Which addresses are let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NetworkRules {
    pub(crate) default_action: DefaultAction,
    /// IPv4 addresses and networks, as they were written.
    pub(crate) ip_rules: Vec<String>,
}

impl NetworkRules {
    /// Takes over what the body says: the list of rules replaces the one before.
    pub(crate) fn merge(&mut self, body: &Members<'_>) -> Result<(), ArmError> {
        body.word_into("defaultAction", &mut self.default_action)?;
        match body.objects("ipRules")? {
            Some(rules) => self.ip_rules = read_rules(body, &rules)?,
            None if body.is_null("ipRules") => self.ip_rules.clear(),
            None => {}
        }
        // A rule for a subnet could let nobody in: no request comes out of a virtual network here.
        if let Some([_, ..]) = body.list("virtualNetworkRules")? {
            let path = body.path("virtualNetworkRules");
            let text = "There are no virtual networks here, so a rule for one would let nobody in. Use \
                        networkRuleSet.ipRules, or the listeners that count as the private endpoint.";
            return Err(ArmError::new(Code::InvalidParameter, text).with_target(path));
        }
        Ok(())
    }

    /// Whether everybody is let in, and no rule stands ready for when that changes.
    pub(crate) fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// The networks that the rules name.
    pub(crate) fn allowed_addresses(&self) -> Vec<IpNet> {
        self.ip_rules.iter().filter_map(|rule| parse_network(rule)).map(|net| IpNet::V4(net.trunc())).collect()
    }

    /// As the API shows them.
    pub(crate) fn render(&self) -> Value {
        let rules = self.ip_rules.iter().map(|value| json!({"action": Action::Allow, "value": value}));
        json!({
            "defaultAction": self.default_action,
            "virtualNetworkRules": [],
            "ipRules": rules.collect::<Vec<Value>>(),
        })
    }
}

fn read_rules(body: &Members<'_>, rules: &[Members<'_>]) -> Result<Vec<String>, ArmError> {
    let most = usize::try_from(Sku::Premium.limits().ip_rules).unwrap_or(usize::MAX);
    if rules.len() > most {
        let text = format!("A registry has at most {most} rules for addresses; {} were given.", rules.len());
        return Err(ArmError::new(Code::MaximumQuotaExceeded, text).with_target(body.path("ipRules")));
    }
    let mut read: Vec<String> = Vec::with_capacity(rules.len());
    for rule in rules {
        rule.find_word::<Action>("action")?;
        let value = rule.required("value", rule.text("value")?)?.trim();
        if parse_network(value).is_none() {
            let text = format!(
                "'{}' is neither an IPv4 address such as 203.0.113.7 nor a network such as 203.0.113.0/24",
                shortened(value)
            );
            return Err(rule.invalid("value", text));
        }
        if !read.iter().any(|other| other == value) {
            read.push(value.to_owned());
        }
    }
    Ok(read)
}

/// An IPv4 address or network.
fn parse_network(text: &str) -> Option<Ipv4Net> {
    text.parse::<Ipv4Net>().ok().or_else(|| text.parse::<Ipv4Addr>().ok().map(Ipv4Net::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(rules: &mut NetworkRules, body: Value) -> Result<(), ArmError> {
        rules.merge(&Members::of(body.as_object().unwrap()))
    }

    #[test]
    fn rules_are_kept_as_written_and_count_as_networks() {
        let mut rules = NetworkRules::default();
        let body = json!({"defaultAction": "deny", "ipRules": [
            {"action": "Allow", "value": "203.0.113.7"}, {"value": "198.51.100.9/24"}, {"value": "203.0.113.7"},
        ]});
        merge(&mut rules, body).unwrap();
        assert_eq!(rules.ip_rules, ["203.0.113.7", "198.51.100.9/24"]);
        let networks: Vec<String> = rules.allowed_addresses().iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["203.0.113.7/32", "198.51.100.0/24"]);
        // Another member alone leaves the rules; a list replaces them.
        merge(&mut rules, json!({"defaultAction": "Allow"})).unwrap();
        assert_eq!(rules.ip_rules.len(), 2);
        merge(&mut rules, json!({"ipRules": []})).unwrap();
        assert!(rules.is_open());
    }

    #[test]
    fn what_is_no_ipv4_network_is_refused() {
        for bad in ["", "example.com", "2001:db8::1", "2001:db8::/32", "203.0.113.0/33", "203.0.113", "1.2.3.4-1.2.3.9"]
        {
            let error = merge(&mut NetworkRules::default(), json!({"ipRules": [{"value": bad}]})).unwrap_err();
            assert_eq!(error.target.as_deref(), Some("ipRules[0].value"), "{bad}");
        }
        let error = merge(&mut NetworkRules::default(), json!({"ipRules": [{"action": "Deny", "value": "1.2.3.4"}]}));
        assert_eq!(error.unwrap_err().target.as_deref(), Some("ipRules[0].action"));
        merge(&mut NetworkRules::default(), json!({"ipRules": [{"action": "Allow"}]})).unwrap_err();
    }

    #[test]
    fn there_are_200_rules_at_most_and_none_for_subnets() {
        let rules = |count: u8| (0..count).map(|n| json!({"value": format!("203.0.113.{n}")})).collect::<Vec<_>>();
        merge(&mut NetworkRules::default(), json!({"ipRules": rules(200)})).unwrap();
        let error = merge(&mut NetworkRules::default(), json!({"ipRules": rules(201)})).unwrap_err();
        assert_eq!(error.code, Code::MaximumQuotaExceeded);
        let subnets = json!({"virtualNetworkRules": [{"virtualNetworkSubnetResourceId": "/subscriptions/x"}]});
        assert!(merge(&mut NetworkRules::default(), subnets).unwrap_err().message.contains("no virtual networks"));
        merge(&mut NetworkRules::default(), json!({"virtualNetworkRules": []})).unwrap();
    }
}
