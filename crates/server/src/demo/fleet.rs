//! The simulated fleet: five panels of both generations, and what can be done to each.

use super::DemoError;
use crate::{app::App, panels};
use fleet::node::Policy;
use panel_sim::{Fault, Generation, Pace, Setup, Sim, reality};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io, time::Duration};
use store::nodes::{NodeSecrets, NodeSettings};

/// How much later a slow panel answers: later than a check waits.
const SLOW: Duration = Duration::from_secs(4);

/// How long a panel takes for each client in a write, once all have their keys.
const PER_CLIENT: Duration = Duration::from_millis(120);

/// A server of the demo.
struct Place {
    name: &'static str,
    location: &'static str,
    generation: Generation,
    max_users: i64,
    /// How long its panel takes for a call: what a line of that length costs.
    answers_ms: u64,
}

/// All of them. Without the largest the others still have room for everybody.
const PLACES: [Place; 5] = [
    Place { name: "ams-1", location: "Amsterdam", generation: Generation::Three, max_users: 200, answers_ms: 6 },
    Place { name: "fra-1", location: "Frankfurt", generation: Generation::Two, max_users: 160, answers_ms: 9 },
    Place { name: "hel-1", location: "Helsinki", generation: Generation::Three, max_users: 140, answers_ms: 18 },
    Place { name: "par-1", location: "Paris", generation: Generation::Two, max_users: 120, answers_ms: 8 },
    Place { name: "waw-1", location: "Warsaw", generation: Generation::Three, max_users: 100, answers_ms: 14 },
];

/// What can be done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The server dies: connections are refused.
    Kill,
    /// Its link goes dark: packets are swallowed.
    Cut,
    /// Its panel answers late; users are served.
    Slow,
    /// Everything is as it was.
    Revive,
}

impl Action {
    /// What it has done, in a word.
    pub fn done(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Cut => "cut off",
            Self::Slow => "slowed",
            Self::Revive => "revived",
        }
    }
}

/// The panels, by their nodes' names.
#[derive(Debug)]
pub struct Fleet(BTreeMap<&'static str, Member>);

#[derive(Debug)]
struct Member {
    sim: Sim,
    trouble: Option<Action>,
}

impl Fleet {
    /// Starts the panels, each with one inbound on an open public port.
    pub async fn start() -> io::Result<Self> {
        let mut members = BTreeMap::new();
        for (seed, place) in (1..).zip(&PLACES) {
            let setup = Setup { seed, password: format!("demo-{}", place.name), ..Setup::default() };
            let sim = Sim::start(place.generation, setup).await?;
            let port = sim.open_port().await?;
            sim.add_inbound(&reality(port));
            sim.set_pace(Pace { call: Duration::from_millis(place.answers_ms), ..Pace::default() });
            members.insert(place.name, Member { sim, trouble: None });
        }
        Ok(Self(members))
    }

    /// Makes them nodes, as `muster nodes add` does.
    pub async fn join(&self, app: &App) -> Result<(), DemoError> {
        for place in &PLACES {
            let Some(member) = self.0.get(place.name) else { continue };
            let token = member.sim.create_token("muster");
            let setup = member.sim.setup();
            let login = |text: &String| if token.is_some() { String::new() } else { text.clone() };
            let secrets = NodeSecrets {
                username: login(&setup.username),
                password: login(&setup.password).into(),
                token: token.clone().map(Into::into),
                totp: None,
            };
            let settings = NodeSettings {
                name: place.name.to_owned(),
                description: Some("simulated".to_owned()),
                location: Some(place.location.to_owned()),
                url: member.sim.url(),
                tls: "verify".to_owned(),
                allow_http: true,
                host: None,
                chosen_inbound: None,
                connect_timeout: None,
                check_timeout: None,
                policy: Policy::Active,
                max_users: place.max_users,
                priority: 100,
                weight: 1.0,
            };
            panels::register(&app.store, &settings, &secrets, false, app.deadlines(), &app.clock).await?;
        }
        Ok(())
    }

    /// From now on panels take their time for every client in a write, so that one sees users move.
    pub fn slow_down(&self) {
        for (place, member) in PLACES.iter().filter_map(|place| Some((place, self.0.get(place.name)?))) {
            let call = Duration::from_millis(place.answers_ms);
            member.sim.set_pace(Pace { call, client: PER_CLIENT, ..Pace::default() });
        }
    }

    /// Does something to a node; what was done to it before ends. Fails for an unknown name.
    pub fn act(&mut self, node: &str, action: Action) -> Result<(), String> {
        let names: Vec<&str> = self.0.keys().copied().collect();
        let unknown = || format!("the demo has no node {node:?}; it has {}", names.join(", "));
        let member = self.0.get_mut(node).ok_or_else(unknown)?;
        member.sim.heal();
        match action {
            Action::Kill => member.sim.inject(Fault::Dead),
            Action::Cut => member.sim.inject(Fault::Cut),
            Action::Slow => member.sim.inject(Fault::Slow(SLOW)),
            Action::Revive => {}
        }
        member.trouble = (action != Action::Revive).then_some(action);
        Ok(())
    }

    /// What was last done to a node and not undone.
    pub fn trouble(&self, node: &str) -> Option<Action> {
        self.0.get(node)?.trouble
    }

    /// A user's bytes through a node. False when he was not let in.
    pub fn use_traffic(&self, node: &str, client: &str, bytes: i64) -> bool {
        self.0.get(node).is_some_and(|member| member.sim.use_traffic(client, bytes / 10, bytes))
    }

    /// The clients that a panel lets in: credential by name.
    pub fn clients(&self, node: &str) -> BTreeMap<String, String> {
        let Some(Member { sim, .. }) = self.0.get(node) else { return BTreeMap::new() };
        let held = sim.inbound_ids().into_iter().flat_map(|id| sim.clients(id));
        held.filter(|client| client.enabled).map(|client| (client.email, client.credential)).collect()
    }
}
