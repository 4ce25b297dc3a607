//! An inbound as requests bring it: bound, validated, made into one.

use crate::{
    call::{Call, Reply},
    three::{
        body::{self, Type},
        entry::{Entry, Roll, flag, number, text},
        inbound::Inbound,
    },
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PROTOCOLS: &str = "vmess vless trojan shadowsocks wireguard hysteria http mixed tunnel tun mtproto";
const RESETS: &str = "never hourly daily weekly monthly";

/// The fields that have a type of their own.
const FIELDS: [(&str, Type); 15] = [
    ("down", Type::Int64),
    ("enable", Type::Flag),
    ("expiryTime", Type::Int64),
    ("listen", Type::Text),
    ("port", Type::Int),
    ("protocol", Type::Text),
    ("remark", Type::Text),
    ("shareAddr", Type::Text),
    ("shareAddrStrategy", Type::Text),
    ("subSortIndex", Type::Int),
    ("tag", Type::Text),
    ("total", Type::Int64),
    ("trafficReset", Type::Text),
    ("trafficResetDay", Type::Int),
    ("up", Type::Int64),
];

/// Reads and validates the body of `add` or `update`. `Err` is the answer that refuses it.
pub(super) fn read(call: &Call) -> Result<Entry, Reply> {
    let mut fields = body::bind(call, "model.Inbound").map_err(|error| invalid(&[], &error))?;
    if !call.is_json() {
        type_form(&mut fields).map_err(|error| invalid(&[], &error))?;
    }
    body::check(&fields, &FIELDS, "Inbound").map_err(|error| invalid(&[], &error))?;
    let issues = issues(&fields);
    if issues.is_empty() {
        return Ok(fields);
    }
    let messages: Vec<&str> = issues.iter().filter_map(|issue| issue["message"].as_str()).collect();
    Err(invalid(&issues, &messages.join("\n")))
}

/// The answer to a body that failed validation, or that could not be read (then there are no issues).
fn invalid(issues: &[Value], message: &str) -> Reply {
    let obj = json!({"issues": issues, "message": message});
    Reply::json(200, &json!({"success": false, "msg": "request body failed validation", "obj": obj}))
}

/// Gives the values of a form, which are all text, the types of their fields.
fn type_form(fields: &mut Entry) -> Result<(), String> {
    for (name, wanted) in FIELDS {
        let Some(Value::String(text)) = fields.get(name) else { continue };
        let value = match wanted {
            Type::Text => continue,
            Type::Flag => json!(matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True")),
            Type::Int | Type::Int64 if text.is_empty() => json!(0),
            Type::Int | Type::Int64 => {
                let number: Result<i64, _> = text.parse();
                json!(number.map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))?)
            }
        };
        fields.insert(name.to_owned(), value);
    }
    Ok(())
}

fn issues(fields: &Entry) -> Vec<Value> {
    let issue = |field: &str, name: &str, rule: &str, param: &str| {
        let message = format!("Key: 'Inbound.{name}' Error:Field validation for '{name}' failed on the '{rule}' tag");
        json!({"field": field, "rule": rule, "param": param, "message": message})
    };
    let mut found = Vec::new();
    let port = number(fields, "port");
    if port < 0 {
        found.push(issue("port", "Port", "gte", "0"));
    } else if port > 65_535 {
        found.push(issue("port", "Port", "lte", "65535"));
    }
    let protocol = text(fields, "protocol");
    if protocol.is_empty() {
        found.push(issue("protocol", "Protocol", "required", ""));
    } else if !PROTOCOLS.split(' ').any(|known| known == protocol) {
        found.push(issue("protocol", "Protocol", "oneof", PROTOCOLS));
    }
    let reset = text(fields, "trafficReset");
    if !reset.is_empty() && !RESETS.split(' ').any(|known| known == reset) {
        found.push(issue("trafficReset", "TrafficReset", "oneof", RESETS));
    }
    found
}

/// The inbound that these fields describe, without an id and still without clients, and the client array.
pub(super) fn inbound(fields: &Entry) -> (Inbound, Vec<Entry>) {
    let word = |key: &str| text(fields, key).to_owned();
    let strategy = word("shareAddrStrategy");
    let mut inbound = Inbound {
        id: 0,
        up: number(fields, "up"),
        down: number(fields, "down"),
        total: number(fields, "total"),
        remark: word("remark"),
        sub_sort_index: number(fields, "subSortIndex").max(1),
        enable: flag(fields, "enable"),
        expiry: number(fields, "expiryTime"),
        traffic_reset: word("trafficReset"),
        traffic_reset_day: number(fields, "trafficResetDay").clamp(1, 31),
        last_reset: number(fields, "lastTrafficResetTime"),
        listen: word("listen"),
        port: number(fields, "port"),
        protocol: word("protocol"),
        tag: word("tag"),
        share_addr_strategy: if strategy.is_empty() { "node".to_owned() } else { strategy },
        share_addr: word("shareAddr"),
        settings: Value::Null,
        has_clients: false,
        stream: nested(fields.get("streamSettings")),
        sniffing: nested(fields.get("sniffing")),
        clients: Roll::default(),
        written: 0,
        drift: BTreeSet::new(),
    };
    let clients = inbound.set_settings(nested(fields.get("settings")));
    (inbound, clients)
}

/// An object that may come as text; text that is no JSON stays text.
fn nested(value: Option<&Value>) -> Value {
    match value {
        Some(Value::String(text)) if text.is_empty() => Value::Null,
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Some(other) => other.clone(),
        None => Value::Null,
    }
}
