//! `wharf identity federation`: issuers outside that are trusted, and for whom their tokens stand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;
use wharf_egress::Egress;
use wharf_identity::federation::{Issuer, NewIssuer, NewRule, Rule, StandsFor};

use super::{Flags, confirm, find, read_secret};
use crate::app::App;
use crate::cli::output::{Output, print, print_json, print_table};
use crate::config::Cidr;

#[derive(Debug, Args)]
pub(in crate::cli) struct FederationArgs {
    #[command(subcommand)]
    pub(super) command: FederationCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum FederationCommand {
    /// Issuers that are trusted
    #[command(after_help = "Examples:\n  \
        wharf identity federation issuer add github --issuer https://token.actions.githubusercontent.com\n  \
        wharf identity federation issuer list\n  \
        wharf identity federation issuer test github")]
    Issuer(IssuerArgs),
    /// Rules: for whom the tokens of an issuer stand
    #[command(after_help = "Examples:\n  \
        wharf identity federation rule add --issuer github --audience api://wharf \
        --subject repo:contoso/app:ref:refs/heads/main --principal ci\n  \
        wharf identity federation rule list")]
    Rule(RuleArgs),
    /// Say which user an account of an issuer is
    #[command(after_help = "Examples:\n  \
        wharf identity federation link --issuer dex --subject CiQwOGE4Njg0Yi1kYjg4 --user anna@example.com\n\
        \n\
        An account is known by its subject. One that a rule has created a user for is linked already; this is for users \
        that were there before. The server's log names subject and user when such an account is turned away.")]
    Link(LinkArgs),
    /// Forget which user an account of an issuer is
    #[command(after_help = "Examples:\n  \
        wharf identity federation unlink --issuer dex --subject CiQwOGE4Njg0Yi1kYjg4 --yes\n\
        \n\
        Whatever the user has got ends at once.")]
    Unlink(UnlinkArgs),
}

#[derive(Debug, Args)]
pub(super) struct IssuerArgs {
    #[command(subcommand)]
    command: IssuerCommand,
}

#[derive(Debug, Subcommand)]
enum IssuerCommand {
    /// Trust an issuer. Its tokens stand for nobody until a rule says so
    #[command(after_help = "Examples:\n  \
        wharf identity federation issuer add github --issuer https://token.actions.githubusercontent.com\n  \
        wharf identity federation issuer add dex --issuer https://dex.example.com --display-name Company \
        --client-id wharf --client-secret-stdin --scope email --scope profile < secret.txt\n  \
        wharf identity federation issuer add cluster --issuer https://kubernetes.default.svc.cluster.local \
        --keys jwks.json\n\
        \n\
        With a client id, people can sign in by it: register the redirect URI that this command prints there. An \
        issuer at an internal address needs --allow-internal at the server; one that the server cannot reach at all, \
        its keys in a file (for Kubernetes: kubectl get --raw /openid/v1/jwks).")]
    Add(AddIssuerArgs),
    /// List the trusted issuers
    #[command(after_help = "Examples:\n  \
        wharf identity federation issuer list\n  \
        wharf identity federation issuer list --output json")]
    List(ListArgs),
    /// Ask an issuer for its configuration and keys, and tell what is wrong
    #[command(after_help = "Examples:\n  \
        wharf identity federation issuer test dex\n  \
        wharf identity federation issuer test dex --allow-internal 10.1.2.3")]
    Test(TestArgs),
    /// Trust an issuer no more, and remove its rules
    #[command(after_help = "Examples:\n  wharf identity federation issuer remove dex --yes\n\
        \n\
        Whatever anybody has got by it ends at once.")]
    Remove(RemoveIssuerArgs),
}

#[derive(Debug, Args)]
struct AddIssuerArgs {
    /// What to call it: letters, digits and hyphens
    name: String,
    /// Its issuer URL, exactly as its tokens have it in `iss`
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// What people read where they sign in
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Our client there, so that people can sign in by it
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Take the client's secret from standard input
    #[arg(long, requires = "client_id")]
    client_secret_stdin: bool,
    /// What to ask for beside openid; repeatable
    #[arg(long, value_name = "SCOPE", requires = "client_id")]
    scope: Vec<String>,
    /// Its keys (a JWK set), where the server cannot ask it for them
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Certificates of the authority that signed its own (PEM), where the machine does not trust it
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
struct TestArgs {
    /// The issuer's name
    name: String,
    /// Internal range that may be reached, as the server may; repeatable
    #[arg(long, value_name = "CIDR", env = "WHARF_ALLOW_INTERNAL", value_delimiter = ',')]
    allow_internal: Vec<Cidr>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
struct RemoveIssuerArgs {
    /// The issuer's name
    name: String,
    /// Remove it, without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct RuleArgs {
    #[command(subcommand)]
    command: RuleCommand,
}

#[derive(Debug, Subcommand)]
enum RuleCommand {
    /// Let tokens stand for a principal, or for the user that they name
    #[command(after_help = "Examples:\n  \
        wharf identity federation rule add --issuer github --audience api://wharf \
        --subject repo:contoso/app:ref:refs/heads/main --principal ci\n  \
        wharf identity federation rule add --issuer cluster --audience wharf \
        --subject system:serviceaccount:ci:* --principal ci\n  \
        wharf identity federation rule add --issuer dex --user-claim email --claim groups=developers\n  \
        wharf identity federation rule add --issuer dex --user-claim email --claim email=*@example.com --create-users\n\
        \n\
        In patterns, * stands for any characters and ? for one. A claim that is a list matches when one of its elements \
        does. A program signs in with `az login --service-principal --federated-token`.")]
    Add(AddRuleArgs),
    /// List all rules
    #[command(after_help = "Examples:\n  \
        wharf identity federation rule list\n  \
        wharf identity federation rule list --output json")]
    List(ListArgs),
    /// Remove a rule
    #[command(after_help = "Examples:\n  \
        wharf identity federation rule remove 7d0c5e36-8a53-4d7b-9a59-0f6b4ea5a111 --yes\n\
        \n\
        Whatever anybody has got by it ends at once.")]
    Remove(RemoveRuleArgs),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("stands_for").required(true))]
struct AddRuleArgs {
    /// The issuer's name
    #[arg(long, value_name = "NAME")]
    issuer: String,
    /// Whom the tokens must be for; our client at the issuer, if --user-claim is given and this is not
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    /// Pattern of the subject
    #[arg(long, value_name = "PATTERN")]
    subject: Option<String>,
    /// Pattern of another claim; repeatable
    #[arg(long, value_name = "NAME=PATTERN", value_parser = parse_claim)]
    claim: Vec<(String, String)>,
    /// Tokens stand for this application, managed identity or user
    #[arg(long, value_name = "WHO", group = "stands_for")]
    principal: Option<String>,
    /// Tokens stand for the user whose name (name@domain) is in this claim
    #[arg(long, value_name = "CLAIM", group = "stands_for")]
    user_claim: Option<String>,
    /// Create users that do not exist yet
    #[arg(long, requires = "user_claim")]
    create_users: bool,
    /// Let an account sign in as the user of its name, though the issuer did not create that user: only if nobody can
    /// choose or inherit a name there
    #[arg(long, requires = "user_claim")]
    trust_names: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct LinkArgs {
    /// The issuer's name
    #[arg(long, value_name = "NAME")]
    issuer: String,
    /// The account's subject, exactly as its tokens have it in `sub`
    #[arg(long, value_name = "SUBJECT")]
    subject: String,
    /// The user
    #[arg(long, value_name = "WHO")]
    user: String,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct UnlinkArgs {
    /// The issuer's name
    #[arg(long, value_name = "NAME")]
    issuer: String,
    /// The account's subject
    #[arg(long, value_name = "SUBJECT")]
    subject: String,
    /// Forget it, without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
struct RemoveRuleArgs {
    /// The rule's id
    id: Uuid,
    /// Remove it, without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    flags: Flags,
}

fn parse_claim(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("{text:?} is no condition; write it as groups=developers");
    let (claim, pattern) = text.split_once('=').ok_or_else(wrong)?;
    if claim.is_empty() { Err(wrong()) } else { Ok((claim.to_owned(), pattern.to_owned())) }
}

impl FederationCommand {
    pub(super) fn flags(&self) -> &Flags {
        match self {
            Self::Issuer(args) => match &args.command {
                IssuerCommand::Add(args) => &args.flags,
                IssuerCommand::List(args) => &args.flags,
                IssuerCommand::Test(args) => &args.flags,
                IssuerCommand::Remove(args) => &args.flags,
            },
            Self::Rule(args) => match &args.command {
                RuleCommand::Add(args) => &args.flags,
                RuleCommand::List(args) => &args.flags,
                RuleCommand::Remove(args) => &args.flags,
            },
            Self::Link(args) => &args.flags,
            Self::Unlink(args) => &args.flags,
        }
    }
}

pub(super) async fn run(command: &FederationCommand, app: &App) -> Result<(), anyhow::Error> {
    let output = command.flags().output.output;
    match command {
        FederationCommand::Issuer(args) => match &args.command {
            IssuerCommand::Add(args) => add_issuer(args, app, output).await,
            IssuerCommand::List(_) => {
                let issuers = app.identity.list_trusted_issuers().await.context("cannot list the issuers")?;
                print_issuers(&issuers, output)
            }
            IssuerCommand::Test(args) => {
                let egress = Egress::new(args.allow_internal.iter().map(|range| range.0));
                let egress = Some(&egress).filter(|_| !args.allow_internal.is_empty());
                let tested = app.identity.test_issuer(&args.name, egress).await;
                tested.with_context(|| format!("the issuer {} cannot be used", args.name))?;
                print(&format!("The issuer {} answers, and has keys.\n", args.name))
            }
            IssuerCommand::Remove(args) => {
                let name = &args.name;
                let what = format!("the issuer {name} with its rules");
                confirm(args.yes, &what, &format!("federation issuer remove {name}"))?;
                let removed = app.identity.remove_issuer(name).await;
                removed.with_context(|| format!("cannot remove the issuer {name}"))?;
                app.let_server_notice().await;
                print(&format!("The issuer {name} is trusted no more.\n"))
            }
        },
        FederationCommand::Rule(args) => match &args.command {
            RuleCommand::Add(args) => add_rule(args, app, output).await,
            RuleCommand::List(_) => {
                let rules = app.identity.list_federation_rules().await.context("cannot list the rules")?;
                print_rules(&rules, output)
            }
            RuleCommand::Remove(args) => {
                confirm(args.yes, "this rule", &format!("federation rule remove {}", args.id))?;
                let removed = app.identity.remove_rule(args.id).await;
                removed.with_context(|| format!("cannot remove the rule {}", args.id))?;
                app.let_server_notice().await;
                print("Removed the rule.\n")
            }
        },
        FederationCommand::Link(args) => {
            let user = find::member(app, &args.user).await?.id;
            let linked = app.identity.link_person(&args.issuer, &args.subject, user).await;
            linked.with_context(|| format!("cannot link the account {}", args.subject))?;
            app.let_server_notice().await;
            print(&format!("The account {} of {} is {} from now on.\n", args.subject, args.issuer, args.user))
        }
        FederationCommand::Unlink(args) => {
            let (issuer, subject) = (&args.issuer, &args.subject);
            let what = format!("what is known of the account {subject} of {issuer}");
            confirm(args.yes, &what, &format!("federation unlink --issuer {issuer} --subject {subject}"))?;
            let unlinked = app.identity.unlink_person(issuer, subject).await;
            unlinked.with_context(|| format!("cannot unlink the account {subject}"))?;
            app.let_server_notice().await;
            print(&format!("The account {subject} of {issuer} is nobody now.\n"))
        }
    }
}

async fn add_issuer(args: &AddIssuerArgs, app: &App, output: Output) -> Result<(), anyhow::Error> {
    let new = NewIssuer {
        name: args.name.clone(),
        issuer: args.issuer.clone(),
        display_name: args.display_name.clone(),
        client_id: args.client_id.clone(),
        client_secret: if args.client_secret_stdin { Some(read_secret()?) } else { None },
        scopes: args.scope.clone(),
        keys: args.keys.as_deref().map(read_file).transpose()?,
        authority: args.authority.as_deref().map(read_file).transpose()?,
    };
    let issuer = app.identity.add_issuer(new).await;
    let issuer = issuer.with_context(|| format!("cannot trust the issuer {}", args.issuer))?;
    app.let_server_notice().await;
    if output == Output::Json {
        return print_json(&ShownIssuer::from(&issuer));
    }
    let mut text = format!("The issuer {} is trusted.\n", issuer.name);
    if issuer.client_id.is_some() {
        text.push_str(&format!("Redirect URI: {}/login/external/callback\n", app.hosts.endpoints().login));
    }
    text.push_str(&format!(
        "Try it:       wharf identity federation issuer test {}\n\
         Let people or programs in:  wharf identity federation rule add --help\n",
        issuer.name
    ));
    print(&text)
}

async fn add_rule(args: &AddRuleArgs, app: &App, output: Output) -> Result<(), anyhow::Error> {
    let stands_for = match (&args.principal, &args.user_claim) {
        (Some(principal), _) => StandsFor::Principal(find::member(app, principal).await?.id),
        (None, Some(claim)) => {
            StandsFor::User { claim: claim.clone(), creates: args.create_users, trusts_names: args.trust_names }
        }
        (None, None) => anyhow::bail!("say for whom tokens stand, with --principal or --user-claim"),
    };
    let mut conditions: BTreeMap<String, String> = args.claim.iter().cloned().collect();
    conditions.extend(args.subject.iter().map(|pattern| ("sub".to_owned(), pattern.clone())));
    let new = NewRule { issuer: args.issuer.clone(), audience: args.audience.clone(), conditions, stands_for };
    let rule = app.identity.add_rule(new).await.context("cannot add the rule")?;
    app.let_server_notice().await;
    print_rules(&[rule], output)
}

fn read_file(path: &Path) -> Result<String, anyhow::Error> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownIssuer<'a> {
    name: &'a str,
    issuer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    has_keys: bool,
    created_at: String,
}

impl<'a> From<&'a Issuer> for ShownIssuer<'a> {
    fn from(issuer: &'a Issuer) -> Self {
        Self {
            name: &issuer.name,
            issuer: &issuer.issuer,
            display_name: issuer.display_name.as_deref(),
            client_id: issuer.client_id.as_deref(),
            has_keys: issuer.has_keys,
            created_at: issuer.created_at.to_string(),
        }
    }
}

fn print_issuers(issuers: &[Issuer], output: Output) -> Result<(), anyhow::Error> {
    if output == Output::Json {
        return print_json(&issuers.iter().map(ShownIssuer::from).collect::<Vec<_>>());
    }
    let cells = issuers.iter().map(|issuer| {
        let people = if issuer.client_id.is_some() { "yes" } else { "no" };
        vec![issuer.name.clone(), issuer.issuer.clone(), people.to_owned()]
    });
    print_table(&["NAME", "ISSUER", "PEOPLE SIGN IN"], cells)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRule<'a> {
    id: Uuid,
    issuer: &'a str,
    audience: &'a str,
    conditions: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_claim: Option<&'a str>,
    creates_users: bool,
    trusts_names: bool,
    created_at: String,
}

impl<'a> From<&'a Rule> for ShownRule<'a> {
    fn from(rule: &'a Rule) -> Self {
        let (principal_id, user_claim, creates_users, trusts_names) = match &rule.stands_for {
            StandsFor::Principal(id) => (Some(id.to_string()), None, false, false),
            StandsFor::User { claim, creates, trusts_names } => (None, Some(claim.as_str()), *creates, *trusts_names),
        };
        Self {
            id: rule.id,
            issuer: &rule.issuer,
            audience: &rule.audience,
            conditions: &rule.conditions,
            principal_id,
            user_claim,
            creates_users,
            trusts_names,
            created_at: rule.created_at.to_string(),
        }
    }
}

fn print_rules(rules: &[Rule], output: Output) -> Result<(), anyhow::Error> {
    if output == Output::Json {
        return print_json(&rules.iter().map(ShownRule::from).collect::<Vec<_>>());
    }
    let cells = rules.iter().map(|rule| {
        let conditions: Vec<String> =
            rule.conditions.iter().map(|(claim, pattern)| format!("{claim}={pattern}")).collect();
        let stands_for = match &rule.stands_for {
            StandsFor::Principal(id) => id.to_string(),
            StandsFor::User { claim, creates, trusts_names } => {
                let created = if *creates { ", created if need be" } else { "" };
                let trusted = if *trusts_names { ", by name" } else { "" };
                format!("the user in {claim}{created}{trusted}")
            }
        };
        vec![rule.id.to_string(), rule.issuer.clone(), rule.audience.clone(), conditions.join(" "), stands_for]
    });
    print_table(&["RULE", "ISSUER", "AUDIENCE", "CONDITIONS", "STANDS FOR"], cells)
}
