//! `registries/cacheRules`: which repositories fill themselves from other registries.
//!
//! The data plane reads rules from the table `cache_rules`. Where a rule takes from and what it fills is settled when it is
//! made; its credential set can be changed.
//!
//! Source: `acr/control-plane.md` 8; `acr/semantics.md` 10.

use async_trait::async_trait;
use serde_json::{Value, json};
use wharf_arm::{ArmError, Code, Members, versions};
use wharf_metadata::{Connection, RegistryRow, cache_rules, cached, resources};
use wharf_model::ResourceId;
use wharf_replication::cache::{Pattern, RegistryAddress, Source, check_sides, find_conflict};

use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{About, Access, Ask, Draft, Kind, Place, Property, Removal, Resource, Shape};
use crate::kinds::scope_maps::{find_registry, lock_registry, name_of};

/// The kind `Microsoft.ContainerRegistry/registries/cacheRules`.
#[derive(Debug)]
pub(crate) struct CacheRules;

static ABOUT: About = About {
    namespace: "Microsoft.ContainerRegistry",
    path: "registries/cacheRules",
    summary: "Cache rules: which repositories fill themselves from other registries.",
    versions: versions::CONTAINER_REGISTRY,
    operations: "Microsoft.ContainerRegistry/registries/cacheRules",
    place: Place::Parent,
    is_tracked: false,
    patch: true,
    changes_access: false,
    check_name,
    actions: &[],
    properties: &[
        Property { path: SOURCE, shape: Shape::Text, access: Access::Settled },
        Property { path: TARGET, shape: Shape::Text, access: Access::Settled },
        Property { path: CREDENTIAL_SET, shape: Shape::Id, access: Access::Written },
        Property { path: "creationDate", shape: Shape::Time, access: Access::Shown },
        Property { path: "provisioningState", shape: Shape::Word(&["Succeeded"]), access: Access::Shown },
    ],
};

#[async_trait]
impl Kind for CacheRules {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, _cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError> {
        refuse_identity(&Members::of(ask.body))?;
        let given = ask.properties()?;
        let source = settle(&given, SOURCE, ask, |text| Ok(text.parse::<Source>()?.to_string()))?;
        let target = settle(&given, TARGET, ask, |text| Ok(text.parse::<Pattern>()?.to_string()))?;
        let (parsed_source, parsed_target) = read(&source, &target)?;
        check_sides(&parsed_source, &parsed_target).map_err(|error| given.invalid(TARGET, error))?;
        draft.properties.insert(SOURCE.to_owned(), json!(source));
        draft.properties.insert(TARGET.to_owned(), json!(target));
        if given.is_null(CREDENTIAL_SET) || given.text(CREDENTIAL_SET)?.is_some_and(str::is_empty) {
            draft.properties.remove(CREDENTIAL_SET);
        } else if let Some(text) = given.text(CREDENTIAL_SET)? {
            let id = read_set_id(&given, text, ask.id)?;
            draft.properties.insert(CREDENTIAL_SET.to_owned(), json!(id.as_str()));
        }
        Ok(())
    }

    async fn write(
        &self,
        c: &mut Connection,
        cx: &Cx,
        old: Option<&Resource>,
        new: &mut Resource,
    ) -> Result<(), Failure> {
        let registry = lock_registry(c, &new.id).await?;
        let (source, target) = read(text_of(new, SOURCE), text_of(new, TARGET))?;
        if old.is_none() {
            refuse_itself(cx, &registry, &source)?;
            check_beside_others(c, &registry, &target).await?;
        }
        let set = match new.properties.get(CREDENTIAL_SET).and_then(Value::as_str) {
            Some(text) => Some(find_set(c, &registry, text, &source).await?),
            None => None,
        };
        if let Some(set) = &set {
            new.properties.insert(CREDENTIAL_SET.to_owned(), json!(set.as_str()));
        }
        let (name, set) = (name_of(&new.id), set.as_ref().map(name_of));
        cache_rules::put(c, registry.id, name, &source.to_string(), &target.to_string(), set).await?;
        cache_rules::announce(c, registry.id, &cx.actor.name(), cx.now).await?;
        Ok(())
    }

    async fn remove(&self, c: &mut Connection, cx: &Cx, resource: &Resource) -> Result<Removal, Failure> {
        // With the registry, its rules go too.
        if let Some(registry) = find_registry(c, &resource.id).await?
            && cache_rules::delete(c, registry.id, name_of(&resource.id)).await?
        {
            cache_rules::announce(c, registry.id, &cx.actor.name(), cx.now).await?;
        }
        Ok(Removal::Done)
    }

    async fn render(&self, _c: &mut Connection, _cx: &Cx, page: &mut [Resource]) -> Result<(), Failure> {
        for resource in page {
            resource.properties.entry(CREDENTIAL_SET.to_owned()).or_insert(Value::Null);
            resource.properties.insert("creationDate".to_owned(), json!(resource.created.at.to_string()));
        }
        Ok(())
    }

    fn committed(&self, cx: &Cx, old: Option<&Resource>, new: Option<&Resource>) {
        forget_registry(cx, old, new);
    }
}

/// Lets the data plane of this process read the rules of a registry again.
pub(crate) fn forget_registry(cx: &Cx, old: Option<&Resource>, new: Option<&Resource>) {
    let registry = new.or(old).and_then(|resource| resource.id.parent());
    let name = registry.and_then(|id| id.name()?.to_ascii_lowercase().parse().ok());
    if let Some(name) = name {
        cx.artifacts().forget_registry(&name);
    }
}

/// A member that is set when the rule is made: as the body says, else as it is.
fn settle(
    given: &Members<'_>,
    member: &str,
    ask: &Ask<'_>,
    parse: impl Fn(&str) -> Result<String, wharf_replication::cache::ParseRuleError>,
) -> Result<String, ArmError> {
    let old = ask.old.and_then(|old| old.properties.get(member)).and_then(Value::as_str);
    let wanted = match given.text(member)? {
        Some(text) => Some(parse(text.trim()).map_err(|error| given.invalid(member, error))?),
        None => None,
    };
    match (wanted, old) {
        (Some(wanted), Some(old)) if wanted != old => Err(ArmError::immutable(&given.path(member))),
        (_, Some(old)) => Ok(old.to_owned()),
        (Some(wanted), None) => Ok(wanted),
        (None, None) => Err(given.invalid(member, "it is missing")),
    }
}

fn read(source: &str, target: &str) -> Result<(Source, Pattern), ArmError> {
    let source = source.parse().map_err(|error| ArmError::invalid_member(&format!("properties.{SOURCE}"), error))?;
    let target = target.parse().map_err(|error| ArmError::invalid_member(&format!("properties.{TARGET}"), error))?;
    Ok((source, target))
}

fn text_of<'a>(resource: &'a Resource, member: &str) -> &'a str {
    resource.properties.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Signing in by identity needs a cloud around us.
fn refuse_identity(body: &Members<'_>) -> Result<(), ArmError> {
    let Some(identity) = body.object("identity")? else { return Ok(()) };
    match identity.text("type")? {
        Some(kind) if !kind.eq_ignore_ascii_case("None") => Err(identity
            .invalid("type", "a cache rule cannot sign in with an identity here; give it a credential set instead")),
        _ => Ok(()),
    }
}

/// A rule that takes from its own registry would go round in circles.
fn refuse_itself(cx: &Cx, registry: &RegistryRow, source: &Source) -> Result<(), ArmError> {
    let own = cx.login_servers().with_label(&registry.name, registry.settings.domain_label.as_deref());
    if own.parse::<RegistryAddress>().is_ok_and(|own| own == source.address) {
        let text = format!("a cache rule takes from another registry; {own} is this one");
        return Err(ArmError::invalid_member(&format!("properties.{SOURCE}"), text));
    }
    Ok(())
}

/// Refuses a rule that cannot stand beside those that there are, or beside what is in the registry.
async fn check_beside_others(c: &mut Connection, registry: &RegistryRow, target: &Pattern) -> Result<(), Failure> {
    let others = cache_rules::list_targets(c, registry.id).await?;
    if others.len() >= MOST_RULES {
        let text = format!(
            "Quota exceeded for resource type cacheRules for the registry '{}', which has {MOST_RULES} of them. Delete \
             some; a rule with a wildcard can stand for many.",
            registry.name
        );
        return Err(ArmError::new(Code::QuotaExceeded, text).into());
    }
    if let Some((name, other)) = find_conflict(target, &others) {
        let text = match target {
            Pattern::One(_) => format!(
                "The target repository '{target}' belongs to the cache rule '{name}'. A repository is filled by one rule; \
                 choose another target, or delete that rule."
            ),
            Pattern::Below(_) => format!(
                "The target '{target}' overlaps with '{other}', the target of the cache rule '{name}'. Targets with a \
                 wildcard may not lie in one another; choose another target, or delete that rule."
            ),
        };
        return Err(ArmError::new(Code::Conflict, text).with_target(format!("properties.{TARGET}")).into());
    }
    if let Pattern::One(repository) = target {
        let found = cached::find_repository(c, registry.id, repository).await?;
        if found.is_some_and(|found| found.is_shown) {
            let text = format!(
                "The target repository '{repository}' exists already. A cache rule fills a repository that is not there \
                 yet; delete the repository, or choose another target."
            );
            return Err(ArmError::new(Code::Conflict, text).with_target(format!("properties.{TARGET}")).into());
        }
    }
    Ok(())
}

/// The id of a credential set as a body writes it, if it can be one of the rule's registry.
fn read_set_id(given: &Members<'_>, text: &str, rule: &ResourceId) -> Result<ResourceId, ArmError> {
    let registry = rule.parent().unwrap_or_else(ResourceId::root);
    let refused = || {
        let expected = format!("expected the id of a credential set of the same registry, {registry}/credentialSets/…");
        given.invalid(CREDENTIAL_SET, expected)
    };
    let id: ResourceId = text.parse().map_err(|_| refused())?;
    let kind = id.resource_type().unwrap_or_default();
    let is_set = kind.eq_ignore_ascii_case("Microsoft.ContainerRegistry/registries/credentialSets");
    if is_set && id.parent().as_ref() == Some(&registry) { Ok(id) } else { Err(refused()) }
}

/// The id of the credential set in its own spelling. It must be for the host that the rule takes from.
async fn find_set(
    c: &mut Connection,
    registry: &RegistryRow,
    text: &str,
    source: &Source,
) -> Result<ResourceId, Failure> {
    let member = format!("properties.{CREDENTIAL_SET}");
    let id: ResourceId = text.parse().map_err(|error| ArmError::invalid_member(&member, error))?;
    let missing = || ArmError::invalid_member(&member, format!("there is no credential set '{}'", name_of(&id)));
    let row = cache_rules::find_set(c, registry.id, name_of(&id)).await?.ok_or_else(missing)?;
    if row.login_server != source.address.to_string() {
        let text = format!(
            "the credential set '{}' is for {}, and the rule takes from {}",
            name_of(&id),
            row.login_server,
            source.address
        );
        return Err(ArmError::invalid_member(&member, text).into());
    }
    Ok(resources::find(c, &id).await?.ok_or_else(missing)?.id)
}

/// Source: the published specification, `CacheRuleName`.
pub(super) fn check_name(name: &str) -> Result<(), ArmError> {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if (5..=50).contains(&name.len()) && is_word {
        return Ok(());
    }
    let text = "The name of a cache rule or a credential set has 5 to 50 letters, digits and hyphens.";
    Err(ArmError::new(Code::InvalidResourceName, text))
}

const SOURCE: &str = "sourceRepository";
const TARGET: &str = "targetRepository";
const CREDENTIAL_SET: &str = "credentialSetResourceId";
/// Source: `acr/semantics.md` 10.
const MOST_RULES: usize = 1000;
