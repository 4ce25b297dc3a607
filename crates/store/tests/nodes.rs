//! Nodes: what operators say of them, their sealed secrets, and the room on them.

use crate::scene::{Scene, now, secrets, settings};
use fleet::{
    health::{
        Health as Watch,
        reading::{Depth, LayerResult, PanelLayers, Port, Reading},
        rules::Rules,
    },
    id::{InboundId, NodeId},
    inbound::{Inbound, Protocol, Security, Transport},
    node::{Health, Policy},
};
use secrecy::ExposeSecret as _;
use std::{error::Error as _, time::Duration};
use store::{
    OpenError, Store, StoreError,
    nodes::{NodeSecrets, NodeSettings},
    samples::NewSample,
    seal::Sealer,
};

fn everything() -> NodeSettings {
    NodeSettings {
        description: Some("Amsterdam, второй".to_owned()),
        location: Some("🇳🇱 NL".to_owned()),
        tls: format!("pin:{}", "ab".repeat(32)),
        allow_http: true,
        host: Some("vpn.example".to_owned()),
        chosen_inbound: Some(InboundId(7)),
        connect_timeout: Some(Duration::from_millis(4500)),
        check_timeout: Some(Duration::from_secs(12)),
        policy: Policy::Maintenance,
        priority: -5,
        weight: 0.25,
        ..settings("ams-1", 12)
    }
}

fn inbound() -> Inbound {
    Inbound {
        id: InboundId(7),
        remark: "вход".to_owned(),
        enabled: true,
        listen: String::new(),
        port: 443,
        protocol: Protocol::Vless { encryption: None },
        transport: Transport::Tcp { http: None },
        security: Security::None,
        external_proxies: Vec::new(),
    }
}

#[tokio::test]
async fn a_node_is_found_as_it_was_described() {
    for scene in Scene::all().await {
        let tx = scene.store.write().await.unwrap();
        let id = tx.add_node(&everything(), &secrets(), now()).await.unwrap();
        tx.commit().await.unwrap();
        let found = scene.store.read().find_node(id).await.unwrap().unwrap();
        assert_eq!(Some(&found), scene.store.read().find_node_named("ams-1").await.unwrap().as_ref());
        assert_eq!(vec![found.clone()], scene.store.read().nodes().await.unwrap());
        assert_eq!(as_settings(&found), everything());
        assert_eq!((found.username.as_str(), found.created_at), ("admin", Some(now())));
        assert_eq!((found.node.health.clone(), found.checked_at, found.inbound), (Health::Unknown, None, None));
        assert!(scene.store.read().find_node(NodeId(id.0 + 1)).await.unwrap().is_none());
        assert!(scene.store.read().find_node_named("AMS-1").await.unwrap().is_none(), "{}", scene.db.engine);
    }
}

fn as_settings(found: &store::nodes::NodeRecord) -> NodeSettings {
    NodeSettings {
        name: found.node.name.clone(),
        description: found.description.clone(),
        location: found.node.location.clone(),
        url: found.url.clone(),
        tls: found.tls.clone(),
        allow_http: found.allow_http,
        host: found.host.clone(),
        chosen_inbound: found.chosen_inbound,
        connect_timeout: found.connect_timeout,
        check_timeout: found.check_timeout,
        policy: found.node.policy,
        max_users: found.node.max_users,
        priority: found.node.priority,
        weight: found.node.weight,
    }
}

#[tokio::test]
async fn what_a_panel_shows_is_kept_and_an_edit_asks_for_a_new_look() {
    for scene in Scene::all().await {
        let id = scene.node("ams-1", 5).await;
        let health = Watch::unknown().observe(&reading(), &Rules::default());
        let tx = scene.store.write().await.unwrap();
        tx.set_panel(id, Some(&inbound()), Some("3.6.0")).await.unwrap();
        tx.set_health(id, &health, now()).await.unwrap();
        tx.set_panel(id, None, None).await.unwrap();
        tx.commit().await.unwrap();
        let found = scene.store.read().find_node(id).await.unwrap().unwrap();
        assert_eq!((&found.node.health, found.checked_at), (&Health::of(health.state(), None), Some(now())));
        assert_eq!((found.inbound, found.node.inbound), (Some(inbound()), Some(InboundId(7))));
        assert_eq!(found.panel_version.as_deref(), Some("3.6.0"));

        let tx = scene.store.write().await.unwrap();
        tx.edit_node(id, &everything(), now()).await.unwrap();
        tx.commit().await.unwrap();
        let found = scene.store.read().find_node(id).await.unwrap().unwrap();
        assert_eq!((as_settings(&found), found.node.health), (everything(), Health::Unknown));
        assert!(found.inbound.is_some());
    }
}

fn reading() -> Reading {
    let good = || LayerResult::Good { ms: 3 };
    let panel = PanelLayers {
        name: good(),
        tcp: LayerResult::Bad { why: "refused\0".to_owned(), ms: 1 },
        ..PanelLayers::not_reached(true)
    };
    let port = Port { inbound: InboundId(7), port: 443, tcp: good(), tls: None };
    let started_ms = now().timestamp_millis();
    Reading { started_ms, ended_ms: started_ms + 40, depth: Depth::Full, panel, ports: vec![port] }
}

#[tokio::test]
async fn health_is_kept_whole_for_us_and_as_a_word_for_others() {
    for scene in Scene::all().await {
        let id = scene.node("ams-1", 5).await;
        let find = async || scene.store.read().find_node(id).await.unwrap().unwrap();
        assert_eq!(find().await.watch, Watch::unknown());
        let health = Watch::unknown().observe(&reading(), &Rules::default());
        let machine = NewSample {
            node: id,
            health: health.state().into(),
            response_ms: Some(40),
            cpu_percent: Some(12.5),
            mem_percent: Some(f64::INFINITY),
            online_users: Some(17),
            xray_version: Some("25.6.8".to_owned()),
        };
        let tx = scene.store.write().await.unwrap();
        tx.set_health(id, &health, now()).await.unwrap();
        tx.set_reading(id, &reading(), &machine).await.unwrap();
        tx.set_trouble(id, Some("its disk is full\0")).await.unwrap();
        tx.commit().await.unwrap();
        let found = find().await;
        assert_eq!((&found.watch, &found.reading), (&health, &Some(reading())));
        assert_eq!((found.checked_at, found.response_ms), (Some(now()), Some(40)));
        assert_eq!((found.cpu_percent, found.mem_percent, found.online_users), (Some(12.5), None, Some(17)));
        assert_eq!(
            (found.xray_version.as_deref(), found.trouble.as_deref()),
            (Some("25.6.8"), Some("its disk is full"))
        );
        let words = "SELECT health_status || ': ' || health_reason AS answer FROM vpn_nodes";
        let expected = format!("{}: {}", health.state().word(), health.state().why().unwrap().replace('\0', ""));
        assert_eq!(scene.ask::<String>(words).await, [expected]);

        let silent =
            NewSample { response_ms: None, cpu_percent: None, online_users: None, xray_version: None, ..machine };
        let tx = scene.store.write().await.unwrap();
        tx.set_reading(id, &reading(), &silent).await.unwrap();
        tx.set_trouble(id, None).await.unwrap();
        tx.commit().await.unwrap();
        let found = find().await;
        assert_eq!((found.response_ms, found.cpu_percent, found.online_users, found.trouble), (None, None, None, None));
        assert_eq!(found.xray_version.as_deref(), Some("25.6.8"));
    }
}

#[tokio::test]
async fn an_edit_that_changes_where_to_look_forgets_the_health_and_no_other_does() {
    for scene in Scene::all().await {
        let id = scene.node("ams-1", 5).await;
        let health = Watch::unknown().observe(&reading(), &Rules::default());
        let base = || settings("ams-1", 5);
        let more = NodeSettings { policy: Policy::Maintenance, max_users: 9, weight: 2.0, ..base() };
        for (edit, forgets) in [
            (base(), false),
            (more, false),
            (NodeSettings { url: "https://other.example/".to_owned(), ..base() }, true),
            (NodeSettings { host: Some("vpn.example".to_owned()), ..base() }, true),
        ] {
            let tx = scene.store.write().await.unwrap();
            tx.set_health(id, &health, now()).await.unwrap();
            tx.edit_node(id, &edit, now()).await.unwrap();
            let found = tx.read().find_node(id).await.unwrap().unwrap();
            tx.commit().await.unwrap();
            let expected = if forgets { Watch::unknown() } else { health.clone() };
            assert_eq!((found.watch, found.node.health == Health::Unknown), (expected, forgets), "{edit:?}");
        }
        let tx = scene.store.write().await.unwrap();
        tx.set_health(id, &health, now()).await.unwrap();
        tx.set_secrets(id, &secrets()).await.unwrap();
        assert_eq!(tx.read().find_node(id).await.unwrap().unwrap().watch, Watch::unknown());
    }
}

#[tokio::test]
async fn what_was_seen_by_another_version_of_muster_is_looked_at_anew() {
    for scene in Scene::all().await {
        let id = scene.node("ams-1", 5).await;
        scene.run("UPDATE vpn_nodes SET inbound_seen = '{\"shape\": \"of another version\"}'").await;
        scene.run("UPDATE vpn_nodes SET health = inbound_seen, reading = inbound_seen").await;
        let found = scene.store.read().find_node(id).await.unwrap().unwrap();
        assert_eq!((found.inbound, found.watch, found.reading), (None, Watch::unknown(), None));
        scene.run("UPDATE vpn_nodes SET status = 'melting'").await;
        let refused = scene.store.read().nodes().await.unwrap_err();
        assert_eq!(refused.to_string(), format!("row {id} of vpn_nodes holds an unusable status: \"melting\""));
    }
}

#[tokio::test]
async fn a_name_is_taken_only_once() {
    for scene in Scene::all().await {
        scene.node("ams-1", 5).await;
        let other = scene.node("ams-2", 5).await;
        let tx = scene.store.write().await.unwrap();
        let added = tx.add_node(&settings("ams-1", 1), &secrets(), now()).await;
        assert!(matches!(&added, Err(StoreError::Exists { name, .. }) if name == "ams-1"), "{added:?}");
        drop(tx);
        let tx = scene.store.write().await.unwrap();
        let renamed = tx.edit_node(other, &settings("ams-1", 1), now()).await;
        assert!(matches!(renamed, Err(StoreError::Exists { .. })), "{renamed:?}");
        drop(tx);
        assert_eq!(scene.store.read().nodes().await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn an_unknown_node_is_not_edited_into_being() {
    for scene in Scene::all().await {
        let tx = scene.store.write().await.unwrap();
        let edited = tx.edit_node(NodeId(77), &settings("x", 1), now()).await;
        assert!(matches!(edited, Err(StoreError::Missing { id: 77, .. })), "{edited:?}");
        let kept = tx.set_secrets(NodeId(77), &secrets()).await;
        assert!(matches!(kept, Err(StoreError::Missing { id: 77, .. })), "{kept:?}");
        assert!(!tx.delete_node(NodeId(77)).await.unwrap());
        assert!(!tx.take_room(NodeId(77), 1).await.unwrap());
        assert!(tx.read().find_secrets(NodeId(77)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn revisions_change_exactly_when_an_operator_changes_something() {
    for scene in Scene::all().await {
        let (node, other) = (scene.node("ams-1", 5).await, scene.node("ams-2", 5).await);
        let user = scene.user(1).await;
        let before = scene.store.read().revisions().await.unwrap();
        let mark = scene.store.read().nodes_mark().await.unwrap();
        let tx = scene.store.write().await.unwrap();
        tx.set_panel(node, Some(&inbound()), None).await.unwrap();
        tx.set_health(node, &Watch::unknown(), now()).await.unwrap();
        tx.commit().await.unwrap();
        scene.issue_confirmed(user, node).await;
        assert_eq!(scene.store.read().revisions().await.unwrap(), before);
        assert_eq!(scene.store.read().nodes_mark().await.unwrap(), mark);

        let tx = scene.store.write().await.unwrap();
        tx.edit_node(node, &settings("ams-1", 6), now()).await.unwrap();
        tx.commit().await.unwrap();
        let edited = scene.store.read().revisions().await.unwrap();
        assert!(edited[&node] > before[&node] && edited[&other] == before[&other]);
        let tx = scene.store.write().await.unwrap();
        tx.set_secrets(other, &secrets()).await.unwrap();
        tx.commit().await.unwrap();
        let sealed = scene.store.read().revisions().await.unwrap();
        assert!(sealed[&other] > before[&other] && sealed[&node] == edited[&node]);
        assert_eq!(scene.store.read().find_node(node).await.unwrap().unwrap().revision, edited[&node]);
        assert_ne!(scene.store.read().nodes_mark().await.unwrap(), mark);
    }
}

#[tokio::test]
async fn whatever_changes_the_list_of_nodes_changes_its_mark() {
    for scene in Scene::all().await {
        let mut marks = vec![scene.store.read().nodes_mark().await.unwrap()];
        let node = scene.node("ams-1", 5).await;
        marks.push(scene.store.read().nodes_mark().await.unwrap());
        let tx = scene.store.write().await.unwrap();
        tx.edit_node(node, &settings("ams-1", 6), now()).await.unwrap();
        tx.commit().await.unwrap();
        marks.push(scene.store.read().nodes_mark().await.unwrap());
        let tx = scene.store.write().await.unwrap();
        tx.delete_node(node).await.unwrap();
        tx.commit().await.unwrap();
        marks.push(scene.store.read().nodes_mark().await.unwrap());
        scene.node("ams-1", 5).await;
        marks.push(scene.store.read().nodes_mark().await.unwrap());
        for (at, mark) in marks.iter().enumerate() {
            let same = marks.iter().filter(|other| *other == mark).count();
            // Before the first node and after the last there is nothing to run either way.
            assert_eq!(same, if matches!(at, 0 | 3) { 2 } else { 1 }, "{marks:?}");
        }
    }
}

#[tokio::test]
async fn secrets_lie_sealed_and_are_read_back() {
    for scene in Scene::all().await {
        let id = scene.node("ams-1", 5).await;
        let columns = "x3ui_password || ' ' || x3ui_token || ' ' || x3ui_totp_secret";
        let stored: Vec<String> = scene.ask(&format!("SELECT {columns} AS answer FROM vpn_nodes")).await;
        for secret in ["pa55w0rd", "t0ken", "JBSWY3DPEHPK3PXP"] {
            assert!(!stored[0].contains(secret), "{} holds {secret}", scene.db.engine);
        }
        let opened = scene.store.read().find_secrets(id).await.unwrap().unwrap();
        assert_eq!(opened.password.expose_secret(), "pa55w0rd");
        assert_eq!(opened.token.unwrap().expose_secret(), "t0ken");
        assert_eq!(opened.totp.unwrap().expose_secret(), "JBSWY3DPEHPK3PXP");

        let none = NodeSecrets { username: String::new(), password: "".into(), token: None, totp: Some("".into()) };
        let tx = scene.store.write().await.unwrap();
        tx.set_secrets(id, &none).await.unwrap();
        tx.commit().await.unwrap();
        let opened = scene.store.read().find_secrets(id).await.unwrap().unwrap();
        assert!(opened.password.expose_secret().is_empty() && opened.token.is_none() && opened.totp.is_none());

        let most = NodeSecrets { password: "ы".repeat(70).into(), ..none };
        let tx = scene.store.write().await.unwrap();
        tx.set_secrets(id, &most).await.unwrap();
        assert_eq!(tx.read().find_secrets(id).await.unwrap().unwrap().password.expose_secret(), "ы".repeat(70));
    }
}

#[tokio::test]
async fn another_sealing_key_is_told_apart_at_once_and_opens_nothing() {
    for scene in Scene::all().await {
        let id = scene.node("ams-1", 5).await;
        scene.store.check_key().await.unwrap();
        scene.store.check_key().await.unwrap();
        let stranger = Store::open(&scene.db.url, Sealer::new(&[8; 32], &[])).await.unwrap();
        let refused = stranger.check_key().await.unwrap_err();
        assert!(matches!(refused, OpenError::WrongKey) && refused.source().is_none(), "{refused:?}");
        let sealed = stranger.read().find_secrets(id).await.unwrap_err();
        assert!(matches!(sealed, StoreError::Sealed { table: "vpn_nodes", .. }), "{sealed:?}");

        let rotated = Store::open(&scene.db.url, Sealer::new(&[8; 32], &[[7; 32]])).await.unwrap();
        rotated.check_key().await.unwrap();
        let opened = rotated.read().find_secrets(id).await.unwrap().unwrap();
        assert_eq!(opened.password.expose_secret(), "pa55w0rd");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_who_ask_at_once_exactly_as_many_get_room_as_there_is() {
    for scene in Scene::all().await {
        let id = scene.node("ams-1", 7).await;
        let tasks: Vec<_> = (0..200)
            .map(|telegram_id| {
                let store = scene.store.clone();
                tokio::spawn(async move {
                    let tx = store.write().await.unwrap();
                    let taken = tx.take_room(id, 1).await.unwrap();
                    tx.commit().await.unwrap();
                    (telegram_id, taken)
                })
            })
            .collect();
        let mut taken = 0;
        for task in tasks {
            taken += i64::from(task.await.unwrap().1);
        }
        assert_eq!((taken, scene.load(id).await), (7, 7), "{}", scene.db.engine);
        let tx = scene.store.write().await.unwrap();
        assert!(!tx.take_room(id, 1).await.unwrap());
        assert!(tx.take_room(id, 0).await.unwrap(), "no room is always there");
    }
}

#[tokio::test]
async fn a_deleted_node_takes_its_assignments_and_its_ledger_along() {
    for scene in Scene::all().await {
        let (node, user) = (scene.node("ams-1", 5).await, scene.user(1).await);
        let key = scene.issue_confirmed(user, node).await;
        assert_eq!(scene.store.read().count_clients(node).await.unwrap(), 1);
        let tx = scene.store.write().await.unwrap();
        assert!(tx.delete_node(node).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(scene.lines(node).await, []);
        assert_eq!(scene.homes(key).await, Vec::<String>::new());
        assert_eq!(scene.keys(user).await[0].node, None, "a key does not name a node that is gone");
    }
}

#[tokio::test]
async fn a_fleet_of_any_size_is_read_whole_and_in_order() {
    for scene in Scene::all().await {
        // A page holds 128.
        for count in [1, 128, 129, 300] {
            let tx = scene.store.write().await.unwrap();
            for n in scene.store.read().nodes().await.unwrap().len()..count {
                tx.add_node(&settings(&format!("node-{n}"), 5), &secrets(), now()).await.unwrap();
            }
            tx.commit().await.unwrap();
            let ids: Vec<NodeId> = scene.store.read().nodes().await.unwrap().iter().map(|n| n.node.id).collect();
            assert!(ids.len() == count && ids.is_sorted(), "{count}: {ids:?}");
        }
    }
}
