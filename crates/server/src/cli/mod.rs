//! The command line. `wharf --help` is the table of contents; each command has examples.
//!
//! Exit codes: 0 done; 1 it failed, or `verify` found something wrong; 2 the command line or the configuration is wrong.

mod backup;
mod connect;
mod gc;
mod identity;
mod import;
mod job;
mod output;
mod purge;
mod registry;
mod repository;
mod restore;
mod secret;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use wharf_model::{Clock, SystemClock};

use self::output::{Output, print_table};
use crate::app::App;
use crate::config::{CommonFlags, Config, ServeFlags};
use crate::{log, serve};

/// A container registry that you run yourself and that speaks Azure Container Registry.
#[derive(Debug, Parser)]
#[command(
    name = "wharf",
    version,
    max_term_width = 120,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Start:    wharf serve\n\
                  Sign in:  wharf connect docker\n\
                  \n\
                  Every command has examples: wharf registry --help"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    #[command(after_help = "Examples:\n  \
        wharf serve\n  \
        wharf serve --data /srv/wharf --http 0.0.0.0:80 --https 0.0.0.0:443 --domain registry.example.com\n  \
        wharf serve --tls-cert fullchain.pem --tls-key key.pem\n  \
        WHARF_ADMIN_PASSWORD=first-password wharf serve --data \"$(mktemp -d)\"\n\
        \n\
        Every flag is also a variable (WHARF_…) and a key in wharf.toml; a flag goes before a variable, a variable \
        before the file. `wharf config` shows what is in force.\n\
        \n\
        WHARF_ADMIN_PASSWORD and WHARF_OWNER_SECRET preset the first admin password and the owner's secret; with \
        _FILE behind the name, they name a file that holds it. They count on the first start only.")]
    Serve(ServeArgs),
    /// Print the lines that connect a tool to the server
    #[command(after_help = "Examples:\n  \
        wharf connect docker\n  \
        wharf connect helm --registry contoso\n  \
        wharf connect az\n  \
        wharf connect kubernetes --registry contoso\n  \
        wharf connect hosts | sudo tee -a /etc/hosts\n  \
        wharf connect oras --scheme http | sh")]
    Connect(connect::ConnectArgs),
    /// Create, list, show, change and delete registries, and their credentials
    #[command(after_help = "Examples:\n  \
        wharf registry create contoso --sku Standard\n  \
        wharf registry list --output json\n  \
        wharf registry update contoso --admin on --anonymous-pull off\n  \
        wharf registry credentials regenerate contoso --which password2\n  \
        wharf registry delete contoso --yes")]
    Registry(registry::RegistryArgs),
    /// List and show repositories, tags and manifests, with bytes and pulls
    #[command(after_help = "Examples:\n  \
        wharf repository list --sort size\n  \
        wharf repository show team/app --registry contoso\n  \
        wharf repository tags team/app --sort pulled\n  \
        wharf repository manifests team/app --sort size --output json")]
    Repository(repository::RepositoryArgs),
    /// Create, list, show, change and delete users, groups and applications, and what they sign in with
    #[command(after_help = "Examples:\n  \
        wharf identity user create anna@example.com\n  \
        wharf identity group add developers anna@example.com\n  \
        wharf identity app create ci\n  \
        wharf identity app secret create ci --days 90")]
    Identity(identity::IdentityArgs),
    /// Copy an artifact of another registry, with all platforms and whatever refers to it
    #[command(after_help = "Examples:\n  \
        wharf import docker.io/library/alpine:3.20\n  \
        wharf import localhost:5001/team/app:v1 --target app:v1 --target app:latest --force\n  \
        wharf import registry.example.com/app:v1 --username robot --password-stdin < password.txt\n  \
        wharf import team/app:v1 --from contoso --registry fabrikam\n\
        \n\
        Beside a server, the server does it, and may reach what its --allow-internal says. Ctrl-C calls it off.")]
    Import(import::ImportArgs),
    /// List, show and call off jobs: imports, purges and other work that takes a while
    #[command(after_help = "Examples:\n  \
        wharf job list --state running\n  \
        wharf job show 0d6f1a34-9d0c-4f6e-8f53-0a4a3c1f4a52\n  \
        wharf job cancel 0d6f1a34-9d0c-4f6e-8f53-0a4a3c1f4a52")]
    Job(job::JobArgs),
    /// Store, list, show and delete the secrets that credential sets name
    #[command(after_help = "Examples:\n  \
        wharf secret set hub-user --file user.txt\n  \
        wharf secret set hub-password --file token.txt --login-server docker.io\n  \
        wharf secret list")]
    Secret(secret::SecretArgs),
    /// Remove what nothing needs any more
    #[command(after_help = "Examples:\n  \
        wharf gc --dry-run\n  \
        wharf gc --output json\n\
        \n\
        May run beside the server, which also collects by itself ([gc] interval_seconds).")]
    Gc(gc::GcArgs),
    /// Remove old tags and manifests from a registry
    #[command(after_help = "Examples:\n  \
        wharf purge --filter \"team/app:^ci-\" --ago 30d --dry-run\n  \
        wharf purge --registry contoso --filter \".*:.*\" --ago 7d --keep 3 --untagged\n  \
        wharf purge --filter \"web|api:^pr-\\d+$\" --ago 2d3h6m --include-locked\n  \
        wharf purge --filter \".*:.*\" --last-pulled 90d --untagged\n  \
        wharf purge --untagged-only --ago 1d --output json\n\
        \n\
        The flags and the output are those of `acr purge`, and --last-pulled, --type and --output are ours. May run \
        beside the server. May be cut off and run again. Where soft delete is on, what is removed can be restored. \
        Exits with 1 when it cannot be done, with 2 when filters or flags are wrong.")]
    Purge(purge::PurgeArgs),
    /// Check every row against the bytes it stands for
    #[command(after_help = "Examples:\n  \
        wharf verify\n  \
        wharf verify --output json > report.json\n\
        \n\
        May run beside the server. Exits with 1 when something is wrong.")]
    Verify(verify::VerifyArgs),
    /// Copy everything to a directory or a tar file, also while the server runs
    #[command(after_help = "Examples:\n  \
        wharf backup /backups/wharf-2026-11-21\n  \
        wharf backup /backups/wharf-2026-11-21.tar\n\
        \n\
        The copy holds every secret of the installation: keep it as you keep those.")]
    Backup(backup::BackupArgs),
    /// Bring a copy back into an empty data directory
    #[command(after_help = "Examples:\n  \
        wharf restore /backups/wharf-2026-11-21.tar --data /srv/wharf\n  \
        wharf restore /backups/wharf-2026-11-21 --data /srv/wharf && wharf verify --data /srv/wharf")]
    Restore(restore::RestoreArgs),
    /// Print the configuration in force, and where each value comes from
    #[command(after_help = "Examples:\n  \
        wharf config\n  \
        WHARF_HTTP=0.0.0.0:80 wharf config --output json")]
    Config(ConfigArgs),
    /// Print the version
    #[command(after_help = "Examples:\n  wharf version\n  wharf version --output json")]
    Version(VersionArgs),
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Debug, clap::Args)]
struct ConfigArgs {
    #[command(flatten)]
    output: output::OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Debug, clap::Args)]
struct VersionArgs {
    #[command(flatten)]
    output: output::OutputFlag,
}

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        // Help and version are no errors; clap knows which stream and code each deserves.
        Err(answer) => answer.exit(),
    };
    match run(&matches) {
        Ok(code) => code,
        Err(Failed::Usage(error)) => {
            complain(&error);
            ExitCode::from(2)
        }
        Err(Failed::Work(error)) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Why a command came to nothing.
enum Failed {
    /// What was asked for, or how it is configured, is wrong.
    Usage(anyhow::Error),
    /// It was right, but did not work.
    Work(anyhow::Error),
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Work(error)
    }
}

fn run(matches: &ArgMatches) -> Result<ExitCode, Failed> {
    let cli = Cli::from_arg_matches(matches).map_err(|error| Failed::Usage(error.into()))?;
    let (_, inner) = matches.subcommand().context("a command is needed").map_err(Failed::Usage)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let load = |common: &CommonFlags| Config::load(common, None, inner).map_err(Failed::Usage);
    match cli.command {
        Command::Serve(args) => {
            let config = Config::load(&args.common, Some(&args.serve), inner).map_err(Failed::Usage)?;
            let access = log::start(&config, clock.clone()).map_err(Failed::Usage)?;
            serve::serve(&config, clock, access)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(args) => {
            let config = Config::load(&args.common, Some(&args.serve), inner).map_err(Failed::Usage)?;
            let entries = config.entries();
            match args.output.output {
                Output::Json => output::print_json(&entries)?,
                Output::Table => {
                    print_table(&["KEY", "VALUE", "FROM"], entries.iter().map(crate::config::Entry::cells))?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Version(args) => {
            let version = env!("CARGO_PKG_VERSION");
            match args.output.output {
                Output::Json => output::print_json(&serde_json::json!({ "version": version }))?,
                Output::Table => output::print(&format!("wharf {version}\n"))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Connect(args) => {
            let config = load(&args.common)?;
            with_app(&config, clock, async |app| connect::run(&args, &config, &app).await)
        }
        Command::Registry(args) => {
            let config = load(args.command.common())?;
            with_app(&config, clock, async |app| registry::run(&args.command, &app).await)
        }
        Command::Repository(args) => {
            let config = load(args.command.common())?;
            with_app(&config, clock, async |app| repository::run(&args.command, &app).await)
        }
        Command::Identity(args) => {
            let config = load(args.command.common())?;
            with_app(&config, clock, async |app| identity::run(&args.command, &app).await)
        }
        Command::Import(args) => {
            let config = load(&args.common)?;
            let imported = config.clone();
            with_app(&config, clock, async |app| import::run(&args, imported, &app).await)
        }
        Command::Job(args) => {
            let config = load(args.command.common())?;
            with_app(&config, clock, async |app| job::run(&args.command, &app).await)
        }
        Command::Secret(args) => {
            let config = load(args.command.common())?;
            with_app(&config, clock, async |app| secret::run(&args.command, &app).await)
        }
        Command::Gc(args) => {
            let config = load(&args.common)?;
            with_app(&config, clock, async |app| gc::run(&args, &app).await)
        }
        Command::Purge(args) => {
            let spec = args.spec().map_err(Failed::Usage)?;
            let config = load(&args.common)?;
            with_app(&config, clock, async |app| purge::run(&args, &spec, &app).await)
        }
        Command::Verify(args) => {
            let config = load(&args.common)?;
            with_app(&config, clock, async |app| verify::run(&args, &app).await)
        }
        Command::Backup(args) => {
            let config = load(&args.common)?;
            with_app(&config, clock, async |app| backup::run(&args, &app).await)
        }
        Command::Restore(args) => {
            let config = load(&args.common)?;
            log::start_for_command(clock.clone());
            command_runtime()?.block_on(restore::run(&args, &config))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a command on the stores that the configuration names.
fn with_app(
    config: &Config,
    clock: Arc<dyn Clock>,
    command: impl AsyncFnOnce(Arc<App>) -> Result<ExitCode, anyhow::Error>,
) -> Result<ExitCode, Failed> {
    log::start_for_command(clock.clone());
    let runtime = command_runtime()?;
    let done = runtime.block_on(async {
        let app = Arc::new(App::open_existing(config, clock).await?);
        let done = command(app.clone()).await;
        app.database.close().await;
        done
    })?;
    Ok(done)
}

fn command_runtime() -> Result<tokio::runtime::Runtime, anyhow::Error> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start threads")
}

/// Tells what happened, and below it, why.
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        // Parsers answer with several lines, which are to stay together.
        eprintln!("  because: {}", cause.to_string().trim_end().replace('\n', "\n           "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        fn check(command: &clap::Command, path: &str) {
            for command in command.get_subcommands() {
                let path = format!("{path} {}", command.get_name());
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{path} has no examples");
                assert!(command.get_about().is_some(), "{path} says not what it does");
                for line in help.lines().filter(|line| line.trim_start().starts_with("wharf ")) {
                    check_example(line.trim());
                }
                check(command, &path);
            }
        }

        /// An example must be understood, or it misleads.
        fn check_example(line: &str) {
            let simple = line.split(['|', '<', '>', '&']).next().unwrap_or_default();
            // Every second piece stands between quotes.
            let words = simple.split('"').enumerate().flat_map(|(position, piece)| match position % 2 {
                0 => piece.split_whitespace().collect(),
                _ => vec![piece],
            });
            let parsed = Cli::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }

        check(&Cli::command(), "wharf");
    }
}
