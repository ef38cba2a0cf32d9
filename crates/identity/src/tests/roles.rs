//! What roles come to, and when they end.

use std::time::Duration;

use wharf_access::AssignmentAttributes;
use wharf_model::{Action, Client, ResourceId, ResourceKind};

use super::setup::{Installation, group_id, problem, registry_id};
use crate::directory::Holder;
use crate::{AuthError, Caller, Credentials, Subject, TOKEN_USER, TokenProblem, may, may_untag};

const TEAM: &str = "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWith 'team/'";

fn on(caller: &Caller, action: Action, repository: &str) -> bool {
    may(caller, action, ResourceKind::Repository, repository)
}

fn lists(caller: &Caller) -> bool {
    may(caller, Action::All, ResourceKind::Registry, "catalog")
}

#[tokio::test]
async fn a_role_counts_where_it_is_given_and_below() {
    let wharf = Installation::start().await;
    let subscription: ResourceId = group_id().parent().unwrap();
    for scope in [registry_id("CONTOSO"), group_id(), subscription, ResourceId::root()] {
        let robot = wharf.robot().await;
        assert!(wharf.basic(&robot.app_id, &robot.secret).await.is_err(), "without any role nobody is let in");
        wharf.assign(robot.id, "AcrPull", &scope).await;
        let caller = wharf.basic(&robot.app_id, &robot.secret).await.unwrap();
        assert!(on(&caller, Action::Pull, "a") && lists(&caller), "{scope}");
        assert!(!on(&caller, Action::Push, "a") && !on(&caller, Action::MetadataRead, "a"), "{scope}");
        assert_eq!(caller.name(), robot.app_id);
        assert!(matches!(caller.subject(), Subject::Principal { principal, .. } if principal.id == robot.id));
    }
    let robot = wharf.robot().await;
    wharf.assign(robot.id, "AcrPull", &registry_id("fabrikam")).await;
    assert!(wharf.basic(&robot.app_id, &robot.secret).await.is_err(), "another registry's role");
}

#[tokio::test]
async fn groups_hand_their_roles_on() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    let inner = wharf.group(&[robot.id]).await;
    let outer = wharf.group(&[inner]).await;
    wharf.assign(outer, "AcrPush", &group_id()).await;
    let caller = wharf.basic(&robot.app_id, &robot.secret).await.unwrap();
    let token = wharf.token_for(&caller, "repository:a:push").await;
    assert!(on(&wharf.bearer(&token).await.unwrap(), Action::Push, "a"));
    wharf.identity.remove_group_member(outer, inner).await.unwrap();
    assert_eq!(problem(wharf.bearer(&token).await), Some(TokenProblem::Revoked), "at once");
    assert!(wharf.basic(&robot.app_id, &robot.secret).await.is_err());
}

#[tokio::test]
async fn a_removed_role_ends_what_came_of_it_at_once() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    let pull = wharf.assign(robot.id, "AcrPull", &registry_id("contoso")).await;
    let push = wharf.assign(robot.id, "AcrPush", &registry_id("contoso")).await;
    let caller = wharf.basic(&robot.app_id, &robot.secret).await.unwrap();
    let refresh = wharf.identity.refresh_token(&wharf.contoso, "contoso.example.com", &caller).await.unwrap();
    let access = wharf.token_for(&caller, "repository:a:pull,push").await;
    for caller in [wharf.bearer(&access).await.unwrap(), wharf.refresh(&refresh).await.unwrap()] {
        assert!(on(&caller, Action::Pull, "a") && on(&caller, Action::Push, "a"));
    }
    wharf.unassign(push).await;
    for caller in [wharf.bearer(&access).await.unwrap(), wharf.basic(TOKEN_USER, &refresh).await.unwrap()] {
        assert!(on(&caller, Action::Pull, "a") && !on(&caller, Action::Push, "a"));
    }
    wharf.unassign(pull).await;
    let revoked = Some(TokenProblem::Revoked);
    assert_eq!(problem(wharf.bearer(&access).await), revoked);
    assert_eq!(problem(wharf.refresh(&refresh).await), revoked);
    wharf.assign(robot.id, "AcrPull", &registry_id("contoso")).await;
    assert!(on(&wharf.bearer(&access).await.unwrap(), Action::Pull, "a"), "a role that is given again counts again");
}

#[tokio::test]
async fn whoever_is_removed_or_switched_off_or_loses_a_secret_is_out_at_once() {
    let wharf = Installation::start().await;
    for end in 0..3 {
        let robot = wharf.robot().await;
        wharf.assign(robot.id, "AcrPull", &group_id()).await;
        let caller = wharf.basic(&robot.app_id, &robot.secret).await.unwrap();
        let access = wharf.token_for(&caller, "repository:a:pull").await;
        wharf.bearer(&access).await.unwrap();
        match end {
            0 => wharf.identity.delete_principal(robot.id).await.unwrap(),
            1 => {
                let disable = |row: &mut wharf_metadata::PrincipalRow| {
                    row.is_enabled = false;
                    Ok(())
                };
                wharf.identity.update_principal(robot.id, disable).await.unwrap();
            }
            _ => {
                let (holder, key): (Holder, _) = robot.key;
                wharf.identity.remove_secret(holder, key).await.unwrap();
            }
        }
        assert_eq!(problem(wharf.bearer(&access).await), Some(TokenProblem::Revoked), "{end}");
        assert!(matches!(wharf.basic(&robot.app_id, &robot.secret).await, Err(AuthError::BadCredentials)), "{end}");
    }
}

#[tokio::test]
async fn where_roles_count_by_repository_conditions_limit_them() {
    let mut wharf = Installation::start().await;
    wharf.by_repository(true);
    let robot = wharf.robot().await;
    let scope = registry_id("contoso");
    wharf.assign_if(robot.id, "Container Registry Repository Writer", &scope, Some(TEAM)).await;
    wharf.assign(robot.id, "AcrDelete", &scope).await;
    let caller = wharf.basic(&robot.app_id, &robot.secret).await.unwrap();
    assert!(on(&caller, Action::Push, "team/app") && on(&caller, Action::MetadataRead, "team/app"));
    assert!(may_untag(&caller, "team/app") && !on(&caller, Action::Delete, "team/app"));
    assert!(!on(&caller, Action::Pull, "other") && !on(&caller, Action::Pull, "*") && !lists(&caller));

    let token = wharf.token_for(&caller, "repository:*:* repository:team/app:pull repository:other:pull").await;
    let caller = wharf.bearer(&token).await.unwrap();
    assert!(on(&caller, Action::Pull, "team/app") && !on(&caller, Action::Pull, "other"));
    assert!(!on(&caller, Action::Pull, "team/b"), "the wildcard was dropped");

    let robot = wharf.robot().await;
    wharf.assign(robot.id, "Owner", &ResourceId::root()).await;
    let caller = wharf.basic(&robot.app_id, &robot.secret).await.unwrap();
    assert!(!on(&caller, Action::Pull, "a") && !lists(&caller), "an owner manages, and is let in to be told so");
}

#[tokio::test]
async fn another_mode_voids_the_tokens_of_the_one_before() {
    let mut wharf = Installation::start().await;
    let robot = wharf.robot().await;
    for role in ["AcrPull", "Container Registry Repository Reader"] {
        wharf.assign(robot.id, role, &group_id()).await;
    }
    let admin = wharf.admin_token("repository:a:pull").await;
    let mut of_mode = Vec::new();
    for by_repository in [false, true] {
        wharf.by_repository(by_repository);
        let caller = wharf.basic(&robot.app_id, &robot.secret).await.unwrap();
        assert!(on(&caller, Action::Pull, "a"));
        let refresh = wharf.identity.refresh_token(&wharf.contoso, "contoso.example.com", &caller).await.unwrap();
        let access = wharf.token_for(&caller, "repository:a:pull").await;
        wharf.refresh(&refresh).await.unwrap();
        wharf.bearer(&access).await.unwrap();
        of_mode.push((refresh, access));
    }
    for (by_repository, other) in [(true, &of_mode[0]), (false, &of_mode[1])] {
        wharf.by_repository(by_repository);
        assert_eq!(problem(wharf.refresh(&other.0).await), Some(TokenProblem::Revoked));
        assert_eq!(problem(wharf.bearer(&other.1).await), Some(TokenProblem::Revoked));
        wharf.bearer(&admin).await.unwrap();
    }
    wharf.bearer(&of_mode[0].1).await.unwrap();
}

#[tokio::test]
async fn a_condition_on_the_place_is_decided_for_each_request() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    let condition = Some("@Environment[isPrivateLink] BoolEquals true");
    wharf.assign_if(robot.id, "AcrPull", &group_id(), condition).await;
    let caller = wharf.basic(&robot.app_id, &robot.secret).await.unwrap();
    let refresh = wharf.identity.refresh_token(&wharf.contoso, "contoso.example.com", &caller).await.unwrap();
    for is_private in [true, false, true] {
        let client = Some(Client { address: [192, 0, 2, 1].into(), is_private });
        let caller = wharf.identity.authenticate(&wharf.contoso, Credentials::RefreshToken(&refresh), client).await;
        assert_eq!(on(&caller.unwrap(), Action::Pull, "a"), is_private);
    }
}

#[tokio::test]
async fn a_role_gives_nothing_outside_of_its_assignable_scopes() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    let contoso = wharf.contoso.resource_id.clone();
    let other = registry_id("other");
    const READ: &str = "Microsoft.ContainerRegistry/registries/read";
    let role = wharf.define_in(&format!(r#"[{{"actions": ["{READ}", "*/pull/read"]}}]"#), vec![other.clone()]).await;
    for scope in [&contoso, &other] {
        wharf.assign_id(robot.id, role, scope, None).await;
    }
    let principal = wharf.identity.find_principal(robot.id).await.unwrap().unwrap();
    let reach = wharf.identity.reach(&principal, READ).await.unwrap();
    for (scope, may) in [(&contoso, false), (&other, true), (&other.child("tokens", "t").unwrap(), true)] {
        assert_eq!(wharf.identity.may_act(&principal, READ, scope).await.unwrap(), may, "{scope}");
        assert_eq!(reach.covers(scope), may, "{scope}");
    }
    assert!(!wharf.identity.sees(&principal, &contoso).await.unwrap());
    assert!(wharf.basic(&robot.app_id, &robot.secret).await.is_err());
}

#[tokio::test]
async fn roles_that_cannot_be_read_give_nothing_and_the_others_go_on() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    wharf.assign_if(robot.id, "AcrPush", &group_id(), Some("what is this")).await;
    wharf.assign_id(robot.id, uuid::Uuid::new_v4(), &group_id(), None).await;
    assert!(wharf.basic(&robot.app_id, &robot.secret).await.is_err());
    let custom = wharf
        .define(r#"[{"actions":["Microsoft.ContainerRegistry/registries/*/read"],"notActions":["*/metadata/read"]}]"#)
        .await;
    wharf.assign_id(robot.id, custom, &registry_id("contoso"), None).await;
    let caller = wharf.basic(&robot.app_id, &robot.secret).await.unwrap();
    assert!(
        on(&caller, Action::Pull, "a") && !on(&caller, Action::MetadataRead, "a") && !on(&caller, Action::Push, "a")
    );
}

#[tokio::test]
async fn the_management_plane_asks_the_same_roles() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    let group = wharf.group(&[robot.id]).await;
    let principal = wharf.identity.find_principal(robot.id).await.unwrap().unwrap();
    let write = "Microsoft.ContainerRegistry/registries/write";
    let contoso = registry_id("contoso");
    assert!(!wharf.identity.may_act(&principal, write, &contoso).await.unwrap());
    assert!(!wharf.identity.sees(&principal, &ResourceId::root()).await.unwrap());

    let assignment = wharf.assign(group, "Contributor", &contoso).await;
    assert!(wharf.identity.may_act(&principal, write, &registry_id("Contoso")).await.unwrap());
    assert!(wharf.identity.may_act(&principal, write, &contoso.child("tokens", "t").unwrap()).await.unwrap());
    assert!(!wharf.identity.may_act(&principal, write, &group_id()).await.unwrap());
    assert!(!wharf.identity.may_act(&principal, write, &registry_id("contoso2")).await.unwrap());

    let reach = wharf.identity.reach(&principal, write).await.unwrap();
    assert!(reach.covers(&contoso) && reach.covers(&contoso.child("tokens", "t").unwrap()));
    assert!(!reach.covers(&registry_id("contoso2")) && !reach.covers(&group_id()));
    assert!(!reach.covers(&ResourceId::root()));
    for (scope, sees) in [
        (ResourceId::root(), true),
        (group_id(), true),
        (contoso.clone(), true),
        (contoso.child("tokens", "t").unwrap(), true),
        (registry_id("contoso2"), false),
        ("/subscriptions/00000000-0000-4000-8000-000000000001".parse().unwrap(), false),
    ] {
        assert_eq!(wharf.identity.sees(&principal, &scope).await.unwrap(), sees, "{scope}");
    }

    wharf.unassign(assignment).await;
    assert!(!wharf.identity.may_act(&principal, write, &contoso).await.unwrap());
    wharf.assign(robot.id, "Reader", &ResourceId::root()).await;
    let reach = wharf.identity.reach(&principal, "Microsoft.ContainerRegistry/registries/read").await.unwrap();
    assert!(reach.covers(&contoso) && reach.covers(&ResourceId::root()));
    let names: Vec<_> = wharf.identity.list_roles(&principal, &contoso).await.unwrap();
    assert_eq!(names.iter().map(|role| &*role.name).collect::<Vec<_>>(), ["Reader"]);

    wharf.identity.delete_principal(robot.id).await.unwrap();
    assert!(!wharf.identity.may_act(&principal, "x/read", &contoso).await.unwrap(), "whoever holds an old principal");
}

#[tokio::test]
async fn data_actions_and_limits_on_handing_out_access() {
    let wharf = Installation::start().await;
    let robot = wharf.robot().await;
    let principal = wharf.identity.find_principal(robot.id).await.unwrap().unwrap();
    let read = "Microsoft.ContainerRegistry/registries/repositories/content/read";
    let contoso = registry_id("contoso");
    wharf.assign_if(robot.id, "Container Registry Repository Reader", &contoso, Some(TEAM)).await;
    for (repository, may) in [(Some("team/app"), true), (Some("other"), false), (None, false)] {
        let answer = wharf.identity.may_act_on_data(&principal, read, &contoso, repository).await.unwrap();
        assert_eq!(answer, may, "{repository:?}");
    }

    let condition = "@Request[Microsoft.Authorization/roleAssignments:PrincipalType] StringEquals 'Group'";
    wharf.assign_if(robot.id, "Role Based Access Control Administrator", &contoso, Some(condition)).await;
    for (principal_type, may) in [("Group", true), ("User", false)] {
        let requested = AssignmentAttributes {
            role_definition_id: uuid::Uuid::nil(),
            principal_id: uuid::Uuid::nil(),
            principal_type,
        };
        let write = "Microsoft.Authorization/roleAssignments/write";
        let answer = wharf.identity.may_assign(&principal, write, &contoso, Some(requested), None).await.unwrap();
        assert_eq!(answer, may, "{principal_type}");
    }
}

#[tokio::test]
async fn whoever_guesses_at_a_chosen_password_of_the_admin_user_must_wait() {
    let mut wharf = Installation::start().await;
    for _ in 0..10 {
        assert!(matches!(wharf.basic("contoso", "guess").await, Err(AuthError::BadCredentials)));
    }
    assert!(matches!(wharf.basic("contoso", "guess").await, Err(AuthError::Throttled(_))));
    assert!(matches!(wharf.basic("contoso", "contoso-password").await, Err(AuthError::Throttled(_))));
    let row = wharf.identity.regenerate(&wharf.contoso, crate::PasswordName::Password, "somebody").await.unwrap();
    let [generated, _] = wharf.identity.reveal(&row).unwrap();
    wharf.contoso = row;
    use secrecy::ExposeSecret as _;
    wharf.basic("contoso", generated.expose_secret()).await.expect("nobody guessed that one");
    wharf.clock.advance(Duration::from_mins(2));
    wharf.basic("contoso", "contoso-password2").await.unwrap();
}

/// What a token of the registry gets, and until when.
#[tokio::test]
async fn a_token_of_the_registry_may_what_its_scope_map_says_while_its_password_lasts() {
    use secrecy::ExposeSecret as _;
    use wharf_metadata::{scope_maps, tokens};
    use wharf_model::Clock as _;

    use crate::TokenPasswordName::{Password1, Password2};

    let wharf = Installation::start().await;
    let registry = wharf.contoso.id;
    let put = async |actions: &[&str], is_enabled: bool| -> i64 {
        let actions: Vec<String> = actions.iter().map(|&action| action.to_owned()).collect();
        let put = wharf.database.write_access(move |c| {
            Box::pin(async move {
                scope_maps::put(c, registry, "team", &actions).await?;
                tokens::put(c, registry, "Agent", "team", is_enabled).await
            })
        });
        put.await.unwrap()
    };
    let id = put(&["repositories/team/*/content/read", "repositories/team/*/content/write"], true).await;
    let ends = wharf.clock.now() + Duration::from_mins(10);
    let (identity, uid) = (wharf.identity.clone(), wharf.contoso.uid);
    let made = wharf.database.write_access(move |c| {
        Box::pin(async move {
            let mut made = identity.generate_token_passwords(c, uid, id, &[Password1], Some(ends)).await?;
            made.extend(identity.generate_token_passwords(c, uid, id, &[Password2], None).await?);
            Ok::<_, crate::Error>(made)
        })
    });
    let made: Vec<String> = made.await.unwrap().iter().map(|new| new.value.expose_secret().to_owned()).collect();

    let mut issued = Vec::new();
    for password in &made {
        let caller = wharf.basic("agent", password).await.unwrap();
        assert_eq!(caller.name(), "Agent");
        assert!(matches!(caller.subject(), Subject::Token { .. }));
        assert!(on(&caller, Action::Push, "team/app") && !on(&caller, Action::Push, "other") && !lists(&caller));
        let refresh = wharf.identity.refresh_token(&wharf.contoso, "contoso.example.com", &caller).await.unwrap();
        let access = wharf.token_for(&caller, "repository:team/app:pull,push,delete registry:catalog:*").await;
        assert!(on(&wharf.bearer(&access).await.unwrap(), Action::Push, "team/app"));
        issued.push([refresh, access]);
    }
    let first = wharf.refresh(&issued[0][0]).await.unwrap();
    let begotten = wharf.token_for(&first, "repository:team/app:pull").await;

    put(&["repositories/team/*/content/read"], true).await;
    for [_, access] in &issued {
        let caller = wharf.bearer(access).await.unwrap();
        assert!(on(&caller, Action::Pull, "team/app") && !on(&caller, Action::Push, "team/app"), "at once");
    }
    wharf.clock.advance(Duration::from_mins(10));
    for token in issued[0].iter().chain([&begotten]) {
        assert_eq!(problem(wharf.basic(TOKEN_USER, token).await), Some(TokenProblem::Expired), "as its password");
    }
    wharf.bearer(&issued[1][1]).await.expect("the other password goes on");
    put(&["repositories/team/*/content/read"], false).await;
    for token in &issued[1] {
        assert_eq!(problem(wharf.basic(TOKEN_USER, token).await), Some(TokenProblem::Revoked), "disabled");
    }
    assert!(matches!(wharf.basic("agent", &made[1]).await, Err(AuthError::BadCredentials)));
}
