//! How clients come to be there, just so.

use crate::{
    bodies::{reality, shadowsocks, trojan, vmess},
    by_hand::stranger,
    stage::{BOTH, Stage, everywhere},
};
use fleet::client::Client;
use panel::{Ensured, PanelError, Removed};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_batch_of_1200_takes_few_writes_and_its_repetition_none() {
    everywhere(async |stage| {
        let clients = stage.clients(1..1_201);
        assert_eq!(stage.ensure(&clients).await, vec![Ensured::Added; 1_200]);
        assert!(stage.sim.writes() <= 3, "{} writes", stage.sim.writes());
        stage.rest(&clients).await;
    })
    .await;
}

#[tokio::test]
async fn what_changed_is_written_and_nothing_else() {
    everywhere(async |stage| {
        let mut clients = stage.clients(1..6);
        stage.ensure(&clients).await;
        clients[0].expires_at_ms = 4_000_000_000_000;
        clients[1].traffic_limit = 10_000_000_000;
        clients[2].enabled = false;
        clients[3].telegram_id = 1;
        let writes = stage.sim.writes();
        let outcomes = stage.ensure(&clients).await;
        assert_eq!(outcomes[..4], [Ensured::Updated; 4]);
        assert_eq!(outcomes[4], Ensured::Unchanged);
        assert_eq!(stage.sim.writes(), writes + 4);
        assert_eq!(stage.entry(clients[3].identity.name.as_str()).await["tgId"], 1);
        stage.rest(&clients).await;
    })
    .await;
}

#[tokio::test]
async fn fields_that_are_not_ours_survive() {
    everywhere(async |stage| {
        let client = stage.client(1);
        let name = client.identity.name.as_str();
        let by_hand = json!({
            "id": client.identity.uuid, "email": name, "subId": client.identity.sub_id, "enable": true,
            "flow": client.flow, "expiryTime": 0, "totalGB": 0, "tgId": client.telegram_id, "comment": "pays in cash",
            "limitIp": 2, "reset": 30, "group": "vip", "futureField": {"kept": [1]},
        });
        stage.sim.add_client(stage.inbound.id.0, by_hand);
        assert_eq!(stage.ensure(std::slice::from_ref(&client)).await, [Ensured::Unchanged]);
        let changed = Client { expires_at_ms: 4_000_000_000_000, traffic_limit: 7, ..client.clone() };
        assert_eq!(stage.ensure(&[changed]).await, [Ensured::Updated]);
        let entry = stage.entry(name).await;
        for (field, value) in [("comment", json!("pays in cash")), ("limitIp", json!(2)), ("reset", json!(30))] {
            assert_eq!(entry[field], value, "{field} in {entry}");
        }
        assert_eq!(entry["group"], "vip");
        assert_eq!((&entry["expiryTime"], &entry["totalGB"]), (&json!(4_000_000_000_000_i64), &json!(7)));
        if stage.is_two() {
            // A 3.6 panel itself keeps no field that it does not know.
            assert_eq!(entry["futureField"], json!({"kept": [1]}));
        }
        stage.assert_strangers_are_as_before();
    })
    .await;
}

#[tokio::test]
async fn a_stranger_under_our_name_is_refused_and_left_alone_and_the_others_come() {
    everywhere(async |stage| {
        let clients = stage.clients(1..20);
        stage.stranger_comes(clients[4].identity.name.as_str());
        let outcomes = stage.try_ensure(&clients).await;
        let error = outcomes[4].as_ref().unwrap_err();
        assert!(error.is_refused() && error.to_string().contains("not ours"), "{error:?}");
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 18);
        stage.assert_strangers_are_as_before();
        stage.rest(&[&clients[..4], &clients[5..]].concat()).await;
    })
    .await;
}

#[tokio::test]
async fn our_name_in_another_spelling_is_refused_and_does_not_hold_up_the_others() {
    for few_or_many in [5, 30] {
        everywhere(async |stage| {
            let clients = stage.clients(1..few_or_many);
            for client in &clients[..2] {
                stage.stranger_comes(&client.identity.name.as_str().to_uppercase());
            }
            let outcomes = stage.try_ensure(&clients).await;
            for outcome in &outcomes[..2] {
                assert!(outcome.as_ref().unwrap_err().is_refused(), "{outcomes:?}");
            }
            assert!(outcomes[2..].iter().all(|outcome| matches!(outcome, Ok(Ensured::Added))), "{outcomes:?}");
            assert_eq!(stage.remove(&clients[..2]).await, [Removed::Absent; 2]);
            stage.rest(&clients[2..]).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_name_on_another_inbound_of_the_panel() {
    everywhere(async |stage| {
        let other = stage.sim.add_inbound(&reality(444));
        let clients = stage.clients(1..5);
        let there = stage.panel.inbounds().await.unwrap().pop().unwrap();
        let moved = stage.panel.ensure_clients(&there, &clients[..2]).await;
        assert!(moved.iter().all(|outcome| matches!(outcome, Ok(Ensured::Added))));
        let outcomes = stage.try_ensure(&clients).await;
        if stage.is_two() {
            for outcome in &outcomes[..2] {
                let error = outcome.as_ref().unwrap_err();
                assert!(error.is_refused() && error.to_string().contains(&format!("inbound {other}")), "{error:?}");
            }
            stage.rest(&clients[2..]).await;
        } else {
            // There a client is one record, and may be on both.
            assert_eq!(outcomes[..2].iter().flatten().collect::<Vec<_>>(), [&Ensured::Updated; 2]);
            stage.rest(&clients).await;
        }
        assert!(matches!(outcomes[2..], [Ok(Ensured::Added), Ok(Ensured::Added)]), "{outcomes:?}");
        assert_eq!(stage.sim.clients(other).len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_disabled_client_arrives_disabled() {
    everywhere(async |stage| {
        let mut clients = stage.clients(1..4);
        clients[1].enabled = false;
        assert_eq!(stage.ensure(&clients).await, [Ensured::Added; 3]);
        assert!(!stage.sim.use_traffic(clients[1].identity.name.as_str(), 1, 1));
        assert!(stage.sim.use_traffic(clients[2].identity.name.as_str(), 1, 1));
        stage.rest(&clients).await;
        clients[1].enabled = true;
        stage.ensure(&clients).await;
        assert!(stage.sim.use_traffic(clients[1].identity.name.as_str(), 1, 1));
        stage.rest(&clients).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_whose_time_is_over_is_switched_off_by_the_panel_and_back_on_by_us() {
    everywhere(async |stage| {
        let mut client = Client { expires_at_ms: 1_600_000_000_000, ..stage.client(1) };
        stage.ensure(std::slice::from_ref(&client)).await;
        stage.advance(Duration::from_secs(30));
        assert!(!stage.sim.use_traffic(client.identity.name.as_str(), 1, 1));
        client.enabled = false;
        stage.rest(std::slice::from_ref(&client)).await;
        client = Client { expires_at_ms: 4_000_000_000_000, ..stage.client(1) };
        assert_eq!(stage.ensure(std::slice::from_ref(&client)).await, [Ensured::Updated]);
        stage.advance(Duration::from_secs(30));
        assert!(stage.sim.use_traffic(client.identity.name.as_str(), 1, 1));
        stage.rest(&[client]).await;
    })
    .await;
}

#[tokio::test]
async fn a_duration_begins_with_the_first_use_and_is_not_set_back() {
    everywhere(async |stage| {
        let client = Client { expires_at_ms: -2_592_000_000, ..stage.client(1) };
        stage.ensure(std::slice::from_ref(&client)).await;
        assert!(stage.sim.use_traffic(client.identity.name.as_str(), 1, 1));
        stage.advance(Duration::from_secs(30));
        let begun = stage.ours()[client.identity.name.as_str()].expires_at_ms;
        assert!(begun > 0);
        assert_eq!(stage.ensure(std::slice::from_ref(&client)).await, [Ensured::Unchanged]);
        assert_eq!(stage.ours()[client.identity.name.as_str()].expires_at_ms, begun);
    })
    .await;
}

#[tokio::test]
async fn a_name_given_twice_is_refused_the_second_time() {
    everywhere(async |stage| {
        let clients = stage.clients(1..4);
        let twice = [&clients[..], &clients[1..2]].concat();
        let outcomes = stage.try_ensure(&twice).await;
        assert!(matches!(&outcomes[3], Err(PanelError::Refused { message }) if message.contains("twice")));
        assert!(outcomes[..3].iter().all(Result::is_ok), "{outcomes:?}");
        stage.rest(&clients).await;
    })
    .await;
}

#[tokio::test]
async fn every_protocol_that_carries_keys_takes_and_gives_back_clients() {
    let aes = |method| move |port| shadowsocks(port, method);
    for body in [
        reality(443),
        vmess(443),
        trojan(443),
        aes("aes-256-gcm")(443),
        aes("2022-blake3-aes-128-gcm")(443),
        aes("2022-blake3-aes-256-gcm")(443),
    ] {
        for generation in BOTH {
            println!("{} on {generation:?}", body["settings"]);
            let stage = Stage::with(generation, body.clone()).await;
            assert_eq!(stage.inbound.may_carry_keys(), Ok(()));
            let mut clients = stage.clients(1..6);
            stage.ensure(&clients).await;
            stage.rest(&clients).await;
            clients[0].traffic_limit = 9;
            clients[1].enabled = false;
            stage.ensure(&clients).await;
            stage.rest(&clients).await;
            assert_eq!(stage.remove(&clients[..2]).await, [Removed::Removed; 2]);
            stage.rest(&clients[2..]).await;
        }
    }
}

#[tokio::test]
async fn an_operators_edit_of_our_client_is_undone() {
    everywhere(async |stage| {
        let client = stage.client(1);
        let name = client.identity.name.to_string();
        for (field, value) in [("id", stranger("x")["id"].clone()), ("subId", json!("other")), ("enable", json!(false))]
        {
            let mut edited = json!({"id": client.identity.uuid, "email": name, "subId": client.identity.sub_id,
                "enable": true, "flow": client.flow, "tgId": client.telegram_id});
            edited[field] = value;
            stage.sim.add_client(stage.inbound.id.0, edited);
            stage.ensure(std::slice::from_ref(&client)).await;
            stage.rest(std::slice::from_ref(&client)).await;
            stage.sim.remove_client(stage.inbound.id.0, &name);
        }
    })
    .await;
}
