//! What objects are linked to: owners, members, the groups that they are in.

use std::collections::{HashMap, HashSet};

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_metadata::directory::{groups, owners, principals};
use wharf_metadata::{Connection, PrincipalRow};
use wharf_model::PrincipalId;

use crate::call::{Answer, Call, id_in_address, principal_id, text, texts, uuid};
use crate::error::GraphError;
use crate::list::find_by_id;
use crate::path::{Collection, Link};
use crate::query::Position;
use crate::render::Row;

impl Call {
    /// `GET …/<link>`.
    pub(crate) async fn list_linked(
        &self,
        row: Row,
        link: Link,
        only: Option<Collection>,
        ids_only: bool,
        path: &str,
    ) -> Result<Answer, GraphError> {
        let (top, after) = (self.query.top, self.query.after.as_ref().map(|after| after.id));
        let object = row.id();
        let mut rows: Vec<Row> = self.database.read(move |c| Box::pin(linked(c, object, link, after, top + 1))).await?;
        let has_more = rows.len() > top;
        rows.truncate(top);
        let next = rows.last().filter(|_| has_more).map(|last| Position { name_key: String::new(), id: last.id() });
        let mut body = Map::new();
        if self.query.count {
            let all = self.database.read(move |c| Box::pin(linked(c, object, link, None, MOST_LINKED))).await?;
            let is_it = |row: &&Row| only.is_none_or(|only| row.collection() == only);
            body.insert("@odata.count".to_owned(), all.iter().filter(is_it).count().into());
        }
        if let Some(next) = next {
            let address = format!("{}/{path}?{}", self.base, self.query.next(&next));
            body.insert("@odata.nextLink".to_owned(), address.into());
        }
        rows.retain(|row| only.is_none_or(|only| row.collection() == only));
        let values = if ids_only {
            let address = |row: &Row| json!({"@odata.id": format!("{}/directoryObjects/{}", self.base, row.id())});
            rows.iter().map(address).collect()
        } else {
            let mut values = self.mixed(rows).await?;
            if let Some(filter) = &self.query.filter {
                let mut kept = Vec::new();
                for value in values {
                    let Value::Object(object) = &value else { continue };
                    // Objects of several kinds have not all the same properties.
                    if filter.matches(object).unwrap_or(false) {
                        kept.push(value);
                    }
                }
                values = kept;
            }
            values
        };
        body.insert("value".to_owned(), values.into());
        Ok(Answer::Json(StatusCode::OK, self.in_context("directoryObjects", body)))
    }

    /// `POST …/<link>/$ref`.
    pub(crate) async fn add_linked(
        &self,
        row: Row,
        link: Link,
        body: &Map<String, Value>,
    ) -> Result<Answer, GraphError> {
        self.require_manager(&[row.id()]).await?;
        let address = text(body, "@odata.id")?;
        let address = address.ok_or_else(|| GraphError::invalid("Property '@odata.id' is required."))?;
        self.link(&row, link, id_in_address(address)?).await?;
        Ok(Answer::Nothing)
    }

    /// `DELETE …/<link>/<id>/$ref`.
    pub(crate) async fn remove_linked(&self, row: Row, link: Link, id: &str) -> Result<Answer, GraphError> {
        self.require_manager(&[row.id()]).await?;
        let other = principal_id(id)?;
        let removed = match link {
            Link::Members => self.identity.remove_group_member(PrincipalId(row.id()), other).await?,
            _ => self.identity.remove_owner(row.id(), other).await?,
        };
        if removed { Ok(Answer::Nothing) } else { Err(GraphError::not_found(id)) }
    }

    /// Links a principal to an object that the caller may change.
    pub(crate) async fn link(&self, row: &Row, link: Link, other: PrincipalId) -> Result<(), GraphError> {
        let (added, name) = match link {
            Link::Members => (self.identity.add_group_member(PrincipalId(row.id()), other).await?, "members"),
            _ => (self.identity.add_owner(row.id(), other).await?, "owners"),
        };
        if added {
            return Ok(());
        }
        let text = format!(
            "One or more added object references already exist for the following modified properties: '{name}'."
        );
        Err(GraphError::invalid(text))
    }

    /// `POST …/getMemberGroups`: the ids of all groups that an object is in.
    pub(crate) async fn member_groups(&self, row: Row) -> Result<Answer, GraphError> {
        let ids = self.groups_of(&row).await?;
        Ok(self.list("Collection(Edm.String)", ids.iter().map(|id| json!(id)).collect()))
    }

    /// `POST …/checkMemberGroups`: those of the groups named that an object is in.
    pub(crate) async fn check_member_groups(&self, row: Row, body: &Map<String, Value>) -> Result<Answer, GraphError> {
        let asked = match texts(body, "groupIds")? {
            Some(ids) => ids,
            None => texts(body, "ids")?.ok_or_else(|| GraphError::invalid("Property 'groupIds' is required."))?,
        };
        if asked.len() > MOST_ASKED {
            return Err(GraphError::invalid(format!("At most {MOST_ASKED} groups can be asked for.")));
        }
        let is_in: HashSet<PrincipalId> = self.groups_of(&row).await?.into_iter().collect();
        let mut found = Vec::new();
        for id in asked {
            let id = principal_id(&id)?;
            if is_in.contains(&id) {
                found.push(json!(id));
            }
        }
        Ok(self.list("Collection(Edm.String)", found))
    }

    async fn groups_of(&self, row: &Row) -> Result<Vec<PrincipalId>, GraphError> {
        let id = PrincipalId(row.id());
        Ok(self.database.read(move |c| Box::pin(groups::list_all_group_ids(c, id))).await?)
    }

    /// `POST /directoryObjects/getByIds`: those objects that there are, in the order in which they were asked for.
    pub(crate) async fn get_by_ids(&self, body: &Map<String, Value>) -> Result<Answer, GraphError> {
        let ids = texts(body, "ids")?.ok_or_else(|| GraphError::invalid("Property 'ids' is required."))?;
        if ids.len() > MOST_IDS {
            return Err(GraphError::invalid(format!("At most {MOST_IDS} ids can be asked for.")));
        }
        let types = texts(body, "types")?.unwrap_or_default();
        let types: Vec<Collection> = types.iter().filter_map(|name| Collection::from_type(name)).collect();
        let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id)).collect::<Result<_, _>>()?;
        let rows: Vec<Row> = self.database.read(move |c| Box::pin(find_all(c, ids))).await?;
        let is_wanted = |row: &Row| {
            let kind = row.collection();
            row.tenant_id() == self.caller.tenant_id
                && (types.is_empty() || types.contains(&kind) || types.contains(&Collection::DirectoryObjects))
        };
        let rows = rows.into_iter().filter(is_wanted).collect();
        Ok(self.list("directoryObjects", self.mixed(rows).await?))
    }
}

/// Up to `most` linked objects, in the order of their ids, after the one given.
async fn linked(
    c: &mut Connection,
    object: Uuid,
    link: Link,
    after: Option<Uuid>,
    most: usize,
) -> Result<Vec<Row>, wharf_metadata::Error> {
    let (principal, after_principal) = (PrincipalId(object), after.map(PrincipalId));
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let in_rows = |rows: Vec<PrincipalRow>| rows.into_iter().map(Row::Principal).collect::<Vec<_>>();
    let later = |row: &Row| after.is_none_or(|after| row.id() > after);
    let mut rows = match link {
        Link::Members => return Ok(in_rows(groups::list_members(c, principal, after_principal, limit).await?)),
        Link::AllMembers => return Ok(in_rows(groups::list_all_members(c, principal, after_principal, limit).await?)),
        Link::Groups => return Ok(in_rows(groups::list_groups(c, principal, after_principal, limit).await?)),
        Link::AllGroups => {
            let ids = groups::list_all_group_ids(c, principal).await?;
            let ids: Vec<PrincipalId> =
                ids.into_iter().filter(|id| after_principal.is_none_or(|after| *id > after)).take(most).collect();
            in_rows(principals::find_many(c, &ids).await?)
        }
        Link::Owners => in_rows(owners::list(c, object).await?),
        Link::Owned => {
            let ids = owners::list_owned(c, principal).await?;
            find_all(c, ids.into_iter().filter(|id| after.is_none_or(|after| *id > after)).take(most).collect()).await?
        }
    };
    rows.sort_by_key(Row::id);
    rows.retain(later);
    rows.truncate(most);
    Ok(rows)
}

/// Those objects that there are, in the order of the ids.
async fn find_all(c: &mut Connection, ids: Vec<Uuid>) -> Result<Vec<Row>, wharf_metadata::Error> {
    let principal_ids: Vec<PrincipalId> = ids.iter().copied().map(PrincipalId).collect();
    let mut principals: HashMap<Uuid, PrincipalRow> =
        principals::find_many(c, &principal_ids).await?.into_iter().map(|row| (row.id.0, row)).collect();
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        match principals.remove(&id) {
            Some(row) => found.push(Row::Principal(row)),
            None => found.extend(find_by_id(c, Collection::Applications, id).await?),
        }
    }
    Ok(found)
}

/// Groups that one request may ask for. Source: Microsoft Graph, "checkMemberGroups".
const MOST_ASKED: usize = 100;
/// Objects that one request may ask for. Source: Microsoft Graph, "getByIds".
const MOST_IDS: usize = 1_000;
/// Linked objects that are counted.
const MOST_LINKED: usize = 100_000;
