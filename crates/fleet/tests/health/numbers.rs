//! Numbers that make no sense are refused, all at once.

use fleet::health::rules::{Mistake, Rules, Timing};
use std::time::Duration;

fn told(validated: Result<(), Vec<Mistake>>) -> Vec<String> {
    validated.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn the_defaults_make_sense() {
    assert_eq!(Rules::default().validate(), Ok(()));
    assert_eq!(Timing::default().validate(), Ok(()));
    assert_eq!(Timing::default().full_round(), secs(41));
}

#[test]
fn zeros_are_refused_one_by_one() {
    let zero = Duration::ZERO;
    let rules = Rules { failures: 0, spread: zero, probation_checks: 0, probation: zero };
    assert_eq!(told(rules.validate()).len(), 4);
    let timing = Timing {
        interval: zero,
        liveness: zero,
        recheck: zero,
        liveness_deadline: zero,
        connect_deadline: zero,
        check_deadline: Duration::from_micros(999),
    };
    assert_eq!(told(timing.validate()).len(), 7, "and the deadline is longer than the interval");
}

#[test]
fn a_period_shorter_than_its_own_deadline_is_refused() {
    let timing = Timing { interval: secs(7), liveness: secs(1), ..Timing::default() };
    insta::assert_snapshot!(told(timing.validate()).join("\n"), @r"
    liveness_deadline: 2s is longer than the period of liveness checks (1s)
    check_deadline: 8s is longer than the interval of full checks (7s)
    ");
}

#[test]
fn deadlines_fit_into_one_another_and_re_checks_do_not_pile_up() {
    let timing = Timing {
        connect_deadline: secs(41),
        check_deadline: secs(40),
        interval: secs(60),
        recheck: secs(1),
        ..Timing::default()
    };
    insta::assert_snapshot!(told(timing.validate()).join("\n"), @r"
    connect_deadline: 41s is longer than the deadline of the whole check (40s)
    check_deadline: 40s is longer than any check may take (30s)
    recheck: 1s would have more than 16 checks of a node run at once
    ");
}
