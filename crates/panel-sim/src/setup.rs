//! What a panel is installed with.

use serde_json::{Value, json};

/// A fresh panel's settings; the default is what the recordings were made with, less their credentials.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The operator's name.
    pub username: String,
    /// The operator's password.
    pub password: String,
    /// The secret of the second factor in base32; `None` for none.
    pub totp_secret: Option<String>,
    /// The path below which the panel lives, with a `/` at both ends.
    pub base_path: String,
    /// What its generator of keys, tokens and cookies starts from: the same seed gives the same panel.
    pub seed: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self { username: "admin".into(), password: "admin".into(), totp_secret: None, base_path: "/".into(), seed: 1 }
    }
}

/// One client as it stands on an inbound: what a test compares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The name.
    pub email: String,
    /// UUID or password, as the protocol has it.
    pub credential: String,
    /// Subscription id.
    pub sub_id: String,
    /// Whether the user may connect: switched on, and not switched off by the accounting.
    pub enabled: bool,
    /// Bytes; 0 = no limit.
    pub total: i64,
    /// ms since 1970; 0 = never.
    pub expires_at_ms: i64,
    /// Bytes sent, as counted so far.
    pub up: i64,
    /// Bytes received, as counted so far.
    pub down: i64,
    /// The operator's remark on it.
    pub comment: String,
}

/// The body of `inbounds/add` for VLESS over REALITY, what most operators have: so that a panel has an inbound that
/// carries keys.
pub fn reality(port: u16) -> Value {
    let settings = json!({"clients": [], "decryption": "none", "encryption": "none"});
    let stream = json!({
        "network": "tcp", "security": "reality", "tcpSettings": {"header": {"type": "none"}},
        "realitySettings": {
            "show": false, "target": "example.com:443", "serverNames": ["example.com"], "privateKey": "cHJpdmF0ZQ",
            "shortIds": ["0a1b"],
            "settings": {"publicKey": "cHVibGlj", "fingerprint": "chrome", "serverName": "", "spiderX": "/"},
        },
    });
    json!({
        "up": 0, "down": 0, "total": 0, "remark": "main", "enable": true, "expiryTime": 0, "listen": "", "port": port,
        "protocol": "vless", "settings": settings.to_string(), "streamSettings": stream.to_string(),
        "sniffing": json!({"enabled": false}).to_string(),
    })
}
