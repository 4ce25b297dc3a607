//! What watching a thousand nodes costs. `cargo bench -p muster --bench watching`.
//!
//! The program runs in a process of its own, with default settings; the nodes live in this one. One node's link is
//! cut: it must delay nobody.

#![expect(clippy::print_stdout, reason = "the figures are the point")]
#![expect(dead_code, clippy::cast_precision_loss, reason = "figures")]

#[path = "../parts/program.rs"]
mod program;

use panel_sim::{Fault, Generation};
use program::{Program, muster, panel};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};
use tokio::time::sleep;

const NODES: usize = 1000;
/// How long is measured: two rounds of full checks.
const MEASURED: Duration = Duration::from_mins(1);
/// Full and light checks of one node in that time.
const CHECKS: f64 = 2.0 + 20.0;

/// What the kernel takes of a core for the connections of the light checks alone, two for each node every 3 s, opened
/// and closed by a thread that does nothing else.
fn bare_connections(addresses: &[SocketAddr]) -> f64 {
    let (before, began) = (thread_time(), Instant::now());
    let pause = Duration::from_secs(3) / u32::try_from(2 * NODES).expect("few nodes");
    for n in 0..2 * NODES * 4 {
        let address = addresses[n % addresses.len()];
        // One node swallows packets; it is not what is measured.
        let _ = TcpStream::connect_timeout(&address, Duration::from_millis(10));
        std::thread::sleep((pause * u32::try_from(n).expect("few nodes")).saturating_sub(began.elapsed()));
    }
    thread_time().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0
}

/// Bytes that went over the loopback interface, headers included: run this alone, or in a namespace of its own.
fn loopback_bytes() -> u64 {
    let devices = std::fs::read_to_string("/proc/net/dev").expect("Linux");
    let line = devices.lines().find_map(|line| line.trim().strip_prefix("lo:")).expect("a loopback interface");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(stat.split_whitespace().next().and_then(|ns| ns.parse().ok()).expect("a number"))
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder().tls_certs_only([]).build().expect("a client");
    let folder = tempfile::tempdir().expect("a folder");
    let mut create = muster(folder.path());
    create.args(["tokens", "create", "--name", "bench", "--scope", "admin", "--json"]);
    let output = tokio::task::spawn_blocking(move || create.output().expect("the program")).await.expect("a thread");
    let token: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let token = token["token"].as_str().expect("a token").to_owned();
    let program = Program::start(folder.path());
    let url = format!("http://{}/api/v1", program.address);
    sleep(Duration::from_secs(1)).await;
    let empty = program.memory();
    let mut sims = Vec::new();
    for n in 0..NODES {
        let sim = panel(if n % 2 == 0 { Generation::Two } else { Generation::Three }).await;
        let mut node = json!({"name": format!("node-{n}"), "url": sim.url(), "allow_http": true});
        if let Some(token) = sim.create_token("bench") {
            node["token"] = json!(token);
        } else {
            (node["username"], node["password"]) = (json!("admin"), json!("admin"));
        }
        let answer = http.post(format!("{url}/nodes")).bearer_auth(&token).json(&node).send().await.expect("an answer");
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap_or_default());
        sims.push(sim);
    }
    sims[7].inject(Fault::Cut);
    sleep(Duration::from_secs(45)).await;
    let (before, bytes, began) = (program.cpu(), loopback_bytes(), Instant::now());
    sleep(MEASURED).await;
    let share = program.cpu().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let each = (loopback_bytes() - bytes) as f64 / NODES as f64 / CHECKS;
    let memory = program.memory();
    let nodes: Value = http
        .get(format!("{url}/nodes"))
        .bearer_auth(&token)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let nodes = nodes["nodes"].as_array().expect("a list");
    let states = |state: &str| nodes.iter().filter(|n| n["health"]["name"] == state).count();
    let addresses: Vec<_> = sims.iter().map(panel_sim::Sim::address).collect();
    let bare = std::thread::spawn(move || bare_connections(&addresses)).join().expect("a thread");
    println!(
        "watching {NODES} nodes: {share:.1} % of one core ({bare:.1} % for opening as many connections and nothing else); \
         {:.1} MB in all, {:.1} KiB a node; {each:.0} bytes a node and check; {} up, {} down, {} other",
        memory as f64 / 1e6,
        (memory - empty) as f64 / 1024.0 / NODES as f64,
        states("up"),
        states("down"),
        NODES - states("up") - states("down")
    );
}
