//! Subjects as they stand in a registry at this moment: found by what a token claims, or by a password.

use std::sync::Arc;

use uuid::Uuid;
use wharf_access::{Environment, Rights};
use wharf_metadata::RegistryRow;
use wharf_model::Client;

use crate::caller::{Caller, Proof, SharedCaller, Subject};
use crate::directory::SignedIn;
use crate::held_roles::mode_of;
use crate::identity::Identity;
use crate::passwords::PASSWORD_LENGTH;
use crate::token::SubjectClaim;
use crate::{AuthError, Error, Principal};

impl Identity {
    /// Whom a claim stands for, with the rights that they have now; `None` if they are not let in (any more).
    ///
    /// `version` is that of who may do what, asked for before; it matters to those who are looked up.
    pub(crate) async fn find_caller(
        &self,
        registry: &RegistryRow,
        claim: &SubjectClaim,
        proof: Proof,
        version: i64,
    ) -> Result<Option<Caller>, Error> {
        match *claim {
            SubjectClaim::Anonymous => Ok(Caller::of_row(registry, Subject::Anonymous, proof)),
            SubjectClaim::Admin { generation } => {
                let subject = Subject::Admin { name: registry.name.clone(), generation };
                Ok(Caller::of_row(registry, subject, proof))
            }
            SubjectClaim::Principal { id, generation, mode } => {
                // What was issued while roles counted for something else is void, whatever roles there are now.
                if mode != mode_of(registry) {
                    return Ok(None);
                }
                let Some(standing) = self.find_signed_in(id).await? else { return Ok(None) };
                // A node that has not heard of the newest change yet may meet a token of a newer generation.
                if generation < standing.generation {
                    return Ok(None);
                }
                let signed_in = SignedIn { principal: standing.principal, generation };
                Ok(self.principal_caller(registry, signed_in, proof, version).await?)
            }
            SubjectClaim::Token { id, generation } => {
                let now = self.parts().clock.now();
                let Some(token) = self.find_registry_token(registry, id).await? else { return Ok(None) };
                let Some(password) = token.password(generation, now) else { return Ok(None) };
                let subject = Subject::Token { id, name: token.name.clone(), generation, expires: password.expires };
                Ok(Some(Caller::new(registry.uid, subject, token.rights.clone(), proof)))
            }
        }
    }

    /// A principal that signed in. `None` if there is nothing that it may do with the registry.
    pub(crate) async fn principal_caller(
        &self,
        registry: &RegistryRow,
        signed_in: SignedIn,
        proof: Proof,
        version: i64,
    ) -> Result<Option<Caller>, Error> {
        let SignedIn { principal, generation } = signed_in;
        let rights = self.rights_in(principal.id, registry, version).await?;
        if !self.is_let_in(&principal, &rights, registry).await? {
            return Ok(None);
        }
        let name = match principal.app_id {
            Some(id) => id.to_string().into(),
            None => principal.name.as_str().into(),
        };
        let subject = Subject::Principal { principal, name, generation, mode: mode_of(registry) };
        Ok(Some(Caller::new(registry.uid, subject, rights, proof)))
    }

    /// Whoever has rights in the registry, or may at least know that it exists. The latter may do nothing, but is told so
    /// when they try, and not that they are nobody.
    async fn is_let_in(&self, principal: &Principal, rights: &Rights, registry: &RegistryRow) -> Result<bool, Error> {
        Ok(!rights.is_nothing() || self.may_act(principal, READ_REGISTRY, &registry.resource_id).await?)
    }

    /// Signs in with a name and a password: the admin user, an application, or a token of the registry.
    pub(crate) async fn sign_in(
        &self,
        registry: &RegistryRow,
        username: &str,
        password: &str,
        client: Option<Client>,
    ) -> Result<SharedCaller, AuthError> {
        if username.eq_ignore_ascii_case(registry.name.as_str()) {
            return self.sign_in_admin(registry, username, password, client);
        }
        if let Ok(app_id) = Uuid::try_parse(username) {
            // Before anything is read that the rights are worked out from.
            let version = self.parts().database.access_version().await.map_err(Error::from)?;
            let signed_in = self.check_client_secret(app_id, password, client).await?;
            let caller = self.principal_caller(registry, signed_in, Proof::Password, version).await?;
            return caller.map(Arc::new).ok_or(AuthError::BadCredentials);
        }
        let (token, generation) = self.check_registry_token(registry, username, password, client).await?;
        let now = self.parts().clock.now();
        let Some(live) = token.password(generation, now) else { return Err(AuthError::BadCredentials) };
        let subject = Subject::Token { id: token.id, name: token.name.clone(), generation, expires: live.expires };
        Ok(Arc::new(Caller::new(registry.uid, subject, token.rights.clone(), Proof::Password)))
    }

    /// A right password that is as long as those that are generated is let in whatever others have tried, since nobody
    /// can have guessed it. A shorter one was chosen, and whoever guesses at it must wait.
    fn sign_in_admin(
        &self,
        registry: &RegistryRow,
        username: &str,
        password: &str,
        client: Option<Client>,
    ) -> Result<SharedCaller, AuthError> {
        let checked = self.parts().passwords.check(registry, username, password);
        if checked.is_ok() && password.len() >= PASSWORD_LENGTH {
            return checked;
        }
        let account = format!("registry/{}/admin", registry.uid);
        self.throttle().check(&account, client)?;
        match checked {
            Ok(_) => self.throttle().succeeded(&account, client),
            Err(AuthError::BadCredentials) => self.throttle().failed(&account, client),
            Err(_) => {}
        }
        checked
    }

    /// What conditions may ask of a request from this client.
    pub(crate) fn environment_of(&self, client: Option<Client>) -> Environment {
        Environment { now: self.parts().clock.now(), is_private: client.is_some_and(|client| client.is_private) }
    }
}

/// What everybody may do who may know that a registry exists.
const READ_REGISTRY: &str = "Microsoft.ContainerRegistry/registries/read";
