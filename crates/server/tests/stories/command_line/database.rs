//! `muster migrate`, and what happens without it.

use crate::program::Operator;
use serde_json::Value;

async fn applied(operator: &Operator) -> Vec<bool> {
    let status = operator.run("migrate status --json").await.done().document();
    let all = status["migrations"].as_array().unwrap();
    assert!(!all.is_empty() && all.iter().all(|m| m["name"].is_string()), "{status}");
    all.iter().map(|m| m["applied"].as_bool().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_database_is_not_touched_before_migrate_up() {
    let Some(operator) = Operator::with_postgres().await else { return };
    for words in ["serve --listen 127.0.0.1:0", "nodes list", "keys issue 1", "tokens list"] {
        let ran = operator.run(words).await.refused().says(&["muster migrate up"]);
        assert_eq!((ran.err.lines().count(), ran.out.as_str()), (1, ""), "{ran:?}");
    }
    assert!(applied(&operator).await.iter().all(|applied| !applied));
    operator.run("migrate up").await.done().says(&["applied"]);
    operator.run("nodes list").await.done();
    let served = operator.serve("").await;
    operator.stop(served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_down_and_status_go_round_on_both_databases() {
    let mut operators = vec![Operator::new()];
    operators.extend(Operator::with_postgres().await);
    for operator in operators {
        assert!(applied(&operator).await.iter().all(|applied| !applied), "looking changes nothing");
        operator.run("migrate status").await.done().says(&["MIGRATION", "not applied"]);
        for _ in 0..2 {
            operator.run("migrate up").await.done();
            assert!(applied(&operator).await.iter().all(|applied| *applied));
        }
        operator.run("tokens create --name t --scope read").await.done();
        for _ in 0..2 {
            operator.run("migrate down").await.done();
            assert!(applied(&operator).await.iter().all(|applied| !applied));
        }
        operator.run("migrate up").await.done();
        let tokens = operator.run("tokens list --json").await.done().document();
        assert_eq!(tokens["tokens"], Value::Array(Vec::new()), "down removed what was there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let mut operator = Operator::new();
    operator.keep_secret("hunter2");
    operator.write("url", "postgres://u:hunter2@[broken/d\n");
    operator.run("nodes list").await.done();
    operator.set("MUSTER_DATABASE__URL_FILE", "url");
    operator.run("nodes list").await.refused().says(&["postgres://u:***@", "cannot be opened"]);
    operator.set("MUSTER_DATABASE__URL_FILE", "nothing");
    operator.run("nodes list").await.refused().says(&["the database's URL cannot be read from nothing"]);
}
