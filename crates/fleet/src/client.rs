//! A client: what one panel holds, or should hold, for one key.

use crate::{
    inbound::Protocol,
    key::{ClientName, Identity},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The XTLS flow of a VLESS client.
pub const VISION: &str = "xtls-rprx-vision";

/// What a panel should hold for one key on one inbound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Name, UUID and subscription id.
    pub identity: Identity,
    /// The VLESS flow, empty for none ([`crate::inbound::Inbound::flow`]).
    pub flow: String,
    /// Whether the user may connect.
    pub enabled: bool,
    /// When access ends, in ms since 1970 (UTC); 0 = never.
    pub expires_at_ms: i64,
    /// How many bytes may be used on this node; 0 = no limit.
    pub traffic_limit: i64,
    /// The user's Telegram id, shown in the panel; 0 = none.
    pub telegram_id: i64,
}

/// What a panel was seen to hold under one name.
///
/// Only what is compared or decided upon; every other field of the panel's client is the panel's business and
/// survives our updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedClient {
    /// The name (`email`); may be anything for a client that is not ours.
    pub name: ClientName,
    /// The credential: UUID for VLESS and VMess, password for Trojan and Shadowsocks. As the panel wrote it.
    pub credential: String,
    /// The subscription id, empty if it has none.
    pub sub_id: String,
    /// The flow, empty for none.
    pub flow: String,
    /// Whether the user may connect.
    pub enabled: bool,
    /// ms since 1970; 0 = never; negative = counted from the first traffic.
    pub expires_at_ms: i64,
    /// Bytes; 0 = no limit.
    pub traffic_limit: i64,
}

/// The credential that a key has on an inbound of this protocol, derived from its UUID, so that nothing but the
/// UUID needs to be kept.
///
/// VLESS and VMess: the UUID. Trojan and Shadowsocks: the UUID's text as the password; the 2022 ciphers of
/// Shadowsocks want 16 or 32 bytes in base64 and get the first bytes of the UUID's SHA-256.
pub fn credential(protocol: &Protocol, uuid: Uuid) -> String {
    match protocol {
        Protocol::Shadowsocks { method, .. } if method.starts_with("2022-") => {
            let length = if method.contains("aes-128") { 16 } else { 32 };
            STANDARD.encode(&Sha256::digest(uuid.as_bytes())[..length])
        }
        Protocol::Vless { .. }
        | Protocol::Vmess
        | Protocol::Trojan
        | Protocol::Shadowsocks { .. }
        | Protocol::Other { .. } => uuid.hyphenated().to_string(),
    }
}
