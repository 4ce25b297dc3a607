//! The recorded answers of real panels (2.9.4 and 3.6.0), read by the code that reads a panel's.

use super::{
    client::{Roster, record},
    embedded,
    envelope::Envelope,
    inbound::{inbound, inbounds},
};
use serde_json::{Map, Value};
use std::{fs, path::Path};

/// Every answer that holds JSON, as (where it is recorded, the path that was asked for, its body as sent).
fn answers() -> Vec<(String, String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../panel-sim/recordings");
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "json") {
                files.push(path);
            }
        }
    }
    assert!(files.len() >= 20, "only {} recordings", files.len());
    let mut found = Vec::new();
    for file in files {
        let recording: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for (at, step) in recording["steps"].as_array().unwrap().iter().enumerate() {
            let Some(json) = step["answer"].get("json") else { continue };
            let path = step["request"]["path"].as_str().unwrap().to_owned();
            let body = as_sent(json.clone()).to_string().into_bytes();
            found.push((format!("{} step {at}", file.display()), path, body));
        }
    }
    found
}

/// Puts values where the recording has only their kind.
fn as_sent(value: Value) -> Value {
    match value {
        Value::String(kind) => match kind.as_str() {
            "<ms>" => Value::from(1_700_000_000_000_i64),
            "<int>" | "<seconds>" => Value::from(7),
            "<array>" => Value::Array(vec![]),
            "<object or null>" => Value::Null,
            _ => Value::String(kind),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(as_sent).collect()),
        Value::Object(mut fields) => match fields.remove("<embedded>") {
            Some(inside) => Value::String(as_sent(inside).to_string()),
            None => Value::Object(fields.into_iter().map(|(name, value)| (name, as_sent(value))).collect()),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// The objects of successful answers to paths that this accepts.
fn objects(asked: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
    let found: Vec<_> = answers()
        .into_iter()
        .filter(|(_, path, _)| asked(path))
        .map(|(place, _, body)| (place, Envelope::parse(&body).unwrap()))
        .filter(|(_, envelope)| envelope.success)
        .map(|(place, envelope)| (place, envelope.obj))
        .collect();
    assert!(!found.is_empty());
    found
}

fn settings(inbound: &Value) -> Option<Map<String, Value>> {
    embedded(&inbound["settings"])
}

#[test]
fn every_recorded_answer_is_an_envelope() {
    let answers = answers();
    assert!(answers.len() > 300, "only {}", answers.len());
    for (place, path, body) in answers {
        let envelope = Envelope::parse(&body);
        let panels_own = !path.starts_with("sub/") && !path.ends_with("openapi.json");
        assert!(envelope.is_ok() || !panels_own, "{place}: {}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn refusals_are_told_by_their_english_text() {
    let mut seen = std::collections::BTreeSet::new();
    for (_, _, body) in answers() {
        let envelope = Envelope::parse(&body).unwrap();
        if !envelope.success {
            assert_eq!(envelope.msg, envelope.msg.trim());
            seen.insert(envelope.msg);
        }
    }
    for text in ["record not found", "Duplicate email: m1-1", "no client remained in Inbound", "empty client ID"] {
        assert!(seen.contains(text), "{text} is not among {seen:#?}");
    }
}

#[test]
fn every_recorded_inbound_and_its_clients_are_read() {
    for (place, obj) in objects(|path| path == "panel/api/inbounds/list") {
        let read = inbounds(&obj).unwrap();
        let items = obj.as_array().unwrap();
        assert_eq!(read.len(), items.len(), "{place}");
        for (read, item) in read.iter().zip(items) {
            assert_eq!(read.id.0, item["id"].as_i64().unwrap());
            assert_eq!(i64::from(read.port), item["port"].as_i64().unwrap());
            let roster = Roster::of_settings(settings(item));
            assert!(roster.complete, "{place}: {item}");
            let array = settings(item).and_then(|mut settings| settings.remove("clients")).unwrap_or_default();
            assert_eq!(roster.clients.len(), array.as_array().map_or(0, Vec::len), "{place}");
        }
    }
    for (place, obj) in objects(|path| path.starts_with("panel/api/inbounds/get/")) {
        assert!(inbound(&obj).is_some(), "{place}");
        assert!(Roster::of_settings(settings(&obj)).complete, "{place}");
    }
}

#[test]
fn the_recorded_reality_inbound_carries_keys_on_both_generations() {
    let mut generations = std::collections::BTreeSet::new();
    for (place, obj) in objects(|path| path == "panel/api/inbounds/list") {
        let Some(main) = inbounds(&obj).unwrap().into_iter().find(|inbound| inbound.remark == "main") else { continue };
        if main.enabled && matches!(main.security, fleet::inbound::Security::Reality { .. }) {
            assert_eq!(main.may_carry_keys(), Ok(()), "{place}");
            assert_eq!(main.flow(), fleet::client::VISION, "{place}");
            generations.insert(obj[0]["settings"].is_string());
        }
    }
    assert_eq!(generations.len(), 2);
}

#[test]
fn every_recorded_client_record_is_read() {
    for (place, obj) in objects(|path| path == "panel/api/clients/list") {
        let all = obj.as_array().map_or(0, Vec::len);
        let roster = Roster::of_records(obj).unwrap();
        assert!(roster.complete && roster.clients.len() == all, "{place}");
    }
    for (place, obj) in objects(|path| path.starts_with("panel/api/clients/get/") && !path.contains("/tgId/")) {
        let name = obj["client"]["email"].as_str().unwrap().to_owned();
        let read = record(obj).unwrap_or_else(|| panic!("{place}"));
        assert_eq!(read.name, name, "{place}");
        assert!(!read.uuid.is_empty() || !read.password.is_empty() || !read.raw["auth"].as_str().unwrap().is_empty());
    }
}
