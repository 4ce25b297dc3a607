//! Why a key moves: the words of jobs, events and assignments.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a key left a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The node went down. The only move that nobody wanted, and so the only one that a user's return may take back.
    Failover,
    /// The node is being emptied.
    Drain,
    /// The node is to be deleted.
    Delete,
    /// The fleet was evened out.
    Rebalance,
    /// Somebody moved this key, or undid a move.
    ByHand,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 5] = [Self::Failover, Self::Drain, Self::Delete, Self::Rebalance, Self::ByHand];

    /// The word in the database and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Drain => "drain",
            Self::Delete => "delete",
            Self::Rebalance => "rebalance",
            Self::ByHand => "by_hand",
        }
    }

    /// Reads [`Cause::as_str`] back. `None` for any other word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failover => "failover",
            Self::Drain => "drain",
            Self::Delete => "deletion of the node",
            Self::Rebalance => "rebalancing",
            Self::ByHand => "by hand",
        })
    }
}
