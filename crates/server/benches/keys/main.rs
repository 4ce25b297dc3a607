//! How fast keys are had, and what a hundred thousand of them cost. `cargo bench -p muster --bench keys`.
//!
//! The program runs in a process of its own; panels and load generator share this one, on the same two cores.
//! Prints a table; `docs/performance.md` says what it printed and where.

#![expect(clippy::print_stdout, reason = "the figures are the point")]
#![expect(
    dead_code,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures; each benchmark uses its own part"
)]

#[path = "../parts/load.rs"]
mod load;
#[path = "../parts/program.rs"]
mod program;

use panel_sim::Generation;
use program::{Program, join, panel, real_pace};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Clients per second that the panel's own bulk call reaches, `count` of them in one call.
async fn own_bulk_rate(generation: Generation, count: usize) -> f64 {
    let sim = panel(generation).await;
    sim.set_pace(real_pace(generation));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder().tls_certs_only([]).build().expect("a client");
    let client = |n: usize| {
        json!({"id": format!("00000000-0000-4000-8000-{n:012x}"), "email": format!("bulk-{n}"), "enable": true,
               "subId": format!("bulk-{n}"), "limitIp": 0, "totalGB": 0, "expiryTime": 0, "flow": "", "tgId": 0})
    };
    let clients: Vec<Value> = (0..count).map(client).collect();
    let call = if let Some(token) = sim.create_token("bulk") {
        let items: Vec<Value> = clients.iter().map(|c| json!({"client": c, "inboundIds": [1]})).collect();
        http.post(format!("{}panel/api/clients/bulkCreate", sim.url())).bearer_auth(token).json(&items)
    } else {
        let login = http.post(format!("{}login", sim.url())).form(&[("username", "admin"), ("password", "admin")]);
        let login = login.send().await.expect("an answer");
        let cookie =
            login.headers()["set-cookie"].to_str().expect("text").split(';').next().unwrap_or_default().to_owned();
        let body = json!({"id": 1, "settings": json!({"clients": clients}).to_string()});
        http.post(format!("{}panel/api/inbounds/addClient", sim.url())).header("cookie", cookie).json(&body)
    };
    let began = Instant::now();
    let answer = call.send().await.expect("an answer").text().await.expect("a body");
    assert!(answer.contains("\"success\":true"), "{answer}");
    assert_eq!(sim.clients(1).len(), count);
    count as f64 / began.elapsed().as_secs_f64()
}

async fn new_keys(generation: Generation) {
    const NEW: u64 = 1000;
    let own = own_bulk_rate(generation, NEW as usize).await;
    let folder = tempfile::tempdir().expect("a folder");
    let sim = panel(generation).await;
    join(folder.path(), "one", &sim).await;
    let program = Program::start(folder.path());
    tokio::time::sleep(Duration::from_secs(1)).await;
    sim.set_pace(real_pace(generation));
    let figures = load::run(program.address, 500, NEW, NEW).await;
    assert_eq!((figures.failures, sim.clients(1).len()), (0, NEW as usize));
    println!(
        "new keys, {generation:?}: {NEW} by 500 callers: {:.0}/s = {:.0} % of the panel's own bulk call ({own:.0}/s); p50 {:.0?}, p99 {:.0?}",
        figures.per_second(),
        figures.per_second() / own * 100.0,
        figures.percentile(0.5),
        figures.percentile(0.99),
    );
}

async fn found_keys() {
    const USERS: u64 = 10_000;
    let folder = tempfile::tempdir().expect("a folder");
    let sims = [panel(Generation::Two).await, panel(Generation::Three).await];
    for (sim, name) in sims.iter().zip(["two", "three"]) {
        join(folder.path(), name, sim).await;
    }
    let program = Program::start(folder.path());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let made = load::run(program.address, 500, USERS, USERS).await;
    assert_eq!(made.failures, 0);
    for connections in [16, 32, 64] {
        let figures = load::run(program.address, connections, 50_000, USERS).await;
        assert_eq!(figures.failures, 0);
        println!(
            "keys found, {connections} callers: {:.0}/s, p50 {:.1?}, p99 {:.1?}",
            figures.per_second(),
            figures.percentile(0.5),
            figures.percentile(0.99)
        );
    }
}

async fn memory() {
    const KEYS: u64 = 100_000;
    let folder = tempfile::tempdir().expect("a folder");
    let sims = [panel(Generation::Two).await, panel(Generation::Three).await];
    for (sim, name) in sims.iter().zip(["two", "three"]) {
        join(folder.path(), name, sim).await;
    }
    let program = Program::start(folder.path());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let empty = program.memory();
    let made = load::run(program.address, 500, KEYS, KEYS).await;
    assert_eq!(made.failures, 0);
    let full = program.memory();
    println!("{KEYS} keys issued one request each: {:.0}/s", made.per_second());
    drop(program);
    let program = Program::start(folder.path());
    let mut highest = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        highest = highest.max(program.memory());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "memory: {:.0} MiB empty, {:.0} MiB after {KEYS} keys, {:.0} MiB at most in the full passes after a restart, {:.0} MiB at rest",
        mib(empty),
        mib(full),
        mib(highest),
        mib(program.memory())
    );
}

#[tokio::main]
async fn main() {
    // `cargo bench` passes --bench; any other word names the measurements to run.
    let named: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let runs = |name: &str| named.is_empty() || named.iter().any(|n| n == name);
    if runs("found") {
        found_keys().await;
    }
    if runs("new") {
        new_keys(Generation::Two).await;
        new_keys(Generation::Three).await;
    }
    if runs("memory") {
        memory().await;
    }
}
