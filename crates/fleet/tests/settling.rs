//! A move is settled by where the user is seen.

mod at_random;

use fleet::{
    id::NodeId,
    settle::{Cause, Fate, GRACE_MS, Home, Leaving, Moved, QUIET_MS, Settings, Why, settle},
};
use std::collections::BTreeMap;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// When the key moved from node 1 to node 2.
const THEN: i64 = 1_000 * HOUR;

/// Left behind on node 1, which died and is back since an hour after that, probation over.
fn old() -> Leaving {
    Leaving {
        node: NodeId(1),
        since_ms: THEN,
        seen_ms: Some(THEN - MINUTE),
        cause: Cause::Failover,
        grace_ms: None,
        serving_since_ms: Some(THEN + HOUR),
        may_return: true,
    }
}

fn away() -> Leaving {
    Leaving { serving_since_ms: None, may_return: false, ..old() }
}

fn drained() -> Leaving {
    Leaving { cause: Cause::Drain, serving_since_ms: Some(0), may_return: false, ..old() }
}

fn moved(leaving: Vec<Leaving>) -> Moved {
    let home = Home { node: NodeId(2), since_ms: THEN, seen_ms: None };
    Moved { home, handed_out_ms: None, leaving, ended: false }
}

fn seen_on_new(at: i64, moved: Moved) -> Moved {
    Moved { home: Home { seen_ms: Some(at), ..moved.home }, ..moved }
}

fn given_link(at: i64, moved: Moved) -> Moved {
    Moved { handed_out_ms: Some(at), ..moved }
}

/// What becomes of the client on node 1, by default settings.
fn fate(moved: &Moved, now_ms: i64) -> Fate {
    settle(moved, &Settings::default(), now_ms)[&NodeId(1)]
}

fn removed(why: Why) -> Fate {
    Fate::Remove { why }
}

fn kept(until_ms: i64) -> Fate {
    Fate::Keep { until_ms }
}

#[test]
fn who_is_seen_nowhere_keeps_both_clients_until_the_grace_ends() {
    for leaving in [old(), away(), drained()] {
        let moved = moved(vec![leaving]);
        assert_eq!(fate(&moved, THEN), kept(THEN + GRACE_MS), "{leaving:?}");
        assert_eq!(fate(&moved, THEN + GRACE_MS - 1), kept(THEN + GRACE_MS), "{leaving:?}");
        assert_eq!(fate(&moved, THEN + GRACE_MS), removed(Why::GraceEnded), "{leaving:?}");
    }
}

#[test]
fn who_is_seen_on_the_new_node_loses_the_old_client_at_once() {
    for leaving in [old(), away(), drained()] {
        let moved = seen_on_new(THEN + MINUTE, moved(vec![leaving]));
        assert_eq!(fate(&moved, THEN + MINUTE), removed(Why::SeenOnNew), "{leaving:?}");
    }
}

#[test]
fn who_is_seen_on_both_belongs_to_the_new_node() {
    let late_on_old = Leaving { seen_ms: Some(THEN + 5 * HOUR), ..old() };
    let moved = seen_on_new(THEN + HOUR, moved(vec![late_on_old]));
    assert_eq!(fate(&moved, THEN + 5 * HOUR), removed(Why::SeenOnNew));
}

#[test]
fn traffic_before_the_move_proves_nothing() {
    // He lived on node 2 once before.
    let back_again = seen_on_new(THEN - 1, moved(vec![old()]));
    assert_eq!(fate(&back_again, THEN + HOUR), kept(THEN + GRACE_MS));
}

#[test]
fn a_failover_caused_by_a_blip_costs_nobody_anything() {
    let at_home = Leaving { seen_ms: Some(THEN + HOUR), ..old() };
    assert_eq!(fate(&moved(vec![at_home]), THEN + HOUR + MINUTE), Fate::Return);
}

#[test]
fn nobody_returns_to_a_node_that_is_still_on_probation() {
    let at_home = Leaving { seen_ms: Some(THEN + HOUR), may_return: false, ..old() };
    assert_eq!(fate(&moved(vec![at_home]), THEN + HOUR + MINUTE), kept(THEN + GRACE_MS));
}

#[test]
fn only_a_failover_is_taken_back() {
    for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::Failover) {
        let on_old = Leaving { seen_ms: Some(THEN + HOUR), cause, ..old() };
        assert_eq!(fate(&moved(vec![on_old]), THEN + 2 * HOUR), kept(THEN + GRACE_MS), "{cause}");
    }
}

#[test]
fn who_was_given_the_new_link_and_is_gone_from_the_old_node_needs_it_no_more() {
    let given = given_link(THEN + 5 * HOUR, moved(vec![drained()]));
    let end = THEN + 5 * HOUR + QUIET_MS;
    assert_eq!(fate(&given, THEN + 5 * HOUR), kept(end));
    assert_eq!(fate(&given, end - 1), kept(end));
    assert_eq!(fate(&given, end), removed(Why::HandedOut));
}

#[test]
fn who_goes_on_using_the_old_link_after_he_was_given_the_new_one_keeps_it() {
    let on_old = Leaving { seen_ms: Some(THEN + 6 * HOUR), ..drained() };
    let given = given_link(THEN + 5 * HOUR, moved(vec![on_old]));
    assert_eq!(fate(&given, THEN + 30 * HOUR), kept(THEN + GRACE_MS));
    // After a failover such a user goes home.
    let on_old = Leaving { seen_ms: Some(THEN + 6 * HOUR), ..old() };
    let given = given_link(THEN + 5 * HOUR, moved(vec![on_old]));
    assert_eq!(fate(&given, THEN + 30 * HOUR), Fate::Return);
}

#[test]
fn who_was_given_the_new_link_since_he_was_seen_on_the_old_node_does_not_go_back() {
    let before = Leaving { seen_ms: Some(THEN + HOUR), ..old() };
    let given = given_link(THEN + 2 * HOUR, moved(vec![before]));
    assert_eq!(fate(&given, THEN + 2 * HOUR), kept(THEN + 2 * HOUR + QUIET_MS));
    assert_eq!(fate(&given, THEN + 3 * HOUR), removed(Why::HandedOut));
}

#[test]
fn silence_on_a_node_that_serves_nobody_proves_nothing() {
    let given = given_link(THEN + MINUTE, moved(vec![away()]));
    assert_eq!(fate(&given, THEN + 40 * HOUR), kept(THEN + GRACE_MS));
    let back = Leaving { serving_since_ms: Some(THEN + 41 * HOUR), ..away() };
    let given = given_link(THEN + MINUTE, moved(vec![back]));
    assert_eq!(fate(&given, THEN + 41 * HOUR), kept(THEN + 41 * HOUR + QUIET_MS));
}

#[test]
fn a_link_shown_before_the_move_was_the_old_one() {
    let given = given_link(THEN - 1, moved(vec![drained()]));
    assert_eq!(fate(&given, THEN + 10 * HOUR), kept(THEN + GRACE_MS));
}

#[test]
fn an_ended_key_goes_from_everywhere() {
    let on_old = Leaving { seen_ms: Some(THEN + HOUR), ..old() };
    let ended = Moved { ended: true, ..moved(vec![on_old, Leaving { node: NodeId(3), ..away() }]) };
    let all = BTreeMap::from([(NodeId(1), removed(Why::KeyEnded)), (NodeId(3), removed(Why::KeyEnded))]);
    assert_eq!(settle(&ended, &Settings::default(), THEN + HOUR), all);
}

#[test]
fn an_operator_ends_the_grace_at_once() {
    let on_old = Leaving { seen_ms: Some(THEN + HOUR), ..old() };
    let none = Settings { grace_ms: 0, ..Settings::default() };
    let settled = settle(&moved(vec![on_old]), &none, THEN + HOUR + MINUTE);
    assert_eq!(settled[&NodeId(1)], removed(Why::GraceEnded));
    let ended = Leaving { grace_ms: Some(0), ..on_old };
    assert_eq!(fate(&moved(vec![ended]), THEN + HOUR + MINUTE), removed(Why::GraceEnded));
}

#[test]
fn a_drain_has_a_deadline_of_its_own() {
    let on_old = Leaving { seen_ms: Some(THEN + 2 * HOUR), grace_ms: Some(24 * HOUR), ..drained() };
    assert_eq!(fate(&moved(vec![on_old]), THEN + 3 * HOUR), kept(THEN + 24 * HOUR));
    assert_eq!(fate(&moved(vec![on_old]), THEN + 24 * HOUR), removed(Why::GraceEnded));
}

#[test]
fn a_node_that_comes_back_in_the_last_minute_still_gets_its_users_back() {
    let end = THEN + GRACE_MS;
    let back = Leaving { serving_since_ms: Some(end - MINUTE), may_return: false, ..old() };
    assert_eq!(fate(&moved(vec![back]), end), kept(end - MINUTE + QUIET_MS));
    let on_it = Leaving { seen_ms: Some(end + MINUTE), may_return: true, ..back };
    assert_eq!(fate(&moved(vec![on_it]), end + 2 * MINUTE), Fate::Return);
    assert_eq!(fate(&moved(vec![back]), end - MINUTE + QUIET_MS), removed(Why::GraceEnded));
}

#[test]
fn of_several_old_nodes_the_one_that_saw_him_last_has_him_back() {
    let first = Leaving { since_ms: THEN - 9 * HOUR, seen_ms: Some(THEN + 2 * HOUR), ..old() };
    let second = Leaving { node: NodeId(3), seen_ms: Some(THEN + 3 * HOUR), ..old() };
    let settled = |leaving| settle(&moved(leaving), &Settings::default(), THEN + 4 * HOUR);
    let kept_one = kept(THEN - 9 * HOUR + GRACE_MS);
    assert_eq!(settled(vec![first, second]), BTreeMap::from([(NodeId(1), kept_one), (NodeId(3), Fate::Return)]));
    // The one that saw him last may not have him: he is not on the other, so he does not go there.
    let second = Leaving { may_return: false, ..second };
    let both = BTreeMap::from([(NodeId(1), kept_one), (NodeId(3), kept(THEN + GRACE_MS))]);
    assert_eq!(settled(vec![first, second]), both);
}

#[test]
fn an_old_node_gets_a_key_back_only_by_what_was_seen_since_the_last_move() {
    // The key left node 1, and node 3 after it; he was on node 1 when the key was not yet on node 2.
    let first = Leaving { since_ms: THEN - 9 * HOUR, seen_ms: Some(THEN - HOUR), ..old() };
    assert_eq!(fate(&moved(vec![first]), THEN + 2 * HOUR), kept(THEN - 9 * HOUR + GRACE_MS));
}

#[test]
fn causes_have_words_of_their_own() {
    for cause in Cause::ALL {
        assert_eq!(Cause::find(cause.as_str()), Some(cause));
        assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
    }
    assert_eq!(Cause::find("whim"), None);
}
