//! A client as the panels hold it: an entry of an inbound's settings (2.x) or a record of its own (3.x).

use super::{flag, number, text};
use fleet::{
    client::{Client, ObservedClient, credential},
    inbound::Protocol,
    key::{ClientName, Identity},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A client that a panel holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) name: String,
    /// What VLESS and VMess know it by.
    pub(crate) uuid: String,
    /// What Trojan and Shadowsocks know it by.
    pub(crate) password: String,
    pub(crate) sub_id: String,
    pub(crate) flow: String,
    pub(crate) enabled: bool,
    pub(crate) expires_at_ms: i64,
    pub(crate) traffic_limit: i64,
    pub(crate) telegram_id: i64,
    /// The inbounds it is on (3.x; empty for an entry of 2.x).
    pub(crate) inbounds: Vec<i64>,
    /// All of it, as the panel wrote it: what is not ours survives our updates.
    pub(crate) raw: Map<String, Value>,
}

/// Clients, and whether these are all.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Roster {
    pub(crate) clients: Vec<Held>,
    /// `false` when something among them could not be read.
    pub(crate) complete: bool,
}

impl Roster {
    /// The clients among the settings of an inbound.
    pub(crate) fn of_settings(settings: Option<Map<String, Value>>) -> Self {
        // An inbound that never had a client may lack the array; settings that are no JSON hide what they hold.
        let (clients, readable) = match settings {
            Some(mut settings) => match settings.remove("clients") {
                Some(Value::Array(clients)) => (clients, true),
                None | Some(Value::Null) => (Vec::new(), true),
                Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => (Vec::new(), false),
            },
            None => (Vec::new(), false),
        };
        Self::collect(clients, readable, "id")
    }

    /// The records of `clients/list`. `None` when it is no list.
    pub(crate) fn of_records(obj: Value) -> Option<Self> {
        match obj {
            Value::Array(records) => Some(Self::collect(records, true, "uuid")),
            Value::Null => Some(Self::collect(Vec::new(), true, "uuid")),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => None,
        }
    }

    fn collect(items: Vec<Value>, readable: bool, uuid: &str) -> Self {
        let all = items.len();
        let clients: Vec<Held> = items.into_iter().filter_map(|item| held(item, uuid)).collect();
        let complete = readable && clients.len() == all;
        if !complete {
            tracing::warn!(all, read = clients.len(), readable, "some clients of a panel could not be read");
        }
        Self { clients, complete }
    }

    /// The clients by name.
    pub(crate) fn names(&self) -> Names<'_> {
        let mut names = Names::default();
        for held in &self.clients {
            names.exact.insert(&held.name, held);
            names.lower.insert(held.name.to_ascii_lowercase(), held);
        }
        names
    }
}

/// How the accounting of a 2.x panel sees a client. Kept apart from the inbound's settings; both must let him in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    enabled: bool,
    expires_at_ms: i64,
    traffic_limit: i64,
}

/// Rows by name.
pub(crate) type Rows = BTreeMap<String, Row>;

impl Row {
    /// From an item of `clientStats`, with its name. `None` when it makes no sense.
    pub(crate) fn read(item: &Value) -> Option<(String, Self)> {
        let fields = item.as_object()?;
        let row = Self {
            enabled: flag(fields, "enable")?,
            expires_at_ms: number(fields, "expiryTime")?,
            traffic_limit: number(fields, "total")?,
        };
        Some((text(fields, "email"), row))
    }

    /// Whether it is one of this client. As to durations see [`Held::is_like`].
    pub(crate) fn is_like(&self, client: &Client) -> bool {
        let started = client.expires_at_ms < 0 && self.expires_at_ms > 0;
        self.enabled == client.enabled
            && (self.expires_at_ms == client.expires_at_ms || started)
            && self.traffic_limit == client.traffic_limit
    }
}

/// Clients by name.
#[derive(Default)]
pub(crate) struct Names<'a> {
    exact: BTreeMap<&'a str, &'a Held>,
    lower: BTreeMap<String, &'a Held>,
}

impl<'a> Names<'a> {
    /// The client of exactly this name, else the one that has it in another spelling: panels hold a name once,
    /// whatever its case.
    pub(crate) fn find(&self, name: &str) -> Option<&'a Held> {
        self.exact.get(name).or_else(|| self.lower.get(&name.to_ascii_lowercase())).copied()
    }
}

/// The answer of `clients/get/:email`. `None` when it makes no sense.
pub(crate) fn record(mut obj: Value) -> Option<Held> {
    let inbounds = inbound_ids(obj.get("inboundIds"));
    let mut held = held(obj.get_mut("client")?.take(), "uuid")?;
    held.inbounds = inbounds;
    Some(held)
}

fn held(item: Value, uuid: &str) -> Option<Held> {
    let Value::Object(raw) = item else { return None };
    Some(Held {
        name: text(&raw, "email"),
        uuid: text(&raw, uuid),
        password: text(&raw, "password"),
        sub_id: text(&raw, "subId"),
        flow: text(&raw, "flow"),
        enabled: flag(&raw, "enable")?,
        expires_at_ms: number(&raw, "expiryTime")?,
        traffic_limit: number(&raw, "totalGB")?,
        telegram_id: number(&raw, "tgId").unwrap_or(0),
        inbounds: inbound_ids(raw.get("inboundIds")),
        raw,
    })
}

fn inbound_ids(value: Option<&Value>) -> Vec<i64> {
    value.and_then(Value::as_array).map(|ids| ids.iter().filter_map(Value::as_i64).collect()).unwrap_or_default()
}

impl Held {
    /// What the inbound's protocol knows it by.
    pub(crate) fn credential(&self, protocol: &Protocol) -> &str {
        match protocol {
            Protocol::Trojan | Protocol::Shadowsocks { .. } => &self.password,
            Protocol::Other { .. } if self.uuid.is_empty() => &self.password,
            Protocol::Vless { .. } | Protocol::Vmess | Protocol::Other { .. } => &self.uuid,
        }
    }

    /// Whether the client of this name is the one of this identity: same credential or same subscription id.
    pub(crate) fn is_of(&self, identity: &Identity, protocol: &Protocol) -> bool {
        let same_sub_id = !self.sub_id.is_empty() && self.sub_id == identity.sub_id;
        same_sub_id
            || self.uuid.eq_ignore_ascii_case(&identity.uuid.hyphenated().to_string())
            || self.password == credential(protocol, identity.uuid)
    }

    /// Whether it holds everything it should. A duration that the panel has turned into a date (a negative expiry
    /// becomes a positive one with the first traffic) is as it should be.
    pub(crate) fn is_like(&self, client: &Client, protocol: &Protocol) -> bool {
        let started = client.expires_at_ms < 0 && self.expires_at_ms > 0;
        self.credential(protocol) == credential(protocol, client.identity.uuid)
            && self.sub_id == client.identity.sub_id
            && (self.flow == client.flow || !matches!(protocol, Protocol::Vless { .. }))
            && self.enabled == client.enabled
            && (self.expires_at_ms == client.expires_at_ms || started)
            && self.traffic_limit == client.traffic_limit
            && self.telegram_id == client.telegram_id
    }

    /// As the rules of the fleet see it.
    pub(crate) fn observed(&self, protocol: &Protocol) -> ObservedClient {
        ObservedClient {
            name: ClientName::from_stored(&*self.name),
            credential: self.credential(protocol).to_owned(),
            sub_id: self.sub_id.clone(),
            flow: self.flow.clone(),
            enabled: self.enabled,
            expires_at_ms: self.expires_at_ms,
            traffic_limit: self.traffic_limit,
        }
    }

    /// The whole object to write back to a 2.x panel, with our values in it.
    pub(crate) fn entry_with(&self, client: &Client, protocol: &Protocol) -> Map<String, Value> {
        let mut entry = self.raw.clone();
        put(&mut entry, client, protocol);
        entry
    }

    /// The whole object to send to a 3.x panel, with our values in it. Records and requests differ: the UUID is
    /// `uuid` there and `id` here, addresses are comma text there and an array here.
    pub(crate) fn request_with(&self, client: &Client, protocol: &Protocol) -> Map<String, Value> {
        let mut request = self.raw.clone();
        for answered_only in ["id", "uuid", "createdAt", "updatedAt", "inboundIds", "traffic"] {
            request.remove(answered_only);
        }
        if !self.uuid.is_empty() {
            request.insert("id".into(), json!(self.uuid));
        }
        if request.contains_key("allowedIPs") {
            request.insert("allowedIPs".into(), json!(super::texts(&self.raw, "allowedIPs")));
        }
        request.retain(|_, value| !value.is_null());
        put(&mut request, client, protocol);
        request
    }
}

/// The object for a client that is not there yet.
pub(crate) fn fresh(client: &Client, protocol: &Protocol) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("limitIp".into(), json!(0));
    object.insert("comment".into(), json!(""));
    object.insert("reset".into(), json!(0));
    match protocol {
        Protocol::Vmess => {
            object.insert("security".into(), json!("auto"));
        }
        // xray takes each user's cipher from here, except for the 2022 ones, which know a single cipher.
        Protocol::Shadowsocks { method, .. } => {
            let own = if method.starts_with("2022-") { "" } else { method };
            object.insert("method".into(), json!(own));
        }
        Protocol::Vless { .. } | Protocol::Trojan | Protocol::Other { .. } => {}
    }
    put(&mut object, client, protocol);
    object
}

fn put(object: &mut Map<String, Value>, client: &Client, protocol: &Protocol) {
    let credential = credential(protocol, client.identity.uuid);
    match protocol {
        Protocol::Vless { .. } => {
            object.insert("id".into(), json!(credential));
            object.insert("flow".into(), json!(client.flow));
        }
        Protocol::Vmess | Protocol::Other { .. } => {
            object.insert("id".into(), json!(credential));
        }
        Protocol::Trojan | Protocol::Shadowsocks { .. } => {
            object.insert("password".into(), json!(credential));
        }
    }
    object.insert("email".into(), json!(client.identity.name.as_str()));
    object.insert("subId".into(), json!(client.identity.sub_id));
    object.insert("enable".into(), json!(client.enabled));
    object.insert("expiryTime".into(), json!(client.expires_at_ms));
    object.insert("totalGB".into(), json!(client.traffic_limit));
    object.insert("tgId".into(), json!(client.telegram_id));
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const VLESS: Protocol = Protocol::Vless { encryption: None };

    fn client() -> Client {
        Client {
            identity: Identity {
                name: ClientName::from_stored("m1-1-0a1b2c"),
                uuid: Uuid::from_u128(1),
                sub_id: "sub1".into(),
            },
            flow: "xtls-rprx-vision".into(),
            enabled: true,
            expires_at_ms: 4_102_444_800_000,
            traffic_limit: 1_000_000,
            telegram_id: 77,
        }
    }

    fn entry() -> Value {
        json!({"id": "00000000-0000-0000-0000-000000000001", "email": "m1-1-0a1b2c", "subId": "sub1", "enable": true,
            "flow": "xtls-rprx-vision", "expiryTime": 4_102_444_800_000_i64, "totalGB": 1_000_000, "tgId": 77,
            "comment": "by hand", "limitIp": 2, "reset": 30, "futureField": {"kept": [1]}})
    }

    fn with(field: &str, value: Value) -> Held {
        let mut entry = entry();
        entry[field] = value;
        held(entry, "id").unwrap()
    }

    #[test]
    fn every_value_of_ours_counts_and_no_other() {
        assert!(with("comment", json!("other")).is_like(&client(), &VLESS));
        assert!(with("tgId", json!("77")).is_like(&client(), &VLESS), "2.x stores text as it was sent");
        for (field, value) in [
            ("id", json!("00000000-0000-0000-0000-000000000002")),
            ("subId", json!("else")),
            ("flow", json!("")),
            ("enable", json!(false)),
            ("enable", Value::Null),
            ("expiryTime", json!(0)),
            ("totalGB", json!(5)),
            ("tgId", json!(0)),
        ] {
            assert!(!with(field, value).is_like(&client(), &VLESS), "{field}");
        }
    }

    #[test]
    fn a_duration_that_has_begun_is_left_running() {
        let thirty_days = Client { expires_at_ms: -2_592_000_000, ..client() };
        assert!(with("expiryTime", json!(4_000_000_000_000_i64)).is_like(&thirty_days, &VLESS));
        assert!(!with("expiryTime", json!(0)).is_like(&thirty_days, &VLESS));
    }

    #[test]
    fn a_row_left_behind_is_told_from_the_clients_own() {
        let row = |field: &str, value: Value| {
            let mut item = json!({"email": "m1-1-0a1b2c", "enable": true, "expiryTime": 4_102_444_800_000_i64,
                "total": 1_000_000, "up": 5, "down": 7, "inboundId": 3});
            item[field] = value;
            Row::read(&item).unwrap()
        };
        assert_eq!(row("up", json!(0)).0, "m1-1-0a1b2c");
        assert!(row("inboundId", json!(1)).1.is_like(&client()));
        for (field, value) in [("enable", json!(false)), ("expiryTime", json!(0)), ("total", json!(5))] {
            assert!(!row(field, value).1.is_like(&client()), "{field}");
        }
        let thirty_days = Client { expires_at_ms: -2_592_000_000, ..client() };
        assert!(row("up", json!(0)).1.is_like(&thirty_days), "it has begun");
        assert_eq!(Row::read(&json!({"email": "x", "enable": "yes"})), None);
    }

    #[test]
    fn a_client_is_ours_by_credential_or_by_subscription_id() {
        let ours = client().identity;
        assert!(with("id", json!("x")).is_of(&ours, &VLESS));
        assert!(with("subId", json!("x")).is_of(&ours, &VLESS));
        let mut stranger = entry();
        stranger["id"] = json!("x");
        stranger["subId"] = json!("");
        let nameless = Identity { sub_id: String::new(), ..ours };
        assert!(!held(stranger, "id").unwrap().is_of(&nameless, &VLESS), "two empty subscription ids are not the same");
    }

    #[test]
    fn what_is_not_ours_survives_an_update_on_either_generation() {
        let changed = Client { enabled: false, traffic_limit: 5, ..client() };
        let written = Value::Object(with("enable", json!(true)).entry_with(&changed, &VLESS));
        let mut expected = entry();
        expected["enable"] = json!(false);
        expected["totalGB"] = json!(5);
        assert_eq!(written, expected);

        let record = json!({"id": 9, "uuid": "00000000-0000-0000-0000-000000000001", "email": "m1-1-0a1b2c", "subId": "sub1",
            "password": "pw", "enable": true, "group": "vip", "comment": "by hand", "limitIp": 2, "reset": 30,
            "allowedIPs": "10.0.0.2/32,fd00::2/128", "reverse": null, "createdAt": 1, "updatedAt": 2, "inboundIds": [1],
            "traffic": {"up": 1}, "trafficReset": "never"});
        let written = Value::Object(held(record, "uuid").unwrap().request_with(&changed, &VLESS));
        assert_eq!(
            written,
            json!({"id": "00000000-0000-0000-0000-000000000001", "email": "m1-1-0a1b2c", "subId": "sub1", "password": "pw",
                "enable": false, "group": "vip", "comment": "by hand", "limitIp": 2, "reset": 30,
                "allowedIPs": ["10.0.0.2/32", "fd00::2/128"], "trafficReset": "never", "flow": "xtls-rprx-vision",
                "expiryTime": 4_102_444_800_000_i64, "totalGB": 5, "tgId": 77})
        );
    }

    #[test]
    fn an_unreadable_client_makes_the_roster_incomplete_and_hides_no_other() {
        let settings = json!({"clients": [entry(), 7, {"email": "odd", "expiryTime": "tomorrow"}, {"email": "bare"}]});
        let roster = Roster::of_settings(embedded(&settings));
        assert!(!roster.complete);
        let names: Vec<&str> = roster.clients.iter().map(|held| held.name.as_str()).collect();
        assert_eq!(names, ["m1-1-0a1b2c", "bare"]);
        assert!(!roster.clients[1].enabled, "panels count a missing enable as false");

        assert!(!Roster::of_settings(embedded(&json!("{broken"))).complete);
        assert!(!Roster::of_settings(embedded(&json!({"clients": "none"}))).complete);
        assert!(Roster::of_settings(embedded(&json!({"clients": null}))).complete);
        assert_eq!(Roster::of_records(json!({})), None);
    }

    fn embedded(value: &Value) -> Option<Map<String, Value>> {
        super::super::embedded(value)
    }
}
