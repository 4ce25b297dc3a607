//! Invariants over rows of readings made at random: nothing is concluded on less than the rules ask for, and answers
//! that overtake one another change nothing.

use super::readings::{any_row, as_they_arrive, full, is_bad, is_word, observe_all};
use crate::chance::cases;
use fleet::health::{
    Health, State,
    reading::{Depth, Reading},
    rules::Rules,
    verdict::Verdict,
};
use proptest::prelude::*;

fn is_down(health: &Health) -> bool {
    matches!(health.state(), State::Down { .. })
}

/// Whether these readings, however they came, hold three bad ones in a row over 5 s with nothing said since. A minute
/// without a failure ends a row.
fn proves_an_outage(seen: &[Reading]) -> bool {
    let said_ms = seen.iter().filter(|r| is_word(r)).map(|r| r.started_ms).max().unwrap_or(i64::MIN);
    let mut failures: Vec<&Reading> = seen.iter().filter(|r| r.started_ms > said_ms).collect();
    failures.retain(|r| is_bad(r) || matches!(r.verdict(), Verdict::Degraded { .. }));
    failures.sort_by_key(|r| r.started_ms);
    // Of the row so far: how many, the first start, the last end.
    let mut row: Option<(usize, i64, i64)> = None;
    failures.into_iter().any(|r| {
        row = row.filter(|(_, _, end_ms)| r.started_ms - end_ms <= 60_000 && is_bad(r));
        if is_bad(r) {
            let (count, start_ms, end_ms) = row.unwrap_or((0, r.started_ms, r.ended_ms));
            row = Some((count + 1, start_ms, end_ms.max(r.ended_ms)));
        }
        row.is_some_and(|(count, start_ms, end_ms)| count >= 3 && end_ms - start_ms >= 5_000)
    })
}

/// Each reading with the health before and after it.
fn steps(row: &[Reading]) -> Vec<(Health, Reading, Health)> {
    let mut health = Health::unknown();
    let step = |reading: &Reading| {
        let before = health.clone();
        health = before.clone().observe(reading, &Rules::default());
        (before, reading.clone(), health.clone())
    };
    row.iter().map(step).collect()
}

/// So long that the clock must have been set back.
fn began_too_long_ago(row: &[Reading], late: &Reading) -> bool {
    row.last().is_some_and(|newest| newest.started_ms - late.started_ms > 60_000)
}

fn was_ever_down(row: &[Reading]) -> bool {
    steps(row).iter().any(|(_, _, health)| is_down(health))
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn nothing_goes_down_on_less_than_three_failures_over_five_seconds(row in any_row()) {
        let row = as_they_arrive(&row);
        for (at, (before, reading, after)) in steps(&row).iter().enumerate() {
            if is_down(before) || !is_down(after) {
                continue;
            }
            prop_assert!(is_bad(reading) || matches!(before.state(), State::Suspect { .. }), "{:?}", reading);
            let is_relapse = matches!(before.state(), State::Probation { .. }) && is_bad(reading);
            prop_assert!(is_relapse || proves_an_outage(&row[..=at]), "{} then {:?}", before, reading);
        }
    }

    #[test]
    fn three_failures_over_five_seconds_are_enough(row in any_row()) {
        for (at, (before, _, after)) in steps(&row).iter().enumerate() {
            let is_open = !matches!(before.state(), State::Probation { .. } | State::Misconfigured { .. });
            let was_misconfigured = row[..=at].iter().any(|r| matches!(r.verdict(), Verdict::Misconfigured { .. }));
            if is_open && !was_misconfigured && proves_an_outage(&row[..=at]) {
                prop_assert!(is_down(after), "{}", after);
            }
        }
    }

    #[test]
    fn the_way_back_up_takes_three_good_full_checks_over_a_minute(row in any_row()) {
        let row = as_they_arrive(&row);
        let mut passed: Option<Vec<&Reading>> = None;
        for (before, reading, after) in &steps(&row) {
            match (after.state(), &mut passed) {
                (State::Down { .. }, _) => passed = Some(vec![]),
                (_, Some(passed)) if before != after && reading.verdict() == Verdict::Good => passed.push(reading),
                _ => {}
            }
            if after.may_take_new()
                && let Some(passed) = passed.take()
            {
                let first_ms = passed.iter().map(|r| r.started_ms).min().unwrap_or(i64::MAX);
                prop_assert!(passed.iter().all(|r| r.depth == Depth::Full));
                prop_assert!(passed.len() >= 3 && reading.ended_ms - first_ms >= 60_000, "{:?}", passed);
            }
        }
    }

    /// Down is a promise: users were moved. Short of it, only what was read counts, not when its answer came.
    #[test]
    fn answers_that_overtake_one_another_change_nothing_short_of_down(
        (row, shuffled) in any_row().prop_flat_map(|row| (Just(row.clone()), Just(row).prop_shuffle())),
    ) {
        // A clock set back is another story: keep all of it within a minute.
        let first_ms = row[0].started_ms;
        let near = |row: Vec<Reading>| -> Vec<Reading> {
            row.into_iter().filter(|r| r.started_ms - first_ms < 60_000).collect()
        };
        let (row, shuffled) = (near(row), near(shuffled));
        let in_order = observe_all(Health::unknown(), &row);
        let as_it_came = observe_all(Health::unknown(), &shuffled);
        if is_down(&in_order) && !row.iter().any(is_word) {
            prop_assert!(is_down(&as_it_came), "nothing was said that could have hidden it");
        }
        if !was_ever_down(&row) && !was_ever_down(&shuffled) {
            prop_assert_eq!(in_order.state().name(), as_it_came.state().name());
            prop_assert_eq!(in_order.failing_since_ms(), as_it_came.failing_since_ms());
            prop_assert_eq!(in_order.state().why(), as_it_came.state().why());
        }
    }

    #[test]
    fn a_reading_older_than_the_last_word_changes_nothing(row in any_row(), late in any_row()) {
        let health = observe_all(Health::unknown(), &as_they_arrive(&row));
        let Some(word) = row.iter().rev().find(|r| is_word(r)) else { return Ok(()) };
        for mut reading in late {
            reading.started_ms = word.started_ms - reading.started_ms % 20_000;
            if began_too_long_ago(&row, &reading) {
                continue;
            }
            prop_assert_eq!(&health.clone().observe(&reading, &Rules::default()), &health);
        }
    }

    #[test]
    fn a_good_reading_older_than_a_failure_of_a_node_that_is_down_brings_it_not_back(row in any_row(), by in 1..8_000_i64) {
        let health = observe_all(Health::unknown(), &row);
        let newest = row.iter().rev().find(|r| is_bad(r));
        if let (State::Down { .. }, Some(newest)) = (health.state(), newest) {
            let late = full(super::readings::Case::Well, newest.started_ms - by, newest.ended_ms + 1);
            prop_assume!(!began_too_long_ago(&row, &late));
            prop_assert!(is_down(&health.observe(&late, &Rules::default())));
        }
    }

    #[test]
    fn health_survives_a_restart_between_any_two_readings(row in any_row()) {
        let mut kept = Health::unknown();
        for (_, reading, health) in steps(&as_they_arrive(&row)) {
            kept = kept.observe(&reading, &Rules::default());
            let json = serde_json::to_string(&kept).unwrap();
            kept = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&kept, &health);
            let again: Reading = serde_json::from_str(&serde_json::to_string(&reading).unwrap()).unwrap();
            prop_assert_eq!(again, reading);
        }
    }

    #[test]
    fn the_questions_agree_with_each_other(row in any_row()) {
        for (_, _, health) in steps(&as_they_arrive(&row)) {
            prop_assert_eq!(health.may_take_new(), health.state().name() == "up");
            prop_assert_eq!(health.may_keep(), health.state().name() != "down");
            prop_assert!(health.may_keep() || health.failing_since_ms().is_some());
            prop_assert!(!health.may_take_new() || (health.failing_since_ms().is_none() && health.state().why().is_none()));
        }
    }
}

#[test]
fn an_outage_of_a_week_is_no_larger_than_one_of_a_minute() {
    let readings: Vec<Reading> =
        (0..20_000).map(|n| full(super::readings::Case::Silent, n * 3_000, n * 3_000 + 100)).collect();
    let size = |count: usize| serde_json::to_string(&observe_all(Health::unknown(), &readings[..count])).unwrap().len();
    assert!(size(20_000) < size(100) + 300, "{} and {}", size(100), size(20_000));
    let health = observe_all(Health::unknown(), &readings);
    assert_eq!((health.state().name(), health.state().since_ms()), ("degraded", Some(6_100)));
}
