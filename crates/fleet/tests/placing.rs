//! Where all keys should live: settled ones stay, the others go where one at a time would go.

use crate::{
    chance::cases,
    fleets::{any_fleet, any_keys, at, carried_out, homeless, node, pinned},
};
use fleet::{
    id::{KeyId, NodeId},
    node::{Health, Node, Policy},
    place::{Home, Key, Move, NoRoomKind, Placed, choose, count_off, may_arrive, may_keep, place},
};
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc};

fn down() -> Health {
    Health::Down { reason: "connection refused".to_owned() }
}

fn living(id: i64, node: i64, confirmed: bool) -> Key {
    Key { home: Some(Home { node: NodeId(node), confirmed }), ..homeless(id) }
}

/// What the design says of staying: a confirmed key always, another while the node could serve it.
fn stays(nodes: &[Node], key: &Key) -> bool {
    let Some(home) = key.home else { return false };
    nodes.iter().find(|node| node.id == home.node).is_some_and(|node| {
        let serves = match node.health {
            Health::Up => node.inbound.is_some(),
            Health::Unknown => true,
            Health::Doubtful { .. } | Health::Down { .. } => false,
        };
        home.confirmed || (node.policy == Policy::Active && serves)
    })
}

fn one_at_a_time(nodes: &[Node], keys: &[Key]) -> (Vec<Move>, Vec<(KeyId, NoRoomKind)>) {
    let mut filling = nodes.to_vec();
    let (mut moves, mut held) = (Vec::new(), Vec::new());
    for key in keys.iter().filter(|key| !stays(nodes, key)) {
        match choose(&filling, &key.wants) {
            Ok(to) => {
                filling.iter_mut().find(|node| node.id == to).expect("a node of the fleet").current_users += 1;
                let from = key.home.map(|home| home.node).filter(|from| nodes.iter().any(|node| node.id == *from));
                moves.push(Move { key: key.id, from, to });
            }
            Err(no_room) => held.push((key.id, no_room.kind)),
        }
    }
    (moves, held)
}

fn held(placed: &Placed) -> Vec<(KeyId, NoRoomKind)> {
    placed.held.iter().map(|held| (held.key, held.why.kind)).collect()
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn the_whole_fleet_is_placed_as_one_key_at_a_time_would_be(
        nodes in any_fleet(0..=8), keys in any_keys(0..=60),
    ) {
        let placed = place(&nodes, &keys);
        let (moves, without_room) = one_at_a_time(&nodes, &keys);
        prop_assert_eq!(&placed.moves, &moves);
        prop_assert_eq!(held(&placed), without_room);
    }

    #[test]
    fn a_second_pass_changes_nothing(nodes in any_fleet(0..=8), keys in any_keys(0..=60)) {
        let first = place(&nodes, &keys);
        let (nodes, keys) = carried_out(&nodes, &keys, &first);
        let second = place(&nodes, &keys);
        prop_assert_eq!(&second.moves, &[]);
        prop_assert_eq!(held(&second), held(&first));
    }

    #[test]
    fn settled_keys_are_not_touched(nodes in any_fleet(0..=8), keys in any_keys(0..=60)) {
        let placed = place(&nodes, &keys);
        let touched: BTreeSet<KeyId> =
            placed.moves.iter().map(|m| m.key).chain(placed.held.iter().map(|held| held.key)).collect();
        for key in &keys {
            prop_assert_eq!(touched.contains(&key.id), !stays(&nodes, key), "{:?}", key);
        }
    }

    #[test]
    fn no_node_is_ever_above_its_cap(nodes in any_fleet(0..=8), keys in any_keys(0..=80)) {
        let (after, _) = carried_out(&nodes, &keys, &place(&nodes, &keys));
        for (before, after) in nodes.iter().zip(&after) {
            let came = after.current_users - before.current_users;
            prop_assert!(came == 0 || after.current_users <= after.max_users, "{} took {came}: {after:?}", after.name);
        }
    }

    #[test]
    fn a_key_that_is_held_hears_from_every_node(nodes in any_fleet(0..=6), keys in any_keys(0..=40)) {
        for held in place(&nodes, &keys).held {
            prop_assert_eq!(held.why.refusals.len(), nodes.len());
            prop_assert!(held.why.refusals.iter().all(|r| !r.reasons.is_empty()), "{}", held.why);
        }
    }

    #[test]
    fn whoever_may_keep_a_key_is_known_to_the_design(nodes in any_fleet(1..=1), confirmed: bool) {
        let key = living(1, nodes[0].id.0, confirmed);
        let verdict = may_keep(&nodes[0], confirmed);
        prop_assert_eq!(verdict.is_ok(), stays(&nodes, &key));
        prop_assert!(verdict.err().is_none_or(|reasons| !reasons.is_empty()));
    }
}

#[test]
fn a_confirmed_key_stays_whatever_happens_to_its_node() {
    let broken =
        Node { policy: Policy::Inactive, health: down(), inbound: None, max_users: 0, current_users: 5, ..node(1) };
    assert_eq!(place(&[broken, node(2)], &[living(1, 1, true)]), Placed::default());
}

#[test]
fn a_key_that_was_never_confirmed_leaves_a_node_that_died() {
    let nodes = [Node { health: down(), current_users: 1, ..node(1) }, node(2)];
    let placed = place(&nodes, &[living(7, 1, false)]);
    assert_eq!(placed.moves, [Move { key: KeyId(7), from: Some(NodeId(1)), to: NodeId(2) }]);
    assert_eq!(placed.held, []);
}

#[test]
fn the_former_home_keeps_its_count_until_the_client_is_gone() {
    // Node 1 is emptied and full; the first key's leaving makes no room on it for the second.
    let leaving = Node { policy: Policy::Maintenance, max_users: 1, current_users: 1, ..node(1) };
    let mut to_1 = homeless(2);
    to_1.wants = pinned(1);
    let placed = place(&[leaving, node(2)], &[living(1, 1, false), to_1]);
    assert_eq!(placed.moves, [Move { key: KeyId(1), from: Some(NodeId(1)), to: NodeId(2) }]);
    assert_eq!(held(&placed), [(KeyId(2), NoRoomKind::NoHealthyNode)]);
}

#[test]
fn a_home_that_is_no_node_of_ours_is_none() {
    let placed = place(&[node(1)], &[living(1, 99, true)]);
    assert_eq!(placed.moves, [Move { key: KeyId(1), from: None, to: NodeId(1) }]);
}

#[test]
fn keys_of_different_wishes_see_each_others_moves() {
    let mut nodes = [node(1), node(2)];
    nodes[0].location = Some("Oslo".to_owned());
    nodes[0].max_users = 2;
    let wish = |id, wants| Key { wants, ..homeless(id) };
    let keys = [
        wish(1, at("oslo", true)),
        wish(2, pinned(1)),
        wish(3, at("Oslo", false)),
        wish(4, at("Oslo", true)),
        wish(5, at("Oslo", true)),
    ];
    let placed = place(&nodes, &keys);
    let homes: Vec<(i64, i64)> = placed.moves.iter().map(|m| (m.key.0, m.to.0)).collect();
    assert_eq!(homes, [(1, 1), (2, 1), (3, 2)]);
    assert_eq!(held(&placed), [(KeyId(4), NoRoomKind::NoCapacity), (KeyId(5), NoRoomKind::NoCapacity)]);
    assert!(Arc::ptr_eq(&placed.held[0].why, &placed.held[1].why), "reasons are shared among equal wishes");
}

#[test]
fn a_key_goes_on_arriving_where_it_could_live_and_was_not_refused() {
    let well = node(1);
    assert!(may_arrive(&well, &[]) && may_arrive(&well, &[NodeId(2)]));
    assert!(!may_arrive(&well, &[NodeId(2), NodeId(1)]), "it refused this very key");
    assert!(!may_arrive(&Node { health: down(), ..well.clone() }, &[]));
    assert!(!may_arrive(&Node { policy: Policy::Maintenance, ..well }, &[]));
}

#[test]
fn what_a_node_holds_of_keys_that_come_to_it_is_counted_off() {
    let mut nodes = [1, 2].map(|id| Node { current_users: 5, ..node(id) });
    count_off(&mut nodes, [NodeId(1), NodeId(1), NodeId(3)]);
    assert_eq!(nodes.map(|node| node.current_users), [3, 5]);
}
