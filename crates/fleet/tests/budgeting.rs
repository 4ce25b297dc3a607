//! Who moves first, and how many at once.

use crate::chance::cases;
use fleet::{
    budget::{Budget, Fairness, Precedence, Spent},
    id::{JobId, KeyId, NodeId},
    settle::Cause,
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

fn turn(paying: bool, seen_ms: Option<i64>, key: i64) -> Fairness {
    Fairness { paying, seen_ms, key: KeyId(key) }
}

#[test]
fn who_pays_goes_first_then_who_was_seen_last_then_the_oldest_key() {
    let in_turn = [
        turn(true, Some(9), 7),
        turn(true, Some(8), 1),
        turn(true, Some(8), 2),
        turn(true, None, 3),
        turn(false, Some(99), 4),
        turn(false, None, 5),
        turn(false, None, 6),
    ];
    let mut sorted = in_turn;
    sorted.reverse();
    sorted.sort();
    assert_eq!(sorted, in_turn);
}

#[test]
fn of_jobs_that_claim_a_key_a_failover_comes_first_then_the_newest() {
    let claim = |cause, job| Precedence { cause, job: JobId(job) };
    let in_turn = [
        claim(Cause::Failover, 7),
        claim(Cause::Failover, 2),
        claim(Cause::ByHand, 9),
        claim(Cause::Delete, 8),
        claim(Cause::Rebalance, 3),
        claim(Cause::Drain, 1),
    ];
    let mut sorted = in_turn;
    sorted.reverse();
    sorted.sort();
    assert_eq!(sorted, in_turn);
}

#[test]
fn a_rescue_does_not_overload_the_rescuers() {
    let mut budget = Budget::new(3, 2);
    assert_eq!(budget.spend(NodeId(1)), Ok(()));
    assert_eq!(budget.spend(NodeId(1)), Ok(()));
    assert_eq!(budget.spend(NodeId(1)), Err(Spent::Target { limit: 2 }));
    assert_eq!(budget.allows(NodeId(2)), Ok(()), "another node may still take one");
    assert_eq!(budget.spend(NodeId(2)), Ok(()));
    assert_eq!(budget.allows(NodeId(3)), Err(Spent::Pass { limit: 3 }));
    assert!(budget.is_spent());
    assert_eq!((budget.spent(), budget.spent_on(NodeId(1)), budget.spent_on(NodeId(3))), (3, 2, 0));
}

#[test]
fn a_budget_of_nothing_moves_nobody_and_one_without_limit_everybody() {
    assert!(Budget::new(0, 5).is_spent());
    assert!(Budget::new(5, 0).is_spent());
    let mut unlimited = Budget::unlimited();
    assert!((0..5000).all(|_| unlimited.spend(NodeId(1)).is_ok()));
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn no_limit_is_ever_passed(per_pass in 0..=12_usize, per_target in 0..=5_usize, asked in vec(1..=4_i64, 0..=30)) {
        let mut budget = Budget::new(per_pass, per_target);
        let mut came: BTreeMap<i64, usize> = BTreeMap::new();
        for node in asked {
            let is_allowed = budget.allows(NodeId(node)).is_ok();
            prop_assert_eq!(budget.spend(NodeId(node)).is_ok(), is_allowed);
            if is_allowed {
                *came.entry(node).or_default() += 1;
            }
        }
        let total: usize = came.values().sum();
        prop_assert!(total <= per_pass && came.values().all(|count| *count <= per_target));
        prop_assert_eq!(budget.spent(), total);
    }
}
