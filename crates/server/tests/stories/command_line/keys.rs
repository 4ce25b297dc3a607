//! `muster keys`, without a server: the command brings its own loops.

use crate::program::Operator;
use panel_sim::{Fault, Generation};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_issued_shown_refreshed_and_deleted() {
    for generation in [Generation::Two, Generation::Three] {
        for mut operator in Operator::all().await {
            let sim = operator.panel(generation).await;
            operator.join("a", &sim, "--host localhost").await;
            let issued = operator.run("keys issue 7").await.done();
            let link = issued.out.trim().to_owned();
            assert!(link.starts_with("vless://") && link.contains("@localhost:"), "{issued:?}");
            assert!(!link.contains(char::is_whitespace), "the link and nothing else: {issued:?}");
            let held = sim.clients(1);
            assert!(held.len() == 1 && link.contains(&held[0].credential), "{held:?}");
            assert_eq!(operator.run("keys issue 7").await.done().out.trim(), link, "the key he has");
            operator.run("keys show 7").await.done().says(&["user 7 has access (until ", &link, "KEY", "NODE"]);
            let shown = operator.run("keys show 7 --json").await.done().document();
            assert_eq!((&shown["telegram_id"], &shown["entitled"]), (&json!(7), &json!(true)));
            assert_eq!((&shown["keys"][0]["link"], &shown["keys"][0]["node_name"]), (&json!(link), &json!("a")));
            let fresh = operator.run("keys refresh 7").await.done().out.trim().to_owned();
            assert_ne!(fresh, link);
            operator.run("keys delete 7").await.done().says(&["1 key(s) revoked"]);
            assert!(sim.clients(1).iter().all(|client| !client.enabled), "{:?}", sim.clients(1));
            let gone = operator.run("keys show 7 --json").await.done().document();
            assert_eq!(gone["keys"], json!([]));
            operator.run("keys delete 7").await.done().says(&["0 key(s) revoked"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_for_a_place_is_followed_while_there_is_room() {
    let mut operator = Operator::new();
    let (here, there) = (operator.panel(Generation::Two).await, operator.panel(Generation::Three).await);
    operator.join("here", &here, "--location NL --max-users 1000").await;
    operator.join("there", &there, "--location DE --max-users 1").await;
    for (user, node) in [(1, "there"), (2, "here")] {
        let issued = operator.run(&format!("keys issue {user} --location de --json")).await.done().document();
        assert_eq!(issued["node_name"], node);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_have_a_key_is_told_why_and_gets_no_link() {
    let mut operator = Operator::new();
    operator.set("MUSTER_PANELS__ISSUE_WAIT", "3s");
    // No node is given up here.
    operator.set("MUSTER_HEALTH__FAILING_FOR", "10m");
    let says_why = async |operator: &Operator, words: &str, why: &[&str]| {
        let ran = operator.run(words).await.refused().says(why);
        assert_eq!(ran.out, "", "{ran:?}");
    };
    says_why(&operator, "keys show 1", &["there is no user with Telegram id 1"]).await;
    says_why(&operator, "keys refresh 1", &["1"]).await;
    says_why(&operator, "keys delete 1", &["there is no user with Telegram id 1"]).await;
    says_why(&operator, "keys issue 1", &["the fleet has no node"]).await;
    let sim = operator.panel(Generation::Three).await;
    operator.join("a", &sim, "--max-users 1").await;
    operator.run("keys issue 1").await.done();
    says_why(&operator, "keys issue 2", &["a: it is full (1 of 1)"]).await;
    operator.run("nodes edit a --max-users 9").await.done();
    sim.inject(Fault::Dead);
    says_why(&operator, "keys issue 3", &["a"]).await;
    let ran = operator.run("keys delete 1").await.done();
    ran.says(&["1 key(s) revoked", "still to be removed on: a"]);
    sim.heal();
    // Its check is over long before the pass that takes the trouble from it.
    sim.inject(Fault::Slow(Duration::from_millis(100)));
    operator.set("MUSTER_PANELS__ISSUE_WAIT", "15s");
    operator.run("keys issue 3").await.done();
    let names: Vec<String> = sim.clients(1).into_iter().map(|c| c.email).collect();
    assert!(names.len() == 1 && names[0].starts_with('m'), "what was left over is gone: {names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_nobody_can_have_is_wrong_usage() {
    let operator = Operator::new();
    for id in ["0", "-1", "9007199254740992", "x", "1.5", ""] {
        for command in ["issue", "show", "refresh", "delete"] {
            operator.args(&["keys", command, "--", id], "").await.misused();
        }
    }
}
