//! What a policy says: reading it from a request, and reading what was kept.

use serde_json::{Map, Value, json};
use wharf_arm::{ArmError, Members};
use wharf_jobs::Schedule;
use wharf_registry::{Age, PurgeSpec, SpecError, Untagged};

use super::{ENABLED, STATUSES};

/// Takes over what the body says, and checks the whole.
pub(super) fn read(given: &Members<'_>, kept: &mut Map<String, Value>) -> Result<(), ArmError> {
    for name in ["filters", "types"] {
        let texts = given.texts(name)?;
        put(given, kept, name, texts.map(|texts| json!(texts)));
    }
    for name in ["ago", "lastPulled"] {
        let text = given.text(name)?;
        if let Some(text) = text {
            text.parse::<Age>().map_err(|error| given.invalid(name, error))?;
        }
        put(given, kept, name, text.map(|text| json!(text)));
    }
    for name in ["untagged", "untaggedOnly", "includeLocked"] {
        let value = given.boolean(name)?;
        put(given, kept, name, value.map(|value| json!(value)));
        kept.entry(name).or_insert(json!(false));
    }
    let keep = given.integer("keep")?;
    if keep.is_some_and(|keep| keep < 0) {
        return Err(given.invalid("keep", "expected how many are spared, 0 or more"));
    }
    put(given, kept, "keep", keep.map(|keep| json!(keep)));
    kept.entry("keep").or_insert(json!(0));
    let schedule = given.text("schedule")?;
    if let Some(text) = schedule {
        text.parse::<Schedule>().map_err(|error| given.invalid("schedule", error))?;
    }
    put(given, kept, "schedule", schedule.map(|text| json!(text)));
    let status = given.word("status", STATUSES)?;
    put(given, kept, "status", status.map(|status| json!(status)));
    kept.entry("status").or_insert(json!(ENABLED));
    if is_set(kept, "untagged") && is_set(kept, "untaggedOnly") {
        return Err(
            given.invalid("untaggedOnly", "it goes without untagged: either tags are removed first, or no tags at all")
        );
    }
    spec_of(kept)?.check().map_err(|error| given.invalid(place(&error), error))
}

/// What is kept of a policy as the purge takes it.
pub(super) fn spec_of(kept: &Map<String, Value>) -> Result<PurgeSpec, ArmError> {
    let members = Members::of(kept);
    let texts = |name: &str| -> Result<Vec<String>, ArmError> {
        Ok(members.texts(name)?.unwrap_or_default().into_iter().map(str::to_owned).collect())
    };
    let age = |name: &str| -> Result<Option<Age>, ArmError> {
        members.text(name)?.map(|text| text.parse().map_err(|error| members.invalid(name, error))).transpose()
    };
    let untagged = match (is_set(kept, "untagged"), is_set(kept, "untaggedOnly")) {
        (_, true) => Untagged::Only,
        (true, false) => Untagged::Too,
        (false, false) => Untagged::Stay,
    };
    Ok(PurgeSpec {
        filters: texts("filters")?,
        ago: age("ago")?,
        last_pulled: age("lastPulled")?,
        keep: members.integer("keep")?.and_then(|keep| u64::try_from(keep).ok()).unwrap_or(0),
        untagged,
        include_locked: is_set(kept, "includeLocked"),
        types: texts("types")?,
        filter_timeout_seconds: FILTER_TIMEOUT_SECONDS,
    })
}

/// What the body names is taken over, and what it says is null goes.
fn put(given: &Members<'_>, kept: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if given.is_null(name) {
        kept.remove(name);
    }
    if let Some(value) = value {
        kept.insert(name.to_owned(), value);
    }
}

fn is_set(kept: &Map<String, Value>, name: &str) -> bool {
    kept.get(name).and_then(Value::as_bool) == Some(true)
}

fn place(error: &SpecError) -> &'static str {
    match error {
        SpecError::FiltersMissing | SpecError::Filter(_) | SpecError::TooLong(_) => "filters",
        SpecError::AgeMissing => "ago",
        SpecError::Type(_) | SpecError::TooManyTypes(_) => "types",
    }
}

/// Less than at the command line: here, others wait.
const FILTER_TIMEOUT_SECONDS: u64 = 5;
