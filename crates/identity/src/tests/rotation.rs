//! Signing keys over time and between nodes.

use std::sync::Arc;
use std::time::Duration;

use wharf_metadata::signing_keys;

use super::setup::{Installation, LOGIN_SERVER, problem};
use crate::{Credentials, Error, Identity, SealingKey, SystemRandom, TokenProblem, parse_token};

const DAY: Duration = Duration::from_hours(24);

async fn keys(wharf: &Installation) -> Vec<String> {
    let rows = wharf.database.read(|c| Box::pin(async move { signing_keys::list(c).await })).await;
    rows.unwrap().into_iter().map(|row: wharf_metadata::SigningKeyRow| row.kid).collect()
}

fn key_of(token: &str) -> String {
    parse_token(token).unwrap().key_id().to_owned()
}

async fn token_by(wharf: &Installation, node: &Identity) -> String {
    let credentials = Credentials::Basic { username: "contoso", password: "contoso-password" };
    let admin = node.authenticate(&wharf.contoso, credentials, None).await.unwrap();
    node.access_token(&wharf.contoso, LOGIN_SERVER, &admin, &[]).await.unwrap()
}

async fn problem_at(wharf: &Installation, node: &Identity, token: &str) -> Option<TokenProblem> {
    problem(node.authenticate(&wharf.contoso, Credentials::Bearer(token), None).await)
}

#[tokio::test]
async fn nodes_share_the_keys_of_their_database() {
    let wharf = Installation::start().await;
    let other = wharf.another_node().await;
    assert_eq!(keys(&wharf).await.len(), 1, "the second node found the first one's");
    let token = token_by(&wharf, &wharf.identity).await;
    assert_eq!(problem_at(&wharf, &other, &token).await, None);
}

#[tokio::test]
async fn a_key_is_renewed_ahead_and_goes_on_verifying() {
    let wharf = Installation::start().await;
    let first = token_by(&wharf, &wharf.identity).await;
    wharf.clock.advance(DAY * 28);
    wharf.identity.rotate_keys().await.unwrap();
    assert_eq!(keys(&wharf).await.len(), 1, "not due yet");

    wharf.clock.advance(DAY + Duration::from_secs(1));
    wharf.identity.rotate_keys().await.unwrap();
    wharf.identity.rotate_keys().await.unwrap();
    assert_eq!(keys(&wharf).await.len(), 2, "a day ahead, and once");
    let old = token_by(&wharf, &wharf.identity).await;
    assert_eq!(key_of(&old), key_of(&first), "the new key settles first");

    wharf.clock.advance(Duration::from_mins(1));
    let new = token_by(&wharf, &wharf.identity).await;
    assert_ne!(key_of(&new), key_of(&old));
    for token in [&old, &new] {
        assert_eq!(problem_at(&wharf, &wharf.identity, token).await, None);
    }

    wharf.clock.advance(DAY * 2);
    wharf.identity.rotate_keys().await.unwrap();
    assert_eq!(keys(&wharf).await, [key_of(&new)], "and is removed when no token by it is left");
    assert_eq!(problem_at(&wharf, &wharf.identity, &old).await, Some(TokenProblem::UnknownKey));
}

#[tokio::test]
async fn a_key_of_another_node_is_found_by_its_id() {
    let wharf = Installation::start().await;
    let other = wharf.another_node().await;
    wharf.clock.advance(DAY * 30 + Duration::from_secs(1));
    let token = token_by(&wharf, &wharf.identity).await;
    assert_eq!(keys(&wharf).await.len(), 2, "made on the spot, since none signed any more");
    assert_eq!(problem_at(&wharf, &other, &token).await, None, "without any upkeep on that node");
    assert_eq!(key_of(&token_by(&wharf, &other).await), key_of(&token), "and now it signs with it too");
}

#[tokio::test]
async fn made_up_key_ids_make_a_node_read_the_keys_once_a_second_at_most() {
    let wharf = Installation::start().await;
    let other = wharf.another_node().await;
    let made_up = |id: u32| format!("{}.e30.AAAA", crate::token::encode_header(&format!("made-up-{id}")));
    assert_eq!(problem_at(&wharf, &other, &made_up(0)).await, Some(TokenProblem::UnknownKey));

    // The node has just read the keys for nothing; a key that is made now is not found for a second.
    wharf.clock.advance(DAY * 30);
    assert_eq!(problem_at(&wharf, &other, &made_up(1)).await, Some(TokenProblem::UnknownKey));
    let token = token_by(&wharf, &wharf.identity).await;
    for id in 2..100 {
        assert_eq!(problem_at(&wharf, &other, &made_up(id)).await, Some(TokenProblem::UnknownKey));
        assert_eq!(problem_at(&wharf, &other, &token).await, Some(TokenProblem::UnknownKey));
    }
    wharf.clock.advance(Duration::from_secs(1));
    assert_eq!(problem_at(&wharf, &other, &token).await, None);
}

#[tokio::test]
async fn nodes_that_renew_at_the_same_time_agree_on_a_key() {
    let wharf = Installation::start().await;
    let other = wharf.another_node().await;
    wharf.clock.advance(DAY * 30);
    let (one, two) = tokio::join!(wharf.identity.rotate_keys(), other.rotate_keys());
    one.unwrap();
    two.unwrap();
    assert_eq!(keys(&wharf).await.len(), 2);
    assert_eq!(key_of(&token_by(&wharf, &wharf.identity).await), key_of(&token_by(&wharf, &other).await));
}

#[tokio::test]
async fn tokens_outlive_a_restart() {
    let wharf = Installation::start().await;
    let token = token_by(&wharf, &wharf.identity).await;
    let restarted = wharf.another_node().await;
    assert_eq!(problem_at(&wharf, &restarted, &token).await, None);
}

#[tokio::test]
async fn a_sealing_key_of_another_installation_is_refused_at_the_start() {
    let wharf = Installation::start().await;
    let wrong = Arc::new(SealingKey::ephemeral(&SystemRandom));
    let stranger = Identity::new(wharf.database.clone(), wrong, wharf.clock.clone());
    assert!(matches!(stranger.start().await, Err(Error::Sealed { .. })));
    assert_eq!(keys(&wharf).await.len(), 1, "and it has made nothing");
}
