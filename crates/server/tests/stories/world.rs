//! A running Muster on a database of its own, simulated panels beside it, and a clock the test moves.

use chrono::{DateTime, TimeDelta, Utc};
use fleet::{health::rules::Timing, id::NodeId};
use muster::{app::App, config::Config, loops::settle, ops::tokens, serve::serve};
pub(crate) use panel_sim::reality;
use panel_sim::{Generation, Held, Setup, Sim};
use rand::{SeedableRng as _, rngs::StdRng};
use reqwest::{Client, Method};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};
use store::{
    Store,
    jobs::MoveState,
    testing::{TestDatabase, sealer},
    tokens::Scope,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Longer than anything here takes on a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(40);

/// The machine's clock and what the test added to it.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    #[expect(clippy::disallowed_methods, reason = "a test's clock starts from the machine's")]
    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds(self.0.load(SeqCst))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), SeqCst);
    }
}

/// One Muster and its panels.
pub(crate) struct World {
    pub(crate) db: TestDatabase,
    pub(crate) store: Store,
    pub(crate) clock: TestClock,
    pub(crate) sims: BTreeMap<String, Sim>,
    pub(crate) http: Client,
    pub(crate) config: Config,
    pub(crate) token: String,
    url: String,
    running: Option<Running>,
}

/// The program while it runs.
struct Running {
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    runtime: Runtime,
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client that trusts nobody: nothing here speaks TLS, but reqwest wants its provider.
pub(crate) fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().tls_certs_only([]).pool_max_idle_per_host(1200).build().unwrap()
}

/// Settings for tests: short waits, the order of things as in production.
pub(crate) fn quick() -> Config {
    let mut config = Config::default();
    config.panels.connect_timeout = Duration::from_millis(500);
    config.panels.read_timeout = Duration::from_secs(2);
    config.panels.write_timeout = Duration::from_secs(4);
    config.panels.issue_wait = Duration::from_secs(15);
    config.sync.retry_interval = Duration::from_millis(100);
    config.sync.poll = Duration::from_millis(50);
    config.health.timing = Timing {
        interval: Duration::from_secs(4),
        liveness: Duration::from_secs(2),
        recheck: Duration::from_millis(250),
        liveness_deadline: Duration::from_secs(2),
        connect_deadline: Duration::from_secs(2),
        check_deadline: Duration::from_secs(4),
    };
    // Longer than any story: nobody is moved here. `failover` tells those.
    config.health.rules.spread = Duration::from_mins(10);
    config
}

/// Settings for stories of nodes that die: seconds become tenths of seconds, and the rules stay as they are.
pub(crate) fn watchful() -> Config {
    let mut config = quick();
    config.health.timing = Timing {
        interval: Duration::from_secs(1),
        liveness: Duration::from_millis(400),
        recheck: Duration::from_millis(150),
        liveness_deadline: Duration::from_millis(400),
        connect_deadline: Duration::from_millis(500),
        check_deadline: Duration::from_secs(1),
    };
    config.health.rules.spread = Duration::from_millis(600);
    config.health.rules.probation = Duration::from_millis(1500);
    config
}

/// Tells a story of a fleet of both generations on every database.
pub(crate) async fn on_every_database(config: Config, story: impl AsyncFn(&mut World)) {
    for db in TestDatabase::all().await {
        println!("on {}", db.engine);
        let mut world = World::start(db, config.clone()).await;
        story(&mut world).await;
        world.stop().await;
    }
}

/// Tells a story on every database with panels of every generation.
pub(crate) async fn everywhere(story: impl AsyncFn(&mut World, Generation)) {
    for generation in [Generation::Two, Generation::Three] {
        for db in TestDatabase::all().await {
            println!("{generation:?} on {}", db.engine);
            let mut world = World::start(db, quick()).await;
            story(&mut world, generation).await;
            world.stop().await;
        }
    }
}

impl World {
    pub(crate) async fn start(db: TestDatabase, config: Config) -> Self {
        // RUST_LOG shows what the program says.
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
        let store = db.store().await;
        let clock = TestClock::default();
        let mut chance = StdRng::seed_from_u64(1);
        let token = tokens::create(&store, "stories", Scope::Admin, &mut chance, clock.now()).await.unwrap();
        let token = token.expose_secret().to_owned();
        let http = client();
        let sims = BTreeMap::new();
        let mut world = Self { db, store, clock, sims, http, config, token, url: String::new(), running: None };
        world.go().await;
        world
    }

    /// Starts the program (again), on threads and connections of its own: nothing is remembered but what the database
    /// holds.
    pub(crate) async fn go(&mut self) {
        let clock = self.clock.clone();
        let chance = StdRng::seed_from_u64(u64::try_from(self.clock.now().timestamp_micros()).unwrap());
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (config, url) = (self.config.clone(), self.db.url.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (tell, told) = oneshot::channel();
        let server = runtime.spawn(async move {
            let store = Store::open(&url, sealer()).await.unwrap();
            let app = App::new(config, store, chance, Arc::new(move || clock.now()));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            serve(app, listener, stopped).await
        });
        self.url = told.await.unwrap();
        self.running = Some(Running { stop, server, runtime });
    }

    /// Lets the program end as it does when it is told to.
    pub(crate) async fn stop(&mut self) {
        if let Some(Running { stop, server, runtime }) = self.running.take() {
            stop.cancel();
            server.await.unwrap().unwrap();
            runtime.shutdown_background();
        }
    }

    /// Ends everything that the program does, wherever it stands.
    pub(crate) fn kill(&mut self) {
        if let Some(Running { runtime, .. }) = self.running.take() {
            runtime.shutdown_background();
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.go().await;
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.sims.values().for_each(|sim| sim.advance(by));
    }

    /// A panel with one VLESS/REALITY inbound, and its node.
    pub(crate) async fn node(&mut self, name: &str, generation: Generation, max_users: i64) {
        let setup = Setup { seed: u64::from(name.as_bytes()[0]), ..Setup::default() };
        let sim = Sim::start(generation, setup).await.unwrap();
        let port = sim.open_port().await.unwrap();
        sim.add_inbound(&reality(port));
        self.join(name, sim, json!({"max_users": max_users})).await;
    }

    /// Makes a panel a node; `with` overrides what the operator says of it.
    pub(crate) async fn join(&mut self, name: &str, sim: Sim, with: Value) {
        let mut body = json!({"name": name, "url": sim.url(), "allow_http": true});
        if let Some(token) = sim.create_token("muster") {
            body["token"] = json!(token);
        } else {
            body["username"] = json!(sim.setup().username);
            body["password"] = json!(sim.setup().password);
        }
        body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        let (status, answer) = self.api(Method::POST, "nodes", Some(body)).await;
        assert_eq!(status, 201, "{answer}");
        self.sims.insert(name.to_owned(), sim);
    }

    pub(crate) fn sim(&self, node: &str) -> &Sim {
        &self.sims[node]
    }

    /// The clients on a node's first inbound.
    pub(crate) fn clients(&self, node: &str) -> Vec<Held> {
        self.sim(node).clients(1)
    }

    /// A call of `/api/v1`.
    pub(crate) async fn api(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut call = self.http.request(method, format!("{}/api/v1/{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            call = call.json(&body);
        }
        let answer = call.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A call of the bot, whose body counts only when the status is 200.
    pub(crate) async fn bot(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        bot(&self.http, &self.url, method, path, body).await
    }

    pub(crate) async fn full_cycle(&self, telegram_id: i64) -> Value {
        let body = json!({"telegram_id": telegram_id, "user_data": {"first_name": "Ann", "language_code": "en"}});
        let (status, answer) = self.bot(Method::POST, "full-cycle", Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The user's key, which must be had: (id, link).
    pub(crate) async fn key(&self, telegram_id: i64) -> (i64, String) {
        let answer = self.full_cycle(telegram_id).await;
        assert_eq!(answer["success"], true, "{answer}");
        let key = &answer["final_data"]["vpn_key"];
        (key["id"].as_i64().unwrap(), key["vless_url"].as_str().unwrap().to_owned())
    }

    /// The "refresh my key" button.
    pub(crate) async fn refresh(&self, telegram_id: i64) -> Value {
        let body = json!({"telegram_id": telegram_id, "force_new": true});
        let (status, answer) = self.bot(Method::POST, "update-vpn-key", Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Where to call, for many callers at once.
    pub(crate) fn address(&self) -> (Client, String) {
        (self.http.clone(), self.url.clone())
    }

    /// What we hold to be true of a node, in a word.
    pub(crate) async fn state(&self, node: &str) -> &'static str {
        self.store.read().find_node_named(node).await.unwrap().unwrap().watch.state().name()
    }

    pub(crate) async fn until_state(&self, node: &str, state: &str) {
        self.until(&format!("{node} is {state}"), async |world: &Self| world.state(node).await == state).await;
    }

    /// Waits until a node may be given new keys: it is up, and its panel makes no trouble with writes, which its state
    /// alone does not say.
    pub(crate) async fn until_takes_keys(&self, node: &str) {
        self.until(&format!("{node} takes keys"), async |world: &Self| {
            world.store.read().find_node_named(node).await.unwrap().unwrap().node.health.is_up()
        })
        .await;
    }

    /// Where the user's key lives, by the books: asking the bot would hand him his link.
    pub(crate) async fn home(&self, telegram_id: i64) -> String {
        let read = self.store.read();
        let user = read.find_user(telegram_id).await.unwrap().unwrap();
        let node = read.keys_of(&[user.id]).await.unwrap()[0].node.unwrap();
        read.find_node(node).await.unwrap().unwrap().node.name
    }

    /// How many keys live on a node.
    pub(crate) async fn residents(&self, node: &str) -> usize {
        let node = self.store.read().find_node_named(node).await.unwrap().unwrap().node.id;
        self.store.read().keys_on(node).await.unwrap().len()
    }

    /// Waits for something to become true.
    pub(crate) async fn until(&self, what: &str, is: impl AsyncFn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is(self).await {
            assert!(
                Instant::now() < deadline,
                "it never came true on {}: {what}\n{}",
                self.db.engine,
                self.books().await
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// What stands in the database, for whoever wonders why something did not come true.
    async fn books(&self) -> String {
        let read = self.store.read();
        let mut lines = Vec::new();
        for node in read.nodes().await.unwrap() {
            let (name, state, of) = (&node.node.name, node.watch.state(), node.node.max_users);
            let (users, trouble) = (node.node.current_users, &node.trouble);
            lines.push(format!("node {name}: {state}, {}, {users} of {of}, trouble {trouble:?}", node.node.policy));
        }
        for job in read.open_jobs().await.unwrap() {
            lines.push(format!("open: {job:?}"));
            let moves = read.moves_in(job.id, MoveState::OPEN).await.unwrap();
            lines.extend(moves.iter().take(3).map(|one| format!("  {one:?}")));
        }
        let events = read.events(15).await.unwrap();
        lines.extend(events.iter().map(|e| format!("{} {}: {}", e.at.format("%H:%M:%S%.3f"), e.kind, e.message)));
        lines.join("\n")
    }

    /// Waits until no panel has anything to hear and no key waits for a home.
    pub(crate) async fn settle(&self) {
        self.until("everything is settled", async |world: &Self| {
            let read = world.store.read();
            read.unsettled_nodes().await.unwrap().is_empty() && read.pending_keys().await.unwrap().is_empty()
        })
        .await;
    }

    /// The end of every story: settled, every key in force on the one panel it names, nothing else of ours anywhere
    /// (on panels that can be asked), and a fresh start with full passes over all panels changes nothing.
    pub(crate) async fn rest(&mut self) {
        self.settle().await;
        self.check_homes().await;
        let (held, writes) = (self.everything(), self.writes());
        let listed: BTreeMap<String, u64> =
            self.sims.iter().map(|(name, sim)| (name.clone(), sim.listings())).collect();
        self.restart().await;
        self.until("every panel was listed again", async |world: &Self| {
            world.sims.iter().all(|(name, sim)| sim.is_dark() || sim.listings() > listed[name])
        })
        .await;
        self.settle().await;
        let books = self.books().await;
        assert_eq!(self.everything(), held, "another pass changed something on {}\n{books}", self.db.engine);
        assert_eq!(self.writes(), writes, "another pass wrote something on {}\n{books}", self.db.engine);
    }

    fn writes(&self) -> Vec<u64> {
        self.sims.values().map(Sim::writes).collect()
    }

    /// Waits until no key that moved has an old client to be decided on by what is known of its user.
    pub(crate) async fn until_moves_are_settled(&self) {
        let settings = fleet::settle::Settings::default();
        self.until("moves are settled", async |world: &Self| {
            let now = world.clock.now();
            settle::pass(&world.store, &settings, now, now).await.unwrap().is_empty()
        })
        .await;
        self.settle().await;
    }

    /// Every key in force is a client on its node; beside those there are only clients that are leaving, on no other
    /// node that can be asked; and the books say so. Moves may be settled while this is looked at, and a panel hears of
    /// it a moment later: what does not agree must come to agree.
    pub(crate) async fn check_homes(&self) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(what) = self.find_disagreement().await {
            assert!(Instant::now() < deadline, "{what} on {}\n{}", self.db.engine, self.books().await);
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn find_disagreement(&self) -> Option<String> {
        let read = self.store.read();
        let nodes = read.nodes().await.unwrap();
        let mut leaving: BTreeMap<NodeId, BTreeSet<String>> = BTreeMap::new();
        for key in read.leaving(self.clock.now()).await.unwrap() {
            let Some(found) = read.find_key(key.key).await.unwrap() else {
                return Some(format!("key {} ended while it was looked at", key.key));
            };
            let name = found.identity.unwrap().name.to_string();
            for old in key.moved.leaving {
                leaving.entry(old.node).or_default().insert(name.clone());
            }
        }
        for node in nodes {
            let keys = read.keys_on(node.node.id).await.unwrap();
            let mut wanted: BTreeSet<String> =
                keys.into_iter().map(|key| key.identity.unwrap().name.to_string()).collect();
            wanted.extend(leaving.remove(&node.node.id).unwrap_or_default());
            let (name, users) = (&node.node.name, node.node.current_users);
            assert!(users <= node.node.max_users, "{name} is above its cap");
            let sim = self.sim(name);
            if sim.is_dark() {
                continue;
            }
            if users != i64::try_from(wanted.len()).unwrap() {
                return Some(format!("{name} counts {users} keys and has {}", wanted.len()));
            }
            let held: Vec<Held> = sim.inbound_ids().into_iter().flat_map(|id| sim.clients(id)).collect();
            let ours: Vec<String> = held.iter().map(|c| c.email.clone()).filter(|name| is_ours(name)).collect();
            if ours.iter().cloned().collect::<BTreeSet<_>>() != wanted || ours.len() != wanted.len() {
                return Some(format!("{name} holds {ours:?} and should hold {wanted:?}"));
            }
        }
        None
    }

    fn everything(&self) -> BTreeMap<String, Vec<Held>> {
        let all = |sim: &Sim| sim.inbound_ids().into_iter().flat_map(|id| sim.clients(id)).collect();
        self.sims.iter().map(|(name, sim)| (name.clone(), all(sim))).collect()
    }
}

/// A call of the bot.
pub(crate) async fn bot(http: &Client, url: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut call = http.request(method, format!("{url}/api/v1/integration/{path}"));
    if let Some(body) = body {
        call = call.json(&body);
    }
    let answer = call.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// `m<user>-<key>-<digits>`, as [`fleet::key::ClientName::of`] makes them.
pub(crate) fn is_ours(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    parts.len() == 3 && parts[0].starts_with('m') && parts[0][1..].bytes().all(|b| b.is_ascii_digit())
}
