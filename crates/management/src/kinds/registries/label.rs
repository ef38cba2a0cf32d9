//! The label in a registry's host, `<name>-<label>.<domain>`, for scopes other than `Unsecure`.
//!
//! It keeps somebody else from getting the host of a registry that was deleted: within its scope the same name has the
//! same label again, elsewhere another. In ACR several registries may share a name then; here a name stays unique.
//!
//! Source: `acr/semantics.md` 18.

use uuid::Uuid;
use wharf_model::{Algorithm, Digest, RegistryName, ResourceId};

use super::properties::LabelScope;

/// The label of the registry `name` in `group`; `None` without one.
pub(crate) fn label(scope: LabelScope, name: &RegistryName, tenant: Uuid, group: &ResourceId) -> Option<String> {
    let subscription = group.subscription_id().unwrap_or_default().to_ascii_lowercase();
    let within = match scope {
        LabelScope::Unsecure => return None,
        LabelScope::Tenant => format!("tenant/{tenant}"),
        LabelScope::Subscription => format!("subscription/{tenant}/{subscription}"),
        LabelScope::ResourceGroup => format!("group/{tenant}{}", group.key()),
        LabelScope::Never => format!("never/{}", Uuid::new_v4()),
    };
    let hash = Digest::of(Algorithm::Sha256, format!("{name}/{within}").as_bytes());
    Some(hash.hex()[..LENGTH].to_owned())
}

/// How long labels are: 64 bits.
const LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_same_within_its_scope_and_no_further() {
        let tenant = Uuid::from_u128(1);
        let (name, other): (RegistryName, RegistryName) = ("contoso".parse().unwrap(), "fabrikam".parse().unwrap());
        let subscription = ResourceId::of_subscription(Uuid::from_u128(2));
        let (one, two) = (
            subscription.child("resourceGroups", "One").unwrap(),
            subscription.child("resourceGroups", "two").unwrap(),
        );
        let label = |scope, name, group| label(scope, name, tenant, group);
        assert_eq!(label(LabelScope::Unsecure, &name, &one), None);
        let within = label(LabelScope::Subscription, &name, &one).unwrap();
        assert_eq!(label(LabelScope::Subscription, &name, &two).unwrap(), within);
        assert_ne!(label(LabelScope::Subscription, &other, &one).unwrap(), within);
        let group = label(LabelScope::ResourceGroup, &name, &one).unwrap();
        assert_ne!(label(LabelScope::ResourceGroup, &name, &two).unwrap(), group);
        let lower = subscription.child("resourceGroups", "one").unwrap();
        assert_eq!(label(LabelScope::ResourceGroup, &name, &lower).unwrap(), group);
        assert_ne!(label(LabelScope::Never, &name, &one), label(LabelScope::Never, &name, &one));
    }

    #[test]
    fn labels_are_labels_of_hosts() {
        for scope in [LabelScope::Tenant, LabelScope::Never] {
            let name = "contoso".parse().unwrap();
            let label = label(scope, &name, Uuid::from_u128(1), &ResourceId::root()).unwrap();
            assert_eq!(label.len(), 16);
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{label}");
        }
    }
}
