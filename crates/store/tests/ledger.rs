//! Assignments and the ledger of clients: what a panel was asked to hold, and what it said.

use crate::scene::{INBOUND, Scene, now};
use chrono::TimeDelta;
use fleet::id::{InboundId, NodeId};
use store::{clients::Wanted, keys::KeyState};

const WANTED: Wanted = Wanted { enabled: true, expires_at_ms: 0, telegram_id: 100 };

#[tokio::test]
async fn a_new_key_is_pending_until_its_panel_confirms_it() {
    for scene in Scene::all().await {
        let (node, user) = (scene.node("ams-1", 5).await, scene.user(100).await);
        let key = scene.issue(user, node).await;
        let unsettled = scene.unsettled(node).await;
        assert_eq!(unsettled, scene.lines(node).await);
        let [line] = unsettled.as_slice() else { panic!("one line, not {unsettled:?}") };
        assert_eq!((line.key, line.inbound, line.confirmed, line.wanted), (key, INBOUND, false, Some(WANTED)));
        assert_eq!(scene.store.read().unsettled_nodes().await.unwrap(), [node].into());
        let pending = scene.store.read().pending_keys().await.unwrap();
        assert_eq!(pending, scene.keys(user).await);
        assert_eq!((pending[0].state, pending[0].node), (KeyState::Pending, Some(node)));
        assert_eq!(pending[0].identity.as_ref(), Some(&line.identity));
        assert_eq!(scene.homes(key).await, [format!("{node}:arriving:not")]);

        assert_eq!(scene.confirm(&[line.version]).await, [key]);
        assert_eq!(scene.confirm(&[line.version]).await, [], "it came into force only once");
        assert!(scene.unsettled(node).await.is_empty() && scene.store.read().pending_keys().await.unwrap().is_empty());
        assert!(scene.store.read().unsettled_nodes().await.unwrap().is_empty());
        assert!(scene.line(key, node).await.confirmed);
        assert_eq!(scene.keys(user).await[0].state, KeyState::Active);
        assert_eq!(scene.homes(key).await, [format!("{node}:active:lives")]);
        assert_eq!(scene.ask::<String>("SELECT status AS answer FROM vpn_keys").await, ["active"]);
    }
}

#[tokio::test]
async fn a_refreshed_key_works_until_the_new_one_is_confirmed_and_not_a_moment_longer() {
    for scene in Scene::all().await {
        let (here, there) = (scene.node("ams-1", 5).await, scene.node("ams-2", 5).await);
        let user = scene.user(100).await;
        let old = scene.issue_confirmed(user, here).await;
        let new = scene.issue(user, there).await;
        assert_eq!(scene.keys(user).await.iter().map(|k| k.id).collect::<Vec<_>>(), [new, old]);
        assert_eq!(scene.line(old, here).await.wanted, Some(WANTED));

        assert_eq!(scene.confirm(&[scene.line(new, there).await.version]).await, [new]);
        assert_eq!(scene.keys(user).await.iter().map(|k| k.id).collect::<Vec<_>>(), [new]);
        let retired = scene.unsettled(here).await;
        assert_eq!((retired.len(), retired[0].key, retired[0].wanted), (1, old, None));
        assert_eq!(scene.homes(old).await, [format!("{here}:ending:not")]);
        assert_eq!((scene.load(here).await, scene.load(there).await), (1, 1), "it takes room until it is gone");
        scene.gone(here, &[retired[0].version]).await;
        assert_eq!(scene.homes(old).await, [format!("{here}:past:not")]);
        assert_eq!((scene.load(here).await, scene.load(there).await), (0, 1));
    }
}

#[tokio::test]
async fn a_refresh_on_the_same_node_leaves_one_active_assignment_and_many_past_ones() {
    for scene in Scene::all().await {
        let (node, user) = (scene.node("ams-1", 50).await, scene.user(100).await);
        for round in 0..5 {
            let key = scene.issue_confirmed(user, node).await;
            let old: Vec<_> = scene.unsettled(node).await;
            assert_eq!(old.len(), usize::from(round > 0));
            scene.gone(node, &old.iter().map(|l| l.version).collect::<Vec<_>>()).await;
            assert_eq!(scene.keys(user).await.iter().map(|k| k.id).collect::<Vec<_>>(), [key]);
        }
        let active = "SELECT count(*) AS answer FROM user_node_assignments WHERE is_active";
        assert_eq!(scene.ask::<i64>(active).await, [1]);
        assert_eq!(scene.ask::<i64>("SELECT count(*) AS answer FROM user_node_assignments").await, [5]);
        assert_eq!(scene.load(node).await, 1);
        let twice = format!("INSERT INTO user_node_assignments (user_id, node_id) VALUES ({user}, {node})");
        let refused = sea_orm::ConnectionTrait::execute_unprepared(&scene.raw, &twice).await;
        assert!(refused.is_err(), "a second active assignment of a user to a node");
    }
}

#[tokio::test]
async fn a_key_that_moves_back_and_forth_keeps_one_line_per_node() {
    for scene in Scene::all().await {
        let nodes = [scene.node("ams-1", 5).await, scene.node("ams-2", 5).await];
        let user = scene.user(100).await;
        let key = scene.issue_confirmed(user, nodes[0]).await;
        for step in 1..6 {
            let (from, to) = (nodes[(step + 1) % 2], nodes[step % 2]);
            scene.release(key, None).await;
            scene.send(&scene.keys(user).await[0], to).await;
            assert_eq!(scene.line(key, from).await.wanted, None, "step {step}");
            assert_eq!(scene.line(key, to).await.wanted, Some(WANTED));
            assert_eq!(scene.confirm(&[scene.line(key, to).await.version]).await, [key]);
            assert_eq!((scene.lines(from).await.len(), scene.lines(to).await.len()), (1, 1));
            assert_eq!(scene.keys(user).await[0].node, Some(to));
            assert_eq!(scene.homes(key).await.last(), Some(&format!("{to}:active:lives")));
        }
    }
}

#[tokio::test]
async fn what_changed_after_it_was_read_is_not_settled_by_what_was_read() {
    for scene in Scene::all().await {
        let (node, user) = (scene.node("ams-1", 5).await, scene.user(100).await);
        let key = scene.issue(user, node).await;
        let read = scene.line(key, node).await.version;
        scene.release(key, None).await;
        assert_eq!(scene.confirm(&[read]).await, [], "the panel confirmed what nobody wants any more");
        assert_eq!(scene.unsettled(node).await.len(), 1);

        let unwanted = scene.line(key, node).await.version;
        scene.send(&scene.keys(user).await[0], node).await;
        scene.gone(node, &[unwanted]).await;
        assert_eq!(scene.line(key, node).await.wanted, Some(WANTED), "wanted back before it was seen gone");
        assert_eq!(scene.load(node).await, 1);
        assert_eq!(scene.confirm(&[scene.line(key, node).await.version]).await, [key]);

        let read = scene.line(key, node).await.version;
        let tx = scene.store.write().await.unwrap();
        tx.set_inbound(node, InboundId(9)).await.unwrap();
        tx.commit().await.unwrap();
        scene.confirm(&[read]).await;
        let line = scene.line(key, node).await;
        assert_eq!((line.inbound, line.confirmed), (InboundId(9), false));
        let homes =
            format!("SELECT xui_inbound_id AS answer FROM user_node_assignments WHERE key_id = {key} ORDER BY id");
        assert_eq!(scene.ask::<i32>(&homes).await.last(), Some(&9));
    }
}

#[tokio::test]
async fn an_account_that_changes_changes_what_its_panel_should_hold() {
    for scene in Scene::all().await {
        let (node, user) = (scene.node("ams-1", 5).await, scene.user(100).await);
        let key = scene.issue_confirmed(user, node).await;
        let set = |what: &str| format!("UPDATE users SET {what} WHERE id = {user}");
        scene.run(&set("valid_until = '2026-10-01 00:00:00+00:00'")).await;
        let limited = Wanted { expires_at_ms: 1_790_812_800_000, ..WANTED };
        assert_eq!(scene.line(key, node).await.wanted, Some(limited));
        scene.run(&set("is_blocked = true")).await;
        assert_eq!(scene.line(key, node).await.wanted, Some(Wanted { enabled: false, ..limited }));
        scene.run(&set("is_blocked = NULL, is_active = NULL, valid_until = '1960-01-01 00:00:00+00:00'")).await;
        assert_eq!(scene.line(key, node).await.wanted, Some(Wanted { expires_at_ms: 1, ..WANTED }));
        assert!(scene.unsettled(node).await.is_empty(), "found by comparing with all of the ledger, not announced");

        scene.run(&format!("UPDATE vpn_keys SET status = 'REVOKED' WHERE id = {key}")).await;
        assert_eq!(scene.line(key, node).await.wanted, None, "another program revoked it");
        scene.run(&format!("UPDATE vpn_keys SET status = 'ACTIVE' WHERE id = {key}")).await;
        assert!(scene.line(key, node).await.wanted.is_some());
    }
}

#[tokio::test]
async fn the_clients_of_a_deleted_user_are_still_ours_to_remove() {
    for scene in Scene::all().await {
        let (node, user) = (scene.node("ams-1", 5).await, scene.user(100).await);
        let (old, _) = (scene.issue_confirmed(user, node).await, scene.issue(user, node).await);
        scene.run(&format!("DELETE FROM users WHERE id = {user}")).await;
        assert!(scene.keys(user).await.is_empty() && scene.homes(old).await.is_empty());
        let lines = scene.lines(node).await;
        assert!(lines.len() == 2 && lines.iter().all(|line| line.wanted.is_none()), "{lines:?}");
        let versions: Vec<_> = lines.iter().map(|line| line.version).collect();
        assert_eq!(scene.confirm(&versions).await, []);
        assert_eq!(scene.load(node).await, 2);
        scene.gone(node, &versions).await;
        assert_eq!(scene.load(node).await, 0);
    }
}

#[tokio::test]
async fn a_withdrawn_key_leaves_only_its_line() {
    for scene in Scene::all().await {
        let (node, user) = (scene.node("ams-1", 5).await, scene.user(100).await);
        let shown = scene.issue_confirmed(user, node).await;
        let pending = scene.issue(user, node).await;
        let read = scene.line(pending, node).await.version;
        let tx = scene.store.write().await.unwrap();
        tx.withdraw_keys(&[shown, pending]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(scene.keys(user).await.iter().map(|k| k.id).collect::<Vec<_>>(), [shown]);
        assert!(scene.store.read().find_key(pending).await.unwrap().is_none());
        assert_eq!(scene.confirm(&[read]).await, [], "confirmed too late");
        let unsettled = scene.unsettled(node).await;
        assert_eq!((unsettled.len(), unsettled[0].key, unsettled[0].wanted), (1, pending, None));
        scene.gone(node, &[unsettled[0].version]).await;
        assert_eq!(scene.load(node).await, 1);
    }
}

#[tokio::test]
async fn a_refusal_is_remembered_until_the_panel_takes_the_client_after_all() {
    for scene in Scene::all().await {
        let (node, user) = (scene.node("ams-1", 5).await, scene.user(100).await);
        let key = scene.issue(user, node).await;
        let other = scene.issue_confirmed(scene.user(101).await, node).await;
        let version = scene.line(key, node).await.version;
        let tx = scene.store.write().await.unwrap();
        tx.set_refused(&[(version, "duplicate email\0".to_owned())]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(scene.store.read().refusals(&[key, other]).await.unwrap(), [(key, vec![node])].into());
        assert_eq!(scene.unsettled(node).await.len(), 1, "it stays to be said");
        scene.confirm(&[version]).await;
        assert!(scene.store.read().refusals(&[key, other]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn ending_releasing_and_unsettling_are_said_to_the_panels_they_concern() {
    for scene in Scene::all().await {
        let (here, there) = (scene.node("ams-1", 5).await, scene.node("ams-2", 5).await);
        let user = scene.user(100).await;
        let key = scene.issue_confirmed(user, here).await;
        scene.send(&scene.keys(user).await[0], there).await;
        scene.release(key, Some(there)).await;
        assert!(scene.unsettled(here).await.is_empty() && scene.line(key, here).await.wanted.is_some());
        assert_eq!(scene.unsettled(there).await[0].wanted, None);

        let tx = scene.store.write().await.unwrap();
        tx.set_unsettled(&[scene.line(key, here).await.version]).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!scene.unsettled(here).await[0].confirmed);

        scene.end(key).await;
        assert!(scene.keys(user).await.is_empty());
        assert_eq!(scene.ask::<String>("SELECT status AS answer FROM vpn_keys").await, ["revoked"]);
        let nodes = scene.store.read().unsettled_nodes().await.unwrap();
        assert_eq!(nodes, [here, there].into());
        assert!(scene.lines(NodeId(here.0 + there.0)).await.is_empty());
        let late = now() + TimeDelta::hours(1);
        let tx = scene.store.write().await.unwrap();
        tx.end_keys(&[key], late).await.unwrap();
        tx.set_gone(there, &[]).await.unwrap();
    }
}
