//! `wharf repository`: what registries hold, with bytes and pulls.

mod listing;
mod shown;

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use wharf_model::{RegistryName, RepositoryName};
use wharf_registry::Target;

use self::listing::{Limit, manifests, repositories, tags};
use self::shown::{Item as _, Repository, print_items};
use super::output::{Output, OutputFlag, print_json, print_table};
use crate::app::App;
use crate::config::CommonFlags;
use crate::hosts::DEFAULT_REGISTRY;

#[derive(Debug, Args)]
pub(super) struct RepositoryArgs {
    #[command(subcommand)]
    pub(super) command: RepositoryCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum RepositoryCommand {
    /// List the repositories of a registry
    #[command(after_help = "Examples:\n  \
        wharf repository list\n  \
        wharf repository list --registry contoso --sort size --limit 20\n  \
        wharf repository list --sort pulled --all --output json\n\
        \n\
        SIZE is what a repository's blobs take, UNIQUE what no other repository of the registry holds. A pull shows \
        after some seconds.")]
    List(ListArgs),
    /// Show one repository
    #[command(after_help = "Examples:\n  \
        wharf repository show team/app\n  \
        wharf repository show team/app --registry contoso --output json")]
    Show(ShowArgs),
    /// List the tags of a repository
    #[command(after_help = "Examples:\n  \
        wharf repository tags team/app\n  \
        wharf repository tags team/app --sort newest --limit 10\n  \
        wharf repository tags team/app --sort pulled --all --output json")]
    Tags(TagsArgs),
    /// List the manifests of a repository
    #[command(after_help = "Examples:\n  \
        wharf repository manifests team/app --sort size --limit 10\n  \
        wharf repository manifests team/app --registry contoso --sort pulled --all --output json\n\
        \n\
        SIZE is that of config and layers, also of those that other images share.")]
    Manifests(ManifestsArgs),
}

/// What is the same for all lists.
#[derive(Debug, Args)]
pub(super) struct ListFlags {
    /// How many to list
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// List all of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl ListFlags {
    fn limit(&self) -> Limit {
        if self.all { Limit::All } else { Limit::Most(usize::try_from(self.limit).unwrap_or(usize::MAX)) }
    }
}

/// Where it is, and how it is printed.
#[derive(Debug, Args)]
pub(super) struct PlaceFlags {
    /// Registry that it is in
    #[arg(long, short, value_name = "NAME", default_value = DEFAULT_REGISTRY, value_parser = RegistryName::parse_any_case)]
    registry: RegistryName,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Order: by name, the largest first, or the last pulled first
    #[arg(long, value_name = "ORDER", default_value = "name")]
    sort: RepositoryOrder,
    #[command(flatten)]
    list: ListFlags,
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Name of the repository
    name: RepositoryName,
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Debug, Args)]
pub(super) struct TagsArgs {
    /// Name of the repository
    name: RepositoryName,
    /// Order: by name, the newest or the oldest first, or the last pulled first
    #[arg(long, value_name = "ORDER", default_value = "name")]
    sort: TagOrder,
    #[command(flatten)]
    list: ListFlags,
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Debug, Args)]
pub(super) struct ManifestsArgs {
    /// Name of the repository
    name: RepositoryName,
    /// Order: by digest, the newest or the oldest first, the largest first, or the last pulled first
    #[arg(long, value_name = "ORDER", default_value = "newest")]
    sort: ManifestOrder,
    #[command(flatten)]
    list: ListFlags,
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RepositoryOrder {
    Name,
    Size,
    Pulled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TagOrder {
    Name,
    Newest,
    Oldest,
    Pulled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ManifestOrder {
    Digest,
    Newest,
    Oldest,
    Size,
    Pulled,
}

impl RepositoryCommand {
    fn place(&self) -> &PlaceFlags {
        match self {
            Self::List(args) => &args.place,
            Self::Show(args) => &args.place,
            Self::Tags(args) => &args.place,
            Self::Manifests(args) => &args.place,
        }
    }

    /// The flags that say where the data is.
    pub(super) fn common(&self) -> &CommonFlags {
        &self.place().common
    }
}

pub(super) async fn run(command: &RepositoryCommand, app: &App) -> Result<ExitCode, anyhow::Error> {
    let place = command.place();
    let registry = app.get_registry(&place.registry).await?;
    let (artifacts, output) = (&app.artifacts, place.output.output);
    // What a server counts anyway, a moment later.
    artifacts.count_bytes().await?;
    match command {
        RepositoryCommand::List(args) => {
            print_items(&repositories(artifacts, &registry, args.sort, args.list.limit()).await?, output)?;
        }
        RepositoryCommand::Show(args) => {
            let target = Target { registry: &registry, repository: &args.name };
            let shown = Repository::of(artifacts.describe_repository(target).await?);
            match output {
                Output::Json => print_json(&shown)?,
                Output::Table => print_table(Repository::HEADING, [shown.cells()])?,
            }
        }
        RepositoryCommand::Tags(args) => {
            let target = Target { registry: &registry, repository: &args.name };
            print_items(&tags(artifacts, target, args.sort, args.list.limit()).await?, output)?;
        }
        RepositoryCommand::Manifests(args) => {
            let target = Target { registry: &registry, repository: &args.name };
            print_items(&manifests(artifacts, target, args.sort, args.list.limit()).await?, output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
