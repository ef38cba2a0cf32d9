//! Who may do what: roles, conditions, scope maps, and the rights that come of them. No I/O.
//!
//! ```text
//! role definitions ─┐
//! conditions ───────┴─► Assignment ──► may_act(operation)                      management plane
//!                            └───────► Rights ──► allow(action, kind, name)    data plane
//! scope map actions ─────────────────────┘
//! ```
//!
//! Everything that is decided anywhere in Wharf about who may do what is decided by a function of this crate. What
//! somebody's roles are, and whether they are who they say, is for `identity` to find out.

mod ability;
mod built_in;
mod condition;
mod operation;
mod rights;
mod role;
mod scope_map;
mod system_scope_maps;

pub use ability::{Ability, Mode};
pub use condition::{AssignmentAttributes, Attributes, Condition, ConditionError, Environment, Verdict};
pub use operation::covers;
pub use rights::{Assignment, Rights, may_act, may_act_unconditionally, may_assign};
pub use role::{OWNER, Permission, RoleDefinition, Side, built_in_roles, find_built_in_role};
pub use scope_map::{GatewayVerb, ParseScopeMapActionError, RepositoryPattern, RepositoryVerb, ScopeMapAction};
pub use system_scope_maps::{SYSTEM_SCOPE_MAPS, SystemScopeMap, find_system_scope_map};
