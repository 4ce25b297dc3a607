//! The simulated panel as a program, for other tools than our tests.

use clap::Parser;
use panel_sim::{Generation, Setup, Sim, reality};
use std::{io::Write as _, net::SocketAddr, process::ExitCode};

/// A 3x-ui panel made of memory.
#[derive(Parser)]
struct Arguments {
    /// 2 (as 2.9.4) or 3 (as 3.6.0).
    #[arg(long, value_parser = generation)]
    generation: Generation,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:2053")]
    listen: SocketAddr,
    /// The operator's name.
    #[arg(long, default_value = "admin")]
    username: String,
    /// The operator's password.
    #[arg(long, default_value = "admin")]
    password: String,
    /// The path below which the panel lives.
    #[arg(long, default_value = "/")]
    base_path: String,
    /// Have one inbound (VLESS over REALITY) on a public port that answers, so that the panel carries keys at once.
    #[arg(long)]
    inbound: bool,
}

fn generation(text: &str) -> Result<Generation, String> {
    match text {
        "2" => Ok(Generation::Two),
        "3" => Ok(Generation::Three),
        other => Err(format!("there is no generation {other}: 2 or 3")),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let setup = Setup {
        username: arguments.username,
        password: arguments.password,
        base_path: with_slashes(&arguments.base_path),
        ..Setup::default()
    };
    let sim = match Sim::start_at(arguments.generation, setup, arguments.listen).await {
        Ok(sim) => sim,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "cannot listen on {}: {error}", arguments.listen);
            return ExitCode::FAILURE;
        }
    };
    if arguments.inbound {
        match sim.open_port().await {
            Ok(port) => sim.add_inbound(&reality(port)),
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "cannot open a public port: {error}");
                return ExitCode::FAILURE;
            }
        };
    }
    let _ = writeln!(std::io::stdout(), "{}", sim.url());
    // Whoever started it ends it; there is nothing to save.
    let _ = tokio::signal::ctrl_c().await;
    ExitCode::SUCCESS
}

fn with_slashes(path: &str) -> String {
    let inner = path.trim_matches('/');
    if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") }
}
