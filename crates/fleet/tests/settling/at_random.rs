//! Moves of every kind, and what must be true of their settling whatever they are.

use super::{old, removed};
use crate::chance::cases;
use fleet::{
    id::NodeId,
    settle::{Cause, Fate, Home, Leaving, Moved, Settings, Why, settle},
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::collections::{BTreeMap, BTreeSet};

/// When `any_moved` ends: later than anything in it.
const NOW: i64 = 150;

fn any_settings() -> impl Strategy<Value = Settings> {
    (prop_oneof![1 => Just(0), 9 => 0..=250_i64], 0..=40_i64)
        .prop_map(|(grace_ms, quiet_ms)| Settings { grace_ms, quiet_ms })
}

fn any_leaving() -> impl Strategy<Value = Leaving> {
    let seen = prop::option::of(0..NOW);
    let serving = prop::option::of(0..NOW);
    let cause = prop_oneof![2 => Just(Cause::Failover), 1 => select(&Cause::ALL[..])];
    let grace = prop_oneof![4 => Just(None), 1 => (0..=250_i64).prop_map(Some)];
    (1..=5_i64, 0..=100_i64, seen, cause, grace, serving, any::<bool>()).prop_map(
        |(node, since_ms, seen_ms, cause, grace_ms, serving_since_ms, may_return)| Leaving {
            node: NodeId(node),
            since_ms,
            seen_ms,
            cause,
            grace_ms,
            serving_since_ms,
            may_return,
        },
    )
}

/// A key that moved up to four times, the last time to node 9; one line for each node.
fn any_moved() -> impl Strategy<Value = Moved> {
    let seen = prop_oneof![2 => Just(None), 1 => (0..NOW).prop_map(Some)];
    let handed_out = prop::option::of(0..NOW);
    (vec(any_leaving(), 0..=4), 0..=20_i64, seen, handed_out, prop::bool::weighted(0.1)).prop_map(
        |(mut leaving, later, seen_ms, handed_out_ms, ended)| {
            leaving.sort_by_key(|old| old.node);
            leaving.dedup_by_key(|old| old.node);
            let since_ms = leaving.iter().map(|old| old.since_ms).max().unwrap_or_default() + later;
            Moved { home: Home { node: NodeId(9), since_ms, seen_ms }, handed_out_ms, leaving, ended }
        },
    )
}

fn is_on_new(moved: &Moved) -> bool {
    moved.home.seen_ms.is_some_and(|at| at >= moved.home.since_ms)
}

/// Removals and returns carried out at this moment; the rest is kept.
fn carried_out(moved: &Moved, fates: &BTreeMap<NodeId, Fate>, now_ms: i64) -> Moved {
    let mut after = moved.clone();
    after.leaving.retain(|old| matches!(fates[&old.node], Fate::Keep { .. }));
    if let Some(back) = moved.leaving.iter().find(|old| fates[&old.node] == Fate::Return) {
        after.home = Home { node: back.node, since_ms: now_ms, seen_ms: back.seen_ms };
        after.handed_out_ms = None;
    }
    after
}

/// The grace as the design has it; after a failover it may end later.
fn grace_end(old: &Leaving, settings: &Settings) -> i64 {
    old.since_ms + old.grace_ms.unwrap_or(settings.grace_ms)
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn every_old_client_hears_of_its_fate_whatever_the_order(
        (moved, shuffled) in any_moved().prop_flat_map(|moved| (Just(moved.clone()), Just(moved.leaving).prop_shuffle())),
        settings in any_settings(),
    ) {
        let fates = settle(&moved, &settings, NOW);
        let nodes: BTreeSet<NodeId> = moved.leaving.iter().map(|old| old.node).collect();
        prop_assert_eq!(fates.keys().copied().collect::<BTreeSet<_>>(), nodes);
        prop_assert_eq!(settle(&Moved { leaving: shuffled, ..moved }, &settings, NOW), fates);
    }

    #[test]
    fn the_client_on_which_alone_the_user_is_seen_is_never_removed_before_its_grace_ends(
        moved in any_moved(), settings in any_settings(),
    ) {
        let mut moved = moved;
        moved.ended = false;
        moved.home.seen_ms = moved.home.seen_ms.filter(|at| *at < moved.home.since_ms);
        for old in &moved.leaving {
            let told = moved.handed_out_ms.filter(|at| *at >= moved.home.since_ms);
            // His last sign of life is there, and not that he asked for the new link.
            let is_there = old.seen_ms.is_some_and(|at| at >= old.since_ms && told.is_none_or(|told| at > told));
            if is_there && NOW < grace_end(old, &settings) {
                let fate = settle(&moved, &settings, NOW)[&old.node];
                prop_assert!(!matches!(fate, Fate::Remove { .. }), "{:?}: {:?}", old, fate);
            }
        }
    }

    #[test]
    fn a_key_returns_only_to_the_node_that_saw_its_user_last(moved in any_moved(), settings in any_settings()) {
        let fates = settle(&moved, &settings, NOW);
        let back: Vec<&Leaving> = moved.leaving.iter().filter(|old| fates[&old.node] == Fate::Return).collect();
        prop_assert!(back.len() <= 1, "{:?}", fates);
        for back in back {
            prop_assert!(back.may_return && back.cause == Cause::Failover, "{:?}", back);
            prop_assert!(back.seen_ms.is_some_and(|at| at >= moved.home.since_ms), "{:?}", back);
            let is_waited_for = |old: &&Leaving| fates[&old.node] != removed(Why::GraceEnded);
            prop_assert!(moved.leaving.iter().filter(is_waited_for).all(|old| old.seen_ms <= back.seen_ms));
            prop_assert!(!moved.ended && !is_on_new(&moved));
        }
    }

    #[test]
    fn what_was_decided_brings_nothing_more_at_the_same_moment(moved in any_moved(), settings in any_settings()) {
        let fates = settle(&moved, &settings, NOW);
        let after = carried_out(&moved, &fates, NOW);
        let again = settle(&after, &settings, NOW);
        prop_assert!(again.values().all(|fate| matches!(fate, Fate::Keep { .. })), "{:?}, then {:?}", fates, again);
    }

    #[test]
    fn what_is_kept_goes_when_it_was_said_to(moved in any_moved(), settings in any_settings()) {
        let moved = carried_out(&moved, &settle(&moved, &settings, NOW), NOW);
        for (node, fate) in settle(&moved, &settings, NOW) {
            let Fate::Keep { until_ms } = fate else { continue };
            prop_assert!(until_ms > NOW);
            let before = settle(&moved, &settings, until_ms - 1);
            prop_assert!(!matches!(before[&node], Fate::Remove { .. }), "{:?}", before);
            let then = settle(&moved, &settings, until_ms);
            let somebody_returns = then.values().any(|fate| *fate == Fate::Return);
            prop_assert!(somebody_returns || matches!(then[&node], Fate::Remove { .. }), "{:?}", then);
        }
    }

    #[test]
    fn without_a_grace_nothing_is_left_behind(moved in any_moved(), quiet_ms in 0..=40_i64) {
        let mut moved = moved;
        moved.leaving.iter_mut().for_each(|old| old.grace_ms = None);
        let fates = settle(&moved, &Settings { grace_ms: 0, quiet_ms }, NOW);
        prop_assert!(fates.values().all(|fate| matches!(fate, Fate::Remove { .. })), "{:?}", fates);
    }

    #[test]
    fn nothing_is_decided_by_traffic_before_the_move(moved in any_moved(), settings in any_settings()) {
        let mut forgotten = moved.clone();
        forgotten.home.seen_ms = moved.home.seen_ms.filter(|at| *at >= moved.home.since_ms);
        for old in &mut forgotten.leaving {
            old.seen_ms = old.seen_ms.filter(|at| *at >= old.since_ms);
        }
        prop_assert_eq!(settle(&moved, &settings, NOW), settle(&forgotten, &settings, NOW));
    }

    #[test]
    fn no_time_is_too_far_off(times in vec(any::<i64>(), 6), settings in (any::<i64>(), any::<i64>())) {
        let [since_ms, seen, handed_out, serving, home, now_ms] = times[..] else { unreachable!("six of them") };
        let leaving = Leaving { since_ms, seen_ms: Some(seen), serving_since_ms: Some(serving), ..old() };
        let home = Home { node: NodeId(2), since_ms: home, seen_ms: None };
        let moved = Moved { home, handed_out_ms: Some(handed_out), leaving: vec![leaving], ended: false };
        prop_assert_eq!(settle(&moved, &Settings { grace_ms: settings.0, quiet_ms: settings.1 }, now_ms).len(), 1);
    }
}
