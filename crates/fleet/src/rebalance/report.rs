//! What a rebalancing tells: every node before and after, and why it went no further.

use super::{Resident, load_with};
use crate::{
    id::NodeId,
    node::Node,
    place::{Move, Reason, Wants, may_take},
};
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fmt,
};

/// So many of a load's bits come out of divisions that round: those below the 1e-9 that the search makes nothing of.
const ROUNDED_BITS: u32 = 22;

/// One node of the fleet, before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// How many keys live on it. Leaving clients are not among them.
    pub before: i64,
    /// How many do once all is done.
    pub after: i64,
    /// How many there would be if every key could live anywhere; `None` for a node that takes no part. The sum falls
    /// short of the keys where the caps do.
    pub fair: Option<i64>,
    /// Why it takes no part; empty if it does.
    pub reasons: Vec<Reason>,
}

/// Why a rebalancing makes no more moves than it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Rest {
    /// The fleet is even: no node is fuller than another would be with one key more.
    Even,
    /// It is not, but no difference is worth a move.
    Tolerated {
        /// What is tolerated.
        tolerance: f64,
    },
    /// The budget is used up; there is more to do.
    Budget {
        /// How much it was.
        budget: usize,
    },
    /// The keys that would have to move may not.
    Held {
        /// Keys on nodes that are too full which moved too lately.
        cooling: i64,
        /// The other keys there, whose wishes allow no emptier node.
        bound: i64,
    },
    /// The emptier nodes have no room: clients that are leaving them still use it up.
    NoRoom,
    /// There are not two nodes to balance.
    Alone,
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even => write!(f, "the fleet is even"),
            Self::Tolerated { tolerance } => {
                write!(f, "the fleet is even within the tolerance of {:.1} %", tolerance * 100.0)
            }
            Self::Budget { budget } => write!(f, "the budget of {budget} moves is used up"),
            Self::Held { cooling, bound } => write!(
                f,
                "the keys on nodes that are too full may not move: {cooling} moved lately, {bound} are bound by wishes"
            ),
            Self::NoRoom => write!(f, "the emptier nodes have no room until clients that are leaving them are gone"),
            Self::Alone => write!(f, "fewer than two nodes may take keys"),
        }
    }
}

/// Every node, by id.
pub(super) fn shares(nodes: &[Node], keys: &[Resident], moves: &[Move]) -> Vec<Share> {
    let mut living: BTreeMap<NodeId, i64> = BTreeMap::new();
    for key in keys {
        *living.entry(key.node).or_default() += 1;
    }
    let mut gained: BTreeMap<NodeId, i64> = BTreeMap::new();
    for of in moves {
        *gained.entry(of.to).or_default() += 1;
        if let Some(from) = of.from {
            *gained.entry(from).or_default() -= 1;
        }
    }
    let count = |of: &BTreeMap<NodeId, i64>, node: NodeId| of.get(&node).copied().unwrap_or_default();
    let fair = fair(nodes, |node| count(&living, node));
    let mut shares: Vec<Share> = nodes
        .iter()
        .map(|node| Share {
            node: node.id,
            name: node.name.clone(),
            before: count(&living, node.id),
            after: count(&living, node.id) + count(&gained, node.id),
            fair: fair.get(&node.id).copied(),
            reasons: reasons(node),
        })
        .collect();
    shares.sort_by_key(|share| share.node);
    shares
}

/// Why a node takes no part, its room aside.
pub(super) fn reasons(node: &Node) -> Vec<Reason> {
    let empty = Node { current_users: 0, ..node.clone() };
    may_take(&empty, &Wants::default()).err().unwrap_or_default()
}

/// As many keys as live on the nodes that take part, filled in anew by the rule of highest averages. Among seats that
/// weigh the same the occupied ones come first, so that a fleet which is even is its own fair share.
fn fair(nodes: &[Node], living: impl Fn(NodeId) -> i64) -> BTreeMap<NodeId, i64> {
    let mut filling: Vec<(Node, i64)> =
        nodes.iter().filter(|node| reasons(node).is_empty()).map(|node| (node.clone(), 0)).collect();
    let caps: Vec<i64> = filling
        .iter()
        .map(|(node, _)| node.max_users.saturating_sub(node.current_users.saturating_sub(living(node.id)).max(0)))
        .collect();
    let mut keys: i64 = filling.iter().map(|(node, _)| living(node.id)).sum();
    // The bits of numbers that are not negative are in the order of the numbers; the last ones are chance.
    let seat = |at: usize, node: &mut Node, users: i64| {
        let is_new = users > living(node.id);
        (users <= caps[at]).then(|| Reverse((load_with(node, users).to_bits() >> ROUNDED_BITS, is_new, node.id, at)))
    };
    let mut seats: BinaryHeap<_> =
        filling.iter_mut().enumerate().filter_map(|(at, (node, _))| seat(at, node, 1)).collect();
    while keys > 0
        && let Some(Reverse((_, _, _, at))) = seats.pop()
    {
        keys -= 1;
        let (node, users) = &mut filling[at];
        *users += 1;
        seats.extend(seat(at, node, *users + 1));
    }
    filling.into_iter().map(|(node, users)| (node.id, users)).collect()
}
