//! What is said about nodes, word for word.

use crate::fleets::{at, node, pinned};
use fleet::{
    id::NodeId,
    node::{Health, Node, Policy},
    place::{NoRoom, Wants, choose, explain},
};
use std::collections::BTreeSet;

/// One node for each thing that can be wrong, and three that take keys.
fn a_fleet_with_every_trouble() -> Vec<Node> {
    let named = |id: i64, name: &str, place: &str| Node {
        name: name.to_owned(),
        location: (!place.is_empty()).then(|| place.to_owned()),
        ..node(id)
    };
    let timeout = Health::Down { reason: "TCP connect timed out after 3s".to_owned() };
    vec![
        Node { current_users: 4, ..named(1, "oslo-1", "Oslo") },
        Node { weight: 2.0, current_users: 4, ..named(2, "oslo-2", "oslo") },
        Node { priority: 50, current_users: 1, ..named(3, "koeln-1", "Köln") },
        Node { policy: Policy::Maintenance, ..named(4, "drained", "Oslo") },
        Node { policy: Policy::Inactive, health: Health::Unknown, inbound: None, ..named(5, "planned", "") },
        Node { health: timeout, current_users: 12, ..named(6, "dead", "Oslo") },
        Node { current_users: 10, ..named(7, "full", "Oslo") },
        Node { max_users: 0, priority: 0, weight: f64::NAN, ..named(8, "zero", "Oslo") },
        Node { inbound: None, ..named(9, "bare", "Oslo") },
    ]
}

fn explained(wants: &Wants) -> String {
    let line = |verdict: fleet::place::Verdict| {
        let reasons: Vec<String> = verdict.reasons.iter().map(ToString::to_string).collect();
        match verdict.load_after {
            Some(load) => format!("{} {}: takes it, at {load:.3}\n", verdict.node, verdict.name),
            None => format!("{} {}: {}\n", verdict.node, verdict.name, reasons.join("; ")),
        }
    };
    explain(&a_fleet_with_every_trouble(), wants).into_iter().map(line).collect()
}

/// The message, a line for each node.
fn by_node(no_room: &NoRoom) -> String {
    no_room.to_string().replace("; ", ";\n")
}

#[test]
fn a_key_without_wishes_goes_by_load() {
    insta::assert_snapshot!(explained(&Wants::default()), @"
    2 oslo-2: takes it, at 0.250
    3 koeln-1: takes it, at 0.400
    1 oslo-1: takes it, at 0.500
    4 drained: its policy is maintenance
    5 planned: its policy is inactive; nobody has looked at it yet; it has no usable inbound
    6 dead: it is down: TCP connect timed out after 3s; it is full (12 of 10)
    7 full: it is full (10 of 10)
    8 zero: its max_users of 0 takes nobody; its weight of 0 takes nobody; its priority of 0 takes nobody
    9 bare: it has no usable inbound
    ");
}

#[test]
fn a_preferred_place_comes_before_a_lower_load() {
    insta::assert_snapshot!(explained(&at("KÖLN", false)), @"
    3 koeln-1: takes it, at 0.400
    2 oslo-2: takes it, at 0.250
    1 oslo-1: takes it, at 0.500
    4 drained: its policy is maintenance
    5 planned: its policy is inactive; nobody has looked at it yet; it has no usable inbound
    6 dead: it is down: TCP connect timed out after 3s; it is full (12 of 10)
    7 full: it is full (10 of 10)
    8 zero: its max_users of 0 takes nobody; its weight of 0 takes nobody; its priority of 0 takes nobody
    9 bare: it has no usable inbound
    ");
}

#[test]
fn a_required_place_is_a_reason() {
    insta::assert_snapshot!(explained(&at("köln", true)), @"
    3 koeln-1: takes it, at 0.400
    1 oslo-1: it stands in Oslo, not in köln
    2 oslo-2: it stands in oslo, not in köln
    4 drained: it stands in Oslo, not in köln; its policy is maintenance
    5 planned: it stands in no known place, not in köln; its policy is inactive; nobody has looked at it yet; it has no usable inbound
    6 dead: it stands in Oslo, not in köln; it is down: TCP connect timed out after 3s; it is full (12 of 10)
    7 full: it stands in Oslo, not in köln; it is full (10 of 10)
    8 zero: it stands in Oslo, not in köln; its max_users of 0 takes nobody; its weight of 0 takes nobody; its priority of 0 takes nobody
    9 bare: it stands in Oslo, not in köln; it has no usable inbound
    ");
}

#[test]
fn a_pin_and_a_refusal_are_reasons() {
    let wants = Wants { avoid: BTreeSet::from([NodeId(1)]), ..pinned(1) };
    insta::assert_snapshot!(explained(&wants), @"
    1 oslo-1: it refused this key, or the key leaves it
    2 oslo-2: another node was asked for
    3 koeln-1: another node was asked for
    4 drained: another node was asked for; its policy is maintenance
    5 planned: another node was asked for; its policy is inactive; nobody has looked at it yet; it has no usable inbound
    6 dead: another node was asked for; it is down: TCP connect timed out after 3s; it is full (12 of 10)
    7 full: another node was asked for; it is full (10 of 10)
    8 zero: another node was asked for; its max_users of 0 takes nobody; its weight of 0 takes nobody; its priority of 0 takes nobody
    9 bare: another node was asked for; it has no usable inbound
    ");
}

#[test]
fn reasons_keep_their_codes_on_the_wire() {
    let wants = Wants { avoid: BTreeSet::from([NodeId(2)]), ..pinned(1) };
    let wants = Wants { location: at("Oslo", true).location, ..wants };
    let lines: Vec<String> = explain(&a_fleet_with_every_trouble(), &wants)
        .into_iter()
        .map(|verdict| serde_json::to_string(&verdict.reasons).unwrap())
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    []
    [{"code":"not_pinned"},{"code":"avoided"}]
    [{"code":"not_pinned"},{"code":"elsewhere","location":"Köln","wanted":"Oslo"}]
    [{"code":"not_pinned"},{"code":"policy","policy":"maintenance"}]
    [{"code":"not_pinned"},{"code":"elsewhere","location":null,"wanted":"Oslo"},{"code":"policy","policy":"inactive"},{"code":"not_observed"},{"code":"no_inbound"}]
    [{"code":"not_pinned"},{"code":"down","why":"TCP connect timed out after 3s"},{"code":"full","current":12,"max":10}]
    [{"code":"not_pinned"},{"code":"full","current":10,"max":10}]
    [{"code":"not_pinned"},{"code":"takes_nobody","setting":"max_users"},{"code":"takes_nobody","setting":"weight"},{"code":"takes_nobody","setting":"priority"}]
    [{"code":"not_pinned"},{"code":"no_inbound"}]
    "#);
}

#[test]
fn a_fleet_without_capacity_says_so() {
    let nodes = a_fleet_with_every_trouble();
    let no_room = choose(&nodes[5..=7], &Wants::default()).unwrap_err();
    insta::assert_snapshot!(by_node(&no_room), @"
    no node has room for the key: dead: it is down: TCP connect timed out after 3s, it is full (12 of 10);
    full: it is full (10 of 10);
    zero: its max_users of 0 takes nobody, its weight of 0 takes nobody, its priority of 0 takes nobody
    ");
    insta::assert_snapshot!(serde_json::to_string_pretty(&no_room).unwrap(), @r#"
    {
      "kind": "no_capacity",
      "refusals": [
        {
          "node": 6,
          "name": "dead",
          "reasons": [
            {
              "code": "down",
              "why": "TCP connect timed out after 3s"
            },
            {
              "code": "full",
              "current": 12,
              "max": 10
            }
          ]
        },
        {
          "node": 7,
          "name": "full",
          "reasons": [
            {
              "code": "full",
              "current": 10,
              "max": 10
            }
          ]
        },
        {
          "node": 8,
          "name": "zero",
          "reasons": [
            {
              "code": "takes_nobody",
              "setting": "max_users"
            },
            {
              "code": "takes_nobody",
              "setting": "weight"
            },
            {
              "code": "takes_nobody",
              "setting": "priority"
            }
          ]
        }
      ]
    }
    "#);
}

#[test]
fn a_fleet_without_a_healthy_node_says_so() {
    let nodes = a_fleet_with_every_trouble();
    let no_room = choose(&nodes[3..=5], &Wants::default()).unwrap_err();
    insta::assert_snapshot!(by_node(&no_room), @"
    no node is able to take the key: drained: its policy is maintenance;
    planned: its policy is inactive, nobody has looked at it yet, it has no usable inbound;
    dead: it is down: TCP connect timed out after 3s, it is full (12 of 10)
    ");
}

#[test]
fn an_empty_fleet_says_so() {
    insta::assert_snapshot!(choose(&[], &Wants::default()).unwrap_err(), @"the fleet has no node");
}

#[test]
fn a_large_fleet_names_ten_nodes_and_counts_the_rest() {
    let nodes: Vec<Node> = (1..=13).rev().map(|id| Node { current_users: 10, ..node(id) }).collect();
    insta::assert_snapshot!(by_node(&choose(&nodes, &Wants::default()).unwrap_err()), @"
    no node has room for the key: node-1: it is full (10 of 10);
    node-2: it is full (10 of 10);
    node-3: it is full (10 of 10);
    node-4: it is full (10 of 10);
    node-5: it is full (10 of 10);
    node-6: it is full (10 of 10);
    node-7: it is full (10 of 10);
    node-8: it is full (10 of 10);
    node-9: it is full (10 of 10);
    node-10: it is full (10 of 10);
    and 3 more
    ");
}
