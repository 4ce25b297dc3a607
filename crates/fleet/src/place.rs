//! Which node a key lives on: filter, rank, take; and every rejection keeps all its reasons.
//!
//! Preference is the load a node would have *after* taking the key, weighted by the operator's priority and
//! weight. That is the rule of highest averages (D'Hondt): filling a fleet with it leaves the highest load as low
//! as any arrangement can make it.

mod reason;
mod whole;

pub use reason::{NoRoom, NoRoomKind, Reason, Refusal, Verdict};
pub use whole::{Held, Home, Key, Move, Placed, Waiting, count_off, place, place_within};

use crate::{
    id::NodeId,
    node::{Health, Node, Policy},
    settle::Cause,
};
use std::collections::BTreeSet;

/// What is wished of a key's node. The default wishes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wants {
    /// Only this node will do.
    pub pin: Option<NodeId>,
    /// Where it should stand.
    pub location: Option<Location>,
    /// Nodes that will not do, such as one that refused this very key.
    pub avoid: BTreeSet<NodeId>,
}

/// A wish about where a node stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Compared with [`Node::location`], ignoring case.
    pub name: String,
    /// Whether no other place will do. Otherwise it is a preference: when no node there may take the key, any may.
    pub required: bool,
}

/// May this node take one more key? All reasons against it, not just the first.
pub fn may_take(node: &Node, wants: &Wants) -> Result<(), Vec<Reason>> {
    let mut reasons = Vec::new();
    against(node, wants, wants.location.as_ref().filter(|l| l.required), |reason| {
        reasons.push(reason());
        true
    });
    if reasons.is_empty() { Ok(()) } else { Err(reasons) }
}

/// May this node keep a key it has? A weaker test than [`may_take`].
///
/// A key that was confirmed there stays, whatever the node's health or fill: its user is connected or will be. A
/// key that was never confirmed has nothing to lose and stays only while the node could serve it; a node that was
/// not observed yet gets the benefit of the doubt.
pub fn may_keep(node: &Node, confirmed: bool) -> Result<(), Vec<Reason>> {
    if confirmed {
        return Ok(());
    }
    let mut reasons = Vec::new();
    if node.policy != Policy::Active {
        reasons.push(Reason::Policy { policy: node.policy });
    }
    match &node.health {
        Health::Up | Health::Unknown => {}
        Health::Doubtful { reason } => reasons.push(Reason::Doubtful { why: reason.clone() }),
        Health::Down { reason } => reasons.push(Reason::Down { why: reason.clone() }),
    }
    if node.inbound.is_none() && node.health.is_up() {
        reasons.push(Reason::NoInbound);
    }
    if reasons.is_empty() { Ok(()) } else { Err(reasons) }
}

/// May a key go on arriving at this node, whose panel is being told of it? Not at one that could not keep it, nor where
/// this very key was refused.
pub fn may_arrive(node: &Node, refused_by: &[NodeId]) -> bool {
    may_keep(node, false).is_ok() && !refused_by.contains(&node.id)
}

/// May a key that left this node for want of health live there again? There is room for it: its client is there still.
pub fn may_return(node: &Node) -> bool {
    node.health == Health::Up && node.policy == Policy::Active && node.inbound.is_some()
}

/// Why the keys that live on a node, confirmed there, are to leave it; `None`: they stay, however the node is doing.
///
/// A node that is down serves nobody; one in maintenance is being emptied (and its users are cut off by nothing, so
/// they come after those of a dead one). While a mass failure is suspected (`held`, [`crate::health::guard`]) nobody
/// leaves a node because it is down: the likelier culprit is our own line.
pub fn must_leave(node: &Node, held: bool) -> Option<Cause> {
    match (&node.health, node.policy) {
        (Health::Down { .. }, _) if !held => Some(Cause::Failover),
        (Health::Unknown | Health::Up | Health::Doubtful { .. }, Policy::Maintenance) => Some(Cause::Drain),
        (Health::Down { .. }, _)
        | (Health::Unknown | Health::Up | Health::Doubtful { .. }, Policy::Active | Policy::Inactive) => None,
    }
}

/// The node's load after taking one more key: `(users + 1) / cap / ((priority / 100) * weight)`. Smaller is better.
/// Only meaningful for a node that takes keys at all; never NaN for one that does.
pub fn load_after(node: &Node) -> f64 {
    load(node.current_users.saturating_add(1), node)
}

/// The best node for one key now, or every node's reasons for refusing it. The node id breaks ties, so the same
/// fleet gives the same answer.
pub fn choose(nodes: &[Node], wants: &Wants) -> Result<NodeId, NoRoom> {
    let preferred = wants.location.as_ref().filter(|l| !l.required);
    let in_preferred_place = preferred.and_then(|location| best(nodes, wants, Some(location)));
    in_preferred_place
        .or_else(|| best(nodes, wants, wants.location.as_ref().filter(|l| l.required)))
        .ok_or_else(|| NoRoom::of(nodes, wants))
}

/// Every node with its rank or its reasons: those that may take a key, best first, then the others by id.
pub fn explain(nodes: &[Node], wants: &Wants) -> Vec<Verdict> {
    let preferred = wants.location.as_ref().filter(|l| !l.required);
    let mut verdicts: Vec<(bool, bool, Verdict)> = nodes
        .iter()
        .map(|node| {
            let reasons = may_take(node, wants).err().unwrap_or_default();
            let load_after = reasons.is_empty().then(|| load_after(node));
            let elsewhere = preferred.is_some_and(|l| !stands_in(node, l));
            (!reasons.is_empty(), elsewhere, Verdict { node: node.id, name: node.name.clone(), load_after, reasons })
        })
        .collect();
    verdicts.sort_by(|a, b| {
        let load = |v: &Verdict| v.load_after.unwrap_or(f64::INFINITY);
        (a.0, a.1).cmp(&(b.0, b.1)).then(load(&a.2).total_cmp(&load(&b.2))).then(a.2.node.cmp(&b.2.node))
    });
    verdicts.into_iter().map(|(_, _, verdict)| verdict).collect()
}

fn best(nodes: &[Node], wants: &Wants, location: Option<&Location>) -> Option<NodeId> {
    let willing = nodes.iter().filter(|node| {
        let mut willing = true;
        against(node, wants, location, |_| {
            willing = false;
            false
        });
        willing
    });
    willing
        .map(|node| (load_after(node), node.id))
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
        .map(|(_, id)| id)
}

/// The one place where reasons are found. `tell` gets each as a closure, so that whoever only wants to know
/// whether there is one pays for none, and says whether to go on.
fn against(node: &Node, wants: &Wants, location: Option<&Location>, mut tell: impl FnMut(&dyn Fn() -> Reason) -> bool) {
    let full = || Reason::Full { current: node.current_users, max: node.max_users };
    let checks: [(bool, &dyn Fn() -> Reason); 10] = [
        (wants.pin.is_some_and(|pin| pin != node.id), &|| Reason::NotPinned),
        (wants.avoid.contains(&node.id), &|| Reason::Avoided),
        (location.is_some_and(|l| !stands_in(node, l)), &|| Reason::Elsewhere {
            location: node.location.clone(),
            wanted: location.map(|l| l.name.clone()).unwrap_or_default(),
        }),
        (node.policy != Policy::Active, &|| Reason::Policy { policy: node.policy }),
        (!node.health.is_up(), &|| match &node.health {
            Health::Down { reason } => Reason::Down { why: reason.clone() },
            Health::Doubtful { reason } => Reason::Doubtful { why: reason.clone() },
            Health::Unknown | Health::Up => Reason::NotObserved,
        }),
        (node.inbound.is_none(), &|| Reason::NoInbound),
        (node.max_users <= 0, &|| Reason::TakesNobody { setting: "max_users" }),
        (node.weight.is_nan() || node.weight <= 0.0, &|| Reason::TakesNobody { setting: "weight" }),
        (node.priority <= 0, &|| Reason::TakesNobody { setting: "priority" }),
        (node.max_users > 0 && node.current_users >= node.max_users, &full),
    ];
    for (holds, reason) in checks {
        if holds && !tell(reason) {
            return;
        }
    }
}

fn lower(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_lowercase)
}

fn stands_in(node: &Node, location: &Location) -> bool {
    let Some(place) = &node.location else { return false };
    // `choose` compares thousands of them: nothing is allocated.
    if place.is_ascii() && location.name.is_ascii() {
        return place.eq_ignore_ascii_case(&location.name);
    }
    lower(place).eq(lower(&location.name))
}

#[expect(clippy::cast_precision_loss, reason = "counts of users stay far below 2^52")]
fn load(users: i64, node: &Node) -> f64 {
    users as f64 / node.max_users as f64 / ((node.priority as f64 / 100.0) * node.weight)
}
