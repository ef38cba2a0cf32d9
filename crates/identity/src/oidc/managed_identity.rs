//! Endpoints at which programs get tokens of a principal without holding a secret that signs in anywhere else.
//!
//! | kind | who is let in |
//! | --- | --- |
//! | header | whoever sends the value, made here and shown once (as Azure App Service does) |
//! | addresses | whoever calls from a range of addresses (as the metadata service of virtual machines does) |
//!
//! There is neither until the operator makes one.

use std::net::IpAddr;

use ipnet::IpNet;
use secrecy::SecretString;
use uuid::Uuid;
use wharf_metadata::directory::principals;
use wharf_metadata::federation::{self, EndpointCaller, EndpointRow};
use wharf_model::{PrincipalId, PrincipalKind, ResourceId, Timestamp};

use crate::Error;
use crate::directory::SignedIn;
use crate::federation::FederationError;
use crate::identity::Identity;

/// An endpoint, for showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityEndpoint {
    /// Its id.
    pub id: Uuid,
    /// Whose tokens it hands out.
    pub principal: PrincipalId,
    /// The addresses that it hands them out to; `None` for whoever has the header's value.
    pub addresses: Option<IpNet>,
    /// What the operator wrote about it.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Which of several identities a program asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WantedIdentity {
    /// Whichever there is.
    #[default]
    Any,
    /// The one with this application (client) id.
    ClientId(Uuid),
    /// The one with this object id.
    ObjectId(PrincipalId),
    /// The one of this resource.
    Resource(ResourceId),
}

/// Why a program gets no token.
#[derive(Debug, thiserror::Error)]
pub enum ManagedIdentityError {
    /// Nothing is handed out to whoever asks.
    #[error("the caller is not known")]
    UnknownCaller,
    /// None of the identities that it could have is the one that was asked for.
    #[error("the identity that was asked for is not assigned to the caller")]
    NotAssigned,
    /// It must say which identity it wants.
    #[error("several identities are assigned to the caller, and none was named")]
    Ambiguous,
    /// A failure on our side.
    #[error("the identity could not be found out")]
    Unavailable(#[from] Error),
}

impl Identity {
    /// Makes an endpoint for whoever sends a header, and returns the header's value: the one time that it is shown.
    ///
    /// # Errors
    /// When there is no such principal, or it is a person's.
    pub async fn add_identity_header(
        &self,
        principal: PrincipalId,
        description: Option<String>,
    ) -> Result<(IdentityEndpoint, SecretString), FederationError> {
        let value = self.new_secret("");
        let mac = self.mac_of(MAC_CONTEXT, &value);
        let endpoint = self.add_endpoint(principal, EndpointCaller::Header(mac), description).await?;
        Ok((endpoint, value.into()))
    }

    /// Makes an endpoint for whoever calls from a range of addresses.
    ///
    /// # Errors
    /// When there is no such principal, or it is a person's.
    pub async fn add_identity_addresses(
        &self,
        principal: PrincipalId,
        addresses: IpNet,
        description: Option<String>,
    ) -> Result<IdentityEndpoint, FederationError> {
        self.add_endpoint(principal, EndpointCaller::Addresses(addresses.to_string()), description).await
    }

    async fn add_endpoint(
        &self,
        principal: PrincipalId,
        caller: EndpointCaller,
        description: Option<String>,
    ) -> Result<IdentityEndpoint, FederationError> {
        if description.as_deref().is_some_and(|text| text.len() > 500 || text.chars().any(char::is_control)) {
            let reason = "must have 500 printable characters at most".to_owned();
            return Err(FederationError::Invalid { what: "description", reason });
        }
        let created_at = self.parts().clock.now();
        let row = EndpointRow { id: self.token_id(), principal, caller, description, created_at };
        let shown = shown(&row);
        let insert = self.parts().database.write_access(move |c| {
            Box::pin(async move {
                match principals::find(c, row.principal).await?.map(|found| found.kind) {
                    Some(PrincipalKind::ServicePrincipal | PrincipalKind::ManagedIdentity) => {}
                    Some(PrincipalKind::User | PrincipalKind::Group) => {
                        let reason =
                            "is a person or a group; programs act as service principals and managed identities";
                        return Err(FederationError::Invalid { what: "principal", reason: reason.to_owned() });
                    }
                    None => {
                        let name = row.principal.to_string();
                        return Err(FederationError::NotFound { what: "principal", name });
                    }
                }
                Ok(federation::insert_endpoint(c, &row).await?)
            })
        });
        insert.await?;
        Ok(shown)
    }

    /// All endpoints, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_identity_endpoints(&self) -> Result<Vec<IdentityEndpoint>, Error> {
        let list = self.parts().database.read(|c| Box::pin(async move { federation::list_endpoints(c, false).await }));
        Ok(list.await?.iter().map(shown).collect())
    }

    /// Removes an endpoint, and ends the tokens of its principal.
    ///
    /// # Errors
    /// When there is no such endpoint.
    pub async fn remove_identity_endpoint(&self, id: Uuid) -> Result<(), FederationError> {
        let remove = self.parts().database.write_access(move |c| {
            Box::pin(async move {
                match federation::delete_endpoint(c, id).await? {
                    Some(principal) => Ok(principals::increment_generation(c, principal).await?),
                    None => Err(FederationError::NotFound { what: "endpoint", name: id.to_string() }),
                }
            })
        });
        remove.await
    }

    /// The identity of whoever sends this header's value.
    ///
    /// # Errors
    /// When there is none, or it is not the one that was asked for.
    pub async fn identity_by_header(
        &self,
        value: &str,
        wanted: &WantedIdentity,
    ) -> Result<SignedIn, ManagedIdentityError> {
        let mac = self.mac_of(MAC_CONTEXT, value);
        let find = self
            .parts()
            .database
            .read(move |c| Box::pin(async move { federation::find_endpoint(c, &mac).await.map_err(Error::from) }));
        let row = find.await?.ok_or(ManagedIdentityError::UnknownCaller)?;
        self.choose(&[row.principal], wanted).await
    }

    /// The identity of whoever calls from this address.
    ///
    /// # Errors
    /// When there is none, or several and none was named.
    pub async fn identity_by_address(
        &self,
        address: IpAddr,
        wanted: &WantedIdentity,
    ) -> Result<SignedIn, ManagedIdentityError> {
        let list = self
            .parts()
            .database
            .read(|c| Box::pin(async move { federation::list_endpoints(c, true).await.map_err(Error::from) }));
        let address = address.to_canonical();
        let rows = list.await?;
        let here = rows.iter().filter(|row| match &row.caller {
            EndpointCaller::Addresses(range) => range.parse::<IpNet>().is_ok_and(|range| range.contains(&address)),
            EndpointCaller::Header(_) => false,
        });
        let mut principals: Vec<PrincipalId> = here.map(|row| row.principal).collect();
        principals.sort_unstable();
        principals.dedup();
        if principals.is_empty() {
            return Err(ManagedIdentityError::UnknownCaller);
        }
        self.choose(&principals, wanted).await
    }

    async fn choose(
        &self,
        assigned: &[PrincipalId],
        wanted: &WantedIdentity,
    ) -> Result<SignedIn, ManagedIdentityError> {
        let chosen = match wanted {
            WantedIdentity::Any => match assigned {
                [only] => Some(*only),
                _ => return Err(ManagedIdentityError::Ambiguous),
            },
            WantedIdentity::ClientId(id) => self.find_principal_by_app(*id).await?.map(|found| found.id),
            WantedIdentity::ObjectId(id) => Some(*id),
            WantedIdentity::Resource(id) => self.find_principal_by_resource(id).await?.map(|found| found.id),
        };
        let chosen = chosen.filter(|id| assigned.contains(id)).ok_or(ManagedIdentityError::NotAssigned)?;
        self.find_signed_in(chosen).await?.ok_or(ManagedIdentityError::NotAssigned)
    }
}

fn shown(row: &EndpointRow) -> IdentityEndpoint {
    IdentityEndpoint {
        id: row.id,
        principal: row.principal,
        addresses: match &row.caller {
            EndpointCaller::Addresses(range) => range.parse().ok(),
            EndpointCaller::Header(_) => None,
        },
        description: row.description.clone(),
        created_at: row.created_at,
    }
}

const MAC_CONTEXT: &str = "identity-header";
