//! How the fleet is, layer by layer, and what was decided.

use crate::program::{Operator, until};
use panel_sim::{Fault, Generation};
use serde_json::{Value, json};

/// A server that notices dead nodes within a second.
fn watch_closely(operator: &mut Operator) {
    for (name, value) in [
        ("INTERVAL", "1s"),
        ("LIVENESS", "400ms"),
        ("RECHECK", "150ms"),
        ("LIVENESS_TIMEOUT", "400ms"),
        ("CONNECT_TIMEOUT", "500ms"),
        ("CHECK_TIMEOUT", "1s"),
        ("FAILING_FOR", "600ms"),
    ] {
        operator.set(&format!("MUSTER_HEALTH__{name}"), value);
    }
}

async fn fleet(operator: &Operator) -> Value {
    operator.run("health --json").await.done().document()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_by_node_and_layer_and_a_hold_ends_by_an_operators_word() {
    for mut operator in Operator::all().await {
        watch_closely(&mut operator);
        let (a, b) = (operator.panel(Generation::Three).await, operator.panel(Generation::Two).await);
        operator.join("a", &a, "").await;
        operator.join("b", &b, "").await;
        let nobody = operator.run("health a").await.done();
        nobody.says(&["nobody has looked at every layer yet"]);
        operator.run("keys issue 1").await.done();
        let served = operator.serve("").await;
        until("every layer was seen", async || {
            fleet(&operator).await["nodes"].as_array().unwrap().iter().all(|n| n["layers"].is_object())
        })
        .await;
        let well = operator.run("health a").await.done();
        for layer in ["name", "tcp", "http", "path", "authorised", "xray"] {
            let line = well.out.lines().find(|l| l.split_whitespace().next() == Some(layer));
            assert!(line.is_some_and(|l| l.contains(" ok ")), "{layer}: {well:?}");
        }
        well.says(&["a is up since", "none: plain http", "response"]);
        a.inject(Fault::Dead);
        b.inject(Fault::Dead);
        until("both are down, and nobody is moved", async || {
            let fleet = fleet(&operator).await;
            fleet["nodes"].as_array().unwrap().iter().all(|n| n["health"]["name"] == "down")
                && fleet["hold"].is_object()
        })
        .await;
        operator.run("health").await.done().says(&["NOBODY IS MOVED", "health release", "down", "refused"]);
        operator.run("health b").await.done().says(&["b is down since", "refused"]);
        until("the full check failed, too", async || operator.run("health b").await.done().out.contains("FAILED"))
            .await;
        let released = operator.run("health release --json").await.done().document();
        assert_eq!(released["hold"], Value::Null);
        until("the server heard it", async || {
            operator.run("events").await.done().out.contains("an operator said that the failures are real")
        })
        .await;
        operator.stop(served).await;
        operator.run("health nobody").await.refused().says(&["there is no node \"nobody\""]);
        let events = operator.run("events --most 2 --json").await.done().document();
        assert_eq!(events["events"].as_array().map(Vec::len), Some(2), "{events}");
        operator.run("events --most 0").await.misused();
        let one = operator.run("health a --json").await.done().document();
        assert_eq!((&one["name"], &one["health"]["state"]), (&json!("a"), &json!("unhealthy")));
    }
}
