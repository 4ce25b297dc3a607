//! Many at once: callers of one client, programs on one panel, calls that are dropped half-way.

use crate::stage::{Stage, everywhere};
use fleet::client::Client;
use futures::future::join_all;
use panel::{Ensured, Removed};
use panel_sim::{Fault, Generation, Pace};
use std::time::Duration;

#[tokio::test]
async fn forty_callers_at_once_take_turns_and_lose_nobody() {
    everywhere(async |stage| {
        let clients = stage.clients(1..41);
        // Two writes at a time would undo each other.
        stage.sim.inject(Fault::LostUpdate(Duration::from_millis(2)));
        let calls = clients.iter().map(|client| stage.ensure(std::slice::from_ref(client)));
        assert_eq!(join_all(calls).await, vec![vec![Ensured::Added]; 40]);
        assert_eq!(stage.sim.writes(), 40);
        stage.rest(&clients).await;
        let calls = clients[..30].iter().map(|client| stage.remove(std::slice::from_ref(client)));
        assert_eq!(join_all(calls).await, vec![vec![Removed::Removed]; 30]);
        stage.rest(&clients[30..]).await;
    })
    .await;
}

#[tokio::test]
async fn forty_callers_that_want_the_same_get_one_client() {
    everywhere(async |stage| {
        let client = stage.client(1);
        let calls = (0..40).map(|_| stage.ensure(std::slice::from_ref(&client)));
        let outcomes = join_all(calls).await.concat();
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ensured::Added).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ensured::Unchanged).count(), 39, "{outcomes:?}");
        stage.rest(&[client]).await;
    })
    .await;
}

#[tokio::test]
async fn readers_do_not_wait_for_writers_and_all_share_one_login() {
    everywhere(async |stage| {
        let clients = stage.clients(1..21);
        stage.sim.end_sessions();
        let ensuring = join_all(clients.iter().map(|client| stage.ensure(std::slice::from_ref(client))));
        let reading = join_all((0..20).map(|_| stage.panel.observe(stage.inbound.id)));
        let asking = join_all((0..20).map(|_| stage.panel.status()));
        let (_, observations, statuses) = futures::join!(ensuring, reading, asking);
        assert!(statuses.iter().all(Result::is_ok));
        for observation in observations {
            let observation = observation.unwrap();
            assert!(observation.complete && observation.clients.len() >= 2);
        }
        stage.rest(&clients).await;
    })
    .await;
}

#[tokio::test]
async fn two_programs_on_one_old_panel_come_to_rest_with_everybody_there() {
    let stage = Stage::start(Generation::Two).await;
    let mine = stage.clients(1..13);
    let theirs = stage.clients(101..113);
    let other = stage.another_panel();
    stage.sim.inject(Fault::LostUpdate(Duration::from_millis(3)));
    let ours = async {
        for client in &mine {
            stage.insist_on(std::slice::from_ref(client)).await;
        }
    };
    let others = async {
        for client in &theirs {
            let mut there = false;
            while !there {
                let outcomes = other.ensure_clients(&stage.inbound, std::slice::from_ref(client)).await;
                there = crate::stage::is_done(&outcomes);
            }
        }
    };
    futures::join!(ours, others);
    stage.sim.heal();
    // What was undone after it was read back is seen by the next pass, as ever.
    stage.insist_on(&mine).await;
    let outcomes = other.ensure_clients(&stage.inbound, &theirs).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    stage.rest(&[mine, theirs].concat()).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_leaves_nothing_that_a_repetition_does_not_settle() {
    everywhere(async |stage| {
        let slow = || stage.sim.set_pace(Pace { call: Duration::from_millis(5), ..Pace::default() });
        let fast = || stage.sim.set_pace(Pace::default());
        let mut clients = stage.clients(1..4);
        for after in 0..12 {
            let patience = Duration::from_millis(3 * after);
            for client in &mut clients {
                client.traffic_limit += 1;
                client.enabled = after % 2 == 0;
            }
            slow();
            let _ = tokio::time::timeout(patience, stage.try_ensure(&clients)).await;
            fast();
            stage.insist_on(&clients).await;
            stage.assert_holds(&clients);
            slow();
            let _ = tokio::time::timeout(patience, stage.try_remove(&clients[..2])).await;
            fast();
            let gone: Vec<Client> = clients[..2].to_vec();
            stage.insist_on_absence(&gone).await;
            stage.assert_holds(&clients[2..]);
        }
        stage.rest(&clients[2..]).await;
    })
    .await;
}
