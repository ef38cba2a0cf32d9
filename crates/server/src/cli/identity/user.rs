//! `wharf identity user`: people.

use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use wharf_identity::directory::NewUser;
use wharf_identity::{SystemRandom, generate_password};
use wharf_metadata::PrincipalRow;
use wharf_metadata::directory::{Family, Properties};

use super::shown::{ShownPrincipal, on_off};
use super::{Flags, Switch, confirm, find, read_secret};
use crate::app::App;
use crate::cli::output::{Output, print, print_json, print_table};

#[derive(Debug, Args)]
pub(in crate::cli) struct UserArgs {
    #[command(subcommand)]
    pub(super) command: UserCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create a user
    #[command(after_help = "Examples:\n  \
        wharf identity user create anna@example.com --display-name Anna\n  \
        wharf identity user create anna@example.com --must-change\n  \
        wharf identity user create anna@example.com --password-stdin < password.txt\n  \
        wharf identity user create anna@example.com --no-password\n\
        \n\
        Without a password of yours one is made and printed this once. A user without any signs in through a trusted \
        issuer only. A new user has no rights: give them a role with `az role assignment create`.")]
    Create(CreateArgs),
    /// List all users
    #[command(after_help = "Examples:\n  wharf identity user list\n  wharf identity user list --output json")]
    List(ListArgs),
    /// Show one user
    #[command(after_help = "Examples:\n  wharf identity user show anna@example.com")]
    Show(ShowArgs),
    /// Rename a user, or switch them off and on
    #[command(after_help = "Examples:\n  \
        wharf identity user update anna@example.com --enabled off\n  \
        wharf identity user update anna@example.com --name anna.meyer@example.com --display-name Anna\n\
        \n\
        Switching off ends everything that the user is signed in to, at once.")]
    Update(UpdateArgs),
    /// Give a user another password
    #[command(after_help = "Examples:\n  \
        wharf identity user password anna@example.com\n  \
        wharf identity user password anna@example.com --password-stdin --must-change < password.txt\n\
        \n\
        Ends everything that the user is signed in to, at once.")]
    Password(PasswordArgs),
    /// Delete a user with their role assignments
    #[command(after_help = "Examples:\n  wharf identity user delete anna@example.com --yes")]
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// What they sign in by: name@domain
    #[arg(value_name = "NAME@DOMAIN")]
    name: String,
    /// What people call them; the name before the @, if not given
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Take the password from standard input
    #[arg(long, conflicts_with = "no_password")]
    password_stdin: bool,
    /// Without a password
    #[arg(long)]
    no_password: bool,
    /// They must replace the password when they sign in
    #[arg(long, conflicts_with = "no_password")]
    must_change: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// User principal name or object id
    #[arg(value_name = "USER")]
    user: String,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub(super) struct UpdateArgs {
    /// User principal name or object id
    #[arg(value_name = "USER")]
    user: String,
    /// What they sign in by from now on
    #[arg(long, value_name = "NAME@DOMAIN", group = "change")]
    name: Option<String>,
    /// What people call them
    #[arg(long, value_name = "TEXT", group = "change")]
    display_name: Option<String>,
    /// Whether they may sign in
    #[arg(long, value_name = "SWITCH", group = "change")]
    enabled: Option<Switch>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// User principal name or object id
    #[arg(value_name = "USER")]
    user: String,
    /// Take the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// They must replace it when they sign in
    #[arg(long)]
    must_change: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// User principal name or object id
    #[arg(value_name = "USER")]
    user: String,
    /// Delete, without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    flags: Flags,
}

impl UserCommand {
    pub(super) fn flags(&self) -> &Flags {
        match self {
            Self::Create(args) => &args.flags,
            Self::List(args) => &args.flags,
            Self::Show(args) => &args.flags,
            Self::Update(args) => &args.flags,
            Self::Password(args) => &args.flags,
            Self::Delete(args) => &args.flags,
        }
    }
}

pub(super) async fn run(command: &UserCommand, app: &App) -> Result<(), anyhow::Error> {
    let output = command.flags().output.output;
    match command {
        UserCommand::Create(args) => create(args, app, output).await,
        UserCommand::List(_) => {
            let rows = find::all(app, Family::Users).await?;
            print_all(&rows, output)
        }
        UserCommand::Show(args) => {
            let row = find::user(app, &args.user).await?;
            print_one(&row, output)
        }
        UserCommand::Update(args) => {
            let row = find::user(app, &args.user).await?;
            let (name, display_name) = (args.name.clone(), args.display_name.clone());
            let enabled = args.enabled;
            let change = move |row: &mut PrincipalRow| {
                if name.is_some() {
                    row.user_name = name;
                }
                if let Some(display_name) = display_name {
                    row.display_name = display_name;
                }
                if let Some(enabled) = enabled {
                    row.is_enabled = enabled == Switch::On;
                }
                Ok(())
            };
            let row = app.identity.update_principal(row.id, change).await;
            let row = row.with_context(|| format!("cannot change the user {}", args.user))?;
            app.let_server_notice().await;
            print_one(&row, output)
        }
        UserCommand::Password(args) => {
            let row = find::user(app, &args.user).await?;
            let (password, is_made) = password(args.password_stdin)?;
            let set = app.identity.set_user_password(row.id, &password, args.must_change).await;
            set.with_context(|| format!("cannot give the user {} this password", args.user))?;
            app.let_server_notice().await;
            print_created(&row, is_made.then_some(&password), "The password is another now", output)
        }
        UserCommand::Delete(args) => {
            let row = find::user(app, &args.user).await?;
            let name = row.user_name.as_deref().unwrap_or(&args.user);
            confirm(args.yes, &format!("the user {name}"), &format!("user delete {name}"))?;
            let deleted = app.identity.delete_principal(row.id).await;
            deleted.with_context(|| format!("cannot delete the user {name}"))?;
            app.let_server_notice().await;
            print(&format!("Deleted the user {name}.\n"))
        }
    }
}

async fn create(args: &CreateArgs, app: &App, output: Output) -> Result<(), anyhow::Error> {
    let (password, is_made) = if args.no_password {
        (None, false)
    } else {
        let (password, is_made) = password(args.password_stdin)?;
        (Some(password), is_made)
    };
    let local = args.name.split('@').next().unwrap_or_default().to_owned();
    let new = NewUser {
        tenant_id: app.installation.ids.tenant_id,
        user_name: args.name.clone(),
        display_name: args.display_name.clone().unwrap_or(local),
        password: password.clone(),
        must_change_password: args.must_change,
        is_enabled: true,
        properties: Properties::new(),
    };
    let row = app.identity.create_user(new).await;
    let row = row.with_context(|| format!("cannot create the user {}", args.name))?;
    print_created(&row, password.as_ref().filter(|_| is_made), "Created the user", output)
}

/// The password from standard input, or one that is made; whether it was made.
fn password(from_stdin: bool) -> Result<(SecretString, bool), anyhow::Error> {
    if from_stdin { Ok((read_secret()?, false)) } else { Ok((generate_password(&SystemRandom), true)) }
}

/// A user and the password that was made for them.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    user: ShownPrincipal,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

fn print_created(
    row: &PrincipalRow,
    password: Option<&SecretString>,
    what: &str,
    output: Output,
) -> Result<(), anyhow::Error> {
    let password = password.map(|password| password.expose_secret());
    match output {
        Output::Json => print_json(&Created { user: row.into(), password }),
        Output::Table => {
            let mut text = format!("{what}: {}\n", row.user_name.as_deref().unwrap_or_default());
            text.push_str(&format!("Object id: {}\n", row.id));
            if let Some(password) = password {
                text.push_str(&format!("Password:  {password}\n\nThe password is not shown again.\n"));
            }
            print(&text)
        }
    }
}

fn print_one(row: &PrincipalRow, output: Output) -> Result<(), anyhow::Error> {
    match output {
        Output::Json => print_json(&ShownPrincipal::from(row)),
        Output::Table => print_all(std::slice::from_ref(row), output),
    }
}

fn print_all(rows: &[PrincipalRow], output: Output) -> Result<(), anyhow::Error> {
    let shown: Vec<ShownPrincipal> = rows.iter().map(Into::into).collect();
    match output {
        Output::Json => print_json(&shown),
        Output::Table => {
            let cells = shown.into_iter().map(|user| {
                vec![
                    user.user_principal_name.unwrap_or_default(),
                    user.display_name,
                    on_off(user.account_enabled),
                    user.id.to_string(),
                    user.created_date_time,
                ]
            });
            print_table(&["USER", "DISPLAY NAME", "ENABLED", "OBJECT ID", "CREATED"], cells)
        }
    }
}
