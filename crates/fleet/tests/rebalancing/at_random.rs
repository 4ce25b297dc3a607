//! Fleets of every kind, and what must be true of their balance whatever they are.

use super::{EAGER, NOW, carried_out, many, resident};
use crate::{
    chance::cases,
    fleets::{any_fleet, any_wants, any_well_fleet, at_most, load, takes_keys},
};
use fleet::{
    id::{KeyId, NodeId},
    node::Node,
    place::{Location, Move, Wants, may_take},
    rebalance::{Resident, Rest, Settings, rebalance},
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeSet;

fn count(keys: &[Resident], node: NodeId) -> i64 {
    many(keys.iter().filter(|key| key.node == node).count())
}

/// Keys on these nodes, which are told of them; beside them up to two clients that are leaving.
fn moved_in(mut nodes: Vec<Node>, keys: Vec<Resident>) -> (Vec<Node>, Vec<Resident>) {
    for node in &mut nodes {
        node.current_users = node.current_users % 3 + count(&keys, node.id);
    }
    (nodes, keys)
}

fn any_residents(nodes: i64, wants: impl Strategy<Value = Wants>) -> impl Strategy<Value = Vec<Resident>> {
    let seen = prop::option::of(0..=9_i64);
    let moved = prop_oneof![3 => Just(None), 1 => (NOW - 200..=NOW).prop_map(Some)];
    vec((1..=nodes, seen, moved, wants), 0..=40).prop_map(|keys| {
        let resident =
            |(key, (node, seen_ms, moved_ms, wants))| Resident { seen_ms, moved_ms, wants, ..resident(key, node) };
        (1..).zip(keys).map(resident).collect()
    })
}

/// Nodes in any state, keys with any wishes; some live on no node of ours.
fn any_settled_fleet() -> impl Strategy<Value = (Vec<Node>, Vec<Resident>)> {
    let wants = prop_oneof![1 => Just(Wants::default()), 1 => any_wants()];
    (any_fleet(0..=6), any_residents(7, wants)).prop_map(|(nodes, keys)| moved_in(nodes, keys))
}

/// Nodes that are well, keys that may live anywhere, nobody leaving.
fn any_free_fleet(nodes: usize, keys: usize) -> impl Strategy<Value = (Vec<Node>, Vec<Resident>)> {
    (any_well_fleet(2..=nodes), any_residents(many(nodes), Just(Wants::default()))).prop_map(
        move |(mut nodes, mut residents)| {
            residents.truncate(keys);
            for node in &mut nodes {
                node.current_users = 0;
            }
            for key in &mut residents {
                key.moved_ms = None;
            }
            moved_in(nodes, residents)
        },
    )
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let budget = prop_oneof![2 => Just(usize::MAX), 1 => 0..=6_usize];
    let tolerance = prop_oneof![2 => Just(0.0), 1 => 0.0..=1.0_f64];
    (tolerance, budget, prop_oneof![Just(0), Just(100)]).prop_map(|(tolerance, budget, cool_down_ms)| Settings {
        tolerance,
        budget,
        cool_down_ms,
    })
}

fn takes_part(node: &Node) -> bool {
    may_take(&Node { current_users: 0, ..node.clone() }, &Wants::default()).is_ok()
}

/// The load as rebalancing sees it: beyond measure above the cap.
fn weighs(node: &Node, keys: i64) -> f64 {
    if keys > node.max_users { f64::INFINITY } else { load(node, keys) }
}

/// The fewest moves to an arrangement in which no key would weigh less elsewhere, found by trying every arrangement.
fn fewest(nodes: &[&Node], before: &[i64], tried: &mut Vec<i64>, keys: i64) -> Option<i64> {
    let Some(node) = nodes.get(tried.len()) else {
        let even = nodes.iter().zip(&*tried).all(|(full, is)| {
            let elsewhere = nodes.iter().zip(&*tried).filter(|(node, is)| **is < node.max_users);
            *is == 0 || elsewhere.into_iter().all(|(node, on)| at_most(weighs(full, *is), load(node, *on + 1)))
        });
        let moves = before.iter().zip(&*tried).map(|(before, is)| (before - is).max(0)).sum();
        return (keys == 0 && even).then_some(moves);
    };
    let most = keys.min(node.max_users.max(before[tried.len()]));
    let found = (0..=most).filter_map(|on| {
        tried.push(on);
        let moves = fewest(nodes, before, tried, keys - on);
        tried.pop();
        moves
    });
    found.min()
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn no_rule_is_broken_for_the_sake_of_balance((nodes, keys) in any_settled_fleet(), settings in any_settings()) {
        let done = rebalance(&nodes, &keys, &settings, NOW);
        let (after, _) = carried_out(&nodes, &keys, &done);
        for (before, after) in nodes.iter().zip(&after) {
            let came = after.current_users - before.current_users;
            prop_assert!(came == 0 || after.current_users <= after.max_users, "{} took {came}: {after:?}", after.name);
        }
        prop_assert!(done.moves.len() <= settings.budget);
        for Move { key, from, to } in &done.moves {
            let key = keys.iter().find(|known| known.key == *key).unwrap();
            let find = |id: NodeId| nodes.iter().find(|node| node.id == id).unwrap();
            let (source, target) = (find(key.node), find(*to));
            prop_assert!(*from == Some(key.node) && *to != key.node);
            prop_assert!(takes_part(source) && takes_part(target));
            let empty = |node: &Node| Node { current_users: 0, ..node.clone() };
            prop_assert_eq!(may_take(&empty(target), &key.wants), Ok(()));
            if let Some(wish) = key.wants.location.clone() {
                let there = Wants { location: Some(Location { required: true, ..wish }), ..Wants::default() };
                let stands = |node: &Node| may_take(&empty(node), &there).is_ok();
                prop_assert!(!stands(source) || stands(target), "{:?} left the place it prefers", key);
            }
            prop_assert!(key.moved_ms.is_none_or(|moved| NOW - moved >= settings.cool_down_ms));
        }
    }

    #[test]
    fn no_key_is_lost_and_every_node_is_told_of((nodes, keys) in any_settled_fleet(), settings in any_settings()) {
        let done = rebalance(&nodes, &keys, &settings, NOW);
        let moved: BTreeSet<KeyId> = done.moves.iter().map(|of| of.key).collect();
        prop_assert_eq!(moved.len(), done.moves.len(), "no key moves twice");
        let (_, settled) = carried_out(&nodes, &keys, &done);
        let mut told = 0;
        for share in &done.shares {
            prop_assert_eq!((share.before, share.after), (count(&keys, share.node), count(&settled, share.node)));
            prop_assert_eq!(share.reasons.is_empty(), share.fair.is_some());
            told += share.after;
        }
        let ours = keys.iter().filter(|key| nodes.iter().any(|node| node.id == key.node)).count();
        prop_assert_eq!(told, many(ours));
        prop_assert_eq!(done.shares.len(), nodes.len());
    }

    #[test]
    fn a_second_call_finds_nothing_to_do((nodes, keys) in any_settled_fleet(), settings in any_settings()) {
        let done = rebalance(&nodes, &keys, &settings, NOW);
        let used_up = matches!(done.rest, Rest::Budget { .. });
        let (nodes, keys) = carried_out(&nodes, &keys, &done);
        let again = rebalance(&nodes, &keys, &settings, NOW);
        prop_assert!(used_up || again.moves.is_empty(), "{:?}, then {:?}", done, again);
    }

    #[test]
    fn the_order_of_nodes_and_keys_does_not_matter(
        ((nodes, keys), shuffled_nodes, shuffled_keys) in any_settled_fleet().prop_flat_map(|(nodes, keys)| {
            (Just((nodes.clone(), keys.clone())), Just(nodes).prop_shuffle(), Just(keys).prop_shuffle())
        }),
        settings in any_settings(),
    ) {
        prop_assert_eq!(
            rebalance(&nodes, &keys, &settings, NOW),
            rebalance(&shuffled_nodes, &shuffled_keys, &settings, NOW)
        );
    }

    #[test]
    fn no_key_would_weigh_less_elsewhere((nodes, keys) in any_free_fleet(6, 40)) {
        let done = rebalance(&nodes, &keys, &EAGER, NOW);
        let (_, settled) = carried_out(&nodes, &keys, &done);
        let sides = || nodes.iter().filter(|node| takes_keys(node)).map(|node| (node, count(&settled, node.id)));
        for (full, is) in sides().filter(|(_, is)| *is > 0) {
            for (other, on) in sides().filter(|(node, on)| *on < node.max_users) {
                let (here, there) = (weighs(full, is), load(other, on + 1));
                prop_assert!(at_most(here, there), "{} at {here}, {} would be at {there}", full.name, other.name);
            }
        }
    }

    #[test]
    fn there_are_as_many_moves_as_keys_are_missing_from_the_shares((nodes, keys) in any_free_fleet(6, 40)) {
        let done = rebalance(&nodes, &keys, &EAGER, NOW);
        let missing = done.shares.iter().map(|share| share.fair.map_or(0, |fair| (fair - share.before).max(0)));
        prop_assert_eq!(many(done.moves.len()), missing.sum::<i64>(), "{:?}", done);
    }

    #[test]
    fn a_fleet_within_the_tolerance_is_left_alone((nodes, keys) in any_free_fleet(4, 40), tolerance in 0.0..=1.0_f64) {
        let done = rebalance(&nodes, &keys, &Settings { tolerance, ..EAGER }, NOW);
        let is_above = |node: &Node| takes_keys(node) && count(&keys, node.id) > node.max_users;
        if done.spread_before <= tolerance && !nodes.iter().any(is_above) {
            prop_assert_eq!(done.moves, []);
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn no_other_way_takes_fewer_moves((nodes, keys) in any_free_fleet(4, 9)) {
        let done = rebalance(&nodes, &keys, &EAGER, NOW);
        let sides: Vec<&Node> = nodes.iter().filter(|node| takes_keys(node)).collect();
        prop_assume!(sides.len() > 1);
        let before: Vec<i64> = sides.iter().map(|node| count(&keys, node.id)).collect();
        let least = fewest(&sides, &before, &mut Vec::new(), before.iter().sum());
        prop_assert_eq!(Some(many(done.moves.len())), least, "{:?}", done);
    }
}
