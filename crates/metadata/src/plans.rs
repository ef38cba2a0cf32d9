//! How SQLite carries out what lists ask for: every list is a range of an index. None scans a table or sorts.
//!
//! The statements are taken from the driver's own log while the functions run, so that those are tested which are used.

use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use wharf_model::{Digest, RegistryId, RepositoryId, Timestamp};

use crate::attributes::{self, Position, RepositoryPosition};
use crate::manifests::{self, ReferrerFilter};
use crate::trash::{self, TagPosition, TrashId};
use crate::{Connection, Database, DatabaseUrl, Error, pulls, repositories, sizes, tags};

#[tokio::test]
async fn no_list_scans_a_table_or_sorts() {
    let statements = Statements::default();
    let subscriber = tracing_subscriber::registry().with(statements.clone());
    tracing::subscriber::set_global_default(subscriber).expect("no other test of this binary listens");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = DatabaseUrl::Sqlite(directory.path().join("metadata.db"));
    let database = Database::open(&url).await.expect("SQLite opens");
    let plans = database.read(|c| Box::pin(async move { explain(c, &statements).await })).await.expect("all is listed");
    assert!(plans.len() > 20, "{}", plans.len());
    let mut wrong = String::new();
    for (statement, plan) in &plans {
        if plan.iter().any(|step| grows(step)) || plan.first().is_none_or(|first| is_wide(first)) {
            wrong.push_str(&format!("{statement}\n    {}\n", plan.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whether a step of a plan grows with what it looks at. The tags of a manifest are put in order one manifest at a time.
fn grows(step: &str) -> bool {
    step.starts_with("SCAN") || (step.contains("TEMP B-TREE") && !step.contains("string_agg"))
}

/// Whether all that a repository or a registry holds is looked at, instead of a range of it. Of what waits to be settled
/// after a deletion there is little.
fn is_wide(step: &str) -> bool {
    let is_of_one = ["(repository_id=?)", "(registry_id=?)", "(trash_id=?)"].iter().any(|range| step.ends_with(range));
    is_of_one && !step.contains("repositories_unsettled")
}

/// Runs every list, and explains the statements that it took.
async fn explain(c: &mut Connection, statements: &Statements) -> Result<Vec<(String, Vec<String>)>, Error> {
    let (registry, repo, trash) = (RegistryId(1), RepositoryId(1), TrashId(1));
    let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().expect("it is a digest");
    drop(statements.take());
    let orders = [
        Position::Name(String::new()),
        Position::Ascending(Timestamp(0), String::new()),
        Position::Descending(Timestamp(0), String::new()),
    ];
    for order in &orders {
        attributes::list_tags(c, repo, order, 100).await?;
        attributes::list_manifests(c, repo, order, 100).await?;
    }
    for order in [
        RepositoryPosition::Name(String::new()),
        RepositoryPosition::Size(1, repo),
        RepositoryPosition::Pulled(Timestamp(1), repo),
    ] {
        attributes::list_repositories(c, registry, &order, 100).await?;
    }
    let name = "app".parse().expect("it is a name");
    attributes::find_repository(c, registry, &name).await?;
    attributes::find_tag_time(c, repo, "v1").await?;
    attributes::find_manifest_time(c, repo, "v1").await?;
    tags::list(c, repo, "", 100).await?;
    repositories::list_shown(c, registry, "", 100).await?;
    manifests::list_referrers(c, repo, &digest, ReferrerFilter::default(), "", 100).await?;
    manifests::weigh_referrers(c, repo, &digest, ReferrerFilter::default(), "", 100).await?;
    pulls::list_tag_uses(c, repo, &["v1", "v2"]).await?;
    pulls::list_manifest_uses(c, &[wharf_model::ManifestId(1)]).await?;
    trash::list_repositories(c, registry, "", 100).await?;
    trash::list_manifests(c, trash, "", 100).await?;
    let first = TagPosition { name: String::new(), deleted_at: Timestamp(0), manifest: 0 };
    trash::list_tags(c, trash, &first, 100).await?;
    // A statement is logged when the next one begins, if not before.
    sizes::find_registry(c, registry).await?;
    let mut plans = Vec::new();
    for statement in statements.take() {
        let Connection::Sqlite(c) = &mut *c else { unreachable!("this is SQLite") };
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(&mut **c).await?;
        plans.push((statement, steps.into_iter().map(|(_, _, _, step)| step).collect()));
    }
    Ok(plans)
}

/// Keeps the statements that the driver logs.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics with it"))
    }
}

impl<S: tracing::Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "sqlx::query" {
            return;
        }
        let mut statement = Statement::default();
        event.record(&mut statement);
        let text = if statement.whole.trim().is_empty() { statement.summary } else { statement.whole };
        if text.trim_start().starts_with("SELECT") {
            self.0.lock().expect("nobody panics with it").push(text.trim().to_owned());
        }
    }
}

/// A statement as it is logged: whole, or, if it is short, as its own summary.
#[derive(Default)]
struct Statement {
    summary: String,
    whole: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
