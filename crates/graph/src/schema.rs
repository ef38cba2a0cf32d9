//! The properties of objects: which there are, which of them can be set, and what they may hold.
//!
//! A few are columns of the database, with rules of their own; the others are kept as they are sent, as long as they are
//! of their kind, and shown again. What an application may do with them is up to it.

use serde_json::{Map, Value};
use url::Url;
use wharf_metadata::directory::Properties;

use crate::error::GraphError;
use crate::path::Collection;

/// A property.
pub(crate) struct Property {
    name: &'static str,
    holds: Holds,
}

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// It is handled by the code of its collection.
    Handled,
    /// It cannot be set.
    ReadOnly,
    /// A text, or null.
    Text,
    /// True or false; what it is if nobody said.
    Flag(bool),
    /// Texts.
    Texts,
    /// An object, or null.
    Object,
    /// Objects.
    Objects,
}

/// What a body asks to set.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Properties that are handled by the code of their collection.
    pub(crate) handled: Map<String, Value>,
    /// Properties that are kept as they are.
    pub(crate) kept: Map<String, Value>,
}

/// The properties of a collection's objects.
pub(crate) fn of(collection: Collection) -> &'static [Property] {
    match collection {
        Collection::Applications => APPLICATION,
        Collection::ServicePrincipals => SERVICE_PRINCIPAL,
        Collection::Users => USER,
        Collection::Groups => GROUP,
        Collection::DirectoryObjects => &[],
    }
}

/// Reads what a body asks to set.
///
/// # Errors
/// When a property is unknown, cannot be set, or holds something else than it may.
pub(crate) fn read(collection: Collection, body: Map<String, Value>) -> Result<Wanted, GraphError> {
    let mut wanted = Wanted::default();
    for (name, value) in body {
        if name.starts_with('@') {
            continue;
        }
        let bound = name.strip_suffix("@odata.bind").unwrap_or(&name);
        let property = of(collection).iter().find(|property| property.name.eq_ignore_ascii_case(bound));
        let property = property.ok_or_else(|| GraphError::invalid(format!("Invalid property '{name}'.")))?;
        let expected = match property.holds {
            Holds::Handled => {
                wanted.handled.insert(property.name.to_owned(), value);
                continue;
            }
            Holds::ReadOnly => {
                return Err(GraphError::invalid(format!("Property '{name}' is read-only and cannot be set.")));
            }
            Holds::Text if value.is_string() || value.is_null() => None,
            Holds::Text => Some("a text"),
            Holds::Flag(_) if value.is_boolean() || value.is_null() => None,
            Holds::Flag(_) => Some("true or false"),
            Holds::Texts if is_list_of(&value, Value::is_string) || value.is_null() => None,
            Holds::Texts => Some("a list of texts"),
            Holds::Object if value.is_object() || value.is_null() => None,
            Holds::Object => Some("an object"),
            Holds::Objects if is_list_of(&value, Value::is_object) || value.is_null() => None,
            Holds::Objects => Some("a list of objects"),
        };
        if let Some(expected) = expected {
            return Err(GraphError::invalid(format!("Property '{name}' must be {expected}.")));
        }
        if let Some(text) = value.as_str()
            && (text.chars().count() > LONGEST_TEXT || text.contains('\0'))
        {
            return Err(GraphError::invalid(format!("Property '{name}' has at most {LONGEST_TEXT} characters.")));
        }
        check_redirects(property.name, &value)?;
        wanted.kept.insert(property.name.to_owned(), value);
    }
    Ok(wanted)
}

/// Sets kept properties: null removes one, objects are merged, everything else is replaced.
pub(crate) fn merge(properties: &mut Properties, wanted: Map<String, Value>) {
    for (name, value) in wanted {
        match (properties.get_mut(&name), value) {
            (_, Value::Null) => {
                properties.remove(&name);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => {
                properties.insert(name, value);
            }
        }
    }
}

/// The kept properties of an object, all of them: those that nobody set have their usual values.
pub(crate) fn show(collection: Collection, properties: &Properties) -> Map<String, Value> {
    let mut shown = Map::new();
    for property in of(collection) {
        let usual = match property.holds {
            Holds::Handled | Holds::ReadOnly => continue,
            Holds::Text => Value::Null,
            Holds::Flag(usual) => usual.into(),
            Holds::Texts | Holds::Objects => Value::Array(Vec::new()),
            Holds::Object => usual_object(collection, property.name),
        };
        let value = match (properties.get(property.name), usual) {
            // So that clients find the members they look for.
            (Some(Value::Object(set)), Value::Object(mut usual)) => {
                usual.extend(set.clone());
                Value::Object(usual)
            }
            (Some(set), _) => set.clone(),
            (None, usual) => usual,
        };
        shown.insert(property.name.to_owned(), value);
    }
    shown
}

fn usual_object(collection: Collection, name: &str) -> Value {
    use serde_json::json;
    match (collection, name) {
        (Collection::Applications, "web") => json!({
            "homePageUrl": null, "logoutUrl": null, "redirectUris": [],
            "implicitGrantSettings": {"enableAccessTokenIssuance": false, "enableIdTokenIssuance": false},
        }),
        (Collection::Applications, "publicClient" | "spa") => json!({"redirectUris": []}),
        (Collection::Applications, "api") => json!({
            "acceptMappedClaims": null, "knownClientApplications": [], "oauth2PermissionScopes": [],
            "preAuthorizedApplications": [], "requestedAccessTokenVersion": null,
        }),
        (Collection::Applications, "info") => json!({
            "logoUrl": null, "marketingUrl": null, "privacyStatementUrl": null, "supportUrl": null,
            "termsOfServiceUrl": null,
        }),
        _ => Value::Null,
    }
}

/// People are sent back to nowhere but where an application said, so that must not be just anywhere.
fn check_redirects(property: &str, value: &Value) -> Result<(), GraphError> {
    let is_public = match property {
        "web" | "spa" => false,
        "publicClient" => true,
        _ => return Ok(()),
    };
    let Some(listed) = value.get("redirectUris").filter(|listed| !listed.is_null()) else { return Ok(()) };
    let wrong = || GraphError::invalid(format!("Property '{property}.redirectUris' must be a list of addresses."));
    let listed = listed.as_array().ok_or_else(wrong)?;
    if listed.len() > MOST_REDIRECTS {
        return Err(GraphError::invalid(format!("An application has at most {MOST_REDIRECTS} redirectUris.")));
    }
    for address in listed {
        let address = address.as_str().ok_or_else(wrong)?;
        if !may_redirect_to(address, is_public) {
            return Err(GraphError::invalid(format!(
                "The redirectUri '{address}' cannot be used: it begins with https://, or with http:// for this machine alone, \
                 and has neither wildcards nor a fragment."
            )));
        }
    }
    Ok(())
}

fn may_redirect_to(address: &str, is_public: bool) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    if address.len() > LONGEST_TEXT
        || url.fragment().is_some()
        || address.contains(['*', '\\'])
        || !url.username().is_empty()
    {
        return false;
    }
    match url.scheme() {
        "https" => url.has_host(),
        "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
        // They run in the page that follows them, or read files of whoever does.
        "javascript" | "data" | "vbscript" | "file" | "about" | "blob" | "view-source" | "ws" | "wss" | "ftp" => false,
        // Programs on a machine are called by schemes of their own.
        _ => is_public,
    }
}

fn is_list_of(value: &Value, is_right: impl Fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(is_right))
}

const fn property(name: &'static str, holds: Holds) -> Property {
    Property { name, holds }
}

const APPLICATION: &[Property] = &[
    property("id", Holds::ReadOnly),
    property("appId", Holds::ReadOnly),
    property("createdDateTime", Holds::ReadOnly),
    property("deletedDateTime", Holds::ReadOnly),
    property("publisherDomain", Holds::ReadOnly),
    property("applicationTemplateId", Holds::ReadOnly),
    property("displayName", Holds::Handled),
    property("identifierUris", Holds::Handled),
    property("keyCredentials", Holds::Handled),
    property("passwordCredentials", Holds::Handled),
    property("addIns", Holds::Objects),
    property("api", Holds::Object),
    property("appRoles", Holds::Objects),
    property("defaultRedirectUri", Holds::Text),
    property("description", Holds::Text),
    property("disabledByMicrosoftStatus", Holds::Text),
    property("groupMembershipClaims", Holds::Text),
    property("info", Holds::Object),
    property("isDeviceOnlyAuthSupported", Holds::Flag(false)),
    property("isFallbackPublicClient", Holds::Flag(false)),
    property("notes", Holds::Text),
    property("optionalClaims", Holds::Object),
    property("parentalControlSettings", Holds::Object),
    property("publicClient", Holds::Object),
    property("requestSignatureVerification", Holds::Object),
    property("requiredResourceAccess", Holds::Objects),
    property("samlMetadataUrl", Holds::Text),
    property("serviceManagementReference", Holds::Text),
    property("servicePrincipalLockConfiguration", Holds::Object),
    property("signInAudience", Holds::Text),
    property("spa", Holds::Object),
    property("tags", Holds::Texts),
    property("tokenEncryptionKeyId", Holds::Text),
    property("verifiedPublisher", Holds::Object),
    property("web", Holds::Object),
];

const SERVICE_PRINCIPAL: &[Property] = &[
    property("id", Holds::ReadOnly),
    property("appId", Holds::Handled),
    property("accountEnabled", Holds::Handled),
    property("displayName", Holds::Handled),
    property("keyCredentials", Holds::Handled),
    property("passwordCredentials", Holds::Handled),
    property("createdDateTime", Holds::ReadOnly),
    property("deletedDateTime", Holds::ReadOnly),
    property("servicePrincipalNames", Holds::ReadOnly),
    property("servicePrincipalType", Holds::ReadOnly),
    property("appOwnerOrganizationId", Holds::ReadOnly),
    property("alternativeNames", Holds::ReadOnly),
    property("appDisplayName", Holds::ReadOnly),
    property("addIns", Holds::Objects),
    property("appRoleAssignmentRequired", Holds::Flag(false)),
    property("appRoles", Holds::Objects),
    property("description", Holds::Text),
    property("homepage", Holds::Text),
    property("info", Holds::Object),
    property("loginUrl", Holds::Text),
    property("logoutUrl", Holds::Text),
    property("notes", Holds::Text),
    property("notificationEmailAddresses", Holds::Texts),
    property("oauth2PermissionScopes", Holds::Objects),
    property("preferredSingleSignOnMode", Holds::Text),
    property("replyUrls", Holds::Texts),
    property("signInAudience", Holds::Text),
    property("tags", Holds::Texts),
    property("tokenEncryptionKeyId", Holds::Text),
];

const USER: &[Property] = &[
    property("id", Holds::ReadOnly),
    property("createdDateTime", Holds::ReadOnly),
    property("deletedDateTime", Holds::ReadOnly),
    property("accountEnabled", Holds::Handled),
    property("displayName", Holds::Handled),
    property("passwordProfile", Holds::Handled),
    property("userPrincipalName", Holds::Handled),
    property("businessPhones", Holds::Texts),
    property("city", Holds::Text),
    property("companyName", Holds::Text),
    property("country", Holds::Text),
    property("department", Holds::Text),
    property("employeeId", Holds::Text),
    property("givenName", Holds::Text),
    property("jobTitle", Holds::Text),
    property("mail", Holds::Text),
    property("mailNickname", Holds::Text),
    property("mobilePhone", Holds::Text),
    property("officeLocation", Holds::Text),
    property("onPremisesImmutableId", Holds::Text),
    property("otherMails", Holds::Texts),
    property("passwordPolicies", Holds::Text),
    property("postalCode", Holds::Text),
    property("preferredLanguage", Holds::Text),
    property("state", Holds::Text),
    property("streetAddress", Holds::Text),
    property("surname", Holds::Text),
    property("usageLocation", Holds::Text),
    property("userType", Holds::Text),
];

const GROUP: &[Property] = &[
    property("id", Holds::ReadOnly),
    property("createdDateTime", Holds::ReadOnly),
    property("deletedDateTime", Holds::ReadOnly),
    property("mail", Holds::ReadOnly),
    property("displayName", Holds::Handled),
    property("groupTypes", Holds::Handled),
    property("mailEnabled", Holds::Handled),
    property("securityEnabled", Holds::Handled),
    property("members", Holds::Handled),
    property("owners", Holds::Handled),
    property("description", Holds::Text),
    property("isAssignableToRole", Holds::Flag(false)),
    property("mailNickname", Holds::Text),
    property("visibility", Holds::Text),
];

/// The properties of a user that are shown to whoever names none. Source: Microsoft Graph, "Get a user".
pub(crate) const USUAL_OF_USERS: &[&str] = &[
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];

const LONGEST_TEXT: usize = 1024;
const MOST_REDIRECTS: usize = 256;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(collection: Collection, body: Value) -> Result<Wanted, GraphError> {
        let Value::Object(body) = body else { unreachable!() };
        read(collection, body)
    }

    #[test]
    fn properties_are_of_their_kind() {
        let body = json!({"displayName": "x", "NOTES": "y", "tags": ["a"], "web": {}, "@odata.type": "z", "optionalClaims": null});
        let read = wanted(Collection::Applications, body).unwrap();
        assert_eq!(read.handled.keys().collect::<Vec<_>>(), ["displayName"]);
        assert_eq!(read.kept.keys().collect::<Vec<_>>(), ["notes", "optionalClaims", "tags", "web"]);
        for bad in [
            json!({"planet": 1}),
            json!({"id": "x"}),
            json!({"notes": 1}),
            json!({"notes": "x".repeat(2000)}),
            json!({"tags": "x"}),
            json!({"tags": [1]}),
            json!({"web": []}),
            json!({"isFallbackPublicClient": "true"}),
        ] {
            assert!(wanted(Collection::Applications, bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn people_are_sent_back_to_safe_places_only() {
        let redirect = |platform: &str, address: &str| {
            wanted(Collection::Applications, json!({platform: {"redirectUris": [address]}})).is_ok()
        };
        for good in ["https://app.example.com/cb", "http://localhost:8400/", "http://127.0.0.1", "http://[::1]:5/x"] {
            assert!(redirect("web", good) && redirect("publicClient", good), "{good}");
        }
        for own in ["myapp://auth", "urn:ietf:wg:oauth:2.0:oob", "msal04b0://auth"] {
            assert!(!redirect("web", own) && !redirect("spa", own) && redirect("publicClient", own), "{own}");
        }
        for bad in [
            "http://app.example.com/cb",
            "http://localhost.example.com",
            "http://localhost@example.com/",
            "https://*.example.com/cb",
            "https://app.example.com/cb#x",
            "https://user@example.com",
            "https:\\\\example.com",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "//example.com",
            "/cb",
            "",
        ] {
            assert!(!redirect("web", bad) && !redirect("publicClient", bad), "{bad}");
        }
        assert!(wanted(Collection::Applications, json!({"web": {"redirectUris": "x"}})).is_err());
        assert!(wanted(Collection::Applications, json!({"web": {"redirectUris": [1]}})).is_err());
    }

    #[test]
    fn objects_are_merged_and_null_removes() {
        let Value::Object(mut properties) = json!({"web": {"homePageUrl": "a", "redirectUris": ["x"]}, "notes": "n"})
        else {
            unreachable!()
        };
        let Value::Object(change) = json!({"web": {"homePageUrl": "b"}, "notes": null, "tags": ["t"]}) else {
            unreachable!()
        };
        merge(&mut properties, change);
        assert_eq!(
            Value::Object(properties),
            json!({"web": {"homePageUrl": "b", "redirectUris": ["x"]}, "tags": ["t"]})
        );
    }
}
