//! `muster demo`, as a newcomer starts it.

use crate::program::{Operator, until};
use serde_json::Value;
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Stdio,
};
use tokio::process::{Child, Command};

/// Somebody whose temporary folder nobody else uses.
fn somebody() -> (Operator, PathBuf) {
    let mut operator = Operator::new();
    let temporary = operator.path("temporary");
    fs::create_dir(&temporary).unwrap();
    operator.set("TMPDIR", temporary.to_str().unwrap());
    (operator, temporary)
}

fn is_empty(folder: &PathBuf) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

/// A demo that runs until it is stopped, and tells what happens into the file `out`.
fn started(operator: &Operator) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.env_clear().env("TMPDIR", operator.path("temporary")).args(["demo", "--json", "--users", "20"]);
    command.stdin(Stdio::null()).stdout(File::create(operator.path("out")).unwrap()).kill_on_drop(true);
    command.spawn().unwrap()
}

fn told(operator: &Operator) -> Vec<Value> {
    let said = fs::read_to_string(operator.path("out")).unwrap();
    // The last line may not be complete yet.
    said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_comes_true_and_leaves_nothing_behind() {
    let (operator, temporary) = somebody();
    let ran = operator.run("demo --once").await.done();
    let ran = ran.says(&["is killed", "are served elsewhere", "-> probation", "the story is over"]);
    assert_eq!(ran.err, "", "{ran:?}");
    assert!(is_empty(&temporary));
    assert!(!operator.path("muster-data").exists(), "the demo touches nobody's data");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_without_a_demo_is_a_clear_error() {
    let (operator, temporary) = somebody();
    for order in ["kill", "cut", "slow", "revive"] {
        operator.run(&format!("demo {order} ams-1")).await.refused().says(&["no demo is running", "muster demo"]);
    }
    // What a demo that was killed leaves behind is no demo.
    let left = temporary.join("muster-demo-0123");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("control.json"), r#"{"address": "127.0.0.1:1", "token": "x"}"#).unwrap();
    fs::set_permissions(left.join("control.json"), fs::Permissions::from_mode(0o600)).unwrap();
    operator.run("demo kill ams-1").await.refused().says(&["no demo is running"]);
    operator.run("demo kill").await.misused();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_from_another_terminal_reach_the_demo_and_it_ends_when_told_to() {
    let (operator, temporary) = somebody();
    let mut demo = started(&operator);
    until("the demo runs", async || told(&operator).iter().any(|change| change["change"] == "started")).await;
    let folder = fs::read_dir(&temporary).unwrap().next().unwrap().unwrap().path();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.clone()), mode(folder.join("control.json"))), (0o700, 0o600));
    operator.run("demo kill waw-1").await.done().says(&["waw-1: killed"]);
    operator.run("demo kill nowhere").await.refused().says(&["no node", "ams-1, fra-1, hel-1, par-1, waw-1"]);
    let is_down = |change: &Value| change["node"] == "waw-1" && change["state"] == "down";
    until("the node is down", async || told(&operator).iter().any(is_down)).await;
    operator.run("demo revive waw-1 --json").await.done();
    let pid = demo.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(sent.success());
    assert!(demo.wait().await.unwrap().success());
    assert!(is_empty(&temporary), "its data is gone");
    operator.run("demo revive waw-1").await.refused().says(&["no demo is running"]);
}
