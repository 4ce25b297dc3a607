//! What an operator has set up on a panel: inbounds of every protocol that carries keys, as `inbounds/add` takes them.

pub(crate) use panel_sim::reality;
use serde_json::{Value, json};

/// VMess over WebSocket.
pub(crate) fn vmess(port: u16) -> Value {
    let stream = json!({"network": "ws", "security": "none", "wsSettings": {"path": "/w", "host": "", "headers": {}}});
    inbound("vmess", port, &json!({"clients": []}), &stream)
}

/// Trojan over TLS.
pub(crate) fn trojan(port: u16) -> Value {
    let stream = json!({
        "network": "tcp", "security": "tls", "tcpSettings": {"header": {"type": "none"}},
        "tlsSettings": {"serverName": "node.test", "alpn": ["h2"], "settings": {"fingerprint": "chrome"}},
    });
    inbound("trojan", port, &json!({"clients": [], "fallbacks": []}), &stream)
}

/// Shadowsocks with this cipher.
pub(crate) fn shadowsocks(port: u16, method: &str) -> Value {
    let password = if method.starts_with("2022-") { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" } else { "" };
    let settings = json!({"method": method, "password": password, "network": "tcp,udp", "clients": []});
    inbound("shadowsocks", port, &settings, &json!({"network": "tcp", "security": "none"}))
}

/// What carries no keys.
pub(crate) fn mixed(port: u16) -> Value {
    inbound("mixed", port, &json!({"auth": "noauth", "accounts": [], "udp": false}), &json!({}))
}

fn inbound(protocol: &str, port: u16, settings: &Value, stream: &Value) -> Value {
    json!({
        "up": 0, "down": 0, "total": 0, "remark": protocol, "enable": true, "expiryTime": 0, "listen": "",
        "port": port, "protocol": protocol, "settings": settings.to_string(), "streamSettings": stream.to_string(),
        "sniffing": json!({"enabled": false}).to_string(),
    })
}
