//! Clients: programs that people sign in with, or that sign in themselves.

use std::sync::Arc;

use uuid::Uuid;
use wharf_identity::directory::ClientApplication;
use wharf_identity::{Error, Identity};

/// Programs of Microsoft's that everybody has, and that nobody registers: they hold no secrets, and listen on the machine
/// that they run on.
const WELL_KNOWN: [(Uuid, &str); 4] = [
    (Uuid::from_u128(0x04b0_7795_8ddb_461a_bbee_02f9_e1bf_7b46), "Azure CLI"),
    (Uuid::from_u128(0x1950_a258_227b_4e31_a9cf_7174_9594_5fc2), "Azure PowerShell"),
    (Uuid::from_u128(0xaebc_6443_996d_45c2_90f0_388f_f96f_aa56), "Visual Studio Code"),
    (Uuid::from_u128(0x872c_d9fa_d31f_45e0_9eab_6e46_0a02_d1f1), "Visual Studio"),
];

/// A client that people may sign in with.
#[derive(Clone, Debug)]
pub(crate) enum SignInClient {
    /// One of those that everybody has.
    WellKnown(&'static str),
    /// One that was registered here.
    Registered(Arc<ClientApplication>),
}

impl SignInClient {
    /// Finds a client by its id.
    pub(crate) async fn find(identity: &Identity, client_id: &str) -> Result<Option<Self>, Error> {
        let Ok(id) = client_id.parse::<Uuid>() else { return Ok(None) };
        if let Some((_, name)) = WELL_KNOWN.iter().find(|(known, _)| *known == id) {
            return Ok(Some(Self::WellKnown(name)));
        }
        Ok(identity.find_application(id).await?.map(Self::Registered))
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::WellKnown(name) => name,
            Self::Registered(application) => &application.display_name,
        }
    }

    /// Whether people are asked before it gets anything of theirs, each time and for one resource. Whoever may register an
    /// application anywhere chooses its name and where browsers are sent with its codes.
    pub(crate) fn needs_approval(&self) -> bool {
        matches!(self, Self::Registered(_))
    }

    /// Whether it may have tokens of people for this audience: what another program takes for its own, it could be shown
    /// by a program that people have let in for something else.
    pub(crate) async fn may_reach(&self, identity: &Identity, audience: &str) -> Result<bool, Error> {
        let Self::Registered(application) = self else { return Ok(true) };
        let bare = audience.trim_start_matches("api://").trim_start_matches("spn:");
        let Ok(id) = bare.split('/').next().unwrap_or_default().parse::<Uuid>() else { return Ok(true) };
        let is_program = WELL_KNOWN.iter().any(|(known, _)| *known == id)
            || id != application.app_id && identity.find_application(id).await?.is_some();
        Ok(!is_program)
    }

    /// Whether it may sign people in without proving itself where no address tells what it is.
    pub(crate) fn is_public(&self) -> bool {
        match self {
            Self::WellKnown(_) => true,
            Self::Registered(application) => application.is_public_client,
        }
    }

    /// Whether it may use a refresh token without proving itself.
    pub(crate) fn refreshes_without_proof(&self) -> bool {
        match self {
            Self::WellKnown(_) => true,
            Self::Registered(application) => {
                application.is_public_client || !application.public_redirect_uris.is_empty()
            }
        }
    }
}
