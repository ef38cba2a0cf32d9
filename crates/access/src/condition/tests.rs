//! Conditions read, refused, decided, decided in part and printed.

use proptest::prelude::*;
use uuid::Uuid;
use wharf_model::Timestamp;

use super::*;

const READ: &str = "Microsoft.ContainerRegistry/registries/repositories/content/read";
const META: &str = "Microsoft.ContainerRegistry/registries/repositories/metadata/read";
const WRITE: &str = "Microsoft.ContainerRegistry/registries/repositories/content/write";
const NAME: &str = "@Request[Microsoft.ContainerRegistry/registries/repositories:name]";
const ROLE: Uuid = Uuid::from_u128(7);

fn condition(text: &str) -> Condition {
    text.replace("NAME", NAME).parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    text.parse::<Condition>().unwrap_err().to_string()
}

fn on(repository: &str) -> Attributes<'_> {
    Attributes { repository: Some(repository), ..Attributes::default() }
}

fn holds(text: &str, repository: &str) -> bool {
    condition(text).holds(READ, &on(repository))
}

/// As in `acr/semantics.md` 3.2, and as the portal writes it.
const DOCUMENTED: &str = "
(
  ( !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/read'})
    AND
    !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/metadata/read'}) )
  OR
  ( @Request[Microsoft.ContainerRegistry/registries/repositories:name] StringEqualsIgnoreCase 'team/app' )
)";

#[test]
fn the_documented_condition_limits_what_it_names_and_nothing_else() {
    let condition = condition(DOCUMENTED);
    for operation in [READ, META] {
        assert!(condition.holds(operation, &on("team/app")) && condition.holds(operation, &on("Team/App")));
        assert!(!condition.holds(operation, &on("team/app2")));
        assert!(!condition.holds(operation, &Attributes::default()), "without a name nothing is compared");
    }
    assert!(condition.holds(WRITE, &on("other")), "of writing it says nothing");
}

#[test]
fn prefixes_end_where_they_are_written_to_end() {
    assert!(holds("NAME StringStartsWithIgnoreCase 'team/'", "team/app"));
    assert!(!holds("NAME StringStartsWithIgnoreCase 'team/'", "team2/app"));
    assert!(holds("NAME StringStartsWith 'team'", "team2/app"));
    assert!(holds("NAME StringNotStartsWith 'Team'", "team/app"), "with casing");
    assert!(!holds("NAME StringNotStartsWithIgnoreCase 'Team'", "team/app"));
}

#[test]
fn every_operator_on_texts() {
    for (text, repository, expected) in [
        ("NAME StringEquals 'a/b'", "a/b", true),
        ("NAME stringequals 'A/b'", "a/b", false),
        ("NAME StringEqualsIgnoreCase 'A/b'", "a/b", true),
        ("NAME StringNotEquals 'a/b'", "a/b", false),
        ("NAME StringNotEqualsIgnoreCase 'A/c'", "a/b", true),
        ("NAME StringLike 'a/*'", "a/b", true),
        ("NAME StringLike '?/b'", "a/b", true),
        ("NAME StringNotLike '*/b'", "a/b", false),
        ("NAME StringLikeIgnoreCase 'A/?'", "a/b", true),
        ("NAME StringNotLikeIgnoreCase 'A'", "a/b", true),
        ("NAME ForAnyOfAnyValues:StringEquals {'x', 'a/b'}", "a/b", true),
        ("NAME ForAnyOfAnyValues:StringEquals {'x', 'y'}", "a/b", false),
        ("NAME ForAllOfAnyValues:StringStartsWith {'x/', 'a/'}", "a/b", true),
        ("NAME ForAnyOfAllValues:StringLike {'a*', '*b'}", "a/b", true),
        ("NAME ForAllOfAllValues:StringNotEquals {'x', 'a/b'}", "a/b", false),
        ("NAME ForAllOfAllValues:StringNotEquals {'x', 'y'}", "a/b", true),
        ("NAME StringEquals {'a/b'}", "a/b", true),
        ("NAME StringEquals NAME", "a/b", true),
        ("NAME StringNotEqualsIgnoreCase NAME", "a/b", false),
    ] {
        assert_eq!(holds(text, repository), expected, "{text} on {repository}");
    }
}

#[test]
fn words_and_signs_for_and_or_and_not() {
    for (text, expected) in [
        ("Exists NAME AND Exists NAME", true),
        ("Exists NAME && NotExists NAME", false),
        ("notexists NAME || EXISTS NAME", true),
        ("! NotExists NAME", true),
        ("NOT NOT exists NAME", true),
        ("!!Exists NAME", true),
        ("!(Exists NAME) OR Exists NAME", true),
        // AND binds tighter than OR, NOT tighter than both.
        ("Exists NAME OR Exists NAME AND NotExists NAME", true),
        ("(Exists NAME OR Exists NAME) AND NotExists NAME", false),
        ("!Exists NAME OR Exists NAME", true),
        ("SubOperationMatches{'Blob.List'}", false),
        ("ActionMatches{'*/content/read'}", true),
        ("actionmatches{'Microsoft.ContainerRegistry/registries/repositories/content/WRITE'}", false),
    ] {
        assert_eq!(holds(text, "a"), expected, "{text}");
    }
}

#[test]
fn handing_out_access_can_be_limited() {
    const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
    // As published for constrained delegation, with GUIDs without quotes.
    let text = format!(
        "((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/write'}})) OR
          (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAllValues:GuidNotEquals {{{OWNER}, {ROLE}}}
           AND @Request[Microsoft.Authorization/roleAssignments:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {{'ServicePrincipal'}}))
         AND ((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/delete'}})) OR
          (@Resource[Microsoft.Authorization/roleAssignments:PrincipalId] GuidEquals '{ROLE}'))"
    );
    let condition = condition(&text);
    let of = |role: u128, kind: &'static str| AssignmentAttributes {
        role_definition_id: Uuid::from_u128(role),
        principal_id: ROLE,
        principal_type: kind,
    };
    let write = |role, kind| {
        let attributes = Attributes { requested: Some(of(role, kind)), ..Attributes::default() };
        condition.holds("Microsoft.Authorization/roleAssignments/write", &attributes)
    };
    assert!(write(8, "serviceprincipal"));
    assert!(!write(7, "ServicePrincipal") && !write(8, "User"));
    assert!(!write(OWNER.parse::<Uuid>().unwrap().as_u128(), "ServicePrincipal"));
    let delete = |attributes| condition.holds("Microsoft.Authorization/roleAssignments/delete", &attributes);
    assert!(delete(Attributes { existing: Some(of(1, "User")), ..Attributes::default() }));
    assert!(!delete(Attributes::default()));
}

#[test]
fn of_what_is_absent_the_opposite_does_not_hold_either() {
    let nothing = Attributes::default();
    for (text, expected) in [
        ("NAME StringEquals 'a'", false),
        ("!(NAME StringEquals 'a')", false),
        ("!!(NAME StringEquals 'a')", false),
        ("NAME StringNotEquals 'a'", false),
        ("!(NAME StringNotEquals 'a')", false),
        ("!(NAME ForAnyOfAnyValues:StringEquals {'a', 'b'})", false),
        ("!(NAME ForAllOfAllValues:StringNotEquals {'a', 'b'})", false),
        ("!(NAME StringEquals NAME)", false),
        ("!(NAME StringEquals 'a' AND NAME StringEquals 'b')", false),
        ("!(NAME StringEquals 'a' OR NAME StringEquals 'b')", false),
        (
            "!(@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {00000000-0000-0000-0000-000000000007})",
            false,
        ),
        // What is known settles what it settles alone.
        ("NAME StringEquals 'a' OR ActionMatches{'*'}", true),
        ("!(NAME StringEquals 'a' AND ActionMatches{'x'})", true),
        ("!(NAME StringEquals 'a' OR ActionMatches{'*'})", false),
        ("NotExists NAME", true),
        ("!(Exists NAME) OR NAME StringEquals 'a'", true),
    ] {
        assert_eq!(condition(text).holds(READ, &nothing), expected, "{text}");
        let reduced = match condition(text).reduce(READ) {
            Verdict::Always => true,
            Verdict::Never => false,
            Verdict::If(rest) => rest.holds("", &nothing),
        };
        assert_eq!(reduced, expected, "{text}, reduced");
    }
}

#[test]
fn time_and_place_of_a_request_can_count() {
    let at = |seconds: i64, is_private: bool| Attributes {
        environment: Some(Environment { now: Timestamp::from_unix_seconds(seconds), is_private }),
        ..Attributes::default()
    };
    let private = condition("@Environment[isPrivateLink] BoolEquals true");
    assert!(private.holds(READ, &at(0, true)) && !private.holds(READ, &at(0, false)));
    assert!(private.asks_environment() && !condition("Exists NAME").asks_environment());
    for (operator, holds) in [
        ("DateTimeEquals '1970-01-01T00:01:40Z'", [false, true, false]),
        ("DateTimeNotEquals '1970-01-01T00:01:40Z'", [true, false, true]),
        ("DateTimeLessThan '1970-01-01T00:01:40.0Z'", [true, false, false]),
        ("DateTimeLessThanEquals '1970-01-01T01:01:40+01:00'", [true, true, false]),
        ("DateTimeGreaterThan '1970-01-01T00:01:40Z'", [false, false, true]),
        ("DateTimeGreaterThanEquals '1970-01-01T00:01:40Z'", [false, true, true]),
        ("DateTimeInRange {'1970-01-01T00:01:40Z', '1970-01-01T00:01:40Z'}", [false, true, false]),
    ] {
        let condition = condition(&format!("@Environment[UtcNow] {operator}"));
        assert_eq!([99, 100, 101].map(|second| condition.holds(READ, &at(second, false))), holds, "{operator}");
    }
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    insta::assert_snapshot!(error(""));
    let name = format!("{NAME} StringEquals 'a'");
    let many = [
        "(",
        "a",
        "'a'",
        "@Request",
        "@[x] StringEquals 'a'",
        "@Request[x",
        "ActionMatches",
        "ActionMatches{",
        "ActionMatches{x}",
        "ActionMatches{'x'",
        "ActionMatches{''}",
        "ActionMatches{'a', 'b'}",
        "Exists",
        "Exists 'a'",
        "@Request[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringEquals 'a'",
        "@Principal[Microsoft.Directory/CustomSecurityAttributes/Id:Engineering_Project] StringEquals 'a'",
        "@Resource[Microsoft.ContainerRegistry/registries/repositories:name] StringEquals 'a'",
        &name.replace("StringEquals", "Equals"),
        &name.replace("StringEquals", "GuidEquals"),
        &name.replace("StringEquals", "NumericEquals"),
        &name.replace("StringEquals", "ForSomeOfAnyValues:StringEquals"),
        &name.replace("'a'", ""),
        &name.replace("'a'", "a"),
        &name.replace("'a'", "'a"),
        &name.replace("'a'", "{}"),
        &name.replace("'a'", "{'a'"),
        &name.replace("'a'", "{'a', 'b'}"),
        &name.replace("'a'", "{'a' 'b'}"),
        &name.replace("'a'", "'a' 'b'"),
        &name.replace("'a'", "'a' AND"),
        &name.replace("'a'", "'a')"),
        &name.replace("'a'", "@Environment[UtcNow]"),
        &name.replace("StringEquals 'a'", &format!("StringLike {NAME}")),
        "@Environment[isPrivateLink] BoolEquals 'maybe'",
        "@Environment[UtcNow] DateTimeLessThan 'tomorrow'",
        "@Environment[UtcNow] DateTimeInRange '2026-01-01T00:00:00Z'",
        "@Environment[UtcNow] DateTimeInRange {'2026-01-01T00:00:00Z'}",
        "@Environment[UtcNow] ForAnyOfAnyValues:DateTimeInRange {'2026-01-01T00:00:00Z'}",
        "@Request[Microsoft.Authorization/roleAssignments:PrincipalId] GuidEquals 'me'",
        "ä",
        "Exists ä",
        "Exists & x",
        "((((Exists @Environment[UtcNow])))",
    ];
    let told: Vec<String> = many.iter().map(|text| format!("{text}\n    {}", error(text))).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |levels: usize| format!("{}Exists {NAME}{}", "(".repeat(levels), ")".repeat(levels));
    assert!(deep(MOST_LEVELS).parse::<Condition>().is_ok());
    assert_eq!(deep(MOST_LEVELS + 1).parse::<Condition>(), Err(ConditionError::TooDeep { at: MOST_LEVELS + 1 }));
    let negated = format!("{}Exists {NAME}", "!".repeat(MOST_LEVELS + 1));
    assert!(matches!(negated.parse::<Condition>(), Err(ConditionError::TooDeep { .. })));
    assert_eq!("(".repeat(MOST_BYTES + 1).parse::<Condition>(), Err(ConditionError::TooLong));
    let wide = vec!["Exists @Environment[UtcNow]"; 250].join(" OR ");
    assert!(wide.parse::<Condition>().is_ok(), "what is wide need not be deep");
}

#[test]
fn an_operation_decides_what_it_can() {
    let documented = condition(DOCUMENTED);
    assert_eq!(documented.reduce(WRITE), Verdict::Always);
    assert_eq!(documented.reduce(READ), Verdict::If(condition("NAME StringEqualsIgnoreCase 'team/app'")));
    assert_eq!(condition("ActionMatches{'*/write'} AND Exists NAME").reduce(READ), Verdict::Never);
    assert_eq!(condition("SubOperationMatches{'x'} OR NOT ActionMatches{'x'}").reduce(READ), Verdict::Always);
}

fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("ActionMatches{'*/read'}".to_owned()),
        Just("ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/write'}".to_owned()),
        Just("SubOperationMatches{'x'}".to_owned()),
        Just("Exists NAME".to_owned()),
        Just("@Environment[isPrivateLink] BoolNotEquals false".to_owned()),
        r"[ab*?]{0,3}".prop_map(|text| format!("NAME StringLikeIgnoreCase '{text}'")),
        r"[abAB]{0,2}".prop_map(|text| format!("NAME ForAllOfAllValues:StringNotStartsWith {{'{text}', 'x\\''}}")),
        r"[ab]{0,2}".prop_map(|text| format!("NAME StringEquals '{text}'")),
        any::<u128>().prop_map(|id| format!(
            "@Request[Microsoft.Authorization/roleAssignments:PrincipalId] ForAnyOfAnyValues:GuidEquals {{{}}}",
            Uuid::from_u128(id)
        )),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" AND "))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" || "))),
            inner.prop_map(|part| format!("!({part})")),
        ]
    })
}

proptest! {
    #[test]
    fn conditions_print_as_parsed(text in expressions()) {
        let parsed = condition(&text);
        prop_assert_eq!(parsed.to_string().parse::<Condition>().unwrap(), parsed);
    }

    #[test]
    fn a_reduced_condition_decides_as_the_whole_one(text in expressions(), repository in "[abAB]{0,3}", is_private: bool) {
        let parsed = condition(&text);
        let environment = Some(Environment { now: Timestamp(0), is_private });
        for attributes in [Attributes::default(), Attributes { environment, ..on(&repository) }] {
            for operation in [READ, WRITE, META] {
                let reduced = match parsed.reduce(operation) {
                    Verdict::Always => true,
                    Verdict::Never => false,
                    Verdict::If(rest) => rest.holds("", &attributes),
                };
                prop_assert_eq!(reduced, parsed.holds(operation, &attributes));
            }
        }
    }

    #[test]
    fn nothing_panics(text in ".{0,200}") {
        let _ = text.parse::<Condition>();
    }

    #[test]
    fn nothing_panics_on_what_is_almost_right(words in prop::collection::vec(prop::sample::select(vec![
        "(", ")", "{", "}", ",", "!", "AND", "OR", "NOT", "&&", "||", "'a'", "'", "@", "[", "]", "ActionMatches", "Exists",
        "@Request[x]", NAME, "StringEquals", "ForAnyOfAnyValues:StringLike", "true", "\\", "ä", "@Environment[UtcNow]",
    ]), 0..20)) {
        let text = words.join(" ");
        if let Ok(parsed) = text.parse::<Condition>() {
            prop_assert_eq!(parsed.to_string().parse::<Condition>().unwrap(), parsed);
        }
    }
}
