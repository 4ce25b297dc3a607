//! Users, their keys and placement over `/api/v1`.

use super::on_every_database;
use crate::world::World;
use panel_sim::{Fault, Generation};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

async fn refused(world: &World, method: Method, path: &str, status: u16, code: &str) -> Value {
    let (found, answer) = world.api(method, path, None).await;
    assert_eq!((found, &answer["code"]), (status, &json!(code)), "{answer}");
    answer
}

async fn done(world: &World, method: Method, path: &str) -> Value {
    let (status, answer) = world.api(method, path, None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_had_shown_refreshed_and_revoked() {
    on_every_database(async |world: &mut World| {
        world.node("a", Generation::Three, 10).await;
        for (method, path) in
            [(Method::GET, "users/7"), (Method::POST, "users/7/key/refresh"), (Method::DELETE, "users/7/key")]
        {
            refused(world, method, path, 404, "user_not_found").await;
        }
        let key = done(world, Method::POST, "users/7/key").await;
        assert!(key["link"].as_str().unwrap().starts_with("vless://"), "{key}");
        assert_eq!((&key["node_id"], &key["node_name"]), (&json!(1), &json!("a")));
        assert_eq!(done(world, Method::POST, "users/7/key").await, key, "the key he has");
        assert_eq!(world.key(7).await.1, key["link"], "the bot shows the same");
        let user = done(world, Method::GET, "users/7").await;
        assert_eq!((&user["telegram_id"], &user["entitled"], &user["keys"]), (&json!(7), &json!(true), &json!([key])));
        assert!(chrono::DateTime::parse_from_rfc3339(user["valid_until"].as_str().unwrap()).is_ok());
        let fresh = done(world, Method::POST, "users/7/key/refresh").await;
        assert!(fresh["id"] != key["id"] && fresh["link"] != key["link"], "{fresh}");
        assert_eq!(done(world, Method::GET, "users/7").await["keys"], json!([fresh]));
        assert_eq!(done(world, Method::DELETE, "users/7/key").await, json!({"revoked": 1}));
        assert_eq!(done(world, Method::DELETE, "users/7/key").await, json!({"revoked": 0}));
        assert_eq!(done(world, Method::GET, "users/7").await["keys"], json!([]));
        world.until("nothing is left", async |w| w.clients("a").iter().all(|c| !c.enabled)).await;
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_there_is_no_key_is_a_code_and_every_nodes_reasons() {
    on_every_database(async |world: &mut World| {
        let told = refused(world, Method::POST, "users/1/key", 503, "no_healthy_node").await;
        assert_eq!(told["seen"], json!([]));
        world.node("a", Generation::Two, 1).await;
        done(world, Method::POST, "users/1/key").await;
        let told = refused(world, Method::POST, "users/2/key", 503, "no_capacity").await;
        assert_eq!(told["seen"][0]["name"], "a");
        assert_eq!(told["seen"][0]["reasons"], json!([{"code": "full", "current": 1, "max": 1}]));
        let (_, _) = world.api(Method::PATCH, "nodes/1", Some(json!({"policy": "inactive"}))).await;
        let told = refused(world, Method::POST, "users/2/key", 503, "no_healthy_node").await;
        assert_eq!(told["seen"][0]["reasons"][0], json!({"code": "policy", "policy": "inactive"}));
        done(world, Method::POST, "users/1/key").await;
        world.advance(Duration::from_hours(24 * 8));
        let user = done(world, Method::GET, "users/1").await;
        assert_eq!(user["entitled"], json!(false));
        refused(world, Method::POST, "users/1/key", 403, "account_expired").await;
        refused(world, Method::POST, "users/1/key/refresh", 403, "account_expired").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panel_that_says_nothing_is_a_503_and_no_link() {
    let mut config = crate::world::quick();
    config.panels.issue_wait = Duration::from_secs(1);
    let mut world = World::start(store::testing::TestDatabase::sqlite(), config).await;
    world.node("a", Generation::Three, 10).await;
    world.sim("a").inject(Fault::BlackHole);
    let (status, told) = world.api(Method::POST, "users/1/key", None).await;
    let code = told["code"].as_str().unwrap();
    assert!(status == 503 && ["not_confirmed", "no_healthy_node"].contains(&code), "{told}");
    assert!(told.get("link").is_none());
    world.sim("a").heal();
    world.until("it serves again", async |w| w.api(Method::POST, "users/1/key", None).await.0 == 200).await;
    world.rest().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn placement_names_the_next_node_and_all_reasons_against_every_other() {
    on_every_database(async |world: &mut World| {
        let empty = done(world, Method::GET, "placement").await;
        assert_eq!((&empty["home"], &empty["next"], &empty["nodes"]), (&json!(null), &json!(null), &json!([])));
        world.node("best", Generation::Three, 100).await;
        world.node("small", Generation::Two, 10).await;
        world.node("shut", Generation::Three, 100).await;
        world.node("nobody", Generation::Two, 0).await;
        let change = json!({"policy": "maintenance", "weight": 0, "priority": 0});
        assert_eq!(world.api(Method::PATCH, "nodes/3", Some(change)).await.0, 200);
        let found = done(world, Method::GET, "placement").await;
        assert_eq!((&found["home"], &found["next"]), (&json!(null), &json!(1)));
        let names: Vec<&str> = found["nodes"].as_array().unwrap().iter().map(|n| n["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["best", "small", "shut", "nobody"], "the willing by load, then the others");
        let reasons = |index: usize| found["nodes"][index]["reasons"].as_array().unwrap().clone();
        assert!(reasons(0).is_empty() && reasons(1).is_empty(), "{found}");
        let loads = [0, 1].map(|index: usize| found["nodes"][index]["load_after"].as_f64().unwrap());
        assert!((loads[0] - 0.01).abs() < 1e-9 && (loads[1] - 0.1).abs() < 1e-9, "{loads:?}");
        let codes: Vec<Value> = reasons(2).iter().map(|r| r["code"].clone()).collect();
        assert_eq!(codes, ["policy", "takes_nobody", "takes_nobody"]);
        assert_eq!((&reasons(3)[0]["setting"], reasons(3).len()), (&json!("max_users"), 1));
        let all_have_words = |index: usize| reasons(index).iter().all(|r| !r["text"].as_str().unwrap().is_empty());
        assert!(all_have_words(2) && all_have_words(3));
        let key = done(world, Method::POST, "users/5/key").await;
        assert_eq!(key["node_id"], found["next"], "what was foretold comes true");
        let home = done(world, Method::GET, "placement?telegram_id=5").await;
        assert_eq!(home["home"], json!(1));
        let stranger = done(world, Method::GET, "placement?telegram_id=6").await;
        assert_eq!(stranger["home"], json!(null));
        refused(world, Method::GET, "users/6", 404, "user_not_found").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_for_a_place_is_followed_while_there_is_room() {
    on_every_database(async |world: &mut World| {
        world.node("here", Generation::Two, 100).await;
        world.node("there", Generation::Three, 1).await;
        assert_eq!(world.api(Method::PATCH, "nodes/2", Some(json!({"location": "Берлин"}))).await.0, 200);
        for (user, node) in [(1, "there"), (2, "here")] {
            let wish = "%D0%B1%D0%B5%D1%80%D0%BB%D0%B8%D0%BD";
            let key = done(world, Method::POST, &format!("users/{user}/key?location={wish}")).await;
            assert_eq!(key["node_name"], node);
        }
    })
    .await;
}
