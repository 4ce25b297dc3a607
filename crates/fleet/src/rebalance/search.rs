//! The search for exchanges: always from the fullest node that can give to the best node for that key.

use super::{Resident, Rest, Settings, load_with, report::reasons};
use crate::{
    id::{KeyId, NodeId},
    node::Node,
    place::{Location, Move, Wants, may_take},
};
use std::collections::{BTreeMap, BTreeSet};

/// Loads that differ by less than this part are equal: they come out of divisions that round.
const ROUNDING: f64 = 1e-9;

/// The nodes that take part, by id, and the keys on them that may move.
pub(super) struct Search {
    sides: Vec<Side>,
    wishes: Vec<Takers>,
    movers: BTreeMap<KeyId, Mover>,
    moved: usize,
}

/// Which sides take a key with certain wishes, their room aside.
type Takers = Vec<usize>;

/// A node that takes part.
struct Side {
    /// As if nobody lived here, while wishes are compared with it; then scratch for [`load_with`].
    node: Node,
    /// Keys that live here.
    users: i64,
    /// Clients that it holds: those keys, and what is leaving.
    clients: i64,
    /// The load with the keys that live here. Beyond all measure above the cap.
    load: f64,
    /// The load with one key more.
    next: f64,
    /// How many of the keys here moved too lately.
    cooling: i64,
    /// Keys that may move, by their wishes, in their order.
    queues: BTreeMap<usize, BTreeSet<Turn>>,
}

/// Which key goes first. One that the search has moved already costs nothing to move on; then the field order is the
/// order of importance, and never seen (`None`) comes before any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    is_home: bool,
    seen_ms: Option<i64>,
    key: KeyId,
}

struct Mover {
    home: usize,
    at: usize,
    wish: usize,
}

#[derive(Clone, Copy)]
struct Exchange {
    turn: Turn,
    from: usize,
    to: usize,
}

impl Search {
    pub(super) fn new(nodes: &[Node], keys: &[Resident], settings: &Settings, now_ms: i64) -> Self {
        let mut sides: Vec<Side> = nodes.iter().filter(|node| reasons(node).is_empty()).map(Side::new).collect();
        sides.sort_by_key(|side| side.node.id);
        let by_id: BTreeMap<NodeId, usize> = sides.iter().enumerate().map(|(at, side)| (side.node.id, at)).collect();
        let mut search = Self { sides, wishes: Vec::new(), movers: BTreeMap::new(), moved: 0 };
        let mut known = BTreeMap::new();
        for key in keys {
            let Some(home) = by_id.get(&key.node).copied() else { continue };
            search.sides[home].users += 1;
            if key.moved_ms.is_some_and(|moved| now_ms.saturating_sub(moved) < settings.cool_down_ms) {
                search.sides[home].cooling += 1;
                continue;
            }
            let wants = search.sides[home].conditions(&key.wants);
            let wish = *known.entry(wants).or_insert_with_key(|wants| search.add_wish(wants));
            if search.wishes[wish].iter().any(|taker| *taker != home) {
                let turn = Turn { is_home: true, seen_ms: key.seen_ms, key: key.key };
                search.sides[home].queues.entry(wish).or_default().insert(turn);
                search.movers.insert(key.key, Mover { home, at: home, wish });
            }
        }
        for side in &mut search.sides {
            side.clients = side.clients.max(side.users);
            side.weigh();
        }
        search
    }

    fn add_wish(&mut self, wants: &Wants) -> usize {
        let is_willing = |side: &Side| may_take(&side.node, wants).is_ok();
        let takers = self.sides.iter().enumerate().filter(|(_, side)| is_willing(side)).map(|(at, _)| at).collect();
        self.wishes.push(takers);
        self.wishes.len() - 1
    }

    /// Makes the exchange that helps most; `false` if none helps.
    pub(super) fn exchange(&mut self) -> bool {
        let Some(Exchange { turn, from, to }) = self.best() else { return false };
        let Some(mover) = self.movers.get_mut(&turn.key) else { return false };
        let (leaves_home, comes_home) = (from == mover.home, to == mover.home);
        mover.at = to;
        let wish = mover.wish;
        self.moved = self.moved + usize::from(leaves_home) - usize::from(comes_home);
        let giver = &mut self.sides[from];
        giver.users -= 1;
        // What leaves its home is still a client there; what was only planned to come is not.
        giver.clients -= i64::from(!leaves_home);
        if let Some(queue) = giver.queues.get_mut(&wish) {
            queue.remove(&turn);
        }
        giver.weigh();
        let taker = &mut self.sides[to];
        taker.users += 1;
        taker.clients += i64::from(!comes_home);
        taker.queues.entry(wish).or_default().insert(Turn { is_home: comes_home, ..turn });
        taker.weigh();
        true
    }

    /// From the fullest side that has a key for which some side with room would be less full; there, the key whose
    /// turn it is.
    fn best(&self) -> Option<Exchange> {
        let targets: Vec<Option<usize>> = self.wishes.iter().map(|takers| self.target(takers)).collect();
        let exchange = |from: usize, side: &Side, wish: usize, queue: &BTreeSet<Turn>| {
            let (to, turn) = (targets[wish]?, *queue.first()?);
            is_lower(self.sides[to].next, side.load, 0.0).then_some(Exchange { turn, from, to })
        };
        let sides = self.sides.iter().enumerate();
        sides
            .flat_map(|(from, side)| {
                side.queues.iter().filter_map(move |(wish, queue)| exchange(from, side, *wish, queue))
            })
            .min_by(|a, b| {
                let fullest_first = self.sides[b.from].load.total_cmp(&self.sides[a.from].load);
                fullest_first.then(a.from.cmp(&b.from)).then(a.turn.cmp(&b.turn))
            })
    }

    fn target(&self, takers: &Takers) -> Option<usize> {
        let with_room = takers.iter().copied().filter(|at| self.sides[*at].has_room());
        with_room.min_by(|a, b| self.sides[*a].next.total_cmp(&self.sides[*b].next).then(a.cmp(b)))
    }

    /// Whether some key could go to a side whose load is lower by more than the tolerance, and helps by it.
    pub(super) fn is_beyond(&self, tolerance: f64) -> bool {
        let helps = |from: &Side, to: &Side| {
            to.has_room() && is_lower(to.next, from.load, 0.0) && is_lower(to.load, from.load, tolerance)
        };
        let queues = self.sides.iter().flat_map(|side| side.queues.keys().map(move |wish| (side, *wish)));
        queues.into_iter().any(|(from, wish)| self.wishes[wish].iter().any(|to| helps(from, &self.sides[*to])))
    }

    /// What stands in the way of a further exchange; `None` if nothing does.
    pub(super) fn obstacle(&self) -> Option<Rest> {
        if self.sides.len() < 2 {
            return Some(Rest::Alone);
        }
        if self.best().is_some() {
            return None;
        }
        let fuller_than_best = |taker: &dyn Fn(&&Side) -> bool| -> Vec<&Side> {
            let next = self.sides.iter().filter(taker).map(|side| side.next).fold(f64::INFINITY, f64::min);
            self.sides.iter().filter(|side| is_lower(next, side.load, 0.0)).collect()
        };
        let too_full = fuller_than_best(&|side| side.has_room());
        if !too_full.is_empty() {
            let cooling = too_full.iter().map(|side| side.cooling).sum();
            let users: i64 = too_full.iter().map(|side| side.users).sum();
            return Some(Rest::Held { cooling, bound: users - cooling });
        }
        Some(if fuller_than_best(&|_| true).is_empty() { Rest::Even } else { Rest::NoRoom })
    }

    /// How many keys live elsewhere than they did.
    pub(super) fn moved(&self) -> usize {
        self.moved
    }

    /// Who goes where, by key.
    pub(super) fn moves(&self) -> Vec<Move> {
        let id = |at: usize| self.sides[at].node.id;
        let moved = self.movers.iter().filter(|(_, mover)| mover.at != mover.home);
        moved.map(|(key, mover)| Move { key: *key, from: Some(id(mover.home)), to: id(mover.at) }).collect()
    }

    /// How much less the emptiest side weighs than the fullest, as a part of the latter's load.
    pub(super) fn spread(&self) -> f64 {
        let loads = || self.sides.iter().map(|side| load_with(&mut side.node.clone(), side.users));
        let (fullest, emptiest) = (loads().fold(0.0, f64::max), loads().fold(f64::INFINITY, f64::min));
        let emptier = emptiest / fullest;
        if fullest > 0.0 && emptier.is_finite() { 1.0 - emptier } else { 0.0 }
    }
}

impl Side {
    /// Nobody lives here yet, as far as is known.
    fn new(node: &Node) -> Self {
        Self {
            node: Node { current_users: 0, ..node.clone() },
            users: 0,
            clients: node.current_users,
            load: 0.0,
            next: 0.0,
            cooling: 0,
            queues: BTreeMap::new(),
        }
    }

    /// The wishes of a key that lives here, as conditions: a preferred place binds a key that stands in it.
    fn conditions(&self, wants: &Wants) -> Wants {
        let Some(preferred) = wants.location.as_ref().filter(|location| !location.required) else {
            return wants.clone();
        };
        let there = Some(Location { required: true, ..preferred.clone() });
        let stands_there = may_take(&self.node, &Wants { location: there.clone(), ..Wants::default() }).is_ok();
        Wants { location: there.filter(|_| stands_there), ..wants.clone() }
    }

    fn has_room(&self) -> bool {
        self.clients < self.node.max_users
    }

    fn weigh(&mut self) {
        let is_above_cap = self.users > self.node.max_users;
        self.load = if is_above_cap { f64::INFINITY } else { load_with(&mut self.node, self.users) };
        self.next = load_with(&mut self.node, self.users + 1);
    }
}

/// Whether a load is lower than another by more than a part of the latter.
fn is_lower(load: f64, than: f64, part: f64) -> bool {
    load < than * (1.0 - part.max(ROUNDING))
}
