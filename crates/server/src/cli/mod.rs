//! The command line. Each command works on the same database as a running server, which notices within a second.
//!
//! People read tables, programs ask for `--json`: then standard output holds exactly one document. Logs and errors go
//! to standard error. Exit codes: 0 done, 1 understood but not done, 2 wrong usage or settings.

mod alike;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod edit;
mod empty;
mod failure;
mod follow;
mod health;
mod jobs;
mod keys;
mod layers;
mod leaving;
mod migrate;
mod nodes;
mod plan;
mod print;
mod secrets;
mod serve;
mod tokens;

use crate::{app::App, config::Config, data, panels::Clock};
use alike::Alike;
use clap::{Parser, Subcommand};
use failure::Failure;
use follow::Told;
use print::Printed;
use rand::rngs::StdRng;
use serde_json::json;
use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// One control plane for a fleet of 3x-ui panels.
#[derive(Debug, Parser)]
#[command(name = "muster", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Settings file (YAML).
    #[arg(long, global = true, value_name = "FILE", env = "MUSTER_CONFIG")]
    config: Option<PathBuf>,
    /// Data folder: SQLite database and sealing key.
    #[arg(long, global = true, value_name = "DIR", env = "MUSTER_DATA", default_value = "muster-data")]
    data: PathBuf,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the program: the bot's API, /api/v1, and the loops that look after the panels.
    Serve(serve::Serve),
    /// See it work: five simulated panels, some hundred users, and a node that dies. Touches nothing of yours.
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// Install into the database, leave it again, or see how it stands.
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Nodes: the servers with their panels.
    #[command(subcommand)]
    Nodes(nodes::Nodes),
    /// Users' keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Bring the fleet to its weighted shares with the fewest moves.
    Rebalance(jobs::Rebalance),
    /// Moves that were asked for, or made necessary, together.
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// How the fleet is; with a node's name, how that node is, layer by layer.
    Health(health::Health),
    /// What was decided, and why; newest first.
    Events(health::Events),
    /// Bearer tokens for /api/v1.
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    /// Settings.
    #[command(subcommand)]
    Config(config::Settings),
}

/// What a command gets from outside besides its arguments.
pub struct Surroundings {
    /// Environment variables; those that begin with `MUSTER_` are settings.
    pub environment: Vec<(String, String)>,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub chance: StdRng,
}

impl Cli {
    /// Reads the arguments. Whoever asked for `--json` gets a document also when they make no sense.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        Self::try_parse_from(&arguments).map_err(|error| {
            if error.use_stderr() && arguments.iter().any(|argument| argument == "--json") {
                let words = error.to_string();
                let first = words.lines().next().unwrap_or_default();
                print::out(&format!("{:#}", json!({"error": first.trim_start_matches("error: ")})));
            }
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        })
    }
}

/// Runs one command to its end and says how it went.
pub fn run(cli: Cli, surroundings: Surroundings) -> ExitCode {
    let json = cli.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let words = format!("the runtime cannot be started: {error}");
            print::problem(&words, &json!({"error": words}), json);
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(execute(cli, surroundings)) {
        Ok(printed) => {
            print::result(&printed, json);
            if printed.good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            print::problem(&failure.in_words(), &failure.document(), json);
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn execute(cli: Cli, surroundings: Surroundings) -> Result<Printed, Failure> {
    if let Command::Config(config::Settings::Sample) = cli.command {
        return Ok(config::sample());
    }
    #[cfg(feature = "demo")]
    if let Command::Demo(demo) = &cli.command {
        // Without settings, database and log of its own.
        return demo.run(cli.json, surroundings).await;
    }
    let alike = Alike::of(&cli, &surroundings.environment);
    let told = Told::of(cli.json, &surroundings.environment);
    let config = Config::load(cli.config.as_deref(), surroundings.environment).map_err(Failure::Config)?;
    let mut desk = Desk { config, data: cli.data, alike, clock: surroundings.clock, chance: surroundings.chance };
    print::start_logs(&desk.config, matches!(cli.command, Command::Serve(_)));
    match cli.command {
        Command::Serve(serve) => serve.run(desk, cli.json).await,
        Command::Migrate(migrate) => migrate.run(&mut desk).await,
        Command::Nodes(nodes) => nodes.run(desk.open().await?, told).await,
        Command::Keys(keys) => keys.run(desk.open().await?, told).await,
        Command::Rebalance(rebalance) => rebalance.run(desk.open().await?, told).await,
        Command::Jobs(jobs) => jobs.run(desk.open().await?, told).await,
        Command::Health(health) => health.run(desk.open().await?).await,
        Command::Events(events) => events.run(desk.open().await?).await,
        Command::Tokens(tokens) => tokens.run(desk.open().await?).await,
        Command::Config(_) => Ok(config::checked(cli.config.as_deref())),
        // Run above.
        #[cfg(feature = "demo")]
        Command::Demo(_) => Ok(Printed::good("", serde_json::Value::Null)),
    }
}

/// What commands start from.
struct Desk {
    config: Config,
    data: PathBuf,
    alike: Alike,
    clock: Clock,
    chance: StdRng,
}

impl Desk {
    /// Opens the database and puts the parts together.
    async fn open(mut self) -> Result<App, Failure> {
        let store = data::open(&self.config, &self.data, &mut self.chance).await?;
        Ok(App::new(self.config, store, self.chance, self.clock))
    }
}

/// Who asks, as far as a job's list is concerned.
const ASKED_BY: &str = "command line";
/// How long the loops of a command may take to end.
const LAST_PASSES: Duration = Duration::from_secs(5);

/// Does `work` while the loops run: in the server if there is one, else here.
async fn with_loops<T>(app: &App, work: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let loops = tokio::spawn(app.loops().run(stop.child_token()));
    let done = work.await;
    stop.cancel();
    if timeout(LAST_PASSES, loops).await.is_err() {
        tracing::warn!("a panel was still being spoken to");
    }
    done
}
