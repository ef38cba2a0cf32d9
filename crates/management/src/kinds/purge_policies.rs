//! `registries/purgePolicies`: what is removed from a registry by and by. A kind of ours: clients of ACR do not know it.
//!
//! A policy says what goes, as the flags of `acr purge` do, and when: by a schedule, or when somebody asks (`run`). Its runs
//! are jobs; what running needs is in the table `purge_policies`. A run that is under way goes on by what the policy said
//! when it began.
//!
//! Source: `acr/semantics.md` 4.5; `docs/decisions/0040-purge-policies.md`.

mod reading;
mod runs;

use async_trait::async_trait;
use http::Method;
use serde_json::Value;
use wharf_arm::{ArmError, Code, versions};
use wharf_metadata::purge::{self, PurgePolicyRow};
use wharf_metadata::{Connection, RegistryRow};
use wharf_model::Timestamp;
use wharf_registry::next_purge;

use self::reading::{read, spec_of};
use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{
    About, Access, Action, ActionAt, ActionCall, Ask, Draft, Kind, Place, Property, Removal, Resource, Shape,
};
use crate::kinds::scope_maps::{lock_registry, name_of};

/// The kind `Microsoft.ContainerRegistry/registries/purgePolicies`.
#[derive(Debug)]
pub(crate) struct PurgePolicies;

static ABOUT: About = About {
    namespace: "Microsoft.ContainerRegistry",
    path: "registries/purgePolicies",
    summary: "Purge policies: what is removed from a registry by and by.",
    versions: versions::CONTAINER_REGISTRY,
    operations: "Microsoft.ContainerRegistry/registries/purgePolicies",
    place: Place::Parent,
    is_tracked: false,
    patch: true,
    changes_access: false,
    check_name,
    actions: &[
        Action {
            method: Method::POST,
            name: RUN,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/purgePolicies/run/action",
            has_tail: false,
            locked_by_read_only: true,
            summary: "Runs the policy now; with dryRun, finds out what it would remove.",
        },
        Action {
            method: Method::POST,
            name: CANCEL,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/purgePolicies/cancel/action",
            has_tail: false,
            locked_by_read_only: false,
            summary: "Calls off the run that is under way.",
        },
        Action {
            method: Method::GET,
            name: RUNS,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/purgePolicies/runs/read",
            has_tail: true,
            locked_by_read_only: false,
            summary: "Lists the newest runs of the policy, or shows one with its report.",
        },
        Action {
            method: Method::POST,
            name: LIST_RUNS,
            at: ActionAt::Resource,
            operation: "Microsoft.ContainerRegistry/registries/purgePolicies/runs/read",
            has_tail: false,
            locked_by_read_only: false,
            summary: "Lists the newest runs of the policy.",
        },
    ],
    properties: &[
        Property { path: "filters", shape: Shape::Texts, access: Access::Written },
        Property { path: "ago", shape: Shape::Text, access: Access::Written },
        Property { path: "lastPulled", shape: Shape::Text, access: Access::Written },
        Property { path: "keep", shape: Shape::Number, access: Access::Written },
        Property { path: "untagged", shape: Shape::Boolean, access: Access::Written },
        Property { path: "untaggedOnly", shape: Shape::Boolean, access: Access::Written },
        Property { path: "includeLocked", shape: Shape::Boolean, access: Access::Written },
        Property { path: "types", shape: Shape::Texts, access: Access::Written },
        Property { path: "schedule", shape: Shape::Text, access: Access::Written },
        Property { path: "status", shape: Shape::Word(STATUSES), access: Access::Written },
        Property { path: "nextRunTime", shape: Shape::Time, access: Access::Shown },
        Property { path: "lastRun.name", shape: Shape::Text, access: Access::Shown },
        Property { path: "lastRun.status", shape: Shape::Word(runs::STATUSES), access: Access::Shown },
        Property { path: "lastRun.dryRun", shape: Shape::Boolean, access: Access::Shown },
        Property { path: "lastRun.startTime", shape: Shape::Time, access: Access::Shown },
        Property { path: "lastRun.endTime", shape: Shape::Time, access: Access::Shown },
        Property { path: "lastRun.repositories", shape: Shape::Number, access: Access::Shown },
        Property { path: "lastRun.deletedTags", shape: Shape::Number, access: Access::Shown },
        Property { path: "lastRun.deletedManifests", shape: Shape::Number, access: Access::Shown },
        Property { path: "lastRun.deletedBytes", shape: Shape::Number, access: Access::Shown },
        Property { path: "lastRun.skipped", shape: Shape::Object, access: Access::Shown },
        Property { path: "lastRun.error", shape: Shape::Text, access: Access::Shown },
        Property { path: "provisioningState", shape: Shape::Word(&["Succeeded"]), access: Access::Shown },
    ],
};

#[async_trait]
impl Kind for PurgePolicies {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, _cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError> {
        read(&ask.properties()?, &mut draft.properties)
    }

    async fn write(
        &self,
        c: &mut Connection,
        cx: &Cx,
        old: Option<&Resource>,
        new: &mut Resource,
    ) -> Result<(), Failure> {
        let registry = lock_registry(c, &new.id).await?;
        let before = match old {
            Some(old) => purge::find_policy(c, old.id.key()).await?,
            None => None,
        };
        if before.is_none() {
            check_quota(&registry, purge::count_policies(c, registry.id).await?)?;
        }
        let text = |name: &str| new.properties.get(name).and_then(Value::as_str).map(str::to_owned);
        let schedule = text("schedule").filter(|_| text("status").as_deref() == Some(ENABLED));
        let row = PurgePolicyRow {
            resource_key: new.id.key().to_owned(),
            registry: registry.id,
            name: name_of(&new.id).to_owned(),
            spec: serde_json::to_value(spec_of(&new.properties)?).map_err(Failure::internal)?,
            next_run_at: next_run(schedule.as_deref(), before.as_ref(), cx.now),
            schedule,
        };
        purge::put_policy(c, &row).await?;
        Ok(())
    }

    async fn remove(&self, c: &mut Connection, cx: &Cx, resource: &Resource) -> Result<Removal, Failure> {
        runs::cancel(c, cx, resource).await?;
        purge::delete_policy(c, &resource.id).await?;
        Ok(Removal::Done)
    }

    async fn render(&self, c: &mut Connection, _cx: &Cx, page: &mut [Resource]) -> Result<(), Failure> {
        runs::render(c, page).await
    }

    async fn act(&self, cx: &Cx, call: ActionCall) -> Result<Answer, Failure> {
        match call.action.name {
            RUN => runs::start(cx, &call).await,
            CANCEL => runs::call_off(cx, call.resource()?).await,
            _ => runs::show(cx, &call).await,
        }
    }
}

/// When it runs next by itself. That a policy is written again does not put off what it is about to do.
fn next_run(schedule: Option<&str>, before: Option<&PurgePolicyRow>, now: Timestamp) -> Option<Timestamp> {
    match before {
        Some(before) if before.schedule.as_deref() == schedule && before.next_run_at.is_some() => before.next_run_at,
        _ => next_purge(schedule, now),
    }
}

fn check_quota(registry: &RegistryRow, count: i64) -> Result<(), ArmError> {
    if count < MOST_POLICIES {
        return Ok(());
    }
    let text = format!(
        "Quota exceeded for resource type purgePolicies. The registry '{}' has {count} of them. Delete some, or give one \
         several filters.",
        registry.name
    );
    Err(ArmError::new(Code::QuotaExceeded, text))
}

fn check_name(name: &str) -> Result<(), ArmError> {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if (1..=50).contains(&name.len()) && is_word && name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let text = "A purge policy's name has 1 to 50 letters, digits, hyphens and underscores, and begins with a letter or a digit.";
    Err(ArmError::new(Code::InvalidResourceName, text))
}

const RUN: &str = "run";
const CANCEL: &str = "cancel";
const RUNS: &str = "runs";
const LIST_RUNS: &str = "listRuns";
const ENABLED: &str = "enabled";
const STATUSES: &[&str] = &[ENABLED, "disabled"];
/// How many policies a registry has at most.
const MOST_POLICIES: i64 = 100;
