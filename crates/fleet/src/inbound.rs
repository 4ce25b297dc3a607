//! An inbound: the door of a node through which users come in, as its panel describes it.
//!
//! The values are xray's; names follow xray's configuration. The `panel` crate reads them from either
//! generation's JSON; [`crate::link`] writes them into links.

use crate::{client::VISION, id::InboundId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One inbound of a panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpHttp {
    /// First path of the request.
    pub path: String,
    /// Host header, empty for none.
    pub host: String,
}

/// How an inbound's traffic is wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// VMess links have no place for what REALITY needs.
    #[error("a VMess link cannot say what REALITY needs")]
    VmessReality,
}

impl Inbound {
    /// Whether the two may be one inbound of one server, read at different times: what tells servers apart is equal,
    /// whatever an operator may have edited meanwhile. Copies of one server are alike as well.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        let is_secured_alike = match (&self.security, &other.security) {
            (Security::Reality { public_key: own, .. }, Security::Reality { public_key: theirs, .. }) => own == theirs,
            (own, theirs) => own == theirs,
        };
        is_secured_alike && (self.id, self.port) == (other.id, other.port)
    }

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
            if self.protocol == Protocol::Vmess {
                return Err(Unusable::VmessReality);
            }
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

/// Which inbound of a panel keys are to live on.
///
/// `chosen` is the operator's word, or else the inbound where keys live already. Without either there must be
/// exactly one usable inbound: guessing among several would hand out links that the operator did not mean.
pub fn choose_inbound(inbounds: &[Inbound], chosen: Option<InboundId>) -> Result<&Inbound, NoInbound> {
    if let Some(id) = chosen {
        let inbound = inbounds.iter().find(|i| i.id == id).ok_or(NoInbound::Gone(id))?;
        return inbound.may_carry_keys().map(|()| inbound).map_err(|why| NoInbound::Unusable(id, why));
    }
    let usable: Vec<&Inbound> = inbounds.iter().filter(|i| i.may_carry_keys().is_ok()).collect();
    match usable.as_slice() {
        [only] => Ok(only),
        [] => Err(NoInbound::None),
        several => Err(NoInbound::Several(several.iter().map(|i| (i.id, i.remark.clone())).collect())),
    }
}

/// Why a panel has no inbound for keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoInbound {
    /// The one that was chosen is not there.
    #[error("the panel has no inbound {0}")]
    Gone(InboundId),
    /// The one that was chosen carries no keys.
    #[error("inbound {0} cannot be used: {1}")]
    Unusable(InboundId, Unusable),
    /// None carries keys.
    #[error("the panel has no inbound that can carry keys")]
    None,
    /// Several do, and nobody chose.
    #[error("the panel has several usable inbounds, choose one: {}", listed(.0))]
    Several(Vec<(InboundId, String)>),
}

fn listed(inbounds: &[(InboundId, String)]) -> String {
    let each: Vec<String> = inbounds.iter().map(|(id, remark)| format!("{id} ({remark})")).collect();
    each.join(", ")
}
