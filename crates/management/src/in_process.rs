//! The management plane for callers in this process: the command line, the first start, deployments. The same rules as
//! over HTTP, for whoever the [`Cx`] says is asking.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value};
use wharf_arm::{ArmError, Code};
use wharf_metadata::resources::{self, Wanted, Within};
use wharf_model::ResourceId;

use crate::answer::Answer;
use crate::catalogue::{Entry, ServiceEntry};
use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{ActionAt, Verb};
use crate::management::Management;
use crate::query::Query;
use crate::resources::{Called, Conditions, PageQuery};
use crate::route::Route;
use crate::service::Call;

/// What an id names.
enum Target {
    Kind(Arc<Entry>, ResourceId),
    Service(Arc<ServiceEntry>, ResourceId, Vec<String>),
}

impl Management {
    /// Creates or replaces a resource of any type. The answer's status is 201 when it is new; its body is the resource.
    ///
    /// # Errors
    /// What stands against it; then nothing was changed.
    pub async fn put(&self, cx: &Cx, id: &ResourceId, body: Map<String, Value>) -> Result<Answer, Failure> {
        self.write(cx, id, Verb::Put, body).await
    }

    /// Changes what `body` names of a resource.
    ///
    /// # Errors
    /// What stands against it; then nothing was changed.
    pub async fn patch(&self, cx: &Cx, id: &ResourceId, body: Map<String, Value>) -> Result<Answer, Failure> {
        self.write(cx, id, Verb::Patch, body).await
    }

    /// Shows a resource as `GET` does.
    ///
    /// # Errors
    /// When it is not there, or the actor may not read it.
    pub async fn get(&self, cx: &Cx, id: &ResourceId) -> Result<Value, Failure> {
        match self.target(cx, id).await? {
            Target::Kind(entry, id) => self.show_resource(cx, &entry, &id).await,
            Target::Service(entry, scope, rest) => {
                let answer = self.call(cx, &entry, Method::GET, scope, rest, Map::new()).await?;
                Ok(answer.body.unwrap_or_default())
            }
        }
    }

    /// Deletes a resource with everything in it: 204 or 200 when it is gone, 202 when that goes on.
    ///
    /// # Errors
    /// What stands against it.
    pub async fn delete(&self, cx: &Cx, id: &ResourceId) -> Result<Answer, Failure> {
        match self.target(cx, id).await? {
            Target::Kind(entry, id) => self.delete_resource(cx, &entry, &id, Conditions::default()).await,
            Target::Service(entry, scope, rest) => self.call(cx, &entry, Method::DELETE, scope, rest, Map::new()).await,
        }
    }

    /// Does an action at a resource, such as `listCredentials`.
    ///
    /// # Errors
    /// What stands against it.
    pub async fn act(
        &self,
        cx: &Cx,
        id: &ResourceId,
        action: &str,
        body: Map<String, Value>,
    ) -> Result<Answer, Failure> {
        let Target::Kind(entry, id) = self.target(cx, id).await? else { return Err(unknown(id).into()) };
        let found = entry.find_action(ActionAt::Resource, action);
        let action = found.ok_or_else(|| {
            ArmError::new(
                Code::NotFound,
                format!("There is no action '{action}' for resources of type '{}'.", entry.type_name),
            )
        })?;
        self.act_on_resource(cx, &entry, action, &id, Called { body, ..Called::default() }).await
    }

    /// All resources of a type in a resource, a group or a subscription, as their list shows them.
    ///
    /// # Errors
    /// When there is no such type, or the actor may not read them.
    pub async fn list(&self, cx: &Cx, scope: &ResourceId, type_name: &str) -> Result<Vec<Value>, Failure> {
        let entry = self.catalogue().find_kind(type_name).cloned().ok_or_else(|| {
            ArmError::new(Code::InvalidResourceType, format!("The resource type '{type_name}' could not be found."))
        })?;
        let mut all = Vec::new();
        let mut page = PageQuery::first();
        loop {
            let listed = self.list_resources(cx, &entry, scope, &Query::default(), &page).await?;
            all.extend(listed.items);
            match listed.next {
                Some(after) => page.after = after,
                None => return Ok(all),
            }
        }
    }

    /// Looks whether [`Self::put`] would go through, and changes nothing. What only the write itself can tell, such as
    /// whether a registry's name is free, is not known before.
    ///
    /// # Errors
    /// What stands against it.
    pub async fn check_put(&self, cx: &Cx, id: &ResourceId, body: Map<String, Value>) -> Result<(), Failure> {
        match self.target(cx, id).await? {
            Target::Kind(entry, id) => self.check_write(cx, &entry, &id, Verb::Put, body).await,
            Target::Service(entry, scope, _) => {
                let operation = format!("{}/{}/write", entry.service.namespace(), entry.about.word);
                cx.require(&operation, &scope).await
            }
        }
    }

    /// The ids of everything that is directly in a resource group.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_in_group(&self, group: &ResourceId) -> Result<Vec<ResourceId>, Failure> {
        let mut all: Vec<ResourceId> = Vec::new();
        loop {
            let (scope, after) = (group.clone(), all.last().map(|id| id.key().to_owned()).unwrap_or_default());
            let page = self
                .database()
                .read(move |c| {
                    Box::pin(async move {
                        resources::list(c, &Within::Parent(scope), &Wanted::default(), &after, ROWS).await
                    })
                })
                .await?;
            let is_last = (page.len() as i64) < ROWS;
            all.extend(page.into_iter().map(|row| row.id));
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The api-versions of a type, in any casing, the oldest first; `None` for a type that we do not have.
    #[must_use]
    pub fn versions_of(&self, type_name: &str) -> Option<wharf_arm::versions::Versions> {
        if let Some(entry) = self.catalogue().find_kind(type_name) {
            return Some(entry.about.versions);
        }
        let (namespace, word) = type_name.split_once('/')?;
        self.catalogue().find_service(namespace, word).map(|entry| entry.versions())
    }

    async fn write(&self, cx: &Cx, id: &ResourceId, verb: Verb, body: Map<String, Value>) -> Result<Answer, Failure> {
        match self.target(cx, id).await? {
            Target::Kind(entry, _) if verb == Verb::Patch && !entry.about.patch => {
                Err(Failure::method(&Method::PATCH, &[Method::GET, Method::PUT, Method::DELETE]))
            }
            Target::Kind(entry, id) => self.write_resource(cx, &entry, &id, verb, body, Conditions::default()).await,
            Target::Service(entry, scope, rest) => {
                let method = if verb == Verb::Put { Method::PUT } else { Method::PATCH };
                self.call(cx, &entry, method, scope, rest, body).await
            }
        }
    }

    async fn call(
        &self,
        cx: &Cx,
        entry: &ServiceEntry,
        method: Method,
        scope: ResourceId,
        rest: Vec<String>,
        body: Map<String, Value>,
    ) -> Result<Answer, Failure> {
        let body = if body.is_empty() { Bytes::new() } else { Value::Object(body).to_string().into() };
        let word = entry.about.word;
        entry.service.serve(cx, Call { method, scope, word, rest, query: Query::default(), body }).await
    }

    /// Who answers for an id, by the same table as paths.
    async fn target(&self, _cx: &Cx, id: &ResourceId) -> Result<Target, Failure> {
        if let Some(subscription) = id.subscription_id() {
            self.require_subscription(subscription).await?;
        }
        match Route::of_id(self.catalogue(), id)? {
            Route::Item(entry, id) => Ok(Target::Kind(entry, id)),
            Route::Service(entry, scope, rest) => Ok(Target::Service(entry, scope, rest)),
            _ => Err(unknown(id).into()),
        }
    }
}

fn unknown(id: &ResourceId) -> ArmError {
    ArmError::new(Code::NotFound, format!("'{id}' is not the id of a resource that can be written."))
}

/// How many rows are read at a time.
const ROWS: i64 = 500;
