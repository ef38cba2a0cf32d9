//! Lists of one kind, page by page. A page costs what is on it; where not everything is shown, what is looked at for it is
//! bounded.

use std::sync::Arc;

use form_urlencoded::Serializer;
use serde_json::Value;
use wharf_arm::{ArmError, Code, Filter};
use wharf_metadata::resources::{self, Wanted, Within};
use wharf_model::{RequestContext, ResourceId};

use super::{envelope, read};
use crate::catalogue::Entry;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::generic;
use crate::kind::{Place, Resource};
use crate::management::Management;
use crate::query::Query;
use crate::visible::Visible;

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageQuery {
    /// How many items at most.
    pub(crate) top: usize,
    /// The key of the last item of the page before; empty at the beginning.
    pub(crate) after: String,
}

/// A part of a list.
#[derive(Debug)]
pub(crate) struct ListPage {
    /// The items.
    pub(crate) items: Vec<Value>,
    /// The key of the last item looked at, when there may be more.
    pub(crate) next: Option<String>,
}

impl PageQuery {
    /// Reads `$top` and `$skiptoken`.
    ///
    /// # Errors
    /// `InvalidParameter`, for a `$top` that is no number above 0.
    pub(crate) fn of(query: &Query) -> Result<Self, ArmError> {
        let top = match query.get("$top") {
            None | Some("") => MOST_ITEMS,
            Some(text) => text.parse::<usize>().ok().filter(|top| *top > 0).ok_or_else(|| {
                let text = format!(
                    "The value '{}' of $top is not a number above 0.",
                    text.chars().take(40).collect::<String>()
                );
                ArmError::new(Code::InvalidParameter, text).with_target("$top")
            })?,
        };
        let after = query.get("$skiptoken").or_else(|| query.get("$skipToken")).unwrap_or_default();
        Ok(Self { top: top.min(MOST_ITEMS), after: after.to_ascii_lowercase() })
    }

    /// The first page, as long as pages get.
    pub(crate) fn first() -> Self {
        Self { top: MOST_ITEMS, after: String::new() }
    }
}

/// The address of the page after the one that ended with `after`: the request's own, with another `$skiptoken`.
pub(crate) fn next_link(context: &RequestContext, path: &str, query: &Query, after: &str) -> String {
    let mut serializer = Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken")) {
        serializer.append_pair(name, value);
    }
    serializer.append_pair("$skiptoken", after);
    format!("{}{path}?{}", context.endpoints.management, serializer.finish())
}

impl Management {
    /// Lists resources of a kind in a parent, a group or a subscription, as far as the actor may read them. Resource
    /// groups alone know `$filter`, as with Azure.
    ///
    /// # Errors
    /// 403 when they may read none at all and not the list either.
    pub(crate) async fn list_resources(
        &self,
        cx: &Cx,
        entry: &Arc<Entry>,
        scope: &ResourceId,
        query: &Query,
        page: &PageQuery,
    ) -> Result<ListPage, Failure> {
        let is_filtered = entry.about.place == Place::Subscription;
        let filter = query.filter().filter(|_| is_filtered).map(Filter::parse).transpose()?;
        let visible = Visible::of(cx, scope, &entry.read).await?;
        let wanted = Asked { entry, scope, page, visible: &visible, filter: filter.as_ref() };
        // Who may read nothing costs nothing, and learns no more than that.
        let rows = if visible.is_nothing() { Scanned::default() } else { self.scan(&wanted).await? };
        let is_nothing = rows.found.is_empty() && rows.next.is_none() && page.after.is_empty();
        if !visible.is_all() && is_nothing && scope.resource_group_name().is_some() {
            cx.require(&entry.read, scope).await?;
        }
        let next = rows.next;
        let (entry, cx) = (entry.clone(), cx.clone());
        let mut found = rows.found;
        let items = self
            .database()
            .read(move |c| {
                Box::pin(async move {
                    entry.kind.render(c, &cx, &mut found).await?;
                    Ok::<_, Failure>(found.into_iter().map(|row| envelope::show(&entry, row)).collect())
                })
            })
            .await?;
        Ok(ListPage { items, next })
    }

    async fn scan(&self, asked: &Asked<'_>) -> Result<Scanned, Failure> {
        let mut found: Vec<Resource> = Vec::new();
        let mut after = asked.page.after.clone();
        let mut looked_at = 0;
        // Where each row is shown, no more is read than that, and one to know whether there are others.
        let is_all_shown = asked.visible.is_all() && asked.filter.is_none();
        let chunk = if is_all_shown { asked.page.top + 1 } else { ROWS };
        loop {
            let (entry, place, from) = (asked.entry.clone(), asked.scope.clone(), after);
            // Who may not read the list is not told whether there is what it would be in.
            let may_be_told = asked.visible.is_all();
            let rows = self
                .database()
                .read(move |c| {
                    Box::pin(async move {
                        let within = within(&entry, &place);
                        let wanted = Wanted { kind: Some(entry.type_name.to_ascii_lowercase()), ..Wanted::default() };
                        let rows = resources::list(c, &within, &wanted, &from, chunk as i64).await?;
                        if rows.is_empty() && from.is_empty() && may_be_told {
                            check_scope(c, &entry, &place).await?;
                        }
                        Ok::<_, Failure>(rows)
                    })
                })
                .await?;
            let is_last = rows.len() < chunk;
            looked_at += rows.len();
            after = rows.last().map(|row| row.id.key().to_owned()).unwrap_or_default();
            for row in rows {
                let passes = asked.filter.map_or(Ok(true), |filter| generic::passes(filter, &row))?;
                if !passes || !asked.visible.shows(&row.id) {
                    continue;
                }
                if found.len() == asked.page.top {
                    // The next page begins after the last that is shown.
                    let next = found.last().map(|last| last.id.key().to_owned());
                    return Ok(Scanned { found, next });
                }
                found.push(row);
            }
            if is_last {
                return Ok(Scanned { found, next: None });
            }
            if looked_at >= MOST_SCANNED {
                return Ok(Scanned { found, next: Some(after) });
            }
        }
    }
}

/// What of a list is looked for.
struct Asked<'a> {
    entry: &'a Arc<Entry>,
    scope: &'a ResourceId,
    page: &'a PageQuery,
    visible: &'a Visible,
    filter: Option<&'a Filter>,
}

#[derive(Default)]
struct Scanned {
    found: Vec<Resource>,
    next: Option<String>,
}

/// Where a list of the kind is looked for.
fn within(entry: &Entry, scope: &ResourceId) -> Within {
    let scope = scope.clone();
    match entry.about.place {
        Place::Subscription => Within::Subscription(scope),
        Place::Group if scope.resource_group_name().is_some() => Within::Group(scope),
        Place::Group => Within::Subscription(scope),
        // What counts for a scope is listed with what is in it: locks of a group, with those of its resources.
        Place::Scope if is_group(&scope) => Within::Group(scope),
        Place::Scope if scope.resource_group_name().is_none() && scope.subscription_id().is_some() => {
            Within::Subscription(scope)
        }
        Place::Parent | Place::Scope => Within::Parent(scope),
    }
}

/// An empty list may be that of something that is not there.
async fn check_scope(c: &mut wharf_metadata::Connection, entry: &Entry, scope: &ResourceId) -> Result<(), Failure> {
    if let Some(error) = read::missing_above(c, scope).await? {
        return Err(error.into());
    }
    let is_in_resource = !is_group(scope) && scope.resource_group_name().is_some();
    if is_in_resource && entry.about.place == Place::Parent && resources::find(c, scope).await?.is_none() {
        return Err(ArmError::resource_not_found(scope).into());
    }
    Ok(())
}

fn is_group(id: &ResourceId) -> bool {
    id.resource_type().as_deref() == Some(crate::route::GROUPS)
}

/// How many rows are read at a time, where not all of them are shown.
pub(crate) const ROWS: usize = 1000;
/// How many rows one request looks at, at least.
pub(crate) const MOST_SCANNED: usize = 20_000;
/// How many items a page has at most, and when nobody says.
const MOST_ITEMS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_bounded() {
        let page = |query: &str| PageQuery::of(&Query::parse(query));
        assert_eq!(page("").unwrap(), PageQuery::first());
        assert_eq!(page("%24top=5&$skiptoken=/A").unwrap(), PageQuery { top: 5, after: "/a".into() });
        assert_eq!(page("$top=99999").unwrap().top, MOST_ITEMS);
        for bad in ["$top=0", "$top=-1", "$top=x"] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }
}
