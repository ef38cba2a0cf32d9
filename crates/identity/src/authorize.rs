//! May they? The one door, for every plane.
//!
//! ```text
//! may(caller, action, kind, name)  =  the subject's rights in the registry now   (wharf_access::Rights)
//!                                  ∩  what the presented access token lists      (Proof::AccessToken)
//! ```
//!
//! A token never adds a right, it only leaves some out. So whoever loses a right loses it at once, whatever the tokens
//! in circulation say.

use wharf_access::Ability;
use wharf_model::{Access, Action, ResourceKind, Scope};

use crate::caller::{Caller, Proof};

/// Whether the caller may do `action` to the resource of this `kind` and `name`.
///
/// Actions are the words of the token protocol and stand for themselves; [`Action::All`] asks for everything that can be
/// done to the resource. The catalog's only action is that one: `may(caller, Action::All, ResourceKind::Registry, "catalog")`.
///
/// Source: `acr/data-plane.md` 3.1 (which action an endpoint needs), 3.4 and 3.7 (who has them).
#[must_use]
pub fn may(caller: &Caller, action: Action, kind: ResourceKind, name: &str) -> bool {
    is_listed(caller, action, kind, name) && caller.rights().allow(action, kind, name, caller.environment())
}

/// Whether what the caller presented leaves them this right, if they have it.
fn is_listed(caller: &Caller, action: Action, kind: ResourceKind, name: &str) -> bool {
    match caller.proof() {
        Proof::AccessToken { access, .. } => access.iter().any(|entry| entry.allows(kind, name, action)),
        Proof::None | Proof::Password | Proof::PrincipalToken | Proof::RefreshToken => true,
    }
}

/// Whether the caller may remove a tag of a repository and leave its manifest.
///
/// The token protocol has no word for that. Clients ask for `delete`, and the documentation for what is here called
/// `metadata_write`: either will do in an access token (`acr/data-plane.md` 3.6), and the rights decide.
#[must_use]
pub fn may_untag(caller: &Caller, repository: &str) -> bool {
    let kind = ResourceKind::Repository;
    let listed = [Action::Delete, Action::MetadataWrite];
    listed.into_iter().any(|action| is_listed(caller, action, kind, repository))
        && caller.rights().can(Ability::Untag, repository, caller.environment())
}

/// Whether the caller may do `action`, which reads, to a repository whose registry has quarantine on, including what is in
/// quarantine there. That is what scanners do, who need no other role for it.
///
/// The token protocol has no word for that: a token that lets them pull lets them pull all that their rights cover.
#[must_use]
pub fn may_scan(caller: &Caller, action: Action, repository: &str) -> bool {
    matches!(action, Action::Pull | Action::MetadataRead)
        && is_listed(caller, action, ResourceKind::Repository, repository)
        && caller.rights().can(Ability::QuarantineRead, repository, caller.environment())
}

/// Whether the caller may say of a manifest in a repository that it passed quarantine, or that it did not.
///
/// For this, too, there is no word. Scanners ask for `push`, as the documentation has it, and what changes attributes is
/// called `metadata_write`: either will do in an access token (`acr/data-plane.md` 3.1), and the rights decide.
#[must_use]
pub fn may_judge(caller: &Caller, repository: &str) -> bool {
    let kind = ResourceKind::Repository;
    let listed = [Action::Push, Action::MetadataWrite];
    listed.into_iter().any(|action| is_listed(caller, action, kind, repository))
        && caller.rights().can(Ability::QuarantineWrite, repository, caller.environment())
}

/// More scopes than a token can hold were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token can hold {most} scopes at most, and only as many as fit into its size", most = MOST_SCOPES)]
pub struct TooManyScopes;

/// What a new access token of this caller lists: of each scope that was asked for, what the caller may do.
///
/// Scopes of one resource are merged, in the order in which the resources came up first. A scope of which nothing may be
/// done stays with an empty list of actions, since asking for too much is no error and clients read `access[0].actions`
/// (`acr/data-plane.md` 3.3, 3.5). The name `*` is granted to those who have the action on every resource of the kind;
/// where roles count by repository it is left out, with nothing in its place.
///
/// # Errors
/// When more than [`MOST_SCOPES`] resources are named.
pub(crate) fn grant(caller: &Caller, scopes: &[Scope]) -> Result<Vec<Access>, TooManyScopes> {
    let mut granted: Vec<Access> = Vec::with_capacity(scopes.len().min(MOST_SCOPES));
    for scope in scopes {
        if scope.kind == ResourceKind::Repository && scope.name == "*" && !caller.rights().know_wildcards() {
            continue;
        }
        let known = granted.iter().position(|entry| entry.kind == scope.kind && entry.name == scope.name);
        let position = known.unwrap_or(granted.len());
        if known.is_none() {
            if position == MOST_SCOPES {
                return Err(TooManyScopes);
            }
            granted.push(Access { kind: scope.kind, name: scope.name.clone(), actions: Vec::new() });
        }
        let entry = &mut granted[position];
        entry.actions.extend(allowed(caller, scope));
        entry.actions.sort_unstable();
        entry.actions.dedup();
        if entry.actions.contains(&Action::All) {
            entry.actions = vec![Action::All];
        }
    }
    Ok(granted)
}

/// The actions of a scope that the caller may do; whoever asks for all of them gets those that there are.
fn allowed(caller: &Caller, scope: &Scope) -> Vec<Action> {
    let may = |&action: &Action| may(caller, action, scope.kind, &scope.name);
    if scope.actions.contains(&Action::All) {
        if may(&Action::All) {
            return vec![Action::All];
        }
        return Action::EVERY.into_iter().filter(may).collect();
    }
    // Whoever asks for `delete` may want to remove a tag alone, whoever asks for `pull` or `push` to look at what is in
    // quarantine or to let it pass; what it is good for is decided when it is used.
    let may_mean = |&action: &Action| {
        let ability = match action {
            Action::Delete => Ability::Untag,
            Action::Pull | Action::MetadataRead => Ability::QuarantineRead,
            Action::Push | Action::MetadataWrite => Ability::QuarantineWrite,
            _ => return false,
        };
        scope.kind == ResourceKind::Repository
            && is_listed(caller, action, scope.kind, &scope.name)
            && caller.rights().can(ability, &scope.name, caller.environment())
    };
    scope.actions.iter().copied().filter(|action| may(action) || may_mean(action)).collect()
}

/// How many resources one access token may list. What fits into a token is about as much (see `token`).
pub const MOST_SCOPES: usize = 100;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use wharf_access::{Mode, Rights, ScopeMapAction};
    use wharf_metadata::RegistryRow;
    use wharf_model::Timestamp;

    use super::*;
    use crate::caller::Subject;
    use crate::tests::registry_row;
    use crate::{SealingKey, SystemRandom};

    fn row() -> RegistryRow {
        registry_row(&SealingKey::ephemeral(&SystemRandom), "contoso")
    }

    fn admin(proof: Proof) -> Caller {
        let row = row();
        let subject = Subject::Admin { name: row.name.clone(), generation: 1 };
        Caller::of_row(&row, subject, proof).unwrap()
    }

    fn anonymous(enabled: bool) -> Caller {
        Caller::anonymous(&RegistryRow { anonymous_pull_enabled: enabled, ..row() })
    }

    fn token(access: &str) -> Proof {
        Proof::AccessToken { access: scopes(access).into(), expires: Timestamp(i64::MAX) }
    }

    fn scopes(text: &str) -> Vec<Scope> {
        text.split_whitespace().map(|scope| scope.parse().unwrap()).collect()
    }

    fn granted(caller: &Caller, asked: &str) -> String {
        let granted = grant(caller, &scopes(asked)).unwrap();
        granted.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Subject × action × resource: who may do what.
    #[test]
    fn the_table_of_rights() {
        use ResourceKind::{ArtifactRepository, Registry, Repository};
        let (admin, reader, nobody) = (admin(Proof::Password), anonymous(true), anonymous(false));
        for action in Action::EVERY {
            for (kind, name) in [
                (Repository, "team/app"),
                (Repository, "*"),
                (Repository, "catalog"),
                (Registry, "catalog"),
                (Registry, "deleted_catalog"),
                (Registry, "*"),
                (Registry, "None"),
                (ArtifactRepository, "charts"),
            ] {
                let read = match (kind, name) {
                    (Repository, _) => matches!(action, Action::Pull | Action::MetadataRead),
                    (Registry, "catalog") => action == Action::All,
                    _ => false,
                };
                assert!(may(&admin, action, kind, name), "admin {action} {kind:?} {name}");
                assert_eq!(may(&reader, action, kind, name), read, "anonymous {action} {kind:?} {name}");
                assert!(!may(&nobody, action, kind, name), "nobody {action} {kind:?} {name}");
            }
        }
    }

    #[test]
    fn an_access_token_leaves_only_what_it_lists() {
        let caller = admin(token("repository:a:pull repository:b:* registry:catalog:*"));
        assert!(may(&caller, Action::Pull, ResourceKind::Repository, "a"));
        assert!(may(&caller, Action::Delete, ResourceKind::Repository, "b"));
        assert!(may(&caller, Action::All, ResourceKind::Registry, "catalog"));
        assert!(!may(&caller, Action::Push, ResourceKind::Repository, "a"));
        assert!(!may(&caller, Action::Pull, ResourceKind::Repository, "c"));
        assert!(!may(&caller, Action::Pull, ResourceKind::Repository, "a/b"));
        assert!(!may(&caller, Action::Pull, ResourceKind::ArtifactRepository, "a"));
        assert!(!may(&caller, Action::All, ResourceKind::Registry, "deleted_catalog"));
    }

    #[test]
    fn an_access_token_adds_nothing_to_its_subject() {
        let row = RegistryRow { anonymous_pull_enabled: true, ..row() };
        let caller = Caller::of_row(&row, Subject::Anonymous, token("repository:*:* registry:catalog:*")).unwrap();
        assert!(may(&caller, Action::Pull, ResourceKind::Repository, "a"));
        assert!(!may(&caller, Action::Push, ResourceKind::Repository, "a"));
        assert!(!may(&caller, Action::All, ResourceKind::Repository, "a"));
    }

    #[test]
    fn what_is_granted_is_what_was_asked_for_and_is_allowed() {
        let (admin, reader, nobody) = (admin(Proof::Password), anonymous(true), anonymous(false));
        assert_eq!(granted(&admin, "repository:a:pull,push"), "repository:a:pull,push");
        assert_eq!(granted(&reader, "repository:a:pull,push,delete"), "repository:a:pull");
        assert_eq!(granted(&reader, "repository:a:delete"), "repository:a:", "asking for too much is no error");
        assert_eq!(granted(&nobody, "repository:a:pull registry:catalog:*"), "repository:a: registry:catalog:");
        assert_eq!(granted(&reader, "repository:a:*"), "repository:a:pull,metadata_read");
        assert_eq!(granted(&admin, "repository:*:*"), "repository:*:*", "the wildcard, for those who have all");
        assert_eq!(granted(&reader, "repository:*:*"), "repository:*:pull,metadata_read");
        assert_eq!(
            granted(&reader, "registry:catalog:* registry:deleted_catalog:*"),
            "registry:catalog:* registry:deleted_catalog:"
        );
        assert_eq!(
            granted(&admin, "repository:notary.example.com/team/app:pull,push"),
            "repository:notary.example.com/team/app:pull,push",
            "a content trust GUN is a name"
        );
        assert_eq!(granted(&admin, "repository:a:fly,pull"), "repository:a:pull");
        assert_eq!(granted(&admin, ""), "");
    }

    #[test]
    fn scopes_of_one_resource_are_merged() {
        let admin = admin(Proof::Password);
        assert_eq!(
            granted(&admin, "repository:b:push repository:a:pull repository:b:pull,push"),
            "repository:b:pull,push repository:a:pull"
        );
        assert_eq!(granted(&admin, "repository:a:pull repository:a:*"), "repository:a:*");
        assert_eq!(
            granted(&admin, "repository:catalog:* registry:catalog:*"),
            "repository:catalog:* registry:catalog:*"
        );
    }

    fn with_rights(rights: Rights, proof: Proof) -> Caller {
        let subject = Subject::Token { id: 1, name: "build".into(), generation: 1, expires: None };
        Caller::new(row().uid, subject, Arc::new(rights), proof)
    }

    #[test]
    fn untagging_takes_delete_or_metadata_write_in_the_token_and_the_right() {
        let actions: [ScopeMapAction; 1] = ["repositories/a/metadata/write".parse().unwrap()];
        let rights = || Rights::of_scope_map(&actions);
        let caller = with_rights(rights(), Proof::Password);
        assert!(may_untag(&caller, "a") && !may(&caller, Action::Delete, ResourceKind::Repository, "a"));
        assert_eq!(granted(&caller, "repository:a:delete"), "repository:a:delete", "as `az` asks for it");
        assert_eq!(granted(&caller, "repository:a:*"), "repository:a:metadata_write");
        assert_eq!(granted(&caller, "repository:b:delete"), "repository:b:");
        for (held, may) in
            [("repository:a:delete", true), ("repository:a:metadata_write", true), ("repository:a:pull", false)]
        {
            assert_eq!(may_untag(&with_rights(rights(), token(held)), "a"), may, "{held}");
        }
        let narrowed = with_rights(rights(), token("repository:a:metadata_write"));
        assert_eq!(granted(&narrowed, "repository:a:delete"), "repository:a:", "a token adds no word to itself");
    }

    #[test]
    fn where_roles_count_by_repository_the_wildcard_is_left_out() {
        let caller = with_rights(Rights::of_roles(Mode::Repository, &[]), Proof::RefreshToken);
        assert_eq!(
            granted(&caller, "registry:catalog:* repository:*:* repository:*:pull repository:a:pull"),
            "registry:catalog: repository:a:"
        );
        let caller = with_rights(Rights::of_roles(Mode::Registry, &[]), Proof::RefreshToken);
        assert_eq!(granted(&caller, "repository:*:*"), "repository:*:");
    }

    #[test]
    fn a_token_begets_no_more_than_itself() {
        let caller = admin(token("repository:a:pull"));
        assert_eq!(
            granted(&caller, "repository:a:pull,push repository:b:pull repository:*:* registry:catalog:*"),
            "repository:a:pull repository:b: repository:*: registry:catalog:"
        );
    }

    #[test]
    fn the_number_of_scopes_is_bounded() {
        let admin = admin(Proof::Password);
        let ask =
            |count: usize| (0..count).map(|i| format!("repository:r{i}:pull").parse().unwrap()).collect::<Vec<_>>();
        assert_eq!(grant(&admin, &ask(MOST_SCOPES)).unwrap().len(), MOST_SCOPES);
        assert_eq!(grant(&admin, &ask(MOST_SCOPES + 1)), Err(TooManyScopes));
        let same: Vec<Scope> = vec!["repository:a:pull".parse().unwrap(); 10 * MOST_SCOPES];
        assert_eq!(grant(&admin, &same).unwrap().len(), 1, "the same resource again and again is one");
    }

    proptest! {
        /// Whatever is asked for: the token that comes of it allows what the caller may do and was asked for, and no more.
        #[test]
        fn a_grant_is_an_intersection(
            asked in prop::collection::vec(("[ab*]", any::<u8>()), 0..6),
            held in prop::collection::vec(("[ab*]", any::<u8>()), 0..6),
            anonymous: bool,
        ) {
            let scope = |(name, bits): &(String, u8)| Scope {
                kind: ResourceKind::Repository,
                name: name.clone(),
                actions: Action::EVERY.into_iter().enumerate().filter(|(i, _)| bits & 1 << i != 0).map(|(_, a)| a).collect(),
            };
            let asked: Vec<Scope> = asked.iter().map(scope).collect();
            let held: Vec<Access> = held.iter().map(scope).collect();
            let row = RegistryRow { anonymous_pull_enabled: true, ..row() };
            let subject = || match anonymous {
                true => Subject::Anonymous,
                false => Subject::Admin { name: row.name.clone(), generation: 1 },
            };
            let proof = |access: Vec<Access>| Proof::AccessToken { access: access.into(), expires: Timestamp(i64::MAX) };
            let caller = Caller::of_row(&row, subject(), proof(held)).unwrap();
            let next = Caller::of_row(&row, subject(), proof(grant(&caller, &asked).unwrap())).unwrap();
            for name in ["a", "b", "c"] {
                for action in Action::EVERY {
                    let wanted = asked.iter().any(|scope| scope.allows(ResourceKind::Repository, name, action));
                    let before = may(&caller, action, ResourceKind::Repository, name);
                    let after = may(&next, action, ResourceKind::Repository, name);
                    prop_assert!(!after || (wanted && before), "{name} {action}");
                    let by_name = asked.iter().any(|s| s.name == name && s.allows(ResourceKind::Repository, name, action));
                    prop_assert!(after || !(by_name && before), "{name} {action} was lost");
                }
            }
        }
    }
}
