//! Keys on the move: make before break, and nothing that still works is taken away.

use crate::scene::{Scene, now};
use chrono::{DateTime, TimeDelta, Utc};
use fleet::{
    id::{KeyId, NodeId},
    settle::{Cause, Home, Leaving, Moved, Settings, Why, settle},
};
use store::{
    arrivals::Arrival,
    clients::Wanted,
    jobs::{JobKind, MoveState},
    leaving::{Returned, Whose},
};

fn later(minutes: i64) -> DateTime<Utc> {
    now() + TimeDelta::minutes(minutes)
}

/// A key on the first of so many nodes.
async fn settled(scene: &Scene, nodes: usize) -> (KeyId, Vec<NodeId>) {
    let mut all = Vec::new();
    for n in 0..nodes {
        all.push(scene.node(&format!("node-{n}"), 5).await);
    }
    let user = scene.user(100).await;
    (scene.issue_confirmed(user, all[0]).await, all)
}

async fn wanted(scene: &Scene, key: KeyId, node: NodeId) -> Option<Wanted> {
    scene.line(key, node).await.wanted
}

#[tokio::test]
async fn a_key_lives_where_it_did_until_the_other_panel_confirms_it() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 2).await;
        let (a, b) = (nodes[0], nodes[1]);
        let job = scene.job(JobKind::Failover, Some(a), None).await;
        assert!(scene.start(key, b, Cause::Failover, Some(job)).await);
        assert_eq!(scene.homes(key).await, [format!("{a}:active:lives"), format!("{b}:arriving:not")]);
        assert_eq!(scene.key(key).await.node, Some(a));
        assert!(wanted(&scene, key, a).await.is_some() && wanted(&scene, key, b).await.is_some());
        assert!(scene.unsettled(a).await.is_empty() && scene.unsettled(b).await.len() == 1);
        assert_eq!(scene.store.read().arriving().await.unwrap(), [(b, 1)].into());
        let [resident] = scene.store.read().residents(&nodes, None).await.unwrap().try_into().unwrap();
        assert_eq!((resident.key, resident.node, resident.arriving_to), (key, a, Some(b)));
        assert_eq!(Some(&resident.identity), scene.key(key).await.identity.as_ref());
        let moves = scene.store.read().moves_of(job, None, 9).await.unwrap();
        assert_eq!((moves[0].state, moves[0].from, moves[0].to), (MoveState::Arriving, Some(a), Some(b)));

        let version = scene.line(key, b).await.version;
        let [arrived] = scene.arrive(&[version], later(1)).await.try_into().unwrap();
        assert_eq!((arrived.key, arrived.node, arrived.user), (key, b, resident.user));
        assert_eq!(arrived.identity, resident.identity);
        assert_eq!(arrived.how, Arrival::Moved { from: Some(a), cause: Some(Cause::Failover), job: Some(job) });
        assert_eq!(scene.homes(key).await, [format!("{a}:leaving:not"), format!("{b}:active:lives")]);
        assert!(wanted(&scene, key, a).await.is_some(), "it works on");
        assert!(scene.unsettled(a).await.is_empty(), "and that panel has nothing to hear");
        assert_eq!((scene.load(a).await, scene.load(b).await), (1, 1));
        let record = scene.key(key).await;
        assert_eq!((record.node, record.moved_at), (Some(b), Some(later(1))));
        let [resident] = scene.store.read().residents(&nodes, None).await.unwrap().try_into().unwrap();
        assert_eq!((resident.node, resident.since, resident.arriving_to), (b, later(1), None));
        assert!(scene.store.read().arriving().await.unwrap().is_empty());
        let moves = scene.store.read().moves_of(job, None, 9).await.unwrap();
        assert_eq!((moves[0].state, moves[0].at), (MoveState::Done, later(1)));
        assert!(scene.arrive(&[version], later(2)).await.is_empty(), "only once");
    }
}

#[tokio::test]
async fn the_old_client_goes_when_the_move_is_settled() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 2).await;
        let (a, b) = (nodes[0], nodes[1]);
        let job = scene.job(JobKind::Failover, Some(a), None).await;
        assert!(scene.start(key, b, Cause::Failover, Some(job)).await);
        scene.arrive(&[scene.line(key, b).await.version], later(1)).await;
        let read = scene.line(key, a).await.version;
        scene.end_leaving(key, a).await;
        assert_eq!(wanted(&scene, key, a).await, None);
        assert_eq!(scene.unsettled(a).await.len(), 1, "its panel has to hear of it");
        assert!(scene.store.read().leaving(now()).await.unwrap().is_empty());
        assert_eq!(scene.homes(key).await, [format!("{a}:ending:not"), format!("{b}:active:lives")]);
        scene.confirm(&[read]).await;
        assert_eq!(scene.unsettled(a).await.len(), 1, "what was confirmed before is no answer");
        assert_eq!(scene.load(a).await, 1, "it takes room until it is gone");
        scene.end_leaving(key, b).await;
        assert!(wanted(&scene, key, b).await.is_some(), "what is not leaving is not ended");
        scene.gone(a, &[scene.line(key, a).await.version]).await;
        assert_eq!(scene.homes(key).await, [format!("{a}:past:not"), format!("{b}:active:lives")]);
        assert_eq!((scene.load(a).await, scene.load(b).await), (0, 1));
        let moves = scene.store.read().moves_of(job, None, 9).await.unwrap();
        assert_eq!(moves[0].reason.as_deref(), Some("the user was seen on the new node"));
    }
}

#[tokio::test]
async fn a_key_returns_to_a_node_that_it_is_still_leaving() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 4).await;
        let (a, b, c, d) = (nodes[0], nodes[1], nodes[2], nodes[3]);
        let job = scene.job(JobKind::Failover, Some(a), None).await;
        assert!(scene.start(key, b, Cause::Failover, Some(job)).await);
        scene.arrive(&[scene.line(key, b).await.version], later(1)).await;
        scene.move_key(key, c, later(2)).await;
        assert!(scene.start(key, d, Cause::Failover, None).await);
        assert_eq!(scene.return_home(key, a).await, [Returned { key, node: a }]);
        let states = |s: [&str; 4]| s.map(str::to_owned).to_vec();
        assert_eq!(
            scene.homes(key).await,
            states([
                &format!("{a}:active:lives"),
                &format!("{b}:leaving:not"),
                &format!("{c}:ending:not"),
                &format!("{d}:ending:not")
            ])
        );
        assert!(wanted(&scene, key, a).await.is_some() && wanted(&scene, key, b).await.is_some());
        assert!(scene.unsettled(a).await.is_empty(), "it was there all the time");
        assert_eq!((wanted(&scene, key, c).await, wanted(&scene, key, d).await), (None, None));
        assert_eq!((scene.unsettled(c).await.len(), scene.unsettled(d).await.len()), (1, 1));
        let record = scene.key(key).await;
        assert_eq!((record.node, record.moved_at), (Some(a), Some(now())));
        assert_eq!(scene.store.read().moves_of(job, None, 9).await.unwrap()[0].state, MoveState::Returned);
        assert_eq!(scene.left().await.moved.home.since_ms, now().timestamp_millis());
        assert_eq!(scene.return_home(key, a).await, [], "only once");
    }
}

#[tokio::test]
async fn a_target_that_dies_while_it_receives_costs_the_key_nothing() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 3).await;
        let (a, b, c) = (nodes[0], nodes[1], nodes[2]);
        let job = scene.job(JobKind::Drain, Some(a), None).await;
        assert!(scene.start(key, b, Cause::Drain, Some(job)).await);
        let read = scene.line(key, b).await.version;
        scene.cancel_arrival(key, b).await;
        scene.cancel_arrival(key, a).await;
        assert_eq!(scene.homes(key).await, [format!("{a}:active:lives"), format!("{b}:ending:not")]);
        assert_eq!(wanted(&scene, key, b).await, None);
        assert_eq!(scene.confirm(&[read]).await, [], "too late");
        let waiting = scene.store.read().moves_in(job, &[MoveState::Waiting]).await.unwrap();
        assert_eq!((waiting[0].to, waiting[0].reason.as_deref()), (None, Some("it went down")));

        assert!(scene.start(key, b, Cause::Drain, Some(job)).await);
        assert_eq!(scene.homes(key).await[1..], [format!("{b}:past:not"), format!("{b}:arriving:not")]);
        assert!(scene.start(key, c, Cause::Drain, Some(job)).await, "another one instead");
        let expected = [format!("{b}:past:not"), format!("{b}:ending:not"), format!("{c}:arriving:not")];
        assert_eq!(scene.homes(key).await[1..], expected);
        assert_eq!(wanted(&scene, key, b).await, None);
        assert_eq!(scene.confirm(&[scene.line(key, c).await.version]).await, [key]);
        let done = scene.store.read().moves_in(job, &[MoveState::Done]).await.unwrap();
        assert_eq!((done.len(), done[0].to), (1, Some(c)));
    }
}

#[tokio::test]
async fn a_move_back_to_a_node_that_is_being_left_takes_nothing_away_meanwhile() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 2).await;
        let (a, b) = (nodes[0], nodes[1]);
        scene.move_key(key, b, later(1)).await;
        assert!(scene.start(key, a, Cause::Failover, None).await);
        assert_eq!((scene.lines(a).await.len(), scene.load(a).await), (1, 1), "one client, wanted for two reasons");
        scene.cancel_arrival(key, a).await;
        assert!(wanted(&scene, key, a).await.is_some(), "it is leaving, as before");
        scene.move_key(key, a, later(2)).await;
        let now_lives = scene.homes(key).await;
        let current: Vec<_> = now_lives.iter().filter(|home| !home.contains("past")).collect();
        assert_eq!(current, [&format!("{b}:leaving:not"), &format!("{a}:active:lives")]);
        assert!(wanted(&scene, key, a).await.is_some() && wanted(&scene, key, b).await.is_some());
        assert_eq!((scene.load(a).await, scene.load(b).await), (1, 1));
    }
}

#[tokio::test]
async fn nothing_of_a_key_that_ended_is_wanted_anywhere() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 3).await;
        let user = scene.key(key).await.user;
        let job = scene.job(JobKind::Rebalance, None, None).await;
        scene.move_key(key, nodes[1], later(1)).await;
        assert!(scene.start(key, nodes[2], Cause::Rebalance, Some(job)).await);
        let arriving = scene.line(key, nodes[2]).await.version;
        let new = scene.issue(user, nodes[2]).await;
        let both = [arriving, scene.line(new, nodes[2]).await.version];
        assert_eq!(scene.confirm(&both).await, [new], "refreshed in the moment in which it arrived");
        for node in &nodes {
            assert_eq!(wanted(&scene, key, *node).await, None);
        }
        assert!(scene.homes(key).await.iter().all(|home| home.ends_with("ending:not")));
        assert!(scene.store.read().leaving(now()).await.unwrap().is_empty());
        let cancelled = scene.store.read().moves_of(job, None, 9).await.unwrap();
        assert_eq!(cancelled[0].state, MoveState::Cancelled);
        assert_eq!(cancelled[0].reason.as_deref(), Some("the key has ended"));
    }
}

#[tokio::test]
async fn what_settling_wants_to_know_is_told_as_it_wants_it() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 3).await;
        let (a, b, c) = (nodes[0], nodes[1], nodes[2]);
        let name = scene.line(key, a).await.identity.name;
        let tx = scene.store.write().await.unwrap();
        tx.set_seen(a, &[(name.clone(), later(-5))]).await.unwrap();
        tx.commit().await.unwrap();
        scene.move_key(key, b, later(1)).await;
        let job = scene.job(JobKind::Drain, Some(b), Some(later(60))).await;
        assert!(scene.start(key, c, Cause::Drain, Some(job)).await);
        scene.arrive(&[scene.line(key, c).await.version], later(10)).await;
        let tx = scene.store.write().await.unwrap();
        tx.set_seen(b, &[(name.clone(), later(9))]).await.unwrap();
        tx.set_seen(c, &[(name, later(11))]).await.unwrap();
        tx.set_shown(&[key], later(12)).await.unwrap();
        tx.commit().await.unwrap();

        let at = |minutes| later(minutes).timestamp_millis();
        let left = |node, since, seen, cause, grace_ms| Leaving {
            node,
            since_ms: at(since),
            seen_ms: Some(at(seen)),
            cause,
            grace_ms,
            serving_since_ms: None,
            may_return: false,
        };
        let expected = Moved {
            home: Home { node: c, since_ms: at(10), seen_ms: Some(at(11)) },
            handed_out_ms: Some(at(12)),
            leaving: vec![left(a, 1, -5, Cause::Failover, None), left(b, 10, 9, Cause::Drain, Some(50 * 60 * 1000))],
            ended: false,
        };
        let told = scene.left().await;
        assert_eq!((told.key, &told.moved), (key, &expected), "a drain has a deadline of its own");

        for (whose, graces) in [(Whose::Node(a), 1), (Whose::Key(key), 2), (Whose::Node(c), 0)] {
            let tx = scene.store.write().await.unwrap();
            assert_eq!(tx.end_grace(whose).await.unwrap(), graces);
            tx.commit().await.unwrap();
        }
        let mut moved = scene.left().await.moved;
        assert!(moved.leaving.iter().all(|left| left.grace_ms == Some(0)));
        moved.home.seen_ms = None;
        let fates = settle(&moved, &Settings::default(), at(13));
        let ended = fleet::settle::Fate::Remove { why: Why::GraceEnded };
        assert_eq!(fates, [(a, ended), (b, ended)].into());
    }
}

#[tokio::test]
async fn a_key_that_another_program_ended_or_that_ran_out_is_told_to_have_ended() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 2).await;
        scene.move_key(key, nodes[1], later(1)).await;
        assert!(!scene.left().await.moved.ended);
        scene.run(&format!("UPDATE vpn_keys SET status = 'Expired' WHERE id = {key}")).await;
        assert!(scene.left().await.moved.ended);
        assert_eq!(wanted(&scene, key, nodes[0]).await, None);
        scene.run(&format!("UPDATE vpn_keys SET status = 'ACTIVE' WHERE id = {key}")).await;
        for (end, has_ended) in [("2020-01-01 00:00:00+00:00", true), ("2040-01-01 00:00:00+00:00", false)] {
            scene.run(&format!("UPDATE users SET valid_until = '{end}'")).await;
            assert_eq!(scene.left().await.moved.ended, has_ended, "{end}");
        }
    }
}

#[tokio::test]
async fn a_key_whose_node_is_deleted_lives_nowhere_until_it_arrives_elsewhere() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 4).await;
        let (a, b, c, d) = (nodes[0], nodes[1], nodes[2], nodes[3]);
        scene.move_key(key, b, later(1)).await;
        let job = scene.job(JobKind::Delete, Some(b), None).await;
        assert!(scene.start(key, c, Cause::Delete, Some(job)).await);
        let delete = async |node| {
            let tx = scene.store.write().await.unwrap();
            assert!(tx.delete_node(node).await.unwrap());
            tx.commit().await.unwrap();
        };
        delete(c).await;
        let waiting = scene.store.read().moves_in(job, MoveState::OPEN).await.unwrap();
        assert_eq!((waiting[0].state, waiting[0].to), (MoveState::Waiting, None));
        assert!(waiting[0].reason.as_deref().unwrap().contains("deleted"));
        assert!(scene.store.read().homeless_keys().await.unwrap().is_empty());
        delete(b).await;
        let homeless = scene.store.read().homeless_keys().await.unwrap();
        assert_eq!((homeless.len(), homeless[0].id, homeless[0].node), (1, key, None));
        assert!(scene.store.read().residents(&nodes, None).await.unwrap().is_empty());
        assert!(wanted(&scene, key, a).await.is_some(), "what is still there works on");
        assert!(scene.store.read().leaving(now()).await.unwrap().is_empty(), "nothing to settle before it has a home");

        assert!(scene.start(key, d, Cause::Delete, Some(job)).await);
        assert!(scene.store.read().homeless_keys().await.unwrap().is_empty());
        let [arrived] = scene.arrive(&[scene.line(key, d).await.version], later(2)).await.try_into().unwrap();
        assert_eq!(arrived.how, Arrival::Moved { from: None, cause: Some(Cause::Delete), job: Some(job) });
        assert_eq!(scene.homes(key).await, [format!("{a}:leaving:not"), format!("{d}:active:lives")]);
        assert_eq!(scene.left().await.moved.leaving[0].node, a);
    }
}

#[tokio::test]
async fn a_key_that_another_program_revoked_stands_in_nobodys_way() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 1).await;
        let user = scene.key(key).await.user;
        scene.run("UPDATE vpn_keys SET status = 'expired'").await;
        let new = scene.issue_confirmed(user, nodes[0]).await;
        assert_eq!(scene.homes(key).await, [format!("{}:ending:not", nodes[0])]);
        assert_eq!(scene.homes(new).await, [format!("{}:active:lives", nodes[0])]);
        let status = format!("SELECT status AS answer FROM vpn_keys WHERE id = {key}");
        assert_eq!(scene.ask::<String>(&status).await, ["expired"], "its word stands");
        scene.run("UPDATE vpn_keys SET status = 'active'").await;
        let keys: Vec<_> = scene.keys(user).await.into_iter().map(|key| key.id).collect();
        assert_eq!(keys, [new], "but a key that was replaced stays ended");
        assert_eq!(wanted(&scene, key, nodes[0]).await, None);
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_and_removed_and_is_in_force_again_needs_a_home() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 2).await;
        scene.run("UPDATE vpn_keys SET status = 'revoked'").await;
        scene.gone(nodes[0], &[scene.line(key, nodes[0]).await.version]).await;
        assert_eq!(scene.homes(key).await, [format!("{}:past:not", nodes[0])]);
        assert!(scene.store.read().homeless_keys().await.unwrap().is_empty());
        scene.run("UPDATE vpn_keys SET status = 'active'").await;
        assert_eq!(scene.store.read().homeless_keys().await.unwrap()[0].id, key);
        scene.move_key(key, nodes[1], later(1)).await;
        assert!(scene.store.read().homeless_keys().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn who_pays_is_told_by_an_active_subscription_that_outlasts_the_trial() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 1).await;
        let created = "created_at = '2026-01-01 00:00:00+00:00'";
        for (status, end, trial_days, paying) in [
            ("active", "'2026-01-08 00:00:00+00:00'", Some(7), false),
            ("active", "'2026-02-08 00:00:00+00:00'", Some(7), true),
            ("active", "NULL", Some(7), true),
            ("expired", "'2026-02-08 00:00:00+00:00'", Some(7), false),
            ("none", "NULL", None, false),
            ("active", "'2026-01-08 00:00:00+00:00'", None, true),
        ] {
            scene
                .run(&format!("UPDATE users SET {created}, subscription_status = '{status}', valid_until = {end}"))
                .await;
            let [resident] = scene.store.read().residents(&nodes, trial_days).await.unwrap().try_into().unwrap();
            assert_eq!((resident.key, resident.paying), (key, paying), "{status} until {end}, {trial_days:?}");
        }
        scene.run("UPDATE vpn_keys SET status = 'revoked'").await;
        assert!(scene.store.read().residents(&nodes, None).await.unwrap().is_empty(), "not in force");
        assert!(scene.store.read().residents(&[], None).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_deadline_shortens_a_grace_and_lengthens_none() {
    for scene in Scene::all().await {
        let (key, nodes) = settled(&scene, 2).await;
        scene.move_key(key, nodes[1], later(1)).await;
        let grace = async || scene.left().await.moved.leaving[0].grace_ms;
        let shorten = async |minutes: i64| {
            let tx = scene.store.write().await.unwrap();
            tx.shorten_grace(nodes[0], later(minutes), TimeDelta::minutes(60)).await.unwrap();
            tx.shorten_grace(nodes[1], later(1), TimeDelta::minutes(60)).await.unwrap();
            tx.commit().await.unwrap();
        };
        shorten(90).await;
        assert_eq!(grace().await, None, "the grace of the settings ends before");
        for (deadline, left) in [(41, 40), (51, 40), (11, 10)] {
            shorten(deadline).await;
            assert_eq!(grace().await, Some(left * 60_000), "{deadline}");
        }
        let tx = scene.store.write().await.unwrap();
        tx.end_grace(Whose::Key(key)).await.unwrap();
        tx.commit().await.unwrap();
        shorten(5).await;
        assert_eq!(grace().await, Some(0), "an operator's word stands");
    }
}
