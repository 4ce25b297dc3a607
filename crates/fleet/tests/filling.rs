//! Filling a fleet: nobody above his cap, and the highest load as low as any arrangement can make it.

use crate::{
    chance::cases,
    fleets::{any_well_fleet, at_most, carried_out, homeless, load, node, takes_keys},
};
use fleet::{
    id::NodeId,
    node::Node,
    place::{Key, place},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Keys that live nowhere, the newest first.
fn newcomers(count: i64) -> Vec<Key> {
    (1..=count).rev().map(homeless).collect()
}

fn room(node: &Node) -> i64 {
    if takes_keys(node) { (node.max_users - node.current_users).max(0) } else { 0 }
}

fn highest(nodes: &[&Node], users: &[i64]) -> f64 {
    nodes.iter().zip(users).map(|(node, users)| load(node, *users)).fold(0.0, f64::max)
}

/// The lowest that the highest load can be with `keys` more, found by trying every arrangement.
fn lowest_highest(nodes: &[&Node], users: &mut Vec<i64>, keys: i64) -> f64 {
    let Some(node) = nodes.get(users.len()) else {
        return if keys == 0 { highest(nodes, users) } else { f64::INFINITY };
    };
    let mut lowest = f64::INFINITY;
    for taken in 0..=keys.min(room(node)) {
        users.push(node.current_users + taken);
        lowest = lowest.min(lowest_highest(nodes, users, keys - taken));
        users.pop();
    }
    lowest
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn no_node_is_filled_above_its_cap(nodes in any_well_fleet(0..=8), keys in 0..=80_i64) {
        let placed = place(&nodes, &newcomers(keys));
        let (after, _) = carried_out(&nodes, &[], &placed);
        for (before, after) in nodes.iter().zip(&after) {
            let came = after.current_users - before.current_users;
            prop_assert!(came <= room(before), "{} took {came} with room for {}", before.name, room(before));
        }
        let room: i64 = nodes.iter().map(room).sum();
        prop_assert_eq!(placed.moves.len(), usize::try_from(keys.min(room)).unwrap(), "room is used");
        prop_assert_eq!(placed.moves.len() + placed.held.len(), usize::try_from(keys).unwrap(), "no key is lost");
    }

    #[test]
    fn no_node_took_a_key_that_weighed_less_elsewhere(nodes in any_well_fleet(1..=8), keys in 0..=60_i64) {
        let placed = place(&nodes, &newcomers(keys));
        let (after, _) = carried_out(&nodes, &[], &placed);
        let with_room = || after.iter().filter(|node| room(node) > 0);
        for (taker, _) in after.iter().zip(&nodes).filter(|(after, before)| after.current_users > before.current_users) {
            for other in with_room() {
                let (is, would_be) = (load(taker, taker.current_users), load(other, other.current_users + 1));
                prop_assert!(at_most(is, would_be), "{} at {is}, {} would be at {would_be}", taker.name, other.name);
            }
        }
    }

    #[test]
    fn no_other_arrangement_has_a_lower_highest_load(nodes in any_well_fleet(1..=4), keys in 1..=8_i64) {
        let placed = place(&nodes, &newcomers(keys));
        let (after, _) = carried_out(&nodes, &[], &placed);
        let takers: Vec<&Node> = nodes.iter().filter(|node| takes_keys(node)).collect();
        let users: Vec<i64> = after.iter().filter(|node| takes_keys(node)).map(|node| node.current_users).collect();
        let keys = i64::try_from(placed.moves.len()).unwrap();
        let lowest = lowest_highest(&takers, &mut Vec::new(), keys);
        prop_assert!(at_most(highest(&takers, &users), lowest), "{users:?} could be at {lowest}");
    }

    #[test]
    fn a_fleet_fills_alike_whatever_the_order_of_nodes_and_keys(
        (nodes, shuffled) in any_well_fleet(0..=8).prop_flat_map(|nodes| (Just(nodes.clone()), Just(nodes).prop_shuffle())),
        (keys, reordered) in (0..=40_i64).prop_map(newcomers).prop_flat_map(|k| (Just(k.clone()), Just(k).prop_shuffle())),
    ) {
        let homes = |nodes: &[Node], keys: &[Key]| -> Vec<NodeId> { place(nodes, keys).moves.iter().map(|m| m.to).collect() };
        prop_assert_eq!(homes(&nodes, &keys), homes(&shuffled, &reordered));
    }
}

fn filled(nodes: &[Node], keys: i64) -> BTreeMap<i64, i64> {
    let mut counts = BTreeMap::new();
    for at in place(nodes, &newcomers(keys)).moves {
        *counts.entry(at.to.0).or_default() += 1;
    }
    counts
}

#[test]
fn weight_matters_on_an_empty_fleet() {
    let nodes = [node(1), Node { weight: 3.0, ..node(2) }, Node { weight: 0.5, ..node(3) }];
    assert_eq!(filled(&nodes, 1), BTreeMap::from([(2, 1)]));
    assert_eq!(filled(&nodes, 9), BTreeMap::from([(1, 2), (2, 6), (3, 1)]));
}

#[test]
fn priority_and_cap_count_as_weight_does() {
    let heavy = Node { weight: 2.0, ..node(1) };
    let preferred = Node { priority: 200, ..node(2) };
    let large = Node { max_users: 20, ..node(3) };
    assert_eq!(filled(&[node(4), heavy, preferred, large], 14), BTreeMap::from([(1, 4), (2, 4), (3, 4), (4, 2)]));
}

#[test]
fn equals_are_filled_in_turn_from_the_lowest_id() {
    let nodes = [node(3), node(1), node(2)];
    let homes: Vec<i64> = place(&nodes, &newcomers(5)).moves.iter().map(|m| m.to.0).collect();
    assert_eq!(homes, [1, 2, 3, 1, 2]);
}

#[test]
fn one_large_node_runs_ahead_of_many_small_ones() {
    let mut nodes = vec![Node { max_users: 1000, ..node(1) }];
    nodes.extend((2..=11).map(node));
    assert_eq!(filled(&nodes, 100), BTreeMap::from([(1, 100)]), "one of a small node's ten weighs as much");
    assert_eq!(filled(&nodes, 110).len(), 11);
}
