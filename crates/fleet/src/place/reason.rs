//! Why a node does not take a key, in words and in codes.

use crate::{
    id::NodeId,
    node::{Node, Policy},
    place::{Wants, may_take},
};
use serde::Serialize;
use std::fmt;

/// One reason why a node does not take a key. `code` on the wire is the variant in snake case, and stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// The operator does not want it to.
    Policy {
        /// What the operator wants.
        policy: Policy,
    },
    /// Nobody has looked at it yet.
    NotObserved,
    /// It is not sure to serve users, or its panel to do what it is asked.
    Doubtful {
        /// What was seen.
        why: String,
    },
    /// It does not serve users.
    Down {
        /// What was seen.
        why: String,
    },
    /// It is full.
    Full {
        /// Keys on it, the leaving ones included.
        current: i64,
        /// Its cap.
        max: i64,
    },
    /// A setting of zero means "nobody".
    TakesNobody {
        /// `max_users`, `weight` or `priority`.
        setting: &'static str,
    },
    /// No usable inbound is known on it.
    NoInbound,
    /// Another node was asked for by name.
    NotPinned,
    /// It stands somewhere else.
    Elsewhere {
        /// Where it stands.
        location: Option<String>,
        /// Where it should.
        wanted: String,
    },
    /// It refused this very key.
    Avoided,
}

impl Reason {
    /// Whether the node would take the key if only it had, or were given, more room.
    fn is_about_room(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::TakesNobody { .. })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy { policy } => write!(f, "its policy is {policy}"),
            Self::NotObserved => write!(f, "nobody has looked at it yet"),
            Self::Doubtful { why } => write!(f, "it is in doubt: {why}"),
            Self::Down { why } => write!(f, "it is down: {why}"),
            Self::Full { current, max } => write!(f, "it is full ({current} of {max})"),
            Self::TakesNobody { setting } => write!(f, "its {setting} of 0 takes nobody"),
            Self::NoInbound => write!(f, "it has no usable inbound"),
            Self::NotPinned => write!(f, "another node was asked for"),
            Self::Elsewhere { location, wanted } => {
                write!(f, "it stands in {}, not in {wanted}", location.as_deref().unwrap_or("no known place"))
            }
            Self::Avoided => write!(f, "it refused this key, or the key leaves it"),
        }
    }
}

/// What one node says to one key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its load after taking the key; `None` if it does not.
    pub load_after: Option<f64>,
    /// All reasons against it; empty if it may take the key.
    pub reasons: Vec<Reason>,
}

/// A node that refused, with all its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// All its reasons; never empty.
    pub reasons: Vec<Reason>,
}

/// Whether room or health is what the fleet lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoRoomKind {
    /// No node is in a state to take keys.
    NoHealthyNode,
    /// Some node would, but for its room.
    NoCapacity,
}

/// No node takes the key, and why each does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoRoom {
    /// What the fleet lacks.
    pub kind: NoRoomKind,
    /// Every node, by id.
    pub refusals: Vec<Refusal>,
}

/// How many nodes a message for people names; the API lists all.
const NAMED: usize = 10;

impl NoRoom {
    pub(super) fn of(nodes: &[Node], wants: &Wants) -> Self {
        let mut refusals: Vec<Refusal> = nodes
            .iter()
            .map(|node| Refusal {
                node: node.id,
                name: node.name.clone(),
                reasons: may_take(node, wants).err().unwrap_or_default(),
            })
            .collect();
        refusals.sort_by_key(|r| r.node);
        let only_room = refusals.iter().any(|r| r.reasons.iter().all(Reason::is_about_room));
        let kind = if only_room { NoRoomKind::NoCapacity } else { NoRoomKind::NoHealthyNode };
        Self { kind, refusals }
    }
}

impl std::error::Error for NoRoom {}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.refusals.is_empty()) {
            (_, true) => return write!(f, "the fleet has no node"),
            (NoRoomKind::NoHealthyNode, false) => write!(f, "no node is able to take the key")?,
            (NoRoomKind::NoCapacity, false) => write!(f, "no node has room for the key")?,
        }
        for (index, refusal) in self.refusals.iter().take(NAMED).enumerate() {
            let reasons: Vec<String> = refusal.reasons.iter().map(ToString::to_string).collect();
            write!(f, "{} {}: {}", if index == 0 { ":" } else { ";" }, refusal.name, reasons.join(", "))?;
        }
        match self.refusals.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
