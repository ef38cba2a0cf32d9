//! What the operator does: adds and removes issuers and rules.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;
use wharf_egress::Egress;
use wharf_metadata::Connection;
use wharf_metadata::directory::principals;
use wharf_metadata::federation::{self, IssuerRow, IssuerSettings, RuleRow, StandsForRow};
use wharf_model::{PrincipalId, PrincipalKind, Timestamp};

use super::discovery::{DiscoveryError, IssuerState, read_keys, trusted_url};
use super::trust::secret_context;
use crate::Error;
use crate::identity::Identity;

/// An issuer to be trusted.
#[derive(Debug, Default)]
pub struct NewIssuer {
    /// What the operator calls it: letters, digits and hyphens.
    pub name: String,
    /// Its issuer URL, letter by letter as its tokens have it.
    pub issuer: String,
    /// What people read where they sign in.
    pub display_name: Option<String>,
    /// Our client there; without one, people cannot sign in by it.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<SecretString>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Its keys (a JWK set), where it cannot be asked for them.
    pub keys: Option<String>,
    /// Certificates of the authority that signed its own (PEM).
    pub authority: Option<String>,
}

/// A rule to be added.
#[derive(Debug)]
pub struct NewRule {
    /// The issuer's name.
    pub issuer: String,
    /// The audience that a token must have; for rules about people, our client at the issuer if left out.
    pub audience: Option<String>,
    /// Patterns that claims must match.
    pub conditions: BTreeMap<String, String>,
    /// For whom its tokens stand.
    pub stands_for: StandsFor,
}

/// For whom tokens stand by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandsFor {
    /// For this principal.
    Principal(PrincipalId),
    /// For the user whose user principal name is in a claim.
    User {
        /// The claim.
        claim: String,
        /// Whether a user that does not exist is created.
        creates: bool,
        /// Whether the name may lead to a user that was not created by this issuer's word.
        trusts_names: bool,
    },
}

/// A trusted issuer, for showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What the operator calls it.
    pub name: String,
    /// Its issuer URL.
    pub issuer: String,
    /// What people read where they sign in.
    pub display_name: Option<String>,
    /// Our client there.
    pub client_id: Option<String>,
    /// Whether its keys are written down here.
    pub has_keys: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A rule, for showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: Uuid,
    /// The issuer's name.
    pub issuer: String,
    /// The audience that a token must have.
    pub audience: String,
    /// Patterns that claims must match.
    pub conditions: BTreeMap<String, String>,
    /// For whom its tokens stand.
    pub stands_for: StandsFor,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Why trust was not changed.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// There is one with this name or URL.
    #[error("there is an issuer with the name {name:?} or the URL {issuer:?} already")]
    Taken {
        /// The name.
        name: String,
        /// The URL.
        issuer: String,
    },
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// By which name.
        name: String,
    },
    /// A value cannot be.
    #[error("the {what} {reason}")]
    Invalid {
        /// What the value is.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The issuer cannot be asked.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// A failure on our side.
    #[error("what is trusted could not be read or changed")]
    Unavailable(#[from] Error),
}

impl From<wharf_metadata::Error> for FederationError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Identity {
    /// Trusts an issuer. Its tokens stand for nobody until a rule says so. It is not asked anything yet.
    ///
    /// # Errors
    /// When a value cannot be, or there is such an issuer.
    pub async fn add_issuer(&self, new: NewIssuer) -> Result<Issuer, FederationError> {
        check_issuer(&new)?;
        let id = Uuid::new_v4();
        let seal =
            |secret: &SecretString| self.parts().sealing.seal(&secret_context(id), secret.expose_secret().as_bytes());
        let row = IssuerRow {
            id,
            name: new.name.to_ascii_lowercase(),
            issuer: new.issuer,
            sealed_client_secret: new.client_secret.as_ref().map(seal),
            settings: IssuerSettings {
                display_name: new.display_name,
                client_id: new.client_id,
                scopes: new.scopes,
                keys: new.keys,
                authority: new.authority,
            },
            created_at: self.parts().clock.now(),
        };
        let shown = shown(&row);
        let taken = FederationError::Taken { name: row.name.clone(), issuer: row.issuer.clone() };
        let insert = self.parts().database.write_access(move |c| {
            Box::pin(async move { federation::insert_issuer(c, &row).await.map_err(FederationError::from) })
        });
        if insert.await? { Ok(shown) } else { Err(taken) }
    }

    /// The trusted issuers, in the order of their names.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_trusted_issuers(&self) -> Result<Vec<Issuer>, Error> {
        Ok(self.trust().await?.issuers.iter().map(|row| shown(row)).collect())
    }

    /// Asks an issuer for its configuration and keys, and tells what is wrong if it cannot be used. It is reached as
    /// `egress` allows; as this process is allowed to, if that is not given.
    ///
    /// # Errors
    /// When there is no such issuer, or it is of no use.
    pub async fn test_issuer(&self, name: &str, egress: Option<&Egress>) -> Result<(), FederationError> {
        let trust = self.trust().await?;
        let issuer = trust.find_by_name(name).ok_or_else(|| not_found("issuer", name))?;
        let egress = egress.unwrap_or(&self.parts().federation.egress);
        IssuerState::default().get(egress, issuer, self.parts().clock.now()).await?;
        Ok(())
    }

    /// Trusts an issuer no more. Its rules go with it, and so does whatever anybody has got by them.
    ///
    /// # Errors
    /// When there is no such issuer.
    pub async fn remove_issuer(&self, name: &str) -> Result<(), FederationError> {
        let trust = self.trust().await?;
        let issuer = trust.find_by_name(name).ok_or_else(|| not_found("issuer", name))?.id;
        let name = name.to_owned();
        let remove = self.parts().database.write_access(move |c| {
            Box::pin(async move {
                let rules = federation::list_rules(c).await?;
                for rule in rules.iter().filter(|rule| rule.issuer_id == issuer) {
                    end_sign_ins(c, rule.id).await?;
                }
                if federation::delete_issuer(c, issuer).await? { Ok(()) } else { Err(not_found("issuer", &name)) }
            })
        });
        remove.await
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// When a value cannot be, or issuer or principal do not exist.
    pub async fn add_rule(&self, new: NewRule) -> Result<Rule, FederationError> {
        let trust = self.trust().await?;
        let issuer = trust.find_by_name(&new.issuer).ok_or_else(|| not_found("issuer", &new.issuer))?;
        check_rule(&new)?;
        let audience = match (new.audience, &new.stands_for, &issuer.settings.client_id) {
            (Some(audience), _, _) => audience,
            (None, StandsFor::User { .. }, Some(client_id)) => client_id.clone(),
            _ => return Err(invalid("audience", "is missing; say whom the issuer's tokens are for")),
        };
        let row = RuleRow {
            id: self.token_id(),
            issuer_id: issuer.id,
            audience,
            conditions: new.conditions,
            stands_for: match new.stands_for {
                StandsFor::Principal(principal) => StandsForRow::Principal(principal),
                StandsFor::User { claim, creates, trusts_names } => StandsForRow::User { claim, creates, trusts_names },
            },
            created_at: self.parts().clock.now(),
        };
        let shown = shown_rule(&row, &issuer.name);
        let insert = self.parts().database.write_access(move |c| {
            Box::pin(async move {
                if let StandsForRow::Principal(principal) = row.stands_for {
                    match principals::find(c, principal).await? {
                        Some(found) if found.kind == PrincipalKind::Group => {
                            return Err(invalid("principal", "is a group; groups never sign in"));
                        }
                        Some(_) => {}
                        None => return Err(not_found("principal", &principal.to_string())),
                    }
                }
                federation::insert_rule(c, &row).await.map_err(FederationError::from)
            })
        });
        insert.await?;
        Ok(shown)
    }

    /// All rules, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_federation_rules(&self) -> Result<Vec<Rule>, Error> {
        let trust = self.trust().await?;
        let rules_of =
            |row: &IssuerRow| trust.rules_of(row.id).map(|rule| shown_rule(rule, &row.name)).collect::<Vec<_>>();
        let mut rules: Vec<Rule> = trust.issuers.iter().flat_map(|row| rules_of(row)).collect();
        rules.sort_by_key(|rule| (rule.created_at, rule.id));
        Ok(rules)
    }

    /// Removes a rule, and ends whatever anybody has got by it.
    ///
    /// # Errors
    /// When there is no such rule.
    pub async fn remove_rule(&self, id: Uuid) -> Result<(), FederationError> {
        let remove = self.parts().database.write_access(move |c| {
            Box::pin(async move {
                end_sign_ins(c, id).await?;
                if federation::delete_rule(c, id).await? { Ok(()) } else { Err(not_found("rule", &id.to_string())) }
            })
        });
        remove.await
    }

    /// Says that an account of an issuer is this user, whatever it is called there.
    ///
    /// # Errors
    /// When there is no such issuer or user, or the subject cannot be.
    pub async fn link_person(&self, issuer: &str, subject: &str, user: PrincipalId) -> Result<(), FederationError> {
        let issuer = self.issuer_url(issuer).await?;
        if !(1..=LONGEST_VALUE).contains(&subject.len()) {
            return Err(invalid("subject", &format!("must have 1 to {LONGEST_VALUE} characters")));
        }
        let (subject, now) = (subject.to_owned(), self.parts().clock.now());
        let link = self.parts().database.write_access(move |c| {
            Box::pin(async move {
                match principals::find(c, user).await? {
                    Some(found) if found.kind == PrincipalKind::User => {}
                    Some(_) => return Err(invalid("principal", "is no user")),
                    None => return Err(not_found("user", &user.to_string())),
                }
                // Whoever it was before keeps nothing that they got as this account.
                if let Some(before) = federation::find_person(c, &issuer, &subject).await?.filter(|&id| id != user) {
                    principals::increment_generation(c, before).await?;
                }
                federation::link_person(c, &issuer, &subject, user, now).await.map_err(FederationError::from)
            })
        });
        link.await
    }

    /// Forgets which user an account of an issuer is, and ends what that user has got.
    ///
    /// # Errors
    /// When there is no such issuer, or nothing is remembered of the account.
    pub async fn unlink_person(&self, issuer: &str, subject: &str) -> Result<(), FederationError> {
        let issuer = self.issuer_url(issuer).await?;
        let subject = subject.to_owned();
        let unlink = self.parts().database.write_access(move |c| {
            Box::pin(async move {
                let found = federation::unlink_person(c, &issuer, &subject).await?;
                let principal = found.ok_or_else(|| not_found("account with the subject", &subject))?;
                principals::increment_generation(c, principal).await.map_err(FederationError::from)?;
                Ok(())
            })
        });
        unlink.await
    }

    async fn issuer_url(&self, name: &str) -> Result<String, FederationError> {
        let trust = self.trust().await?;
        Ok(trust.find_by_name(name).ok_or_else(|| not_found("issuer", name))?.issuer.clone())
    }

    /// Whether somebody has a user name, switched on or not.
    pub(crate) async fn is_user_name_taken(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        let find =
            self.parts().database.read(move |c| Box::pin(async move { principals::find_by_user_name(c, &name).await }));
        Ok(find.await?.is_some())
    }
}

/// Ends what was got by a rule: everybody who signed in by it gets a new generation.
async fn end_sign_ins(c: &mut Connection, rule: Uuid) -> Result<(), wharf_metadata::Error> {
    for principal in federation::take_sign_ins(c, rule).await? {
        principals::increment_generation(c, principal).await?;
    }
    Ok(())
}

fn check_issuer(new: &NewIssuer) -> Result<(), FederationError> {
    let name_fits = (1..=LONGEST_NAME).contains(&new.name.len());
    if !name_fits || !new.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(invalid("name", &format!("must have 1 to {LONGEST_NAME} letters, digits and hyphens")));
    }
    trusted_url(&new.issuer).map_err(|reason| invalid("issuer", &reason))?;
    if let Some(keys) = &new.keys {
        read_keys(keys.as_bytes()).map_err(|reason| invalid("issuer", &reason))?;
    }
    if new.client_secret.is_some() && new.client_id.is_none() {
        return Err(invalid("client secret", "is of no use without a client id"));
    }
    let texts = [&new.display_name, &new.client_id].into_iter().flatten().chain(&new.scopes).chain([&new.issuer]);
    for text in texts {
        if text.len() > LONGEST_VALUE || text.chars().any(char::is_control) || text.is_empty() {
            return Err(invalid("value", &format!("{text:?} must have 1 to {LONGEST_VALUE} printable characters")));
        }
    }
    Ok(())
}

fn check_rule(new: &NewRule) -> Result<(), FederationError> {
    let fits = |text: &str| (1..=LONGEST_VALUE).contains(&text.len());
    if new.conditions.len() > MOST_CONDITIONS {
        return Err(invalid("rule", &format!("may have {MOST_CONDITIONS} conditions at most")));
    }
    if !new.conditions.iter().all(|(claim, pattern)| fits(claim) && fits(pattern)) {
        return Err(invalid(
            "condition",
            &format!("must have a claim and a pattern of 1 to {LONGEST_VALUE} characters"),
        ));
    }
    if new.audience.as_deref().is_some_and(|audience| !fits(audience)) {
        return Err(invalid("audience", &format!("must have 1 to {LONGEST_VALUE} characters")));
    }
    match &new.stands_for {
        StandsFor::User { claim, .. } if !fits(claim) => {
            Err(invalid("claim", &format!("must have 1 to {LONGEST_VALUE} characters")))
        }
        // Else every workload of an issuer that others use too, such as GitHub's, would be let in.
        StandsFor::Principal(_) if new.conditions.is_empty() => {
            Err(invalid("subject", "is missing; say which of the issuer's tokens are meant"))
        }
        _ => Ok(()),
    }
}

fn shown(row: &IssuerRow) -> Issuer {
    Issuer {
        name: row.name.clone(),
        issuer: row.issuer.clone(),
        display_name: row.settings.display_name.clone(),
        client_id: row.settings.client_id.clone(),
        has_keys: row.settings.keys.is_some(),
        created_at: row.created_at,
    }
}

fn shown_rule(row: &RuleRow, issuer: &str) -> Rule {
    Rule {
        id: row.id,
        issuer: issuer.to_owned(),
        audience: row.audience.clone(),
        conditions: row.conditions.clone(),
        stands_for: match &row.stands_for {
            StandsForRow::Principal(principal) => StandsFor::Principal(*principal),
            StandsForRow::User { claim, creates, trusts_names } => {
                StandsFor::User { claim: claim.clone(), creates: *creates, trusts_names: *trusts_names }
            }
        },
        created_at: row.created_at,
    }
}

fn invalid(what: &'static str, reason: &str) -> FederationError {
    FederationError::Invalid { what, reason: reason.to_owned() }
}

fn not_found(what: &'static str, name: &str) -> FederationError {
    FederationError::NotFound { what, name: name.to_owned() }
}

const LONGEST_NAME: usize = 40;
const LONGEST_VALUE: usize = 500;
const MOST_CONDITIONS: usize = 20;
