//! How a resource is shown.

use serde_json::{Map, Value, json};
use wharf_metadata::resources::Stamp;

use crate::catalogue::Entry;
use crate::kind::Resource;

/// The resource as clients get it. `properties` are those that the kind has rendered.
pub(crate) fn show(entry: &Entry, resource: Resource) -> Value {
    let mut shown = head(entry, &resource);
    let mut properties = resource.properties;
    if entry.has_state {
        let state = if resource.is_deleting { "Deleting" } else { "Succeeded" };
        if resource.is_deleting || !properties.contains_key("provisioningState") {
            properties.insert("provisioningState".to_owned(), json!(state));
        }
    }
    shown.insert("properties".to_owned(), Value::Object(properties));
    Value::Object(shown)
}

/// The resource as generic lists show it: without its properties. `expand` names what is wanted beside.
pub(crate) fn show_briefly(entry: &Entry, resource: &Resource, expand: &str) -> Value {
    let mut shown = head(entry, resource);
    for word in expand.split(',').map(str::trim) {
        let value = match word.to_ascii_lowercase().as_str() {
            "createdtime" => json!(resource.created.at.to_string()),
            "changedtime" => json!(resource.changed.at.to_string()),
            "provisioningstate" => json!(if resource.is_deleting { "Deleting" } else { "Succeeded" }),
            _ => continue,
        };
        shown.insert(word.to_owned(), value);
    }
    Value::Object(shown)
}

fn head(entry: &Entry, resource: &Resource) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(resource.id.as_str()));
    shown.insert("name".to_owned(), json!(resource.id.name()));
    shown.insert("type".to_owned(), json!(entry.type_name));
    if entry.about.is_tracked {
        shown.insert("location".to_owned(), json!(resource.location));
        shown.insert("tags".to_owned(), json!(resource.tags));
    }
    if let Some(sku) = &resource.sku {
        shown.insert("sku".to_owned(), sku.clone());
    }
    if let Some(identity) = &resource.identity {
        shown.insert("identity".to_owned(), identity.clone());
    }
    shown.insert("systemData".to_owned(), system_data(&resource.created, &resource.changed));
    shown
}

/// `systemData`.
fn system_data(created: &Stamp, changed: &Stamp) -> Value {
    json!({
        "createdBy": created.by,
        "createdByType": created.by_type,
        "createdAt": created.at.to_string(),
        "lastModifiedBy": changed.by,
        "lastModifiedByType": changed.by_type,
        "lastModifiedAt": changed.at.to_string(),
    })
}
