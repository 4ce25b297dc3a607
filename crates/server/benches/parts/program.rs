//! The program in a process of its own, and panels in this one.

use panel_sim::{Generation, Pace, Setup, Sim, reality};
use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How real panels of 2.9.4 and 3.6.0 were measured to behave (`docs/performance.md`, "The speed of real panels").
pub(crate) fn real_pace(generation: Generation) -> Pace {
    match generation {
        Generation::Two => {
            Pace { call: Duration::from_millis(6), client: Duration::from_micros(170), held: Duration::from_micros(10) }
        }
        Generation::Three => {
            Pace { call: Duration::from_millis(8), client: Duration::from_micros(600), held: Duration::from_micros(25) }
        }
    }
}

/// `muster serve`, until it is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    pub(crate) fn start(data: &Path) -> Self {
        let mut command = muster(data);
        let child = command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the program");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit('/').next().and_then(|a| a.parse().ok()).expect("an address");
        Self { child, address }
    }

    /// Resident memory, bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// Time spent on a core so far; the kernel counts in hundredths of a second.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux");
        let after_name = stat.rsplit(')').next().expect("a name");
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with its own data folder and little to say.
pub(crate) fn muster(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.env("MUSTER_LOG__LEVEL", "error").arg("--data").arg(data);
    command
}

/// Makes a panel a node by the command line.
pub(crate) async fn join(data: &Path, name: &str, sim: &Sim) {
    let mut add = muster(data);
    add.args(["nodes", "add", "--name", name, "--url", &sim.url(), "--allow-http", "--max-users", "1000000"]);
    match sim.create_token("bench") {
        Some(token) => add.args(["--token", &token]),
        None => add.args(["--username", "admin", "--password", "admin"]),
    };
    let output = tokio::task::spawn_blocking(move || add.output().expect("the program")).await.expect("a thread");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A panel with one inbound on a public port that answers.
pub(crate) async fn panel(generation: Generation) -> Sim {
    let sim = Sim::start(generation, Setup::default()).await.expect("a port");
    let port = sim.open_port().await.expect("a port");
    sim.add_inbound(&reality(port));
    sim
}
