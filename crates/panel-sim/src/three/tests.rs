//! What no recording holds: hours that pass, faults, upgrades, sizes.

use super::{Panel, traffic::DAY_MS};
use crate::{
    call::{Call, Reply},
    setup::Setup,
};
use axum::{
    body::Bytes,
    http::{HeaderMap, Method, header::HeaderName},
};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

const START_MS: i64 = 1_800_000_000_000;
const HOUR_MS: i64 = 3_600_000;

/// A panel with one VLESS inbound, and somebody with a token.
struct Bench {
    panel: Panel,
    token: String,
    now_ms: i64,
}

impl Bench {
    fn new() -> Self {
        let mut panel = Panel::new(&Setup::default(), START_MS);
        let token = panel.create_token("bench", START_MS);
        let id = panel.add_inbound(&vless(443), START_MS);
        assert_eq!(id, 1);
        Self { panel, token, now_ms: START_MS }
    }

    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        self.panel.pass_time(self.now_ms);
    }

    fn send(&mut self, call: &Call) -> Reply {
        self.panel.answer(call, self.now_ms)
    }

    fn ask(&mut self, method: Method, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", self.token);
        let reply = self.send(&call(method, path, body.to_string(), &[("authorization", &bearer)]));
        assert!(reply.headers.iter().any(|(name, _)| *name == "x-3x-node-caps"), "{path}");
        serde_json::from_slice(&reply.body).unwrap()
    }

    fn post(&mut self, path: &str, body: &Value) -> Value {
        self.ask(Method::POST, &format!("panel/api/{path}"), body)
    }

    fn get(&mut self, path: &str) -> Value {
        self.ask(Method::GET, &format!("panel/api/{path}"), &Value::Null)["obj"].clone()
    }

    fn add(&mut self, email: &str, more: &Value) {
        let mut client = json!({"email": email, "subId": format!("sub-{email}"), "enable": true});
        client.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.post("clients/add", &json!({"client": client, "inboundIds": [1]}));
        assert_eq!(answer["success"], true, "{answer}");
    }

    fn login(&mut self, password: &str, code: &str) -> bool {
        let reply = self.send(&call(Method::GET, "csrf-token", String::new(), &[]));
        let csrf: Value = serde_json::from_slice(&reply.body).unwrap();
        let cookie = cookie(&reply).unwrap();
        let body = json!({"username": "admin", "password": password, "twoFactorCode": code}).to_string();
        let headers = [("cookie", cookie.as_str()), ("x-csrf-token", csrf["obj"].as_str().unwrap())];
        let reply = self.send(&call(Method::POST, "login", body, &headers));
        serde_json::from_slice::<Value>(&reply.body).unwrap()["success"] == true
    }
}

fn vless(port: u16) -> Value {
    json!({
        "remark": "main", "enable": true, "port": port, "protocol": "vless",
        "settings": {"clients": [], "decryption": "none"},
        "streamSettings": {"network": "tcp", "security": "reality"},
    })
}

fn call(method: Method, path: &str, body: String, headers: &[(&str, &str)]) -> Call {
    let (plain, query) = path.split_once('?').unwrap_or((path, ""));
    let mut map =
        HeaderMap::from_iter([(HeaderName::from_static("content-type"), "application/json".parse().unwrap())]);
    for (name, value) in headers {
        map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    Call {
        method,
        segments: plain.split('/').map(str::to_owned).collect(),
        raw_path: path.to_owned(),
        query: serde_urlencoded::from_str(query).unwrap(),
        headers: map,
        body: Bytes::from(body),
        peer: "127.0.0.1".parse().unwrap(),
    }
}

fn cookie(reply: &Reply) -> Option<String> {
    let (_, value) = reply.headers.iter().find(|(name, _)| *name == "set-cookie")?;
    Some(value.split(';').next()?.to_owned())
}

#[test]
fn traffic_is_counted_at_the_next_poll_and_shows_who_is_online() {
    let mut bench = Bench::new();
    bench.add("a", &json!({}));
    assert!(bench.panel.use_traffic("a", 10, 20));
    assert_eq!(bench.get("clients/get/a")["usedTraffic"], 0);
    bench.pass(5_000);
    assert_eq!(bench.get("clients/get/a")["usedTraffic"], 30);
    assert_eq!(bench.get("inbounds/get/1")["down"], 20);
    assert_eq!(bench.post("clients/onlines", &Value::Null)["obj"], json!(["a"]));
    let seen = bench.post("clients/lastOnline", &Value::Null)["obj"]["a"].clone();
    assert_eq!(seen, json!(START_MS + 5_000));
    bench.pass(20_000);
    assert_eq!(bench.post("clients/onlines", &Value::Null)["obj"], json!(["a"]));
    bench.pass(5_000);
    assert_eq!(bench.post("clients/onlines", &Value::Null)["obj"], json!([]));
    assert_eq!(bench.post("clients/lastOnline", &Value::Null)["obj"]["a"], seen);
}

#[test]
fn hours_at_once_do_what_hours_do() {
    let mut bench = Bench::new();
    bench.add("quota", &json!({"totalGB": 100}));
    bench.add("delayed", &json!({"expiryTime": -HOUR_MS}));
    bench.add("renewed", &json!({"expiryTime": START_MS + HOUR_MS, "reset": 1, "totalGB": 1_000}));
    for email in ["quota", "delayed", "renewed"] {
        assert!(bench.panel.use_traffic(email, 60, 60));
    }
    bench.pass(5_000);
    let expiry = bench.get("clients/get/delayed")["client"]["expiryTime"].clone();
    assert_eq!(expiry, json!(START_MS + 5_000 + HOUR_MS));
    assert_eq!(bench.get("clients/get/quota")["client"]["enable"], false);
    assert!(!bench.panel.use_traffic("quota", 1, 1));
    bench.pass(50 * HOUR_MS);
    let held = bench.panel.clients(1);
    let enabled: Vec<bool> = held.iter().map(|held| held.enabled).collect();
    assert_eq!(enabled, [false, false, true]);
    assert_eq!((held[2].up, held[2].expires_at_ms), (0, START_MS + HOUR_MS + 3 * DAY_MS));
    assert_eq!(bench.post("clients/delDepleted", &Value::Null)["obj"], json!({"deleted": 2}));
    assert_eq!(bench.panel.count(1), 1);
}

#[test]
fn nobody_is_served_and_nothing_counted_while_xray_is_down() {
    let mut bench = Bench::new();
    bench.add("a", &json!({}));
    assert!(bench.panel.use_traffic("a", 1, 1));
    bench.panel.machine_mut().set_xray("error");
    assert!(!bench.panel.use_traffic("a", 1, 1));
    bench.pass(5_000);
    assert_eq!(bench.panel.clients(1)[0].up, 0);
}

#[test]
fn a_locked_database_takes_no_write() {
    let mut bench = Bench::new();
    bench.panel.locked = true;
    for path in ["clients/add", "clients/bulkDel", "inbounds/del/1", "setting/apiTokens/create"] {
        let answer = bench.post(path, &json!({}));
        assert_eq!(answer["msg"], "Something went wrong (database is locked)", "{path}");
    }
    assert_eq!(bench.post("clients/onlines", &Value::Null)["success"], true);
    assert_eq!(bench.get("inbounds/list").as_array().unwrap().len(), 1);
}

#[test]
fn a_block_ends_by_itself_or_with_the_process() {
    let mut bench = Bench::new();
    for _ in 0..5 {
        assert!(!bench.login("wrong", ""));
    }
    assert!(!bench.login("admin", ""));
    bench.pass(15 * 60_000);
    assert!(bench.login("admin", ""));
    for _ in 0..5 {
        assert!(!bench.login("wrong", ""));
    }
    bench.panel.restart(bench.now_ms);
    assert!(bench.login("admin", ""));
}

#[test]
fn the_second_factor_is_asked_for() {
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let mut bench = Bench::new();
    bench.panel.operator.totp_secret = Some(secret.into());
    let codes = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build_noncompliant();
    let code = |ms: i64| codes.generate(u64::try_from(ms / 1_000).unwrap()).to_string();
    assert!(!bench.login("admin", ""));
    assert!(bench.login("admin", &code(START_MS)));
    assert!(bench.login("admin", &code(START_MS - 30_000)));
    assert!(!bench.login("admin", &code(START_MS - 90_000)));
}

#[test]
fn a_body_over_ten_mebibytes_is_refused_as_unreadable() {
    let mut bench = Bench::new();
    let body = json!(" ".repeat(10 << 20));
    let answer = bench.post("clients/add", &body);
    assert_eq!(answer["msg"], "Something went wrong (http: request body too large)");
    let answer = bench.post("inbounds/add", &body);
    assert_eq!(answer["obj"], json!({"issues": [], "message": "http: request body too large"}));
}

#[test]
fn revoked_tokens_and_unknown_paths_are_told_apart() {
    let mut bench = Bench::new();
    let bearer = format!("Bearer {}", bench.token);
    let xhr = [("authorization", bearer.as_str()), ("x-requested-with", "XMLHttpRequest")];
    bench.panel.revoke_tokens();
    let mut status = |path: &str| bench.send(&call(Method::GET, path, String::new(), &xhr)).status.as_u16();
    assert_eq!(status("panel/api/inbounds/list"), 401);
    assert_eq!(status("panel/api/inbounds/lists"), 404);
    assert_eq!(status("panel/api/inbounds/list/"), 301);
    assert_eq!(status("panel/"), 401);
    assert_eq!(status(""), 200);
}

#[test]
fn tens_of_thousands_of_clients_are_a_matter_of_seconds() {
    let mut bench = Bench::new();
    let item = |n: u32| json!({"client": {"email": format!("c{n}"), "subId": format!("s{n}")}, "inboundIds": [1]});
    for batch in 0..10 {
        let items: Vec<Value> = (batch * 2_000..(batch + 1) * 2_000).map(item).collect();
        assert_eq!(bench.post("clients/bulkCreate", &json!(items))["obj"], json!({"created": 2_000}));
    }
    for n in 20_000..20_500 {
        assert_eq!(bench.post("clients/add", &item(n))["success"], true);
    }
    assert_eq!(bench.panel.count(1), 20_500);
    let page = bench.get("clients/list/paged?pageSize=1&search=c20499");
    assert_eq!((&page["total"], &page["filtered"]), (&json!(20_500), &json!(1)));
    let emails: Vec<String> = (0..20_000).map(|n| format!("c{n}")).collect();
    assert_eq!(bench.post("clients/bulkDel", &json!({"emails": emails}))["obj"], json!({"deleted": 20_000}));
    assert_eq!(bench.panel.count(1), 500);
}

#[test]
fn an_upgrade_keeps_clients_and_counters() {
    let settings = json!({"clients": [
        {"id": "00000001-1111-4111-8111-000000000001", "email": "a", "enable": true, "subId": "s", "totalGB": 9},
    ]});
    let stats = json!([{"email": "a", "enable": false, "up": 4, "down": 5, "lastOnline": 7}]);
    let inbounds = json!([{
        "id": 3, "port": 443, "protocol": "vless", "enable": true, "tag": "inbound-443", "up": 4, "down": 5,
        "settings": settings.to_string(), "streamSettings": "{\"network\":\"tcp\"}", "clientStats": stats,
    }]);
    let credentials = ("root".to_owned(), "secret".to_owned());
    let panel = Panel::upgraded_from(&Setup::default(), &inbounds, credentials, START_MS);
    let held = panel.clients(3);
    assert_eq!((held[0].email.as_str(), held[0].total, held[0].up, held[0].down), ("a", 9, 4, 5));
    assert!(!held[0].enabled);
    let mut bench = Bench { panel, token: String::new(), now_ms: START_MS };
    bench.token = bench.panel.create_token("x", START_MS);
    let inbound = bench.get("inbounds/get/3");
    assert_eq!((&inbound["tag"], &inbound["settings"]["clients"][0]["email"]), (&json!("inbound-443"), &json!("a")));
    assert_eq!(bench.get("clients/list")[0]["inboundIds"], json!([3]));
    assert_eq!(bench.panel.add_inbound(&vless(444), START_MS), 4);
}

#[test]
fn a_stranger_adds_and_removes() {
    let mut bench = Bench::new();
    let second = bench.panel.add_inbound(&vless(444), START_MS);
    for inbound in [1, second] {
        bench.panel.add_client(inbound, json!({"email": "x", "subId": "sx", "comment": "mine"}), START_MS);
    }
    assert_eq!(bench.panel.clients(second)[0].comment, "mine");
    let backup = bench.panel.clone();
    bench.panel.remove_client(1, "x");
    assert_eq!((bench.panel.count(1), bench.panel.count(second)), (0, 1));
    bench.panel.remove_client(second, "x");
    assert_eq!(bench.get("clients/list"), json!([]));
    bench.panel = backup;
    assert_eq!(bench.panel.count(1), 1);
    bench.panel.forget_clients();
    assert_eq!(bench.get("inbounds/get/1")["settings"]["clients"], json!([]));
}
