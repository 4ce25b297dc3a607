//! Nodes emptied and deleted, keys sent elsewhere, the fleet evened out, and the jobs that do it.

use crate::program::{Operator, Ran, until};
use panel_sim::{Generation, Sim};
use serde_json::{Value, json};

/// Node a with the keys of so many users, and node b with so much room and none.
async fn two_nodes(operator: &mut Operator, users: i64, room: i64) -> (Sim, Sim) {
    let (a, b) = (operator.panel(Generation::Three).await, operator.panel(Generation::Two).await);
    operator.join("a", &a, "--max-users 50").await;
    for user in 1..=users {
        operator.run(&format!("keys issue {user}")).await.done();
    }
    operator.join("b", &b, &format!("--max-users {room}")).await;
    (a, b)
}

async fn home(operator: &Operator, user: i64) -> String {
    let shown = operator.run(&format!("keys show {user} --json")).await.done().document();
    shown["keys"][0]["node_name"].as_str().unwrap().to_owned()
}

/// All that commands tell about keys, jobs and what is wanted of nodes.
async fn everything(operator: &Operator, users: i64) -> Vec<Value> {
    let mut all = vec![operator.run("jobs list --json").await.done().document()];
    for user in 1..=users {
        all.push(operator.run(&format!("keys show {user} --json")).await.done().document());
    }
    let nodes = operator.run("nodes list --json").await.done().document();
    let wanted = |n: &Value| json!([n["name"], n["policy"], n["current_users"]]);
    all.extend(nodes["nodes"].as_array().unwrap().iter().map(wanted));
    all
}

/// The job that a command began.
fn job(ran: &Ran) -> i64 {
    ran.document()["job"].as_i64().unwrap_or_else(|| panic!("no job: {ran:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dry_runs_say_what_would_be_done_and_change_nothing() {
    for mut operator in Operator::all().await {
        let (a, b) = two_nodes(&mut operator, 4, 3).await;
        let before = everything(&operator, 4).await;
        let writes = a.writes() + b.writes();
        for (words, told) in [
            ("nodes drain a --dry-run", vec!["would be emptied", "USER", "1 fit nowhere", "it is full", "nowhere"]),
            ("nodes delete a --dry-run", vec!["would be deleted", "1 fit nowhere"]),
            ("keys move 1 --to b --dry-run", vec!["node b would take the key of user 1", "USER"]),
            ("rebalance --dry-run", vec!["BEFORE", "AFTER", "nothing to do"]),
        ] {
            operator.run(words).await.done().says(&told);
            let document = operator.run(&format!("{words} --json")).await.done().document();
            assert_eq!(document["job"], Value::Null, "{words}: {document}");
        }
        let preview = operator.run("nodes drain a --dry-run --json").await.done().document();
        let who = |m: &Value| (m["telegram_id"].as_i64().unwrap(), m["from"].as_i64(), m["to"].as_i64());
        let moves = preview["moves"].as_array().unwrap().iter().map(who).collect::<Vec<_>>();
        let to_b = |user| (user, Some(1), Some(2));
        assert_eq!(moves, [to_b(1), to_b(2), to_b(3), (4, Some(1), None)], "{preview}");
        assert!(preview["unplaced_because"].as_str().unwrap().contains("b: it is full"), "{preview}");
        let preview = operator.run("keys move 1 --to b --dry-run --json").await.done().document();
        assert_eq!(preview["moves"].as_array().unwrap().iter().map(who).collect::<Vec<_>>(), [to_b(1)]);
        assert_eq!(everything(&operator, 4).await, before);
        operator.run("nodes edit b --max-users 50").await.done();
        operator.run("rebalance --dry-run").await.done().says(&["2 key(s) would move"]);
        let shares = operator.run("rebalance --dry-run --json").await.done().document();
        assert_eq!(shares["moves"].as_array().unwrap().iter().map(who).collect::<Vec<_>>(), [to_b(1), to_b(2)]);
        operator.run("rebalance --dry-run").await.done().says(&["USER", "FROM", "TO"]);
        let of = |n: &Value| (n["before"].as_i64().unwrap(), n["after"].as_i64().unwrap());
        assert_eq!(shares["nodes"].as_array().unwrap().iter().map(of).collect::<Vec<_>>(), [(4, 2), (0, 2)]);
        assert_eq!(everything(&operator, 4).await, before);
        assert_eq!(a.writes() + b.writes(), writes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_is_carried_out_by_the_running_server_and_followed_to_its_end() {
    for mut operator in Operator::all().await {
        let (a, b) = two_nodes(&mut operator, 3, 50).await;
        let served = operator.serve("").await;
        let drained = operator.run("nodes drain a --deadline 24h --wait").await.done();
        let drained = drained.says(&["is over: 3 of 3 moved", "node a is emptied"]);
        let lines: Vec<&str> = drained.err.lines().filter(|l| l.starts_with("job ")).collect();
        assert!(!lines.is_empty() && lines.windows(2).all(|two| two[0] != two[1]), "{lines:?}");
        for user in 1..=3 {
            assert_eq!(home(&operator, user).await, "b");
        }
        assert_eq!((a.clients(1).len(), b.clients(1).len()), (3, 3), "old clients work on");
        operator.run("nodes list").await.done().says(&["maintenance"]);
        operator.run("jobs show 1").await.done().says(&["still there:", "3 old clients", "USER"]);
        operator.run("nodes leaving a").await.done().says(&["USER", "LIVES ON", "GOES IF NOT SEEN", "b"]);
        let leaving = operator.run("nodes leaving a --json").await.done().document();
        let there = leaving["leaving"].as_array().unwrap().iter().map(|l| json!([l["telegram_id"], l["home"]]));
        assert_eq!(json!([leaving["total"], there.collect::<Vec<_>>()]), json!([3, [[1, 2], [2, 2], [3, 2]]]));
        operator.run("nodes leaving b").await.done().says(&["no key that left node b has an old client there"]);
        operator.run("nodes drain a").await.done().says(&["no key lives on node a"]);
        let list = operator.run("jobs list --json").await.done().document();
        assert_eq!(list["jobs"].as_array().map(Vec::len), Some(1), "{list}");
        operator.stop(served).await;
        operator.run("nodes enable a").await.done().says(&["node a takes new keys"]);
        let disabled = operator.run("nodes disable b --json").await.done().document();
        assert_eq!(disabled["policy"], "inactive");
        let ended = operator.run("nodes end-grace a --json").await.done().document();
        assert_eq!(ended, json!({"ended": 3}));
        let served = operator.serve("").await;
        until("the old clients are gone", async || a.clients(1).is_empty()).await;
        operator.stop(served).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_nothing_is_done_and_the_list_is_told_unless_a_part_will_do() {
    for mut operator in Operator::all().await {
        let _panels = two_nodes(&mut operator, 3, 2).await;
        let before = everything(&operator, 3).await;
        for words in ["nodes drain a", "nodes delete a", "nodes delete a --wait"] {
            operator.run(words).await.refused().says(&["1 of the keys on node a", "USER", "nowhere", "b: it is full"]);
            let refusal = operator.run(&format!("{words} --json")).await.refused().document();
            assert_eq!(refusal["seen"]["keys"].as_array().map(Vec::len), Some(1), "{refusal}");
            assert!(refusal["error"].as_str().unwrap().contains("fit nowhere else"), "{refusal}");
        }
        assert_eq!(everything(&operator, 3).await, before);
        let part = operator.run("nodes drain a --partly --wait --json").await.refused().document();
        let outcome = &part["outcome"];
        assert_eq!(
            (&outcome["done"], &outcome["waiting"], &outcome["state"]),
            (&json!(2), &json!(1), &json!("running"))
        );
        assert!(part["error"].as_str().unwrap().contains("2 of 3 moved, 1 waiting: "), "{part}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_deleted_once_its_users_moved_and_at_once_when_it_has_none() {
    for mut operator in Operator::all().await {
        let (a, b) = two_nodes(&mut operator, 3, 50).await;
        let deleted = operator.run("nodes delete a --deadline 0s --wait").await.done();
        deleted.says(&["3 of 3 moved", "node a is deleted"]);
        assert_eq!((a.clients(1).len(), b.clients(1).len()), (0, 3));
        operator.run("nodes show a").await.refused();
        operator.run("jobs list").await.done().says(&["(deleted, 1)", "command line", "done"]);
        operator.join("c", &a, "").await;
        operator.run("nodes delete c --json").await.done().says(&["deleted"]);
        operator.run("nodes delete b --deadline never").await.misused().says(&["a time up to a year"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_sent_elsewhere_and_the_job_is_taken_back() {
    for mut operator in Operator::all().await {
        let _panels = two_nodes(&mut operator, 2, 50).await;
        let begun = operator.run("keys move 1 --to b").await.done();
        begun.says(&["job 1 moves the key of user 1 to node b", "a running server carries it out"]);
        assert_eq!(home(&operator, 1).await, "a", "nobody carries it out yet");
        let shown = operator.run("jobs show 1 --wait --json").await.done().document();
        assert_eq!((&shown["state"], &shown["done"], &shown["kind"]), (&json!("done"), &json!(1), &json!("by_hand")));
        assert_eq!(home(&operator, 1).await, "b");
        operator.run("keys move 1 --to b").await.refused().says(&["lives on b already"]);
        operator.run("keys move 99 --to b").await.refused().says(&["no user with Telegram id 99"]);
        operator.run("keys move 1 --to z").await.refused().says(&["there is no node \"z\""]);
        operator.run("jobs undo 1 --dry-run").await.done().says(&["job 1 would be taken back", "USER", "FROM"]);
        let preview = operator.run("jobs undo 1 --dry-run --json").await.done().document();
        let back = json!([{"key_id": 1, "telegram_id": 1, "from": 2, "to": 1}]);
        assert_eq!((&preview["job"], &preview["moves"]), (&Value::Null, &back));
        let undo = job(&operator.run("jobs undo 1 --json").await.done());
        operator.run(&format!("jobs show {undo} --wait")).await.done().says(&["undo", "is over: 1 of 1 moved"]);
        assert_eq!(home(&operator, 1).await, "a");
        operator.run("jobs undo 1").await.refused().says(&["nothing of job 1 is left to be undone"]);
        let moved = operator.run("keys move 2 --to b --wait --json").await.done().document();
        assert_eq!((&moved["outcome"]["done"], moved["job"].as_i64()), (&json!(1), Some(undo + 1)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_paused_and_resumed() {
    for mut operator in Operator::all().await {
        let _panels = two_nodes(&mut operator, 3, 50).await;
        let drain = job(&operator.run("nodes drain a --json").await.done());
        operator.run(&format!("jobs pause {drain}")).await.done().says(&["is paused: 0 of 3 moved, 3 to come"]);
        let waited = operator.run(&format!("jobs show {drain} --wait")).await.refused();
        waited.says(&["paused", "muster jobs resume"]);
        assert_eq!(home(&operator, 1).await, "a");
        let resumed = operator.run(&format!("jobs resume {drain} --json")).await.done().document();
        assert_eq!(resumed["state"], "running");
        operator.run(&format!("jobs show {drain} --wait")).await.done().says(&["is over: 3 of 3 moved"]);
        operator.run(&format!("jobs pause {drain}")).await.refused().says(&["is over"]);
        operator.run("jobs show 99").await.refused().says(&["there is no job 99"]);
        let list = operator.run("jobs list --json").await.done().document();
        assert_eq!((&list["jobs"][0]["id"], &list["jobs"][0]["done"]), (&json!(drain), &json!(3)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_is_evened_out_once() {
    for mut operator in Operator::all().await {
        let _panels = two_nodes(&mut operator, 6, 50).await;
        let even = operator.run("rebalance --wait").await.done();
        even.says(&["BEFORE", "job 1 moves 3 key(s)", "is over: 3 of 3 moved"]);
        let again = operator.run("rebalance --wait --json").await.done().document();
        assert_eq!((&again["job"], &again["moves"]), (&Value::Null, &json!([])));
        operator.run("rebalance").await.done().says(&["nothing to do: the fleet is even"]);
    }
}
