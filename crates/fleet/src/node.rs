//! A node as the rules see it: the operator's wish, what was last observed, and how full it is.

use crate::{
    health::State,
    id::{InboundId, NodeId},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the operator wants of a node (`vpn_nodes.status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Takes new keys and keeps what it has.
    Active,
    /// Being emptied: takes nobody.
    Maintenance,
    /// Out of service: takes nobody.
    Inactive,
}

impl Policy {
    /// The word in the database and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Maintenance => "maintenance",
            Self::Inactive => "inactive",
        }
    }

    /// Reads [`Policy::as_str`] back, in any case. `None` for any other word.
    pub fn find(word: &str) -> Option<Self> {
        [Self::Active, Self::Maintenance, Self::Inactive].into_iter().find(|p| p.as_str().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What placing keys has to know of a node's health. Concluded from what was read ([`crate::health`]), never set by
/// hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Health {
    /// Never looked at since it was added.
    Unknown,
    /// It serves its users, and more may come.
    Up,
    /// It takes nobody new, and nobody is moved off it: suspect, degraded, misconfigured, on probation, or its panel
    /// did not do what it was asked a moment ago.
    Doubtful {
        /// For people: which of these, and why.
        reason: String,
    },
    /// It does not serve its users.
    Down {
        /// For people: what failed, in which layer.
        reason: String,
    },
}

impl Health {
    /// What placing makes of a health, and of trouble that its panel made with writes since.
    pub fn of(state: &State, trouble: Option<&str>) -> Self {
        match (state, trouble) {
            (State::Unknown, None) => Self::Unknown,
            (State::Up { .. }, None) => Self::Up,
            (State::Unknown | State::Up { .. }, Some(trouble)) => Self::Doubtful { reason: trouble.to_owned() },
            (State::Down { why, .. }, _) => Self::Down { reason: why.clone() },
            (
                State::Suspect { .. } | State::Degraded { .. } | State::Misconfigured { .. } | State::Probation { .. },
                _,
            ) => Self::Doubtful { reason: state.to_string() },
        }
    }

    /// Whether the node may be given new keys.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }
}

/// A node, as far as placing keys is concerned.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its id; breaks ties between equally good nodes.
    pub id: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Where it stands, as the operator wrote it; compared ignoring case.
    pub location: Option<String>,
    /// What the operator wants of it.
    pub policy: Policy,
    /// What we hold to be true of it.
    pub health: Health,
    /// The inbound that its keys live on; `None` while no usable one is known.
    pub inbound: Option<InboundId>,
    /// The most keys it may hold. 0 or less: takes nobody.
    pub max_users: i64,
    /// The operator's preference; 100 is neutral, higher is preferred. 0 or less: takes nobody.
    pub priority: i64,
    /// Its relative strength; 1.0 is neutral. 0, less, or not a number: takes nobody.
    pub weight: f64,
    /// Keys that live on it plus clients that are leaving it.
    pub current_users: i64,
}
