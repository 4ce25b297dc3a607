//! Fleets, keys and wishes: plain ones to tell stories with, and any there may be.

use fleet::{
    id::{InboundId, KeyId, NodeId},
    node::{Health, Node, Policy},
    place::{Home, Key, Location, Placed, Wants},
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::{collections::BTreeMap, ops::RangeInclusive};

/// Where nodes stand, as operators write it.
pub(crate) const PLACES: [&str; 4] = ["Oslo", "OSLO", "Köln", "KÖLN"];

/// A node that takes ten keys and has none.
pub(crate) fn node(id: i64) -> Node {
    Node {
        id: NodeId(id),
        name: format!("node-{id}"),
        location: None,
        policy: Policy::Active,
        health: Health::Up,
        inbound: Some(InboundId(1)),
        max_users: 10,
        priority: 100,
        weight: 1.0,
        current_users: 0,
    }
}

/// A key that lives nowhere and wishes nothing.
pub(crate) fn homeless(id: i64) -> Key {
    Key { id: KeyId(id), home: None, wants: Wants::default() }
}

pub(crate) fn pinned(node: i64) -> Wants {
    Wants { pin: Some(NodeId(node)), ..Wants::default() }
}

pub(crate) fn at(name: &str, required: bool) -> Wants {
    Wants { location: Some(Location { name: name.to_owned(), required }), ..Wants::default() }
}

/// Whether the settings of a node let it take anybody at all.
pub(crate) fn takes_keys(node: &Node) -> bool {
    node.max_users > 0 && node.priority > 0 && node.weight > 0.0
}

/// How much a node counts for: its cap, by priority and weight.
#[expect(clippy::cast_precision_loss, reason = "made-up numbers are small")]
pub(crate) fn strength(node: &Node) -> f64 {
    node.max_users as f64 * (node.priority as f64 / 100.0) * node.weight
}

#[expect(clippy::cast_precision_loss, reason = "made-up numbers are small")]
pub(crate) fn load(node: &Node, users: i64) -> f64 {
    users as f64 / strength(node)
}

/// `a <= b`, but for the last digits.
pub(crate) fn at_most(a: f64, b: f64) -> bool {
    a <= b || a - b <= b.abs() * 1e-9
}

/// The fleet and its keys once everything is where it should be.
pub(crate) fn carried_out(nodes: &[Node], keys: &[Key], placed: &Placed) -> (Vec<Node>, Vec<Key>) {
    let (mut nodes, mut keys) = (nodes.to_vec(), keys.to_vec());
    let moves: BTreeMap<KeyId, NodeId> = placed.moves.iter().map(|m| (m.key, m.to)).collect();
    for node in &mut nodes {
        let came = placed.moves.iter().filter(|m| m.to == node.id).count();
        node.current_users += i64::try_from(came).expect("few keys");
    }
    for key in &mut keys {
        if let Some(to) = moves.get(&key.id) {
            key.home = Some(Home { node: *to, confirmed: false });
        }
    }
    (nodes, keys)
}

fn any_weight() -> impl Strategy<Value = f64> {
    prop_oneof![
        12 => 0.01..50.0_f64,
        4 => select(vec![0.5, 1.0, 2.0]),
        1 => select(vec![0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

fn any_priority() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 1..=400_i64, 4 => Just(100), 1 => select(vec![0, -1, i64::MIN, i64::MAX])]
}

fn any_health() -> impl Strategy<Value = Health> {
    let down = Just(Health::Down { reason: "no answer".to_owned() });
    prop_oneof![8 => Just(Health::Up), 1 => Just(Health::Unknown), 1 => down]
}

/// A node that is well, with any settings and fill; it may hold more than its cap.
pub(crate) fn any_well_node() -> impl Strategy<Value = Node> {
    let cap = prop_oneof![10 => 1..=12_i64, 1 => select(vec![0, -1, i64::MIN])];
    (cap, any_priority(), any_weight(), prop_oneof![Just(0), 0..=13_i64]).prop_map(
        |(max_users, priority, weight, current_users)| Node { max_users, priority, weight, current_users, ..node(0) },
    )
}

fn any_node() -> impl Strategy<Value = Node> {
    let policy = prop_oneof![8 => Just(Policy::Active), 1 => Just(Policy::Maintenance), 1 => Just(Policy::Inactive)];
    let inbound = prop_oneof![8 => Just(Some(InboundId(7))), 1 => Just(None)];
    let place = prop::option::of(select(&PLACES[..]));
    (any_well_node(), policy, any_health(), inbound, place).prop_map(|(node, policy, health, inbound, place)| Node {
        policy,
        health,
        inbound,
        location: place.map(str::to_owned),
        ..node
    })
}

/// Ids in no order, as a database may list them.
fn fleet_of(each: impl Strategy<Value = Node>, size: RangeInclusive<usize>) -> impl Strategy<Value = Vec<Node>> {
    vec(each, size)
        .prop_map(|mut nodes| {
            for (id, node) in (1..).zip(&mut nodes) {
                node.id = NodeId(id);
                node.name = format!("node-{id}");
            }
            nodes
        })
        .prop_shuffle()
}

/// Nodes that are well, with any weights, priorities, caps and fill.
pub(crate) fn any_well_fleet(size: RangeInclusive<usize>) -> impl Strategy<Value = Vec<Node>> {
    fleet_of(any_well_node(), size)
}

/// Nodes in any state.
pub(crate) fn any_fleet(size: RangeInclusive<usize>) -> impl Strategy<Value = Vec<Node>> {
    fleet_of(any_node(), size)
}

/// A node's id, or that of no node.
fn any_id() -> impl Strategy<Value = NodeId> {
    (1..=9_i64).prop_map(NodeId)
}

pub(crate) fn any_wants() -> impl Strategy<Value = Wants> {
    let pin = prop_oneof![6 => Just(None), 1 => any_id().prop_map(Some)];
    let name = select(vec!["oslo", "Oslo", "köln", "Nowhere"]);
    let location = prop::option::of(
        (name, any::<bool>()).prop_map(|(name, required)| Location { name: name.to_owned(), required }),
    );
    let avoid = prop_oneof![4 => vec(any_id(), 0..1), 1 => vec(any_id(), 1..4)];
    (pin, location, avoid).prop_map(|(pin, location, avoid)| Wants {
        pin,
        location,
        avoid: avoid.into_iter().collect(),
    })
}

/// Keys with homes here, homes on no node of ours, or none; in any order.
pub(crate) fn any_keys(size: RangeInclusive<usize>) -> impl Strategy<Value = Vec<Key>> {
    let home = (any_id(), any::<bool>()).prop_map(|(node, confirmed)| Home { node, confirmed });
    vec((prop::option::of(home), any_wants()), size)
        .prop_map(|keys| (1..).zip(keys).map(|(id, (home, wants))| Key { id: KeyId(id), home, wants }).collect())
        .prop_shuffle()
}
