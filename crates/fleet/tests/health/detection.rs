//! The schedule in simulated time: a node that vanishes is known to be down within 10 s, at every phase.

use super::readings::{Case, full, light, observe_all};
use crate::chance::cases;
use fleet::health::{
    Health, State,
    next::{Begun, NextCheck},
    reading::{Depth, Reading},
    rules::{Rules, Timing},
};
use proptest::prelude::*;
use std::time::Duration;

/// How a node vanishes, by how long a check of it takes.
#[derive(Debug, Clone, Copy)]
struct Vanishing {
    light_ms: i64,
    full_ms: i64,
}

const REFUSES: Vanishing = Vanishing { light_ms: 1, full_ms: 1 };
const SWALLOWS: Vanishing = Vanishing { light_ms: 2_000, full_ms: 3_000 };
const SWALLOWS_WITH_ONE_DEADLINE: Vanishing = Vanishing { light_ms: 2_000, full_ms: 2_000 };

/// A full check of a node that is well takes so long; one that the end comes in the middle of fails at its deadline.
const WELL_MS: i64 = 300;
const CHECK_DEADLINE_MS: i64 = 8_000;

struct Watch {
    at_ms: i64,
    health: Health,
    begun: Begun,
    under_way: Vec<Reading>,
    checks: usize,
}

impl Watch {
    fn new() -> Self {
        Self { at_ms: 0, health: Health::unknown(), begun: Begun::default(), under_way: vec![], checks: 0 }
    }

    fn next(&self, jitter: f64) -> NextCheck {
        self.health.next_check(self.at_ms, self.begun, &Timing::default(), jitter)
    }

    /// One thing happens: a check ends, or one begins.
    fn step(&mut self, jitter: f64, vanishes_ms: i64, how: Vanishing) {
        let next = self.next(jitter);
        self.under_way.sort_by_key(|reading| reading.ended_ms);
        if self.under_way.first().is_some_and(|reading| reading.ended_ms <= next.at_ms) {
            let reading = self.under_way.remove(0);
            self.at_ms = self.at_ms.max(reading.ended_ms);
            self.health = std::mem::take(&mut self.health).observe(&reading, &Rules::default());
            return;
        }
        self.at_ms = next.at_ms;
        self.checks += 1;
        let at = next.at_ms;
        let reading = match next.depth {
            Depth::Light if at < vanishes_ms => light(Case::Well, at, at + 1),
            Depth::Light => light(Case::Gone, at, at + how.light_ms),
            Depth::Full if at + WELL_MS <= vanishes_ms => full(Case::Well, at, at + WELL_MS),
            Depth::Full if at < vanishes_ms && how.full_ms == 1 => full(Case::Gone, at, vanishes_ms),
            Depth::Full if at < vanishes_ms => full(Case::Gone, at, at + CHECK_DEADLINE_MS),
            Depth::Full => full(Case::Gone, at, at + how.full_ms),
        };
        match next.depth {
            Depth::Light => self.begun.light_ms = Some(at),
            Depth::Full => self.begun.full_ms = Some(at),
        }
        self.under_way.push(reading);
    }
}

/// How long after the event the node was known to fail, and how long until it was known to be down.
fn known_after(jitter: f64, vanishes_ms: i64, how: Vanishing) -> (i64, i64) {
    let mut watch = Watch::new();
    let mut failing_ms = None;
    loop {
        watch.step(jitter, vanishes_ms, how);
        if watch.health.failing_since_ms().is_some() {
            failing_ms.get_or_insert(watch.at_ms - vanishes_ms);
        }
        if let State::Down { since_ms, .. } = watch.health.state() {
            assert_eq!(*since_ms, watch.at_ms, "known as soon as it is read");
            return (failing_ms.unwrap_or_default(), watch.at_ms - vanishes_ms);
        }
        assert!(watch.at_ms < vanishes_ms + 60_000, "never down");
    }
}

#[test]
fn a_node_that_vanishes_is_down_within_ten_seconds_and_after_every_other_is_seen_to_fail() {
    for how in [REFUSES, SWALLOWS, SWALLOWS_WITH_ONE_DEADLINE] {
        // Every offset against a round of the schedule, in steps that no period of it is a multiple of.
        let phases = [0.0, 0.37, 1.0].map(|jitter| (40_000..75_000).step_by(37).map(move |at| (jitter, at)));
        let known: Vec<_> = phases.into_iter().flatten().map(|(jitter, at)| known_after(jitter, at, how)).collect();
        let slowest_down = known.iter().map(|(_, down)| *down).max().unwrap();
        assert!(slowest_down <= 9_600, "{how:?}: {slowest_down} ms");
        // When our own line fails, this is what the guard lives on.
        let slowest_failing = known.iter().map(|(failing, _)| *failing).max().unwrap();
        let fastest_down = known.iter().map(|(_, down)| *down).min().unwrap();
        assert!(slowest_failing < fastest_down, "{how:?}: {slowest_failing} ms, {fastest_down} ms");
    }
}

#[test]
fn an_idle_node_is_checked_fully_every_interval_and_lightly_between() {
    let mut watch = Watch::new();
    while watch.at_ms < 3_600_000 {
        watch.step(0.5, i64::MAX, REFUSES);
    }
    assert!((1_195..=1_330).contains(&watch.checks), "{} checks an hour", watch.checks);
    assert_eq!(watch.health.state().name(), "up");
}

#[test]
fn an_outage_is_looked_at_no_more_often_than_health() {
    let mut watch = Watch::new();
    while watch.at_ms < 120_000 {
        watch.step(0.5, 60_000, REFUSES);
    }
    let before = watch.checks;
    while watch.at_ms < 3_720_000 {
        watch.step(0.5, 60_000, REFUSES);
    }
    assert!(watch.checks - before <= 1_330, "{} checks an hour", watch.checks - before);
}

fn begun(full_ms: i64, light_ms: i64) -> Begun {
    Begun { full_ms: Some(full_ms), light_ms: Some(light_ms) }
}

fn next(case: Case, now_ms: i64, begun: Begun) -> NextCheck {
    let up = Health::unknown().observe(&full(Case::Well, -500, -400), &Rules::default());
    let health = up.observe(&full(case, 0, 100), &Rules::default());
    health.next_check(now_ms, begun, &Timing::default(), 0.5)
}

#[test]
fn a_silent_panel_is_not_asked_more_often_unless_its_ports_fail_too() {
    let silent = [0, 3_000, 6_000].map(|at| full(Case::Silent, at, at + 100));
    let degraded = observe_all(Health::unknown(), &silent);
    let next = |health: &Health| health.next_check(6_200, begun(6_000, 6_000), &Timing::default(), 0.5);
    assert_eq!(next(&degraded), NextCheck { at_ms: 9_000, depth: Depth::Light });
    let failing = degraded.observe(&light(Case::Gone, 6_150, 6_200), &Rules::default());
    assert_eq!(next(&failing), NextCheck { at_ms: 7_500, depth: Depth::Full });
}

proptest! {
    #![proptest_config(cases(500))]

    /// A thousand nodes share their wake-ups, and none is looked at late for it.
    #[test]
    fn ordinary_checks_begin_in_step_and_never_late(
        now_ms in 0..100_000_i64, since_full_ms in 0..40_000_i64, since_light_ms in 0..4_000_i64, jitter in 0.0..1.0,
    ) {
        let begun = begun(now_ms - since_full_ms, now_ms - since_light_ms);
        let up = Health::unknown().observe(&full(Case::Well, -500, -400), &Rules::default());
        let next = up.next_check(now_ms, begun, &Timing::default(), jitter);
        let late_ms = next.at_ms - (now_ms - since_light_ms + 3_000);
        prop_assert!(next.at_ms == now_ms || next.at_ms % 50 == 0, "{:?}", next);
        prop_assert!(next.at_ms == now_ms || late_ms <= 0 && (next.depth == Depth::Full || late_ms > -50), "{:?}", next);
    }
}

#[test]
fn short_periods_have_short_steps() {
    let timing = Timing { liveness: Duration::from_millis(40), ..Timing::default() };
    let up = Health::unknown().observe(&full(Case::Well, -500, -400), &Rules::default());
    let next = up.next_check(1_001, begun(1_001, 1_001), &timing, 0.5);
    assert_eq!(next, NextCheck { at_ms: 1_040, depth: Depth::Light });
}

#[test]
fn what_is_due_next() {
    let at = |at_ms, depth| NextCheck { at_ms, depth };
    let timing = Timing::default();
    assert_eq!(Health::unknown().next_check(7, Begun::default(), &timing, 0.5), at(7, Depth::Full), "never checked");
    assert_eq!(next(Case::Well, 1_000, begun(0, 0)), at(3_000, Depth::Light));
    assert_eq!(next(Case::Well, 28_000, begun(0, 27_000)), at(30_000, Depth::Full), "of two the full one");
    assert_eq!(next(Case::Well, 90_000, begun(0, 0)), at(90_000, Depth::Full), "overdue");
    assert_eq!(next(Case::Gone, 200, begun(0, 0)), at(1_500, Depth::Full));
    assert_eq!(next(Case::Gone, 2_000, begun(1_500, -9)), at(3_000, Depth::Full), "it does not wait for the last");
    assert_eq!(next(Case::Gone, 40_000, begun(38_000, 39_000)), at(42_000, Depth::Light), "for an interval only");
    assert_eq!(next(Case::Well, 0, begun(9_000_000, 9_000_000)), at(3_000, Depth::Light), "the clock was set back");
    for (jitter, due_ms) in [(0.0, 27_000), (1.0, 33_000), (f64::NAN, 30_000), (9.0, 33_000)] {
        let next = Health::unknown().next_check(26_000, begun(0, 35_000), &timing, jitter);
        assert_eq!(next, at(due_ms.min(29_000), if due_ms < 29_000 { Depth::Full } else { Depth::Light }), "{jitter}");
    }
}
