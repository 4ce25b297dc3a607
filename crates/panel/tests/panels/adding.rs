//! Clients that the panel was never asked for, added without a look first.

use crate::{faults::SETTLED_AT_ONCE, stage::everywhere};
use panel::Ensured;

#[tokio::test]
async fn new_clients_cost_one_call_and_on_2x_one_reading_after_it() {
    everywhere(async |stage| {
        stage.ensure(&stage.clients(1..2)).await;
        let (calls, clients) = (stage.sim.calls(), stage.clients(2..302));
        assert_eq!(stage.add(&clients).await, [Ensured::Added; 300]);
        assert_eq!(stage.sim.calls() - calls, if stage.is_two() { 2 } else { 1 });
        stage.rest(&stage.clients(1..302)).await;
    })
    .await;
}

#[tokio::test]
async fn a_stranger_is_left_alone_and_the_others_come() {
    everywhere(async |stage| {
        let clients = stage.clients(1..20);
        stage.stranger_comes(clients[4].identity.name.as_str());
        stage.stranger_comes(&clients[5].identity.name.as_str().to_uppercase());
        let outcomes = stage.try_add(&clients).await;
        for outcome in &outcomes[4..6] {
            assert!(outcome.as_ref().unwrap_err().is_refused(), "{outcomes:?}");
        }
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 17);
        stage.assert_strangers_are_as_before();
        stage.rest(&[&clients[..4], &clients[6..]].concat()).await;
    })
    .await;
}

#[tokio::test]
async fn one_fault_is_settled_by_reading_back() {
    for (fault, writes) in SETTLED_AT_ONCE {
        everywhere(async |stage| {
            println!("{fault:?}");
            let clients = stage.clients(1..4);
            let before = stage.sim.writes();
            stage.sim.inject_next(fault, 1);
            assert_eq!(stage.add(&clients).await, [Ensured::Added; 3]);
            assert_eq!(stage.sim.writes() - before, writes);
            stage.rest(&clients).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_client_that_is_to_be_off_is_off() {
    everywhere(async |stage| {
        let mut clients = stage.clients(1..4);
        clients[1].enabled = false;
        stage.add(&clients).await;
        stage.rest(&clients).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_there_all_the_same_is_ours_still_and_stays_once() {
    everywhere(async |stage| {
        let clients = stage.clients(1..4);
        stage.add(&clients[..2]).await;
        for outcome in stage.try_add(&clients).await {
            assert!(matches!(outcome, Ok(Ensured::Added | Ensured::Unchanged)), "{outcome:?}");
        }
        stage.rest(&clients).await;
    })
    .await;
}
