//! Nodes emptied, deleted, evened out, and keys moved by hand.

use crate::world::{World, on_every_database, watchful};
use panel_sim::{Fault, Generation};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// So many users on `a`, and a `b` that they could go to.
async fn two_nodes(world: &mut World, users: i64, [a, b]: [Generation; 2]) {
    world.node("a", a, 200).await;
    for user in 1..=users {
        world.key(user).await;
    }
    world.node("b", b, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_a_node_moves_everybody_and_cuts_off_nobody() {
    on_every_database(watchful(), async |world: &mut World| {
        two_nodes(world, 10, [Generation::Three, Generation::Two]).await;
        let (status, job) = world.api(Method::POST, "nodes/1/drain", Some(json!({"deadline": "24h"}))).await;
        assert_eq!(status, 200, "{job}");
        world.until("everybody has moved", async |w: &World| w.residents("b").await == 10).await;
        world.settle().await;
        assert!(world.clients("a").iter().filter(|c| c.enabled).count() == 10, "old clients work on");
        let (_, told) = world.api(Method::GET, "events?most=50", None).await;
        assert!(told.to_string().contains("moved from a to b (job 1)"), "{told}");
        let (_, leaving) = world.api(Method::GET, "nodes/1/leaving", None).await;
        assert_eq!((&leaving["total"], &leaving["leaving"][9]["home"]), (&json!(10), &json!(2)), "{leaving}");
        let (_, answer) = world.api(Method::POST, "nodes/1/end-grace", None).await;
        assert_eq!(answer["ended"], 10, "{answer}");
        world.until("they are gone", async |w: &World| w.clients("a").is_empty()).await;
        let (status, _) = world.api(Method::POST, "nodes/1/enable", None).await;
        assert_eq!(status, 200);
        world.rest().await;
        assert_eq!(world.residents("b").await, 10, "staying is the rule");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_or_deletion_without_room_is_refused_with_the_list_and_changes_nothing() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Three, 200).await;
        for user in 1..=5 {
            world.key(user).await;
        }
        world.node("b", Generation::Three, 2).await;
        for path in ["nodes/1/drain", "nodes/1/delete"] {
            let (status, refusal) = world.api(Method::POST, path, Some(json!({}))).await;
            assert_eq!((status, &refusal["code"]), (409, &json!("no_room_elsewhere")), "{refusal}");
            assert_eq!(refusal["seen"]["keys"].as_array().map(Vec::len), Some(3), "{refusal}");
        }
        assert_eq!(world.residents("a").await, 5);
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_deleted_once_its_users_have_left_it() {
    on_every_database(watchful(), async |world: &mut World| {
        two_nodes(world, 5, [Generation::Two, Generation::Three]).await;
        let (_, preview) = world.api(Method::POST, "nodes/1/delete", Some(json!({"dry_run": true}))).await;
        assert_eq!(preview["moves"].as_array().map(Vec::len), Some(5), "{preview}");
        assert_eq!(world.residents("a").await, 5, "a preview does nothing");
        let (status, answer) = world.api(Method::POST, "nodes/1/delete", Some(json!({}))).await;
        assert_eq!(status, 200, "{answer}");
        world.until("everybody has moved", async |w: &World| w.residents("b").await == 5).await;
        world.api(Method::POST, "nodes/1/end-grace", None).await;
        world.until("the node is gone", async |w: &World| w.store.read().nodes().await.unwrap().len() == 1).await;
        let (status, refusal) = world.api(Method::POST, "jobs/1/undo", None).await;
        assert_eq!(status, 409, "where it sent them from is gone: {refusal}");
        assert!(world.clients("a").iter().all(|c| !c.enabled), "{:?}", world.clients("a"));
        world.sims.remove("a");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_moved_by_hand_and_the_job_is_undone() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Three, 200).await;
        let before = world.key(1).await;
        world.node("b", Generation::Three, 200).await;
        let (status, dry) =
            world.api(Method::POST, "users/1/key/move", Some(json!({"to": "b", "dry_run": true}))).await;
        assert_eq!((status, &dry["job"]), (200, &json!(null)), "{dry}");
        let (status, moved) = world.api(Method::POST, "users/1/key/move", Some(json!({"to": "b"}))).await;
        assert_eq!(status, 200, "{moved}");
        world.until("it lives on b", async |w: &World| w.home(1).await == "b").await;
        let job = moved["job"].as_i64().unwrap();
        world
            .until("the job is over", async |w: &World| {
                w.api(Method::GET, &format!("jobs/{job}"), None).await.1["state"] == "done"
            })
            .await;
        let (status, undo) = world.api(Method::POST, &format!("jobs/{job}/undo"), None).await;
        assert_eq!(status, 200, "{undo}");
        world.until("it lives on a again", async |w: &World| w.home(1).await == "a").await;
        world.settle().await;
        assert_eq!(world.key(1).await, before);
        let (_, again) = world.api(Method::POST, "users/1/key/move", Some(json!({"to": "b"}))).await;
        world.until("it lives on b again", async |w: &World| w.home(1).await == "b").await;
        let (status, refusal) = world.api(Method::POST, &format!("jobs/{job}/undo"), None).await;
        assert_eq!((status, &refusal["code"]), (409, &json!("nothing_to_undo")), "another job has moved it since");
        world.api(Method::POST, "nodes/1/disable", None).await;
        let undo = format!("jobs/{}/undo", again["job"]);
        let (status, refusal) = world.api(Method::POST, &undo, None).await;
        assert_eq!((status, &refusal["code"]), (409, &json!("no_way_back")), "{refusal}");
        let (status, preview) = world.api(Method::POST, &undo, Some(json!({"dry_run": true}))).await;
        assert_eq!((status, &preview["moves"][0]["to"]), (200, &json!(null)), "{preview}");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebalancing_brings_the_fleet_to_its_shares_once_and_only_when_asked() {
    on_every_database(watchful(), async |world: &mut World| {
        two_nodes(world, 30, [Generation::Three, Generation::Two]).await;
        world.node("c", Generation::Three, 200).await;
        let (_, dry) = world.api(Method::POST, "rebalance", Some(json!({"dry_run": true}))).await;
        assert_eq!(dry["moves"].as_array().map(Vec::len), Some(20), "{dry}");
        assert!(dry["moves"].as_array().unwrap().iter().all(|m| m["from"] == 1 && m["to"] != 1), "{dry}");
        assert_eq!(world.residents("a").await, 30);
        let (status, _) = world.api(Method::POST, "rebalance", None).await;
        assert_eq!(status, 200);
        world
            .until("the fleet is even", async |w: &World| w.residents("b").await == 10 && w.residents("c").await == 10)
            .await;
        let (_, again) = world.api(Method::POST, "rebalance", Some(json!({}))).await;
        assert_eq!((&again["moves"], &again["job"]), (&json!([]), &json!(null)), "{again}");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_job_moves_nobody_until_it_is_resumed() {
    let mut config = watchful();
    config.moves.per_target = 2;
    on_every_database(config, async |world: &mut World| {
        two_nodes(world, 20, [Generation::Three, Generation::Three]).await;
        world.sim("b").inject(Fault::Slow(Duration::from_millis(200)));
        let (_, drain) = world.api(Method::POST, "nodes/1/drain", Some(json!({}))).await;
        let job = drain["job"].as_i64().unwrap();
        let (status, paused) = world.api(Method::POST, &format!("jobs/{job}/pause"), None).await;
        assert_eq!((status, &paused["state"]), (200, &json!("paused")), "{paused}");
        world.sim("b").heal();
        world.settle().await;
        let moved = world.residents("b").await;
        assert!(moved < 20, "only what was on its way arrived");
        world.rest().await;
        assert_eq!(world.residents("b").await, moved);
        world.api(Method::POST, &format!("jobs/{job}/resume"), None).await;
        world.until("everybody has moved", async |w: &World| w.residents("b").await == 20).await;
        let (_, told) = world.api(Method::GET, "events?most=100", None).await;
        for what in [format!("job {job} (drain) is paused"), format!("job {job} (drain) goes on")] {
            assert!(told.to_string().contains(&what), "{what}: {told}");
        }
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_paused_job_is_still_to_move_is_not_planned_again() {
    on_every_database(watchful(), async |world: &mut World| {
        two_nodes(world, 12, [Generation::Three, Generation::Two]).await;
        world.sim("b").inject(Fault::Slow(Duration::from_millis(300)));
        let (_, even) = world.api(Method::POST, "rebalance", None).await;
        let job = even["job"].as_i64().unwrap();
        world.api(Method::POST, &format!("jobs/{job}/pause"), None).await;
        for _ in 0..3 {
            let (_, again) = world.api(Method::POST, "rebalance", None).await;
            assert_eq!((&again["moves"], &again["job"]), (&json!([]), &json!(null)), "{again}");
        }
        world.sim("b").heal();
        world.api(Method::POST, &format!("jobs/{job}/resume"), None).await;
        world.until("the fleet is even", async |w: &World| w.residents("b").await == 6).await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_of_a_deletion_is_for_those_as_well_who_are_leaving_already() {
    on_every_database(watchful(), async |world: &mut World| {
        two_nodes(world, 5, [Generation::Two, Generation::Three]).await;
        world.api(Method::POST, "nodes/1/drain", None).await;
        world.until("everybody has moved", async |w: &World| w.residents("b").await == 5).await;
        let (_, waits) = world.api(Method::GET, "jobs/1", None).await;
        assert_eq!((&waits["leaving"], &waits["moves"][0]["telegram_id"]), (&json!(5), &json!(1)), "{waits}");
        let (status, answer) = world.api(Method::POST, "nodes/1/delete", Some(json!({"deadline": "1s"}))).await;
        assert_eq!(status, 200, "{answer}");
        world.until("the node is gone", async |w: &World| w.store.read().nodes().await.unwrap().len() == 1).await;
        world.sims.remove("a");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_node_that_is_deleted_by_force_are_served_elsewhere() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Two, 200).await;
        let before = world.key(1).await;
        world.key(2).await;
        world.node("b", Generation::Three, 1).await;
        let (status, _) = world.api(Method::DELETE, "nodes/1?abandon=true", None).await;
        assert_eq!(status, 204);
        world.until("one lives on b", async |w: &World| w.residents("b").await == 1).await;
        world.settle().await;
        let (_, job) = world.api(Method::GET, "jobs/1", None).await;
        assert_eq!(json!([job["kind"], job["node_id"], job["done"], job["waiting"]]), json!(["delete", null, 1, 1]));
        let waits = job["moves"].as_array().unwrap().iter().find(|m| m["state"] == "waiting").unwrap();
        assert!(waits["reason"].as_str().unwrap().contains("b: it is full"), "{job}");
        world.api(Method::PATCH, "nodes/2", Some(json!({"max_users": 9}))).await;
        world.until("both live on b", async |w: &World| w.residents("b").await == 2).await;
        world
            .until("the job is over", async |w: &World| w.api(Method::GET, "jobs/1", None).await.1["state"] == "done")
            .await;
        let after = world.key(1).await;
        assert_eq!(after.0, before.0);
        assert_ne!(after.1, before.1);
        world.sims.remove("a");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_enabled_while_it_is_being_deleted_stays() {
    on_every_database(watchful(), async |world: &mut World| {
        two_nodes(world, 5, [Generation::Two, Generation::Three]).await;
        let (status, answer) = world.api(Method::POST, "nodes/1/delete", Some(json!({}))).await;
        assert_eq!(status, 200, "{answer}");
        world.until("everybody has moved", async |w: &World| w.residents("b").await == 5).await;
        let (_, node) = world.api(Method::GET, "nodes/1", None).await;
        assert_eq!((&node["current_users"], &node["leaving_users"]), (&json!(5), &json!(5)), "{node}");
        let (_, node) = world.api(Method::POST, "nodes/1/enable", None).await;
        assert_eq!(node["policy"], "active", "{node}");
        assert!(world.store.read().open_jobs().await.unwrap().is_empty(), "at once, whatever is wanted of it next");
        world.api(Method::POST, "nodes/1/end-grace", None).await;
        world
            .until("the old clients are gone", async |w: &World| {
                let (status, node) = w.api(Method::GET, "nodes/1", None).await;
                assert_eq!(status, 200, "{node}");
                (&node["current_users"], &node["leaving_users"]) == (&json!(0), &json!(0))
            })
            .await;
        world.key(6).await;
        assert_eq!(world.home(6).await, "a");
        let (_, told) = world.api(Method::GET, "events?most=50", None).await;
        for what in ["node a is to be deleted: 5 keys to move", "node a takes new keys, by an operator"] {
            assert!(told.to_string().contains(what), "{what}: {told}");
        }
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_is_called_back_when_its_job_is_undone() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Three, 6).await;
        for user in 1..=6 {
            world.key(user).await;
        }
        world.node("b", Generation::Two, 200).await;
        world.sim("b").inject(Fault::Slow(Duration::from_millis(700)));
        world.api(Method::POST, "nodes/1/drain", None).await;
        world
            .until("some are on their way", async |w: &World| !w.store.read().arriving().await.unwrap().is_empty())
            .await;
        let (status, undo) = world.api(Method::POST, "jobs/1/undo", None).await;
        assert_eq!(status, 200, "{undo}");
        world.sim("b").heal();
        world.until("all live on a", async |w: &World| w.residents("a").await == 6).await;
        world.until("nothing of it is left on b", async |w: &World| w.clients("b").is_empty()).await;
        let (_, job) = world.api(Method::GET, "jobs/1", None).await;
        assert_eq!((&job["state"], &job["arriving"], &job["planned"]), (&json!("done"), &json!(0), &json!(0)), "{job}");
        world.rest().await;
        assert_eq!(world.residents("a").await, 6);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_back_to_a_full_node_that_is_full_of_their_own_clients() {
    on_every_database(watchful(), async |world: &mut World| {
        world.node("a", Generation::Two, 4).await;
        for user in 1..=4 {
            world.key(user).await;
        }
        world.node("b", Generation::Three, 200).await;
        world.api(Method::POST, "nodes/1/drain", None).await;
        world.until("everybody has moved", async |w: &World| w.residents("b").await == 4).await;
        let (_, preview) = world.api(Method::POST, "jobs/1/undo", Some(json!({"dry_run": true}))).await;
        assert_eq!((&preview["job"], &preview["unplaced_because"]), (&json!(null), &json!(null)), "{preview}");
        assert_eq!(preview["moves"].as_array().map(Vec::len), Some(4), "{preview}");
        world.api(Method::POST, "jobs/1/undo", None).await;
        world.until("everybody is back", async |w: &World| w.residents("a").await == 4).await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_without_a_node_find_another_when_theirs_dies_before_it_took_them() {
    on_every_database(watchful(), async |world: &mut World| {
        two_nodes(world, 3, [Generation::Two, Generation::Three]).await;
        world.sim("b").inject(Fault::Slow(Duration::from_millis(700)));
        let (status, _) = world.api(Method::DELETE, "nodes/1?abandon=true", None).await;
        assert_eq!(status, 204);
        world
            .until("they are on their way", async |w: &World| !w.store.read().arriving().await.unwrap().is_empty())
            .await;
        world.sim("b").inject(Fault::Dead);
        world.until_state("b", "down").await;
        world.node("c", Generation::Two, 200).await;
        world.until("all live on c", async |w: &World| w.residents("c").await == 3).await;
        world.until("the job is over", async |w: &World| w.store.read().open_jobs().await.unwrap().is_empty()).await;
        world.sim("b").heal();
        world.until_state("b", "up").await;
        world.sims.remove("a");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_for_those_as_well_who_are_yet_to_move() {
    on_every_database(watchful(), async |world: &mut World| {
        two_nodes(world, 5, [Generation::Two, Generation::Three]).await;
        world.sim("b").inject(Fault::Slow(Duration::from_millis(700)));
        // The job that the place loop opens for this knows of no deadline.
        world.api(Method::PATCH, "nodes/1", Some(json!({"policy": "maintenance"}))).await;
        world.until("a job is open", async |w: &World| !w.store.read().open_jobs().await.unwrap().is_empty()).await;
        let (status, answer) = world.api(Method::POST, "nodes/1/drain", Some(json!({"deadline": "2s"}))).await;
        assert_eq!((status, &answer["job"]), (200, &json!(1)), "{answer}");
        world.sim("b").heal();
        world.until("everybody has moved", async |w: &World| w.residents("b").await == 5).await;
        // The last client of an inbound is switched off by Muster, for such a panel keeps it.
        world.until("nobody is served by a", async |w: &World| w.clients("a").iter().all(|c| !c.enabled)).await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_a_node_that_dies_do_not_wait_for_its_paused_deletion() {
    on_every_database(watchful(), async |world: &mut World| {
        two_nodes(world, 5, [Generation::Two, Generation::Three]).await;
        world.node("c", Generation::Three, 200).await;
        for node in ["b", "c"] {
            world.sim(node).inject(Fault::Slow(Duration::from_millis(700)));
        }
        world.api(Method::POST, "nodes/1/delete", Some(json!({}))).await;
        let (status, _) = world.api(Method::POST, "jobs/1/pause", None).await;
        assert_eq!(status, 200);
        for node in ["b", "c"] {
            world.sim(node).heal();
        }
        world.sim("a").inject(Fault::Dead);
        world.until("everybody has moved", async |w: &World| w.residents("a").await == 0).await;
        world.sim("a").heal();
        world.until_state("a", "up").await;
        world.api(Method::POST, "jobs/1/undo", None).await;
        world.rest().await;
    })
    .await;
}
