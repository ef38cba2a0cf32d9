//! The kinds that there are. A new one gets a file here and a line in [`all`].

pub(crate) mod cache_rules;
mod credential_sets;
mod locks;
mod purge_policies;
pub(crate) mod registries;
mod resource_groups;
pub(crate) mod scope_maps;
pub(crate) mod tokens;
mod user_assigned_identities;

use std::sync::Arc;

use crate::kind::Kind;

/// Every kind, a parent before its children.
pub(crate) fn all() -> Vec<Arc<dyn Kind>> {
    vec![
        Arc::new(resource_groups::ResourceGroups),
        Arc::new(locks::Locks),
        Arc::new(user_assigned_identities::UserAssignedIdentities),
        Arc::new(registries::Registries),
        Arc::new(scope_maps::ScopeMaps),
        Arc::new(tokens::Tokens),
        Arc::new(purge_policies::PurgePolicies),
        Arc::new(credential_sets::CredentialSets),
        Arc::new(cache_rules::CacheRules),
    ]
}
