//! `vmess://`: a JSON object in base64.

use super::Door;
use crate::inbound::{Inbound, Security, Transport};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

pub(super) fn link(door: &Door, inbound: &Inbound, id: &str, remark: &str) -> String {
    let mut object = Map::new();
    for (key, value) in [
        ("v", json!("2")),
        ("ps", json!(remark)),
        ("add", json!(door.host.trim_start_matches('[').trim_end_matches(']'))),
        ("port", json!(door.port)),
        ("id", json!(id)),
        ("scy", json!("auto")),
        ("type", json!("none")),
    ] {
        object.insert(key.to_owned(), value);
    }
    transport(&mut object, &inbound.transport);
    security(&mut object, &door.security);
    format!("vmess://{}", STANDARD.encode(Value::Object(object).to_string()))
}

fn transport(object: &mut Map<String, Value>, transport: &Transport) {
    let mut set = |key: &str, value: &str| {
        object.insert(key.to_owned(), json!(value));
    };
    match transport {
        Transport::Tcp { http } => {
            set("net", "tcp");
            if let Some(http) = http {
                set("type", "http");
                set("path", &http.path);
                set("host", &http.host);
            }
        }
        Transport::Ws { path, host } => {
            set("net", "ws");
            set("path", path);
            set("host", host);
        }
        Transport::HttpUpgrade { path, host } => {
            set("net", "httpupgrade");
            set("path", path);
            set("host", host);
        }
        Transport::Grpc { service_name, authority, multi_mode } => {
            set("net", "grpc");
            set("path", service_name);
            set("authority", authority);
            if *multi_mode {
                set("type", "multi");
            }
        }
        Transport::Xhttp { path, host, mode, x_padding_bytes, extra } => {
            set("net", "xhttp");
            set("path", path);
            set("host", host);
            set("mode", mode);
            if !x_padding_bytes.is_empty() {
                set("x_padding_bytes", x_padding_bytes);
            }
            // Unlike the other kinds of link, this one spreads the further settings over the object itself.
            if let Some(Value::Object(extra)) = extra {
                for (key, value) in extra {
                    object.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        Transport::Other { network } => set("net", network),
    }
}

fn security(object: &mut Map<String, Value>, security: &Security) {
    let mut set = |key: &str, value: &str| {
        object.insert(key.to_owned(), json!(value));
    };
    match security {
        Security::None => set("tls", "none"),
        Security::Tls { sni, alpn, fingerprint, ech, pinned_sha256, verify_name } => {
            set("tls", "tls");
            let (alpn, pins) = (alpn.join(","), pinned_sha256.join(","));
            let fields = [
                ("alpn", &alpn),
                ("sni", sni),
                ("fp", fingerprint),
                ("ech", ech),
                ("vcn", verify_name),
                ("pcs", &pins),
            ];
            for (key, value) in fields {
                if !value.is_empty() {
                    set(key, value);
                }
            }
        }
        Security::Reality { .. } => set("tls", "reality"),
    }
}
