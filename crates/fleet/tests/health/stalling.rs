//! A prober that was starved does not believe itself.

use fleet::health::stall::{Moment, Run, Stall, stall};

fn moment(monotonic_ms: i64, wall_ms: i64) -> Moment {
    Moment { monotonic_ms, wall_ms }
}

/// Planned for 1,000, begun at once, over within its deadline of 2 s.
fn run() -> Run {
    let (planned, ended) = (moment(1_000, 500_000), moment(3_000, 502_000));
    Run { planned, started_ms: 1_000, ended, deadline_ms: 2_000 }
}

#[test]
fn a_check_that_ran_in_time_is_believed() {
    assert_eq!(stall(&run()), None);
    let slewed = Run { ended: moment(4_000, 502_000), started_ms: 2_000, ..run() };
    assert_eq!(stall(&slewed), None, "a second either way decides nothing");
}

#[test]
fn a_check_that_began_late_is_dropped() {
    let late = Run { started_ms: 2_001, ended: moment(2_002, 501_002), ..run() };
    assert_eq!(stall(&late), Some(Stall::BeganLate { by_ms: 1_001 }));
}

#[test]
fn a_check_that_its_deadline_did_not_end_is_dropped() {
    let late = Run { ended: moment(4_001, 503_001), ..run() };
    assert_eq!(stall(&late), Some(Stall::EndedLate { by_ms: 1_001 }));
    assert_eq!(stall(&late).unwrap().to_string(), "our own check ended 1001 ms after its deadline");
}

#[test]
fn a_clock_that_jumped_in_either_direction_is_noticed() {
    let slept = Run { ended: moment(1_010, 3_500_010), ..run() };
    assert_eq!(stall(&slept), Some(Stall::ClockJumped { by_ms: 3_000_000 }), "the machine slept for 50 minutes");
    let set_back = Run { ended: moment(1_010, 440_010), ..run() };
    assert_eq!(stall(&set_back), Some(Stall::ClockJumped { by_ms: -60_000 }));
}

#[test]
fn no_clock_is_too_strange() {
    let odd =
        Run { planned: moment(i64::MIN, i64::MAX), started_ms: 0, ended: moment(i64::MAX, i64::MIN), deadline_ms: 0 };
    assert!(stall(&odd).is_some());
}
