//! The picture: what database and panels say at one moment. Everything that is shown or judged is read from here.

use super::{
    change::Change,
    fleet::{Action, Fleet},
};
use fleet::id::{KeyId, NodeId};
use std::collections::BTreeMap;
use store::{Store, StoreError, events::PastEvent, jobs::MoveState, nodes::NodeRecord};

/// How many events are looked at: more than one tick brings.
const EVENTS: u64 = 400;

/// One moment.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// Every node, by id.
    pub nodes: Vec<NodeView>,
    /// Where each key points.
    pub homes: BTreeMap<KeyId, Residence>,
    /// What Muster decided lately, newest first.
    pub events: Vec<PastEvent>,
    /// Moves that are under way.
    pub jobs: Vec<Progress>,
}

/// How much of something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What.
    pub what: String,
    /// So many.
    pub done: u64,
    /// Of so many.
    pub of: u64,
}

/// A node as it is shown.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub location: String,
    /// The version of its panel.
    pub panel: String,
    /// What Muster holds to be true of it, in a word.
    pub state: &'static str,
    /// Why, if it is not well.
    pub why: Option<String>,
    /// How many keys point to it.
    pub users: usize,
    /// The most it may hold.
    pub max: i64,
    /// How long its panel took to answer at the last full check, in ms.
    pub response_ms: Option<i64>,
    /// Who is let in by its panel: credential by name. Ours alone, for the demo's panels have no others.
    pub clients: BTreeMap<String, String>,
    /// What the demo did to it.
    pub trouble: Option<Action>,
}

/// Where a key points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residence {
    /// The node.
    pub node: String,
    /// The client's name on its panel.
    pub client: String,
    /// Its UUID.
    pub credential: String,
}

impl Picture {
    /// Looks at everything.
    pub async fn look(store: &Store, fleet: &Fleet) -> Result<Self, StoreError> {
        let read = store.read();
        let mut picture = Self { events: read.events(EVENTS).await?, ..Self::default() };
        let mut names = BTreeMap::new();
        for record in read.nodes().await? {
            names.insert(record.node.id, record.node.name.clone());
            let here = residents(store, record.node.id, &record.node.name).await?;
            picture.nodes.push(NodeView::of(record, here.len(), fleet));
            picture.homes.extend(here);
        }
        for job in read.open_jobs().await? {
            let node = job.node.and_then(|id| names.get(&id));
            let from = node.map(|name| format!(" of {name}")).unwrap_or_default();
            let waiting = match job.moves.of(MoveState::Waiting) {
                0 => String::new(),
                count => format!(", {count} wait: nothing takes them now"),
            };
            let what = format!("moved: {}{from} (job {}){waiting}", job.kind.cause(), job.id);
            picture.jobs.push(Progress { what, done: job.moves.of(MoveState::Done), of: job.moves.total() });
        }
        Ok(picture)
    }

    /// A node by its name.
    pub fn node(&self, name: &str) -> Option<&NodeView> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Whether the panel a key points to lets that very client in, and can be reached.
    pub fn is_served(&self, home: &Residence) -> bool {
        let Some(node) = self.node(&home.node) else { return false };
        let is_reachable = !matches!(node.trouble, Some(Action::Kill | Action::Cut));
        is_reachable && node.clients.get(&home.client) == Some(&home.credential)
    }

    /// What became different since an earlier picture.
    pub fn changes_since(&self, before: &Self, changes: &mut Vec<Change>) {
        for node in &self.nodes {
            let Some(was) = before.node(&node.name).filter(|was| was.state != node.state) else { continue };
            let (node, state, why) = (node.name.clone(), node.state, node.why.clone());
            changes.push(Change::Node { node, state, before: was.state, why });
        }
        let known = before.events.first();
        let new: Vec<&PastEvent> = self.events.iter().take_while(|event| Some(*event) != known).collect();
        for event in new.into_iter().rev().filter(|event| !is_routine(event) && event.kind != "health") {
            changes.push(Change::Decided { kind: event.kind.clone(), message: event.message.clone() });
        }
    }
}

/// Whether an event is one of hundreds, and says nothing that the nodes' numbers do not say.
pub(super) fn is_routine(event: &PastEvent) -> bool {
    matches!(event.kind.as_str(), "issued" | "moved")
}

impl NodeView {
    fn of(record: NodeRecord, users: usize, fleet: &Fleet) -> Self {
        let state = record.watch.state();
        Self {
            state: state.name(),
            why: state.why().map(str::to_owned).or(record.trouble),
            clients: fleet.clients(&record.node.name),
            trouble: fleet.trouble(&record.node.name),
            location: record.node.location.unwrap_or_default(),
            panel: record.panel_version.unwrap_or_default(),
            users,
            max: record.node.max_users,
            response_ms: record.response_ms,
            name: record.node.name,
        }
    }

    /// Whether it may be given users.
    pub fn is_up(&self) -> bool {
        self.state == "up"
    }
}

async fn residents(store: &Store, node: NodeId, name: &str) -> Result<Vec<(KeyId, Residence)>, StoreError> {
    let keys = store.read().keys_on(node).await?;
    let residence = |key: store::keys::KeyRecord| {
        let identity = key.identity?;
        let (client, credential) = (identity.name.to_string(), identity.uuid.to_string());
        Some((key.id, Residence { node: name.to_owned(), client, credential }))
    };
    Ok(keys.into_iter().filter_map(residence).collect())
}
