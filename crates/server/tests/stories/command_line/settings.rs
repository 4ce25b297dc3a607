//! `muster config`: what may be set, and how mistakes are told.

use crate::program::Operator;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_is_told_at_once_with_file_line_and_key() {
    let mut operator = Operator::new();
    operator.write(
        "s.yaml",
        "server:\n  listen: nowhere\n  lissten: 1\n# a remark\nsync:\n  poll: 5 parsecs\n  poll: 1s\nusers: 7\nlog:\n  level: verbose\n\
         servr:\npanels:\n  read_timeout: {a: 1}\n  issue_wait:\nserver:\n  listen: 127.0.0.1:1\nother:\n  key: 1\n",
    );
    operator.set("MUSTER_USERS__TRIAL_DAYS", "0");
    operator.set("MUSTER_USERS__TRIAL", "7");
    operator.set("MUSTER_DATABASE_URL", "postgres://h/d");
    let ran = operator.run("config check --config s.yaml").await.misused();
    let told: Vec<&str> = ran.err.lines().skip(1).map(|l| &l[..l.match_indices(": ").nth(1).unwrap().0]).collect();
    assert_eq!(
        told,
        [
            "s.yaml:2: server.listen",
            "s.yaml:3: server.lissten",
            "s.yaml:6: sync.poll",
            "s.yaml:7: sync.poll",
            "s.yaml:8: users",
            "s.yaml:10: log.level",
            "s.yaml:11: servr",
            "s.yaml:13: panels.read_timeout",
            "s.yaml:14: panels.issue_wait",
            "s.yaml:15: server",
            "s.yaml:18: other.key",
            "MUSTER_DATABASE_URL: database_url",
            "MUSTER_USERS__TRIAL: users.trial",
            "MUSTER_USERS__TRIAL_DAYS: users.trial_days",
        ],
        "{}",
        ran.err
    );
    let document = operator.run("config check --config s.yaml --json").await.misused().document();
    assert_eq!(document["mistakes"].as_array().unwrap().len(), told.len());
    let first = json!({"place": "s.yaml:2", "key": "server.listen",
        "message": "must be an address and a port, such as 127.0.0.1:8000"});
    assert_eq!(document["mistakes"][0], first);
    for words in ["nodes list", "serve", "migrate status"] {
        let other = operator.run(&format!("{words} --config s.yaml")).await.misused();
        assert_eq!((other.err, other.out.as_str()), (ran.err.clone(), ""), "every command tells the same");
    }
    assert!(!operator.path("muster-data").exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_yaml_is_told_with_its_line_and_without_what_it_holds() {
    let mut operator = Operator::new();
    operator.keep_secret("hunter2");
    for (text, place) in [
        ("database:\n  url: \"postgres://u:hunter2@h/d\nlog:\n", "s.yaml:2: "),
        ("database:\n  url: postgres://u:hunter2@h/d\n bad\n", "s.yaml:3: "),
        ("- hunter2\n", "s.yaml:1: "),
        ("hunter2", "s.yaml:1: "),
        ("database: postgres://u:hunter2@h/d", "s.yaml:1: database"),
        ("database:\n  url: [hunter2, [x]]", "s.yaml:2: database.url"),
        ("database:\n  url: hunter2", "s.yaml:2: database.url"),
        ("secrets:\n  key: hunter2\n  previous: [hunter2]", "s.yaml:3: secrets.previous"),
        ("\0hunter2: 1", "s.yaml"),
    ] {
        operator.write("s.yaml", text);
        operator.run("config check --config s.yaml").await.misused().says(&[place]);
    }
    std::fs::write(operator.path("s.yaml"), b"server: \xff\xfe").unwrap();
    operator.run("config check --config s.yaml").await.misused().says(&["s.yaml: cannot be read"]);
    operator.set("MUSTER_DATABASE__URL", "mysql://u:hunter2@h/d");
    operator.set("MUSTER_SECRETS__KEY", "hunter2");
    operator.run("config check").await.misused().says(&["MUSTER_DATABASE__URL", "MUSTER_SECRETS__KEY"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_wins_over_the_file_and_the_command_line_over_both() {
    let mut operator = Operator::new();
    operator.write("s.yaml", "users:\n  site_name: From the file\n  trial_days: 3\nserver:\n  listen: 127.0.0.1:1\n");
    operator.set("MUSTER_CONFIG", "s.yaml");
    operator.set("MUSTER_USERS__SITE_NAME", "From outside");
    operator.run("config check").await.done().says(&["s.yaml and the environment: no mistakes"]);
    let served = operator.serve("").await;
    let url = format!("{}/api/v1/integration/app-settings", served.url);
    let answer = crate::world::client().get(url).send().await.unwrap();
    let settings = answer.json::<serde_json::Value>().await.unwrap()["settings"].take();
    assert_eq!(settings, json!({"site_name": "From outside", "trial_enabled": true, "trial_days": 3}));
    operator.stop(served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_is_a_file_without_mistakes() {
    let operator = Operator::new();
    let sample = operator.run("config sample").await.done().out;
    operator.write("s.yaml", &sample);
    operator.run("config check --config s.yaml").await.done();
    operator.write("s.yaml", "");
    operator.run("config check --config s.yaml --json").await.done();
    operator.write("s.yaml", "\u{feff}# Windows\r\nserver:\r\n  listen: 127.0.0.1:80\r\n");
    operator.run("config check --config s.yaml").await.done();
}
