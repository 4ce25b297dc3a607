//! `muster demo`.
//!
//! With `--json` it prints one JSON object a line for every change (see [`Change`](crate::demo::change::Change)),
//! instead of one document at the end.

use super::{
    Failure, Surroundings,
    print::{self, Printed},
};
use crate::demo::{
    self, DemoError, Ended, Options,
    control::{self, ControlError},
    fleet::Action,
    show::Show,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
};

/// The most users that still find room when the largest node is dead.
const MOST_USERS: u64 = 500;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Demo {
    #[command(subcommand)]
    order: Option<Order>,
    /// End when the story is over: exit code 0 if it came true, 1 if not.
    #[arg(long)]
    once: bool,
    /// How many simulated users.
    #[arg(long, value_name = "N", default_value_t = 240, value_parser = clap::value_parser!(u64).range(10..=MOST_USERS))]
    users: u64,
    /// Where the demo's API listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// What to do to a node of the demo that runs in another terminal.
#[derive(Debug, Subcommand)]
enum Order {
    /// Its server dies: connections are refused.
    Kill(Node),
    /// Its link goes dark: packets are swallowed.
    Cut(Node),
    /// Its panel answers too late; users are served.
    Slow(Node),
    /// It is as it was.
    Revive(Node),
}

#[derive(Debug, Args)]
struct Node {
    /// The node's name, as the demo shows it.
    node: String,
}

impl Demo {
    pub(super) async fn run(&self, json: bool, surroundings: Surroundings) -> Result<Printed, Failure> {
        if let Some(order) = &self.order {
            let (action, node) = order.parts();
            let done = control::send(action, node).await?;
            return Ok(Printed::good(done, json!({"node": node, "done": action.done()})));
        }
        let options =
            Options { users: usize::try_from(self.users).unwrap_or(usize::MAX), once: self.once, listen: self.listen };
        let show = show(json, &surroundings.environment);
        let is_on_screen = show.is_on_screen();
        if !is_on_screen {
            print::start_logs(&demo::settings::settings(), true);
        }
        match demo::run(&options, surroundings.clock, surroundings.chance, show).await? {
            Ended::Stopped(summary) | Ended::Told(summary) if is_on_screen => Ok(Printed::good(summary, Value::Null)),
            // What happened was told as it happened.
            Ended::Stopped(_) | Ended::Told(_) => Ok(Printed::good("", Value::Null)),
            Ended::Failed(_) if json => Ok(Printed { text: String::new(), document: Value::Null, good: false }),
            Ended::Failed(why) => Err(Failure::Refused(format!("the story did not come true: {why}"))),
        }
    }
}

impl Order {
    fn parts(&self) -> (Action, &str) {
        match self {
            Self::Kill(on) => (Action::Kill, &on.node),
            Self::Cut(on) => (Action::Cut, &on.node),
            Self::Slow(on) => (Action::Slow, &on.node),
            Self::Revive(on) => (Action::Revive, &on.node),
        }
    }
}

fn show(json: bool, environment: &[(String, String)]) -> Show {
    let variable = |name: &str| environment.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str());
    let out = Box::new(io::stdout());
    if json {
        Show::in_json(out)
    } else if io::stdout().is_terminal() && variable("TERM").is_some_and(|term| term != "dumb") {
        Show::on_screen(out, variable("NO_COLOR").is_none())
    } else {
        Show::in_lines(out)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::Start(error) => error.into(),
            DemoError::Look(error) => error.into(),
            DemoError::Issue(error) => error.into(),
            DemoError::Store(error) => error.into(),
            DemoError::Io { what, source } => Self::Io { what, source },
            DemoError::NotUp(_) => Self::Refused(error.to_string()),
        }
    }
}
