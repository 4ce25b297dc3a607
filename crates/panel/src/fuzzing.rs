//! One door for fuzzers to everything that reads a panel's bytes. Not part of the crate's promise.

use crate::{
    report::Generation,
    wire::{client, embedded, envelope::Envelope, inbound, status},
};
use client::{Held, Roster};
use fleet::{
    client::Client,
    inbound::Inbound,
    key::{ClientName, Identity},
};
use serde_json::Value;
use uuid::Uuid;

/// Reads these bytes as every answer that a panel gives. Must not panic, whatever they are.
pub fn parse_any(bytes: &[u8]) {
    let obj = match Envelope::parse(bytes) {
        Ok(envelope) => envelope.obj,
        // Fuzzers need not find the envelope first.
        Err(()) => match serde_json::from_slice(bytes) {
            Ok(obj) => obj,
            Err(_) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        },
    };
    let _ = crate::error::excerpt(bytes);
    for generation in [Generation::V2, Generation::V3Hybrid, Generation::V3] {
        let _ = status::status(&obj, generation);
    }
    let mut inbounds = inbound::inbounds(&obj).unwrap_or_default();
    inbounds.extend(inbound::inbound(&obj));
    let mut rosters = vec![Roster::of_settings(embedded(&obj))];
    rosters.push(Roster::of_settings(obj.get("settings").and_then(embedded)));
    rosters.extend(Roster::of_records(obj.clone()));
    let mut held: Vec<Held> = rosters.into_iter().flat_map(|roster| roster.clients).collect();
    held.extend(client::record(obj));
    for inbound in &inbounds {
        let _ = (inbound.may_carry_keys(), inbound.flow());
        for held in &held {
            compare(held, inbound);
        }
    }
}

fn compare(held: &Held, inbound: &Inbound) {
    let client = Client {
        identity: Identity {
            name: ClientName::from_stored(held.name.clone()),
            uuid: Uuid::nil(),
            sub_id: held.sub_id.clone(),
        },
        flow: inbound.flow().to_owned(),
        enabled: true,
        expires_at_ms: 1,
        traffic_limit: 1,
        telegram_id: 1,
    };
    let _ = held.is_of(&client.identity, &inbound.protocol);
    let _ = held.is_like(&client, &inbound.protocol);
    let _ = held.observed(&inbound.protocol);
    let _ = held.entry_with(&client, &inbound.protocol);
    let _ = held.request_with(&client, &inbound.protocol);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// JSON with the keys that panels use and with values of every type under them.
    fn panel_like() -> impl Strategy<Value = Value> {
        let key = prop::sample::select(vec![
            "success",
            "msg",
            "obj",
            "id",
            "port",
            "protocol",
            "settings",
            "streamSettings",
            "clients",
            "email",
            "uuid",
            "password",
            "subId",
            "enable",
            "expiryTime",
            "totalGB",
            "tgId",
            "inboundIds",
            "client",
            "network",
            "security",
            "realitySettings",
            "serverNames",
            "tcpSettings",
            "header",
            "request",
            "path",
            "headers",
            "Host",
            "xhttpSettings",
            "extra",
            "externalProxy",
            "dest",
            "xray",
            "state",
            "mem",
            "nodeId",
            "flow",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            prop::sample::select(vec!["vless", "tcp", "reality", "xhttp", "http", "{\"clients\":[{}]}", "[", "(x)\n"])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            parse_any(&bytes);
        }

        #[test]
        fn no_json_makes_the_parser_panic(value in panel_like(), success in any::<bool>()) {
            parse_any(value.to_string().as_bytes());
            parse_any(json!({"success": success, "msg": "", "obj": value}).to_string().as_bytes());
        }
    }
}
