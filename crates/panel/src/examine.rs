//! Looking at a panel layer by layer, for the person who is adding or testing a node.
//!
//! Name, TCP and TLS are tried on a connection of their own, so that each has its own result and time.

use crate::{
    Panel, PanelError, Version, Xray, XrayState,
    http::NoAddress,
    report::Generation,
    tls::{self, Shown},
};
use fleet::inbound::{Inbound, Protocol};
use rustls::pki_types::ServerName;
use serde::Serialize;
use std::{error::Error, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

/// What was found, from the wire upwards. After the first layer that fails the later ones are not reached; only
/// xray that does not run leaves the inbounds to be looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// The addresses behind the host name.
    pub name: Step<Vec<String>>,
    /// The address that accepted a connection.
    pub tcp: Step<String>,
    /// The TLS session; `None` inside on plain http.
    pub tls: Step<Option<TlsFound>>,
    /// SHA-256 of the certificate that was shown, in hex, also when it was refused: what an operator pins. `None`
    /// on plain http or when there was no handshake.
    pub certificate_sha256: Option<String>,
    /// That a panel answers, and which.
    pub panel: Step<Version>,
    /// By what we were let in.
    pub authorised: Step<Credential>,
    /// Whether users are being served. Fails when xray is stopped or in error.
    pub xray: Step<Xray>,
    /// Every inbound. Fails when there is none that could carry keys.
    pub inbounds: Step<Vec<InboundFound>>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Step<T> {
    /// As it should be.
    Good {
        /// How long it took, in ms.
        ms: u64,
        /// What was found.
        found: T,
    },
    /// Not as it should be.
    Bad {
        /// How long it took, in ms.
        ms: u64,
        /// For people: what happened, what to check.
        why: String,
        /// What was found nevertheless.
        found: Option<T>,
    },
    /// An earlier layer failed.
    NotReached,
}

impl<T> Step<T> {
    /// Whether this layer is as it should be.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good { .. })
    }

    /// What is wrong with this layer.
    pub fn fault(&self) -> Option<&str> {
        match self {
            Self::Bad { why, .. } => Some(why),
            Self::Good { .. } | Self::NotReached => None,
        }
    }
}

/// A TLS session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsFound {
    /// `TLSv1_3`, …
    pub protocol: String,
}

/// By what a panel let us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// The API token.
    Token,
    /// User name and password; with a token configured: the token was refused, or the panel has no tokens.
    Login,
}

/// An inbound, and whether keys can live on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboundFound {
    /// The panel's number for it.
    pub id: i64,
    /// What the operator called it.
    pub remark: String,
    /// Its port.
    pub port: u16,
    /// `vless`, …
    pub protocol: String,
    /// Why no keys can live on it; `None` when they can.
    pub unusable: Option<String>,
}

impl Examination {
    /// Whether every layer is as it should be.
    pub fn is_good(&self) -> bool {
        self.xray.is_good() && self.inbounds.is_good()
    }

    /// The first thing that is not as it should be, in words; `None` if [`Examination::is_good`].
    pub fn first_fault(&self) -> Option<&str> {
        [self.name.fault(), self.tcp.fault(), self.tls.fault(), self.panel.fault(), self.authorised.fault()]
            .into_iter()
            .chain([self.xray.fault(), self.inbounds.fault()])
            .flatten()
            .next()
    }
}

impl Panel {
    /// Looks at the panel layer by layer. Takes at most the sum of the deadlines; never fails as a whole, and says
    /// nothing to the panel that a status call would not.
    pub async fn examine(&self) -> Examination {
        let mut seen = Examination {
            name: Step::NotReached,
            tcp: Step::NotReached,
            tls: Step::NotReached,
            certificate_sha256: None,
            panel: Step::NotReached,
            authorised: Step::NotReached,
            xray: Step::NotReached,
            inbounds: Step::NotReached,
        };
        if let Some(stream) = self.examine_network(&mut seen).await
            && self.examine_tls(&mut seen, stream).await
            && self.examine_panel(&mut seen).await
        {
            self.examine_inbounds(&mut seen).await;
        }
        seen
    }

    async fn examine_network(&self, seen: &mut Examination) -> Option<TcpStream> {
        let wait = self.access.deadlines.connect;
        let host = self.http.base.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.http.base.port_or_known_default().unwrap_or_default();
        let started = Instant::now();
        let found = match timeout(wait, tokio::net::lookup_host((host, port))).await {
            Ok(Ok(found)) => Ok(found.collect::<Vec<_>>()),
            Ok(Err(error)) => Err(NoAddress(error.to_string()).to_string()),
            Err(_) => Err(too_late(wait)),
        };
        seen.name = step(started, found.clone().map(|found| found.iter().map(|a| a.ip().to_string()).collect()));
        let started = Instant::now();
        let mut why = "the host name has no address".to_owned();
        for address in found.ok()? {
            match timeout(wait, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    seen.tcp = step(started, Ok(address.to_string()));
                    return Some(stream);
                }
                Ok(Err(error)) => why = format!("{address}: {error}"),
                Err(_) => why = format!("{address}: {}", too_late(wait)),
            }
        }
        seen.tcp = step(started, Err(why));
        None
    }

    /// Whether the call may go on.
    async fn examine_tls(&self, seen: &mut Examination, stream: TcpStream) -> bool {
        let started = Instant::now();
        if self.http.base.scheme() == "http" {
            seen.tls = step(started, Ok(None));
            return true;
        }
        let shown = Shown::default();
        let result = self.handshake(stream, shown.clone()).await;
        seen.certificate_sha256 = shown.get().map(hex::encode);
        seen.tls = step(started, result.map(Some));
        seen.tls.is_good()
    }

    async fn handshake(&self, stream: TcpStream, shown: Shown) -> Result<TlsFound, String> {
        let wait = self.access.deadlines.connect;
        let config = tls::config(self.access.tls, shown).map_err(|e| e.to_string())?;
        let host = self.http.base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|e| e.to_string())?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let session = match timeout(wait, connecting).await {
            Ok(session) => session.map_err(|e| tls::words_in(&e).unwrap_or_else(|| e.to_string()))?,
            Err(_) => return Err(too_late(wait)),
        };
        let protocol = session.get_ref().1.protocol_version();
        Ok(TlsFound { protocol: protocol.and_then(|version| version.as_str()).unwrap_or("unknown").to_owned() })
    }

    /// Panel, authorisation and xray: one call answers for all three.
    async fn examine_panel(&self, seen: &mut Examination) -> bool {
        let started = Instant::now();
        let status = match self.status().await {
            Ok(status) => status,
            Err(error @ PanelError::Unauthorised { .. }) => {
                // Refused, but by a panel.
                let generation = if self.session.tells_two() { Generation::V2 } else { Generation::V3 };
                seen.panel = step(started, Ok(Version { generation, panel: None }));
                seen.authorised = step(started, Err(with_cause(&error)));
                return false;
            }
            Err(error) => {
                seen.panel = step(started, Err(with_cause(&error)));
                return false;
            }
        };
        seen.panel = step(started, Ok(status.version));
        let by = if self.session.uses_token() { Credential::Token } else { Credential::Login };
        seen.authorised = step(started, Ok(by));
        let why = match status.xray.state {
            XrayState::Running => None,
            XrayState::Stopped => Some("xray is stopped: start it in the panel".to_owned()),
            XrayState::Error => Some(format!("xray does not run: {}", status.xray.error)),
            XrayState::NotYet => Some("the panel started a moment ago and does not know yet: ask again".to_owned()),
        };
        let ms = ms(started);
        seen.xray = match why {
            None => Step::Good { ms, found: status.xray },
            Some(why) => Step::Bad { ms, why, found: Some(status.xray) },
        };
        true
    }

    async fn examine_inbounds(&self, seen: &mut Examination) {
        let started = Instant::now();
        let inbounds = match self.inbounds().await {
            Ok(inbounds) => inbounds,
            Err(error) => {
                seen.inbounds = step(started, Err(with_cause(&error)));
                return;
            }
        };
        let found: Vec<InboundFound> = inbounds.iter().map(InboundFound::of).collect();
        let ms = ms(started);
        seen.inbounds = if found.iter().any(|inbound| inbound.unusable.is_none()) {
            Step::Good { ms, found }
        } else {
            Step::Bad { ms, why: "no inbound could carry keys: create one in the panel".into(), found: Some(found) }
        };
    }
}

impl InboundFound {
    fn of(inbound: &Inbound) -> Self {
        let protocol = match &inbound.protocol {
            Protocol::Vless { .. } => "vless",
            Protocol::Vmess => "vmess",
            Protocol::Trojan => "trojan",
            Protocol::Shadowsocks { .. } => "shadowsocks",
            Protocol::Other { name } => name,
        };
        Self {
            id: inbound.id.0,
            remark: inbound.remark.clone(),
            port: inbound.port,
            protocol: protocol.to_owned(),
            unusable: inbound.may_carry_keys().err().map(|why| why.to_string()),
        }
    }
}

fn step<T>(started: Instant, result: Result<T, String>) -> Step<T> {
    let ms = ms(started);
    match result {
        Ok(found) => Step::Good { ms, found },
        Err(why) => Step::Bad { ms, why, found: None },
    }
}

fn ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn too_late(wait: Duration) -> String {
    format!("no answer within {} s", wait.as_secs_f32())
}

/// The error with its cause, for a reader who sees no chain.
fn with_cause(error: &PanelError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
