//! When a move is over: it is settled by where the user is seen, not by what we did.
//!
//! Most users hold a plain link that their app never refetches: to them a removed old client is an outage. So the
//! client that a moved key left behind is *leaving*: it works on until there is a sign that nobody needs it. The first
//! of these signs decides:
//!
//! 1. The key has ended: the client is removed, for a revoked key must not work anywhere.
//! 2. There was traffic on the new node since the move: removed. The user holds the new link, wherever else he was seen.
//! 3. The grace is over: removed. A slot is not kept for ever for somebody who never came. After a failover the grace
//!    does not end before the node, if it serves at all, was watched for a while.
//! 4. After a failover, the last sign of the user is traffic on the old node, and it is well again: the key returns
//!    there and the new client goes. The failover was a blip, and shall cost him nothing.
//! 5. The new link was handed out, and for a while since then he was not on an old node that would have served him:
//!    removed. He has what he needs, and no longer uses the old one.
//! 6. None of these: it stays. A client too many costs a slot, one too few costs a user his connection.
//!
//! Traffic before the move proves nothing: that is where everybody was.

mod cause;

pub use cause::Cause;

use crate::id::NodeId;
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap, fmt};

/// How long an old client is kept for a user who is seen nowhere: three days, so that somebody who was away for a
/// weekend comes back to a link that works.
pub const GRACE_MS: i64 = 72 * 60 * 60 * 1000;

/// For how long a user must not have been on the old node to count as gone from it. An untouched phone that is
/// connected still sends its push heartbeat: every 28 minutes on mobile networks, every 15 on Wi-Fi. One minute more
/// for the period in which panels are read, and one for a reading that came late.
pub const QUIET_MS: i64 = (28 + 1 + 1) * 60 * 1000;

/// How patient we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// `moves.grace`: how long after the move an old client is kept at most. 0 or less ends the grace at once.
    pub grace_ms: i64,
    /// How long without traffic on the old node counts as "not there for a while".
    pub quiet_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { grace_ms: GRACE_MS, quiet_ms: QUIET_MS }
    }
}

/// A key that moved and whose old clients are still to be decided on. All times in ms since 1970.
///
/// About every `seen_ms`: readings are a minute or, on a node that was away, days apart, and a counter that grew
/// between two of them says only that there was traffic somewhere between. The time to give is that of the *earlier*
/// reading (or of the client's confirmation, if there is none): the traffic is certainly not older. The time of the
/// later one would make the last traffic before a node's death look like a sign of life after its return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Where the key points.
    pub home: Home,
    /// When the bot or the subscription last showed the link that the key has now.
    pub handed_out_ms: Option<i64>,
    /// The clients that it left behind, one for each node; in any order. One on the home itself is not looked at.
    pub leaving: Vec<Leaving>,
    /// Whether the key is no longer to work at all: revoked, replaced, expired, its limit reached.
    pub ended: bool,
}

/// Where a moved key points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// The node.
    pub node: NodeId,
    /// Since when the key points there: when the move was confirmed.
    pub since_ms: i64,
    /// The last traffic there.
    pub seen_ms: Option<i64>,
}

/// A client that a key left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    /// The node that holds it.
    pub node: NodeId,
    /// When the key ceased to point there.
    pub since_ms: i64,
    /// The last traffic there.
    pub seen_ms: Option<i64>,
    /// Why the key left.
    pub cause: Cause,
    /// A grace of its own, instead of the settings': a drain has a deadline, and an operator may end a grace (0).
    pub grace_ms: Option<i64>,
    /// Since when this node has been seen to serve users without a break, at the earliest since Muster started; `None`
    /// while it does not. Only then is silence a sign.
    pub serving_since_ms: Option<i64>,
    /// Whether keys may live there again: up after probation, policy active, a usable inbound.
    pub may_return: bool,
}

/// What becomes of a client that is leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It stays.
    Keep {
        /// When it goes if nothing more is seen of the user.
        until_ms: i64,
    },
    /// It goes.
    Remove {
        /// For what sign.
        why: Why,
    },
    /// The key points there again, and the client on its present home is the one that goes, at once: nobody uses it.
    Return,
}

/// Why an old client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The key has ended.
    KeyEnded,
    /// The user was seen on the new node.
    SeenOnNew,
    /// He was given the new link and was not on the old node since.
    HandedOut,
    /// He was not seen on the new node for as long as we wait, or an operator ended the wait.
    GraceEnded,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyEnded => "the key has ended",
            Self::SeenOnNew => "the user was seen on the new node",
            Self::HandedOut => "the user was given the new link and was not on the old node since",
            Self::GraceEnded => "the grace is over",
        })
    }
}

/// What becomes of each client that a key left behind: one answer for every node in [`Moved::leaving`].
///
/// At most one is [`Fate::Return`]. Once that is carried out (home and old client change places, the home's own
/// client removed) the same moment brings no further change. A removal is final: the caller writes it down, for a node
/// that is away hears of it on its return, and is not asked again about that client.
#[must_use]
pub fn settle(moved: &Moved, settings: &Settings, now_ms: i64) -> BTreeMap<NodeId, Fate> {
    let leaving: Vec<&Leaving> = moved.leaving.iter().filter(|old| old.node != moved.home.node).collect();
    let all = |fate: Fate| leaving.iter().map(|old| (old.node, fate)).collect();
    if moved.ended {
        return all(Fate::Remove { why: Why::KeyEnded });
    }
    if moved.home.seen_ms.is_some_and(|at| at >= moved.home.since_ms) {
        return all(Fate::Remove { why: Why::SeenOnNew });
    }
    let handed_out = moved.handed_out_ms.filter(|at| *at >= moved.home.since_ms);
    let is_waited_for = |old: &&Leaving| now_ms < grace_end(old, settings);
    let back_to = returning(moved.home, leaving.iter().copied().filter(is_waited_for), handed_out);
    // A link that is about to be void was not handed out.
    let handed_out = handed_out.filter(|_| back_to.is_none());
    let fate = |old: &Leaving| match back_to {
        Some(node) if node == old.node => Fate::Return,
        Some(_) | None => wait(old, handed_out, settings, now_ms),
    };
    leaving.iter().map(|old| (old.node, fate(old))).collect()
}

/// The node that the key returns to: the one on which the user was seen last, if it lost him by a failover and may
/// have him back. If that one may not, none may: he is not on the others.
///
/// Only traffic since the last move counts, or two old nodes would pass the key to and fro. Whoever was handed the new
/// link after he was seen here may have it in his app by now: it stays good.
fn returning<'a>(home: Home, waited_for: impl Iterator<Item = &'a Leaving>, handed_out: Option<i64>) -> Option<NodeId> {
    let seen = waited_for.filter_map(|old| {
        let seen_ms = old.seen_ms.filter(|at| *at >= old.since_ms.max(home.since_ms))?;
        Some((seen_ms, old))
    });
    let (seen_ms, last) = seen.max_by_key(|(seen_ms, old)| (*seen_ms, old.since_ms, Reverse(old.node)))?;
    let not_told = handed_out.is_none_or(|at| at < seen_ms);
    (last.cause == Cause::Failover && last.may_return && not_told).then_some(last.node)
}

/// Without a sign from the user: until the grace ends, or until his silence says that he took the new link.
fn wait(old: &Leaving, handed_out: Option<i64>, settings: &Settings, now_ms: i64) -> Fate {
    let grace_end = grace_end(old, settings);
    if now_ms >= grace_end {
        return Fate::Remove { why: Why::GraceEnded };
    }
    match quiet_end(old, handed_out, settings) {
        Some(end) if now_ms >= end => Fate::Remove { why: Why::HandedOut },
        Some(end) => Fate::Keep { until_ms: end.min(grace_end) },
        None => Fate::Keep { until_ms: grace_end },
    }
}

/// When silence counts as having taken the new link. Never, if he was on the old node after he was given it (he goes
/// on using the old one) or while the old node serves nobody (he could not be seen there if he tried).
fn quiet_end(old: &Leaving, handed_out: Option<i64>, settings: &Settings) -> Option<i64> {
    let given = handed_out.filter(|at| old.seen_ms.is_none_or(|seen| seen <= *at))?;
    let listening_since = given.max(old.serving_since_ms?);
    Some(listening_since.saturating_add(settings.quiet_ms.max(0)))
}

/// When waiting ends, whatever was or was not seen. After a failover not before its node has served for a while under
/// our eyes: else a node that comes back in the last minute, or while Muster itself was stopped, would throw out users
/// who are on it. A grace of 0 is an operator's word and ends at once.
fn grace_end(old: &Leaving, settings: &Settings) -> i64 {
    let grace_ms = old.grace_ms.unwrap_or(settings.grace_ms).max(0);
    let end = old.since_ms.saturating_add(grace_ms);
    match old.serving_since_ms {
        Some(since) if grace_ms > 0 && old.cause == Cause::Failover => {
            end.max(since.saturating_add(settings.quiet_ms.max(0)))
        }
        Some(_) | None => end,
    }
}
