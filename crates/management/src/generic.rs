//! The generic lists: whatever is tracked in a subscription or a group, whatever its kind. `az acr` begins nearly every
//! command with one, to find the group of a registry.

use std::collections::HashMap;

use wharf_arm::Filter;
use wharf_metadata::resources::{self, Wanted, Within};
use wharf_model::ResourceId;

use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::Resource;
use crate::management::Management;
use crate::query::Query;
use crate::resources::{ListPage, MOST_SCANNED, PageQuery, ROWS, show_briefly};
use crate::visible::Visible;

impl Management {
    /// Lists what is tracked in a subscription or a group and passes `$filter`, as far as the actor may read it.
    ///
    /// # Errors
    /// When the filter cannot be read, the actor may read nothing of the group, or it is not there.
    pub(crate) async fn list_everything(
        &self,
        cx: &Cx,
        scope: &ResourceId,
        query: &Query,
        page: &PageQuery,
    ) -> Result<ListPage, Failure> {
        let filter = query.filter().map(Filter::parse).transpose()?;
        let sieve = Sieve::new(scope, filter.as_ref());
        let seen = Seen::of(cx, &sieve).await?;
        let is_of_group = scope.resource_group_name().is_some();
        // Who may read nothing of a group is not told whether it is there.
        let may_know = match sieve.scope.resource_group_name() {
            Some(_) => cx.may(READ_GROUP, &sieve.scope).await? || cx.may(LIST_GROUP, &sieve.scope).await?,
            None => false,
        };
        if seen.is_nothing() && !may_know {
            if is_of_group {
                cx.require(LIST_GROUP, scope).await?;
            }
            return Ok(ListPage { items: Vec::new(), next: None });
        }
        let mut found: Vec<Resource> = Vec::new();
        let mut after = page.after.clone();
        let mut looked_at = 0;
        let next = loop {
            let (asked, from) = (sieve.clone(), after);
            let rows = self
                .database()
                .read(move |c| {
                    Box::pin(async move {
                        if from.is_empty() && may_know {
                            require_group(c, &asked.scope).await?;
                        }
                        Ok::<_, Failure>(resources::list(c, &asked.within(), &asked.wanted, &from, ROWS as i64).await?)
                    })
                })
                .await?;
            let is_last = rows.len() < ROWS;
            looked_at += rows.len();
            after = rows.last().map(|row| row.id.key().to_owned()).unwrap_or_default();
            let mut full = None;
            for row in rows {
                let passes = filter.as_ref().map_or(Ok(true), |filter| passes(filter, &row))?;
                if passes && seen.shows(cx, &row.id) {
                    if found.len() == page.top {
                        // The next page begins after the last that is shown.
                        full = found.last().map(|last| last.id.key().to_owned());
                        break;
                    }
                    found.push(row);
                }
            }
            if full.is_some() {
                break full;
            }
            if is_last {
                break None;
            }
            // Filters that no index helps with look at so many rows and answer with what they found.
            if looked_at >= MOST_SCANNED {
                break Some(after);
            }
        };
        if is_of_group && !may_know && found.is_empty() && next.is_none() && page.after.is_empty() {
            cx.require(LIST_GROUP, scope).await?;
        }
        let expand = query.get("$expand").unwrap_or_default().to_owned();
        let items = self.render_mixed(cx, found).await?;
        let shown = items.iter().filter_map(|row| Some(show_briefly(self.kind_of(&row.id)?, row, &expand))).collect();
        Ok(ListPage { items: shown, next })
    }

    /// Renders resources of several kinds, each kind's together.
    async fn render_mixed(&self, cx: &Cx, rows: Vec<Resource>) -> Result<Vec<Resource>, Failure> {
        let mut by_kind: HashMap<String, Vec<(usize, Resource)>> = HashMap::new();
        for (position, row) in rows.into_iter().enumerate() {
            let kind = row.id.resource_type().unwrap_or_default().to_ascii_lowercase();
            by_kind.entry(kind).or_default().push((position, row));
        }
        let (management, cx) = (self.clone(), cx.clone());
        let mut rendered = self
            .database()
            .read(move |c| {
                Box::pin(async move {
                    let mut all = Vec::new();
                    for (kind, rows) in by_kind {
                        let (positions, mut rows): (Vec<usize>, Vec<Resource>) = rows.into_iter().unzip();
                        if let Some(entry) = management.catalogue().find_kind(&kind) {
                            entry.kind.render(c, &cx, &mut rows).await?;
                        }
                        all.extend(positions.into_iter().zip(rows));
                    }
                    Ok::<_, Failure>(all)
                })
            })
            .await?;
        rendered.sort_by_key(|(position, _)| *position);
        Ok(rendered.into_iter().map(|(_, row)| row).collect())
    }
}

/// What of a filter the database is asked for.
#[derive(Clone)]
struct Sieve {
    scope: ResourceId,
    wanted: Wanted,
}

impl Sieve {
    fn new(scope: &ResourceId, filter: Option<&Filter>) -> Self {
        let required = |member| filter.and_then(|filter| filter.required(member)).map(str::to_ascii_lowercase);
        let mut scope = scope.clone();
        if let Some(group) = required("resourceGroup")
            && scope.resource_group_name().is_none()
            && let Ok(group) = scope.child("resourceGroups", &group)
        {
            scope = group;
        }
        let tag = filter.and_then(|filter| filter.required("tagName")).map(|name| {
            (name.to_lowercase(), filter.and_then(|filter| filter.required("tagValue")).map(str::to_owned))
        });
        let wanted = Wanted { kind: required("resourceType"), is_tracked: true, name: required("name"), tag };
        Self { scope, wanted }
    }

    fn within(&self) -> Within {
        match self.scope.resource_group_name() {
            Some(_) => Within::Group(self.scope.clone()),
            None => Within::Subscription(self.scope.clone()),
        }
    }
}

/// Which kinds the actor may read in the whole scope, worked out once for each.
struct Seen(HashMap<String, Visible>);

impl Seen {
    async fn of(cx: &Cx, sieve: &Sieve) -> Result<Self, Failure> {
        let mut seen = HashMap::new();
        for entry in cx.management.catalogue().kinds().iter().filter(|entry| entry.is_listed()) {
            if sieve.wanted.kind.as_ref().is_none_or(|kind| entry.type_name.eq_ignore_ascii_case(kind)) {
                seen.insert(entry.type_name.clone(), Visible::of(cx, &sieve.scope, &entry.read).await?);
            }
        }
        Ok(Self(seen))
    }

    /// Whether they may read nothing at all.
    fn is_nothing(&self) -> bool {
        self.0.values().all(Visible::is_nothing)
    }

    fn shows(&self, cx: &Cx, id: &ResourceId) -> bool {
        let visible = cx.management.kind_of(id).and_then(|entry| self.0.get(&entry.type_name));
        visible.is_some_and(|visible| visible.shows(id))
    }
}

async fn require_group(c: &mut wharf_metadata::Connection, group: &ResourceId) -> Result<(), Failure> {
    let name = group.name().unwrap_or_default();
    let found = resources::find(c, group).await?;
    found.map(drop).ok_or_else(|| wharf_arm::ArmError::group_not_found(name).into())
}

/// Whether a resource passes a filter.
pub(crate) fn passes(filter: &Filter, resource: &Resource) -> Result<bool, Failure> {
    let tag_name = filter.required("tagName").map(str::to_lowercase);
    let values = |member: &str| -> Vec<String> {
        let one = |value: Option<&str>| value.map(str::to_owned).into_iter().collect();
        match member.to_ascii_lowercase().as_str() {
            "name" => one(resource.id.name()),
            "resourcetype" | "type" => resource.id.resource_type().into_iter().collect(),
            "resourcegroup" => one(resource.id.resource_group_name()),
            "location" => one(resource.location.as_deref()),
            "tagname" => resource.tags.keys().cloned().collect(),
            // A value asked for beside a name is that tag's.
            "tagvalue" => {
                let of_name = |name: &String| tag_name.as_ref().is_none_or(|wanted| name.to_lowercase() == *wanted);
                resource.tags.iter().filter(|(name, _)| of_name(name)).map(|(_, value)| value.clone()).collect()
            }
            _ => Vec::new(),
        }
    };
    Ok(filter.matches(&values)?)
}

const READ_GROUP: &str = "Microsoft.Resources/subscriptions/resourceGroups/read";
const LIST_GROUP: &str = "Microsoft.Resources/subscriptions/resourceGroups/resources/read";
