//! `GET /openapi.json`: what is served, generated from the tables that serve it.

use serde_json::{Map, Value, json};

use crate::catalogue::{Catalogue, Entry, ServiceEntry};
use crate::kind::{Access, ActionAt, Place, Property, Shape};

/// The document. `server` is the address that the client used.
pub(crate) fn document(catalogue: &Catalogue, server: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for (path, summary) in FIXED {
        add(&mut paths, path, "get", operation(summary, &[], None, path));
    }
    for entry in catalogue.kinds() {
        schemas.insert(schema_name(entry), resource_schema(entry));
        add_kind(&mut paths, entry);
    }
    for entry in catalogue.services() {
        add_service(&mut paths, entry);
    }
    schemas.insert("Error".to_owned(), error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wharf management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Azure Resource Manager as Wharf speaks it. Paths are matched without regard to case; every request carries api-version.",
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "parameters": {"apiVersion": {"name": "api-version", "in": "query", "required": true, "schema": {"type": "string"}}},
            "schemas": schemas,
        },
    })
}

fn add_kind(paths: &mut Map<String, Value>, entry: &Entry) {
    let about = entry.about;
    let summary = about.summary;
    let name = schema_name(entry);
    let item = item_path(entry);
    let list = json!({"type": "object", "properties": {
        "value": {"type": "array", "items": reference(&name)}, "nextLink": {"type": "string"}}});
    for path in list_paths(entry) {
        add(
            paths,
            &path,
            "get",
            operation(&format!("List: {summary}"), about.versions.listed, Some(list.clone()), &path),
        );
    }
    let mut item_operation = |method: &str, verb: &str, has_body: bool| {
        let mut shown = operation(&format!("{verb}: {summary}"), about.versions.listed, Some(reference(&name)), &item);
        if has_body && let Some(shown) = shown.as_object_mut() {
            shown.insert(
                "requestBody".to_owned(),
                json!({"content": {"application/json": {"schema": reference(&name)}}}),
            );
        }
        add(paths, &item, method, shown);
    };
    item_operation("get", "Show", false);
    item_operation("put", "Create or replace", true);
    if about.patch {
        item_operation("patch", "Change", true);
    }
    item_operation("delete", "Delete", false);
    for action in about.actions {
        let base = match action.at {
            ActionAt::Resource => item.clone(),
            ActionAt::Subscription => format!("/subscriptions/{{subscriptionId}}/providers/{}", about.namespace),
        };
        let path = format!("{base}/{}", action.name);
        let method = action.method.as_str().to_ascii_lowercase();
        let shown = operation(action.summary, about.versions.listed, Some(json!({"type": "object"})), &path);
        if action.has_tail {
            let path = format!("{path}/{{name}}");
            add(
                paths,
                &path,
                &method,
                operation(action.summary, about.versions.listed, Some(json!({"type": "object"})), &path),
            );
        }
        add(paths, &path, &method, shown);
    }
}

fn add_service(paths: &mut Map<String, Value>, entry: &ServiceEntry) {
    let base = format!("/{{scope}}/providers/{}/{}", entry.service.namespace(), entry.about.word);
    for endpoint in entry.about.endpoints {
        let path = format!("{base}{}", endpoint.path);
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let shown = operation(endpoint.summary, entry.versions().listed, Some(json!({"type": "object"})), &path);
        add(paths, &path, &method, shown);
    }
}

fn add(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
    if let Some(item) = item.as_object_mut() {
        item.insert(method.to_owned(), operation);
    }
}

fn operation(summary: &str, versions: &[&str], schema: Option<Value>, path: &str) -> Value {
    let mut parameters: Vec<Value> = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.push(if versions.is_empty() {
        json!({"$ref": "#/components/parameters/apiVersion"})
    } else {
        json!({"name": "api-version", "in": "query", "required": true, "schema": {"type": "string", "enum": versions}})
    });
    let done = match schema {
        Some(schema) => json!({"description": "Done", "content": {"application/json": {"schema": schema}}}),
        None => json!({"description": "Done"}),
    };
    let failed = json!({"description": "Not done", "content": {"application/json": {"schema": reference("Error")}}});
    json!({"summary": summary, "parameters": parameters, "responses": {"2XX": done, "default": failed}})
}

fn item_path(entry: &Entry) -> String {
    let about = entry.about;
    if about.place == Place::Subscription {
        return format!("{GROUPS}/{{resourceGroupName}}");
    }
    let words: Vec<String> = about.path.split('/').map(|word| format!("{word}/{{{}Name}}", singular(word))).collect();
    format!("{}/providers/{}/{}", scope_path(entry), about.namespace, words.join("/"))
}

fn list_paths(entry: &Entry) -> Vec<String> {
    let about = entry.about;
    let item = item_path(entry);
    let list = item.rsplit_once('/').map(|(list, _)| list.to_owned()).unwrap_or_default();
    match about.place {
        Place::Group => {
            vec![list, format!("/subscriptions/{{subscriptionId}}/providers/{}/{}", about.namespace, about.path)]
        }
        Place::Parent | Place::Scope | Place::Subscription => vec![list],
    }
}

fn scope_path(entry: &Entry) -> String {
    match entry.about.place {
        Place::Scope => "/{scope}".to_owned(),
        _ => format!("{GROUPS}/{{resourceGroupName}}"),
    }
}

fn resource_schema(entry: &Entry) -> Value {
    let mut members = Map::new();
    let text = || json!({"type": "string"});
    for name in ["id", "name", "type"] {
        members.insert(name.to_owned(), json!({"type": "string", "readOnly": true}));
    }
    if entry.about.is_tracked {
        members.insert("location".to_owned(), text());
        members.insert("tags".to_owned(), json!({"type": "object", "additionalProperties": {"type": "string"}}));
    }
    members.insert("systemData".to_owned(), json!({"type": "object", "readOnly": true}));
    let mut properties = json!({"type": "object", "properties": {}});
    for property in entry.about.properties {
        let words: Vec<&str> = property.path.split('.').collect();
        put_property(&mut properties, &words, property);
    }
    members.insert("properties".to_owned(), properties);
    json!({"type": "object", "description": entry.about.summary, "properties": members})
}

/// Puts a property at its place in a schema, making what is on the way.
fn put_property(schema: &mut Value, words: &[&str], property: &Property) {
    let [word, rest @ ..] = words else { return };
    let (name, is_list) = word.strip_suffix("[]").map_or((*word, false), |name| (name, true));
    let Some(object) = schema.as_object_mut() else { return };
    let members = object.entry("properties").or_insert_with(|| json!({}));
    let Some(members) = members.as_object_mut() else { return };
    if rest.is_empty() {
        members.insert(name.to_owned(), property_schema(property));
        return;
    }
    let empty = if is_list { json!({"type": "array", "items": {"type": "object"}}) } else { json!({"type": "object"}) };
    let member = members.entry(name.to_owned()).or_insert(empty);
    let inner = if is_list {
        member.as_object_mut().map(|list| list.entry("items").or_insert_with(|| json!({"type": "object"})))
    } else {
        Some(member)
    };
    if let Some(inner) = inner {
        put_property(inner, rest, property);
    }
}

fn property_schema(property: &Property) -> Value {
    let mut schema = match property.shape {
        Shape::Text | Shape::Id => json!({"type": "string"}),
        Shape::Word(words) => json!({"type": "string", "enum": words}),
        Shape::Number => json!({"type": "integer"}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Time => json!({"type": "string", "format": "date-time"}),
        Shape::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Shape::Object => json!({"type": "object"}),
        Shape::Objects => json!({"type": "array", "items": {"type": "object"}}),
    };
    if let Some(schema) = schema.as_object_mut() {
        match property.access {
            Access::Shown => drop(schema.insert("readOnly".to_owned(), json!(true))),
            Access::Settled => {
                drop(schema.insert("description".to_owned(), json!("Set when the resource is created.")))
            }
            Access::Written => {}
        }
    }
    schema
}

fn error_schema() -> Value {
    json!({"type": "object", "properties": {"error": {"type": "object", "properties": {
        "code": {"type": "string"}, "message": {"type": "string"}, "target": {"type": "string"},
        "details": {"type": "array", "items": {"type": "object"}}}}}})
}

/// `ContainerRegistry.registries.tokens`.
fn schema_name(entry: &Entry) -> String {
    let namespace = entry.about.namespace.trim_start_matches("Microsoft.");
    format!("{namespace}.{}", entry.about.path.replace('/', "."))
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The name of a parameter for one of many: `registries` are each a `registry`.
fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => word.trim_end_matches('s').to_owned(),
    }
}

const GROUPS: &str = "/subscriptions/{subscriptionId}/resourceGroups";

/// What belongs to no kind.
const FIXED: [(&str, &str); 10] = [
    ("/metadata/endpoints", "Where everything is; needs no sign-in"),
    ("/tenants", "List tenants"),
    ("/subscriptions", "List subscriptions"),
    ("/subscriptions/{subscriptionId}", "Show a subscription"),
    ("/subscriptions/{subscriptionId}/locations", "List regions"),
    ("/subscriptions/{subscriptionId}/resources", "List whatever is tracked in a subscription"),
    (
        "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/resources",
        "List whatever is tracked in a resource group",
    ),
    ("/subscriptions/{subscriptionId}/providers", "List resource providers"),
    ("/subscriptions/{subscriptionId}/providers/{namespace}", "Show a resource provider"),
    ("/subscriptions/{subscriptionId}/operationResults/{operationId}", "Poll a long-running operation"),
];
