//! Who may do what: the table, and what it does not show.

use proptest::prelude::*;
use wharf_model::Timestamp;

use super::*;
use crate::role::{Permission, built_in_roles};
use crate::system_scope_maps::SYSTEM_SCOPE_MAPS;

const NOW: Environment = Environment { now: Timestamp(0), is_private: false };
const TEAM: &str = "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWith 'team/'";

fn role(name: &str) -> Arc<RoleDefinition> {
    built_in_roles().iter().find(|role| role.name == name).unwrap_or_else(|| panic!("{name}")).clone()
}

fn assigned(name: &str, condition: Option<&str>) -> Assignment {
    Assignment { role: role(name), condition: condition.map(|text| Arc::new(text.parse().unwrap())) }
}

fn rights(mode: Mode, roles: &[&str]) -> Rights {
    let assignments: Vec<Assignment> = roles.iter().map(|name| assigned(name, None)).collect();
    Rights::of_roles(mode, &assignments)
}

fn on(rights: &Rights, action: Action, repository: &str) -> bool {
    rights.allow(action, ResourceKind::Repository, repository, NOW)
}

/// What somebody may do, in a line per resource.
fn row(who: &str, rights: &Rights) -> String {
    let mut lines = Vec::new();
    for name in ["team/app", "other", "*"] {
        let mut words: Vec<&str> =
            Action::EVERY.into_iter().filter(|&action| on(rights, action, name)).map(Action::as_str).collect();
        for (ability, word) in [
            (Ability::Untag, "(untag)"),
            (Ability::QuarantineRead, "(quarantine read)"),
            (Ability::QuarantineWrite, "(quarantine write)"),
            (Ability::Sign, "(sign)"),
        ] {
            words.extend(rights.can(ability, name, NOW).then_some(word));
        }
        lines.push((format!("repository {name}"), words));
    }
    for (kind, name) in [
        (ResourceKind::Registry, "catalog"),
        (ResourceKind::Registry, "deleted_catalog"),
        (ResourceKind::ArtifactRepository, "charts"),
    ] {
        let words = Action::EVERY.into_iter().filter(|&action| rights.allow(action, kind, name, NOW));
        lines.push((format!("{} {name}", kind.as_str()), words.map(Action::as_str).collect()));
    }
    let lines: Vec<String> = lines
        .into_iter()
        .filter(|(_, words)| !words.is_empty())
        .map(|(resource, words)| format!("    {resource:<28} {}", words.join(" ")))
        .collect();
    let lines = if lines.is_empty() { "    nothing".to_owned() } else { lines.join("\n") };
    format!("{who}\n{lines}\n")
}

/// The table: role × action × resource, in both modes, and everybody who has rights without roles.
#[test]
fn the_table_of_rights() {
    let mut table = String::new();
    for (mode, title) in
        [(Mode::Registry, "LegacyRegistryPermissions"), (Mode::Repository, "AbacRepositoryPermissions")]
    {
        table += &format!("# {title}\n\n");
        for role in built_in_roles() {
            table += &row(&role.name, &rights(mode, &[&role.name]));
        }
        for role in [
            "Container Registry Repository Reader",
            "Container Registry Repository Writer",
            "Container Registry Repository Contributor",
            "Container Registry Repository Catalog Lister",
            "AcrPush",
            "Owner",
        ] {
            let limited = Rights::of_roles(mode, &[assigned(role, Some(TEAM))]);
            table += &row(&format!("{role}, where the name begins with team/"), &limited);
        }
        table += &row(
            "Container Registry Repository Writer and Reader (deleted/read)",
            &rights(mode, &["Container Registry Repository Writer", "Reader"]),
        );
        table += &row(
            "Container Registry Repository Writer and Owner (deleted/restore)",
            &rights(mode, &["Container Registry Repository Writer", "Owner"]),
        );
        table += "\n";
    }
    table += "# Whatever the mode\n\n";
    table += &row("the admin user", &Rights::everything());
    table += &row("anonymous, anonymous pull on", &Rights::read_everything());
    table += &row("anonymous, anonymous pull off", &Rights::nothing());
    for map in SYSTEM_SCOPE_MAPS {
        let actions: Vec<ScopeMapAction> = map.actions.iter().map(|text| text.parse().unwrap()).collect();
        table += &row(&format!("a token with the scope map {}", map.name), &Rights::of_scope_map(&actions));
    }
    for actions in [
        "repositories/team/app/content/read",
        "repositories/team/app/content/read repositories/team/app/content/write",
        "repositories/team/app/content/delete",
        "repositories/team/app/metadata/read",
        "repositories/team/app/metadata/write",
        "repositories/team/*/content/read repositories/other/metadata/read",
        "gateway/edge/config/read gateway/edge/message/write",
    ] {
        let parsed: Vec<ScopeMapAction> = actions.split(' ').map(|text| text.parse().unwrap()).collect();
        table += &row(&format!("a token with {actions}"), &Rights::of_scope_map(&parsed));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn registry_wide_roles_come_to_nothing_where_roles_count_by_repository_and_the_other_way_round() {
    for name in ["AcrPull", "AcrPush", "AcrDelete", "Owner", "Contributor", "Reader", "AcrImageSigner"] {
        assert!(!on(&rights(Mode::Repository, &[name]), Action::Pull, "a"), "{name}");
        assert!(
            !rights(Mode::Repository, &[name]).allow(Action::All, ResourceKind::Registry, "catalog", NOW),
            "{name}"
        );
    }
    for name in ["Repository Reader", "Repository Writer", "Repository Contributor", "Repository Catalog Lister"] {
        assert!(rights(Mode::Registry, &[&format!("Container Registry {name}")]).is_nothing(), "{name}");
    }
    assert!(!rights(Mode::Repository, &["AcrQuarantineReader"]).is_nothing(), "quarantine goes on");
}

#[test]
fn roles_add_up_and_the_wider_one_counts() {
    const READER: &str = "Container Registry Repository Reader";
    let limited = assigned(READER, Some(TEAM));
    let narrow = Rights::of_roles(Mode::Repository, std::slice::from_ref(&limited));
    assert!(on(&narrow, Action::Pull, "team/app") && !on(&narrow, Action::Pull, "other"));
    assert!(!on(&narrow, Action::Pull, "*"), "not everything");
    let wide = Rights::of_roles(Mode::Repository, &[limited, assigned(READER, None)]);
    assert_eq!(wide, rights(Mode::Repository, &[READER]), "the normal form forgets what is not needed");
    assert!(!narrow.know_wildcards() && Rights::everything().know_wildcards());
}

#[test]
fn the_place_of_a_request_can_count() {
    let condition = Some("@Environment[isPrivateLink] BoolEquals true");
    let rights = Rights::of_roles(Mode::Registry, &[assigned("AcrPull", condition)]);
    assert!(rights.asks_environment() && !rights.is_nothing());
    let pull =
        |is_private| rights.allow(Action::Pull, ResourceKind::Repository, "a", Environment { is_private, ..NOW });
    assert!(pull(true) && !pull(false));
}

#[test]
fn custom_roles_mean_what_their_operations_say() {
    let custom = |actions: &[&'static str], not: &[&'static str], data: &[&'static str]| {
        let list = |texts: &[&'static str]| texts.iter().map(|&text| text.into()).collect();
        let permission = Permission {
            actions: list(actions),
            not_actions: list(not),
            data_actions: list(data),
            ..Default::default()
        };
        let role = RoleDefinition { is_built_in: false, permissions: vec![permission], ..(*role("Owner")).clone() };
        Assignment { role: role.into(), condition: None }
    };
    let rights =
        Rights::of_roles(Mode::Registry, &[custom(&["Microsoft.ContainerRegistry/*"], &["*/push/write"], &[])]);
    assert!(on(&rights, Action::Pull, "a") && on(&rights, Action::Delete, "a") && !on(&rights, Action::Push, "a"));
    let everything = custom(&[], &[], &["*"]);
    let rights = Rights::of_roles(Mode::Repository, &[everything]);
    assert!(on(&rights, Action::Push, "a") && !on(&rights, Action::DeletedRead, "a"));
}

#[test]
fn the_management_plane_asks_actions_alone() {
    let none = Attributes::default();
    let may = |role: &str, operation: &str| may_act(&[assigned(role, None)], operation, &none);
    assert!(may("Owner", "Microsoft.ContainerRegistry/registries/write"));
    assert!(!may(
        "Container Registry Repository Contributor",
        "Microsoft.ContainerRegistry/registries/repositories/content/read"
    ));
    assert!(!may_act(&[], "x", &none));
    let limited = assigned(
        "Role Based Access Control Administrator",
        Some(
            "!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'}) OR
         @Request[Microsoft.Authorization/roleAssignments:PrincipalType] StringEquals 'Group'",
        ),
    );
    const WRITE: &str = "Microsoft.Authorization/roleAssignments/write";
    let as_kind = |principal_type| {
        let requested = AssignmentAttributes {
            role_definition_id: uuid::Uuid::nil(),
            principal_id: uuid::Uuid::nil(),
            principal_type,
        };
        may_assign(std::slice::from_ref(&limited), WRITE, Some(requested), None, NOW)
    };
    assert!(as_kind("Group") && !as_kind("User"));
    assert!(may_act(std::slice::from_ref(&limited), "Microsoft.Authorization/roleAssignments/delete", &none));
    assert!(!may_act(&[limited], WRITE, &none), "what is not known is not allowed");
}

#[test]
fn who_may_not_assign_some_roles_may_not_just_assign() {
    const WRITE: &str = "Microsoft.Authorization/roleAssignments/write";
    let owner = uuid::uuid!("8e3af657-a8ff-443c-a75c-2fe8c4bcb635");
    let text = format!(
        "!(ActionMatches{{'{WRITE}'}}) OR NOT @Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId]
         ForAnyOfAnyValues:GuidEquals {{{owner}}}"
    );
    let delegate = [assigned("Role Based Access Control Administrator", Some(&text))];
    let may = |role_definition_id| {
        let requested =
            AssignmentAttributes { role_definition_id, principal_id: uuid::Uuid::nil(), principal_type: "User" };
        may_assign(&delegate, WRITE, Some(requested), None, NOW)
    };
    assert!(may(uuid::Uuid::nil()) && !may(owner));
    assert!(!may_act(&delegate, WRITE, &Attributes { environment: Some(NOW), ..Attributes::default() }));
    assert!(!may_act_unconditionally(&delegate, WRITE));
    let always = assigned("Role Based Access Control Administrator", Some("ActionMatches{'*'}"));
    assert!(!may_act_unconditionally(&[always], WRITE), "a condition is one");
    assert!(may_act_unconditionally(&[assigned("Owner", None)], WRITE));
    assert!(!may_act_unconditionally(&[assigned("Contributor", None)], WRITE));
}

#[test]
fn conditions_on_repositories_give_nothing_of_the_registry() {
    const NAME: &str = "@Request[Microsoft.ContainerRegistry/registries/repositories:name]";
    let listed = |rights: &Rights| {
        ["catalog", "deleted_catalog"].map(|name| rights.allow(Action::All, ResourceKind::Registry, name, NOW))
    };
    let roles = ["Container Registry Repository Catalog Lister", "Container Registry Repository Contributor"];
    let owner = ["Owner"];
    for condition in [
        format!("{NAME} StringNotEquals 'secret'"),
        format!("!({NAME} StringEquals 'secret')"),
        format!("NOT {NAME} ForAnyOfAnyValues:StringStartsWith {{'secret', 'hidden'}}"),
        format!("!({NAME} StringEquals 'secret' OR {NAME} StringEquals 'hidden')"),
        format!("!({NAME} StringEquals 'secret' AND ActionMatches{{'*'}})"),
    ] {
        for (mode, roles) in [(Mode::Repository, &roles[..]), (Mode::Registry, &owner)] {
            let of = |condition: Option<&str>| {
                let held: Vec<_> = roles.iter().map(|role| assigned(role, condition)).collect();
                Rights::of_roles(mode, &held)
            };
            assert!(listed(&of(None))[0], "{roles:?}");
            let rights = of(Some(&condition));
            assert_eq!(listed(&rights), [false, false], "{roles:?} {condition}");
            assert!(on(&rights, Action::Pull, "app") && !on(&rights, Action::Pull, "secret"), "{roles:?} {condition}");
        }
    }
}

#[test]
fn words_of_refresh_tokens() {
    assert_eq!(Rights::everything().words(), ["*"]);
    assert_eq!(rights(Mode::Registry, &["AcrPush"]).words(), ["read", "write"]);
    assert_eq!(rights(Mode::Repository, &["Container Registry Repository Reader"]).words(), ["read", "metadata/read"]);
    assert!(Rights::nothing().words().is_empty());
}

proptest! {
    /// What the normal form answers is what asking each role with its condition would.
    #[test]
    fn rights_mean_what_their_roles_say(
        held in prop::collection::vec((0..built_in_roles().len(), 0..5usize), 0..5),
        name in prop::sample::select(vec!["team/app", "team/", "other", "a"]),
        in_repositories: bool,
        is_private: bool,
    ) {
        let conditions = [
            TEAM,
            "@Environment[isPrivateLink] BoolEquals true",
            "!(ActionMatches{'*/content/read'}) OR (@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringEquals 'other')",
            "ActionMatches{'*/write'}",
        ];
        let assignments: Vec<Assignment> = held
            .iter()
            .map(|&(role, condition)| assigned(&built_in_roles()[role].name, conditions.get(condition).copied()))
            .collect();
        let mode = if in_repositories { Mode::Repository } else { Mode::Registry };
        let rights = Rights::of_roles(mode, &assignments);
        let environment = Environment { is_private, ..NOW };
        let attributes = Attributes { repository: Some(name), environment: Some(environment), ..Attributes::default() };
        for ability in Ability::EVERY {
            if in_repositories && matches!(ability, Ability::DeletedRead | Ability::DeletedRestore) {
                continue;
            }
            let expected = mode.effects().iter().any(|(side, operation, abilities)| {
                abilities.has(ability)
                    && assignments.iter().any(|assignment| assignment.allows(*side, operation, &attributes))
            });
            prop_assert_eq!(rights.can(ability, name, environment), expected, "{:?}", ability);
        }
    }
}
