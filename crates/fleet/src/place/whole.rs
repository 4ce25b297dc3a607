//! Where all keys should live: the same rule as for one, for as many as need a home.

use crate::{
    budget::{Budget, Spent},
    id::{KeyId, NodeId},
    node::Node,
    place::{NoRoom, Wants, choose, load_after, may_keep, may_take},
};
use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

/// A key, as far as placing is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Which.
    pub id: KeyId,
    /// Where it lives, if anywhere.
    pub home: Option<Home>,
    /// What is wished of its node.
    pub wants: Wants,
}

/// Where a key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// The node.
    pub node: NodeId,
    /// Whether the node's panel ever confirmed the key.
    pub confirmed: bool,
}

/// A key that is to live elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Which key.
    pub key: KeyId,
    /// Where it lived.
    pub from: Option<NodeId>,
    /// Where it is to live.
    pub to: NodeId,
}

/// A key that finds no home. It stays where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which key.
    pub key: KeyId,
    /// Every node's reasons; shared among keys with the same wishes.
    pub why: Arc<NoRoom>,
}

/// What is to be done, in the order of the keys given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// Keys that move.
    pub moves: Vec<Move>,
    /// Keys that cannot.
    pub held: Vec<Held>,
    /// Keys that have to wait for another pass.
    pub waiting: Vec<Waiting>,
}

/// A key that could move, but not in this pass. It stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which key.
    pub key: KeyId,
    /// What is used up.
    pub why: Spent,
}

/// Where all keys should live. A key whose node may keep it is left alone; a second call on the result changes
/// nothing.
///
/// Each move counts at once: the target is one fuller for the next key, and the former home keeps its count, for
/// its client is still to be removed there. Linear in the keys: keys with the same wishes share one queue of nodes.
#[must_use]
pub fn place(nodes: &[Node], keys: &[Key]) -> Placed {
    place_within(nodes, keys, &mut Budget::unlimited())
}

/// [`place`], but no more than the budget allows: give the keys in the order in which they should move
/// ([`crate::budget::Fairness`]). A key whose best node takes no more in this pass waits for it: a second-best home for
/// good would be a poor trade for a moment.
#[must_use]
pub fn place_within(nodes: &[Node], keys: &[Key], budget: &mut Budget) -> Placed {
    let mut fleet = Fleet::new(nodes);
    let mut placed = Placed::default();
    for key in keys {
        let home = key.home.and_then(|home| fleet.by_id.get(&home.node).map(|at| (home, *at)));
        if home.is_some_and(|(home, at)| may_keep(&fleet.nodes[at], home.confirmed).is_ok()) {
            continue;
        }
        match fleet.best(&key.wants) {
            Ok(at) => match budget.spend(fleet.nodes[at].id) {
                Ok(()) => {
                    let to = fleet.take(at);
                    placed.moves.push(Move { key: key.id, from: home.map(|(home, _)| home.node), to });
                }
                Err(why) => placed.waiting.push(Waiting { key: key.id, why }),
            },
            Err(why) => placed.held.push(Held { key: key.id, why }),
        }
    }
    placed
}

/// Counts off what nodes hold already of keys that come to them, each node once for each such key: a key that left a
/// client there needs no room for another.
pub fn count_off(nodes: &mut [Node], held_on: impl IntoIterator<Item = NodeId>) {
    let mut counts: BTreeMap<NodeId, i64> = BTreeMap::new();
    held_on.into_iter().for_each(|node| *counts.entry(node).or_default() += 1);
    for node in nodes {
        node.current_users -= counts.get(&node.id).copied().unwrap_or_default();
    }
}

struct Fleet {
    nodes: Vec<Node>,
    by_id: BTreeMap<NodeId, usize>,
    queues: BTreeMap<Wants, Queue>,
}

/// The nodes that may take a key with certain wishes, best first; ranks may be out of date and are checked when
/// they come up. Only keys that nobody need choose for by hand, those without a mere preference, get one.
enum Queue {
    Open(BinaryHeap<Reverse<Rank>>),
    Empty(Arc<NoRoom>),
}

impl Fleet {
    fn new(nodes: &[Node]) -> Self {
        let by_id = nodes.iter().enumerate().map(|(at, node)| (node.id, at)).collect();
        Self { nodes: nodes.to_vec(), by_id, queues: BTreeMap::new() }
    }

    /// The node that [`choose`] would choose.
    fn best(&mut self, wants: &Wants) -> Result<usize, Arc<NoRoom>> {
        let (required, preferred) = split(wants);
        match preferred.and_then(|wants| self.next(&wants).ok()) {
            Some(at) => Ok(at),
            None => self.next(&required),
        }
    }

    /// Counts a node as one fuller from now on.
    fn take(&mut self, at: usize) -> NodeId {
        self.nodes[at].current_users = self.nodes[at].current_users.saturating_add(1);
        self.nodes[at].id
    }

    fn next(&mut self, wants: &Wants) -> Result<usize, Arc<NoRoom>> {
        let nodes = &self.nodes;
        let queue = self.queues.entry(wants.clone()).or_insert_with(|| {
            let willing = nodes.iter().enumerate().filter(|(_, node)| may_take(node, wants).is_ok());
            Queue::Open(willing.map(|(at, node)| Reverse(Rank::of(node, at))).collect())
        });
        let ranks = match queue {
            Queue::Open(ranks) => ranks,
            Queue::Empty(why) => return Err(why.clone()),
        };
        while let Some(Reverse(rank)) = ranks.pop() {
            let node = &nodes[rank.at];
            if may_take(node, wants).is_err() {
                continue;
            }
            // Loads only grow here, so a rank that is still true is the smallest there is.
            let current = Rank::of(node, rank.at);
            let still_true = current.cmp(&rank) == Ordering::Equal;
            ranks.push(Reverse(current));
            if still_true {
                return Ok(rank.at);
            }
        }
        let why = Arc::new(choose(nodes, wants).err().unwrap_or_else(|| NoRoom::of(nodes, wants)));
        *queue = Queue::Empty(why.clone());
        Err(why)
    }
}

/// The wish with a preferred place made a condition (if there is one), and without it.
fn split(wants: &Wants) -> (Wants, Option<Wants>) {
    match &wants.location {
        Some(location) if !location.required => {
            let mut preferred = wants.clone();
            preferred.location = Some(super::Location { required: true, ..location.clone() });
            (Wants { location: None, ..wants.clone() }, Some(preferred))
        }
        Some(_) | None => (wants.clone(), None),
    }
}

struct Rank {
    load: f64,
    node: NodeId,
    at: usize,
}

impl Rank {
    fn of(node: &Node, at: usize) -> Self {
        Self { load: load_after(node), node: node.id, at }
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        self.load.total_cmp(&other.load).then(self.node.cmp(&other.node))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rank {}
