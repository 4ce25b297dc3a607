//! An inbound: the door of a node through which users come in, as its panel describes it.
//!
//! The values are xray's; names follow xray's configuration. The `panel` crate reads them from either
//! generation's JSON; [`crate::link`] writes them into links.

use crate::{client::VISION, id::InboundId};
use serde_json::Value;

/// One inbound of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbound {
    /// The panel's number for it.
    pub id: InboundId,
    /// What the operator called it.
    pub remark: String,
    /// Whether it is switched on.
    pub enabled: bool,
    /// The address it listens on; empty or a wildcard for all.
    pub listen: String,
    /// The public port.
    pub port: u16,
    /// What is spoken, with the values that a link of it needs.
    pub protocol: Protocol,
    /// How it travels.
    pub transport: Transport,
    /// How it is wrapped.
    pub security: Security,
    /// Where users connect instead of to the node itself (a relay in front); usually empty.
    pub external_proxies: Vec<ExternalProxy>,
}

/// What an inbound speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// VLESS.
    Vless {
        /// `settings.encryption`; `None` where the panel has no such field.
        encryption: Option<String>,
    },
    /// VMess.
    Vmess,
    /// Trojan.
    Trojan,
    /// Shadowsocks with several users.
    Shadowsocks {
        /// The cipher.
        method: String,
        /// The inbound's own password; part of the link of a `2022-` cipher.
        password: String,
    },
    /// Anything that Muster gives no keys for (WireGuard, HTTP, …).
    Other {
        /// The panel's word for it.
        name: String,
    },
}

/// How an inbound's traffic travels.
#[derive(Debug, Clone, PartialEq)]
pub enum Transport {
    /// Plain TCP ("raw").
    Tcp {
        /// Set when the stream is dressed up as HTTP/1.1.
        http: Option<TcpHttp>,
    },
    /// WebSocket.
    Ws {
        /// Request path.
        path: String,
        /// Host header, empty for none.
        host: String,
    },
    /// gRPC.
    Grpc {
        /// Service name.
        service_name: String,
        /// Authority, empty for none.
        authority: String,
        /// Whether several streams share a connection.
        multi_mode: bool,
    },
    /// HTTP upgrade.
    HttpUpgrade {
        /// Request path.
        path: String,
        /// Host header, empty for none.
        host: String,
    },
    /// XHTTP ("splithttp").
    Xhttp {
        /// Request path.
        path: String,
        /// Host header, empty for none.
        host: String,
        /// `auto`, `packet-up`, …
        mode: String,
        /// Padding range such as `100-1000`, empty for none.
        x_padding_bytes: String,
        /// Further settings that a client needs, as xray's own JSON object; `None` when there are none.
        extra: Option<Value>,
    },
    /// Anything else (mKCP, …): no links are made for it.
    Other {
        /// xray's word for it.
        network: String,
    },
}

/// The HTTP/1.1 dress of a TCP transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpHttp {
    /// First path of the request.
    pub path: String,
    /// Host header, empty for none.
    pub host: String,
}

/// How an inbound's traffic is wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// TLS.
    Tls {
        /// Server name.
        sni: String,
        /// Protocols offered, such as `h2`.
        alpn: Vec<String>,
        /// Browser to imitate, empty for none.
        fingerprint: String,
        /// ECH configuration list, empty for none.
        ech: String,
        /// SHA-256 of certificates that the client should accept, as the panel wrote them.
        pinned_sha256: Vec<String>,
        /// A name to verify the certificate against, when it is not `sni`; empty for none.
        verify_name: String,
    },
    /// REALITY.
    Reality {
        /// Server names, of which a client uses one.
        server_names: Vec<String>,
        /// Short ids, of which a client uses one.
        short_ids: Vec<String>,
        /// The server's public key.
        public_key: String,
        /// Browser to imitate.
        fingerprint: String,
        /// Seed of the spider path.
        spider_x: String,
        /// ML-DSA-65 verification key, empty for none.
        mldsa65_verify: String,
    },
}

/// An address in front of the inbound (`streamSettings.externalProxy`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalProxy {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `Some(false)` = plain there whatever the inbound says, `Some(true)` = TLS there, `None` = as the inbound.
    pub tls: Option<bool>,
}

/// Why keys cannot live on an inbound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is switched off in the panel.
    #[error("it is disabled in the panel")]
    Disabled,
    /// Muster makes no keys for this protocol.
    #[error("protocol {0} carries no keys")]
    Protocol(String),
    /// Muster makes no links for this transport.
    #[error("no links are made for transport {0}")]
    Transport(String),
    /// REALITY without a server name or without a public key: no link could connect.
    #[error("its REALITY settings lack a {0}")]
    Reality(&'static str),
}

impl Inbound {
    /// Whether keys can live here: switched on, a protocol and a transport we make links for, and complete.
    /// Fails with the first reason why not.
    pub fn may_carry_keys(&self) -> Result<(), Unusable> {
        if !self.enabled {
            return Err(Unusable::Disabled);
        }
        if let Protocol::Other { name } = &self.protocol {
            return Err(Unusable::Protocol(name.clone()));
        }
        if let Transport::Other { network } = &self.transport {
            return Err(Unusable::Transport(network.clone()));
        }
        if let Security::Reality { server_names, public_key, .. } = &self.security {
            if server_names.iter().all(String::is_empty) {
                return Err(Unusable::Reality("server name"));
            }
            if public_key.is_empty() {
                return Err(Unusable::Reality("public key"));
            }
        }
        Ok(())
    }

    /// The flow that clients on this inbound use: vision on VLESS over bare TCP with TLS or REALITY, else none.
    /// xray refuses it anywhere else, and panels of generation 3 strip it there.
    pub fn flow(&self) -> &'static str {
        let vless = matches!(self.protocol, Protocol::Vless { .. });
        let bare_tcp = matches!(self.transport, Transport::Tcp { http: None });
        let wrapped = matches!(self.security, Security::Tls { .. } | Security::Reality { .. });
        if vless && bare_tcp && wrapped { VISION } else { "" }
    }
}
