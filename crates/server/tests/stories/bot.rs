//! The bot's contract: every answer as it is fixed, field by field.

use crate::world::{World, everywhere};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "{field} is missing in {value}");
    }
}

fn is_timestamp(value: &Value) -> bool {
    value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok() && text.ends_with("+00:00"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_cycle_answers_with_steps_and_final_data() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 10).await;
        let answer = world.full_cycle(123).await;
        has(&answer, &["telegram_id", "steps", "success", "final_data", "message"]);
        let steps: Vec<&str> =
            answer["steps"].as_array().unwrap().iter().map(|s| s["step"].as_str().unwrap()).collect();
        assert_eq!(steps, ["user_creation", "vpn_key_creation", "dashboard_generation"]);
        let data = &answer["final_data"];
        has(&data["user"], &["id", "telegram_id", "username", "created_at"]);
        has(&data["vpn_key"], &["id", "vless_url", "created_at", "status", "node_id"]);
        assert_eq!(data["vpn_key"]["status"], "active");
        assert_eq!(data["dashboard"]["success"], true);
        assert!(is_timestamp(&data["vpn_key"]["created_at"]), "{}", data["vpn_key"]["created_at"]);
        let again = world.full_cycle(123).await;
        assert_eq!(again["final_data"]["vpn_key"], data["vpn_key"]);
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_shows_active_keys_newest_first() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 10).await;
        let (status, unknown) = world.bot(Method::GET, "user-dashboard/5", None).await;
        assert_eq!(status, 404);
        has(&unknown, &["detail"]);
        world.key(5).await;
        let (status, answer) = world.bot(Method::GET, "user-dashboard/5", None).await;
        assert_eq!((status, &answer["success"]), (200, &json!(true)));
        let user = &answer["user"];
        has(user, &["id", "telegram_id", "username", "first_name", "is_active", "created_at", "subscription_status"]);
        assert_eq!((&user["subscription_status"], &user["has_active_subscription"]), (&json!("active"), &json!(true)));
        assert!(user["days_remaining"].as_i64().is_some_and(|d| (6..=7).contains(&d)), "{user}");
        let key = &answer["vpn_keys"][0];
        has(key, &["id", "key_name", "status", "vless_url", "created_at", "node_id", "node_info"]);
        has(&key["node_info"], &["id", "name", "location"]);
        assert_eq!(answer["stats"], json!({"active_vpn_keys": 1, "total_payments": 0, "account_status": "active"}));
        assert_eq!(answer["payments"], json!([]));
        world.refresh(5).await;
        let (_, answer) = world.bot(Method::GET, "user-dashboard/5", None).await;
        assert_eq!(answer["vpn_keys"].as_array().unwrap().len(), 1, "only the key in force");
        world.rest().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn business_failures_are_200_with_success_false_and_a_text() {
    everywhere(async |world: &mut World, generation| {
        let refused =
            |answer: &Value| answer["success"] == false && answer["error"].as_str().is_some_and(|e| !e.is_empty());
        let none = world.full_cycle(1).await;
        assert!(refused(&none), "no node: {none}");
        world.node("a", generation, 10).await;
        let unknown = world.refresh(404).await;
        assert!(refused(&unknown), "{unknown}");
        world.key(2).await;
        world.advance(Duration::from_hours(24 * 8));
        let expired = world.refresh(2).await;
        assert!(refused(&expired), "{expired}");
        let (status, gone) = world.bot(Method::DELETE, "vpn-key/99999", None).await;
        assert!(status == 200 && refused(&gone), "{gone}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn force_new_false_returns_the_key_that_is_there() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 10).await;
        let (id, link) = world.key(1).await;
        let body = json!({"telegram_id": 1, "force_new": false});
        let (status, answer) = world.bot(Method::POST, "update-vpn-key", Some(body)).await;
        assert_eq!(status, 200);
        has(&answer, &["success", "message", "vless_url", "id", "created_at", "status", "node_info"]);
        assert_eq!((&answer["id"], &answer["vless_url"]), (&json!(id), &json!(link)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_created_updated_and_settings_shown() {
    everywhere(async |world: &mut World, _| {
        let body = json!({"telegram_id": 9, "username": "борис", "first_name": "Б", "unknown": [1]});
        let (status, made) = world.bot(Method::POST, "create-user", Some(body)).await;
        assert_eq!((status, &made["success"]), (200, &json!(true)));
        has(&made, &["user_id", "message", "user"]);
        let (status, missing) = world.bot(Method::POST, "update-user-data", Some(json!({"telegram_id": 10}))).await;
        assert_eq!(status, 404);
        has(&missing, &["detail"]);
        let body = json!({"telegram_id": 9, "username": "new"});
        let (_, updated) = world.bot(Method::POST, "update-user-data", Some(body)).await;
        assert_eq!((&updated["user"]["username"], &updated["user_id"]), (&json!("new"), &made["user_id"]));
        let (_, settings) = world.bot(Method::GET, "app-settings", None).await;
        has(&settings["settings"], &["site_name", "trial_enabled", "trial_days"]);
        let (http, url) = world.address();
        let health: Value = http.get(format!("{url}/health")).send().await.unwrap().json().await.unwrap();
        assert_eq!(health["status"], "healthy");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_in_the_users_language() {
    everywhere(async |world: &mut World, _| {
        let call = async |language: Option<&str>| {
            let data = language.map_or(json!({}), |l| json!({"language_code": l}));
            let id = 100 + language.map_or(0, |l| i64::from(l.as_bytes()[0]));
            let body = json!({"telegram_id": id, "user_data": data});
            world.bot(Method::POST, "full-cycle", Some(body)).await.1["error"].as_str().unwrap().to_owned()
        };
        let russian = call(Some("ru")).await;
        assert!(russian.chars().any(|c| ('а'..='я').contains(&c)), "{russian}");
        let english = call(Some("en")).await;
        assert!(english.is_ascii(), "{english}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_refused_and_changes_nothing() {
    everywhere(async |world: &mut World, generation| {
        world.node("a", generation, 10).await;
        let (http, url) = world.address();
        for body in [
            "",
            "{",
            "[]",
            "null",
            r#"{"telegram_id":"x"}"#,
            r#"{"telegram_id":1e99}"#,
            r#"{"telegram_id":-1}"#,
            "\u{0}",
        ] {
            for path in ["full-cycle", "update-vpn-key", "create-user", "update-user-data"] {
                let call =
                    http.post(format!("{url}/api/v1/integration/{path}")).header("content-type", "application/json");
                let answer = call.body(body).send().await.unwrap();
                let status = answer.status().as_u16();
                let text = answer.text().await.unwrap();
                let plain_no = status == 200 && text.contains("\"success\":false");
                assert!(plain_no || (400..500).contains(&status), "{path} {body:?}: {status} {text}");
            }
        }
        assert!(world.clients("a").is_empty());
        assert!(world.store.read().users(&[-1, 1]).await.unwrap().is_empty());
    })
    .await;
}
