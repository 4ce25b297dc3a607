//! The command line, command by command, on the real program. Here: what holds for all commands.

mod database;
mod health;
mod keys;
mod moves;
mod nodes;
mod refusals;
mod settings;
mod tokens;
mod two_programs;

use crate::program::{Operator, until};
use panel_sim::{Generation, Setup};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_start_says_what_to_do_next_and_its_words_work_as_they_stand() {
    let mut operator = Operator::new();
    operator.write("my.yaml", "database:\n  url: sqlite://mine.db\n");
    let sim = operator.panel(Generation::Three).await;
    let served = operator.serve("--config my.yaml --data elsewhere").await;
    until("it said all", async || served.said().contains("secret.key")).await;
    let said = served.said();
    assert!(said.contains("in this folder") && said.contains(&format!("BACKEND_URL={}", served.url)), "{said}");
    let typed = |start: &str| {
        let line = said.lines().find(|line| line.contains(start)).unwrap_or_else(|| panic!("{start}: {said}"));
        let words = line.split_once("muster").unwrap().1.split(',').next().unwrap();
        words.replace("NAME", "a").replace("TELEGRAM_ID", "7")
    };
    let add = typed("nodes add");
    let add = add.replace("https://PANEL:PORT/BASE/", &format!("{} --allow-http", sim.url())).replace("USER", "admin");
    operator.fed(&add, "pw-hunter2-long\n").await.done().says(&["node a is added"]);
    operator.run(&typed("keys issue")).await.done().says(&["vless://"]);
    operator.run(&typed("tokens create")).await.done().says(&["mst_"]);
    assert_eq!(sim.clients(1).len(), 1, "the server and the commands worked on one database");
    operator.stop(served).await;
    let again = operator.serve("--config my.yaml --data elsewhere").await;
    assert_eq!(again.said().trim(), format!("Muster listens on {}", again.url), "nothing more to say");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_holds_secrets_is_readable_by_its_owner_only() {
    let operator = Operator::new();
    fs::create_dir(operator.path("open")).unwrap();
    for data in ["muster-data", "open"] {
        operator.run(&format!("nodes list --data {data}")).await.done();
        let folder = operator.path(data);
        assert_eq!(mode(&folder.join("secret.key")), 0o600);
        assert_eq!(mode(&folder.join("muster.db")), 0o600, "users' links are in it");
    }
    assert_eq!(mode(&operator.path("muster-data")), 0o700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_sealing_key_is_one_clear_error_and_changes_nothing() {
    for mut operator in Operator::all().await {
        let sim = operator.panel(Generation::Two).await;
        operator.join("a", &sim, "").await;
        let key = operator.path("muster-data/secret.key");
        let right = fs::read_to_string(&key).unwrap();
        for (wrong, told) in [("11".repeat(32), "put the right secret.key back"), ("short".into(), "64 hexadecimal")] {
            fs::write(&key, &wrong).unwrap();
            for words in ["nodes list", "serve --listen 127.0.0.1:0"] {
                let ran = operator.run(words).await.refused().says(&[told]);
                let errors = ran.err.lines().filter(|line| !line.contains(" INFO ")).count();
                assert_eq!((errors, ran.out.as_str()), (1, ""), "{ran:?}");
            }
        }
        fs::write(&key, right).unwrap();
        operator.run("nodes test a").await.done();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn file_and_data_folder_may_be_named_before_and_after_the_command() {
    let operator = Operator::new();
    operator.write("s.yaml", "database:\n  url: sqlite://s.db\n");
    operator.run("--data there tokens create --name before --scope read").await.done();
    operator.run("tokens create --name after --scope read --data there").await.done();
    operator.run("tokens --data there create --name between --scope read").await.done();
    let names = |list: &Value| list["tokens"].as_array().unwrap().iter().map(|t| t["name"].clone()).collect();
    let all: Vec<Value> = names(&operator.run("tokens list --json --data there").await.done().document());
    assert_eq!(all, ["before", "after", "between"]);
    operator.run("--config s.yaml nodes list").await.done();
    assert!(operator.path("s.db").exists());
    operator.run("--config none.yaml nodes list").await.misused().says(&["none.yaml", "cannot be read"]);
    operator.run("config check --config s.yaml").await.done();
    operator.run("config --config s.yaml check").await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_exactly_one_document_and_the_exit_code_says_how_it_went() {
    let mut operator = Operator::new();
    let sim = operator.panel(Generation::Three).await;
    operator.join("a", &sim, "--location NL").await;
    for (words, code) in [
        ("migrate status", 0),
        ("migrate up", 0),
        ("config check", 0),
        ("config sample", 0),
        ("nodes list", 0),
        ("nodes show a", 0),
        ("nodes test a", 0),
        ("nodes edit a --weight 2", 0),
        ("keys issue 1", 0),
        ("keys show 1", 0),
        ("keys refresh 1", 0),
        ("keys delete 1", 0),
        ("tokens create --name t --scope bot", 0),
        ("tokens list", 0),
        ("tokens revoke t", 0),
        ("health", 0),
        ("health a", 0),
        ("health release", 0),
        ("health b", 1),
        ("events", 0),
        ("events --most 1001", 2),
        ("rebalance", 0),
        ("rebalance --dry-run --wait", 0),
        ("jobs list", 0),
        ("jobs show 1", 1),
        ("jobs show 0", 2),
        ("jobs pause 1", 1),
        ("jobs resume 1", 1),
        ("jobs undo 1", 1),
        ("keys move 1 --to a", 1),
        ("keys move 1", 2),
        ("nodes disable a", 0),
        ("nodes enable a", 0),
        ("nodes end-grace a", 0),
        ("nodes drain a --dry-run", 0),
        ("nodes drain a --wait", 0),
        ("nodes drain b", 1),
        ("nodes drain a --deadline soon", 2),
        ("nodes delete a --yes a", 2),
        ("nodes delete a --force", 1),
        ("nodes delete a --force --yes b", 1),
        ("nodes delete a", 0),
        ("nodes show a", 1),
        ("nodes delete a", 1),
        ("keys show 99", 1),
        ("keys refresh 99", 1),
        ("keys delete 99", 1),
        ("keys issue 99", 1),
        ("tokens revoke t", 1),
        ("serve --listen 192.0.2.1:1", 1),
        ("nodes add --name b --url http://127.0.0.1:1/ --token t --allow-http", 1),
        ("nodes add --name b --url http://127.0.0.1:1/ --token t", 2),
        ("nodes add --name b", 2),
        ("nodes", 2),
        ("frobnicate", 2),
        ("keys issue 0", 2),
        ("keys issue x", 2),
        ("tokens create --name t --scope root", 2),
        ("config check --config none.yaml", 2),
    ] {
        for words in [format!("--json {words}"), format!("{words} --json")] {
            let ran = operator.run(&words).await;
            // What the first of the two did, the second need not find undone.
            let again =
                words.ends_with("--json") && ["create", "revoke", "nodes delete"].iter().any(|w| words.contains(w));
            assert!(ran.code == Some(code) || again, "{words}: {ran:?}");
            let document = ran.document();
            assert!(document.is_object(), "{words}: {document}");
            let failed = document["error"].as_str().is_some_and(|e| !e.is_empty());
            assert_eq!(failed, ran.code != Some(0), "{words}: {document}");
        }
    }
    let served = operator.serve("--json").await;
    until("it logged", async || !served.logged().is_empty()).await;
    let said: Value = serde_json::from_str(&served.said()).unwrap();
    assert_eq!(said, json!({"listening": served.url}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_told_by_any_command_or_log_nor_kept_in_the_clear() {
    let mut operator = Operator::new();
    operator.set("MUSTER_LOG__LEVEL", "trace");
    let totp = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let setup = Setup { password: "Geheim-42-lang".into(), totp_secret: Some(totp.into()), ..Setup::default() };
    let two = operator.panel_with(Generation::Two, setup).await;
    let three = operator.panel(Generation::Three).await;
    let token = operator.panel_token(&three);
    let served = operator.serve("").await;
    operator.join("two", &two, &format!("--totp-secret {totp}")).await;
    let add = format!("nodes add --name three --url {} --allow-http --token {token}", three.url());
    operator.run(&add).await.done();
    for words in
        ["nodes list", "nodes show two", "nodes test two", "nodes show three --json", "nodes test three --json"]
    {
        operator.run(words).await.done();
    }
    for user in 1..=4 {
        operator.run(&format!("keys issue {user}")).await.done();
    }
    // The old one is gone; the new one is as secret.
    three.revoke_tokens();
    two.end_sessions();
    operator.run("nodes test three").await.refused();
    operator.run("keys issue 5").await.done();
    operator.run("nodes edit two --password Geheim-43-lang").await.done();
    operator.keep_secret("Geheim-43-lang");
    operator.run("nodes test two").await.refused();
    operator.run("nodes edit two --password Geheim-43-lang --totp-secret 1nonsense!").await.misused();
    let url = "https://admin:Geheim-43-lang@panel.test/";
    operator.run(&format!("nodes add --name x --url {url} --token t")).await.misused();
    let made = operator.run("tokens create --name t --scope admin --json").await.done().document();
    operator.keep_secret(made["token"].as_str().unwrap());
    operator.run("tokens list").await.done();
    operator.check_files(&operator.path("muster-data"));
    operator.stop(served).await;
    operator.check_files(&operator.path("muster-data"));
}
