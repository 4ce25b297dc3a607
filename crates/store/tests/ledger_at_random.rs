//! Whatever happens to keys, in whatever order: the count of a node is the number of its lines, nothing is
//! forgotten, a user has one key, a key has one home, and a client that is leaving works on.

use crate::scene::{Scene, now};
use fleet::{
    id::{KeyId, NodeId, UserId},
    settle::Cause,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use std::collections::{BTreeMap, BTreeSet};
use store::{
    clients::ClientRow,
    keys::{KeyRecord, KeyState},
};

const STEPS: usize = 150;
const ROOM: i64 = 4;

type Ledger = BTreeMap<NodeId, Vec<ClientRow>>;

struct World {
    scene: Scene,
    nodes: Vec<NodeId>,
    users: Vec<UserId>,
    /// Readings of the ledger that may be out of date when they are used.
    read: Vec<(NodeId, ClientRow)>,
    chance: StdRng,
}

#[tokio::test]
async fn the_books_balance_after_every_step() {
    for scene in Scene::all().await {
        let seed = rand::random::<u64>();
        println!("seed {seed} on {}", scene.db.engine);
        let mut world = World::new(scene, StdRng::seed_from_u64(seed)).await;
        for step in 0..STEPS {
            let done = world.step().await;
            world.check(&format!("seed {seed}, step {step}: {done}")).await;
        }
    }
}

impl World {
    async fn new(scene: Scene, chance: StdRng) -> Self {
        let mut world = Self { scene, nodes: Vec::new(), users: Vec::new(), read: Vec::new(), chance };
        for n in 0..3 {
            world.nodes.push(world.scene.node(&format!("node-{n}"), ROOM).await);
        }
        for telegram_id in 1..=5 {
            world.users.push(world.scene.user(telegram_id).await);
        }
        world
    }

    async fn step(&mut self) -> &'static str {
        let (node, user) =
            (*self.nodes.choose(&mut self.chance).unwrap(), *self.users.choose(&mut self.chance).unwrap());
        let keys = self.scene.keys(user).await;
        let newest = keys.first().map(|key| key.id);
        match self.chance.random_range(0..16) {
            0..3 if keys.iter().all(|key| key.state == KeyState::Active) => {
                self.scene.find_room(user, node).await;
                "issue or refresh"
            }
            3 => {
                self.read = self.readings().await;
                "read the ledgers"
            }
            4..6 => {
                self.confirm_some().await;
                "confirm"
            }
            6..8 => {
                self.see_some_gone(node).await;
                "gone"
            }
            8 if keys.first().is_some_and(|key| key.state == KeyState::Pending) => {
                self.move_pending(newest.expect("a key"), node).await;
                "move a pending key"
            }
            9 => {
                self.withdraw_or_end(newest).await;
                "withdraw or end"
            }
            10 => {
                self.unsettle_or_refuse(node).await;
                "unsettle or refuse"
            }
            11 if self.chance.random_bool(0.3) => {
                self.scene.run(&format!("DELETE FROM users WHERE id = {user}")).await;
                let telegram_id = 1000 + i64::from(self.chance.random::<u32>());
                self.users.retain(|u| *u != user);
                self.users.push(self.scene.user(telegram_id).await);
                "the bot deletes a user"
            }
            12..14 => {
                self.move_active(&keys, node).await;
                "move a key in force"
            }
            14 => {
                self.settle_some(node).await;
                "settle a move"
            }
            15 => {
                self.give_up_arrivals(node).await;
                "a target dies"
            }
            _ => "nothing",
        }
    }

    /// Make before break; also to where it is leaving, and instead of a move that is under way.
    async fn move_active(&mut self, keys: &[KeyRecord], to: NodeId) {
        let Some(key) = keys.iter().find(|key| key.state == KeyState::Active) else { return };
        if key.node != Some(to) {
            self.scene.start(key.id, to, Cause::Failover, None).await;
        }
    }

    /// The old client goes, or the key returns to it.
    async fn settle_some(&mut self, node: NodeId) {
        let leaving = self.scene.store.read().leaving(now()).await.unwrap();
        for left in leaving.iter().filter(|left| left.moved.leaving.iter().any(|old| old.node == node)) {
            if self.chance.random_bool(0.5) {
                self.scene.end_leaving(left.key, node).await;
            } else {
                assert_eq!(self.scene.return_home(left.key, node).await.len(), 1);
            }
        }
    }

    async fn give_up_arrivals(&mut self, node: NodeId) {
        for line in self.scene.lines(node).await {
            // Pending keys are the place loop's: they are released, not left waiting.
            let found = self.scene.store.read().find_key(line.key).await.unwrap();
            if found.is_some_and(|key| key.state == KeyState::Active) {
                self.scene.cancel_arrival(line.key, node).await;
            }
        }
    }

    async fn readings(&self) -> Vec<(NodeId, ClientRow)> {
        let mut all = Vec::new();
        for node in &self.nodes {
            all.extend(self.scene.lines(*node).await.into_iter().map(|line| (*node, line)));
        }
        all
    }

    /// What the panels were seen to hold, according to a reading that may be old.
    async fn confirm_some(&mut self) {
        let chance = &mut self.chance;
        let wanted = self.read.iter().filter(|(_, line)| line.wanted.is_some() && chance.random_bool(0.7));
        let versions: Vec<_> = wanted.map(|(_, line)| line.version).collect();
        self.scene.confirm(&versions).await;
    }

    async fn see_some_gone(&mut self, node: NodeId) {
        let chance = &mut self.chance;
        let gone = self.read.iter().filter(|(n, line)| *n == node && line.wanted.is_none() && chance.random_bool(0.7));
        let versions: Vec<_> = gone.map(|(_, line)| line.version).collect();
        self.scene.gone(node, &versions).await;
    }

    /// As a pass does that finds a pending key on a node that may not keep it.
    async fn move_pending(&mut self, key: KeyId, to: NodeId) {
        let record = self.scene.store.read().find_key(key).await.unwrap().expect("pending");
        let load = self.scene.load(to).await;
        if record.node != Some(to) && load < ROOM {
            self.scene.release(key, None).await;
            self.scene.send(&record, to).await;
        }
    }

    async fn withdraw_or_end(&mut self, key: Option<KeyId>) {
        let Some(key) = key else { return };
        let tx = self.scene.store.write().await.unwrap();
        tx.withdraw_keys(&[key]).await.unwrap();
        tx.commit().await.unwrap();
        if self.scene.store.read().find_key(key).await.unwrap().is_some() {
            self.scene.end(key).await;
        }
    }

    async fn unsettle_or_refuse(&mut self, node: NodeId) {
        let lines = self.scene.lines(node).await;
        let Some(line) = lines.choose(&mut self.chance) else { return };
        let tx = self.scene.store.write().await.unwrap();
        if self.chance.random_bool(0.5) {
            tx.set_unsettled(&[line.version]).await.unwrap();
        } else {
            tx.set_refused(&[(line.version, "refused".to_owned())]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn check(&self, when: &str) {
        let announced = self.scene.store.read().unsettled_nodes().await.unwrap();
        let mut ledger = BTreeMap::new();
        for node in &self.nodes {
            let lines = self.scene.lines(*node).await;
            let load = self.scene.load(*node).await;
            assert_eq!(load, i64::try_from(lines.len()).unwrap(), "{when}: the count of node {node}");
            assert!(load <= ROOM, "{when}: node {node} is above its cap");
            assert_eq!(load.unsigned_abs(), self.scene.store.read().count_clients(*node).await.unwrap());
            let unsettled = self.scene.unsettled(*node).await;
            for line in &lines {
                let settled = !unsettled.contains(line);
                assert!(!settled || line.confirmed, "{when}: {line:?} was never confirmed and nobody says so");
            }
            assert_eq!(announced.contains(node), !unsettled.is_empty(), "{when}");
            ledger.insert(*node, lines);
        }
        for user in &self.users {
            self.check_user(*user, &ledger, when).await;
        }
    }

    async fn check_user(&self, user: UserId, ledger: &Ledger, when: &str) {
        let keys = self.scene.keys(user).await;
        let count = |state| keys.iter().filter(|key| key.state == state).count();
        assert!(count(KeyState::Active) <= 1 && count(KeyState::Pending) <= 1, "{when}: {keys:?}");
        for key in &keys {
            self.check_homes(key, ledger, &format!("{when}: {key:?}")).await;
        }
    }

    async fn check_homes(&self, key: &KeyRecord, ledger: &Ledger, when: &str) {
        let homes = self.scene.homes(key.id).await;
        let parts = homes.iter().map(|home| home.split(':').collect::<Vec<_>>());
        let homes: Vec<(i64, String, bool)> =
            parts.map(|part| (part[0].parse().unwrap(), part[1].to_owned(), part[2] == "lives")).collect();
        let of = |state: &str| homes.iter().filter(|home| home.1 == state).collect::<Vec<_>>();
        let node = key.node.expect("a home").0;
        let (active, arriving) = match key.state {
            KeyState::Pending => (vec![], 1..=1),
            KeyState::Active | KeyState::Foreign => (vec![node], 0..=1),
        };
        assert_eq!(of("active").iter().map(|home| home.0).collect::<Vec<_>>(), active, "{when}: {homes:?}");
        assert!(arriving.contains(&of("arriving").len()), "{when}: {homes:?}");
        assert!(homes.iter().all(|home| home.2 == (home.1 == "active")), "{when}: {homes:?}");
        let left: BTreeSet<i64> = of("leaving").iter().map(|home| home.0).collect();
        assert!(left.len() == of("leaving").len() && !left.contains(&node), "{when}: left twice: {homes:?}");
        for (node, state, _) in &homes {
            let line = ledger[&NodeId(*node)].iter().find(|line| line.key == key.id);
            let wanted = line.is_some_and(|line| line.wanted.is_some());
            match state.as_str() {
                "arriving" | "active" | "leaving" => assert!(wanted, "{when}: nobody wants {line:?}: {homes:?}"),
                "ending" => assert!(line.is_some(), "{when}: it may still be on the panel: {homes:?}"),
                _ => {}
            }
        }
    }
}
