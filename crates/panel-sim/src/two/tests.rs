//! What the recordings cannot show: time, faults, a second factor, a test's hand in the panel.

use super::{
    Panel,
    array::{Client, email_of},
};
use crate::{
    call::{Call, Reply},
    setup::Setup,
};
use serde_json::{Value, json};

const NOW_MS: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 86_400_000;

/// A panel with one VLESS inbound, and somebody logged in.
struct Desk {
    panel: Panel,
    now_ms: i64,
    cookie: String,
}

impl Desk {
    fn new(setup: &Setup) -> Self {
        let mut panel = Panel::new(setup, NOW_MS);
        let inbound = json!({"port": 443, "protocol": "vless", "enable": true, "settings": r#"{"clients": []}"#});
        assert_eq!(panel.add_inbound(&inbound, NOW_MS), 1);
        let mut desk = Self { panel, now_ms: NOW_MS, cookie: String::new() };
        let reply = desk.ask("POST", "login", &json!({"username": "admin", "password": "admin"}));
        desk.cookie = cookie(&reply).unwrap_or_default();
        desk
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("cookie", self.cookie.parse().unwrap());
        let call = Call {
            method: method.parse().unwrap(),
            segments: path.split('/').map(str::to_owned).collect(),
            raw_path: path.to_owned(),
            query: Vec::new(),
            headers,
            body: body.to_string().into(),
            peer: [127, 0, 0, 1].into(),
        };
        self.panel.answer(&call, self.now_ms)
    }

    /// What the panel says to a call.
    fn told(&mut self, method: &str, path: &str, body: &Value) -> String {
        let reply = self.ask(method, path, body);
        let envelope: Value = serde_json::from_slice(&reply.body).unwrap();
        envelope["msg"].as_str().unwrap().to_owned()
    }

    fn add(&mut self, clients: &[Value]) -> String {
        let settings = json!({"clients": clients}).to_string();
        self.told("POST", "panel/api/inbounds/addClient", &json!({"id": 1, "settings": settings}))
    }

    fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
        self.panel.pass_time(self.now_ms);
    }

    fn names(&self) -> Vec<String> {
        self.panel.clients(1).into_iter().map(|client| client.email).collect()
    }

    fn row(&mut self, email: &str) -> Value {
        let reply = self.ask("GET", &format!("panel/api/inbounds/getClientTraffics/{email}"), &Value::Null);
        serde_json::from_slice::<Value>(&reply.body).unwrap()["obj"].clone()
    }
}

fn desk() -> Desk {
    Desk::new(&Setup::default())
}

fn cookie(reply: &Reply) -> Option<String> {
    let (_, cookie) = reply.headers.iter().find(|(name, _)| *name == "set-cookie")?;
    cookie.split(';').next().map(str::to_owned)
}

fn client(email: &str) -> Value {
    json!({"id": format!("id-{email}"), "email": email, "enable": true, "totalGB": 0, "expiryTime": 0, "reset": 0})
}

fn limited(email: &str, limits: &Value) -> Value {
    let mut client = client(email);
    client.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    client
}

#[test]
fn the_second_factor_is_the_code_of_this_half_minute() {
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let mut desk = Desk::new(&Setup { totp_secret: Some(secret.into()), ..Setup::default() });
    assert_eq!(desk.cookie, "");
    desk.now_ms = 1_111_111_109_000;
    let login = |code: &str| json!({"username": "admin", "password": "admin", "twoFactorCode": code});
    assert!(cookie(&desk.ask("POST", "login", &login("000000"))).is_none());
    assert!(cookie(&desk.ask("POST", "login", &login("081804"))).is_some());
    desk.now_ms += 30_000;
    assert!(cookie(&desk.ask("POST", "login", &login("081804"))).is_none());
}

#[test]
fn sessions_end_after_thirty_days_or_when_told() {
    let mut desk = desk();
    let status = |desk: &mut Desk| desk.ask("GET", "panel/api/inbounds/list", &Value::Null).status.as_u16();
    assert_eq!(status(&mut desk), 200);
    desk.panel.restart(desk.now_ms);
    assert_eq!(status(&mut desk), 200);
    desk.now_ms += 30 * DAY_MS;
    assert_eq!(status(&mut desk), 404);
    desk.now_ms = NOW_MS;
    desk.panel.end_sessions();
    assert_eq!(status(&mut desk), 404);
}

#[test]
fn a_locked_add_leaves_the_row_and_not_the_client() {
    let mut desk = desk();
    desk.panel.locked = true;
    assert_eq!(desk.add(&[client("a")]), "Something went wrong (database is locked)");
    assert_eq!(desk.names(), [""; 0]);
    let told = desk.told("GET", "panel/api/inbounds/getClientTraffics/a", &Value::Null);
    assert_eq!(told, "Error getting traffics. (Client Not Found In Inbound For Email: a\n)");
    desk.panel.locked = false;
    desk.add(&[client("a"), client("b")]);
    assert_eq!(desk.row("a")["id"], 1);
    desk.panel.locked = true;
    assert_eq!(
        desk.told("POST", "panel/api/inbounds/1/delClient/id-a", &Value::Null),
        "Something went wrong (database is locked)"
    );
    assert_eq!(desk.names(), ["a", "b"]);
}

#[test]
fn a_lost_update_leaves_a_row_behind() {
    let mut desk = desk();
    desk.add(&[client("a")]);
    let before = desk.panel.array(1);
    desk.add(&[client("b")]);
    desk.panel.set_array(1, before);
    desk.add(&[client("c")]);
    assert_eq!(desk.names(), ["a", "c"]);
    assert_eq!(desk.add(&[client("b")]), "Inbound client(s) have been added.");
    assert_eq!(desk.row("b")["id"], 2);
}

#[test]
fn traffic_counts_at_the_poll_and_ends_at_the_limit() {
    let mut desk = desk();
    desk.add(&[limited("a", &json!({"totalGB": 1_000})), client("b")]);
    assert!(desk.panel.use_traffic("a", 400, 700));
    assert_eq!(desk.row("a")["up"], 0);
    let starts = desk.panel.machine.xray_starts();
    desk.wait(10_000);
    assert_eq!((&desk.row("a")["up"], &desk.row("a")["enable"]), (&json!(400), &json!(false)));
    assert!(!desk.panel.clients(1)[0].enabled);
    assert!(!desk.panel.use_traffic("a", 1, 1));
    assert!(desk.panel.use_traffic("b", 1, 1));
    assert_eq!(desk.panel.machine.xray_starts(), starts + 1);
    let onlines = |desk: &mut Desk| {
        let reply = desk.ask("POST", "panel/api/inbounds/onlines", &Value::Null);
        serde_json::from_slice::<Value>(&reply.body).unwrap()["obj"].clone()
    };
    assert_eq!(onlines(&mut desk), json!(["a"]));
    desk.wait(10_000);
    assert_eq!(onlines(&mut desk), json!(["b"]));
    desk.wait(DAY_MS);
    assert_eq!(onlines(&mut desk), Value::Null);
}

#[test]
fn a_validity_from_first_use_begins_with_it() {
    let mut desk = desk();
    desk.add(&[limited("a", &json!({"expiryTime": -DAY_MS}))]);
    desk.wait(3 * DAY_MS);
    assert_eq!(desk.row("a")["expiryTime"], -DAY_MS);
    desk.panel.use_traffic("a", 1, 1);
    desk.wait(10_000);
    let expiry = desk.row("a")["expiryTime"].as_i64().unwrap();
    assert_eq!(desk.panel.clients(1)[0].expires_at_ms, expiry);
    assert!((desk.now_ms + DAY_MS - expiry).abs() <= 10_000);
    desk.wait(2 * DAY_MS);
    assert!(!desk.panel.clients(1)[0].enabled);
}

#[test]
fn what_is_renewed_comes_back() {
    let mut desk = desk();
    let limits = json!({"totalGB": 10, "expiryTime": NOW_MS + DAY_MS, "reset": 2});
    desk.add(&[limited("a", &limits)]);
    desk.panel.use_traffic("a", 10, 10);
    desk.wait(20_000);
    assert!(!desk.panel.clients(1)[0].enabled);
    desk.wait(DAY_MS);
    let held = &desk.panel.clients(1)[0];
    assert!(held.enabled);
    assert_eq!((held.up, held.expires_at_ms), (0, NOW_MS + 3 * DAY_MS));
}

#[test]
fn a_stopped_xray_comes_back_when_somebody_writes() {
    let mut desk = desk();
    desk.panel.machine_mut().set_xray("stop");
    desk.wait(DAY_MS);
    assert!(!desk.panel.machine.xray_is_running());
    desk.add(&[client("a")]);
    assert!(!desk.panel.use_traffic("a", 1, 1));
    desk.wait(31_000);
    assert!(desk.panel.use_traffic("a", 1, 1));
}

#[test]
fn a_shared_key_deletes_all_its_clients_and_the_last_ones_row() {
    let mut desk = desk();
    let twin = limited("b", &json!({"id": "id-a"}));
    desk.add(&[client("a"), twin, client("c")]);
    desk.told("POST", "panel/api/inbounds/1/delClient/id-a", &Value::Null);
    assert_eq!(desk.names(), ["c"]);
    assert!(desk.panel.rows.get("a").is_some() && desk.panel.rows.get("b").is_none());
    desk.panel.remove_client(1, "c");
    assert_eq!(desk.names(), [""; 0]);
}

#[test]
fn renaming_keeps_the_counters() {
    let mut desk = desk();
    desk.add(&[client("a")]);
    desk.told("POST", "panel/api/inbounds/updateClientTraffic/a", &json!({"upload": 3, "download": 4}));
    let settings = json!({"clients": [limited("b", &json!({"id": "id-a"}))]}).to_string();
    desk.told("POST", "panel/api/inbounds/updateClient/id-a", &json!({"id": 1, "settings": settings}));
    assert_eq!((&desk.row("b")["id"], &desk.row("b")["down"]), (&json!(1), &json!(4)));
}

#[test]
fn a_slow_start_has_no_status_for_a_while() {
    let mut desk = desk();
    desk.panel.machine_mut().slow_start = true;
    desk.panel.restart(NOW_MS);
    assert_eq!(desk.panel.machine.status(NOW_MS + 9_999), Value::Null);
    assert_eq!(desk.panel.machine.status(NOW_MS + 10_000)["xray"]["state"], "running");
}

#[test]
fn tens_of_thousands_of_clients_are_no_trouble() {
    let mut desk = desk();
    for batch in 0..100 {
        let clients: Vec<Value> = (0..200).map(|n| client(&format!("c{batch}-{n}"))).collect();
        desk.add(&clients);
    }
    for n in 0..1_000 {
        desk.add(&[limited(&format!("d{n}"), &json!({"expiryTime": NOW_MS + n * 60_000}))]);
        desk.told("POST", &format!("panel/api/inbounds/1/delClient/id-c0-{n}"), &Value::Null);
    }
    desk.wait(30 * DAY_MS);
    assert_eq!(desk.panel.count(1), 20_800);
    let array: Vec<Client> = desk.panel.array(1);
    assert_eq!(array.first().map(email_of), Some("c1-0"));
    assert_eq!(desk.panel.clients(1).iter().filter(|client| !client.enabled).count(), 1_000);
    assert!(desk.panel.inbounds_json(desk.now_ms)[0]["settings"].is_string());
}
