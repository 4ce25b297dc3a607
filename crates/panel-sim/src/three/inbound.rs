//! An inbound: what it holds, how it is shown, what follows from its settings.

use crate::three::entry::{Entry, Roll};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Key lengths of 2022 shadowsocks ciphers, bytes.
const KEY_OF_128_BITS: usize = 16;
const KEY_OF_256_BITS: usize = 32;

/// One inbound with its clients.
#[derive(Debug, Clone)]
pub(super) struct Inbound {
    pub(super) id: i64,
    pub(super) up: i64,
    pub(super) down: i64,
    pub(super) total: i64,
    pub(super) remark: String,
    pub(super) sub_sort_index: i64,
    pub(super) enable: bool,
    pub(super) expiry: i64,
    pub(super) traffic_reset: String,
    pub(super) traffic_reset_day: i64,
    pub(super) last_reset: i64,
    pub(super) listen: String,
    pub(super) port: i64,
    pub(super) protocol: String,
    pub(super) tag: String,
    pub(super) share_addr_strategy: String,
    pub(super) share_addr: String,
    /// Without the client array, which is `clients`.
    pub(super) settings: Value,
    /// Whether the settings have a client array at all.
    pub(super) has_clients: bool,
    pub(super) stream: Value,
    pub(super) sniffing: Value,
    pub(super) clients: Roll,
    /// When the links of its clients were written last, counted in writes of the whole panel.
    pub(super) written: u64,
    /// Clients of whom it says something else than their records, written by another inbound since.
    pub(super) drift: BTreeSet<String>,
}

impl Inbound {
    /// The object as listings show it, around these rows of traffic.
    pub(super) fn json(&self, client_stats: &Value) -> Map<String, Value> {
        let object = json!({
            "id": self.id, "up": self.up, "down": self.down, "total": self.total, "remark": self.remark,
            "subSortIndex": self.sub_sort_index, "enable": self.enable, "expiryTime": self.expiry,
            "trafficReset": self.traffic_reset, "trafficResetDay": self.traffic_reset_day,
            "lastTrafficResetTime": self.last_reset, "clientStats": client_stats, "listen": self.listen,
            "port": self.port, "protocol": self.protocol, "tag": self.tag,
            "shareAddrStrategy": self.share_addr_strategy, "shareAddr": self.share_addr,
            "settings": self.settings_with(self.clients.iter().cloned()), "streamSettings": self.stream,
            "sniffing": self.sniffing,
        });
        match object {
            Value::Object(map) => map,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        }
    }

    /// The settings with these clients in them.
    pub(super) fn settings_with(&self, clients: impl Iterator<Item = Entry>) -> Value {
        let mut settings = self.settings.clone();
        if let (Value::Object(map), true) = (&mut settings, self.has_clients) {
            map.insert("clients".into(), clients.map(Value::Object).collect());
        }
        settings
    }

    /// Takes settings apart into the client array and the rest. Gives the array.
    pub(super) fn set_settings(&mut self, mut settings: Value) -> Vec<Entry> {
        let array = settings.as_object_mut().and_then(|map| map.remove("clients"));
        self.has_clients = array.is_some();
        self.settings = settings;
        let entries = array.and_then(|array| match array {
            Value::Array(items) => Some(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => None,
        });
        let objects = entries.unwrap_or_default().into_iter().filter_map(|item| match item {
            Value::Object(entry) => Some(entry),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        });
        objects.collect()
    }

    /// The row that pickers show.
    pub(super) fn option(&self) -> Value {
        let method = if self.protocol == "shadowsocks" { self.setting("method") } else { "" };
        json!({
            "id": self.id, "remark": self.remark, "tag": self.tag, "protocol": self.protocol, "port": self.port,
            "enable": self.enable, "tlsFlowCapable": self.takes_flow(), "ssMethod": method,
        })
    }

    /// A text of the settings; empty where there is none.
    pub(super) fn setting(&self, key: &str) -> &str {
        self.settings.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether clients may have a flow here: VLESS over TCP with TLS or REALITY, or over XHTTP with encryption.
    pub(super) fn takes_flow(&self) -> bool {
        let word = |key: &str| self.stream.get(key).and_then(Value::as_str).unwrap_or_default();
        let encrypts = |key: &str| !matches!(self.setting(key), "" | "none");
        self.protocol == "vless"
            && match word("network") {
                "tcp" | "raw" => matches!(word("security"), "tls" | "reality"),
                "xhttp" => encrypts("encryption") || encrypts("decryption"),
                _ => false,
            }
    }

    /// Which of TCP and UDP it listens on.
    pub(super) fn transports(&self) -> (bool, bool) {
        let network = self.stream.get("network").and_then(Value::as_str).unwrap_or_default();
        match self.protocol.as_str() {
            "hysteria" | "wireguard" => (false, true),
            "shadowsocks" => named(self.setting("network")),
            "tunnel" => match self.setting("allowedNetwork") {
                "" => named(self.setting("network")),
                allowed => named(allowed),
            },
            "mixed" => (true, self.settings.get("udp").and_then(Value::as_bool).unwrap_or_default()),
            _ => (!matches!(network, "kcp" | "quic"), matches!(network, "kcp" | "quic")),
        }
    }

    /// The tag it gets unless it brings one.
    pub(super) fn default_tag(&self) -> String {
        let transport = match self.transports() {
            (true, true) => "tcpudp",
            (false, true) => "udp",
            (true | false, false) => "tcp",
        };
        format!("in-{}-{transport}", self.port)
    }

    /// Where it listens, as refusals say it.
    pub(super) fn place(&self) -> &str {
        if self.listens_everywhere() { "*" } else { &self.listen }
    }

    fn listens_everywhere(&self) -> bool {
        matches!(self.listen.as_str(), "" | "0.0.0.0" | "::" | "::0")
    }

    /// The transport on which two inbounds are in each other's way.
    pub(super) fn collides_on(&self, other: &Self) -> Option<&'static str> {
        let here = self.listens_everywhere() || other.listens_everywhere() || self.listen == other.listen;
        let ((tcp, udp), (other_tcp, other_udp)) = (self.transports(), other.transports());
        match (self.port == other.port && here, tcp && other_tcp, udp && other_udp) {
            (true, true, _) => Some("tcp"),
            (true, false, true) => Some("udp"),
            (true, false, false) | (false, _, _) => None,
        }
    }

    /// How long a 2022 cipher wants its keys; `None` for other ciphers.
    pub(super) fn key_length(&self) -> Option<usize> {
        let cipher = self.setting("method").strip_prefix("2022-blake3-")?;
        Some(if cipher == "aes-128-gcm" { KEY_OF_128_BITS } else { KEY_OF_256_BITS })
    }
}

/// TCP and UDP out of `tcp,udp`.
fn named(networks: &str) -> (bool, bool) {
    let udp = networks.contains("udp");
    (networks.contains("tcp") || !udp, udp)
}
