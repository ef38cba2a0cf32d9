//! `GET /metadata/endpoints`: where everything is, for `az cloud register`, Terraform and PowerShell. For everybody.
//!
//! Source: `acr/control-plane.md` 3; the forms of old versions from the clients that read them.

use serde_json::{Value, json};
use wharf_arm::{ArmError, Code, versions};
use wharf_model::RequestContext;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::management::Management;
use crate::query::Query;

/// The document, in the form that the api-version has.
pub(crate) fn get(management: &Management, context: &RequestContext, query: &Query) -> Result<Answer, Failure> {
    let version = query.get("api-version").unwrap_or_default().trim();
    let version = if version.is_empty() { NEWEST } else { version };
    let cloud = cloud(management, context);
    Ok(Answer::ok(match version {
        // Of Azure Stack's time, which PowerShell still asks for.
        "1.0" => old(context),
        version if !versions::is_version(&version.to_ascii_lowercase()) => {
            let shown: String = version.chars().take(40).collect();
            let text =
                format!("The api-version '{shown}' is invalid. The supported versions are '{}'.", SUPPORTED.join(", "));
            return Err(ArmError::new(Code::InvalidApiVersionParameter, text).into());
        }
        version if version < "2018" => old(context),
        // A list of clouds, of which this is the only one.
        version if version < "2022" => Value::Array(vec![cloud]),
        _ => cloud,
    }))
}

/// The cloud that this installation is.
pub(crate) fn cloud(management: &Management, context: &RequestContext) -> Value {
    let endpoints = &context.endpoints;
    let suffix = management.login_servers().suffix();
    let (arm, graph) = (&endpoints.management, format!("{}/", endpoints.graph));
    json!({
        "name": NAME,
        "portal": endpoints.portal,
        "authentication": {
            "loginEndpoint": authority(context),
            "audiences": [arm, format!("{arm}/")],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "graphAudience": graph,
        "graph": graph,
        "microsoftGraphResourceId": graph,
        "resourceManager": format!("{arm}/"),
        "media": arm,
        "batch": arm,
        "gallery": arm,
        "sqlManagement": arm,
        "activeDirectoryDataLake": arm,
        "vmImageAliasDoc": format!("{arm}/"),
        "logAnalyticsResourceId": arm,
        "suffixes": {
            "acrLoginServer": suffix,
            "storage": suffix,
            "keyVaultDns": format!("vault.{suffix}"),
            "sqlServerHostname": format!("database.{suffix}"),
            "azureDataLakeStoreFileSystem": format!("datalake.{suffix}"),
            "azureDataLakeAnalyticsCatalogAndJob": format!("analytics.{suffix}"),
        },
    })
}

fn old(context: &RequestContext) -> Value {
    let endpoints = &context.endpoints;
    json!({
        "galleryEndpoint": endpoints.management,
        "graphEndpoint": format!("{}/", endpoints.graph),
        "portalEndpoint": endpoints.portal,
        "authentication": {
            "loginEndpoint": authority(context),
            "audiences": [endpoints.management, format!("{}/", endpoints.management)],
        },
    })
}

/// An authority that ends in `/adfs` needs no setting on the client's side: it never asks Azure about it.
fn authority(context: &RequestContext) -> String {
    format!("{}/adfs", context.endpoints.login)
}

const NAME: &str = "Wharf";
const NEWEST: &str = "2023-11-01";
const SUPPORTED: [&str; 5] = ["1.0", "2015-01-01", "2019-05-01", "2022-09-01", "2023-11-01"];
