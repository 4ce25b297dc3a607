//! `muster`: reads the command line, runs one command, and says with its exit code how that went.

use muster::cli::{Cli, Surroundings, run};
use rand::SeedableRng as _;
use std::{process::ExitCode, sync::Arc};

/// Hundreds of panels are a great many small answers: see `docs/performance.md`, "Watching".
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where clock and chance come from; below they are arguments"
)]
fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let surroundings = Surroundings {
        environment: std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect(),
        clock: Arc::new(chrono::Utc::now),
        chance: rand::rngs::StdRng::from_os_rng(),
    };
    run(cli, surroundings)
}
