//! Resource providers: which types there are, in which versions. All of them are registered, always.

use serde_json::{Value, json};
use wharf_arm::versions::Versions;
use wharf_model::ResourceId;

use crate::answer::Answer;
use crate::catalogue::Catalogue;
use crate::kind::ActionAt;
use crate::locations::REGIONS;

/// `GET {scope}/providers`.
pub(crate) fn list(catalogue: &Catalogue, scope: &ResourceId) -> Answer {
    Answer::list(catalogue.namespaces().map(|namespace| show(catalogue, scope, namespace)).collect())
}

/// `GET {scope}/providers/{namespace}`.
pub(crate) fn get(catalogue: &Catalogue, scope: &ResourceId, namespace: &str) -> Answer {
    Answer::ok(show(catalogue, scope, namespace))
}

/// `GET /providers/{namespace}/operations`: what roles may name.
pub(crate) fn list_operations(catalogue: &Catalogue, namespace: &str) -> Answer {
    let show = |name: &str, resource: &str, operation: &str| {
        json!({
            "name": name,
            "isDataAction": false,
            "display": {"provider": namespace, "resource": resource, "operation": operation, "description": operation},
        })
    };
    let mut operations = Vec::new();
    for entry in catalogue.kinds().iter().filter(|entry| entry.about.namespace == namespace) {
        let kind = entry.about.path;
        operations.push(show(&entry.read, kind, "Read"));
        operations.push(show(&entry.write, kind, "Create or update"));
        operations.push(show(&entry.delete, kind, "Delete"));
        operations.extend(entry.about.actions.iter().map(|action| show(action.operation, kind, action.summary)));
    }
    Answer::list(operations)
}

fn show(catalogue: &Catalogue, scope: &ResourceId, namespace: &str) -> Value {
    let locations: Vec<&str> = REGIONS.iter().map(|(_, display_name, _)| *display_name).collect();
    let mut types = Vec::new();
    let mut add = |path: String, versions: Versions, capabilities: &str, is_regional: bool| {
        let newest_first: Vec<&str> = versions.listed.iter().rev().copied().collect();
        types.push(json!({
            "resourceType": path,
            "locations": if is_regional { locations.clone() } else { Vec::new() },
            "apiVersions": newest_first,
            "defaultApiVersion": newest_first.iter().find(|version| !version.ends_with("-preview")).or(newest_first.first()),
            "capabilities": capabilities,
        }));
    };
    for entry in catalogue.kinds().iter().filter(|entry| entry.about.namespace == namespace) {
        let capabilities = if entry.about.is_tracked { TRACKED } else { "None" };
        add(entry.about.path.to_owned(), entry.about.versions, capabilities, entry.about.is_tracked);
        for action in entry.about.actions.iter().filter(|action| action.at == ActionAt::Subscription) {
            add(action.name.to_owned(), entry.about.versions, "None", false);
        }
    }
    for entry in catalogue.services().iter().filter(|entry| entry.service.namespace() == namespace) {
        add(entry.about.word.to_owned(), entry.versions(), "None", false);
    }
    let base = if *scope == ResourceId::root() { "" } else { scope.as_str() };
    json!({
        "id": format!("{base}/providers/{namespace}"),
        "namespace": namespace,
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationFree",
        "resourceTypes": types,
    })
}

const TRACKED: &str = "SupportsTags, SupportsLocation";
