//! Who moves first when many must, and how many may: a rescue must not overload the rescuers.

use crate::{
    id::{JobId, KeyId, NodeId},
    settle::Cause,
};
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap, fmt};

/// A key's place in the queue for a move. The smaller goes first: who pays; then who was seen most recently, for he
/// is likely to be cut off right now, and who was never seen is not; then the id, so that a night can be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fairness {
    /// Whether somebody pays for the key.
    pub paying: bool,
    /// The last traffic under it, anywhere, in ms since 1970.
    pub seen_ms: Option<i64>,
    /// Which key.
    pub key: KeyId,
}

impl Ord for Fairness {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let turn = |of: &Self| (Reverse(of.paying), Reverse(of.seen_ms), of.key);
        turn(self).cmp(&turn(other))
    }
}

impl PartialOrd for Fairness {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A job's claim on a key that other jobs claim as well. The smaller is tried first: a failover, for nobody serves its
/// users; of orders the newest, for whoever gave it may have known of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precedence {
    /// Why the job moves keys.
    pub cause: Cause,
    /// Which job; ids are given once, and grow.
    pub job: JobId,
}

impl Ord for Precedence {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let turn = |of: &Self| (of.cause != Cause::Failover, Reverse(of.job));
        turn(self).cmp(&turn(other))
    }
}

impl PartialOrd for Precedence {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// How many keys may still move in one pass, altogether and to each node. A pass starts with a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    per_pass: usize,
    per_target: usize,
    spent: usize,
    spent_on: BTreeMap<NodeId, usize>,
}

/// Why a key has to wait for the next pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Spent {
    /// As many keys as a pass may move have moved.
    Pass {
        /// How many that is.
        limit: usize,
    },
    /// As many keys as a node may take in a pass have gone to this one.
    Target {
        /// How many that is.
        limit: usize,
    },
}

impl Budget {
    /// So many keys in a pass, and so many to any one node. 0 moves nobody.
    pub fn new(per_pass: usize, per_target: usize) -> Self {
        Self { per_pass, per_target, spent: 0, spent_on: BTreeMap::new() }
    }

    /// No limit: for what somebody asked for by hand, and for previews of all that is to come.
    pub fn unlimited() -> Self {
        Self::new(usize::MAX, usize::MAX)
    }

    /// May one more key move to this node in this pass?
    pub fn allows(&self, target: NodeId) -> Result<(), Spent> {
        if self.spent >= self.per_pass {
            return Err(Spent::Pass { limit: self.per_pass });
        }
        if self.spent_on(target) >= self.per_target {
            return Err(Spent::Target { limit: self.per_target });
        }
        Ok(())
    }

    /// Counts a move to this node. Refused, and not counted, when [`Budget::allows`] refuses it.
    pub fn spend(&mut self, target: NodeId) -> Result<(), Spent> {
        self.allows(target)?;
        self.spent += 1;
        *self.spent_on.entry(target).or_default() += 1;
        Ok(())
    }

    /// Whether no key may move any more, wherever to.
    pub fn is_spent(&self) -> bool {
        self.spent >= self.per_pass || self.per_target == 0
    }

    /// How many moves were counted.
    pub fn spent(&self) -> usize {
        self.spent
    }

    /// How many of them to this node.
    pub fn spent_on(&self, target: NodeId) -> usize {
        self.spent_on.get(&target).copied().unwrap_or_default()
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass { limit } => write!(f, "a pass moves {limit} keys at most"),
            Self::Target { limit } => write!(f, "a node takes {limit} moved keys in a pass at most"),
        }
    }
}
