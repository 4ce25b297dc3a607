//! Evening out the fleet: the fewest moves that lead to its shares, and none that is not worth it.

mod at_random;

use crate::fleets::{at, at_most, node, pinned};
use fleet::{
    id::{KeyId, NodeId},
    node::{Health, Node, Policy},
    place::{Reason, Wants},
    rebalance::{Rebalanced, Resident, Rest, Settings, rebalance},
};
use std::collections::BTreeMap;

const NOW: i64 = 1_000_000;
/// Everything at once, whatever it takes.
const EAGER: Settings = Settings { tolerance: 0.0, budget: usize::MAX, cool_down_ms: 100 };

fn many(count: usize) -> i64 {
    i64::try_from(count).expect("few of them")
}

fn resident(key: i64, node: i64) -> Resident {
    Resident { key: KeyId(key), node: NodeId(node), seen_ms: None, moved_ms: None, wants: Wants::default() }
}

/// So many keys on each of these nodes, which are told of them.
fn inhabited(nodes: &mut [Node], counts: &[i64]) -> Vec<Resident> {
    let mut keys = Vec::new();
    for (node, count) in nodes.iter_mut().zip(counts) {
        node.current_users += count;
        for _ in 0..*count {
            keys.push(resident(many(keys.len()) + 1, node.id.0));
        }
    }
    keys
}

fn after(done: &Rebalanced) -> Vec<i64> {
    done.shares.iter().map(|share| share.after).collect()
}

fn keys_moved(done: &Rebalanced) -> Vec<i64> {
    done.moves.iter().map(|of| of.key.0).collect()
}

/// The fleet once everything is where it should be; the clients left behind are still there.
fn carried_out(nodes: &[Node], keys: &[Resident], done: &Rebalanced) -> (Vec<Node>, Vec<Resident>) {
    let to: BTreeMap<KeyId, NodeId> = done.moves.iter().map(|of| (of.key, of.to)).collect();
    let came = |node: NodeId| many(to.values().filter(|to| **to == node).count());
    let nodes =
        nodes.iter().map(|node| Node { current_users: node.current_users + came(node.id), ..node.clone() }).collect();
    let moved = |key: &Resident| match to.get(&key.key) {
        Some(node) => Resident { node: *node, moved_ms: Some(NOW), ..key.clone() },
        None => key.clone(),
    };
    (nodes, keys.iter().map(moved).collect())
}

fn wide(id: i64) -> Node {
    Node { max_users: 100, ..node(id) }
}

#[test]
fn an_uneven_fleet_gets_its_weighted_shares() {
    let mut nodes = [wide(1), wide(2), Node { weight: 2.0, ..wide(3) }];
    let keys = inhabited(&mut nodes, &[12, 0, 0]);
    let done = rebalance(&nodes, &keys, &EAGER, NOW);
    assert_eq!(after(&done), [3, 3, 6]);
    assert_eq!(done.moves.len(), 9);
    assert_eq!(done.rest, Rest::Even);
    assert_eq!(done.shares.iter().map(|share| share.fair).collect::<Vec<_>>(), [Some(3), Some(3), Some(6)]);
    assert!(at_most(done.spread_after, 0.0) && at_most(1.0, done.spread_before));
    let (nodes, keys) = carried_out(&nodes, &keys, &done);
    assert_eq!(rebalance(&nodes, &keys, &EAGER, NOW).moves, []);
}

#[test]
fn what_one_key_causes_is_no_imbalance() {
    for (counts, small) in [([0, 1], 100), ([1, 0], 100), ([3, 4], 100), ([90, 0], 1)] {
        let mut nodes = [wide(1), Node { max_users: small, ..wide(2) }];
        let keys = inhabited(&mut nodes, &counts);
        let done = rebalance(&nodes, &keys, &EAGER, NOW);
        assert_eq!((done.moves.len(), &done.rest), (0, &Rest::Even), "{counts:?}");
        assert_eq!(done.shares.iter().map(|share| share.fair).collect::<Vec<_>>(), counts.map(Some), "{counts:?}");
    }
}

#[test]
fn nothing_is_done_within_the_tolerance() {
    let tolerance = Settings { tolerance: 0.1, ..EAGER };
    let moves = |counts: [i64; 2]| {
        let mut nodes = [wide(1), wide(2)];
        let keys = inhabited(&mut nodes, &counts);
        let done = rebalance(&nodes, &keys, &tolerance, NOW);
        (done.moves.len(), done.rest)
    };
    assert_eq!(moves([50, 45]), (0, Rest::Tolerated { tolerance: 0.1 }));
    assert_eq!(moves([50, 44]), (3, Rest::Even), "once begun it is done well");
}

#[test]
fn a_key_is_not_moved_twice_within_the_cool_down() {
    let mut nodes = [wide(1), wide(2)];
    let mut keys = inhabited(&mut nodes, &[4, 0]);
    for key in &mut keys[..3] {
        key.moved_ms = Some(NOW - EAGER.cool_down_ms + 1);
    }
    keys[3].moved_ms = Some(NOW - EAGER.cool_down_ms);
    let done = rebalance(&nodes, &keys, &EAGER, NOW);
    assert_eq!(keys_moved(&done), [4]);
    assert_eq!(done.rest, Rest::Held { cooling: 3, bound: 0 });
}

#[test]
fn keys_that_are_bound_stay_and_the_others_are_spread_around_them() {
    let mut nodes = [wide(1), wide(2), wide(3)];
    let mut keys = inhabited(&mut nodes, &[30, 20, 10]);
    for key in &mut keys[..30] {
        key.wants = pinned(1);
    }
    let done = rebalance(&nodes, &keys, &EAGER, NOW);
    assert_eq!(after(&done), [30, 15, 15]);
    assert_eq!(done.rest, Rest::Held { cooling: 0, bound: 30 });
}

#[test]
fn a_required_place_binds_and_a_preferred_one_is_not_left() {
    let oslo = |id| Node { location: Some("Oslo".to_owned()), ..wide(id) };
    let mut nodes = [oslo(1), oslo(2), wide(3)];
    let mut keys = inhabited(&mut nodes, &[6, 0, 0]);
    keys[0].wants = at("oslo", true);
    for key in &mut keys[1..] {
        key.wants = at("OSLO", false);
    }
    assert_eq!(after(&rebalance(&nodes, &keys, &EAGER, NOW)), [3, 3, 0]);
    // Those who are not where they would like to be may go anywhere.
    for key in &mut keys[1..] {
        key.wants = at("Bergen", false);
    }
    assert_eq!(after(&rebalance(&nodes, &keys, &EAGER, NOW)), [2, 2, 2]);
}

#[test]
fn leaving_clients_use_up_room_but_do_not_count_as_load() {
    let mut nodes = [node(1), Node { current_users: 9, ..node(2) }, Node { policy: Policy::Inactive, ..node(3) }];
    let keys = inhabited(&mut nodes, &[8, 0]);
    let done = rebalance(&nodes, &keys, &EAGER, NOW);
    assert_eq!(after(&done), [7, 1, 0]);
    assert_eq!(done.rest, Rest::NoRoom);
}

#[test]
fn a_node_that_is_down_or_being_emptied_takes_no_part() {
    let down = Health::Down { reason: "no answer".to_owned() };
    let mut nodes =
        [Node { policy: Policy::Maintenance, ..wide(1) }, Node { health: down, ..wide(2) }, wide(3), wide(4)];
    let keys = inhabited(&mut nodes, &[9, 0, 4, 0]);
    let done = rebalance(&nodes, &keys, &EAGER, NOW);
    assert_eq!(after(&done), [9, 0, 2, 2]);
    assert_eq!(done.shares[0].reasons, [Reason::Policy { policy: Policy::Maintenance }]);
    assert_eq!((done.shares[1].fair, done.shares[2].fair), (None, Some(2)));
    assert_eq!(rebalance(&nodes[..3], &keys, &EAGER, NOW).rest, Rest::Alone);
}

#[test]
fn a_node_above_its_cap_gives() {
    let mut nodes = [Node { weight: 9.0, max_users: 5, ..node(1) }, Node { weight: 0.1, ..node(2) }];
    let keys = inhabited(&mut nodes, &[8, 0]);
    assert_eq!(after(&rebalance(&nodes, &keys, &EAGER, NOW)), [5, 3]);
}

#[test]
fn who_was_never_seen_moves_first_then_who_was_not_seen_for_longest() {
    let mut nodes = [wide(1), wide(2)];
    let mut keys = inhabited(&mut nodes, &[8, 0]);
    for (key, seen_ms) in keys.iter_mut().zip([Some(9), Some(2), None, Some(5), Some(2), Some(2), None, Some(9)]) {
        key.seen_ms = seen_ms;
    }
    assert_eq!(keys_moved(&rebalance(&nodes, &keys, &EAGER, NOW)), [2, 3, 5, 7]);
}

#[test]
fn a_budget_takes_it_step_by_step_to_the_same_shares() {
    let mut nodes = vec![wide(1), wide(2), wide(3)];
    let mut keys = inhabited(&mut nodes, &[12, 6, 0]);
    let step = Settings { budget: 2, ..EAGER };
    let mut counts = Vec::new();
    for _ in 0..4 {
        let done = rebalance(&nodes, &keys, &step, NOW);
        counts.push((after(&done), done.rest == Rest::Budget { budget: 2 }));
        (nodes, keys) = carried_out(&nodes, &keys, &done);
    }
    let steps = [(vec![10, 6, 2], true), (vec![8, 6, 4], true), (vec![6, 6, 6], false), (vec![6, 6, 6], false)];
    assert_eq!(counts, steps);
    let none = rebalance(&nodes, &inhabited(&mut [wide(1)], &[12]), &Settings { budget: 0, ..EAGER }, NOW);
    assert_eq!((none.moves.len(), none.rest), (0, Rest::Budget { budget: 0 }));
}

#[test]
fn an_empty_fleet_has_nothing_to_even_out() {
    let done = rebalance(&[], &[resident(1, 1)], &EAGER, NOW);
    assert_eq!((done.moves, done.shares, done.rest), (Vec::new(), Vec::new(), Rest::Alone));
    assert_eq!(rebalance(&[node(1), node(2)], &[], &EAGER, NOW).rest, Rest::Even);
}
