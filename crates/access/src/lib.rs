//! Who may do what: roles, conditions, scope maps, and the rights that come of them. No I/O.

mod system_scope_maps;

pub use system_scope_maps::{SYSTEM_SCOPE_MAPS, SystemScopeMap, find_system_scope_map};
