//! Many at once: one key per user, never more than a node takes, spread by weight.

use crate::world::{World, bot, everywhere};
use futures::future::join_all;
use panel_sim::Generation;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn full_cycles(world: &World, telegram_ids: impl Iterator<Item = i64>) -> Vec<Value> {
    let (http, url) = world.address();
    let calls = telegram_ids.map(|id| {
        let (http, url) = (http.clone(), url.clone());
        tokio::spawn(async move {
            let body = json!({"telegram_id": id, "user_data": {"first_name": "Ann", "language_code": "en"}});
            bot(&http, &url, Method::POST, "full-cycle", Some(body)).await
        })
    });
    let answers = join_all(calls.collect::<Vec<_>>()).await;
    let ok = |answer: Result<(u16, Value), _>| match answer.unwrap() {
        (200, body) => body,
        (status, body) => panic!("{status}: {body}"),
    };
    answers.into_iter().map(ok).collect()
}

fn key_ids(answers: &[Value]) -> BTreeSet<i64> {
    answers.iter().filter_map(|a| a["final_data"]["vpn_key"]["id"].as_i64()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_of_one_user_give_one_key_and_one_client() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 50).await;
        world.node("b", generation, 50).await;
        let answers = full_cycles(world, std::iter::repeat_n(7, 100)).await;
        assert!(answers.iter().all(|a| a["success"] == true), "{:?}", answers.iter().find(|a| a["success"] != true));
        assert_eq!(key_ids(&answers).len(), 1);
        let links: BTreeSet<&str> =
            answers.iter().map(|a| a["final_data"]["vpn_key"]["vless_url"].as_str().unwrap()).collect();
        assert_eq!(links.len(), 1, "{links:?}");
        assert_eq!(world.clients("a").len() + world.clients("b").len(), 1);
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_newcomers_at_a_node_with_room_for_seven_give_seven_keys_and_993_clear_refusals() {
    everywhere(async |world: &mut World, generation| {
        world.node("small", generation, 7).await;
        let answers = full_cycles(world, 1..=1000).await;
        let (served, refused): (Vec<&Value>, Vec<&Value>) = answers.iter().partition(|a| a["success"] == true);
        assert_eq!((served.len(), refused.len()), (7, 993));
        for answer in refused {
            assert!(answer["error"].as_str().is_some_and(|e| !e.is_empty()), "{answer}");
            assert_eq!(answer["steps"].as_array().unwrap().last().unwrap()["success"], false);
            assert_eq!(answer["final_data"]["vpn_key"], Value::Null, "no invented link");
        }
        assert_eq!(world.clients("small").len(), 7);
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_spread_over_the_nodes_by_weight_and_never_above_a_cap() {
    everywhere(async |world: &mut World, generation| {
        world.node("big", generation, 400).await;
        world.node("half", generation, 400).await;
        world.node("tiny", generation, 10).await;
        let (status, answer) = world.api(Method::PATCH, "nodes/2", Some(json!({"weight": 0.5}))).await;
        assert_eq!(status, 200, "{answer}");
        let answers = full_cycles(world, 1..=300).await;
        assert!(answers.iter().all(|a| a["success"] == true));
        let counts = ["big", "half", "tiny"].map(|node| world.clients(node).len());
        assert_eq!(counts.iter().sum::<usize>(), 300);
        // c = 400, 200 and 10: no node's load may be above another's after one more key.
        let capacity = [400, 200, 10];
        for i in 0..3 {
            for j in 0..3 {
                assert!(
                    counts[i] * capacity[j] <= (counts[j] + 1) * capacity[i] || counts[j] == capacity[j],
                    "{counts:?}"
                );
            }
        }
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_asked_for_at_the_same_time_travel_in_batches() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 5000).await;
        let before = world.sim("a").writes();
        let answers = full_cycles(world, 1..=500).await;
        assert!(answers.iter().all(|a| a["success"] == true));
        let writes = world.sim("a").writes() - before;
        assert!(writes <= 100, "{writes} writes for 500 keys");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_of_a_burst_is_renewed_and_nobody_notices() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 1000).await;
        let ending = async {
            for _ in 0..5 {
                world.sim("a").end_sessions();
                tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            }
        };
        let (answers, ()) = tokio::join!(full_cycles(world, 1..=200), ending);
        assert!(answers.iter().all(|a| a["success"] == true), "{:?}", answers.iter().find(|a| a["success"] != true));
        assert_eq!(world.clients("a").len(), 200);
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mixed_fleet_serves_through_both_generations() {
    for db in store::testing::TestDatabase::all().await {
        let mut world = World::start(db, crate::world::quick()).await;
        world.node("two", Generation::Two, 100).await;
        world.node("three", Generation::Three, 100).await;
        let answers = full_cycles(&world, 1..=60).await;
        assert_eq!(key_ids(&answers).len(), 60);
        assert_eq!((world.clients("two").len(), world.clients("three").len()), (30, 30));
        world.rest().await;
        world.stop().await;
    }
}
