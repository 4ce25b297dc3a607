//! Panels that cannot serve keys are not added, and the report says which layer is to blame.

use crate::{
    program::{Operator, PASSWORD},
    world::reality,
};
use panel_sim::{Fault, Generation, Setup, Sim};
use serde_json::{Value, json};
use std::{cmp::Ordering, time::Duration};

const LAYERS: [&str; 7] = ["name", "tcp", "tls", "panel", "authorised", "xray", "inbounds"];

/// Adds a panel that fails in this layer: the report says so, and the node is added only by force.
async fn fails_in(operator: &Operator, url: &str, layer: &str, why: &str) {
    let add = format!("nodes add --name {layer} --url {url} --allow-http --username admin");
    let seen = operator.fed(&format!("{add} --json"), PASSWORD).await.refused().document();
    assert!(seen["error"].as_str().unwrap().contains(why), "{layer}: {seen}");
    for (index, name) in LAYERS.iter().enumerate() {
        let blamed = LAYERS.iter().position(|l| *l == layer).unwrap();
        let result = &seen["seen"][name]["result"];
        let as_expected = match index.cmp(&blamed) {
            Ordering::Less => result == "good",
            Ordering::Equal => result == "bad",
            // Inbounds are looked at even where xray does not run.
            Ordering::Greater => result == "not_reached" || layer == "xray",
        };
        assert!(as_expected, "{name} where {layer} fails: {seen}");
    }
    let told = operator.fed(&format!("{add} --force"), PASSWORD).await.done();
    let line = told.out.lines().find(|l| l.split_whitespace().next() == Some(layer)).unwrap();
    assert!(line.contains("FAILED") && told.out.contains(&format!("node {layer} is added")), "{told:?}");
    let tested = operator.run(&format!("nodes test {layer} --json")).await.refused().document();
    assert_eq!((&tested["good"], &tested["seen"][layer]["result"]), (&json!(false), &json!("bad")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_names_the_layer_that_fails_and_the_node_is_added_only_by_force() {
    for generation in [Generation::Two, Generation::Three] {
        let mut operator = Operator::new();
        let sim = operator.panel(generation).await;
        let url = sim.url();
        fails_in(&operator, "http://nowhere.invalid/", "name", "cannot be resolved").await;
        fails_in(&operator, &url.replace("http:", "https:"), "tls", "").await;
        fails_in(&operator, &format!("{url}elsewhere/"), "panel", "").await;
        sim.set_xray("stop");
        fails_in(&operator, &url, "xray", "xray is stopped").await;
        let empty = Sim::start(generation, sim.setup().clone()).await.unwrap();
        fails_in(&operator, &empty.url(), "inbounds", "no inbound could carry keys").await;
        let other = Setup { password: "another-hunter3".into(), ..Setup::default() };
        let other = operator.panel_with(generation, other).await;
        fails_in(&operator, &other.url(), "authorised", "user name, password").await;
        sim.inject(Fault::Dead);
        fails_in(&operator, &url, "tcp", "refused").await;
        let none = operator.run("keys issue 1").await.refused();
        none.says(&LAYERS.map(|layer| format!("{layer}: ")).each_ref().map(String::as_str));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panel_that_does_not_answer_in_time_is_not_added() {
    let mut operator = Operator::new();
    operator.set("MUSTER_PANELS__CONNECT_TIMEOUT", "300ms");
    operator.set("MUSTER_PANELS__READ_TIMEOUT", "500ms");
    let sim = operator.panel(Generation::Three).await;
    sim.inject(Fault::Slow(Duration::from_secs(5)));
    let add = format!("nodes add --name a --url {} --allow-http --username admin", sim.url());
    let told = operator.fed(&add, PASSWORD).await.refused();
    told.says(&["panel       FAILED", "node a is NOT added", "--force"]);
    operator.run("nodes show a").await.refused();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_several_usable_inbounds_the_operator_chooses() {
    for generation in [Generation::Two, Generation::Three] {
        let mut operator = Operator::new();
        let sim = operator.panel(generation).await;
        let mut second = reality(sim.open_port().await.unwrap());
        second["remark"] = json!("spare");
        let second = sim.add_inbound(&second);
        let mut closed = reality(9443);
        closed["enable"] = json!(false);
        let closed = sim.add_inbound(&closed);
        let add = format!("nodes add --name a --url {} --allow-http --username admin", sim.url());
        let told = operator.fed(&add, PASSWORD).await.refused();
        let told =
            told.says(&["NOT added", "several usable inbounds", "1 (main)", &format!("{second} (spare)"), "--inbound"]);
        assert!(!told.out.contains(&format!("{closed} (main)")), "{told:?}");
        for (wrong, why) in [(closed, "disabled"), (99, "no inbound 99")] {
            let ran = operator.fed(&format!("{add} --inbound {wrong}"), PASSWORD).await;
            ran.refused().says(&["NOT added", why]);
        }
        operator.fed(&format!("{add} --inbound {second}"), PASSWORD).await.done();
        operator.run("keys issue 1").await.done();
        assert_eq!((sim.clients(1).len(), sim.clients(second).len()), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_all_at_once_before_anybody_is_asked() {
    let operator = Operator::new();
    let add = "nodes add --name x --max-users -1 --weight -1 --priority 10001 --tls pin:12 --host a:b";
    let wrong = operator.run(&format!("{add} --url http://panel.test/?x=1 --username u --password p")).await.misused();
    wrong.says(&["max_users", "weight", "priority", "tls", "host", "plain http", "--allow-http", "base path"]);
    for (words, input, why) in [
        ("--url https://panel.test/", "", "API token, or a user name and a password"),
        ("--url https://panel.test/ --username u", "", "the password was expected on standard input"),
        ("--url panel.test:2053 --token t", "", "url"),
        ("--url ftp://panel.test/ --token t", "", "url"),
        ("--url https://u:p@panel.test/ --token t", "", "must not hold a user name"),
        ("--url https://panel.test/ --username u --password p --totp-secret 0189", "", "totp_secret"),
        ("--url https://panel.test/ --token t --token-file f", "", "--token-file"),
        ("--url https://panel.test/ --username u --password p --password-file f", "", "--password-file"),
        ("--url https://panel.test/ --token t --weight heavy", "", "--weight"),
    ] {
        operator.fed(&format!("nodes add --name x {words}"), input).await.misused().says(&[why]);
    }
    let missing = operator.run("nodes add --name x --url https://panel.test/ --token-file none").await;
    missing.refused().says(&["the API token cannot be read from none"]);
    let none = operator.run("nodes list --json").await.done().document();
    assert_eq!(none["nodes"], Value::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_given_once() {
    let mut operator = Operator::new();
    let sim = operator.panel(Generation::Two).await;
    operator.join("a", &sim, "").await;
    let add = format!("nodes add --name a --url {} --allow-http --username admin", sim.url());
    operator.fed(&add, PASSWORD).await.refused().says(&["\"a\" exists already"]);
}
