//! Stories: what a row of readings comes to.

use super::readings::{Case, bad, full, light, observe_all, well};
use fleet::health::{Health, State, reading::Reading};

/// A full check each, that takes a tenth of a second, at so many tenths of a second.
fn after(rows: &[(Case, &[i64])]) -> Health {
    let readings: Vec<Reading> =
        rows.iter().flat_map(|(case, at)| at.iter().map(|at| full(*case, at * 100, at * 100 + 100))).collect();
    observe_all(Health::unknown(), &readings)
}

fn name(rows: &[(Case, &[i64])]) -> &'static str {
    after(rows).state().name()
}

const UP: (Case, &[i64]) = (Case::Well, &[0]);
const DOWN: (Case, &[i64]) = (Case::Gone, &[10, 30, 60]);

#[test]
fn a_failure_makes_suspect_and_three_over_five_seconds_down() {
    assert_eq!(name(&[]), "unknown");
    assert_eq!(name(&[UP]), "up");
    assert_eq!(name(&[(Case::Gone, &[0])]), "suspect");
    assert_eq!(name(&[UP, (Case::Gone, &[10])]), "suspect");
    assert_eq!(name(&[UP, (Case::Gone, &[10, 70])]), "suspect", "two");
    assert_eq!(name(&[UP, (Case::Gone, &[10, 20, 30, 40, 58])]), "suspect", "4.9 s");
    assert_eq!(name(&[UP, (Case::Gone, &[10, 20, 30, 40, 59])]), "down", "5.0 s");
    assert_eq!(name(&[UP, (Case::Gone, &[10, 20]), (Case::Well, &[25]), (Case::Gone, &[60, 70])]), "suspect");
    let down = after(&[UP, DOWN, (Case::Gone, &[360])]);
    let why = "tcp refused, port 443: refused".to_owned();
    assert_eq!(*down.state(), State::Down { since_ms: 6_100, failing_since_ms: 1_000, why });
    assert_eq!(down.to_string(), "down (tcp refused, port 443: refused)");
    assert_eq!((down.state().since_ms(), down.failing_since_ms()), (Some(6_100), Some(1_000)));
}

#[test]
fn what_a_node_may_do_follows_its_state() {
    let told = |rows: &[(Case, &[i64])]| {
        let health = after(rows);
        (health.state().name(), health.state().word(), health.may_take_new(), health.may_keep())
    };
    assert_eq!(told(&[]), ("unknown", "unknown", false, true));
    assert_eq!(told(&[UP]), ("up", "healthy", true, true));
    assert_eq!(told(&[UP, (Case::Gone, &[1])]), ("suspect", "healthy", false, true));
    assert_eq!(told(&[UP, (Case::Silent, &[1, 2, 60])]), ("degraded", "unhealthy", false, true));
    assert_eq!(told(&[UP, (Case::Unauthorised, &[1])]), ("misconfigured", "unhealthy", false, true));
    assert_eq!(told(&[UP, DOWN]), ("down", "unhealthy", false, false));
    assert_eq!(told(&[UP, DOWN, (Case::Well, &[90])]), ("probation", "healthy", false, true));
}

#[test]
fn a_light_look_that_is_well_clears_nothing_and_a_light_failure_counts() {
    let suspect = after(&[UP, (Case::Gone, &[10])]);
    assert_eq!(suspect.clone().observe(&light(Case::Well, 2_000, 2_001), &rules()), suspect);
    let readings = [0, 3_000, 6_000].map(|at| light(Case::Gone, at, at + 2_000));
    assert_eq!(observe_all(Health::unknown(), &readings).state().name(), "down");
}

fn rules() -> fleet::health::rules::Rules {
    fleet::health::rules::Rules::default()
}

#[test]
fn a_silent_panel_is_confirmed_like_an_outage_and_moves_nobody() {
    assert_eq!(name(&[UP, (Case::Silent, &[10, 30])]), "suspect");
    let degraded = after(&[UP, (Case::Silent, &[10, 30, 60, 90])]);
    assert_eq!(*degraded.state(), State::Degraded { since_ms: 6_100, why: "tcp refused".to_owned() });
    assert_eq!(degraded.failing_since_ms(), None, "nobody is cut off");
    let degraded: [(Case, &[i64]); 2] = [UP, (Case::Silent, &[10, 30, 60])];
    assert_eq!(name(&[degraded[0], degraded[1], (Case::Well, &[90])]), "up");
    assert_eq!(name(&[degraded[0], degraded[1], (Case::Gone, &[90, 100])]), "degraded", "not confirmed");
    assert_eq!(name(&[degraded[0], degraded[1], (Case::Gone, &[90, 100, 140])]), "down");
}

#[test]
fn an_outage_takes_failures_of_its_own_kind_in_a_row() {
    let mixed = after(&[UP, (Case::Gone, &[10, 20]), (Case::Silent, &[30]), (Case::Gone, &[70, 80])]);
    assert_eq!(mixed.state().name(), "suspect");
    assert_eq!(mixed.failing_since_ms(), Some(7_000), "since the port was last seen open");
    assert_eq!(name(&[UP, (Case::Gone, &[10, 20]), (Case::Silent, &[70])]), "degraded", "each says at least that");
}

#[test]
fn a_misconfigured_node_is_never_down_for_what_light_looks_see_of_its_ports() {
    let mut health = after(&[UP, (Case::Unauthorised, &[10])]);
    assert_eq!(health.to_string(), "misconfigured (unauthorised: wrong password)");
    let before = health.clone();
    for at in 1..20 {
        health = health.observe(&light(Case::PortClosed, 3_000 * at, 3_000 * at + 1), &rules());
        assert_eq!((health.state(), health.failing_since_ms()), (before.state(), None));
    }
    assert_eq!(name(&[UP, (Case::Unauthorised, &[10]), (Case::Gone, &[20, 30, 80])]), "down", "the machine is gone");
    assert_eq!(name(&[UP, (Case::Unauthorised, &[10]), (Case::Well, &[20])]), "up");
}

#[test]
fn a_node_comes_back_through_three_good_checks_over_a_minute() {
    assert_eq!(name(&[UP, DOWN, (Case::Well, &[300, 600])]), "probation");
    assert_eq!(name(&[UP, DOWN, (Case::Well, &[300, 600, 899])]), "up");
    assert_eq!(name(&[UP, DOWN, (Case::Well, &[300, 400, 500, 600, 898])]), "probation", "59.9 s");
    assert_eq!(name(&[UP, DOWN, (Case::Well, &[300, 1_300])]), "probation", "two");
    let again = after(&[UP, DOWN, (Case::Well, &[300, 600]), (Case::PortClosed, &[700])]);
    let why = "port 443: refused".to_owned();
    assert_eq!(*again.state(), State::Down { since_ms: 70_100, failing_since_ms: 70_000, why });
}

#[test]
fn whatever_else_is_not_good_begins_probation_anew() {
    for case in [Case::Unauthorised, Case::Silent] {
        let set_back = [UP, DOWN, (Case::Well, &[300, 600]), (case, &[700]), (Case::Well, &[900, 1_200])];
        assert_eq!(name(&set_back), "probation", "{case:?}");
        assert!(after(&set_back).state().why().is_some(), "{case:?} is shown");
        let last: (Case, &[i64]) = (Case::Well, &[1_500]);
        assert_eq!(name(&[&set_back[..], &[last]].concat()), "up");
    }
    assert_eq!(name(&[UP, DOWN, (Case::Well, &[300, 600]), (Case::Starting, &[700]), (Case::Well, &[900])]), "up");
}

#[test]
fn a_node_that_is_down_stays_so_until_a_good_check_but_says_what_is_wrong_now() {
    assert_eq!(after(&[UP, DOWN, (Case::Silent, &[90])]).to_string(), "down (tcp refused)");
    assert_eq!(after(&[UP, DOWN, (Case::Unauthorised, &[90])]).to_string(), "down (unauthorised: wrong password)");
    let late = well(5_900, 7_000);
    let down = after(&[UP, DOWN]);
    assert_eq!(down.clone().observe(&late, &rules()).state(), down.state(), "it began before the last failure");
}

#[test]
fn xray_that_is_not_known_yet_decides_nothing() {
    let suspect = after(&[UP, (Case::Gone, &[10])]);
    assert_eq!(after(&[UP, (Case::Gone, &[10]), (Case::Starting, &[20])]), suspect);
    assert_eq!(name(&[(Case::Starting, &[0])]), "unknown");
}

#[test]
fn a_clock_that_is_set_back_blinds_nobody() {
    let an_hour = 3_600_000;
    let later = |case, at: i64| full(case, an_hour + at, an_hour + at + 100);
    let up = observe_all(Health::unknown(), [&later(Case::Well, 0)]);
    let gone = [0, 3_000, 6_000].map(|at| full(Case::Gone, at, at + 100));
    assert_eq!(observe_all(up, &gone).state().name(), "down");
    let down = [0, 3_000, 6_000].map(|at| later(Case::Gone, at));
    let back = observe_all(Health::unknown(), down.iter().chain([&well(0, 100)]));
    assert_eq!(back.state().name(), "probation");
    let still = observe_all(Health::unknown(), down.iter().chain([&gone[1]]));
    assert_eq!(still.failing_since_ms(), Some(-3_001), "as long before this failure as before the last");
}

#[test]
fn the_first_failure_after_a_night_does_not_complete_what_began_before_it() {
    let a_night = 300_000;
    let morning = [UP, (Case::Gone, &[10, 20][..]), (Case::Gone, &[a_night])];
    let health = after(&morning);
    assert_eq!((health.state().name(), health.failing_since_ms()), ("suspect", Some(100 * a_night)));
    assert_eq!(name(&[&morning[..], &[(Case::Gone, &[a_night + 20, a_night + 60][..])]].concat()), "down");
}

#[test]
fn the_newest_failure_is_the_one_that_is_shown() {
    let mut stopped = full(Case::Gone, 3_000, 3_100);
    stopped.panel.tcp = bad("no answer within 3 s");
    let suspect = after(&[UP, (Case::Gone, &[10])]).observe(&stopped, &rules());
    assert_eq!(suspect.to_string(), "suspect (tcp no answer within 3 s, port 443: refused)");
}
