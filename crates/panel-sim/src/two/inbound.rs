//! One inbound: how it is read from a request, stored, and shown.

use super::{
    array::{Array, Client},
    body::{Body, parse},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One inbound as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Inbound {
    pub(super) id: i64,
    pub(super) up: i64,
    pub(super) down: i64,
    pub(super) total: i64,
    pub(super) all_time: i64,
    pub(super) remark: String,
    pub(super) enable: bool,
    pub(super) expiry_time: i64,
    pub(super) traffic_reset: String,
    pub(super) last_traffic_reset_time: i64,
    pub(super) listen: String,
    pub(super) port: i64,
    pub(super) protocol: String,
    pub(super) settings: Settings,
    pub(super) stream_settings: String,
    pub(super) sniffing: String,
}

/// The text `settings` of an inbound, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) clients: Array,
    other: Map<String, Value>,
    /// The text itself when there is no client array in it.
    plain: Option<String>,
}

impl Settings {
    fn read(text: String, key_field: &'static str) -> Self {
        let mut other = match parse(&text) {
            Ok(Value::Object(other)) => other,
            Ok(_) | Err(_) => Map::new(),
        };
        let Some(Value::Array(clients)) = other.remove("clients") else {
            return Self { clients: Array::new(key_field, Vec::new()), other: Map::new(), plain: Some(text) };
        };
        let clients = clients.into_iter().filter_map(|client| match client {
            Value::Object(client) => Some(client),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        });
        Self { clients: Array::new(key_field, clients.collect()), other, plain: None }
    }

    /// Whether there is a client array at all: not for protocols without clients.
    pub(super) fn has_clients(&self) -> bool {
        self.plain.is_none()
    }

    /// The text, with these of its clients.
    fn text<'a>(&'a self, clients: impl Iterator<Item = &'a Client>) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            clients: Vec<&'a Client>,
            #[serde(flatten)]
            other: &'a Map<String, Value>,
        }
        if let Some(text) = &self.plain {
            return text.clone();
        }
        let whole = Whole { clients: clients.collect(), other: &self.other };
        serde_json::to_string_pretty(&whole).unwrap_or_default()
    }
}

impl Inbound {
    /// From the body of `add`, `update` or an import; its id is the panel's affair.
    pub(super) fn read(body: &Body) -> Result<Self, String> {
        let protocol = body.text("protocol")?;
        let settings = Settings::read(body.text("settings")?, key_field(&protocol));
        Ok(Self {
            id: 0,
            up: body.int("up")?,
            down: body.int("down")?,
            total: body.int("total")?,
            all_time: body.int("allTime")?,
            remark: body.text("remark")?,
            enable: body.flag("enable")?,
            expiry_time: body.int("expiryTime")?,
            traffic_reset: body.text("trafficReset")?,
            last_traffic_reset_time: body.int("lastTrafficResetTime")?,
            listen: body.text("listen")?,
            port: body.int("port")?,
            protocol,
            settings,
            stream_settings: body.text("streamSettings")?,
            sniffing: body.text("sniffing")?,
        })
    }

    /// The field by which its clients are addressed.
    pub(super) fn key_field(&self) -> &'static str {
        key_field(&self.protocol)
    }

    /// Its name inside xray, made of where it listens.
    pub(super) fn tag(&self) -> String {
        if self.listens_everywhere() {
            return format!("inbound-{}", self.port);
        }
        format!("inbound-{}:{}", self.listen, self.port)
    }

    fn listens_everywhere(&self) -> bool {
        matches!(self.listen.as_str(), "" | "0.0.0.0" | "::" | "::0")
    }

    /// Whether both cannot listen at the same time.
    pub(super) fn collides_with(&self, other: &Self) -> bool {
        let overlap = self.listens_everywhere() || other.listens_everywhere() || self.listen == other.listen;
        self.port == other.port && overlap
    }

    /// Whether it is over its own limits, whoever used it.
    pub(super) fn is_depleted(&self, now_ms: i64) -> bool {
        let used_up = self.total > 0 && self.up + self.down >= self.total;
        used_up || (self.expiry_time > 0 && self.expiry_time <= now_ms)
    }

    /// As the panel shows it, with its rows or null.
    pub(super) fn json(&self, client_stats: &Value) -> Value {
        json!({
            "id": self.id,
            "up": self.up,
            "down": self.down,
            "total": self.total,
            "allTime": self.all_time,
            "remark": self.remark,
            "enable": self.enable,
            "expiryTime": self.expiry_time,
            "trafficReset": self.traffic_reset,
            "lastTrafficResetTime": self.last_traffic_reset_time,
            "clientStats": client_stats,
            "listen": self.listen,
            "port": self.port,
            "protocol": self.protocol,
            "settings": self.settings.text(self.settings.clients.iter()),
            "streamSettings": self.stream_settings,
            "tag": self.tag(),
            "sniffing": self.sniffing,
        })
    }

    /// As it stands in xray's configuration, with those clients that may connect.
    pub(super) fn running_config(&self, may_connect: impl Fn(&Client) -> bool) -> Value {
        let live = self.settings.clients.iter().filter(|client| may_connect(client));
        let inner = |text: &str| parse(text).unwrap_or_default();
        json!({
            "listen": self.listen,
            "port": self.port,
            "protocol": self.protocol,
            "settings": inner(&self.settings.text(live)),
            "streamSettings": inner(&self.stream_settings),
            "tag": self.tag(),
            "sniffing": inner(&self.sniffing),
        })
    }
}

fn key_field(protocol: &str) -> &'static str {
    match protocol {
        "trojan" => "password",
        "shadowsocks" => "email",
        "hysteria" | "hysteria2" => "auth",
        _ => "id",
    }
}
