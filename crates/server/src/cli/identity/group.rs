//! `wharf identity group`: groups, and who is in them.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use wharf_identity::directory::NewGroup;
use wharf_metadata::PrincipalRow;
use wharf_metadata::directory::{Family, Properties, groups};
use wharf_model::PrincipalId;

use super::shown::ShownPrincipal;
use super::{Flags, confirm, find};
use crate::app::App;
use crate::cli::output::{Output, print, print_json, print_table};

#[derive(Debug, Args)]
pub(in crate::cli) struct GroupArgs {
    #[command(subcommand)]
    pub(super) command: GroupCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Create a group
    #[command(after_help = "Examples:\n  wharf identity group create developers")]
    Create(NameArgs),
    /// List all groups
    #[command(after_help = "Examples:\n  wharf identity group list")]
    List(ListArgs),
    /// Show a group and who is in it
    #[command(after_help = "Examples:\n  wharf identity group show developers --output json")]
    Show(NameArgs),
    /// Put a user, an application or another group into a group
    #[command(after_help = "Examples:\n  \
        wharf identity group add developers anna@example.com\n  \
        wharf identity group add developers ci")]
    Add(MemberArgs),
    /// Take somebody out of a group
    #[command(after_help = "Examples:\n  wharf identity group remove developers anna@example.com\n\
        \n\
        What they could do by way of the group ends at once.")]
    Remove(MemberArgs),
    /// Delete a group with its role assignments
    #[command(after_help = "Examples:\n  wharf identity group delete developers --yes")]
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// Name of the group; to show one, its object id will do too
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct MemberArgs {
    /// Name or object id of the group
    #[arg(value_name = "GROUP")]
    group: String,
    /// User principal name, name of an application or group, or an id
    #[arg(value_name = "MEMBER")]
    member: String,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Name or object id of the group
    #[arg(value_name = "GROUP")]
    group: String,
    /// Delete, without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    flags: Flags,
}

impl GroupCommand {
    pub(super) fn flags(&self) -> &Flags {
        match self {
            Self::Create(args) | Self::Show(args) => &args.flags,
            Self::List(args) => &args.flags,
            Self::Add(args) | Self::Remove(args) => &args.flags,
            Self::Delete(args) => &args.flags,
        }
    }
}

pub(super) async fn run(command: &GroupCommand, app: &App) -> Result<(), anyhow::Error> {
    let output = command.flags().output.output;
    match command {
        GroupCommand::Create(args) => {
            let new = NewGroup {
                tenant_id: app.installation.ids.tenant_id,
                display_name: args.group.clone(),
                properties: Properties::new(),
                owners: Vec::new(),
                members: Vec::new(),
            };
            let row = app.identity.create_group(new).await;
            let row = row.with_context(|| format!("cannot create the group {}", args.group))?;
            print_group(app, &row, output).await
        }
        GroupCommand::List(_) => {
            let rows = find::all(app, Family::Groups).await?;
            let shown: Vec<ShownPrincipal> = rows.iter().map(Into::into).collect();
            match output {
                Output::Json => print_json(&shown),
                Output::Table => print_table(
                    &["GROUP", "OBJECT ID", "CREATED"],
                    shown.into_iter().map(|row| vec![row.display_name, row.id.to_string(), row.created_date_time]),
                ),
            }
        }
        GroupCommand::Show(args) => {
            let row = find::group(app, &args.group).await?;
            print_group(app, &row, output).await
        }
        GroupCommand::Add(args) => {
            let (group, member) = (find::group(app, &args.group).await?, find::member(app, &args.member).await?);
            let added = app.identity.add_group_member(group.id, member.id).await;
            added.with_context(|| format!("cannot put {} into the group {}", args.member, args.group))?;
            app.let_server_notice().await;
            print_group(app, &group, output).await
        }
        GroupCommand::Remove(args) => {
            let (group, member) = (find::group(app, &args.group).await?, find::member(app, &args.member).await?);
            let removed = app.identity.remove_group_member(group.id, member.id).await;
            removed.with_context(|| format!("cannot take {} out of the group {}", args.member, args.group))?;
            app.let_server_notice().await;
            print_group(app, &group, output).await
        }
        GroupCommand::Delete(args) => {
            let row = find::group(app, &args.group).await?;
            confirm(args.yes, &format!("the group {}", row.display_name), &format!("group delete {}", args.group))?;
            let deleted = app.identity.delete_principal(row.id).await;
            deleted.with_context(|| format!("cannot delete the group {}", row.display_name))?;
            app.let_server_notice().await;
            print(&format!("Deleted the group {}.\n", row.display_name))
        }
    }
}

/// A group with those who are in it themselves.
#[derive(Serialize)]
struct WithMembers {
    #[serde(flatten)]
    group: ShownPrincipal,
    members: Vec<Member>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    id: PrincipalId,
    kind: &'static str,
    name: String,
}

async fn print_group(app: &App, row: &PrincipalRow, output: Output) -> Result<(), anyhow::Error> {
    let group = row.id;
    let members = app.database.read(|c| Box::pin(groups::list_members(c, group, None, i64::MAX))).await;
    let members: Vec<Member> = members
        .with_context(|| format!("cannot list who is in the group {}", row.display_name))?
        .into_iter()
        .map(|row| Member { id: row.id, kind: row.kind.as_str(), name: row.user_name.unwrap_or(row.display_name) })
        .collect();
    match output {
        Output::Json => print_json(&WithMembers { group: row.into(), members }),
        Output::Table => {
            print(&format!("Group:     {}\nObject id: {}\n\n", row.display_name, row.id))?;
            let cells =
                members.into_iter().map(|member| vec![member.name, member.kind.to_owned(), member.id.to_string()]);
            print_table(&["MEMBER", "KIND", "OBJECT ID"], cells)
        }
    }
}
