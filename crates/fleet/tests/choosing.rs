//! One key, one node: the willing one with the least load, or every node's reasons.

use crate::{
    chance::cases,
    fleets::{any_fleet, any_wants, at, node, pinned, takes_keys},
};
use fleet::{
    id::NodeId,
    node::{Health, Node, Policy},
    place::{NoRoomKind, Reason, Wants, choose, explain, load_after, may_take},
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The design's list of reasons, once more and in the words of the wire; a mere preference is none.
fn reasons(node: &Node, wants: &Wants) -> BTreeSet<&'static str> {
    let stands = |name: &str| node.location.as_ref().is_some_and(|at| at.to_lowercase() == name.to_lowercase());
    let all = [
        ("not_pinned", wants.pin.is_some_and(|pin| pin != node.id)),
        ("avoided", wants.avoid.contains(&node.id)),
        ("elsewhere", wants.location.as_ref().is_some_and(|wish| wish.required && !stands(&wish.name))),
        ("policy", node.policy != Policy::Active),
        ("not_observed", node.health == Health::Unknown),
        ("down", matches!(node.health, Health::Down { .. })),
        ("no_inbound", node.inbound.is_none()),
        ("takes_nobody", !takes_keys(node)),
        ("full", node.max_users > 0 && node.current_users >= node.max_users),
    ];
    all.into_iter().filter_map(|(code, holds)| holds.then_some(code)).collect()
}

fn codes(reasons: &[Reason]) -> BTreeSet<String> {
    let code = |reason| serde_json::to_value(reason).ok()?["code"].as_str().map(str::to_owned);
    reasons.iter().map(|reason| code(reason).expect("a code")).collect()
}

/// `choose` in the plainest way: ask all, sort, take the first.
fn expected(nodes: &[Node], wants: &Wants) -> Option<NodeId> {
    let mut wishes = vec![wants.clone()];
    if let Some(wish) = wants.location.as_ref().filter(|wish| !wish.required) {
        wishes.insert(0, Wants { location: at(&wish.name, true).location, ..wants.clone() });
    }
    wishes.iter().find_map(|wants| {
        let mut willing: Vec<&Node> = nodes.iter().filter(|node| reasons(node, wants).is_empty()).collect();
        willing.sort_by(|a, b| load_after(a).total_cmp(&load_after(b)).then(a.id.cmp(&b.id)));
        willing.first().map(|node| node.id)
    })
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn the_willing_node_with_the_least_load_is_chosen(nodes in any_fleet(0..=8), wants in any_wants()) {
        prop_assert_eq!(choose(&nodes, &wants).ok(), expected(&nodes, &wants));
    }

    #[test]
    fn all_reasons_are_told(nodes in any_fleet(1..=1), wants in any_wants()) {
        let told = may_take(&nodes[0], &wants).err().unwrap_or_default();
        let words: BTreeSet<String> = reasons(&nodes[0], &wants).into_iter().map(str::to_owned).collect();
        prop_assert_eq!(codes(&told), words);
    }

    #[test]
    fn whoever_finds_no_room_hears_from_every_node(nodes in any_fleet(0..=6), wants in any_wants()) {
        let Err(no_room) = choose(&nodes, &wants) else { return Ok(()) };
        let mut ids: Vec<NodeId> = nodes.iter().map(|node| node.id).collect();
        ids.sort();
        prop_assert_eq!(no_room.refusals.iter().map(|r| r.node).collect::<Vec<_>>(), ids);
        for refusal in &no_room.refusals {
            let node = nodes.iter().find(|node| node.id == refusal.node).unwrap();
            prop_assert_eq!(Err(refusal.reasons.clone()), may_take(node, &wants));
        }
        // What would be if there were room without end.
        let roomy = |node: &Node| Node { max_users: i64::MAX, priority: 100, weight: 1.0, ..node.clone() };
        let room_would_do = nodes.iter().any(|node| reasons(&roomy(node), &wants).is_empty());
        let kind = if room_would_do { NoRoomKind::NoCapacity } else { NoRoomKind::NoHealthyNode };
        prop_assert_eq!(no_room.kind, kind);
    }

    #[test]
    fn the_explanation_lists_every_node_and_the_chosen_one_first(nodes in any_fleet(0..=8), wants in any_wants()) {
        let verdicts = explain(&nodes, &wants);
        let named: BTreeSet<NodeId> = verdicts.iter().map(|v| v.node).collect();
        prop_assert_eq!(named, nodes.iter().map(|node| node.id).collect());
        let first = verdicts.first().filter(|v| v.reasons.is_empty()).map(|v| v.node);
        prop_assert_eq!(first, choose(&nodes, &wants).ok());
        for verdict in &verdicts {
            prop_assert_eq!(verdict.load_after.is_some(), verdict.reasons.is_empty());
        }
    }
}

#[test]
fn a_setting_of_zero_or_less_takes_nobody() {
    let settings: [(&str, Node); 8] = [
        ("max_users", Node { max_users: 0, ..node(1) }),
        ("max_users", Node { max_users: -1, ..node(1) }),
        ("weight", Node { weight: 0.0, ..node(1) }),
        ("weight", Node { weight: -0.5, ..node(1) }),
        ("weight", Node { weight: f64::NAN, ..node(1) }),
        ("weight", Node { weight: f64::NEG_INFINITY, ..node(1) }),
        ("priority", Node { priority: 0, ..node(1) }),
        ("priority", Node { priority: -100, ..node(1) }),
    ];
    for (setting, node) in settings {
        let no_room = choose(std::slice::from_ref(&node), &Wants::default()).unwrap_err();
        assert_eq!(no_room.kind, NoRoomKind::NoCapacity, "{node:?}");
        assert_eq!(no_room.refusals[0].reasons, [Reason::TakesNobody { setting }], "{node:?}");
    }
}

#[test]
fn a_place_may_be_preferred_or_required() {
    let oslo = |id| Node { location: Some("Oslo".to_owned()), ..node(id) };
    let busy = Node { current_users: 9, ..oslo(2) };
    let full = Node { current_users: 10, ..oslo(2) };
    assert_eq!(choose(&[node(1), busy.clone()], &at("OSLO", false)), Ok(NodeId(2)), "a wish beats a lower load");
    assert_eq!(choose(&[node(1), busy], &at("oslo", true)), Ok(NodeId(2)));
    assert_eq!(choose(&[node(1), full.clone()], &at("oslo", false)), Ok(NodeId(1)), "any place before none");
    assert_eq!(choose(&[node(1), full], &at("oslo", true)).unwrap_err().kind, NoRoomKind::NoCapacity);
    assert_eq!(choose(&[node(1)], &at("oslo", true)).unwrap_err().kind, NoRoomKind::NoHealthyNode);
}

#[test]
fn the_lowest_id_wins_among_equals() {
    assert_eq!(choose(&[node(3), node(2), node(4)], &Wants::default()), Ok(NodeId(2)));
}

#[test]
fn a_pin_is_obeyed_and_a_refusal_remembered() {
    let nodes = [node(1), Node { current_users: 9, ..node(2) }];
    assert_eq!(choose(&nodes, &pinned(2)), Ok(NodeId(2)));
    assert_eq!(choose(&nodes, &pinned(3)).unwrap_err().kind, NoRoomKind::NoHealthyNode);
    let but_not_1 = Wants { avoid: BTreeSet::from([NodeId(1)]), ..Wants::default() };
    assert_eq!(choose(&nodes, &but_not_1), Ok(NodeId(2)));
    let pinned_to_what_it_avoids = Wants { pin: Some(NodeId(1)), ..but_not_1 };
    assert!(choose(&nodes, &pinned_to_what_it_avoids).is_err());
}

#[test]
fn no_health_and_no_room_are_told_apart() {
    let full = Node { current_users: 10, ..node(1) };
    let down = Node { health: Health::Down { reason: "xray is stopped".to_owned() }, ..full.clone() };
    let kind = |nodes: &[Node]| choose(nodes, &Wants::default()).unwrap_err().kind;
    assert_eq!(kind(&[]), NoRoomKind::NoHealthyNode);
    assert_eq!(kind(std::slice::from_ref(&down)), NoRoomKind::NoHealthyNode);
    assert_eq!(kind(&[down.clone(), full]), NoRoomKind::NoCapacity);
    let reasons = choose(&[down], &Wants::default()).unwrap_err().refusals.remove(0).reasons;
    assert_eq!(reasons, [Reason::Down { why: "xray is stopped".to_owned() }, Reason::Full { current: 10, max: 10 }]);
}
