//! Who may do what: roles, conditions, scope maps, and the rights that come of them. No I/O.

mod built_in;
mod operation;
mod role;
mod system_scope_maps;

pub use operation::covers;
pub use role::{Permission, RoleDefinition, Side, built_in_roles, find_built_in_role};
pub use system_scope_maps::{SYSTEM_SCOPE_MAPS, SystemScopeMap, find_system_scope_map};
