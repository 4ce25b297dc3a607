//! When much of the fleet fails at once, nobody is moved.

use crate::chance::cases;
use fleet::{
    health::guard::{Canaries, Cause, Hold, Situation, Watched, hold},
    id::NodeId,
};
use proptest::{collection::vec, prelude::*};
use std::time::Duration;

const NOW: i64 = 1_000_000;
const LINGER: Duration = Duration::from_secs(45);

/// Nodes in service, numbered from 1, by when they began to fail.
fn fleet(failing_since: &[Option<i64>]) -> Vec<Watched> {
    let watched = |(node, failing_since_ms)| Watched { node: NodeId(node), in_service: true, failing_since_ms };
    (1..).zip(failing_since.iter().copied()).map(watched).collect()
}

fn situation(nodes: &[Watched]) -> Situation<'_> {
    Situation { nodes, canaries: Canaries::None, released_at_ms: None, before: None, linger: LINGER }
}

fn holds(failing_since: &[Option<i64>]) -> bool {
    hold(&situation(&fleet(failing_since)), NOW).is_some()
}

const FAILS: Option<i64> = Some(900_000);

#[test]
fn half_the_fleet_and_at_least_two() {
    assert!(!holds(&[]));
    assert!(!holds(&[FAILS]), "one of one");
    assert!(!holds(&[FAILS, None]), "one of two");
    assert!(holds(&[FAILS, FAILS]), "two of two");
    assert!(!holds(&[FAILS, None, None]), "one of three");
    assert!(holds(&[FAILS, FAILS, None]), "two of three");
    assert!(holds(&[FAILS, None, FAILS, None]), "two of four");
    assert!(!holds(&[FAILS, None, FAILS, None, None]), "two of five");
}

#[test]
fn within_one_minute() {
    assert!(holds(&[Some(100_000), Some(160_000), None]));
    assert!(!holds(&[Some(100_000), Some(160_001), None]));
    assert!(holds(&[Some(1), Some(500_000), Some(540_000), None]), "an old failure beside a new event");
}

#[test]
fn nodes_out_of_service_do_not_count() {
    let mut nodes = fleet(&[FAILS, FAILS, None, None]);
    nodes[0].in_service = false;
    assert_eq!(hold(&situation(&nodes), NOW), None, "one of three");
    let mut nodes = fleet(&[FAILS, FAILS, None, None, None]);
    nodes[4].in_service = false;
    assert!(hold(&situation(&nodes), NOW).is_some(), "two of four");
}

#[test]
fn a_hold_says_why_and_since_when() {
    let nodes = fleet(&[Some(930_000), None, Some(900_000)]);
    let held = hold(&situation(&nodes), NOW).unwrap();
    let cause = Cause::Nodes { failing: vec![NodeId(1), NodeId(3)], of: 3 };
    assert_eq!(held, Hold { cause, since_ms: 930_000, seen_ms: NOW });
    insta::assert_snapshot!(held, @"2 of 3 nodes in service began to fail within 60 s (1, 3); our own line is the likelier culprit");
    let many = hold(&situation(&fleet(&[FAILS; 12])), NOW).unwrap();
    insta::assert_snapshot!(many.in_words(|node| format!("n{node}")), @"12 of 12 nodes in service began to fail within 60 s (n1, n2, n3, n4, n5, n6, n7, n8, n9, n10 and 2 more); our own line is the likelier culprit");
}

#[test]
fn canaries_hold_by_themselves_and_so_does_a_fleet_with_good_canaries() {
    let nodes = fleet(&[FAILS, None, None]);
    let canaries = Canaries::AllFailed { since_ms: 950_000 };
    let held = hold(&Situation { canaries, ..situation(&nodes) }, NOW).unwrap();
    insta::assert_snapshot!(held, @"no canary address answers; our own line is the likelier culprit");
    assert_eq!(held.since_ms, 950_000);
    let released_at_ms = Some(960_000);
    assert_eq!(hold(&Situation { canaries, released_at_ms, ..situation(&nodes) }, NOW), None);
    assert_eq!(hold(&Situation { canaries: Canaries::Good, ..situation(&nodes) }, NOW), None);
    let nodes = fleet(&[FAILS, FAILS, None]);
    assert!(hold(&Situation { canaries: Canaries::Good, ..situation(&nodes) }, NOW).is_some());
}

#[test]
fn a_release_lets_through_what_began_before_it() {
    let released = |failing_since: &[Option<i64>]| {
        hold(&Situation { released_at_ms: Some(920_000), ..situation(&fleet(failing_since)) }, NOW).is_some()
    };
    assert!(!released(&[FAILS, FAILS, None, None]));
    assert!(!released(&[FAILS, FAILS, Some(930_000), None]), "one more is a failure like any other");
    assert!(released(&[FAILS, FAILS, Some(930_000), Some(940_000)]), "a new mass failure");
    assert!(!released(&[Some(920_000), Some(930_000), None, None]), "up to that very moment");
}

#[test]
fn a_release_ends_a_hold_at_once() {
    let nodes = fleet(&[FAILS, FAILS, None]);
    let before = hold(&situation(&nodes), NOW).unwrap();
    let after = Situation { released_at_ms: Some(NOW + 10), before: Some(&before), ..situation(&nodes) };
    assert_eq!(hold(&after, NOW + 20), None);
}

#[test]
fn the_last_node_to_be_found_well_again_is_not_taken_for_the_only_one_that_failed() {
    let before = hold(&situation(&fleet(&[FAILS, FAILS])), NOW).unwrap();
    let nodes = fleet(&[None, FAILS]);
    let after = |later_ms| hold(&Situation { before: Some(&before), ..situation(&nodes) }, NOW + later_ms);
    assert_eq!(after(44_999).as_ref(), Some(&before));
    assert_eq!(after(45_000), None, "it did fail by itself");
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn a_hold_is_exactly_what_the_design_says(
        failing_since in vec(prop::option::weighted(0.6, 0..200_000_i64), 0..=9), shift in 0..9_usize,
    ) {
        let at_least_half = |failing: usize| failing >= 2 && 2 * failing >= failing_since.len();
        let began: Vec<i64> = failing_since.iter().flatten().copied().collect();
        let within = |first: i64| began.iter().filter(|at| (first..=first + 60_000).contains(*at)).count();
        let expected = began.iter().any(|first| at_least_half(within(*first)));
        let mut nodes = fleet(&failing_since);
        let held = hold(&situation(&nodes), NOW);
        prop_assert_eq!(held.is_some(), expected);
        nodes.rotate_left(shift.min(failing_since.len()));
        prop_assert_eq!(hold(&situation(&nodes), NOW), held, "in any order");
        let released_at_ms = began.iter().max().copied();
        let released = Situation { released_at_ms, ..situation(&nodes) };
        prop_assert_eq!(hold(&released, NOW), None, "released");
    }
}
