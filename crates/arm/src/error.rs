//! Azure Resource Manager's errors: one table of codes, and the body that carries them.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Map, Value, json};
use wharf_model::ResourceId;

/// Stamps the enumeration and its table from one list, so that neither can miss a row of the other.
macro_rules! codes {
    ($($code:ident $status:ident),+ $(,)?) => {
        /// What went wrong, in ARM's words. The word on the wire is the variant's name; the status goes with it unless
        /// the situation asks for another.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the codes are Azure's and say what they mean")]
        pub enum Code { $($code),+ }

        impl Code {
            /// Every code.
            pub const EVERY: &[Self] = &[$(Self::$code),+];

            /// The code's word on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => stringify!($code)),+ }
            }

            /// The status that goes with it.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status),+ }
            }
        }
    };
}

// Sources: `acr/control-plane.md` 2.1 and 7; azure-rest-api-specs for those that clients never match on.
codes! {
    // What is asked of whom.
    AuthenticationFailed UNAUTHORIZED,
    ExpiredAuthenticationToken UNAUTHORIZED,
    InvalidAuthenticationToken UNAUTHORIZED,
    InvalidAuthenticationTokenTenant UNAUTHORIZED,
    AuthorizationFailed FORBIDDEN,
    LinkedAuthorizationFailed FORBIDDEN,
    // The request itself.
    MissingApiVersionParameter BAD_REQUEST,
    InvalidApiVersionParameter BAD_REQUEST,
    NoRegisteredProviderFound BAD_REQUEST,
    InvalidResourceNamespace NOT_FOUND,
    InvalidResourceType NOT_FOUND,
    InvalidSubscriptionId BAD_REQUEST,
    InvalidRequestUri BAD_REQUEST,
    InvalidRequestContent BAD_REQUEST,
    InvalidFilterInQueryString BAD_REQUEST,
    InvalidParameter BAD_REQUEST,
    BadRequest BAD_REQUEST,
    RequestContentTooLarge PAYLOAD_TOO_LARGE,
    HttpMethodNotSupported METHOD_NOT_ALLOWED,
    RequestTimeout REQUEST_TIMEOUT,
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE,
    // What it names.
    NotFound NOT_FOUND,
    ResourceNotFound NOT_FOUND,
    ParentResourceNotFound NOT_FOUND,
    ResourceGroupNotFound NOT_FOUND,
    SubscriptionNotFound NOT_FOUND,
    LocationNotAvailableForResourceType BAD_REQUEST,
    LocationRequired BAD_REQUEST,
    InvalidResourceLocation CONFLICT,
    InvalidResourceGroupLocation CONFLICT,
    InvalidResourceName BAD_REQUEST,
    InvalidResourceGroup BAD_REQUEST,
    InvalidTag BAD_REQUEST,
    // What stands in the way.
    Conflict CONFLICT,
    OperationNotAllowed CONFLICT,
    PreconditionFailed PRECONDITION_FAILED,
    ScopeLocked CONFLICT,
    ResourceGroupBeingDeleted CONFLICT,
    ResourceBeingDeleted CONFLICT,
    QuotaExceeded CONFLICT,
    TooManyRequests TOO_MANY_REQUESTS,
    // Microsoft.ContainerRegistry.
    RegistryNameAlreadyInUse CONFLICT,
    RegistryNameReserved BAD_REQUEST,
    InvalidRegistryName BAD_REQUEST,
    InvalidSku BAD_REQUEST,
    SkuNotSupported BAD_REQUEST,
    DisablingPublicNetworkAccessNotSupported BAD_REQUEST,
    MaximumQuotaExceeded CONFLICT,
    UnAuthorizedForCredentialOperations BAD_REQUEST,
    FailedIdentityOperation BAD_REQUEST,
    InvalidImmutableProperty BAD_REQUEST,
    ImportImageFailed BAD_REQUEST,
    ImportImageCanceled CONFLICT,
    // Microsoft.Authorization.
    RoleAssignmentExists CONFLICT,
    RoleAssignmentNotFound NOT_FOUND,
    RoleAssignmentUpdateNotPermitted BAD_REQUEST,
    RoleAssignmentLimitExceeded BAD_REQUEST,
    RoleDefinitionDoesNotExist NOT_FOUND,
    RoleDefinitionHasAssignments BAD_REQUEST,
    RoleDefinitionWithSameNameExists CONFLICT,
    InvalidRoleDefinition BAD_REQUEST,
    PrincipalNotFound BAD_REQUEST,
    PrincipalTypeNotSupported BAD_REQUEST,
    UnmatchedPrincipalType BAD_REQUEST,
    InvalidCondition BAD_REQUEST,
    // Deployments.
    InvalidTemplate BAD_REQUEST,
    InvalidTemplateDeployment BAD_REQUEST,
    InvalidDeploymentParameterValue BAD_REQUEST,
    DeploymentActive CONFLICT,
    DeploymentCanceled CONFLICT,
    InvalidDeploymentLocation CONFLICT,
    DeploymentCannotBeCancelled CONFLICT,
    DeploymentFailed CONFLICT,
    DeploymentNotFound NOT_FOUND,
    // Ours.
    InternalServerError INTERNAL_SERVER_ERROR,
    InsufficientStorage INSUFFICIENT_STORAGE,
    ServiceUnavailable SERVICE_UNAVAILABLE,
}

/// An error as the caller gets it. What the log keeps is told to the log elsewhere.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct ArmError {
    /// The response's status.
    pub status: StatusCode,
    /// The code in the body.
    pub code: Code,
    /// The message in the body: what happened, to what, and what to do.
    pub message: Cow<'static, str>,
    /// What it is about: a member of the body such as `properties.networkRuleSet.ipRules[0].value`, or a parameter.
    pub target: Option<String>,
    /// The errors that it is made of.
    pub details: Vec<ArmError>,
}

impl ArmError {
    /// The error with the table's status.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: code.status(), code, message: message.into(), target: None, details: Vec::new() }
    }

    /// The same error with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same error, about this part of the request.
    #[must_use]
    pub fn with_target(self, target: impl Into<String>) -> Self {
        Self { target: Some(target.into()), ..self }
    }

    /// The same error with what it is made of.
    #[must_use]
    pub fn with_details(self, details: Vec<ArmError>) -> Self {
        Self { details, ..self }
    }

    /// 404 for a resource that is not there, in ARM's words.
    #[must_use]
    pub fn resource_not_found(id: &ResourceId) -> Self {
        let kind = id.resource_type().unwrap_or_default();
        let name = id.name().unwrap_or_default();
        let group =
            id.resource_group_name().map(|group| format!(" under resource group '{group}'")).unwrap_or_default();
        Self::new(Code::ResourceNotFound, format!("The Resource '{kind}/{name}'{group} was not found."))
    }

    /// 404 for the resource that another one is or was to be in.
    #[must_use]
    pub fn parent_not_found(parent: &ResourceId, id: &ResourceId) -> Self {
        let name = parent.name().unwrap_or_default();
        let text = format!(
            "Can not perform requested operation on nested resource. Parent resource '{name}' not found, so '{id}' cannot be there."
        );
        Self::new(Code::ParentResourceNotFound, text)
    }

    /// 404 for a resource group.
    #[must_use]
    pub fn group_not_found(name: &str) -> Self {
        Self::new(Code::ResourceGroupNotFound, format!("Resource group '{name}' could not be found."))
    }

    /// 404 for a subscription.
    #[must_use]
    pub fn subscription_not_found(id: &str) -> Self {
        Self::new(Code::SubscriptionNotFound, format!("The subscription '{id}' could not be found."))
    }

    /// 403 for somebody who may not.
    #[must_use]
    pub fn authorization_failed(who: &str, object_id: &str, operation: &str, scope: &ResourceId) -> Self {
        let text = format!(
            "The client '{who}' with object id '{object_id}' does not have authorization to perform action '{operation}' over scope \
             '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
        );
        Self::new(Code::AuthorizationFailed, text)
    }

    /// 400 for a member of the body that cannot be taken; `reason` says what it must be.
    #[must_use]
    pub fn invalid_member(path: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(Code::InvalidRequestContent, format!("The value of '{path}' cannot be taken: {reason}."))
            .with_target(path)
    }

    /// 400 for a property that was fixed when the resource was created.
    #[must_use]
    pub fn immutable(path: &str) -> Self {
        Self::new(
            Code::InvalidImmutableProperty,
            format!("'{path}' is set when the resource is created and cannot be changed; create another resource."),
        )
        .with_target(path)
    }

    /// 500, which tells nothing: the cause is in the log, under the request's id.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            Code::InternalServerError,
            "The server failed to do this. Try again; the operator finds the cause in the log under the id in \
             x-ms-correlation-request-id.",
        )
    }

    /// What stands under `error` in the response, and in operations that failed.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut error = Map::new();
        error.insert("code".to_owned(), json!(self.code.as_str()));
        error.insert("message".to_owned(), json!(self.message));
        if let Some(target) = &self.target {
            error.insert("target".to_owned(), json!(target));
        }
        if !self.details.is_empty() {
            error.insert("details".to_owned(), self.details.iter().map(Self::to_value).collect());
        }
        Value::Object(error)
    }

    /// The response's body.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({"error": self.to_value()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_what_az_reads() {
        let id: ResourceId = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r"
            .parse()
            .unwrap();
        insta::assert_snapshot!(ArmError::resource_not_found(&id).body(), @r#"{"error":{"code":"ResourceNotFound","message":"The Resource 'Microsoft.ContainerRegistry/registries/r' under resource group 'g' was not found."}}"#);
        let inner = ArmError::invalid_member("properties.x", "expected a number");
        let outer = ArmError::new(Code::InvalidTemplateDeployment, "See details.").with_details(vec![inner]);
        insta::assert_snapshot!(outer.body(), @r#"{"error":{"code":"InvalidTemplateDeployment","details":[{"code":"InvalidRequestContent","message":"The value of 'properties.x' cannot be taken: expected a number.","target":"properties.x"}],"message":"See details."}}"#);
    }

    #[test]
    fn every_code_is_an_error() {
        for code in Code::EVERY {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code:?}");
        }
    }
}
