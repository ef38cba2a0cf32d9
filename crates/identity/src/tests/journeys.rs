//! Signing in as clients do, and what ends it.

use secrecy::ExposeSecret;
use wharf_metadata::{RegistryRow, registries};
use wharf_model::{Action, ResourceKind};

use super::setup::{Installation, LOGIN_SERVER, change, insert, problem, registry_row};
use crate::{Caller, Error, Identity, IssueError, PasswordName, Subject, TOKEN_USER, TokenProblem, may};

fn may_push(caller: &Caller) -> bool {
    may(caller, Action::Push, ResourceKind::Repository, "team/app")
}

fn may_pull(caller: &Caller) -> bool {
    may(caller, Action::Pull, ResourceKind::Repository, "team/app")
}

#[tokio::test]
async fn the_admin_user_signs_in_by_password_and_by_both_kinds_of_tokens() {
    let wharf = Installation::start().await;
    let admin = wharf.admin().await;
    assert_eq!((admin.name(), admin.registry(), admin.is_anonymous()), ("contoso", wharf.contoso.uid, false));
    assert!(matches!(admin.subject(), Subject::Admin { generation: 1, .. }));
    assert!(may_push(&admin));

    let refresh = wharf.refresh_token().await;
    for caller in [wharf.refresh(&refresh).await.unwrap(), wharf.basic(TOKEN_USER, &refresh).await.unwrap()] {
        assert_eq!(caller.name(), "contoso");
        assert!(may_push(&caller), "a refresh token stands for its subject");
        let access = wharf.token_for(&caller, "repository:team/app:pull").await;
        for caller in [wharf.bearer(&access).await.unwrap(), wharf.basic(TOKEN_USER, &access).await.unwrap()] {
            assert_eq!(caller.name(), "contoso");
            assert!(may_pull(&caller) && !may_push(&caller), "an access token is limited to what it lists");
        }
    }
}

#[tokio::test]
async fn anonymous_pull_is_off_until_it_is_switched_on() {
    let mut wharf = Installation::start().await;
    let nobody = Caller::anonymous(&wharf.contoso);
    assert!(!may_pull(&nobody));
    let refusal = wharf.identity.access_token(&wharf.contoso, LOGIN_SERVER, &nobody, &[]).await;
    assert!(matches!(refusal, Err(IssueError::AnonymousPullDisabled)));

    wharf.contoso = change(&wharf.identity, &wharf.contoso, |c| c.anonymous_pull_enabled = true).await;
    let anybody = Caller::anonymous(&wharf.contoso);
    assert!(may_pull(&anybody) && !may_push(&anybody));
    assert_eq!((anybody.name(), anybody.is_anonymous()), ("anonymous", true));
    let refusal = wharf.identity.refresh_token(&wharf.contoso, LOGIN_SERVER, &anybody).await;
    assert!(matches!(refusal, Err(IssueError::PasswordNeeded)));
    let token = wharf.token_for(&anybody, "repository:team/app:pull,push registry:catalog:*").await;
    let caller = wharf.bearer(&token).await.unwrap();
    assert!(caller.is_anonymous() && may_pull(&caller) && !may_push(&caller));
    assert!(may(&caller, Action::All, ResourceKind::Registry, "catalog"));

    wharf.contoso = change(&wharf.identity, &wharf.contoso, |c| c.anonymous_pull_enabled = false).await;
    assert_eq!(
        problem(wharf.bearer(&token).await),
        Some(TokenProblem::Revoked),
        "at once, though the verdict was kept"
    );
    let refusal = wharf.identity.access_token(&wharf.contoso, LOGIN_SERVER, &caller, &[]).await;
    assert!(matches!(refusal, Err(IssueError::AnonymousPullDisabled)));
}

/// A change of the credentials ends all tokens that were issued before it, seen or unseen.
async fn ends_all_tokens(change: impl AsyncFnOnce(&Identity, &RegistryRow) -> RegistryRow) {
    let mut wharf = Installation::start().await;
    let (access, refresh) = (wharf.admin_token("repository:team/app:pull").await, wharf.refresh_token().await);
    let unseen = wharf.admin_token("repository:team/app:pull").await;
    wharf.problems(&access).await;
    wharf.problems(&refresh).await;

    let stale = wharf.admin().await;
    wharf.contoso = change(&wharf.identity, &wharf.contoso).await;
    assert_eq!(wharf.contoso.credentials_generation, 2);
    for token in [&access, &unseen] {
        assert_eq!(
            wharf.problems(token).await,
            [Some(TokenProblem::Revoked), Some(TokenProblem::WrongKind), Some(TokenProblem::Revoked)]
        );
    }
    assert_eq!(
        wharf.problems(&refresh).await,
        [Some(TokenProblem::WrongKind), Some(TokenProblem::Revoked), Some(TokenProblem::Revoked)]
    );

    // Nor does a request that had signed in before the change and ends after it carry anything over.
    let late = wharf.token_for(&stale, "repository:team/app:pull").await;
    assert_eq!(problem(wharf.bearer(&late).await), Some(TokenProblem::Revoked));
}

#[tokio::test]
async fn a_regenerated_password_ends_all_tokens() {
    ends_all_tokens(async |identity, row| identity.regenerate(row, PasswordName::Password, "somebody").await.unwrap())
        .await;
    ends_all_tokens(async |identity, row| identity.regenerate(row, PasswordName::Password2, "somebody").await.unwrap())
        .await;
}

#[tokio::test]
async fn a_password_that_is_set_ends_all_tokens() {
    ends_all_tokens(async |identity, row| {
        identity.set_password(row, PasswordName::Password2, "chosen".into(), "somebody").await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn switching_the_admin_user_off_ends_all_tokens() {
    ends_all_tokens(async |identity, row| change(identity, row, |c| c.admin_user_enabled = false).await).await;
}

#[tokio::test]
async fn tokens_of_before_stay_void_when_the_admin_user_is_switched_on_again() {
    let mut wharf = Installation::start().await;
    let token = wharf.admin_token("repository:team/app:pull").await;
    wharf.contoso = change(&wharf.identity, &wharf.contoso, |c| c.admin_user_enabled = false).await;
    assert!(wharf.basic("contoso", "contoso-password").await.is_err());
    wharf.contoso = change(&wharf.identity, &wharf.contoso, |c| c.admin_user_enabled = true).await;
    assert!(wharf.basic("contoso", "contoso-password").await.is_ok());
    assert_eq!(problem(wharf.bearer(&token).await), Some(TokenProblem::Revoked));
}

#[tokio::test]
async fn switching_to_where_it_stands_ends_nothing() {
    let mut wharf = Installation::start().await;
    let token = wharf.admin_token("repository:team/app:pull").await;
    wharf.contoso = change(&wharf.identity, &wharf.contoso, |c| c.admin_user_enabled = true).await;
    assert_eq!(wharf.contoso.credentials_generation, 1);
    wharf.bearer(&token).await.unwrap();
}

#[tokio::test]
async fn a_token_newer_than_the_row_that_a_node_has_is_taken() {
    let mut wharf = Installation::start().await;
    let old_row = wharf.contoso.clone();
    wharf.contoso = wharf.identity.regenerate(&wharf.contoso, PasswordName::Password2, "somebody").await.unwrap();
    let token = wharf.admin_token("repository:team/app:pull").await;
    wharf.contoso = old_row;
    wharf.bearer(&token).await.unwrap();
}

#[tokio::test]
async fn regenerating_one_password_leaves_the_other() {
    let mut wharf = Installation::start().await;
    wharf.contoso = wharf.identity.regenerate(&wharf.contoso, PasswordName::Password, "somebody").await.unwrap();
    let [first, second] = wharf.identity.reveal(&wharf.contoso).unwrap();
    assert_ne!(first.expose_secret(), "contoso-password");
    assert_eq!(second.expose_secret(), "contoso-password2");
    wharf.basic("contoso", first.expose_secret()).await.unwrap();
    wharf.basic("contoso", "contoso-password2").await.unwrap();
    assert!(wharf.basic("contoso", "contoso-password").await.is_err());
}

#[tokio::test]
async fn changes_are_made_to_the_row_as_it_is_and_not_as_it_was_seen() {
    let wharf = Installation::start().await;
    let seen = &wharf.contoso;
    wharf.identity.regenerate(seen, PasswordName::Password, "somebody").await.unwrap();
    change(&wharf.identity, seen, |c| c.admin_user_enabled = false).await;
    let row = wharf.identity.set_password(seen, PasswordName::Password2, "chosen".into(), "somebody").await.unwrap();
    assert!(!row.admin_user_enabled);
    assert_eq!(row.credentials_generation, 4);
    let [first, second] = wharf.identity.reveal(&row).unwrap();
    assert_ne!(first.expose_secret(), "contoso-password");
    assert_eq!(second.expose_secret(), "chosen");
}

#[tokio::test]
async fn many_changes_at_once_all_count() {
    let wharf = Installation::start().await;
    let change = |which| wharf.identity.regenerate(&wharf.contoso, which, "somebody");
    let (first, second) = (change(PasswordName::Password), change(PasswordName::Password2));
    let (first, second) = tokio::join!(first, second);
    let generations = [first.unwrap().credentials_generation, second.unwrap().credentials_generation];
    assert!(generations == [2, 3] || generations == [3, 2], "{generations:?}");
}

#[tokio::test]
async fn a_registry_of_the_same_name_that_was_made_since_is_left_alone() {
    let wharf = Installation::start().await;
    let id = wharf.contoso.id;
    wharf.database.write(move |c| Box::pin(async move { registries::delete(c, id).await })).await.unwrap();
    let gone = wharf.identity.regenerate(&wharf.contoso, PasswordName::Password, "somebody").await;
    assert!(matches!(gone, Err(Error::RegistryGone { .. })));

    insert(&wharf.database, registry_row(&wharf.sealing, "contoso")).await;
    let gone = wharf.identity.regenerate(&wharf.contoso, PasswordName::Password, "somebody").await;
    assert!(matches!(gone, Err(Error::RegistryGone { .. })));
}

#[tokio::test]
async fn the_first_password_may_be_preset() {
    let wharf = Installation::start().await;
    let uid = wharf.contoso.uid;
    let made = wharf.identity.new_admin_credentials(uid, Some("preset".into())).unwrap();
    let row = RegistryRow { admin_passwords: made.sealed, ..wharf.contoso.clone() };
    let revealed = wharf.identity.reveal(&row).unwrap();
    assert_eq!(revealed[0].expose_secret(), "preset");
    assert_eq!(revealed[1].expose_secret(), made.passwords[1].expose_secret());
    assert_eq!(revealed[1].expose_secret().len(), 52);
    for bad in [String::new(), "a".repeat(513)] {
        let refusal = wharf.identity.new_admin_credentials(uid, Some(bad.into()));
        assert!(matches!(refusal, Err(Error::PasswordLength)));
    }
}
