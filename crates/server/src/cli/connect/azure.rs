//! Lines for clients of the management API: the Azure CLI, Terraform, the Azure SDK.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use wharf_model::RegistryName;

use super::{Tool, quoted};
use crate::installation::InstallationIds;

/// What all of them need.
pub(super) struct Account<'a> {
    /// Tenant, subscription and the owner's client id.
    pub(super) ids: &'a InstallationIds,
    /// The owner's secret.
    pub(super) secret: &'a SecretString,
    /// The management API's URL.
    pub(super) management: &'a str,
    /// The certificate to trust, unless the operator has one of their own.
    pub(super) authority: Option<PathBuf>,
    /// The registry in examples.
    pub(super) registry: &'a RegistryName,
}

/// Lines that sign in as the owner.
pub(super) fn lines(tool: Tool, account: &Account<'_>) -> String {
    match tool {
        Tool::Az => az(account),
        Tool::Terraform => terraform(account),
        _ => python(account),
    }
}

fn az(account: &Account<'_>) -> String {
    let Account { ids, management, registry, .. } = account;
    let secret = quoted(account.secret.expose_secret());
    format!(
        "# The Azure CLI, with a configuration of its own beside that of Azure.\n\
         export AZURE_CONFIG_DIR=\"$HOME/.azure-wharf\"\n\
         {trust}\
         az cloud show --name wharf >/dev/null 2>&1 || az cloud register --name wharf --endpoint-resource-manager {management}\n\
         az cloud set --name wharf\n\
         az login --service-principal --username {client} --password {secret} --tenant {tenant}\n\
         # az group create --name rg1 --location eastus\n\
         # az acr create --name contoso --resource-group rg1 --sku Premium\n\
         # az acr list --output table\n\
         # az acr login --name {registry}\n",
        trust = trust(account, "REQUESTS_CA_BUNDLE"),
        client = ids.client_id,
        tenant = ids.tenant_id,
    )
}

fn terraform(account: &Account<'_>) -> String {
    let host = account.management.strip_prefix("https://").unwrap_or(account.management);
    format!(
        "# Terraform's azurerm provider.\n\
         export ARM_METADATA_HOSTNAME={host}\n\
         {exports}\
         {trust}\
         # provider \"azurerm\" {{\n\
         #   features {{}}\n\
         #   resource_provider_registrations = \"none\"\n\
         # }}\n",
        exports = exports(account, "ARM"),
        trust = trust(account, "SSL_CERT_FILE"),
    )
}

fn python(account: &Account<'_>) -> String {
    format!(
        "# The Azure SDK for Python: pip install azure-identity azure-mgmt-containerregistry\n\
         {exports}\
         {trust}\
         python3 - <<'END'\n\
         import os\n\
         from azure.identity import ClientSecretCredential\n\
         from azure.mgmt.containerregistry import ContainerRegistryManagementClient\n\
         \n\
         url = \"{management}\"\n\
         tenant, client, secret = (os.environ[f\"AZURE_{{name}}\"] for name in (\"TENANT_ID\", \"CLIENT_ID\", \"CLIENT_SECRET\"))\n\
         credential = ClientSecretCredential(tenant, client, secret, authority=url, disable_instance_discovery=True)\n\
         registries = ContainerRegistryManagementClient(\n    \
             credential, os.environ[\"AZURE_SUBSCRIPTION_ID\"], base_url=url, credential_scopes=[f\"{{url}}/.default\"]\n\
         ).registries\n\
         for registry in registries.list():\n    \
             print(registry.name, registry.login_server, registry.sku.name)\n\
         END\n",
        exports = exports(account, "AZURE"),
        trust = trust(account, "REQUESTS_CA_BUNDLE"),
        management = account.management,
    )
}

fn exports(account: &Account<'_>, prefix: &str) -> String {
    format!(
        "export {prefix}_TENANT_ID={}\n\
         export {prefix}_SUBSCRIPTION_ID={}\n\
         export {prefix}_CLIENT_ID={}\n\
         export {prefix}_CLIENT_SECRET={}\n",
        account.ids.tenant_id,
        account.ids.subscription_id,
        account.ids.client_id,
        quoted(account.secret.expose_secret())
    )
}

/// A line that makes a client trust the authority, by a variable.
fn trust(account: &Account<'_>, variable: &str) -> String {
    let path = account.authority.as_ref().map(|path| quoted(&path.display().to_string()));
    path.map_or_else(String::new, |path| format!("export {variable}={path}\n"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn of(tool: Tool, authority: Option<&str>) -> String {
        let ids = InstallationIds {
            tenant_id: Uuid::from_u128(1),
            subscription_id: Uuid::from_u128(2),
            client_id: Uuid::from_u128(3),
        };
        let account = Account {
            ids: &ids,
            secret: &"it's".into(),
            management: "https://localhost:5443",
            authority: authority.map(PathBuf::from),
            registry: &"wharf".parse().unwrap(),
        };
        lines(tool, &account)
    }

    #[test]
    fn lines_can_be_pasted() {
        let az = of(Tool::Az, Some("/data dir/tls/ca.pem"));
        assert!(az.contains("export REQUESTS_CA_BUNDLE='/data dir/tls/ca.pem'\n"), "{az}");
        assert!(
            az.contains("az cloud register --name wharf --endpoint-resource-manager https://localhost:5443\n"),
            "{az}"
        );
        assert!(
            az.contains(
                "az login --service-principal --username 00000000-0000-0000-0000-000000000003 \
                 --password 'it'\\''s' --tenant 00000000-0000-0000-0000-000000000001\n"
            ),
            "{az}"
        );
        let terraform = of(Tool::Terraform, Some("/d/tls/ca.pem"));
        assert!(terraform.contains("export ARM_METADATA_HOSTNAME=localhost:5443\n"), "{terraform}");
        assert!(terraform.contains("export SSL_CERT_FILE=/d/tls/ca.pem\n"), "{terraform}");
        let python = of(Tool::Python, Some("/d/tls/ca.pem"));
        assert!(python.contains("\nfor registry in registries.list():\n    print(registry.name"), "{python}");
    }

    #[test]
    fn a_certificate_of_the_operators_needs_no_trust() {
        for tool in [Tool::Az, Tool::Terraform, Tool::Python] {
            let text = of(tool, None);
            assert!(!text.contains("CA_BUNDLE") && !text.contains("CERT_FILE"), "{text}");
        }
    }
}
