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

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: fn(&mut Properties)) -> Properties {
        let mut properties = Properties::default();
        set(&mut properties);
        properties
    }

    fn deny(p: &mut Properties) {
        p.network_rules.ip_rules.push("203.0.113.7".to_owned());
    }

    #[test]
    fn the_defaults_fit_every_tier_and_everything_fits_premium() {
        for sku in [Sku::Basic, Sku::Standard, Sku::Premium] {
            let mut properties = Properties::default();
            fit(&mut properties, sku, None).unwrap();
            assert_eq!(properties, Properties::default());
        }
        let mut everything = with(|p| {
            deny(p);
            p.anonymous_pull_enabled = true;
            p.public_network_access = OnSwitch::Disabled;
            p.policies.export = OnStatus::Disabled;
            p.data_endpoint_enabled = true;
            p.endpoint_protocol = EndpointProtocol::Both;
        });
        fit(&mut everything, Sku::Premium, None).unwrap();
        check_together(&everything).unwrap();
    }

    #[test]
    fn what_a_tier_lacks_is_refused_with_its_name() {
        let error = fit(&mut with(|p| p.anonymous_pull_enabled = true), Sku::Basic, None).unwrap_err();
        assert_eq!(error.code, Code::BadRequest);
        insta::assert_snapshot!(error.message, @"Anonymous pull is not supported for the SKU Basic: 'properties.anonymousPullEnabled' needs the SKU Standard or Premium. For more information on SKU tiers, please visit https://aka.ms/acr/tiers.");
        fit(&mut with(|p| p.anonymous_pull_enabled = true), Sku::Standard, None).unwrap();
        for gate in GATES.iter().filter(|gate| gate.from == Sku::Premium) {
            let mut properties = match gate.path {
                "properties.publicNetworkAccess" => with(|p| p.public_network_access = OnSwitch::Disabled),
                "properties.networkRuleSet" => with(deny),
                "properties.policies.exportPolicy.status" => with(|p| p.policies.export = OnStatus::Disabled),
                "properties.policies.quarantinePolicy.status" => with(|p| p.policies.quarantine = Status::Enabled),
                "properties.policies.trustPolicy.status" => with(|p| p.policies.trust = Status::Enabled),
                "properties.policies.retentionPolicy.status" => with(|p| p.policies.retention.status = Status::Enabled),
                "properties.dataEndpointEnabled" => with(|p| p.data_endpoint_enabled = true),
                "properties.regionalEndpoints" => with(|p| p.regional_endpoints = Switch::Enabled),
                "properties.endpointProtocol" => with(|p| p.endpoint_protocol = EndpointProtocol::Both),
                other => panic!("{other} is not tried here"),
            };
            for sku in [Sku::Basic, Sku::Standard] {
                let error = fit(&mut properties, sku, None).unwrap_err();
                assert_eq!((error.code, error.target.as_deref()), (gate.code, Some(gate.path)));
                assert!(error.message.contains(sku.as_str()) && error.message.contains("Premium"), "{}", error.message);
                // Not only when it is created: also when the tier was small before.
                fit(&mut properties.clone(), sku, Some((&Properties::default(), sku))).unwrap_err();
            }
            fit(&mut properties, Sku::Premium, None).unwrap();
        }
    }

    #[test]
    fn going_down_switches_off_what_keeps_nobody_out() {
        let old = with(|p| {
            p.anonymous_pull_enabled = true;
            p.policies.retention.status = Status::Enabled;
            p.policies.retention.days = 30;
            p.data_endpoint_enabled = true;
            p.endpoint_protocol = EndpointProtocol::Both;
        });
        let mut new = old.clone();
        fit(&mut new, Sku::Standard, Some((&old, Sku::Premium))).unwrap();
        assert!(new.anonymous_pull_enabled && !new.data_endpoint_enabled);
        assert_eq!((new.policies.retention.status, new.policies.retention.days), (Status::Disabled, 30));
        check_together(&new).unwrap();
        let standard = new.clone();
        fit(&mut new, Sku::Basic, Some((&standard, Sku::Standard))).unwrap();
        assert!(!new.anonymous_pull_enabled);
    }

    #[test]
    fn going_down_never_lets_in_who_was_kept_out() {
        let old = with(deny);
        let error = fit(&mut old.clone(), Sku::Standard, Some((&old, Sku::Premium))).unwrap_err();
        assert!(error.message.contains("would let in what is kept out now"), "{}", error.message);
        // Together with the change, it is what the caller wants.
        fit(&mut Properties::default(), Sku::Standard, Some((&old, Sku::Premium))).unwrap();
    }

    #[test]
    fn every_tier_has_soft_delete_and_export_may_always_be_enabled() {
        for sku in [Sku::Basic, Sku::Standard, Sku::Premium] {
            let mut properties = with(|p| p.policies.soft_delete.status = Status::Enabled);
            fit(&mut properties, sku, None).unwrap();
            assert_eq!(properties.policies.soft_delete.status, Status::Enabled);
        }
        let closed = with(|p| {
            p.policies.export = OnStatus::Disabled;
            p.public_network_access = OnSwitch::Disabled;
        });
        for public in [OnSwitch::Disabled, OnSwitch::Enabled] {
            let mut opened = closed.clone();
            opened.policies.export = OnStatus::Enabled;
            opened.public_network_access = public;
            fit(&mut opened, Sku::Premium, Some((&closed, Sku::Premium))).unwrap();
            check_together(&opened).unwrap();
        }
        let mut public = closed.clone();
        public.public_network_access = OnSwitch::Enabled;
        check_together(&public).unwrap_err();
    }

    #[test]
    fn members_that_do_not_go_together_are_refused() {
        let error = check_together(&with(|p| p.policies.export = OnStatus::Disabled)).unwrap_err();
        assert!(error.message.contains("publicNetworkAccess"));
        let error = check_together(&with(|p| p.endpoint_protocol = EndpointProtocol::Both)).unwrap_err();
        assert!(error.message.contains("dataEndpointEnabled"));
    }
}
