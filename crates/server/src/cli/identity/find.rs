//! Objects by what the operator calls them.

use anyhow::{Context as _, bail};
use uuid::Uuid;
use wharf_metadata::directory::{Family, Page, applications, key, principals};
use wharf_metadata::{ApplicationId, ApplicationRow, PrincipalRow};
use wharf_model::PrincipalId;

use crate::app::App;

/// The user with this user principal name or object id.
pub(super) async fn user(app: &App, named: &str) -> Result<PrincipalRow, anyhow::Error> {
    let found = match named.parse() {
        Ok(id) => app.database.read(|c| Box::pin(principals::find(c, PrincipalId(id)))).await,
        Err(_) => {
            let name = named.to_owned();
            app.database.read(|c| Box::pin(async move { principals::find_by_user_name(c, &name).await })).await
        }
    };
    let found = found.with_context(|| format!("cannot look up the user {named}"))?;
    found
        .filter(|row| Family::of(row.kind) == Family::Users)
        .with_context(|| format!("there is no user {named}; `wharf identity user list` shows those there are"))
}

/// The group with this name or object id.
pub(super) async fn group(app: &App, named: &str) -> Result<PrincipalRow, anyhow::Error> {
    let found = by_name_or_id(app, Family::Groups, named).await?;
    found.with_context(|| format!("there is no group {named}; `wharf identity group list` shows those there are"))
}

/// The managed identity with this name, application id or object id.
pub(super) async fn managed(app: &App, named: &str) -> Result<PrincipalRow, anyhow::Error> {
    let found = by_name_or_id(app, Family::ServicePrincipals, named).await?;
    found.filter(|row| row.resource_id.is_some()).with_context(|| {
        format!("there is no managed identity {named}; `wharf identity managed list` shows those there are")
    })
}

/// Whoever can be in a group: a user, a group, a service principal, by name or id.
pub(super) async fn member(app: &App, named: &str) -> Result<PrincipalRow, anyhow::Error> {
    if named.contains('@') {
        return user(app, named).await;
    }
    if let Some(row) = by_name_or_id(app, Family::ServicePrincipals, named).await? {
        return Ok(row);
    }
    let found = by_name_or_id(app, Family::Groups, named).await?;
    found.with_context(|| format!("there is no user, application or group {named}"))
}

/// The application with this name, application id or object id, and its service principal.
pub(super) async fn application(
    app: &App,
    named: &str,
) -> Result<(ApplicationRow, Option<PrincipalRow>), anyhow::Error> {
    let what = || format!("cannot look up the application {named}");
    let row = match named.parse::<Uuid>() {
        Ok(id) => app.database.read(|c| Box::pin(find_application(c, id))).await.with_context(what)?,
        Err(_) => {
            let (tenant, page) = (app.installation.ids.tenant_id, called(named));
            let rows = app.database.read(|c| Box::pin(async move { applications::list(c, tenant, &page).await }));
            let rows = rows.await.with_context(what)?.into_iter().filter(|row| key(&row.display_name) == key(named));
            only_one(rows.collect(), named, |row| row.app_id.to_string())?
        }
    };
    let row = row
        .with_context(|| format!("there is no application {named}; `wharf identity app list` shows those there are"))?;
    let app_id = row.app_id;
    let principal = app.database.read(|c| Box::pin(principals::find_by_app(c, app_id))).await.with_context(what)?;
    Ok((row, principal))
}

async fn find_application(
    c: &mut wharf_metadata::Connection,
    id: Uuid,
) -> Result<Option<ApplicationRow>, wharf_metadata::Error> {
    match applications::find_by_app(c, id).await? {
        Some(row) => Ok(Some(row)),
        None => applications::find(c, ApplicationId(id)).await,
    }
}

async fn by_name_or_id(app: &App, family: Family, named: &str) -> Result<Option<PrincipalRow>, anyhow::Error> {
    let what = || format!("cannot look up {named}");
    if let Ok(id) = named.parse::<Uuid>() {
        let found = app.database.read(|c| {
            Box::pin(async move {
                match principals::find(c, PrincipalId(id)).await? {
                    Some(row) => Ok::<_, wharf_metadata::Error>(Some(row)),
                    None => principals::find_by_app(c, id).await,
                }
            })
        });
        return Ok(found.await.with_context(what)?.filter(|row| Family::of(row.kind) == family));
    }
    let (tenant, page) = (app.installation.ids.tenant_id, called(named));
    let rows = app.database.read(|c| Box::pin(async move { principals::list(c, tenant, family, &page).await }));
    let rows = rows.await.with_context(what)?.into_iter().filter(|row| key(&row.display_name) == key(named));
    only_one(rows.collect(), named, |row| row.id.to_string())
}

/// Everything of one kind, in the order of names.
pub(super) async fn all(app: &App, family: Family) -> Result<Vec<PrincipalRow>, anyhow::Error> {
    let tenant = app.installation.ids.tenant_id;
    let mut all: Vec<PrincipalRow> = Vec::new();
    loop {
        let after = all.last().map(|last| (key(&last.display_name), last.id.0));
        let page = Page { prefix: String::new(), after, limit: PAGE };
        let rows = app.database.read(|c| Box::pin(async move { principals::list(c, tenant, family, &page).await }));
        let rows = rows.await.context("cannot list the directory")?;
        let is_last = rows.len() < PAGE as usize;
        all.extend(rows);
        if is_last {
            return Ok(all);
        }
    }
}

/// All applications, in the order of names.
pub(super) async fn all_applications(app: &App) -> Result<Vec<ApplicationRow>, anyhow::Error> {
    let tenant = app.installation.ids.tenant_id;
    let mut all: Vec<ApplicationRow> = Vec::new();
    loop {
        let after = all.last().map(|last| (key(&last.display_name), last.id.0));
        let page = Page { prefix: String::new(), after, limit: PAGE };
        let rows = app.database.read(|c| Box::pin(async move { applications::list(c, tenant, &page).await }));
        let rows = rows.await.context("cannot list the applications")?;
        let is_last = rows.len() < PAGE as usize;
        all.extend(rows);
        if is_last {
            return Ok(all);
        }
    }
}

/// Those whose names begin like this: the shortest come first, so the name itself is among them.
fn called(name: &str) -> Page {
    Page { prefix: name.to_owned(), after: None, limit: PAGE }
}

/// The only one; names are not unique.
fn only_one<T>(mut rows: Vec<T>, named: &str, id: impl Fn(&T) -> String) -> Result<Option<T>, anyhow::Error> {
    if rows.len() > 1 {
        let ids: Vec<String> = rows.iter().map(id).collect();
        bail!("several are called {named}; name the one you mean by its id: {}", ids.join(", "));
    }
    Ok(rows.pop())
}

const PAGE: i64 = 500;
