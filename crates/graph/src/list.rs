//! Objects looked up by key, and lists of them page by page.
//!
//! A filter that names an object is answered from an index; one that names the beginning of a name, from the part of the
//! list that begins so. Any other is asked of each object in the order of names, of some thousands for a page at most:
//! a page may end early and still have a next one, as OData allows.

use http::StatusCode;
use serde_json::{Map, Value};
use wharf_metadata::directory::{Family, Page, applications, principals};
use wharf_metadata::{ApplicationId, Connection};
use wharf_model::{PrincipalId, PrincipalKind};

use crate::call::{Answer, Call, uuid};
use crate::error::{Code, GraphError};
use crate::filter::{FilterError, Hint};
use crate::path::{Collection, Key};
use crate::query::Position;
use crate::render::Row;

impl Call {
    /// The object with this key, which must be of this collection and of the caller's tenant.
    pub(crate) async fn get(&self, collection: Collection, key: &Key) -> Result<Row, GraphError> {
        let key = match key {
            Key::Me if self.caller.kind == PrincipalKind::User => Key::Id(self.caller.id.to_string()),
            Key::Me => {
                let text = "/me request is only valid with delegated authentication flow.";
                return Err(GraphError::new(Code::BadRequest, text));
            }
            key => key.clone(),
        };
        let (Key::Id(named) | Key::AppId(named)) = &key else { return Err(GraphError::not_found("me")) };
        let found = match (collection, &key) {
            (Collection::Users, Key::Id(name)) if name.parse::<PrincipalId>().is_err() => {
                let name = name.clone();
                let find =
                    self.database.read(move |c| Box::pin(async move { principals::find_by_user_name(c, &name).await }));
                find.await?.map(Row::Principal)
            }
            (_, Key::AppId(id)) => {
                let id = uuid(id)?;
                self.database.read(move |c| Box::pin(find_by_app(c, collection, id))).await?
            }
            (_, _) => {
                let id = uuid(named)?;
                self.database.read(move |c| Box::pin(find_by_id(c, collection, id))).await?
            }
        };
        let is_it = |row: &Row| {
            row.tenant_id() == self.caller.tenant_id
                && (collection == Collection::DirectoryObjects || row.collection() == collection)
        };
        found.filter(is_it).ok_or_else(|| GraphError::not_found(named))
    }

    /// `GET /<collection>`.
    pub(crate) async fn list_objects(&self, collection: Collection) -> Result<Answer, GraphError> {
        let (objects, next) = self.page(collection, self.query.top, MOST_LOOKED_AT).await?;
        let mut body = Map::new();
        if self.query.count {
            body.insert("@odata.count".to_owned(), self.count(collection).await?.into());
        }
        if let Some(next) = next {
            let address = format!("{}/{}?{}", self.base, collection.word(), self.query.next(&next));
            body.insert("@odata.nextLink".to_owned(), address.into());
        }
        let objects = objects.into_iter().map(|object| Value::Object(self.select(collection, object)));
        body.insert("value".to_owned(), objects.collect());
        Ok(Answer::Json(StatusCode::OK, self.in_context(collection.word(), body)))
    }

    /// `GET /<collection>/$count`.
    pub(crate) async fn count_objects(&self, collection: Collection) -> Result<Answer, GraphError> {
        Ok(Answer::Text(self.count(collection).await?.to_string()))
    }

    /// How many objects there are on all pages.
    async fn count(&self, collection: Collection) -> Result<i64, GraphError> {
        if self.query.filter.is_some() {
            let (objects, next) = Box::pin(self.page_after(collection, None, usize::MAX, MOST_COUNTED)).await?;
            return match next {
                None => Ok(i64::try_from(objects.len()).unwrap_or(i64::MAX)),
                Some(_) => {
                    let text = "There are too many objects to be counted under a filter.";
                    Err(GraphError::new(Code::UnsupportedQuery, text))
                }
            };
        }
        let tenant = self.caller.tenant_id;
        let count = self.database.read(move |c| {
            Box::pin(async move {
                match family(collection) {
                    Some(family) => principals::count(c, tenant, family).await,
                    None => applications::count(c, tenant).await,
                }
            })
        });
        Ok(count.await?)
    }

    async fn page(
        &self,
        collection: Collection,
        top: usize,
        most: usize,
    ) -> Result<(Vec<Map<String, Value>>, Option<Position>), GraphError> {
        self.page_after(collection, self.query.after.clone(), top, most).await
    }

    /// Up to `top` objects that fulfil the filter, of up to `most` that are looked at; and where to go on, if there may be
    /// more.
    async fn page_after(
        &self,
        collection: Collection,
        mut after: Option<Position>,
        top: usize,
        most: usize,
    ) -> Result<(Vec<Map<String, Value>>, Option<Position>), GraphError> {
        let hint = self.query.filter.as_ref().map_or(Hint::NamePrefix(String::new()), |filter| filter.hint());
        let Hint::NamePrefix(prefix) = hint else {
            let rows = self.find_by_hint(collection, hint).await?;
            let (kept, _) = self.keep(rows, usize::MAX).await?;
            return Ok((kept, None));
        };
        let (mut kept, mut looked_at) = (Vec::new(), 0);
        loop {
            let is_filtered = self.query.filter.is_some();
            let wanted = if is_filtered { CHUNK } else { (top - kept.len()).min(CHUNK) };
            // One more tells whether there is another page.
            let page = Page {
                prefix: prefix.clone(),
                after: after.as_ref().map(|after| (after.name_key.clone(), after.id)),
                limit: i64::try_from(wanted + 1).unwrap_or(i64::MAX),
            };
            let tenant = self.caller.tenant_id;
            let mut rows: Vec<Row> =
                self.database.read(move |c| Box::pin(async move { list(c, collection, tenant, &page).await })).await?;
            let is_last = rows.len() <= wanted;
            rows.truncate(wanted);
            looked_at += rows.len();
            let positions: Vec<Position> = rows.iter().map(Row::position).collect();
            let (more, used) = self.keep(rows, top - kept.len()).await?;
            kept.extend(more);
            if is_last && used == positions.len() {
                return Ok((kept, None));
            }
            after = used.checked_sub(1).and_then(|last| positions.get(last).cloned()).or(after);
            if kept.len() >= top || looked_at >= most {
                return Ok((kept, after));
            }
        }
    }

    /// Of the rows, up to `most` objects that fulfil the filter, and how many rows were used for that.
    async fn keep(&self, rows: Vec<Row>, most: usize) -> Result<(Vec<Map<String, Value>>, usize), GraphError> {
        let objects = self.render(&rows).await?;
        let (mut kept, mut used) = (Vec::new(), 0);
        for object in objects {
            if kept.len() >= most {
                break;
            }
            used += 1;
            let matches = self.query.filter.as_ref().map_or(Ok(true), |filter| filter.matches(&object));
            if matches.map_err(refuse)? {
                kept.push(object);
            }
        }
        Ok((kept, used))
    }

    /// What an index knows under the names of a filter.
    async fn find_by_hint(&self, collection: Collection, hint: Hint) -> Result<Vec<Row>, GraphError> {
        let rows: Vec<Row> = self.database.read(move |c| Box::pin(find_by_hint(c, collection, hint))).await?;
        let is_it = |row: &Row| row.tenant_id() == self.caller.tenant_id && row.collection() == collection;
        Ok(rows.into_iter().filter(is_it).collect())
    }
}

async fn find_by_hint(
    c: &mut Connection,
    collection: Collection,
    hint: Hint,
) -> Result<Vec<Row>, wharf_metadata::Error> {
    let mut found = Vec::new();
    match hint {
        Hint::Ids(ids) => {
            for id in ids.iter().filter_map(|id| id.parse().ok()).take(MOST_IDS) {
                found.extend(find_by_id(c, collection, id).await?);
            }
        }
        Hint::AppId(id) => {
            if let Ok(id) = id.parse() {
                found.extend(find_by_app(c, collection, id).await?);
            }
        }
        Hint::UserName(name) => found.extend(principals::find_by_user_name(c, &name).await?.map(Row::Principal)),
        Hint::IdentifierUri(uri) => found.extend(applications::find_by_uri(c, &uri).await?.map(Row::Application)),
        Hint::ServicePrincipalName(name) => {
            let app_id = match name.parse() {
                Ok(app_id) => Some(app_id),
                Err(_) => applications::find_by_uri(c, &name).await?.map(|row| row.app_id),
            };
            if let Some(app_id) = app_id {
                found.extend(principals::find_by_app(c, app_id).await?.map(Row::Principal));
            }
        }
        Hint::NamePrefix(_) => {}
    }
    Ok(found)
}

/// The object with this id, application or principal as the collection has it.
pub(crate) async fn find_by_id(
    c: &mut Connection,
    collection: Collection,
    id: uuid::Uuid,
) -> Result<Option<Row>, wharf_metadata::Error> {
    if collection != Collection::Applications
        && let Some(row) = principals::find(c, PrincipalId(id)).await?
    {
        return Ok(Some(Row::Principal(row)));
    }
    match collection {
        Collection::Applications | Collection::DirectoryObjects => {
            Ok(applications::find(c, ApplicationId(id)).await?.map(Row::Application))
        }
        Collection::ServicePrincipals | Collection::Users | Collection::Groups => Ok(None),
    }
}

async fn find_by_app(
    c: &mut Connection,
    collection: Collection,
    app_id: uuid::Uuid,
) -> Result<Option<Row>, wharf_metadata::Error> {
    match collection {
        Collection::Applications => Ok(applications::find_by_app(c, app_id).await?.map(Row::Application)),
        Collection::ServicePrincipals => Ok(principals::find_by_app(c, app_id).await?.map(Row::Principal)),
        Collection::Users | Collection::Groups | Collection::DirectoryObjects => Ok(None),
    }
}

async fn list(
    c: &mut Connection,
    collection: Collection,
    tenant: uuid::Uuid,
    page: &Page,
) -> Result<Vec<Row>, wharf_metadata::Error> {
    match family(collection) {
        Some(family) => Ok(principals::list(c, tenant, family, page).await?.into_iter().map(Row::Principal).collect()),
        None => Ok(applications::list(c, tenant, page).await?.into_iter().map(Row::Application).collect()),
    }
}

/// The principals of a collection; `None` for applications, which are none.
fn family(collection: Collection) -> Option<Family> {
    match collection {
        Collection::Users => Some(Family::Users),
        Collection::Groups => Some(Family::Groups),
        Collection::ServicePrincipals => Some(Family::ServicePrincipals),
        Collection::Applications | Collection::DirectoryObjects => None,
    }
}

fn refuse(error: FilterError) -> GraphError {
    GraphError::new(Code::BadRequest, error.to_string())
}

/// Rows that are read at once.
const CHUNK: usize = 500;
/// Rows that are looked at for a page.
const MOST_LOOKED_AT: usize = 5_000;
/// Rows that are looked at to count under a filter.
const MOST_COUNTED: usize = 50_000;
/// Ids that a filter may name.
const MOST_IDS: usize = 100;
