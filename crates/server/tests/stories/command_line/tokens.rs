//! `muster tokens`.

use crate::program::Operator;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_once_works_at_once_and_is_worthless_once_revoked() {
    for mut operator in Operator::all().await {
        let served = operator.serve("").await;
        let made = operator.run("tokens create --name ci --scope read").await.done();
        let token = made.out.lines().next().unwrap().to_owned();
        assert!(token.starts_with("mst_") && made.out.contains("shown this once"), "{made:?}");
        operator.keep_secret(&token);
        assert_eq!(operator.api(&served, &token, Method::GET, "nodes").await, (200, json!({"nodes": []})));
        operator.run("tokens list").await.done().says(&["ci", "read", "NAME", "SCOPE"]);
        operator.run("tokens create --name ci --scope admin").await.refused().says(&["ci", "exists"]);
        operator.run("tokens revoke ci").await.done();
        let (status, problem) = operator.api(&served, &token, Method::GET, "nodes").await;
        assert_eq!((status, &problem["code"]), (401, &json!("unauthorised")));
        operator.run("tokens revoke ci").await.refused();
        let list = operator.run("tokens list --json").await.done().document();
        assert_eq!((&list["tokens"][0]["name"], &list["tokens"][0]["scope"]), (&json!("ci"), &json!("read")));
        assert!(list["tokens"][0]["revoked_at"].is_string(), "{list}");
        // The name is free again.
        operator.run("tokens create --name ci --scope bot").await.done();
        operator.stop(served).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_needs_a_name_and_a_scope() {
    let operator = Operator::new();
    for words in ["tokens create --name x", "tokens create --scope read", "tokens create --name x --scope root"] {
        operator.run(words).await.misused();
    }
    let long = "n".repeat(101);
    for name in ["", " ", "a\nb", &long] {
        let ran = operator.args(&["tokens", "create", "--scope", "read", "--name", name], "").await;
        ran.misused().says(&["1 to 100 characters"]);
    }
    operator.args(&["tokens", "create", "--scope", "read", "--name", "der Bot 🤖"], "").await.done();
}
