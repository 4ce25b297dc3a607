//! How clients come to be gone, and nobody else with them.

use crate::{
    bodies::{reality, vmess},
    stage::{BOTH, Stage, everywhere},
};
use fleet::{
    client::Client,
    id::InboundId,
    key::{ClientName, Identity},
};
use panel::{PLACEHOLDER, Removed};
use panel_sim::{Generation, Held};

#[tokio::test]
async fn what_is_ours_goes_and_what_is_not_stays() {
    everywhere(async |stage| {
        let clients = stage.clients(1..8);
        stage.ensure(&clients[..6]).await;
        stage.stranger_comes(clients[6].identity.name.as_str());
        let doomed = [&clients[..2], &clients[6..]].concat();
        let absent = stage.client(99);
        let outcomes = stage.remove(&[doomed.clone(), vec![absent.clone()]].concat()).await;
        assert_eq!(outcomes, [Removed::Removed, Removed::Removed, Removed::NotOurs, Removed::Absent]);
        let writes = stage.sim.writes();
        let again = stage.remove(&[doomed, vec![absent]].concat()).await;
        assert_eq!(again, [Removed::Absent, Removed::Absent, Removed::NotOurs, Removed::Absent]);
        assert_eq!(stage.sim.writes(), writes, "nothing was left to do");
        stage.rest(&clients[2..6]).await;
    })
    .await;
}

#[tokio::test]
async fn one_that_was_edited_is_still_known_by_what_is_left_of_it() {
    everywhere(async |stage| {
        let client = stage.client(1);
        stage.ensure(std::slice::from_ref(&client)).await;
        let other_uuid = Identity { uuid: uuid::Uuid::from_u128(5), ..client.identity.clone() };
        let neither = Identity { sub_id: "other".into(), ..other_uuid.clone() };
        let other_name = Identity { name: ClientName::from_stored("m9-9-000009"), ..client.identity };
        let panel = &stage.panel;
        let outcomes = panel.remove_clients(&stage.inbound, &[neither, other_name, other_uuid]).await;
        let outcomes: Vec<Removed> = outcomes.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes, [Removed::NotOurs, Removed::Absent, Removed::Removed]);
        stage.rest(&[]).await;
    })
    .await;
}

#[tokio::test]
async fn many_go_at_once() {
    everywhere(async |stage| {
        let clients = stage.clients(1..301);
        stage.ensure(&clients).await;
        let writes = stage.sim.writes();
        assert_eq!(stage.remove(&clients[..299]).await, vec![Removed::Removed; 299]);
        if !stage.is_two() {
            assert_eq!(stage.sim.writes(), writes + 1);
        }
        stage.rest(&clients[299..]).await;
    })
    .await;
}

#[tokio::test]
async fn the_same_client_twice_in_one_call_is_no_trouble() {
    everywhere(async |stage| {
        let client = stage.client(1);
        stage.ensure(std::slice::from_ref(&client)).await;
        for outcome in stage.remove(&[client.clone(), client]).await {
            assert_ne!(outcome, Removed::NotOurs);
        }
        stage.rest(&[]).await;
    })
    .await;
}

fn placeholders(stage: &Stage) -> Vec<Held> {
    let held = stage.sim.clients(stage.inbound.id.0);
    held.into_iter().filter(|held| held.email.starts_with(PLACEHOLDER)).collect()
}

async fn nobody_is_seen(stage: &Stage) {
    let seen = stage.panel.observe(stage.inbound.id).await.unwrap();
    assert!(seen.complete && seen.clients.is_empty(), "{seen:?}");
}

#[tokio::test]
async fn the_last_client_goes_too_and_leaves_nobody_a_way_in() {
    for generation in BOTH {
        let stage = Stage::empty(generation).await;
        let clients = stage.clients(1..4);
        stage.ensure(&clients).await;
        assert_eq!(stage.remove(&clients).await, [Removed::Removed; 3]);
        nobody_is_seen(&stage).await;
        for client in &clients {
            assert!(!stage.sim.use_traffic(client.identity.name.as_str(), 1, 1));
        }
        match (generation, placeholders(&stage).as_slice()) {
            (Generation::Two, [placeholder]) => {
                assert!(!placeholder.enabled && !stage.sim.use_traffic(&placeholder.email, 1, 1), "{placeholder:?}");
                assert!(clients.iter().all(|client| client.identity.uuid.to_string() != placeholder.credential));
            }
            (Generation::Three, []) => {}
            (_, other) => panic!("{generation:?}: {other:?}"),
        }
        stage.rest(&[]).await;
    }
}

#[tokio::test]
async fn placeholders_do_not_pile_up_and_go_when_the_operator_wants_them_gone() {
    let stage = Stage::empty(Generation::Two).await;
    for round in 0..5 {
        let clients = stage.clients(round..round + 3);
        stage.ensure(&clients).await;
        stage.remove(&clients).await;
        assert_eq!(placeholders(&stage).len(), 1);
    }
    let client = [stage.client(1)];
    stage.ensure(&client).await;
    stage.sim.remove_client(stage.inbound.id.0, &placeholders(&stage)[0].email);
    stage.rest(&client).await;
    stage.remove(&client).await;
    assert_eq!(placeholders(&stage).len(), 1);
    stage.rest(&[]).await;
}

#[tokio::test]
async fn every_inbound_has_a_placeholder_of_its_own() {
    let stage = Stage::empty(Generation::Two).await;
    stage.sim.add_inbound(&vmess(8080));
    stage.sim.add_inbound(&reality(444));
    for inbound in stage.panel.inbounds().await.unwrap() {
        let clients = [Client { flow: inbound.flow().into(), ..stage.client(1) }];
        stage.panel.ensure_clients(&inbound, &clients).await.remove(0).unwrap();
        let identities = [clients[0].identity.clone()];
        stage.panel.remove_clients(&inbound, &identities).await.remove(0).unwrap();
        assert_eq!(stage.sim.clients(inbound.id.0).len(), 1);
        assert_eq!(stage.panel.observe(inbound.id).await.unwrap().clients, []);
    }
}

#[tokio::test]
async fn a_stranger_beside_the_last_of_ours_makes_a_placeholder_needless() {
    everywhere(async |stage| {
        let clients = stage.clients(1..4);
        stage.ensure(&clients).await;
        stage.remove(&clients).await;
        assert_eq!(placeholders(&stage), []);
        stage.rest(&[]).await;
    })
    .await;
}

#[tokio::test]
async fn removing_from_an_inbound_that_is_not_there_is_no_success_on_a_panel_that_cannot_know() {
    everywhere(async |stage| {
        let clients = stage.clients(1..3);
        stage.ensure(&clients).await;
        let gone = fleet::inbound::Inbound { id: InboundId(99), ..stage.inbound.clone() };
        let outcomes = stage.panel.remove_clients(&gone, &crate::stage::identities(&clients)).await;
        if stage.is_two() {
            assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(panel::PanelError::is_refused)));
            stage.rest(&clients).await;
        } else {
            // There a name is one record, whatever inbounds it is on.
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Removed::Removed))), "{outcomes:?}");
            stage.rest(&[]).await;
        }
    })
    .await;
}
