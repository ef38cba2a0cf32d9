//! Registries as commands print them.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use wharf_model::ResourceId;

use crate::cli::output::{Output, print_json, print_table};
use crate::credentials::RegistryCredentials;

/// A registry as it is shown: flat as `az` prints it, with the names of the management API. `sku` is the tier's name.
#[derive(Debug)]
pub(super) struct Shown(Map<String, Value>);

impl Shown {
    /// A registry as the management API shows it.
    pub(super) fn of(resource: &Value) -> Self {
        let mut shown = resource["properties"].as_object().cloned().unwrap_or_default();
        for member in ["id", "name", "location", "tags", "identity"] {
            if let Some(value) = resource.get(member) {
                shown.insert(member.to_owned(), value.clone());
            }
        }
        let id = resource["id"].as_str().and_then(|id| id.parse::<ResourceId>().ok());
        let group = id.as_ref().and_then(ResourceId::resource_group_name);
        shown.insert("resourceGroup".to_owned(), json!(group));
        shown.insert("sku".to_owned(), resource["sku"]["name"].clone());
        Self(shown)
    }

    /// A member that is a text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn on_off(&self, name: &str) -> &'static str {
        if self.0.get(name).and_then(Value::as_bool).unwrap_or_default() { "on" } else { "off" }
    }

    fn cells(&self) -> Vec<String> {
        let texts = [
            self.text("name"),
            self.text("resourceGroup"),
            self.text("loginServer"),
            self.text("sku"),
            self.on_off("adminUserEnabled"),
            self.on_off("anonymousPullEnabled"),
            self.text("publicNetworkAccess"),
            self.text("creationDate"),
        ];
        texts.map(str::to_owned).into()
    }

    /// Prints it.
    pub(super) fn print(&self, output: Output) -> Result<(), anyhow::Error> {
        match output {
            Output::Json => print_json(&self.0),
            Output::Table => print_table(&HEADING, [self.cells()]),
        }
    }
}

/// Prints several.
pub(super) fn print_all(shown: &[Shown], output: Output) -> Result<(), anyhow::Error> {
    match output {
        Output::Json => print_json(&shown.iter().map(|shown| &shown.0).collect::<Vec<_>>()),
        Output::Table => print_table(&HEADING, shown.iter().map(Shown::cells)),
    }
}

/// Prints the admin user's name and passwords.
pub(super) fn print_credentials(credentials: &RegistryCredentials, output: Output) -> Result<(), anyhow::Error> {
    match output {
        Output::Json => print_json(credentials),
        Output::Table => {
            let [first, second] = credentials.passwords.each_ref().map(|password| password.expose_secret().to_owned());
            let lines = [
                ("login server", credentials.login_server.clone()),
                ("username", credentials.username.clone()),
                ("password", first),
                ("password2", second),
            ];
            print_table(&["WHAT", "VALUE"], lines.map(|(what, value)| vec![what.to_owned(), value]))
        }
    }
}

const HEADING: [&str; 8] =
    ["NAME", "RESOURCE GROUP", "LOGIN SERVER", "SKU", "ADMIN", "ANONYMOUS PULL", "PUBLIC ACCESS", "CREATED"];
