//! The mass-failure guard: when much of the fleet fails at once, the likelier culprit is our own line, and nobody
//! is moved.

use crate::id::NodeId;
use std::{collections::BTreeSet, fmt, time::Duration};

use super::rules::ms;

/// Failures that begin within this of one another count as one event. A minute is long
/// enough for the slowest node to be seen failing (one round of liveness checks, 5 s), too short for servers that
/// have nothing in common to fail by chance.
pub const WINDOW_MS: i64 = 60_000;

/// One failing node is never a mass failure, however small the fleet: a fleet of one or two has to have failover.
pub const FEWEST: usize = 2;

/// A node, as the guard sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub node: NodeId,
    /// Whether users may be on it. Nodes out of service neither count nor raise the bar.
    pub in_service: bool,
    /// [`Health::failing_since_ms`](super::Health::failing_since_ms).
    pub failing_since_ms: Option<i64>,
}

/// What the addresses say that should always answer and have nothing to do with the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canaries {
    /// None are configured, or none was asked yet.
    None,
    /// One of them answers, at least.
    Good,
    /// All fail.
    AllFailed {
        /// Since when.
        since_ms: i64,
    },
}

/// Everything that the guard looks at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The fleet.
    pub nodes: &'a [Watched],
    /// The canary addresses.
    pub canaries: Canaries,
    /// When an operator last said that the failures are real and moves may begin.
    pub released_at_ms: Option<i64>,
    /// What was held at the last pass.
    pub before: Option<&'a Hold>,
    /// How long a hold outlasts its cause: at least [`Timing::full_round`](super::rules::Timing::full_round). When a
    /// line comes back, nodes are found well one after another, and the last ones must not look like the only ones
    /// that failed.
    pub linger: Duration,
}

/// No moves for now, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What makes us suspect ourselves.
    pub cause: Cause,
    /// When it began: the failure that made it one, in ms since 1970.
    pub since_ms: i64,
    /// When the cause was last there.
    pub seen_ms: i64,
}

/// What makes us suspect ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Too many nodes at once.
    Nodes {
        /// Which, by id.
        failing: Vec<NodeId>,
        /// Nodes in service.
        of: usize,
    },
    /// All canary addresses fail as well.
    Canaries,
}

/// Whether all moves are held. `None`: they may go on.
///
/// Held while [`FEWEST`] nodes or more, and at least half of those in service, began to fail within [`WINDOW_MS`] of
/// one another and still fail; while all canaries fail; and for [`Situation::linger`] after that. A release lets
/// through what began up to then: a failure that begins later is judged with its like, and may hold again.
#[must_use]
pub fn hold(situation: &Situation<'_>, now_ms: i64) -> Option<Hold> {
    let is_released = |began_ms: i64| situation.released_at_ms.is_some_and(|released_ms| began_ms <= released_ms);
    let cause = match situation.canaries {
        Canaries::AllFailed { since_ms } if !is_released(since_ms) => Some((Cause::Canaries, since_ms)),
        Canaries::AllFailed { .. } | Canaries::None | Canaries::Good => mass_failure(situation.nodes, is_released),
    };
    if let Some((cause, began_ms)) = cause {
        let since_ms = situation.before.map_or(began_ms, |before| before.since_ms.min(began_ms));
        return Some(Hold { cause, since_ms, seen_ms: now_ms });
    }
    let before = situation.before.filter(|before| !is_released(before.seen_ms))?;
    (now_ms.saturating_sub(before.seen_ms) < ms(situation.linger)).then(|| before.clone())
}

/// The largest group of failures within one window, if it is large enough, and when it became so.
fn mass_failure(nodes: &[Watched], is_released: impl Fn(i64) -> bool) -> Option<(Cause, i64)> {
    let of = nodes.iter().filter(|watched| watched.in_service).count();
    let enough = FEWEST.max(of.div_ceil(2));
    let failing = nodes.iter().filter(|watched| watched.in_service);
    let mut began: Vec<(i64, NodeId)> =
        failing.filter_map(|watched| Some((watched.failing_since_ms?, watched.node))).collect();
    began.retain(|(began_ms, _)| !is_released(*began_ms));
    began.sort_unstable();
    let windows = (0..began.len()).map(|first| {
        let within = |(began_ms, _): &(i64, NodeId)| began_ms.saturating_sub(began[first].0) <= WINDOW_MS;
        &began[first..first + began[first..].partition_point(within)]
    });
    // Of equally large groups the first.
    let group = windows.rev().max_by_key(|group| group.len()).filter(|group| group.len() >= enough)?;
    let failing: BTreeSet<NodeId> = group.iter().map(|(_, node)| *node).collect();
    Some((Cause::Nodes { failing: failing.into_iter().collect(), of }, group[enough - 1].0))
}

/// How many nodes a message for people names; [`Cause`] has all.
const NAMED: usize = 10;

impl Hold {
    /// For people: what makes us suspect ourselves, with nodes called by these names.
    #[must_use]
    pub fn in_words(&self, name: impl Fn(NodeId) -> String) -> String {
        let cause = match &self.cause {
            Cause::Canaries => "no canary address answers".to_owned(),
            Cause::Nodes { failing, of } => {
                let named: Vec<String> = failing.iter().take(NAMED).map(|node| name(*node)).collect();
                let more = match failing.len().saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!(
                    "{} of {of} nodes in service began to fail within {} s ({}{more})",
                    failing.len(),
                    WINDOW_MS / 1_000,
                    named.join(", ")
                )
            }
        };
        format!("{cause}; our own line is the likelier culprit")
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(|node| node.to_string()))
    }
}
