//! `muster`: reads the command line, runs one command, and says with its exit code how that went.

use clap::Parser as _;
use muster::cli::{Cli, Surroundings, run};
use rand::SeedableRng as _;
use std::{process::ExitCode, sync::Arc};

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where clock and chance come from; below they are arguments"
)]
fn main() -> ExitCode {
    let cli = Cli::parse();
    let surroundings = Surroundings {
        environment: std::env::vars().collect(),
        clock: Arc::new(chrono::Utc::now),
        chance: rand::rngs::StdRng::from_os_rng(),
    };
    run(cli, surroundings)
}
