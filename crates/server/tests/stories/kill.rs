//! `kill -9` at random moments: whatever key was shown to anybody stays, on exactly one panel.

use crate::world::{bot, client, is_ours, reality};
use futures::stream::{self, StreamExt as _};
use panel_sim::{Generation, Setup, Sim};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Client, Method};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};
use store::testing::TestDatabase;
use tokio::time::{Instant, sleep, timeout};

const USERS: i64 = 500;
const KILLS: u32 = 50;

/// The program itself, in a process of its own.
struct Program {
    child: Child,
    url: String,
}

fn muster(db: &TestDatabase) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command
        .env("MUSTER_DATABASE__URL", &db.url)
        .env("MUSTER_SECRETS__KEY", "07".repeat(32))
        .env("MUSTER_SYNC__RETRY_INTERVAL", "100ms")
        .env("MUSTER_SYNC__POLL", "50ms")
        .env("MUSTER_LOG__LEVEL", "error")
        // Ours: to the program it would be an unknown setting.
        .env_remove("MUSTER_SEED")
        .args(["--data", db.folder().to_str().unwrap()]);
    command
}

impl Program {
    fn start(db: &TestDatabase) -> Self {
        let mut child = muster(db).args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://"), "{line}");
        Self { child, url }
    }

    /// SIGKILL: nothing is finished, nothing is said.
    fn kill(self) {
        drop(self);
    }
}

impl Drop for Program {
    /// Also when a test fails: what it started would keep its output open, and whoever reads it waiting.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn join(db: &TestDatabase, name: &str, generation: Generation) -> Sim {
    let sim = Sim::start(generation, Setup::default()).await.unwrap();
    sim.add_inbound(&reality(sim.open_port().await.unwrap()));
    let mut add = muster(db);
    add.args(["nodes", "add", "--name", name, "--url", &sim.url(), "--allow-http", "--max-users", "400"]);
    match sim.create_token("muster") {
        Some(token) => add.args(["--token", &token]),
        None => add.args(["--username", "admin", "--password", "admin"]),
    };
    // The command waits for the panel, which lives on this runtime.
    let output = tokio::task::spawn_blocking(move || add.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sim
}

/// Asks for the keys of these users, many at a time, and notes every link that was shown. Callers whose connection
/// breaks give up, as the bot does.
async fn ask(http: &Client, url: &str, users: Vec<i64>, shown: &Mutex<BTreeMap<i64, BTreeSet<String>>>) {
    let calls = stream::iter(users).map(|id| async move {
        let body = json!({"telegram_id": id, "user_data": {"first_name": "Ann"}});
        let call = http.post(format!("{url}/api/v1/integration/full-cycle")).json(&body).send();
        let Ok(Ok(answer)) = timeout(Duration::from_secs(20), call).await else { return };
        let Ok(answer) = answer.json::<serde_json::Value>().await else { return };
        if let Some(link) = answer["final_data"]["vpn_key"]["vless_url"].as_str() {
            shown.lock().unwrap().entry(id).or_default().insert(link.to_owned());
        }
    });
    calls.buffer_unordered(16).collect::<Vec<()>>().await;
}

async fn kill_at_random(db: TestDatabase, seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    db.store().await.close().await;
    let sims = [join(&db, "two", Generation::Two).await, join(&db, "three", Generation::Three).await];
    let http = client();
    let shown = Mutex::new(BTreeMap::new());
    for _ in 0..KILLS {
        let program = Program::start(&db);
        let missing: Vec<i64> = (1..=USERS).filter(|id| !shown.lock().unwrap().contains_key(id)).collect();
        // Somebody who has a key asks again now and then; a restart must not give him another.
        let again = (0..10).map(|_| chance.random_range(1..=USERS));
        let users = again.chain(missing).collect();
        let moment = Duration::from_millis(chance.random_range(1..250));
        let _ = timeout(moment, ask(&http, &program.url, users, &shown)).await;
        program.kill();
    }
    let program = Program::start(&db);
    ask(&http, &program.url, (1..=USERS).collect(), &shown).await;
    let shown = shown.into_inner().unwrap();
    assert_eq!(shown.len(), usize::try_from(USERS).unwrap(), "everybody has a key in the end");
    let deadline = Instant::now() + Duration::from_secs(40);
    let held = loop {
        let held: Vec<Vec<String>> = sims
            .iter()
            .map(|sim| sim.clients(1).into_iter().filter(|c| is_ours(&c.email)).map(|c| c.credential).collect())
            .collect();
        if held.iter().map(Vec::len).sum::<usize>() == shown.len() || Instant::now() > deadline {
            break held;
        }
        sleep(Duration::from_millis(50)).await;
    };
    for (user, links) in &shown {
        assert_eq!(links.len(), 1, "user {user} was shown several keys");
        let uuid = links.first().unwrap().trim_start_matches("vless://").split('@').next().unwrap();
        let homes = held.iter().flatten().filter(|held| *held == uuid).count();
        assert_eq!(homes, 1, "the key of user {user} is on {homes} panels");
    }
    assert_eq!(held.iter().map(Vec::len).sum::<usize>(), shown.len(), "clients that nobody was shown stay behind");
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_costs_no_shown_key_and_doubles_none() {
    let seed = std::env::var("MUSTER_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_124);
    for db in TestDatabase::all().await {
        println!("MUSTER_SEED={seed} on {}", db.engine);
        kill_at_random(db, seed).await;
    }
}

/// A program that is only told to stop ends by itself within 5 s, whatever its panels do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_ends_within_five_seconds_even_beside_a_black_hole() {
    let db = TestDatabase::sqlite();
    db.store().await.close().await;
    let sim = join(&db, "three", Generation::Three).await;
    let mut program = Program::start(&db);
    sim.inject(panel_sim::Fault::BlackHole);
    let http = client();
    let url = program.url.clone();
    let call = tokio::spawn(async move {
        let _ = http.post(format!("{url}/api/v1/integration/full-cycle")).json(&json!({"telegram_id": 1})).send().await;
    });
    sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let killed = Command::new("kill").arg(program.child.id().to_string()).status().unwrap();
    assert!(killed.success());
    let status = tokio::task::spawn_blocking(move || program.child.wait().unwrap()).await.unwrap();
    assert!(status.success() && began.elapsed() < Duration::from_secs(6), "{status} after {:?}", began.elapsed());
    call.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_database_serve_and_one_takes_over_from_the_other() {
    for db in TestDatabase::all().await {
        db.store().await.close().await;
        let sim = join(&db, "three", Generation::Three).await;
        let (first, second) = (Program::start(&db), Program::start(&db));
        let http = client();
        let cycle = async |program: &Program, user: i64| {
            let body = json!({"telegram_id": user, "user_data": {"first_name": "Ann"}});
            bot(&http, &program.url, Method::POST, "full-cycle", Some(body)).await.1
        };
        assert_eq!(cycle(&first, 1).await["success"], true, "{}", db.engine);
        assert_eq!(cycle(&second, 2).await["success"], true, "the loops of the other process confirm it");
        assert_eq!(cycle(&second, 1).await["final_data"]["vpn_key"], cycle(&first, 1).await["final_data"]["vpn_key"]);
        first.kill();
        assert_eq!(cycle(&second, 3).await["success"], true, "it took over");
        assert_eq!(sim.clients(1).len(), 3);
        second.kill();
    }
}
