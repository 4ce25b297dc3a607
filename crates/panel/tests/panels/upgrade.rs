//! A panel that becomes another one under our hands.

use crate::{
    access::{access, access_by_login, login},
    bodies::reality,
    stage::{Stage, identities},
};
use fleet::client::Client;
use panel::{Access, Ensured, Generation as Found, PLACEHOLDER, Removed};
use panel_sim::Generation;

/// A 2.x panel with clients of ours, and a client that knows it as such.
async fn known() -> (Stage, Vec<Client>) {
    let stage = Stage::start(Generation::Two).await;
    let clients = stage.clients(1..12);
    stage.ensure(&clients).await;
    assert_eq!(stage.panel.status().await.unwrap().version.generation, Found::V2);
    (stage, clients)
}

/// That it is known for what it is now, and keeps working.
async fn is_found_again(stage: &Stage, clients: &[Client], as_what: Found) {
    let version = stage.panel.status().await.unwrap().version;
    assert_eq!(version.generation, as_what);
    assert_eq!(version.panel.is_some(), as_what == Found::V3);
    stage.rest(clients).await;
    let more = stage.clients(50..53);
    assert_eq!(stage.ensure(&more).await, [Ensured::Added; 3]);
    assert_eq!(stage.remove(&more).await, [Removed::Removed; 3]);
    stage.rest(clients).await;
}

#[tokio::test]
async fn an_upgrade_is_noticed_by_a_status_call() {
    let (stage, clients) = known().await;
    stage.sim.upgrade();
    is_found_again(&stage, &clients, Found::V3).await;
}

#[tokio::test]
async fn an_upgrade_is_noticed_by_reading() {
    let (stage, clients) = known().await;
    stage.sim.upgrade();
    let seen = stage.panel.observe(stage.inbound.id).await.unwrap();
    assert!(seen.complete && seen.clients.len() == 11 + 2);
    assert_eq!(seen.inbound, stage.inbound);
    assert_eq!(stage.panel.inbounds().await.unwrap().len(), 1);
    is_found_again(&stage, &clients, Found::V3).await;
}

#[tokio::test]
async fn an_upgrade_is_noticed_by_adding_and_changing() {
    let (stage, mut clients) = known().await;
    stage.sim.upgrade();
    clients[3].traffic_limit = 10;
    clients.extend(stage.clients(20..23));
    let outcomes = stage.ensure(&clients).await;
    assert_eq!(outcomes[3], Ensured::Updated);
    assert_eq!(outcomes[11..], [Ensured::Added; 3]);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ensured::Unchanged).count(), 10);
    is_found_again(&stage, &clients, Found::V3).await;
}

#[tokio::test]
async fn an_upgrade_is_noticed_by_removing() {
    let (stage, clients) = known().await;
    stage.sim.upgrade();
    assert_eq!(stage.remove(&clients[..3]).await, [Removed::Removed; 3]);
    is_found_again(&stage, &clients[3..], Found::V3).await;
}

#[tokio::test]
async fn an_upgraded_panel_still_hides_its_placeholder() {
    let stage = Stage::empty(Generation::Two).await;
    let client = [stage.client(1)];
    stage.ensure(&client).await;
    stage.remove(&client).await;
    stage.sim.upgrade();
    assert_eq!(stage.panel.observe(stage.inbound.id).await.unwrap().clients, []);
    let held = stage.sim.clients(stage.inbound.id.0);
    assert!(matches!(held.as_slice(), [one] if one.email.starts_with(PLACEHOLDER) && !one.enabled), "{held:?}");
    is_found_again(&stage, &[], Found::V3).await;
}

#[tokio::test]
async fn a_token_made_before_is_tried_again_on_the_newer_panel() {
    let (stage, clients) = known().await;
    // The text of a token that a panel of this seed will give.
    let twin = panel_sim::Sim::start(Generation::Two, stage.sim.setup().clone()).await.unwrap();
    twin.upgrade();
    let token = twin.create_token("first").unwrap();
    let both =
        Access { token: Some(token.clone().into()), login: Some(login(stage.sim.setup())), ..access(&stage.sim) };
    let stage = stage.let_in_by(both);
    assert_eq!(stage.panel.status().await.unwrap().version.generation, Found::V2);
    stage.sim.upgrade();
    assert_eq!(stage.sim.create_token("first"), Some(token));
    stage.panel.status().await.unwrap();
    let seen = stage.panel.examine().await.authorised;
    assert!(matches!(seen, panel::Step::Good { found: panel::Credential::Token, .. }), "{seen:?}");
    is_found_again(&stage, &clients, Found::V3).await;
}

#[tokio::test]
async fn an_upgrade_that_is_rolled_back_is_noticed_too() {
    for call in 0..4 {
        let (stage, clients) = known().await;
        let before = stage.sim.backup();
        stage.sim.upgrade();
        is_found_again(&stage, &clients, Found::V3).await;
        stage.sim.restore(&before);
        match call {
            0 => drop(stage.panel.status().await.unwrap()),
            1 => assert_eq!(stage.panel.observe(stage.inbound.id).await.unwrap().clients.len(), 13),
            2 => assert_eq!(stage.ensure(&clients).await, [Ensured::Unchanged; 11]),
            _ => assert_eq!(stage.remove(&[stage.client(77)]).await, [Removed::Absent]),
        }
        is_found_again(&stage, &clients, Found::V2).await;
    }
}

#[tokio::test]
async fn a_newer_panel_that_is_rolled_back_wants_the_login_and_says_so() {
    let old = Stage::start(Generation::Two).await;
    let stage = Stage::start(Generation::Three).await;
    stage.panel.status().await.unwrap();
    stage.sim.restore(&old.sim.backup());
    let error = stage.panel.status().await.unwrap_err();
    assert!(error.is_misconfigured() && error.to_string().contains("needs user name and password"), "{error}");
    let error = stage.try_ensure(&[stage.client(1)]).await.remove(0).unwrap_err();
    assert!(error.is_misconfigured(), "{error}");
}

#[tokio::test]
async fn another_inbound_after_the_upgrade_is_another_inbound() {
    let (stage, clients) = known().await;
    stage.sim.upgrade();
    let id = stage.sim.add_inbound(&reality(444));
    let inbound = stage.panel.inbounds().await.unwrap().into_iter().find(|inbound| inbound.id.0 == id).unwrap();
    let outcomes = stage.panel.ensure_clients(&inbound, &clients[..2]).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Ensured::Updated))), "{outcomes:?}");
    assert_eq!(stage.sim.clients(id).len(), 2);
    let gone = stage.panel.remove_clients(&inbound, &identities(&clients[..2])).await;
    assert!(gone.iter().all(|outcome| matches!(outcome, Ok(Removed::Removed))), "{gone:?}");
    let by_login = access_by_login(&stage.sim);
    let stage = stage.let_in_by(by_login);
    assert_eq!(stage.panel.observe(stage.inbound.id).await.unwrap().clients.len(), 9 + 2);
}
