//! A thousand faults in an order drawn by lot: at every rest no key is lost, none has two homes, no node is above its
//! cap, and no stranger's client was touched. Prints its seed; `MUSTER_SEED` repeats a run.

use crate::world::{World, is_ours, watchful};
use panel_sim::{Fault, Generation, Held};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::testing::TestDatabase;
use tokio::time::{sleep, timeout};

/// On each database; together a thousand.
const FAULTS: u32 = 500;
/// Between two rests.
const BETWEEN: u32 = 50;
const NODES: [(&str, Generation); 4] =
    [("a", Generation::Two), ("b", Generation::Three), ("c", Generation::Two), ("d", Generation::Three)];

struct Chaos {
    world: World,
    chance: StdRng,
    /// What each user was last shown; nobody is in here whose last call was not answered.
    shown: BTreeMap<i64, String>,
    unsure: BTreeSet<i64>,
    strangers: BTreeMap<&'static str, Held>,
}

fn uuid(link: &str) -> String {
    link.trim_start_matches("vless://").split('@').next().unwrap().to_owned()
}

impl Chaos {
    async fn start(db: TestDatabase, seed: u64) -> Self {
        let mut config = watchful();
        config.moves.seen_every = Duration::from_millis(500);
        config.panels.issue_wait = Duration::from_millis(1500);
        config.panels.read_timeout = Duration::from_millis(800);
        config.panels.write_timeout = Duration::from_millis(1200);
        let mut world = World::start(db, config).await;
        let mut strangers = BTreeMap::new();
        for (name, generation) in NODES {
            world.node(name, generation, 60).await;
            world.sim(name).add_client(
                1,
                json!({
                    "id": "11111111-1111-4111-8111-111111111111", "email": format!("stranger-{name}"), "enable": true,
                    "subId": format!("stranger-{name}"), "comment": "not yours", "limitIp": 3,
                }),
            );
            strangers.insert(name, world.clients(name)[0].clone());
        }
        Self { world, chance: StdRng::seed_from_u64(seed), shown: BTreeMap::new(), unsure: BTreeSet::new(), strangers }
    }

    fn node(&mut self) -> &'static str {
        NODES.choose(&mut self.chance).unwrap().0
    }

    async fn fault(&mut self) {
        let node = self.node();
        let sim = self.world.sim(node);
        match self.chance.random_range(0..16) {
            0 | 1 => sim.inject(Fault::Dead),
            2 => sim.inject(Fault::Cut),
            3 => sim.inject(Fault::PanelDead),
            4 => sim.inject(Fault::PortClosed),
            5 => sim.inject(Fault::BlackHole),
            6 => sim.inject_next(Fault::AnswerLost, 2),
            7 => sim.inject_next(Fault::ErrorAfter, 2),
            8 => sim.inject_next(Fault::Truncated, 3),
            9 => sim.inject(Fault::Locked),
            10 => sim.inject(Fault::Slow(Duration::from_millis(300))),
            11 => sim.end_sessions(),
            12 => sim.restart(),
            13 => drop(self.operate("drain", node).await),
            14 => {
                self.world.kill();
                self.world.go().await;
            }
            _ => self.world.restart().await,
        }
    }

    async fn operate(&self, what: &str, node: &str) -> Value {
        let id = self.world.store.read().find_node_named(node).await.unwrap().unwrap().node.id;
        let body = (what == "drain").then(|| json!({"partly": true}));
        self.world.api(Method::POST, &format!("nodes/{id}/{what}"), body).await.1
    }

    /// Something that users or operators do, and that is no fault.
    async fn life(&mut self) {
        let user = self.chance.random_range(1..=40);
        match self.chance.random_range(0..10) {
            0..=4 => self.call(user, "full-cycle").await,
            5 => self.call(user, "update-vpn-key").await,
            6 | 7 => {
                let node = self.node();
                self.world.sim(node).heal();
            }
            8 => {
                let node = self.node();
                self.operate("enable", node).await;
            }
            _ => {
                let node = self.node();
                let mut clients = self.world.clients(node);
                clients.retain(|client| is_ours(&client.email));
                if let Some(client) = clients.choose(&mut self.chance) {
                    self.world.sim(node).use_traffic(&client.email, 10, 100);
                    self.world.sim(node).advance(Duration::from_secs(11));
                }
            }
        }
    }

    async fn call(&mut self, user: i64, what: &str) {
        let body = json!({"telegram_id": user, "force_new": true, "user_data": {"first_name": "Ann"}});
        let call = self.world.bot(Method::POST, what, Some(body));
        let Ok((200, answer)) = timeout(Duration::from_secs(4), call).await else {
            self.unsure.insert(user);
            return;
        };
        let cycle = &answer["final_data"]["vpn_key"]["vless_url"];
        if let Some(link) = cycle.as_str().or(answer["vless_url"].as_str()) {
            let new = uuid(link);
            if what == "full-cycle" && !self.unsure.contains(&user) {
                let before = self.shown.get(&user);
                assert!(before.is_none_or(|old| *old == new), "user {user} was shown another key");
            }
            self.unsure.remove(&user);
            self.shown.insert(user, new);
        }
    }

    /// Everything is healed, and what must hold then is looked at.
    async fn rest(&mut self) {
        for (name, _) in NODES {
            self.world.sim(name).heal();
            self.operate("enable", name).await;
        }
        self.world.api(Method::POST, "health/release", None).await;
        for (name, _) in NODES {
            self.world.until_state(name, "up").await;
        }
        self.world
            .until("no job is open", async |w: &World| w.store.read().open_jobs().await.unwrap().is_empty())
            .await;
        self.world.settle().await;
        let users: Vec<i64> = self.shown.keys().chain(&self.unsure).copied().collect();
        for user in users {
            let (_, link) = self.world.key(user).await;
            if !self.unsure.contains(&user) {
                assert_eq!(uuid(&link), self.shown[&user], "user {user} has lost his key");
            }
            self.shown.insert(user, uuid(&link));
        }
        self.unsure.clear();
        self.world.settle().await;
        self.world.check_homes().await;
        for (name, stranger) in &self.strangers {
            let found = self.world.clients(name).into_iter().find(|c| c.email == stranger.email);
            assert_eq!(found.as_ref(), Some(stranger), "a stranger's client on {name}");
        }
    }

    /// After the last rest a program that starts anew finds nothing to do. That a panel refused new clients a moment ago
    /// is known only while the program runs, and keeps keys from going home to it: so it is started once before, and
    /// what that allows has happened.
    async fn end(mut self) {
        self.world.restart().await;
        for (name, _) in NODES {
            self.world.until_takes_keys(name).await;
        }
        self.world.until_moves_are_settled().await;
        self.world.rest().await;
        self.world.stop().await;
    }
}

async fn run(db: TestDatabase, seed: u64) {
    let mut chaos = Chaos::start(db, seed).await;
    for user in 1..=20 {
        chaos.call(user, "full-cycle").await;
    }
    for fault in 1..=FAULTS {
        chaos.fault().await;
        for _ in 0..chaos.chance.random_range(1..4) {
            chaos.life().await;
        }
        let pause = chaos.chance.random_range(0..60);
        sleep(Duration::from_millis(pause)).await;
        if fault % BETWEEN == 0 {
            chaos.rest().await;
        }
    }
    chaos.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_faults_lose_no_key_and_double_none() {
    let seed = std::env::var("MUSTER_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_125);
    for db in TestDatabase::all().await {
        println!("MUSTER_SEED={seed} on {}", db.engine);
        run(db, seed).await;
    }
}

/// Whatever had been said and done when the program was killed in the middle of a failover, the end is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_is_killed_at_any_step_ends_like_one_that_is_not() {
    for db in TestDatabase::all().await {
        let mut world = World::start(db, watchful()).await;
        world.node("a", Generation::Two, 100).await;
        for user in 1..=8 {
            world.key(user).await;
        }
        let keys: Vec<(i64, String)> = futures::future::join_all((1..=8).map(|user| world.key(user))).await;
        world.node("b", Generation::Three, 100).await;
        world.node("c", Generation::Two, 100).await;
        for step in 0..12 {
            let full = if world.residents("a").await == 8 { "a" } else { "b" };
            let calls = |world: &World| world.sims.values().map(panel_sim::Sim::calls).sum::<u64>();
            world.sim(full).inject(Fault::Dead);
            if full == "a" {
                world.until_state(full, "down").await;
            }
            let from = calls(&world);
            world.until("so many calls were made", async |w: &World| calls(w) >= from + step).await;
            world.kill();
            world.go().await;
            world.until("everybody has moved", async |w: &World| w.residents(full).await == 0).await;
            world.settle().await;
            world.check_homes().await;
            world.sim(full).heal();
            world.until_state(full, "up").await;
            for (user, (id, link)) in (1..=8).zip(&keys) {
                let now = world.key(user).await;
                assert_eq!((now.0, uuid(&now.1)), (*id, uuid(link)), "step {step} on {}", world.db.engine);
            }
            // Everybody back to one node, as it was, by the same means.
            gather(&mut world, "a").await;
        }
        world.rest().await;
        world.stop().await;
    }
}

/// Sends every key to one node and ends all graces.
async fn gather(world: &mut World, node: &str) {
    for user in 1..=8 {
        if world.home(user).await != node {
            let body = Some(json!({"to": node}));
            let (status, answer) = world.api(Method::POST, &format!("users/{user}/key/move"), body).await;
            assert_eq!(status, 200, "{answer}");
        }
    }
    world.until("everybody is there", async |w: &World| w.residents(node).await == 8).await;
    for id in 1..=3 {
        world.api(Method::POST, &format!("nodes/{id}/end-grace"), None).await;
    }
    world
        .until("nobody is leaving", async |w: &World| w.store.read().leaving(w.clock.now()).await.unwrap().is_empty())
        .await;
    world.settle().await;
}
