//! The export policy: whether artifacts may leave a registry for another one.
//!
//! Pulling is not leaving: a registry whose policy is off is reached over its private endpoint alone, and clients there pull
//! as always. What asks here is everything by which one registry takes from another by itself: import, and whatever else
//! will. Which settings go with the policy is for the management API to say.
//!
//! Source: `acr/semantics.md` 4.7.

use wharf_metadata::RegistryRow;
use wharf_model::RegistryName;

/// A registry lets nothing go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the registry {0} lets no artifacts go to other registries: its export policy is disabled; \
     enable 'properties.policies.exportPolicy.status' there, or import from another registry"
)]
pub struct ExportDisabled(pub RegistryName);

/// Whether artifacts may be taken from a registry into another one.
///
/// # Errors
/// When its export policy is disabled.
pub fn check_export(source: &RegistryRow) -> Result<(), ExportDisabled> {
    if source.settings.allows_export { Ok(()) } else { Err(ExportDisabled(source.name.clone())) }
}
