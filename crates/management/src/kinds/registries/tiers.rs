//! What a tier has and the smaller ones lack.
//!
//! A member that the tier lacks is refused when it is set. When a registry moves to a smaller tier, what it leaves
//! behind is switched off, as in ACR, unless switching it off would let more people in: then the move is refused, and the
//! error says what to change first.
//!
//! Source: `acr/semantics.md` 1 ("Tier changes"), 4 and 5.

use wharf_arm::{ArmError, Code};

use super::policies::{OnStatus, Status};
use super::properties::{EndpointProtocol, OnSwitch, Properties, Switch};
use super::sku::Sku;

/// A member that only some tiers have.
struct Gate {
    /// Its path.
    path: &'static str,
    /// What it is, as the subject of a sentence.
    what: &'static str,
    /// The smallest tier that has it.
    from: Sku,
    code: Code,
    is_used: fn(&Properties) -> bool,
    /// Switches it off where that lets nobody in who was kept out.
    switch_off: Option<fn(&mut Properties)>,
}

const GATES: &[Gate] = &[
    Gate {
        path: "properties.anonymousPullEnabled",
        what: "Anonymous pull",
        from: Sku::Standard,
        code: Code::BadRequest,
        is_used: |p| p.anonymous_pull_enabled,
        switch_off: Some(|p| p.anonymous_pull_enabled = false),
    },
    Gate {
        path: "properties.publicNetworkAccess",
        what: "Disabling public network access",
        from: Sku::Premium,
        code: Code::DisablingPublicNetworkAccessNotSupported,
        is_used: |p| p.public_network_access == OnSwitch::Disabled,
        switch_off: None,
    },
    Gate {
        path: "properties.networkRuleSet",
        what: "Restricting addresses",
        from: Sku::Premium,
        code: Code::SkuNotSupported,
        is_used: |p| !p.network_rules.is_open(),
        switch_off: None,
    },
    Gate {
        path: "properties.policies.exportPolicy.status",
        what: "Disabling the export policy",
        from: Sku::Premium,
        code: Code::SkuNotSupported,
        is_used: |p| p.policies.export == OnStatus::Disabled,
        switch_off: None,
    },
    Gate {
        path: "properties.policies.quarantinePolicy.status",
        what: "The quarantine policy",
        from: Sku::Premium,
        code: Code::SkuNotSupported,
        is_used: |p| p.policies.quarantine == Status::Enabled,
        switch_off: None,
    },
    Gate {
        path: "properties.policies.trustPolicy.status",
        what: "Content trust",
        from: Sku::Premium,
        code: Code::SkuNotSupported,
        is_used: |p| p.policies.trust == Status::Enabled,
        switch_off: Some(|p| p.policies.trust = Status::Disabled),
    },
    Gate {
        path: "properties.policies.retentionPolicy.status",
        what: "The retention policy",
        from: Sku::Premium,
        code: Code::SkuNotSupported,
        is_used: |p| p.policies.retention.status == Status::Enabled,
        switch_off: Some(|p| p.policies.retention.status = Status::Disabled),
    },
    Gate {
        path: "properties.dataEndpointEnabled",
        what: "A dedicated data endpoint",
        from: Sku::Premium,
        code: Code::SkuNotSupported,
        is_used: |p| p.data_endpoint_enabled,
        switch_off: Some(|p| p.data_endpoint_enabled = false),
    },
    Gate {
        path: "properties.regionalEndpoints",
        what: "A regional endpoint",
        from: Sku::Premium,
        code: Code::SkuNotSupported,
        is_used: |p| p.regional_endpoints == Switch::Enabled,
        switch_off: Some(|p| p.regional_endpoints = Switch::Disabled),
    },
    Gate {
        path: "properties.endpointProtocol",
        what: "The endpoint protocol IPv4AndIPv6",
        from: Sku::Premium,
        code: Code::SkuNotSupported,
        is_used: |p| p.endpoint_protocol == EndpointProtocol::Both,
        switch_off: Some(|p| p.endpoint_protocol = EndpointProtocol::Ipv4),
    },
];

/// Holds `new` to the tier `sku`; `old` is the registry before, with its tier.
///
/// # Errors
/// When `new` has what the tier lacks and that cannot be switched off in silence.
pub(crate) fn fit(new: &mut Properties, sku: Sku, old: Option<(&Properties, Sku)>) -> Result<(), ArmError> {
    for gate in GATES.iter().filter(|gate| sku < gate.from) {
        if !(gate.is_used)(new) {
            continue;
        }
        let leftover = old.filter(|(old, was)| *was >= gate.from && (gate.is_used)(old));
        let what = gate.what;
        let tiers = if gate.from == Sku::Standard { "Standard or Premium" } else { "Premium" };
        let text = match (leftover, gate.switch_off) {
            (Some(_), Some(switch_off)) => {
                switch_off(new);
                continue;
            }
            (Some(_), None) => format!(
                "{what} is not supported for the SKU {sku}, and giving it up would let in what is kept out now. Set \
                 '{path}' back to its default before or together with the change of the SKU.",
                path = gate.path,
                sku = sku.as_str(),
            ),
            (None, _) => format!(
                "{what} is not supported for the SKU {}: '{}' needs the SKU {tiers}. For more information on SKU tiers, \
                 please visit https://aka.ms/acr/tiers.",
                sku.as_str(),
                gate.path
            ),
        };
        return Err(ArmError::new(gate.code, text).with_target(gate.path));
    }
    Ok(())
}

/// Holds `new` to the rules between members.
///
/// # Errors
/// When two members do not go together.
pub(crate) fn check_together(new: &Properties) -> Result<(), ArmError> {
    if new.policies.export == OnStatus::Disabled && new.public_network_access == OnSwitch::Enabled {
        let text = "The export policy can be disabled only while public network access is disabled. Set \
                    'properties.publicNetworkAccess' to Disabled, or 'properties.policies.exportPolicy.status' to enabled.";
        return Err(ArmError::new(Code::BadRequest, text).with_target("properties.policies.exportPolicy.status"));
    }
    if new.endpoint_protocol == EndpointProtocol::Both && !new.data_endpoint_enabled {
        let text = "The endpoint protocol IPv4AndIPv6 needs a dedicated data endpoint. Set \
                    'properties.dataEndpointEnabled' to true, or 'properties.endpointProtocol' to IPv4.";
        return Err(ArmError::new(Code::BadRequest, text).with_target("properties.endpointProtocol"));
    }
    Ok(())
}
