//! An inbound as the panels describe it: xray's own settings, as JSON text (2.x) or as objects (3.x).

use super::{embedded, flag, number, object, text, texts};
use fleet::{
    id::InboundId,
    inbound::{ExternalProxy, Inbound, Protocol, Security, TcpHttp, Transport},
};
use serde_json::{Map, Value};

type Fields = Map<String, Value>;

/// Fields of an XHTTP transport that a user's app has to share with the server, beside path, host and mode. The
/// same that 3.x panels put into the `extra` of their own links.
const XHTTP_EXTRA: [&str; 15] = [
    "headers",
    "noGRPCHeader",
    "scMaxEachPostBytes",
    "scMinPostsIntervalMs",
    "seqKey",
    "seqPlacement",
    "sessionKey",
    "sessionPlacement",
    "uplinkChunkSize",
    "uplinkDataKey",
    "uplinkDataPlacement",
    "uplinkHTTPMethod",
    "xPaddingBytes",
    "xPaddingObfsMode",
    "xmux",
];
/// Further ones, which mean something only together with `xPaddingObfsMode`.
const XHTTP_PADDING: [&str; 4] = ["xPaddingHeader", "xPaddingKey", "xPaddingMethod", "xPaddingPlacement"];

/// Reads a list of inbounds. One that makes no sense is logged and left out, so that it does not hide the others;
/// `None` when it is no list at all.
pub(crate) fn inbounds(obj: &Value) -> Option<Vec<Inbound>> {
    let items = match obj {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => return None,
    };
    Some(
        items
            .iter()
            .filter_map(|item| {
                let found = inbound(item);
                if found.is_none() {
                    tracing::warn!("an inbound without a readable id was left out");
                }
                found
            })
            .collect(),
    )
}

/// Reads one inbound. `None` without an id. What cannot be understood becomes a protocol or a transport that
/// carries no keys.
pub(crate) fn inbound(obj: &Value) -> Option<Inbound> {
    let fields = obj.as_object()?;
    let id = fields.get("id")?.as_i64()?;
    let stream = object(fields, "streamSettings");
    let port = number(fields, "port").and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    let security = security(&stream);
    Some(Inbound {
        id: InboundId(id),
        remark: text(fields, "remark"),
        enabled: flag(fields, "enable").unwrap_or(false),
        listen: text(fields, "listen"),
        port: port.unwrap_or(0),
        protocol: if port.is_some() { protocol(fields) } else { unreadable(fields, "port") },
        transport: match &security {
            Ok(_) => transport(&stream),
            Err(word) => Transport::Other { network: format!("with security {word}") },
        },
        security: security.unwrap_or(Security::None),
        external_proxies: external_proxies(&stream),
    })
}

fn protocol(fields: &Fields) -> Protocol {
    let name = text(fields, "protocol");
    let Some(settings) = fields.get("settings").and_then(embedded) else { return unreadable(fields, "settings") };
    if number(fields, "nodeId").is_some_and(|node| node != 0) {
        return Protocol::Other { name: format!("{name} (on another machine that this panel manages)") };
    }
    match name.as_str() {
        "vless" => {
            let encryption = settings.get("encryption").and_then(Value::as_str).map(str::to_owned);
            Protocol::Vless { encryption }
        }
        "vmess" => Protocol::Vmess,
        "trojan" => Protocol::Trojan,
        "shadowsocks" => {
            let method = text(&settings, "method");
            // xray knows several users for the other 2022 ciphers only.
            if method == "2022-blake3-chacha20-poly1305" {
                return Protocol::Other { name: format!("shadowsocks with {method}") };
            }
            Protocol::Shadowsocks { method, password: text(&settings, "password") }
        }
        _ => Protocol::Other { name },
    }
}

fn unreadable(fields: &Fields, what: &str) -> Protocol {
    Protocol::Other { name: format!("{} (with unreadable {what})", text(fields, "protocol")) }
}

fn transport(stream: &Fields) -> Transport {
    let network = text(stream, "network");
    match network.as_str() {
        "" | "tcp" | "raw" => {
            let mut tcp = object(stream, "tcpSettings");
            if tcp.is_empty() {
                tcp = object(stream, "rawSettings");
            }
            let header = object(&tcp, "header");
            let http = (text(&header, "type") == "http").then(|| {
                let request = object(&header, "request");
                TcpHttp { path: first(&request, "path"), host: host_header(&request) }
            });
            Transport::Tcp { http }
        }
        "ws" => {
            let ws = object(stream, "wsSettings");
            Transport::Ws { path: text(&ws, "path"), host: host(&ws) }
        }
        "grpc" => {
            let grpc = object(stream, "grpcSettings");
            Transport::Grpc {
                service_name: text(&grpc, "serviceName"),
                authority: text(&grpc, "authority"),
                multi_mode: flag(&grpc, "multiMode").unwrap_or(false),
            }
        }
        "httpupgrade" => {
            let upgrade = object(stream, "httpupgradeSettings");
            Transport::HttpUpgrade { path: text(&upgrade, "path"), host: host(&upgrade) }
        }
        "xhttp" | "splithttp" => {
            let mut xhttp = object(stream, "xhttpSettings");
            if xhttp.is_empty() {
                xhttp = object(stream, "splithttpSettings");
            }
            Transport::Xhttp {
                path: text(&xhttp, "path"),
                host: host(&xhttp),
                mode: text(&xhttp, "mode"),
                x_padding_bytes: text(&xhttp, "xPaddingBytes"),
                extra: xhttp_extra(&xhttp),
            }
        }
        _ => Transport::Other { network },
    }
}

fn xhttp_extra(xhttp: &Fields) -> Option<Value> {
    let mut extra = object(xhttp, "extra");
    let obfuscated = flag(xhttp, "xPaddingObfsMode") == Some(true);
    let padding = XHTTP_PADDING.into_iter().filter(|_| obfuscated);
    for field in XHTTP_EXTRA.into_iter().chain(padding) {
        let Some(value) = xhttp.get(field) else { continue };
        let says_something = match value {
            Value::Null => false,
            Value::Bool(flag) => *flag,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
        };
        if says_something && !extra.contains_key(field) {
            extra.insert(field.to_owned(), value.clone());
        }
    }
    (!extra.is_empty()).then_some(Value::Object(extra))
}

/// `Err` with xray's word for a security that fleet has no name for.
fn security(stream: &Fields) -> Result<Security, String> {
    let word = text(stream, "security");
    match word.as_str() {
        "" | "none" => Ok(Security::None),
        "tls" => {
            let tls = object(stream, "tlsSettings");
            let client = object(&tls, "settings");
            Ok(Security::Tls {
                sni: text(&tls, "serverName"),
                alpn: texts(&tls, "alpn"),
                fingerprint: text(&client, "fingerprint"),
                ech: text(&client, "echConfigList"),
                pinned_sha256: texts(&client, "pinnedPeerCertSha256"),
                verify_name: text(&client, "verifyPeerCertByName"),
            })
        }
        "reality" => {
            let reality = object(stream, "realitySettings");
            let client = object(&reality, "settings");
            Ok(Security::Reality {
                server_names: texts(&reality, "serverNames"),
                short_ids: texts(&reality, "shortIds"),
                public_key: text(&client, "publicKey"),
                fingerprint: text(&client, "fingerprint"),
                spider_x: text(&client, "spiderX"),
                mldsa65_verify: text(&client, "mldsa65Verify"),
            })
        }
        _ => Err(word),
    }
}

fn external_proxies(stream: &Fields) -> Vec<ExternalProxy> {
    let Some(Value::Array(items)) = stream.get("externalProxy") else { return Vec::new() };
    items
        .iter()
        .filter_map(|item| {
            let proxy = item.as_object()?;
            let host = text(proxy, "dest");
            let port = number(proxy, "port").and_then(|port| u16::try_from(port).ok())?;
            let tls = match text(proxy, "forceTls").as_str() {
                "tls" => Some(true),
                "none" => Some(false),
                _ => None,
            };
            (!host.is_empty() && port != 0).then_some(ExternalProxy { host, port, tls })
        })
        .collect()
}

/// `host`, else the Host among the headers, as panels have it.
fn host(transport: &Fields) -> String {
    let host = text(transport, "host");
    if host.is_empty() { host_header(transport) } else { host }
}

fn host_header(of: &Fields) -> String {
    let headers = object(of, "headers");
    let name = headers.keys().find(|name| name.eq_ignore_ascii_case("host")).cloned();
    name.map(|name| first(&headers, &name)).unwrap_or_default()
}

fn first(of: &Fields, field: &str) -> String {
    match of.get(field) {
        Some(Value::Array(items)) => items.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reality(nested: impl Fn(Value) -> Value) -> Value {
        json!({
            "id": 1, "remark": "main", "enable": true, "listen": "", "port": 443, "protocol": "vless",
            "settings": nested(json!({"clients": [], "decryption": "none", "encryption": "none"})),
            "streamSettings": nested(json!({"network": "tcp", "security": "reality",
                "externalProxy": [{"forceTls": "same", "dest": "relay.test", "port": 8443, "remark": ""}],
                "realitySettings": {"serverNames": ["target.test"], "shortIds": ["0a1b"],
                    "settings": {"publicKey": "key", "fingerprint": "chrome", "spiderX": "/"}},
                "tcpSettings": {"header": {"type": "none"}}})),
        })
    }

    #[test]
    fn both_generations_describe_the_same_inbound() {
        let new = inbound(&reality(|value| value)).unwrap();
        let old = inbound(&reality(|value| Value::String(value.to_string()))).unwrap();
        assert_eq!(new, old);
        assert_eq!(new.may_carry_keys(), Ok(()));
        assert_eq!(new.flow(), "xtls-rprx-vision");
        assert_eq!(new.external_proxies, [ExternalProxy { host: "relay.test".into(), port: 8443, tls: None }]);
    }

    #[test]
    fn what_cannot_be_understood_carries_no_keys_and_hides_nothing() {
        let mut list = vec![json!(7), json!({"remark": "no id"})];
        for (field, bad) in [
            ("settings", json!("{broken")),
            ("settings", json!([1])),
            ("port", json!(70_000)),
            ("port", json!("https")),
            ("protocol", json!("wireguard")),
            ("nodeId", json!(3)),
            ("streamSettings", json!({"network": "kcp"})),
            ("streamSettings", json!({"network": "tcp", "security": "xtls"})),
            ("enable", json!(null)),
        ] {
            let mut one = reality(|value| value);
            one[field] = bad;
            list.push(one);
        }
        let bad = list.len() - 2;
        list.push(reality(|value| value));
        let found = inbounds(&Value::Array(list)).unwrap();
        assert_eq!(found.len(), bad + 1);
        for (at, inbound) in found.iter().enumerate() {
            assert_eq!(inbound.may_carry_keys().is_ok(), at == bad, "{inbound:?}");
        }
        assert_eq!(inbounds(&Value::Null), Some(vec![]));
        assert_eq!(inbounds(&json!({})), None);
    }

    #[test]
    fn every_transport_is_read() {
        let transport = |stream: Value| transport(stream.as_object().unwrap());
        assert_eq!(
            transport(json!({"network": "tcp", "tcpSettings": {"header": {"type": "http",
                "request": {"path": ["/a", "/b"], "headers": {"Host": ["x.test", "y.test"]}}}}})),
            Transport::Tcp { http: Some(TcpHttp { path: "/a".into(), host: "x.test".into() }) }
        );
        assert_eq!(
            transport(json!({"network": "ws", "wsSettings": {"path": "/w", "host": "", "headers": {"host": "h"}}})),
            Transport::Ws { path: "/w".into(), host: "h".into() }
        );
        assert_eq!(
            transport(json!({"network": "grpc", "grpcSettings": {"serviceName": "s", "multiMode": true}})),
            Transport::Grpc { service_name: "s".into(), authority: String::new(), multi_mode: true }
        );
        assert_eq!(
            transport(json!({"network": "xhttp", "xhttpSettings": {"path": "/x", "host": "h", "mode": "auto",
                "xPaddingBytes": "100-1000", "xPaddingKey": "unused", "noSSEHeader": false, "scMaxEachPostBytes": "1",
                "headers": {}}})),
            Transport::Xhttp {
                path: "/x".into(),
                host: "h".into(),
                mode: "auto".into(),
                x_padding_bytes: "100-1000".into(),
                extra: Some(json!({"scMaxEachPostBytes": "1", "xPaddingBytes": "100-1000"})),
            }
        );
    }
}
