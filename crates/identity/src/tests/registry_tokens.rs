//! Tokens of registries: who is let in by which password, and until when.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use wharf_access::{Rights, ScopeMapAction};
use wharf_metadata::{Connection, Error as MetadataError, RegistryRow, scope_maps, tokens};
use wharf_model::{Client, Clock};

use super::setup::Installation;
use crate::registry_tokens::RegistryToken;
use crate::{AuthError, TokenPasswordName, is_token_name};

/// The token `agent` of contoso with the scope map `readers`, without passwords.
async fn with_agent() -> (Installation, i64) {
    let here = Installation::start().await;
    let registry = here.contoso.id;
    let id = here
        .database
        .write_access(move |c| {
            Box::pin(async move {
                scope_maps::put(c, registry, "readers", &["repositories/a/content/read".to_owned()]).await?;
                tokens::put(c, registry, "Agent", "readers", true).await
            })
        })
        .await
        .unwrap();
    (here, id)
}

impl Installation {
    /// Makes a password of a token of contoso that lives as long as `lifetime` says.
    async fn generate(&self, token: i64, name: TokenPasswordName, lifetime: Option<Duration>) -> String {
        let (identity, uid) = (self.identity.clone(), self.contoso.uid);
        let expires = lifetime.map(|lifetime| self.clock.now() + lifetime);
        let made = self.database.write_access(move |c| {
            Box::pin(async move { identity.generate_token_passwords(c, uid, token, &[name], expires).await })
        });
        made.await.unwrap().remove(0).value.expose_secret().to_owned()
    }

    async fn change<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Connection) -> wharf_metadata::Work<'c, T, MetadataError> + Send + 'static,
    ) -> T {
        self.database.write_access(work).await.unwrap()
    }

    async fn check(
        &self,
        registry: &RegistryRow,
        name: &str,
        password: &str,
    ) -> Result<(Arc<RegistryToken>, i64), AuthError> {
        self.identity.check_registry_token(registry, name, password, None).await
    }

    /// Whether contoso's token `agent` signs in with this password.
    async fn agent_may_enter(&self, password: &str) -> bool {
        match self.check(&self.contoso, "agent", password).await {
            Ok(_) => true,
            Err(AuthError::BadCredentials) => false,
            Err(other) => panic!("{other}"),
        }
    }
}

const ONE: TokenPasswordName = TokenPasswordName::Password1;
const TWO: TokenPasswordName = TokenPasswordName::Password2;

#[tokio::test]
async fn either_password_lets_a_token_in_and_nothing_else_does() {
    let (here, id) = with_agent().await;
    assert!(!here.agent_may_enter("").await, "a token without passwords signs nobody in");
    let (one, two) = (here.generate(id, ONE, None).await, here.generate(id, TWO, None).await);
    let (first, generation_one) = here.check(&here.contoso, "agent", &one).await.unwrap();
    let (second, generation_two) = here.check(&here.contoso, "AGENT", &two).await.unwrap();
    assert_eq!((first.id, &*first.name), (id, "Agent"));
    assert_eq!(second.id, id);
    assert_ne!(generation_one, generation_two);
    assert_eq!(*first.rights, rights(&["repositories/a/content/read"]));
    for wrong in ["", &one[1..], &format!("{one} "), "contoso-password"] {
        assert!(!here.agent_may_enter(wrong).await, "{wrong}");
    }
    assert!(here.check(&here.fabrikam, "agent", &one).await.is_err(), "it is of one registry");
    assert!(here.check(&here.contoso, "nobody", &one).await.is_err());
    assert!(here.check(&here.contoso, "contoso", &one).await.is_err());
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_and_spares_the_other() {
    let (here, id) = with_agent().await;
    let (one, two) = (here.generate(id, ONE, None).await, here.generate(id, TWO, None).await);
    let (_, old) = here.check(&here.contoso, "agent", &one).await.unwrap();
    let (_, other) = here.check(&here.contoso, "agent", &two).await.unwrap();
    let renewed = here.generate(id, ONE, None).await;
    assert!(!here.agent_may_enter(&one).await);
    assert!(here.agent_may_enter(&renewed).await && here.agent_may_enter(&two).await);
    let token = here.identity.find_registry_token(&here.contoso, id).await.unwrap().unwrap();
    assert!(token.password(old, here.clock.now()).is_none(), "what was issued against it is void");
    assert!(token.password(other, here.clock.now()).is_some());

    let registry = here.contoso.id;
    here.change(move |c| Box::pin(async move { tokens::delete_password(c, id, 2).await })).await;
    assert!(!here.agent_may_enter(&two).await);
    here.change(move |c| Box::pin(async move { tokens::delete(c, registry, "agent").await })).await;
    assert!(!here.agent_may_enter(&renewed).await);
    assert!(here.identity.find_registry_token(&here.contoso, id).await.unwrap().is_none());
}

#[tokio::test]
async fn an_expired_password_counts_no_more_nor_does_what_was_issued_against_it() {
    let (here, id) = with_agent().await;
    let one = here.generate(id, ONE, Some(Duration::from_mins(10))).await;
    let (token, generation) = here.check(&here.contoso, "agent", &one).await.unwrap();
    here.clock.advance(Duration::from_mins(10) - Duration::from_micros(1));
    assert!(here.agent_may_enter(&one).await);
    assert!(token.password(generation, here.clock.now()).is_some());
    here.clock.advance(Duration::from_micros(1));
    assert!(!here.agent_may_enter(&one).await);
    assert!(token.password(generation, here.clock.now()).is_none(), "although nothing was written");
}

#[tokio::test]
async fn a_disabled_token_is_out_at_once_and_stays_void_when_it_is_enabled_again() {
    let (here, id) = with_agent().await;
    let one = here.generate(id, ONE, None).await;
    let (_, before) = here.check(&here.contoso, "agent", &one).await.unwrap();
    let registry = here.contoso.id;
    let switch = async |on: bool| {
        here.change(move |c| Box::pin(async move { tokens::put(c, registry, "agent", "readers", on).await })).await
    };
    switch(false).await;
    assert!(!here.agent_may_enter(&one).await);
    assert!(here.identity.find_registry_token(&here.contoso, id).await.unwrap().is_none());
    switch(true).await;
    let (token, after) = here.check(&here.contoso, "agent", &one).await.unwrap();
    assert_ne!(after, before);
    assert!(token.password(before, here.clock.now()).is_none());
}

#[tokio::test]
async fn rights_are_those_of_the_scope_map_at_this_moment() {
    let (here, id) = with_agent().await;
    let registry = here.contoso.id;
    let now = async || here.identity.find_registry_token(&here.contoso, id).await.unwrap().unwrap().rights.clone();
    assert_eq!(*now().await, rights(&["repositories/a/content/read"]));
    let more = vec!["repositories/b/content/read".to_owned(), "from/the/future".to_owned()];
    here.change(move |c| Box::pin(async move { scope_maps::put(c, registry, "readers", &more).await })).await;
    assert_eq!(*now().await, rights(&["repositories/b/content/read"]), "what is not understood allows nothing");
    here.change(move |c| Box::pin(async move { tokens::put(c, registry, "agent", "_repositories_push", true).await }))
        .await;
    assert_eq!(*now().await, rights(&["repositories/*/content/read", "repositories/*/content/write"]));
    here.change(move |c| Box::pin(async move { tokens::put(c, registry, "agent", "gone", true).await })).await;
    assert_eq!(*now().await, rights(&[]));
}

#[tokio::test]
async fn a_mac_counts_for_its_own_token_only() {
    let (here, id) = with_agent().await;
    let one = here.generate(id, ONE, None).await;
    let (registry, now) = (here.contoso.id, here.clock.now());
    here.change(move |c| {
        Box::pin(async move {
            let mac = tokens::find(c, registry, id).await?.unwrap().passwords[0].mac.clone();
            let thief = tokens::put(c, registry, "thief", "_repositories_admin", true).await?;
            tokens::put_password(c, thief, 1, &mac, now, None).await
        })
    })
    .await;
    assert!(here.check(&here.contoso, "thief", &one).await.is_err());
    assert!(here.agent_may_enter(&one).await);
}

#[tokio::test]
async fn who_guesses_is_slowed_down_and_who_knows_is_not() {
    let (here, id) = with_agent().await;
    let one = here.generate(id, ONE, None).await;
    let client = Some(Client { address: [192, 0, 2, 1].into(), is_private: false });
    for name in ["agent", "nobody"] {
        let mut refused = 0;
        for _ in 0..100 {
            match here.identity.check_registry_token(&here.contoso, name, "guess", client).await {
                Err(AuthError::BadCredentials) => refused += 1,
                Err(AuthError::Throttled(_)) => break,
                other => panic!("{other:?}"),
            }
        }
        assert!((1..60).contains(&refused), "{name}: {refused}");
    }
    here.identity.check_registry_token(&here.contoso, "agent", &one, client).await.unwrap();
}

fn rights(actions: &[&str]) -> Rights {
    let actions: Vec<ScopeMapAction> = actions.iter().map(|action| action.parse().unwrap()).collect();
    Rights::of_scope_map(&actions)
}

#[test]
fn names_are_as_documented_and_no_applications_ids() {
    for good in ["agent", "Build-Agent-7", "-----", &"a".repeat(50)] {
        assert!(is_token_name(good), "{good}");
    }
    let ids = ["00000000-0000-0000-0000-000000000000", "0123456789abcdef0123456789abcdef"];
    for bad in ["", "four", "with_underscore", "with space", "naïve", &"a".repeat(51)].into_iter().chain(ids) {
        assert!(!is_token_name(bad), "{bad}");
    }
}
