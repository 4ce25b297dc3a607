//! `muster nodes`: adding, looking, editing, deleting.

use crate::{
    program::{Operator, until},
    world::reality,
};
use panel_sim::{Generation, Setup};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_added_with_every_flag_and_shown_as_it_was_given() {
    for generation in [Generation::Two, Generation::Three] {
        for mut operator in Operator::all().await {
            let sim = operator.panel(generation).await;
            let port = sim.open_port().await.unwrap();
            let second = sim.add_inbound(&reality(port)).to_string();
            let add = ["nodes", "add", "--name", "Amsterdam 1", "--url", &sim.url(), "--allow-http"];
            let login = ["--username", "admin", "--password", "pw-hunter2-long"];
            let more = [
                ["--inbound", &second],
                ["--host", "localhost"],
                ["--location", "Нидерланды"],
                ["--description", "rack 7, \"old\""],
                ["--max-users", "7"],
                ["--weight", "0.5"],
                ["--priority", "150"],
                ["--tls", "skip"],
            ];
            let arguments: Vec<&str> = add.into_iter().chain(login).chain(more.into_iter().flatten()).collect();
            let added = operator.args(&arguments, "").await.done();
            let words: Vec<&str> = added.out.split_whitespace().collect();
            for layer in ["name", "tcp", "tls", "panel", "authorised", "xray", "inbounds"] {
                assert!(words.windows(2).any(|w| w == [layer, "ok"]), "{layer} in {}", added.out);
            }
            added.says(&["3x-ui ", "node Amsterdam 1 is added", &format!("{second} vless on port {port}")]);
            let shown = operator.args(&["nodes", "show", "Amsterdam 1", "--json"], "").await.done().document();
            let expected = json!({
                "name": "Amsterdam 1", "url": sim.url(), "tls": "skip", "allow_http": true, "host": "localhost",
                "location": "Нидерланды", "description": "rack 7, \"old\"", "max_users": 7, "weight": 0.5,
                "priority": 150, "policy": "active", "current_users": 0,
                "chosen_inbound": second.parse::<i64>().unwrap(),
            });
            for (field, value) in expected.as_object().unwrap() {
                assert_eq!(&shown[field], value, "{field}");
            }
            assert_eq!(shown["inbound"]["port"], port);
            operator.run("nodes list").await.done().says(&["Amsterdam 1", "Нидерланды", "active", "0/7"]);
            operator.args(&["nodes", "show", "Amsterdam 1"], "").await.done().says(&["localhost", "rack 7"]);
            operator.run("keys issue 1").await.done().says(&[&format!("@localhost:{port}")]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_needs_no_more_than_a_name_an_address_and_a_way_in() {
    let mut operator = Operator::new();
    let sim = operator.panel(Generation::Three).await;
    let token = operator.panel_token(&sim);
    operator.run(&format!("nodes add --name a --url {} --allow-http --token {token}", sim.url())).await.done();
    let shown = operator.run("nodes show a --json").await.done().document();
    assert_eq!((&shown["max_users"], &shown["weight"], &shown["priority"]), (&json!(1000), &json!(1.0), &json!(100)));
    assert_eq!((&shown["host"], &shown["inbound"]["id"]), (&json!("127.0.0.1"), &json!(1)));
    assert!(shown["panel_version"].as_str().unwrap().starts_with('3') && shown["checked_at"].is_string(), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_taken_from_arguments_files_and_standard_input() {
    let mut operator = Operator::new();
    let totp = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let setup = Setup { password: "pw hunter2 ".into(), totp_secret: Some(totp.into()), ..Setup::default() };
    let guarded = operator.panel_with(Generation::Two, setup).await;
    let plain = operator.panel(Generation::Two).await;
    let three = operator.panel(Generation::Three).await;
    let token = operator.panel_token(&three);
    operator.write("password", "pw-hunter2-long\r\n");
    operator.write("spaced", "pw hunter2 \n");
    operator.write("token", &format!("{token}\n\n"));
    operator.write("totp", totp);
    let ways = [
        (&plain, "--username admin --password pw-hunter2-long".to_owned(), String::new()),
        (&plain, "--username admin --password-file password".to_owned(), String::new()),
        (&plain, "--username admin --password-file -".to_owned(), "pw-hunter2-long\n".to_owned()),
        (&plain, "--username admin".to_owned(), "pw-hunter2-long".to_owned()),
        (&guarded, format!("--username admin --totp-secret {totp}"), "pw hunter2 \n".to_owned()),
        (&guarded, "--username admin --totp-secret-file totp --password-file -".to_owned(), "pw hunter2 \n".to_owned()),
        (&guarded, "--username admin --totp-secret-file totp --password-file spaced".to_owned(), String::new()),
        (
            &guarded,
            "--username admin --password-file - --totp-secret-file -".to_owned(),
            format!("pw hunter2 \n{totp}\n"),
        ),
        (&three, format!("--token {token}"), String::new()),
        (&three, "--token-file token".to_owned(), String::new()),
        (&three, "--token-file -".to_owned(), format!("{token}\n")),
    ];
    for (index, (sim, flags, input)) in ways.into_iter().enumerate() {
        let add = format!("nodes add --name n{index} --url {} --allow-http {flags}", sim.url());
        let ran = operator.fed(&add, &input).await;
        assert_eq!(ran.code, Some(0), "{flags}: {ran:?}");
        // What was kept, and not only what was given, opens the panel.
        operator.run(&format!("nodes test n{index}")).await.done();
        // One panel is one node at a time.
        operator.run(&format!("nodes delete n{index} --force --yes n{index}")).await.done();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_edited_by_name_or_id_and_what_is_not_named_stays() {
    for mut operator in Operator::all().await {
        let sim = operator.panel(Generation::Three).await;
        operator.join("a", &sim, "--location NL --description old --host vpn.example.com --weight 2").await;
        let other = operator.panel(Generation::Two).await;
        operator.join("b", &other, "").await;
        let before = operator.run("nodes show a --json").await.done().document();
        let id = before["id"].to_string();
        let edited = operator.run(&format!("nodes edit {id} --name z --priority 7 --json")).await.done().document();
        let mut expected = before;
        expected["name"] = json!("z");
        expected["priority"] = json!(7);
        assert_eq!(edited, expected);
        let empty = ["nodes", "edit", "z", "--location", "", "--description", "", "--host", "", "--json"];
        let emptied = operator.args(&empty, "").await.done().document();
        assert_eq!((&emptied["location"], &emptied["description"]), (&json!(null), &json!(null)));
        assert_eq!(emptied["host"], "127.0.0.1");
        operator.run("nodes edit z --name b").await.refused().says(&["\"b\" exists already"]);
        operator.run("nodes edit nobody --weight 1").await.refused().says(&["there is no node \"nobody\""]);
        let wrong =
            operator.run("nodes edit z --weight -1 --priority 99999 --max-users -3 --tls maybe --host a:3").await;
        wrong.misused().says(&["weight", "priority", "max_users", "tls", "host"]);
        operator.run("nodes edit z --url http://x.test/ --allow-http false").await.misused().says(&["plain http"]);
        // A way in that no panel could accept is refused before it is kept.
        operator.run("nodes edit z --totp-secret 0189").await.misused().says(&["totp_secret"]);
        let token = operator.panel_token(&sim);
        operator.args(&["nodes", "edit", "z", "--token", "two words"], "").await.misused().says(&["token"]);
        operator.fed("nodes edit z --token-file -", &token).await.done();
        operator.args(&["nodes", "edit", "z", "--username", "", "--password", ""], "").await.done();
        operator.run("nodes test z").await.done().says(&["by token"]);
        operator.args(&["nodes", "edit", "z", "--token", ""], "").await.misused().says(&["API token"]);
        operator.run("nodes test z").await.done().says(&["by token"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_serves_keys_with_nowhere_to_go_is_deleted_only_by_typing_its_name() {
    for mut operator in Operator::all().await {
        let sim = operator.panel(Generation::Three).await;
        operator.join("a", &sim, "").await;
        operator.run("keys issue 1").await.done();
        operator.run("nodes delete a").await.refused().says(&["1 of the keys on node a fit nowhere else"]);
        operator.run("nodes edit a --inbound 9").await.refused().says(&["another inbound"]);
        let loss = ["1 key(s) live on node a", "1 client(s)", "for ever"];
        operator.run("nodes delete a --force").await.refused().says(&loss).says(&["--yes a"]);
        operator.run("nodes delete a --force --yes b").await.refused().says(&loss).says(&["nothing was deleted"]);
        operator.run("nodes delete a --force --yes a").await.done().says(&["node a is deleted"]);
        until("the list is empty", async || {
            operator.run("nodes list --json").await.done().document() == json!({"nodes": []})
        })
        .await;
        assert_eq!(sim.clients(1).len(), 1, "what was abandoned stays");
        operator.run("nodes delete a").await.refused().says(&["there is no node \"a\""]);
    }
}
