//! `wharf identity app`: applications, which sign in with secrets and certificates of their own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use uuid::Uuid;
use wharf_identity::directory::{
    CertificateEntry, CreatedClient, Holder, NewClient, NewSecret, ParsedCertificate, SecretEnd,
};
use wharf_metadata::directory::credentials;
use wharf_metadata::{ApplicationRow, CredentialKind, CredentialRow, PrincipalRow};

use super::shown::{ShownApplication, ShownCredential, on_off};
use super::{Flags, Switch, confirm, find, read_secret};
use crate::app::App;
use crate::cli::output::{Output, print, print_json, print_table};

#[derive(Debug, Args)]
pub(in crate::cli) struct AppArgs {
    #[command(subcommand)]
    pub(super) command: AppCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum AppCommand {
    /// Create an application with its service principal and a secret
    #[command(after_help = "Examples:\n  \
        wharf identity app create ci\n  \
        wharf identity app create ci --days 90 --output json\n  \
        wharf identity app create ci --no-secret\n\
        \n\
        The secret is printed this once. A new application has no rights: give it a role with \
        `az role assignment create --assignee CLIENT-ID`.")]
    Create(CreateArgs),
    /// List all applications
    #[command(after_help = "Examples:\n  wharf identity app list\n  wharf identity app list --output json")]
    List(ListArgs),
    /// Show an application, its secrets and its certificates
    #[command(after_help = "Examples:\n  wharf identity app show ci")]
    Show(ShowArgs),
    /// Switch an application off and on
    #[command(after_help = "Examples:\n  wharf identity app update ci --enabled off\n\
        \n\
        Switching off ends every token that was issued to it, at once.")]
    Update(UpdateArgs),
    /// Delete an application with its credentials and role assignments
    #[command(after_help = "Examples:\n  wharf identity app delete ci --yes")]
    Delete(DeleteArgs),
    /// Add and remove secrets
    #[command(after_help = "Examples:\n  \
        wharf identity app secret create ci --days 90\n  \
        wharf identity app secret delete ci 4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f")]
    Secret(SecretArgs),
    /// Add and remove certificates
    #[command(after_help = "Examples:\n  \
        wharf identity app certificate add ci ci.pem\n  \
        wharf identity app certificate delete ci 4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f")]
    Certificate(CertificateArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// What people call it
    name: String,
    /// Without a secret
    #[arg(long, conflicts_with_all = ["days", "never"])]
    no_secret: bool,
    #[command(flatten)]
    ends: Ends,
    #[command(flatten)]
    flags: Flags,
}

/// When a secret ends.
#[derive(Debug, Args)]
struct Ends {
    /// Days until the secret expires; two years, if not given
    #[arg(long, value_name = "DAYS", conflicts_with = "never", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// The secret never expires
    #[arg(long)]
    never: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Name, application (client) id or object id
    #[arg(value_name = "APP")]
    app: String,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// Name, application (client) id or object id
    #[arg(value_name = "APP")]
    app: String,
    /// Whether it may sign in
    #[arg(long, value_name = "SWITCH", required = true)]
    enabled: Switch,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Name, application (client) id or object id
    #[arg(value_name = "APP")]
    app: String,
    /// Delete, without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct SecretArgs {
    #[command(subcommand)]
    command: SecretCommand,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Add a secret, which is printed this once
    #[command(after_help = "Examples:\n  \
        wharf identity app secret create ci --days 90 --name deploy\n  \
        wharf identity app secret create ci --stdin < secret.txt\n\
        \n\
        The secrets that there are go on to count; remove them with `wharf identity app secret delete`.")]
    Create(CreateSecretArgs),
    /// Remove a secret
    #[command(after_help = "Examples:\n  \
        wharf identity app secret delete ci 4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f\n\
        \n\
        Ends every token that was issued to the application, at once.")]
    Delete(DeleteCredentialArgs),
}

#[derive(Debug, Args)]
struct CreateSecretArgs {
    /// Name, application (client) id or object id
    #[arg(value_name = "APP")]
    app: String,
    /// What people call the secret
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Take the secret from standard input instead of making one
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    ends: Ends,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
struct DeleteCredentialArgs {
    /// Name, application (client) id or object id
    #[arg(value_name = "APP")]
    app: String,
    /// Its id, as `wharf identity app show` shows it
    #[arg(value_name = "KEY-ID")]
    key_id: Uuid,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct CertificateArgs {
    #[command(subcommand)]
    command: CertificateCommand,
}

#[derive(Debug, Subcommand)]
enum CertificateCommand {
    /// Add a certificate, whose key signs in the application
    #[command(after_help = "Examples:\n  wharf identity app certificate add ci ci.pem --name deploy")]
    Add(AddCertificateArgs),
    /// Remove a certificate
    #[command(after_help = "Examples:\n  \
        wharf identity app certificate delete ci 4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f\n\
        \n\
        Ends every token that was issued to the application, at once.")]
    Delete(DeleteCredentialArgs),
}

#[derive(Debug, Args)]
struct AddCertificateArgs {
    /// Name, application (client) id or object id
    #[arg(value_name = "APP")]
    app: String,
    /// The certificate, as PEM or DER
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What people call it; whom it names, if not given
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

impl AppCommand {
    pub(super) fn flags(&self) -> &Flags {
        match self {
            Self::Create(args) => &args.flags,
            Self::List(args) => &args.flags,
            Self::Show(args) => &args.flags,
            Self::Update(args) => &args.flags,
            Self::Delete(args) => &args.flags,
            Self::Secret(SecretArgs { command: SecretCommand::Create(args) }) => &args.flags,
            Self::Secret(SecretArgs { command: SecretCommand::Delete(args) })
            | Self::Certificate(CertificateArgs { command: CertificateCommand::Delete(args) }) => &args.flags,
            Self::Certificate(CertificateArgs { command: CertificateCommand::Add(args) }) => &args.flags,
        }
    }
}

impl Ends {
    fn read(&self, app: &App) -> SecretEnd {
        match self.days {
            _ if self.never => SecretEnd::Never,
            Some(days) => SecretEnd::At(app.clock.now() + Duration::from_hours(24) * days),
            None => SecretEnd::Usual,
        }
    }
}

pub(super) async fn run(command: &AppCommand, app: &App) -> Result<(), anyhow::Error> {
    let output = command.flags().output.output;
    match command {
        AppCommand::Create(args) => create(args, app, output).await,
        AppCommand::List(_) => list(app, output).await,
        AppCommand::Show(args) => {
            let (row, principal) = find::application(app, &args.app).await?;
            show(app, &row, principal.as_ref(), output).await
        }
        AppCommand::Update(args) => {
            let (row, principal) = find::application(app, &args.app).await?;
            let principal =
                principal.with_context(|| format!("the application {} has no service principal", args.app))?;
            let is_enabled = args.enabled == Switch::On;
            let change = move |row: &mut PrincipalRow| {
                row.is_enabled = is_enabled;
                Ok(())
            };
            let changed = app.identity.update_principal(principal.id, change).await;
            let changed = changed.with_context(|| format!("cannot switch the application {}", args.app))?;
            app.let_server_notice().await;
            show(app, &row, Some(&changed), output).await
        }
        AppCommand::Delete(args) => {
            let (row, _) = find::application(app, &args.app).await?;
            let what = format!("the application {} with its credentials and role assignments", row.display_name);
            confirm(args.yes, &what, &format!("app delete {}", args.app))?;
            let deleted = app.identity.delete_application(row.id).await;
            deleted.with_context(|| format!("cannot delete the application {}", row.display_name))?;
            app.let_server_notice().await;
            print(&format!("Deleted the application {}.\n", row.display_name))
        }
        AppCommand::Secret(SecretArgs { command: SecretCommand::Create(args) }) => {
            create_secret(args, app, output).await
        }
        AppCommand::Secret(SecretArgs { command: SecretCommand::Delete(args) }) => {
            let (row, principal) = find::application(app, &args.app).await?;
            let (holder, found) =
                find_credential(app, &row, principal.as_ref(), args.key_id, CredentialKind::Secret).await?;
            let removed = app.identity.remove_secret(holder, found.key_id).await;
            removed.with_context(|| format!("cannot remove the secret {}", args.key_id))?;
            app.let_server_notice().await;
            show(app, &row, principal.as_ref(), output).await
        }
        AppCommand::Certificate(CertificateArgs { command: CertificateCommand::Add(args) }) => {
            let (row, principal) = find::application(app, &args.app).await?;
            let bytes = std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
            let certificate = ParsedCertificate::parse(&bytes)
                .with_context(|| format!("cannot use the certificate in {}", args.file.display()))?;
            let holder = Holder::Application(row.id);
            let mut entries = kept_certificates(app, holder).await?;
            let (key_id, display_name) = (Uuid::new_v4(), args.name.clone());
            entries.push(CertificateEntry::New { key_id, display_name, certificate, starts_at: None, ends_at: None });
            let added = app.identity.set_certificates(holder, entries).await;
            added.with_context(|| format!("cannot add the certificate to the application {}", args.app))?;
            app.let_server_notice().await;
            show(app, &row, principal.as_ref(), output).await
        }
        AppCommand::Certificate(CertificateArgs { command: CertificateCommand::Delete(args) }) => {
            let (row, principal) = find::application(app, &args.app).await?;
            let kind = CredentialKind::Certificate;
            let (holder, found) = find_credential(app, &row, principal.as_ref(), args.key_id, kind).await?;
            let mut entries = kept_certificates(app, holder).await?;
            entries.retain(|entry| !matches!(entry, CertificateEntry::Kept(id) if *id == found.key_id));
            let removed = app.identity.set_certificates(holder, entries).await;
            removed.with_context(|| format!("cannot remove the certificate {}", args.key_id))?;
            app.let_server_notice().await;
            show(app, &row, principal.as_ref(), output).await
        }
    }
}

async fn create(args: &CreateArgs, app: &App, output: Output) -> Result<(), anyhow::Error> {
    let secret = (!args.no_secret).then(|| NewSecret { ends: args.ends.read(app), ..NewSecret::default() });
    let new = NewClient {
        tenant_id: app.installation.ids.tenant_id,
        display_name: args.name.clone(),
        app_id: None,
        secret,
        now: app.clock.now(),
    };
    let identity = app.identity.clone();
    let write = app.database.write_access(move |c| Box::pin(async move { identity.create_client(c, new).await }));
    let CreatedClient { application, principal, secret } =
        write.await.with_context(|| format!("cannot create the application {}", args.name))?;
    print_created(app, &application, Some(&principal), secret.as_ref(), "Created the application", output)
}

async fn list(app: &App, output: Output) -> Result<(), anyhow::Error> {
    let rows = find::all_applications(app).await?;
    let principals = find::all(app, wharf_metadata::directory::Family::ServicePrincipals).await?;
    let by_app: std::collections::HashMap<_, _> = principals.iter().map(|row| (row.app_id, row)).collect();
    let shown: Vec<ShownApplication> =
        rows.iter().map(|row| ShownApplication::new(row, by_app.get(&Some(row.app_id)).copied())).collect();
    match output {
        Output::Json => print_json(&shown),
        Output::Table => print_table(
            &["APPLICATION", "CLIENT ID", "ENABLED", "CREATED"],
            shown.into_iter().map(|app| {
                let enabled = app.account_enabled.map_or_else(|| "no service principal".to_owned(), on_off);
                vec![app.display_name, app.app_id.to_string(), enabled, app.created_date_time]
            }),
        ),
    }
}

async fn create_secret(args: &CreateSecretArgs, app: &App, output: Output) -> Result<(), anyhow::Error> {
    let (row, principal) = find::application(app, &args.app).await?;
    let new = NewSecret {
        display_name: args.name.clone(),
        starts_at: None,
        ends: args.ends.read(app),
        chosen: if args.stdin { Some(read_secret()?) } else { None },
    };
    let added = app.identity.add_secret(Holder::Application(row.id), new).await;
    let (credential, text) = added.with_context(|| format!("cannot add a secret to the application {}", args.app))?;
    // Else a running server may refuse it for a moment.
    app.let_server_notice().await;
    print_created(app, &row, principal.as_ref(), Some(&(credential, text)), "Added a secret to the application", output)
}

/// The credentials of an application, and those of its service principal.
async fn all_credentials(
    app: &App,
    row: &ApplicationRow,
    principal: Option<&PrincipalRow>,
) -> Result<Vec<CredentialRow>, anyhow::Error> {
    let owners: Vec<Uuid> = std::iter::once(row.id.0).chain(principal.map(|row| row.id.0)).collect();
    let rows = app.database.read(|c| Box::pin(async move { credentials::list(c, &owners).await })).await;
    rows.with_context(|| format!("cannot list the credentials of the application {}", row.display_name))
}

/// A credential of an application or its service principal, and which of the two has it.
async fn find_credential(
    app: &App,
    row: &ApplicationRow,
    principal: Option<&PrincipalRow>,
    key_id: Uuid,
    kind: CredentialKind,
) -> Result<(Holder, CredentialRow), anyhow::Error> {
    let found = all_credentials(app, row, principal).await?;
    let Some(found) = found.into_iter().find(|found| found.key_id == key_id && found.kind == kind) else {
        bail!(
            "the application {0} has no such credential {key_id}; `wharf identity app show {0}` shows those it has",
            row.display_name
        );
    };
    let holder = match principal {
        Some(principal) if principal.id.0 == found.owner_id => Holder::ServicePrincipal(principal.id),
        _ => Holder::Application(row.id),
    };
    Ok((holder, found))
}

async fn kept_certificates(app: &App, holder: Holder) -> Result<Vec<CertificateEntry>, anyhow::Error> {
    let owner = holder.id();
    let rows = app.database.read(|c| Box::pin(async move { credentials::list(c, &[owner]).await })).await;
    let rows = rows.context("cannot list the certificates")?;
    let certificates = rows.iter().filter(|row| row.kind == CredentialKind::Certificate);
    Ok(certificates.map(|row| CertificateEntry::Kept(row.key_id)).collect())
}

/// An application with what it signs in with.
#[derive(Serialize)]
struct WithCredentials {
    #[serde(flatten)]
    application: ShownApplication,
    credentials: Vec<ShownCredential>,
}

async fn show(
    app: &App,
    row: &ApplicationRow,
    principal: Option<&PrincipalRow>,
    output: Output,
) -> Result<(), anyhow::Error> {
    let now = app.clock.now();
    let credentials = all_credentials(app, row, principal).await?;
    let credentials: Vec<ShownCredential> = credentials.iter().map(|row| ShownCredential::new(row, now)).collect();
    let application = ShownApplication::new(row, principal);
    match output {
        Output::Json => print_json(&WithCredentials { application, credentials }),
        Output::Table => {
            let mut text = format!("Application: {}\nClient id:   {}\n", application.display_name, application.app_id);
            match (application.service_principal_id, application.account_enabled) {
                (Some(id), Some(enabled)) => {
                    text.push_str(&format!("Object id:   {id}\nEnabled:     {}\n", on_off(enabled)))
                }
                _ => text.push_str("It has no service principal, so it cannot sign in.\n"),
            }
            print(&format!("{text}\n"))?;
            print_table(&ShownCredential::HEADING, credentials.iter().map(ShownCredential::cells))
        }
    }
}

/// An application and the secret that was made for it, under the names that `az ad sp create-for-rbac` has for them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    #[serde(flatten)]
    application: ShownApplication,
    tenant: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

fn print_created(
    app: &App,
    row: &ApplicationRow,
    principal: Option<&PrincipalRow>,
    secret: Option<&(CredentialRow, SecretString)>,
    what: &str,
    output: Output,
) -> Result<(), anyhow::Error> {
    let tenant = app.installation.ids.tenant_id;
    let password = secret.map(|(_, text)| text.expose_secret());
    match output {
        Output::Json => print_json(&Created { application: ShownApplication::new(row, principal), tenant, password }),
        Output::Table => {
            let mut text = format!("{what} {}.\nClient id: {}\nTenant:    {tenant}\n", row.display_name, row.app_id);
            if let Some(principal) = principal {
                text.push_str(&format!("Object id: {}\n", principal.id));
            }
            if let Some((credential, secret)) = secret {
                let ends = credential.ends_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
                text.push_str(&format!(
                    "Secret:    {}\nExpires:   {ends}\n\nThe secret is not shown again.\n",
                    secret.expose_secret()
                ));
            }
            print(&text)
        }
    }
}
