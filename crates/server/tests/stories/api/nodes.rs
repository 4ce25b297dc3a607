//! Nodes over `/api/v1`.

use super::on_every_database;
use crate::world::{World, reality};
use fleet::id::NodeId;
use panel_sim::{Fault, Generation, Setup, Sim};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

async fn panel(generation: Generation) -> Sim {
    let setup = Setup { password: "pw-hunter2-long".into(), ..Setup::default() };
    let sim = Sim::start(generation, setup).await.unwrap();
    sim.add_inbound(&reality(sim.open_port().await.unwrap()));
    sim
}

fn body(name: &str, sim: &Sim) -> Value {
    json!({"name": name, "url": sim.url(), "allow_http": true, "username": "admin", "password": "pw-hunter2-long"})
}

/// Refused with this status and code.
async fn refused(world: &World, method: Method, path: &str, body: Option<Value>, status: u16, code: &str) -> Value {
    let (found, answer) = world.api(method, path, body).await;
    assert_eq!((found, &answer["code"]), (status, &json!(code)), "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_added_shown_tested_changed_and_deleted() {
    on_every_database(async |world: &mut World| {
        for (name, generation) in [("two", Generation::Two), ("three", Generation::Three)] {
            let sim = panel(generation).await;
            let mut disabled = reality(8443);
            disabled["enable"] = json!(false);
            sim.add_inbound(&disabled);
            let mut new = body(name, &sim);
            let said = json!({"location": "NL", "description": "Регал", "host": "localhost", "max_users": 5, "weight": 2.5,
                "priority": 50, "tls": "skip"});
            new.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
            let (status, added) = world.api(Method::POST, "nodes", Some(new)).await;
            assert_eq!(status, 201, "{added}");
            assert!(said.as_object().unwrap().iter().all(|(field, value)| added[field] == *value), "{added}");
            assert!(!added.to_string().contains("hunter2"), "{added}");
            let path = format!("nodes/{}", added["id"]);
            let (status, shown) = world.api(Method::GET, &path, None).await;
            assert_eq!((status, &shown["name"], &shown["inbound"]["id"]), (200, &json!(name), &json!(1)));
            let (status, tested) = world.api(Method::POST, &format!("{path}/test"), None).await;
            assert_eq!((status, &tested["good"]), (200, &json!(true)), "{tested}");
            for layer in ["name", "tcp", "tls", "panel", "authorised", "xray", "inbounds"] {
                assert_eq!(tested["seen"][layer]["result"], "good", "{layer}");
            }
            let (status, found) = world.api(Method::GET, &format!("{path}/inbounds"), None).await;
            let usable: Vec<bool> =
                found["inbounds"].as_array().unwrap().iter().map(|i| i["unusable"].is_null()).collect();
            assert_eq!((status, usable), (200, vec![true, false]), "{found}");
            let change = json!({"name": format!("{name}!"), "location": "", "policy": "maintenance"});
            let (status, changed) = world.api(Method::PATCH, &path, Some(change)).await;
            assert_eq!((status, &changed["location"], &changed["description"]), (200, &json!(null), &json!("Регал")));
            assert_eq!((&changed["policy"], &changed["weight"]), (&json!("maintenance"), &json!(2.5)));
            let (status, nothing) = world.api(Method::DELETE, &path, None).await;
            assert_eq!((status, nothing), (204, json!("")));
            for (method, path) in [
                (Method::GET, path.clone()),
                (Method::DELETE, path.clone()),
                (Method::POST, format!("{path}/test")),
                (Method::GET, format!("{path}/inbounds")),
            ] {
                refused(world, method, &path, None, 404, "node_not_found").await;
            }
            refused(world, Method::PATCH, &path, Some(json!({})), 404, "node_not_found").await;
        }
        assert_eq!(world.api(Method::GET, "nodes", None).await, (200, json!({"nodes": []})));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panel_that_cannot_serve_is_refused_with_what_was_seen_unless_by_force() {
    on_every_database(async |world: &mut World| {
        let sim = panel(Generation::Three).await;
        let mut wrong = body("a", &sim);
        wrong["password"] = json!("wrong-password");
        let told = refused(world, Method::POST, "nodes", Some(wrong.clone()), 422, "node_unusable").await;
        assert_eq!(
            (&told["seen"]["tcp"]["result"], &told["seen"]["authorised"]["result"]),
            (&json!("good"), &json!("bad"))
        );
        assert!(!told.to_string().contains("wrong-password"), "{told}");
        wrong["force"] = json!(true);
        let (status, added) = world.api(Method::POST, "nodes", Some(wrong)).await;
        assert_eq!(status, 201, "{added}");
        let path = format!("nodes/{}", added["id"]);
        let (status, tested) = world.api(Method::POST, &format!("{path}/test"), None).await;
        assert_eq!((status, &tested["good"]), (200, &json!(false)));
        refused(world, Method::GET, &format!("{path}/inbounds"), None, 502, "panel_failed").await;
        // The right password, once the panel has forgotten the wrong ones, and it serves.
        sim.advance(Duration::from_mins(16));
        let (status, _) = world.api(Method::PATCH, &path, Some(json!({"password": "pw-hunter2-long"}))).await;
        assert_eq!(status, 200);
        world.until("the node serves", async |world| world.full_cycle(1).await["success"] == true).await;
        sim.inject(Fault::Dead);
        let (_, tested) = world.api(Method::POST, &format!("{path}/test"), None).await;
        assert_eq!((&tested["good"], &tested["seen"]["tcp"]["result"]), (&json!(false), &json!("bad")));
        refused(world, Method::GET, &format!("{path}/inbounds"), None, 502, "panel_failed").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_unusable_value_is_named_and_nothing_is_changed() {
    on_every_database(async |world: &mut World| {
        let sim = panel(Generation::Two).await;
        let (status, added) = world.api(Method::POST, "nodes", Some(body("a", &sim))).await;
        assert_eq!(status, 201, "{added}");
        let another = panel(Generation::Three).await;
        let (_, other) = world.api(Method::POST, "nodes", Some(body("b", &another))).await;
        let path = format!("nodes/{}", added["id"]);
        let (_, before) = world.api(Method::GET, &path, None).await;
        let wrong = json!({"name": " ", "url": "ftp://u:p@h/?q", "tls": "maybe", "host": "a b", "max_users": -1,
            "weight": -0.5, "priority": 10_001, "description": "\u{7}", "location": "x".repeat(101)});
        let mut new = body("c", &sim);
        new.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        for (method, path, body) in [(Method::POST, "nodes", new), (Method::PATCH, path.as_str(), wrong.clone())] {
            let told = refused(world, method, path, Some(body), 422, "invalid").await;
            let named: Vec<&str> =
                told["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
            for field in wrong.as_object().unwrap().keys() {
                assert!(named.contains(&field.as_str()), "{field} in {told}");
            }
        }
        for (change, field) in [
            (json!({"token": "two words"}), "token"),
            (json!({"totp_secret": "0189"}), "totp_secret"),
            (json!({"username": ""}), "username"),
            (json!({"url": sim.url(), "allow_http": false}), "url"),
            (json!({"weight": f64::from(u16::MAX)}), "weight"),
            (json!({"inbound": 0}), "inbound"),
            (json!({"connect_timeout": "9s", "check_timeout": "8s"}), "connect_timeout"),
        ] {
            let told = refused(world, Method::PATCH, &path, Some(change), 422, "invalid").await;
            assert_eq!(told["errors"][0]["field"], field, "{told}");
        }
        refused(world, Method::PATCH, &path, Some(json!({"name": "b"})), 409, "name_taken").await;
        refused(world, Method::POST, "nodes", Some(body("b", &sim)), 409, "name_taken").await;
        let (_, after) = world.api(Method::GET, &path, None).await;
        let without_looks = |mut node: Value| {
            let fields = ["checked_at", "response_ms", "health"];
            for field in fields {
                node[field] = json!(null);
            }
            node
        };
        assert_eq!(without_looks(after), without_looks(before));
        assert_eq!(other["name"], "b");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_serves_keys_stays_where_its_keys_are() {
    on_every_database(async |world: &mut World| {
        world.node("a", Generation::Three, 10).await;
        world.key(1).await;
        let told = refused(world, Method::DELETE, "nodes/1", None, 409, "node_in_use").await;
        assert!(told["detail"].as_str().unwrap().contains('1'), "{told}");
        refused(world, Method::PATCH, "nodes/1", Some(json!({"inbound": 2})), 409, "node_in_use").await;
        let (status, _) = world.api(Method::PATCH, "nodes/1", Some(json!({"inbound": 1}))).await;
        assert_eq!(status, 200, "it is there already");
        world.until("the key is shown", async |world| world.full_cycle(1).await["success"] == true).await;
        let (status, _) = world.api(Method::DELETE, "nodes/1?abandon=false", None).await;
        assert_eq!(status, 409);
        let (status, _) = world.api(Method::DELETE, "nodes/1?abandon=true", None).await;
        assert_eq!(status, 204);
        assert_eq!(world.clients("a").len(), 1, "what was abandoned stays");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_panel_is_not_taken_in_twice_under_two_names() {
    on_every_database(async |world: &mut World| {
        for generation in [Generation::Two, Generation::Three] {
            let sim = panel(generation).await;
            let name = format!("{generation:?}");
            let (status, answer) = world.api(Method::POST, "nodes", Some(body(&name, &sim))).await;
            assert_eq!(status, 201, "{answer}");
            let mut again = body("again", &sim);
            again["url"] = json!(sim.url().replace("127.0.0.1", "localhost"));
            let told = refused(world, Method::POST, "nodes", Some(again.clone()), 409, "panel_taken").await;
            assert!(told["detail"].as_str().unwrap().contains(&name), "{told}");
            // Another inbound of the same panel is another node.
            again["inbound"] = json!(sim.add_inbound(&reality(sim.open_port().await.unwrap())));
            again["name"] = json!(format!("{name} 2"));
            let (status, answer) = world.api(Method::POST, "nodes", Some(again)).await;
            assert_eq!(status, 201, "{answer}");
        }
    })
    .await;
}

/// A 3.x panel locks an address out after five refused logins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starting_again_and_again_with_a_wrong_password_locks_nobody_out() {
    on_every_database(async |world: &mut World| {
        let sim = panel(Generation::Three).await;
        let mut wrong = body("a", &sim);
        (wrong["password"], wrong["force"]) = (json!("wrong-password"), json!(true));
        let (status, added) = world.api(Method::POST, "nodes", Some(wrong)).await;
        assert_eq!(status, 201, "{added}");
        for _ in 0..3 {
            world
                .until("it is said", async |w: &World| w.store.read().silence(NodeId(1)).await.unwrap().is_some())
                .await;
            let checked_at = async |w: &World| w.store.read().find_node(NodeId(1)).await.unwrap().unwrap().checked_at;
            let before = checked_at(world).await;
            world.restart().await;
            world.until("it was looked at again", async |w: &World| checked_at(w).await > before).await;
        }
        let (status, _) = world.api(Method::PATCH, "nodes/1", Some(json!({"password": "pw-hunter2-long"}))).await;
        assert_eq!(status, 200);
        world.until("the node serves", async |world| world.full_cycle(1).await["success"] == true).await;
    })
    .await;
}
