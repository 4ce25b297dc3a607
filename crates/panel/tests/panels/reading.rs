//! What a panel says of itself, and what its silence must not be taken for.

use crate::{
    bodies::{mixed, reality, shadowsocks, trojan, vmess},
    by_hand::stranger,
    stage::everywhere,
};
use fleet::{id::InboundId, inbound::Protocol};
use panel::{PanelError, Step, XrayState};
use panel_sim::Fault;
use serde_json::json;

#[tokio::test]
async fn an_answer_is_not_health_for_xray_may_be_down() {
    everywhere(async |stage| {
        let status = stage.panel.status().await.unwrap();
        assert_eq!((status.xray.state, status.xray.error.as_str()), (XrayState::Running, ""));
        assert!(!status.xray.version.is_empty() && status.cpu_percent > 0.0 && status.cpu_percent < 100.0);
        assert!(status.mem_used > 0 && status.mem_used < status.mem_total && status.uptime_s > 0, "{status:?}");
        stage.sim.set_xray("stop");
        assert_eq!(stage.panel.status().await.unwrap().xray.state, XrayState::Stopped);
        assert!(!stage.panel.examine().await.is_good());
        stage.sim.set_xray("failed to listen on 443");
        let xray = stage.panel.status().await.unwrap().xray;
        assert_eq!((xray.state, xray.error.as_str()), (XrayState::Error, "failed to listen on 443"));
        let seen = stage.panel.examine().await;
        assert!(seen.first_fault().unwrap().contains("failed to listen on 443"), "{seen:?}");
        assert!(seen.inbounds.is_good(), "the inbounds are looked at all the same: {seen:?}");
        stage.sim.set_xray("running");
        assert!(stage.panel.examine().await.is_good());
    })
    .await;
}

#[tokio::test]
async fn a_panel_takes_clients_also_while_its_xray_is_down() {
    everywhere(async |stage| {
        stage.sim.set_xray("stop");
        let clients = stage.clients(1..4);
        stage.ensure(&clients).await;
        stage.remove(&clients[..1]).await;
        stage.rest(&clients[1..]).await;
    })
    .await;
}

#[tokio::test]
async fn inbounds_come_in_the_panels_order_with_what_they_carry() {
    everywhere(async |stage| {
        stage.sim.add_inbound(&vmess(8080));
        stage.sim.add_inbound(&trojan(8443));
        stage.sim.add_inbound(&shadowsocks(8388, "2022-blake3-aes-256-gcm"));
        stage.sim.add_inbound(&mixed(1080));
        let mut off = reality(444);
        off["enable"] = json!(false);
        stage.sim.add_inbound(&off);
        let found = stage.panel.inbounds().await.unwrap();
        assert_eq!(found.iter().map(|inbound| inbound.id.0).collect::<Vec<_>>(), stage.sim.inbound_ids());
        assert_eq!(found.iter().map(|inbound| inbound.port).collect::<Vec<_>>(), [443, 8080, 8443, 8388, 1080, 444]);
        let usable: Vec<bool> = found.iter().map(|inbound| inbound.may_carry_keys().is_ok()).collect();
        assert_eq!(usable, [true, true, true, true, false, false]);
        assert!(matches!(found[1].protocol, Protocol::Vmess) && matches!(found[2].protocol, Protocol::Trojan));
        let Protocol::Shadowsocks { method, password } = &found[3].protocol else { panic!("{:?}", found[3]) };
        assert!(method == "2022-blake3-aes-256-gcm" && !password.is_empty());
        let Step::Good { found, .. } = stage.panel.examine().await.inbounds else { panic!() };
        assert_eq!(found.iter().filter(|inbound| inbound.unusable.is_none()).count(), 4);
    })
    .await;
}

#[tokio::test]
async fn everybody_on_an_inbound_is_seen_and_nobody_of_another() {
    everywhere(async |stage| {
        let other = stage.sim.add_inbound(&vmess(8080));
        stage.sim.add_client(other, stranger("elsewhere"));
        let clients = stage.clients(1..20);
        stage.ensure(&clients).await;
        let seen = stage.panel.observe(stage.inbound.id).await.unwrap();
        assert!(seen.complete);
        assert_eq!(seen.inbound, stage.inbound);
        assert_eq!(seen.clients.len(), 19 + 2);
        let alice = seen.clients.iter().find(|client| client.name.as_str() == "alice").unwrap();
        assert_eq!((alice.sub_id.as_str(), alice.traffic_limit, alice.enabled), ("sub-of-alice", 5_000_000_000, true));
        assert_eq!(alice.expires_at_ms, 4_102_444_800_000);
        let ours = seen.clients.iter().find(|client| client.name == clients[7].identity.name).unwrap();
        assert_eq!(ours.credential, clients[7].identity.uuid.to_string());
        assert_eq!((ours.flow.as_str(), ours.enabled), ("xtls-rprx-vision", true));
        let elsewhere = stage.panel.observe(InboundId(other)).await.unwrap();
        assert_eq!(elsewhere.clients.len(), 1);
        assert_eq!(elsewhere.clients[0].name.as_str(), "elsewhere");
    })
    .await;
}

#[tokio::test]
async fn an_inbound_that_is_not_there_is_refused_and_never_empty() {
    everywhere(async |stage| {
        for id in [0, -1, 99] {
            let error = stage.panel.observe(InboundId(id)).await.unwrap_err();
            assert!(error.is_refused() && error.to_string().contains("record not found"), "{id}: {error:?}");
        }
        let gone = fleet::inbound::Inbound { id: InboundId(99), ..stage.inbound.clone() };
        let clients = stage.clients(1..3);
        for outcome in stage.panel.ensure_clients(&gone, &clients).await {
            assert!(outcome.unwrap_err().is_refused());
        }
        stage.rest(&[]).await;
    })
    .await;
}

#[tokio::test]
async fn a_panel_that_lost_its_database_is_not_one_without_clients() {
    everywhere(async |stage| {
        stage.ensure(&stage.clients(1..4)).await;
        stage.sim.restart_empty();
        let error = stage.panel.observe(stage.inbound.id).await.unwrap_err();
        assert!(error.is_refused() || error.is_unauthorised(), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_cut_or_a_proxys_is_an_error_of_its_own_kind() {
    everywhere(async |stage| {
        stage.ensure(&stage.clients(1..4)).await;
        stage.sim.inject(Fault::Truncated);
        let error = stage.panel.observe(stage.inbound.id).await.unwrap_err();
        assert!(matches!(error, PanelError::Unexpected { .. }), "{error:?}");
        assert!(matches!(stage.panel.inbounds().await, Err(PanelError::Unexpected { .. })));
        stage.sim.heal();
        stage.sim.inject(Fault::BadGateway);
        for error in [stage.panel.status().await.unwrap_err(), stage.panel.inbounds().await.unwrap_err()] {
            assert!(error.is_unreachable() && error.to_string().contains("HTTP"), "{error:?}");
        }
        stage.sim.heal();
        stage.rest(&stage.clients(1..4)).await;
    })
    .await;
}
