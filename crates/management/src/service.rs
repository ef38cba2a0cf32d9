//! Endpoints that are no resources of one table: role assignments, deployments. They get the same door, the same errors
//! and the same headers as kinds, and do the rest themselves.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use wharf_arm::ArmError;
use wharf_arm::versions::Versions;
use wharf_model::ResourceId;

use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::query::Query;

/// A type of a provider that is answered by hand: everything at `{scope}/providers/{namespace}/{word}` and below.
///
/// For `Microsoft.Resources` also what stands at `{group}/{word}` without a provider, such as `{group}/exportTemplate`.
#[async_trait]
pub trait Service: Send + Sync + fmt::Debug + 'static {
    /// `Microsoft.Authorization`.
    fn namespace(&self) -> &'static str;

    /// The types within the namespace that it answers, in the documented spelling: `roleAssignments`.
    fn types(&self) -> &'static [ServiceType];

    /// The most that a body may hold, in bytes.
    fn most_body_bytes(&self) -> usize {
        crate::body::MOST_BYTES
    }

    /// Answers a request. The caller is known and the api-version is one that the type has; rights are to be asked for
    /// here, through [`Cx::require`].
    ///
    /// # Errors
    /// Why it cannot be done.
    async fn serve(&self, cx: &Cx, call: Call) -> Result<Answer, Failure>;
}

/// A type that a service answers.
#[derive(Debug)]
pub struct ServiceType {
    /// Its word: `roleAssignments`.
    pub word: &'static str,
    /// The api-versions accepted.
    pub versions: Versions,
    /// What can be asked, for the OpenAPI document and for the answer to methods that it has not.
    pub endpoints: &'static [Endpoint],
}

/// Something that can be asked of a service.
#[derive(Debug)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// What follows the type's word, with names in braces: `""`, `/{name}`, `/{name}/validate`.
    pub path: &'static str,
    /// What a reader of the OpenAPI document is told.
    pub summary: &'static str,
}

/// A request to a service.
#[derive(Debug)]
pub struct Call {
    /// The method; `HEAD` comes as itself.
    pub method: Method,
    /// The scope before the last `/providers/`: the root, a subscription, a group or a resource.
    pub scope: ResourceId,
    /// Which of [`Service::types`], in the documented spelling.
    pub word: &'static str,
    /// What follows the type's word, as written and decoded: the name, and words and names below it.
    pub rest: Vec<String>,
    /// The query.
    pub query: Query,
    /// The body as it came.
    pub body: Bytes,
}

impl Call {
    /// What follows the type's word, to be matched on.
    #[must_use]
    pub fn rest(&self) -> Vec<&str> {
        self.rest.iter().map(String::as_str).collect()
    }

    /// The body as JSON; an empty object when there is none.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn json(&self) -> Result<serde_json::Map<String, serde_json::Value>, ArmError> {
        crate::body::parse(&self.body)
    }

    /// 405, for what [`ServiceType::endpoints`] does not have.
    #[must_use]
    pub fn unsupported(&self) -> Failure {
        let text = format!(
            "There is no {} for {}{} here.",
            self.method,
            self.word,
            self.rest.iter().map(|_| "/…").collect::<String>()
        );
        ArmError::new(wharf_arm::Code::HttpMethodNotSupported, text).into()
    }
}
