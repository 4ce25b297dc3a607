//! The seven things we may hold to be true of a node.

use super::{
    reading::Reading,
    rules::{Rules, ms},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What we hold to be true of a node. Times are in ms since 1970; how they are written is the caller's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum State {
    /// Nothing was read that says anything.
    #[default]
    Unknown,
    /// Users are served, and more may come.
    Up {
        /// When we knew.
        since_ms: i64,
    },
    /// It failed, and nothing has contradicted that yet: nobody new.
    Suspect {
        /// When the first failed check began.
        since_ms: i64,
        /// What the newest failure was.
        why: String,
    },
    /// The panel is silent, users are served: nobody new, nobody moved.
    Degraded {
        /// When we knew.
        since_ms: i64,
        /// What the newest failure was.
        why: String,
    },
    /// Our settings for its panel are wrong: nobody new, nobody moved.
    Misconfigured {
        /// When we knew.
        since_ms: i64,
        /// What does not fit.
        why: String,
    },
    /// Users are not served: they are moved.
    Down {
        /// When we knew, that is, when it was confirmed.
        since_ms: i64,
        /// When the first check of those that prove it began.
        failing_since_ms: i64,
        /// What the newest failure was.
        why: String,
    },
    /// It was down and answers again: keeps what it has, takes nobody yet.
    Probation {
        /// When the first good reading after the outage ended.
        since_ms: i64,
        /// Good full checks in a row.
        checks: u32,
        /// When the first of them began.
        checked_since_ms: i64,
        /// What made the count begin anew, if anything did.
        setback: Option<String>,
    },
}

impl State {
    /// Its name in one lower-case word, for pages, metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up { .. } => "up",
            Self::Suspect { .. } => "suspect",
            Self::Degraded { .. } => "degraded",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Down { .. } => "down",
            Self::Probation { .. } => "probation",
        }
    }

    /// The word that `vpn_nodes.health_status` holds: `healthy`, `unhealthy` or `unknown`. The bot and other programs
    /// know these three only; a doubt that is not confirmed is not shown to them.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up { .. } | Self::Suspect { .. } | Self::Probation { .. } => "healthy",
            Self::Degraded { .. } | Self::Misconfigured { .. } | Self::Down { .. } => "unhealthy",
        }
    }

    /// Since when the node has been seen to serve its users without a break; `None` while it is not known to.
    pub fn serving_since_ms(&self) -> Option<i64> {
        match self {
            Self::Up { since_ms } | Self::Probation { since_ms, .. } => Some(*since_ms),
            Self::Unknown
            | Self::Suspect { .. }
            | Self::Degraded { .. }
            | Self::Misconfigured { .. }
            | Self::Down { .. } => None,
        }
    }

    /// Since when. `None` while nothing is known.
    pub fn since_ms(&self) -> Option<i64> {
        match self {
            Self::Unknown => None,
            Self::Up { since_ms }
            | Self::Suspect { since_ms, .. }
            | Self::Degraded { since_ms, .. }
            | Self::Misconfigured { since_ms, .. }
            | Self::Down { since_ms, .. }
            | Self::Probation { since_ms, .. } => Some(*since_ms),
        }
    }

    /// What is wrong, for people, with the layer's name.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Unknown | Self::Up { .. } => None,
            Self::Suspect { why, .. }
            | Self::Degraded { why, .. }
            | Self::Misconfigured { why, .. }
            | Self::Down { why, .. } => Some(why),
            Self::Probation { setback, .. } => setback.as_deref(),
        }
    }

    /// The new state; while it is still the same one, since when it was.
    pub(super) fn becomes(self, mut new: Self) -> Self {
        match (&self, &mut new) {
            (Self::Up { since_ms: was }, Self::Up { since_ms })
            | (Self::Degraded { since_ms: was, .. }, Self::Degraded { since_ms, .. })
            | (Self::Misconfigured { since_ms: was, .. }, Self::Misconfigured { since_ms, .. }) => *since_ms = *was,
            _ => {}
        }
        new
    }

    pub(super) fn on_probation(since_ms: i64) -> Self {
        Self::Probation { since_ms, checks: 0, checked_since_ms: since_ms, setback: None }
    }

    /// One more good full check during probation; the last one ends it.
    pub(super) fn passed(self, reading: &Reading, rules: &Rules) -> Self {
        let Self::Probation { since_ms, checks, checked_since_ms, setback } = self else { return self };
        let checked_since_ms = if checks == 0 { reading.started_ms } else { checked_since_ms };
        let checks = checks.saturating_add(1);
        let lasted = reading.ended_ms.saturating_sub(checked_since_ms);
        if checks >= rules.probation_checks && lasted >= ms(rules.probation) {
            return Self::Up { since_ms: reading.ended_ms };
        }
        Self::Probation { since_ms, checks, checked_since_ms, setback }
    }

    /// Begins the count of probation anew.
    pub(super) fn set_back(&mut self, why: String) {
        if let Self::Probation { checks, setback, .. } = self {
            *checks = 0;
            *setback = Some(why);
        }
    }

    pub(super) fn redate(&mut self, by_ms: i64) {
        let earlier = |at: &mut i64| *at = at.saturating_sub(by_ms);
        match self {
            Self::Unknown => {}
            Self::Up { since_ms }
            | Self::Suspect { since_ms, .. }
            | Self::Degraded { since_ms, .. }
            | Self::Misconfigured { since_ms, .. } => earlier(since_ms),
            Self::Down { since_ms, failing_since_ms, .. } => [since_ms, failing_since_ms].into_iter().for_each(earlier),
            Self::Probation { since_ms, checked_since_ms, .. } => {
                [since_ms, checked_since_ms].into_iter().for_each(earlier);
            }
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.why().map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}
