//! Evening out the fleet: towards its weighted shares with the fewest moves, and only when it is worth it.
//!
//! The goal is the one that filling an empty fleet reaches ([`crate::place::load_after`], the rule of highest
//! averages): no key could move to a node on which it would weigh less. So the search is that rule run as exchanges:
//! as long as some node is fuller than another would be *with one key more*, a key goes from the fullest such node to
//! the best node for it. Where keys are free to go anywhere, every exchange fills a seat that the final shares hold,
//! so there are no fewer moves that lead there; keys that may not move (pinned, bound to a place, moved lately) count
//! where they are, and the others are spread around them.
//!
//! What counts as full are the keys that *live* on a node: clients that are leaving it use up room, but will be gone.

mod report;
mod search;

pub use report::{Rest, Share};

use crate::{
    id::{KeyId, NodeId},
    node::Node,
    place::{Move, Wants, load_after},
};
use report::shares;
use search::Search;

/// How many keys a rebalancing may move where nobody says otherwise: as many as a failover is promised to move within
/// fifteen seconds, so that panels are known to bear it.
pub const BUDGET: usize = 1000;

/// The tolerance where nobody says otherwise: the users of a node with a hundred of them come and go by the square
/// root of that, a tenth. To even out chance would only make more of it.
pub const TOLERANCE: f64 = 0.1;

/// For how long a moved key is left alone where nobody says otherwise: as long as a move may take to settle
/// ([`crate::settle::GRACE_MS`]), so that no key has three clients for the sake of balance.
pub const COOL_DOWN_MS: i64 = crate::settle::GRACE_MS;

/// A key, as far as balance is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Which.
    pub key: KeyId,
    /// Where it lives.
    pub node: NodeId,
    /// The last traffic under it, in ms since 1970; `None` if there never was any.
    pub seen_ms: Option<i64>,
    /// When it last moved.
    pub moved_ms: Option<i64>,
    /// What is wished of its node.
    pub wants: Wants,
}

/// When to begin, and how far to go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How much less the emptier of two nodes may weigh without anything being done, as a part of the fuller one's
    /// load: 0.1 is a tenth, 0 tolerates nothing, 1 everything.
    pub tolerance: f64,
    /// The most keys to move.
    pub budget: usize,
    /// A key that moved less than so long ago is not moved.
    pub cool_down_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tolerance: TOLERANCE, budget: BUDGET, cool_down_ms: COOL_DOWN_MS }
    }
}

/// What would even out the fleet, and what the fleet is then.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebalanced {
    /// Who goes where, by key; at most one move for each.
    pub moves: Vec<Move>,
    /// Every node, by id.
    pub shares: Vec<Share>,
    /// How much less the emptiest node that takes part weighs than the fullest, as a part of the latter's load.
    pub spread_before: f64,
    /// The same once all is done.
    pub spread_after: f64,
    /// Why there are no more moves than these.
    pub rest: Rest,
}

/// Which keys should move where to bring the fleet to its weighted shares.
///
/// `keys` are all keys that live on these nodes. The caller may rely on this:
///
/// - Nodes that may not take keys, the room aside, take no part: their keys stay, for moving those is `place`'s affair.
/// - No node gets more than its cap, leaving clients included. A node above its cap counts as full beyond measure, and
///   gives as long as anybody has room.
/// - A key goes only where its wishes let it; one that stands in a place it merely prefers does not leave that place.
/// - Nothing moves unless some key could go to a node whose load is lower by more than the tolerance, and would still
///   be lower with that key on it: what one key causes is not an imbalance.
/// - From each node go first the keys that were never seen, then those not seen for longest: they miss nothing. The
///   id breaks ties.
/// - The order of nodes and keys does not matter; on its own result, with the budget not used up, it finds nothing to do.
#[must_use]
pub fn rebalance(nodes: &[Node], keys: &[Resident], settings: &Settings, now_ms: i64) -> Rebalanced {
    let mut search = Search::new(nodes, keys, settings, now_ms);
    let spread_before = search.spread();
    let begins = search.is_beyond(settings.tolerance);
    if begins {
        while search.moved() < settings.budget && search.exchange() {}
    }
    let rest = match (search.obstacle(), begins) {
        (Some(rest), _) => rest,
        (None, true) => Rest::Budget { budget: settings.budget },
        (None, false) => Rest::Tolerated { tolerance: settings.tolerance },
    };
    let moves = search.moves();
    Rebalanced { shares: shares(nodes, keys, &moves), moves, spread_before, spread_after: search.spread(), rest }
}

/// The load of a node on which so many keys live. Only meaningful for a node that takes keys at all. The node is
/// anybody's copy; its own count is written over.
fn load_with(node: &mut Node, users: i64) -> f64 {
    node.current_users = users.saturating_sub(1);
    if users > 0 { load_after(node) } else { 0.0 }
}
