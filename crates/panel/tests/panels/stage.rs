//! One simulated panel with strangers on it, one client of it, and a clock that moves both.

use crate::{
    access::{TestClock, access},
    bodies::reality,
    by_hand::{ByHand, stranger},
};
use fleet::{
    client::{Client, credential},
    id::{InboundId, KeyId, UserId},
    inbound::{Inbound, Protocol},
    key::{ClientName, Identity},
};
use panel::{Access, Ensured, PLACEHOLDER, Panel, PanelError, Removed};
use panel_sim::{Generation, Held, Setup, Sim};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Mutex, time::Duration};
use uuid::Uuid;

pub(crate) const BOTH: [Generation; 2] = [Generation::Two, Generation::Three];

/// How often a caller repeats what may be repeated, before a test calls it hopeless.
const REPEATS: usize = 8;

pub(crate) struct Stage {
    pub(crate) sim: Sim,
    pub(crate) panel: Panel,
    pub(crate) inbound: Inbound,
    pub(crate) generation: Generation,
    clock: TestClock,
    strangers: Mutex<Vec<Held>>,
}

/// Tells a story of each generation.
#[expect(clippy::print_stdout, reason = "shown when the story fails")]
pub(crate) async fn everywhere(story: impl AsyncFn(Stage)) {
    for generation in BOTH {
        println!("{generation:?}");
        story(Stage::start(generation).await).await;
    }
}

/// The same for stories that mostly wait.
pub(crate) async fn everywhere_at_once(story: impl AsyncFn(Stage)) {
    let [two, three] = BOTH.map(|generation| async move { Stage::start(generation).await });
    futures::join!(Box::pin(async { story(two.await).await }), Box::pin(async { story(three.await).await }));
}

impl Stage {
    /// A panel with a REALITY inbound on which two strangers live.
    pub(crate) async fn start(generation: Generation) -> Self {
        Self::with(generation, reality(443)).await
    }

    /// A panel with this inbound on which two strangers live.
    pub(crate) async fn with(generation: Generation, inbound: Value) -> Self {
        Self::on(Sim::start(generation, Setup::default()).await.unwrap(), generation, inbound, 2).await
    }

    /// A panel with a REALITY inbound on which nobody lives.
    pub(crate) async fn empty(generation: Generation) -> Self {
        Self::on(Sim::start(generation, Setup::default()).await.unwrap(), generation, reality(443), 0).await
    }

    async fn on(sim: Sim, generation: Generation, inbound: Value, strangers: usize) -> Self {
        let id = sim.add_inbound(&inbound);
        for name in ["alice", "Bob-2"].iter().take(strangers) {
            sim.add_client(id, stranger(name));
        }
        let clock = TestClock::default();
        let panel = Panel::new(access(&sim), clock.clock()).unwrap();
        let inbound = panel.inbounds().await.unwrap().pop().unwrap();
        assert_eq!(inbound.id, InboundId(id));
        let strangers = Mutex::new(sim.clients(id));
        Self { sim, panel, inbound, generation, clock, strangers }
    }

    /// The same with a new client, which knows nothing yet and is let in by this.
    pub(crate) fn let_in_by(self, access: Access) -> Self {
        Self { panel: Panel::new(access, self.clock.clock()).unwrap(), ..self }
    }

    /// Another client of the same panel, as another program would be.
    pub(crate) fn another_panel(&self) -> Panel {
        Panel::new(access(&self.sim), self.clock.clock()).unwrap()
    }

    pub(crate) fn is_two(&self) -> bool {
        self.generation == Generation::Two
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.sim.advance(by);
    }

    /// The client of key `n`, as a key without limits has it.
    pub(crate) fn client(&self, n: u32) -> Client {
        Client {
            identity: identity(n),
            flow: self.inbound.flow().to_owned(),
            enabled: true,
            expires_at_ms: 0,
            traffic_limit: 0,
            telegram_id: 7_000 + i64::from(n),
        }
    }

    pub(crate) fn clients(&self, keys: std::ops::Range<u32>) -> Vec<Client> {
        keys.map(|n| self.client(n)).collect()
    }

    /// One try, whatever comes of it.
    pub(crate) async fn try_ensure(&self, clients: &[Client]) -> Vec<Result<Ensured, PanelError>> {
        let outcomes = self.panel.ensure_clients(&self.inbound, clients).await;
        assert_eq!(outcomes.len(), clients.len());
        outcomes
    }

    /// One try, whatever comes of it.
    pub(crate) async fn try_remove(&self, clients: &[Client]) -> Vec<Result<Removed, PanelError>> {
        let outcomes = self.panel.remove_clients(&self.inbound, &identities(clients)).await;
        assert_eq!(outcomes.len(), clients.len());
        outcomes
    }

    /// One try of what the panel was never asked for, whatever comes of it.
    pub(crate) async fn try_add(&self, clients: &[Client]) -> Vec<Result<Ensured, PanelError>> {
        let outcomes = self.panel.add_clients(&self.inbound, clients).await;
        assert_eq!(outcomes.len(), clients.len());
        outcomes
    }

    /// One try of what the panel was never asked for, that must succeed.
    pub(crate) async fn add(&self, clients: &[Client]) -> Vec<Ensured> {
        self.try_add(clients).await.into_iter().collect::<Result<_, _>>().unwrap()
    }

    /// One try that must succeed.
    pub(crate) async fn ensure(&self, clients: &[Client]) -> Vec<Ensured> {
        self.try_ensure(clients).await.into_iter().collect::<Result<_, _>>().unwrap()
    }

    /// One try that must succeed.
    pub(crate) async fn remove(&self, clients: &[Client]) -> Vec<Removed> {
        self.try_remove(clients).await.into_iter().collect::<Result<_, _>>().unwrap()
    }

    /// As a caller does it: whatever may be repeated is repeated until it succeeds.
    pub(crate) async fn insist_on(&self, clients: &[Client]) {
        for _ in 0..REPEATS {
            if is_done(&self.try_ensure(clients).await) {
                return;
            }
        }
        panic!("{:?}: still not there after {REPEATS} tries", self.generation);
    }

    /// As a caller does it: whatever may be repeated is repeated until it succeeds.
    pub(crate) async fn insist_on_absence(&self, clients: &[Client]) {
        for _ in 0..REPEATS {
            if is_done(&self.try_remove(clients).await) {
                return;
            }
        }
        panic!("{:?}: still there after {REPEATS} tries", self.generation);
    }

    /// What the panel really holds on the inbound, less strangers and placeholders, by name.
    pub(crate) fn ours(&self) -> BTreeMap<String, Held> {
        let held = self.sim.clients(self.inbound.id.0);
        let all = held.len();
        let held: BTreeMap<String, Held> = held.into_iter().map(|held| (held.email.clone(), held)).collect();
        assert_eq!(held.len(), all, "a name is there twice");
        let strangers = self.strangers.lock().unwrap();
        let strange = |name: &str| strangers.iter().any(|stranger| stranger.email == name);
        held.into_iter().filter(|(name, _)| !strange(name) && !name.starts_with(PLACEHOLDER)).collect()
    }

    /// Exactly these clients of ours are there, every value as it should be, and the strangers are as they were.
    pub(crate) fn assert_holds(&self, clients: &[Client]) {
        let seen: Vec<Held> = self.ours().into_values().map(|held| Held { up: 0, down: 0, ..held }).collect();
        let mut wanted: Vec<Held> = clients.iter().map(|client| held(client, &self.inbound.protocol)).collect();
        wanted.sort();
        assert_eq!(seen, wanted, "ours on {:?}", self.generation);
        self.assert_strangers_are_as_before();
    }

    pub(crate) fn assert_strangers_are_as_before(&self) {
        let held = self.sim.clients(self.inbound.id.0);
        for stranger in self.strangers.lock().unwrap().iter() {
            assert!(held.contains(stranger), "{} changed on {:?}: {held:?}", stranger.email, self.generation);
        }
    }

    /// The end of every story: another pass finds everything as it is and writes nothing.
    pub(crate) async fn rest(&self, clients: &[Client]) {
        self.assert_holds(clients);
        let writes = self.sim.writes();
        assert_eq!(self.ensure(clients).await, vec![Ensured::Unchanged; clients.len()]);
        assert_eq!(self.sim.writes(), writes, "another pass wrote something");
        let observation = self.panel.observe(self.inbound.id).await.unwrap();
        assert!(observation.complete);
        assert_eq!(observation.clients.len(), clients.len() + self.strangers.lock().unwrap().len());
    }

    /// Somebody else appears on the inbound and is to stay as he is from now on.
    pub(crate) fn stranger_comes(&self, name: &str) {
        self.sim.add_client(self.inbound.id.0, stranger(name));
        let held = self.sim.clients(self.inbound.id.0).into_iter().find(|held| held.email == name);
        self.strangers.lock().unwrap().push(held.unwrap());
    }

    /// One of them is deleted by whoever made him.
    pub(crate) fn stranger_goes(&self, name: &str) {
        self.sim.remove_client(self.inbound.id.0, name);
        self.strangers.lock().unwrap().retain(|stranger| stranger.email != name);
    }

    /// Our client in the panel's own words, with the fields that only an operator sees.
    pub(crate) async fn entry(&self, name: &str) -> Value {
        let by_hand = ByHand::log_in(&self.sim).await;
        if self.is_two() {
            let inbound = by_hand.get(&format!("panel/api/inbounds/get/{}", self.inbound.id)).await;
            let settings: Value = serde_json::from_str(inbound["settings"].as_str().unwrap()).unwrap();
            let clients = settings["clients"].as_array().unwrap();
            return clients.iter().find(|client| client["email"] == name).unwrap().clone();
        }
        by_hand.get(&format!("panel/api/clients/get/{name}")).await["client"].clone()
    }
}

/// Whether all succeeded. A failure that no caller would repeat fails the test.
pub(crate) fn is_done<T>(outcomes: &[Result<T, PanelError>]) -> bool {
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        let is_locked = error.is_refused() && error.to_string().contains("database is locked");
        assert!(is_locked || !(error.is_refused() || error.is_misconfigured()), "{error:?}");
    }
    outcomes.iter().all(Result::is_ok)
}

fn held(client: &Client, protocol: &Protocol) -> Held {
    Held {
        email: client.identity.name.to_string(),
        credential: credential(protocol, client.identity.uuid),
        sub_id: client.identity.sub_id.clone(),
        enabled: client.enabled,
        total: client.traffic_limit,
        expires_at_ms: client.expires_at_ms,
        up: 0,
        down: 0,
        comment: String::new(),
    }
}

/// Key `n` of user `n`.
pub(crate) fn identity(n: u32) -> Identity {
    let uuid = Uuid::from_u128((u128::from(n) << 104) | 0x4000_8000_0000_0000_0000 | u128::from(n));
    let name = ClientName::of(UserId(i64::from(n)), KeyId(i64::from(n)), uuid);
    Identity { name, uuid, sub_id: format!("sub-{n}") }
}

pub(crate) fn identities(clients: &[Client]) -> Vec<Identity> {
    clients.iter().map(|client| client.identity.clone()).collect()
}
