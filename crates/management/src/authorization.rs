//! Who has access: role assignments and role definitions, at every scope, and what one may know of one's own rights.
//!
//! ```text
//! {scope}/providers/Microsoft.Authorization/roleAssignments[/{guid}]        GET, PUT, DELETE
//! {scope}/providers/Microsoft.Authorization/roleDefinitions[/{guid}]        GET, PUT, DELETE
//! {scope}/providers/Microsoft.Authorization/permissions                     GET: the caller's own
//! {scope}/providers/Microsoft.Authorization/denyAssignments[/{guid}]        GET: there are none
//! {scope}/providers/Microsoft.Authorization/classicAdministrators           GET: there are none
//! ```
//!
//! Every change is written with a new version of who may do what, so it counts at once, for tokens too that were issued
//! before. Who may make one is decided by `wharf_access`, with the conditions that limit the handing out of access.
//!
//! Source: `acr/control-plane.md` 5; Azure's description of the REST API of Microsoft.Authorization.

mod assignment;
mod assignments;
mod definition;
mod definitions;
mod filter;
mod permissions;
mod scope;

use async_trait::async_trait;
use http::Method;
use wharf_arm::versions;

use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::service::{Call, Endpoint, Service, ServiceType};

/// The types of Microsoft.Authorization that are no resources of the common table.
#[derive(Debug)]
pub(crate) struct Authorization;

#[async_trait]
impl Service for Authorization {
    fn namespace(&self) -> &'static str {
        "Microsoft.Authorization"
    }

    fn types(&self) -> &'static [ServiceType] {
        &TYPES
    }

    async fn serve(&self, cx: &Cx, call: Call) -> Result<Answer, Failure> {
        let is_read = call.method == Method::GET || call.method == Method::HEAD;
        match (call.word, call.rest().as_slice()) {
            (ROLE_ASSIGNMENTS, []) if is_read => assignments::list(cx, &call).await,
            (ROLE_ASSIGNMENTS, [name]) if is_read => assignments::get(cx, &call, name).await,
            (ROLE_ASSIGNMENTS, [name]) if call.method == Method::PUT => assignments::put(cx, &call, name).await,
            (ROLE_ASSIGNMENTS, [name]) if call.method == Method::DELETE => assignments::delete(cx, &call, name).await,
            (ROLE_DEFINITIONS, []) if is_read => definitions::list(cx, &call).await,
            (ROLE_DEFINITIONS, [name]) if is_read => definitions::get(cx, &call, name).await,
            (ROLE_DEFINITIONS, [name]) if call.method == Method::PUT => definitions::put(cx, &call, name).await,
            (ROLE_DEFINITIONS, [name]) if call.method == Method::DELETE => definitions::delete(cx, &call, name).await,
            (PERMISSIONS, []) if is_read => permissions::list(cx, &call).await,
            (DENY_ASSIGNMENTS, []) if is_read => permissions::list_nothing(cx, &call).await,
            (DENY_ASSIGNMENTS, [name]) if is_read => permissions::get_deny_assignment(cx, &call, name).await,
            (CLASSIC_ADMINISTRATORS, []) if is_read => permissions::list_nothing(cx, &call).await,
            _ => Err(call.unsupported()),
        }
    }
}

pub(crate) const ROLE_ASSIGNMENTS: &str = "roleAssignments";
pub(crate) const ROLE_DEFINITIONS: &str = "roleDefinitions";
const PERMISSIONS: &str = "permissions";
const DENY_ASSIGNMENTS: &str = "denyAssignments";
const CLASSIC_ADMINISTRATORS: &str = "classicAdministrators";

static TYPES: [ServiceType; 5] = [
    ServiceType {
        word: ROLE_ASSIGNMENTS,
        versions: versions::AUTHORIZATION,
        endpoints: &[
            endpoint(Method::GET, "", "Lists who has which role here, above and below"),
            endpoint(Method::GET, "/{name}", "Shows a role assignment"),
            endpoint(
                Method::PUT,
                "/{name}",
                "Gives a role to a user, a group, a service principal or a managed identity",
            ),
            endpoint(Method::DELETE, "/{name}", "Takes a role away"),
        ],
    },
    ServiceType {
        word: ROLE_DEFINITIONS,
        versions: versions::AUTHORIZATION,
        endpoints: &[
            endpoint(Method::GET, "", "Lists the roles that can be assigned here"),
            endpoint(Method::GET, "/{name}", "Shows a role"),
            endpoint(Method::PUT, "/{name}", "Creates or changes a custom role"),
            endpoint(Method::DELETE, "/{name}", "Deletes a custom role"),
        ],
    },
    ServiceType {
        word: PERMISSIONS,
        versions: versions::AUTHORIZATION,
        endpoints: &[endpoint(Method::GET, "", "Lists what the caller may do here")],
    },
    ServiceType {
        word: DENY_ASSIGNMENTS,
        versions: versions::AUTHORIZATION,
        endpoints: &[
            endpoint(Method::GET, "", "Lists deny assignments, of which there are none"),
            endpoint(Method::GET, "/{name}", "Shows a deny assignment, of which there are none"),
        ],
    },
    ServiceType {
        word: CLASSIC_ADMINISTRATORS,
        versions: versions::AUTHORIZATION,
        endpoints: &[endpoint(Method::GET, "", "Lists classic administrators, of which there are none")],
    },
];

const fn endpoint(method: Method, path: &'static str, summary: &'static str) -> Endpoint {
    Endpoint { method, path, summary }
}
