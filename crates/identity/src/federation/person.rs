//! People who sign in at an issuer outside: the browser goes there and comes back with a code.
//!
//! ```text
//! sign-in page ─► begin_external_sign_in ─► browser to the issuer, with our state, nonce and challenge
//!                 finish_external_sign_in ◄─ browser back, with state and code ─► code for ID token ─► rule ─► user
//! ```
//!
//! Who an account is here is remembered by its subject from its first sign-in on. Its name counts that once, and leads only
//! to a user that is made then, unless the operator trusts the issuer's names: elsewhere people may be able to choose
//! theirs, and addresses are given to somebody else when their owner leaves.
//!
//! The state is sealed and names the browser that it was made for, so that nobody can be signed in as somebody else by a
//! link that somebody else sent.
//!
//! Source: OpenID Connect Core 1.0, section 3.1; RFC 9700.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderValue, Method, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tracing::{info, warn};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use uuid::Uuid;
use wharf_egress::{EgressError, Outgoing};
use wharf_metadata::directory::principals;
use wharf_metadata::federation::{self, IssuerRow, StandsForRow};
use wharf_model::{PrincipalKind, error_chain};

use super::ForeignToken;
use super::discovery::{Discovered, DiscoveryError};
use super::workload::is_met;
use crate::directory::{NewUser, SignedIn};
use crate::identity::Identity;
use crate::oidc::{Authentication, challenge_of};
use crate::{DirectoryError, Error, TokenProblem};

/// An issuer that people can sign in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIssuer {
    /// What the operator calls it: its name in URLs.
    pub name: String,
    /// What people read.
    pub display_name: String,
}

/// What came back from an issuer.
#[derive(Clone, Debug)]
pub struct ExternalSignIn {
    /// Who signed in.
    pub authentication: Authentication,
    /// What the sign-in was for, as it was given when it began.
    pub purpose: String,
}

/// Why nobody is signed in by an issuer.
#[derive(Debug, thiserror::Error)]
pub enum ExternalSignInError {
    /// There is no such issuer that people can sign in by.
    #[error("people cannot sign in by {name:?}")]
    NoIssuer {
        /// Its name.
        name: String,
    },
    /// What came back does not belong to a sign-in that began in this browser lately.
    #[error("the sign-in took too long, or began in another browser")]
    State,
    /// The issuer said no.
    #[error("the issuer refused: {reason}")]
    Refused {
        /// Why, in its words.
        reason: String,
    },
    /// The issuer did not give a token for the code.
    #[error("the issuer's answer could not be had")]
    Exchange(#[source] EgressError),
    /// The issuer's answer is none.
    #[error("the issuer's answer is of no use: {what}")]
    Answer {
        /// What is wrong.
        what: String,
    },
    /// The ID token is not valid.
    #[error("the issuer's ID token is not valid")]
    Token(#[from] TokenProblem),
    /// It is valid, and no rule says that it stands for anybody.
    #[error("nobody here is meant by this account of the issuer")]
    Nobody,
    /// The user could not be made.
    #[error("the user could not be created")]
    Create(#[source] DirectoryError),
    /// The issuer cannot be asked.
    #[error("the issuer is of no use at the moment")]
    Discovery(#[from] DiscoveryError),
    /// A failure on our side.
    #[error("the sign-in could not be finished")]
    Unavailable(#[from] Error),
}

/// What the `state` of a sign-in outside holds.
#[derive(Serialize, Deserialize)]
struct State {
    issuer: Uuid,
    nonce: String,
    verifier: String,
    browser: String,
    purpose: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

impl Identity {
    /// The issuers that people can sign in by.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn external_issuers(&self) -> Result<Vec<ExternalIssuer>, Error> {
        let trust = self.trust().await?;
        let offered = trust.issuers.iter().filter(|row| row.settings.client_id.is_some());
        Ok(offered
            .map(|row| ExternalIssuer {
                name: row.name.clone(),
                display_name: row.settings.display_name.clone().unwrap_or_else(|| row.name.clone()),
            })
            .collect())
    }

    /// Where the browser goes to sign in by the issuer called `name`. `browser` is a word that this browser alone knows;
    /// `purpose` comes back with who signed in.
    ///
    /// # Errors
    /// When there is no such issuer, or it cannot be asked.
    pub async fn begin_external_sign_in(
        &self,
        name: &str,
        redirect_uri: &str,
        browser: &str,
        purpose: &str,
    ) -> Result<Url, ExternalSignInError> {
        let trust = self.trust().await?;
        let no_issuer = || ExternalSignInError::NoIssuer { name: name.to_owned() };
        let issuer = trust.find_by_name(name).ok_or_else(no_issuer)?;
        let client_id = issuer.settings.client_id.as_deref().ok_or_else(no_issuer)?;
        let found = self.discover(issuer).await?;
        let mut url =
            found.authorization_endpoint.clone().ok_or_else(|| unusable("it has no authorization endpoint"))?;

        let state = State {
            issuer: issuer.id,
            nonce: self.random_word(),
            verifier: self.new_secret(""),
            browser: browser.to_owned(),
            purpose: purpose.to_owned(),
        };
        let mut scopes = vec!["openid"];
        scopes.extend(issuer.settings.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("nonce", &state.nonce)
            .append_pair("code_challenge", &challenge_of(&state.verifier))
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", &self.seal_for_browser(STATE, &state, STATE_LIFETIME));
        Ok(url)
    }

    /// Signs in whoever the browser brings a code for.
    ///
    /// # Errors
    /// When that is nobody.
    pub async fn finish_external_sign_in(
        &self,
        state: &str,
        code: Result<&str, &str>,
        redirect_uri: &str,
        browser: &str,
    ) -> Result<ExternalSignIn, ExternalSignInError> {
        let state: State = self.open_from_browser(STATE, state).ok_or(ExternalSignInError::State)?;
        if !bool::from(state.browser.as_bytes().ct_eq(browser.as_bytes())) {
            return Err(ExternalSignInError::State);
        }
        let code =
            code.map_err(|reason| ExternalSignInError::Refused { reason: reason.chars().take(200).collect() })?;
        let trust = self.trust().await?;
        let issuer = trust.issuers.iter().find(|row| row.id == state.issuer).ok_or(ExternalSignInError::State)?;
        let client_id = issuer.settings.client_id.as_deref().ok_or(ExternalSignInError::State)?;
        let found = self.discover(issuer).await?;
        let secret = self.client_secret_of(issuer)?;
        let id_token = exchange(&found, client_id, secret.as_ref(), code, redirect_uri, &state.verifier).await?;

        let token = ForeignToken::parse(&id_token)?;
        self.verify_foreign(issuer, &token).await??;
        check_id_token(&token, issuer, client_id, &state.nonce)?;
        let (signed_in, rule) = self.person_of(issuer, &token).await?;
        if !self.remember_sign_in(rule, signed_in.principal.id).await? {
            return Err(ExternalSignInError::Nobody);
        }
        info!(issuer = %issuer.issuer, principal = %signed_in.principal.id, "Somebody signed in by {}", issuer.name);
        let authentication = Authentication {
            principal: signed_in.principal,
            generation: signed_in.generation,
            rule: Some(rule),
            authenticated_at: self.parts().clock.now(),
        };
        Ok(ExternalSignIn { authentication, purpose: state.purpose })
    }

    async fn discover(&self, issuer: &IssuerRow) -> Result<std::sync::Arc<Discovered>, DiscoveryError> {
        let federation = &self.parts().federation;
        federation.state(issuer).get(&federation.egress, issuer, self.parts().clock.now()).await
    }

    /// The user that an ID token stands for, by the first rule that it meets and that leads to one, and that rule.
    async fn person_of(
        &self,
        issuer: &IssuerRow,
        token: &ForeignToken<'_>,
    ) -> Result<(SignedIn, Uuid), ExternalSignInError> {
        let trust = self.trust().await?;
        for rule in trust.rules_of(issuer.id).filter(|rule| is_met(rule, token)) {
            let found = match &rule.stands_for {
                StandsForRow::Principal(principal) => self.find_signed_in(*principal).await?,
                StandsForRow::User { claim, creates, trusts_names } => {
                    let naming = Naming { claim, creates: *creates, trusts_names: *trusts_names };
                    self.user_of_account(issuer, token, naming).await?
                }
            };
            if let Some(found) = found.filter(|found| found.principal.kind == PrincipalKind::User) {
                return Ok((found, rule.id));
            }
        }
        warn!(issuer = %issuer.issuer, "Nobody is meant by an account of {}", issuer.name);
        Err(ExternalSignInError::Nobody)
    }

    /// The user that an account is: who it was before, by its subject; or else the user whose name it has, from then on.
    async fn user_of_account(
        &self,
        issuer: &IssuerRow,
        token: &ForeignToken<'_>,
        naming: Naming<'_>,
    ) -> Result<Option<SignedIn>, ExternalSignInError> {
        let Some(subject) = token.text("sub").filter(|subject| !subject.is_empty()) else { return Ok(None) };
        let account = (issuer.issuer.clone(), subject.to_owned());
        let find = self.parts().database.read(move |c| {
            Box::pin(async move {
                let known = federation::find_person(c, &account.0, &account.1).await?;
                // A user who was deleted is nobody any more.
                let Some(known) = known else { return Ok::<_, Error>(None) };
                Ok(principals::find(c, known).await?.map(|row| row.id))
            })
        });
        if let Some(known) = find.await? {
            return Ok(self.find_signed_in(known).await?);
        }
        let Some(user) = self.user_named_in(issuer, token, naming).await? else { return Ok(None) };
        let (account, now) = ((issuer.issuer.clone(), subject.to_owned()), self.parts().clock.now());
        let (principal, is_new) = (user.signed_in.principal.id, user.is_new);
        let link = self.parts().database.write(move |c| {
            Box::pin(async move {
                let (issuer, subject) = &account;
                // A name that has changed hands there does not bring the user along.
                if !is_new && federation::has_account(c, issuer, principal).await? {
                    return Ok::<_, Error>(false);
                }
                federation::link_person(c, issuer, subject, principal, now).await?;
                Ok(true)
            })
        });
        if link.await? {
            info!(issuer = %issuer.issuer, subject, %principal, "An account of {} is this user from now on", issuer.name);
            return Ok(Some(user.signed_in));
        }
        warn!(issuer = %issuer.issuer, subject, %principal, "An account of {} has the name of a user whom another account is", issuer.name);
        Ok(None)
    }

    /// The user whose name is in a claim, if names of this issuer are trusted; made, if that is allowed and there is none.
    async fn user_named_in(
        &self,
        issuer: &IssuerRow,
        token: &ForeignToken<'_>,
        Naming { claim, creates, trusts_names }: Naming<'_>,
    ) -> Result<Option<NamedUser>, ExternalSignInError> {
        let Some(name) = token.text(claim) else { return Ok(None) };
        // Elsewhere anybody may call themselves anything, until somebody has looked.
        if claim == "email" && !token.is_true("email_verified") {
            warn!(issuer = %issuer.issuer, "An account of {} has an e-mail address that the issuer has not verified", issuer.name);
            return Ok(None);
        }
        if let Some(user) = self.find_user(name).await? {
            if !trusts_names {
                let subject = token.text("sub").unwrap_or_default();
                warn!(issuer = %issuer.issuer, subject, principal = %user.id, "An account of {} has the name of a user that it did not make; link it if it is theirs", issuer.name);
                return Ok(None);
            }
            let signed_in = self.find_signed_in(user.id).await?;
            return Ok(signed_in.map(|signed_in| NamedUser { signed_in, is_new: false }));
        }
        // Somebody who is switched off is not found, and must not be made anew.
        if !creates || self.is_user_name_taken(name).await? {
            return Ok(None);
        }
        let new = NewUser {
            tenant_id: self.tenant().await?.id,
            user_name: name.to_owned(),
            display_name: token.text("name").filter(|name| !name.is_empty()).unwrap_or(name).to_owned(),
            password: None,
            must_change_password: false,
            is_enabled: true,
            properties: Default::default(),
        };
        let made = self.create_user(new).await.map_err(ExternalSignInError::Create)?;
        info!(issuer = %issuer.issuer, principal = %made.id, "Created a user for an account of {}", issuer.name);
        Ok(self.find_signed_in(made.id).await?.map(|signed_in| NamedUser { signed_in, is_new: true }))
    }
}

/// How a rule finds a user by name.
#[derive(Clone, Copy)]
struct Naming<'a> {
    claim: &'a str,
    creates: bool,
    trusts_names: bool,
}

/// A user found by name.
struct NamedUser {
    signed_in: SignedIn,
    /// Whether it was made just now.
    is_new: bool,
}

/// Whether an ID token is the answer to our question. Source: OpenID Connect Core 1.0, 3.1.3.7.
fn check_id_token(
    token: &ForeignToken<'_>,
    issuer: &IssuerRow,
    client_id: &str,
    nonce: &str,
) -> Result<(), ExternalSignInError> {
    let answer = |what: &str| Err(ExternalSignInError::Answer { what: what.to_owned() });
    if token.text("iss") != Some(issuer.issuer.as_str()) {
        return answer("the ID token is another issuer's");
    }
    if !token.audiences().contains(&client_id) {
        return answer("the ID token is for another client");
    }
    if token.text("azp").is_some_and(|party| party != client_id) {
        return answer("the ID token was given to another client");
    }
    if !token.text("nonce").is_some_and(|found| bool::from(found.as_bytes().ct_eq(nonce.as_bytes()))) {
        return answer("the ID token belongs to another sign-in");
    }
    Ok(())
}

/// Gives the issuer the code, and takes the ID token for it.
async fn exchange(
    found: &Discovered,
    client_id: &str,
    secret: Option<&SecretString>,
    code: &str,
    redirect_uri: &str,
    verifier: &str,
) -> Result<String, ExternalSignInError> {
    let url = found.token_endpoint.as_ref().ok_or_else(|| unusable("it has no token endpoint"))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    // In a block of its own: a serializer cannot wait with us for the answer.
    let body = {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("code_verifier", verifier);
        match secret {
            Some(secret) if !found.takes_secret_in_form => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose_secret()));
                let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(pair)))
                    .expect("base64 may stand in a header");
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
            }
            Some(secret) => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret.expose_secret());
            }
            None => {
                form.append_pair("client_id", client_id);
            }
        }
        form.finish().into()
    };
    let sent = found.client.send(Outgoing { method: Method::POST, url, headers, body, most_bytes: MOST_BYTES }).await;
    let answer = sent.map_err(ExternalSignInError::Exchange)?;
    let read: TokenAnswer = serde_json::from_slice(&answer.body)
        .map_err(|error| unusable(&format!("status {}, {}", answer.status, error_chain(&error))))?;
    match read {
        TokenAnswer { id_token: Some(token), .. } if answer.status.is_success() => Ok(token),
        TokenAnswer { error, error_description, .. } => {
            let words = [error, error_description].into_iter().flatten().collect::<Vec<_>>().join(": ");
            Err(unusable(&format!("status {}, {}", answer.status, words.chars().take(200).collect::<String>())))
        }
    }
}

fn unusable(what: &str) -> ExternalSignInError {
    ExternalSignInError::Answer { what: what.to_owned() }
}

/// What the state of a sign-in outside is sealed for.
const STATE: &str = "external-sign-in";
/// How long somebody may take to sign in outside.
const STATE_LIFETIME: Duration = Duration::from_mins(20);
/// Bytes of the longest answer of a token endpoint.
const MOST_BYTES: usize = 64 << 10;
