//! What one look at a node found, layer by layer, and what that says ([`super::verdict`]).

use crate::id::InboundId;
use serde::{Deserialize, Serialize};

/// How closely a node was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// TCP to the panel and to the public ports, no more: cheap enough for every few seconds.
    Light,
    /// Every layer.
    Full,
}

/// What became of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum LayerResult {
    /// It works.
    Good {
        /// How long it took.
        ms: u32,
    },
    /// It does not.
    Bad {
        /// For people, without the layer's name: `refused`, `no answer within 2 s`.
        why: String,
        /// How long it took to find out.
        ms: u32,
    },
    /// Not tried: a layer before it failed, the time was up, or the look was a light one.
    NotReached,
}

impl LayerResult {
    /// Whether it was tried and works.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good { .. })
    }

    /// Why it does not work, if it was tried and does not.
    pub fn find_fault(&self) -> Option<&str> {
        match self {
            Self::Bad { why, .. } => Some(why),
            Self::Good { .. } | Self::NotReached => None,
        }
    }
}

/// What the panel says of its xray.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Xray {
    /// Nobody got so far as to ask.
    NotReached,
    /// The panel started a moment ago and does not know yet (its status is null).
    NotYet {
        /// How long the answer took.
        ms: u32,
    },
    /// It runs.
    Running {
        /// How long the answer took.
        ms: u32,
    },
    /// Somebody stopped it.
    Stopped {
        /// How long the answer took.
        ms: u32,
    },
    /// It does not start, or died.
    Error {
        /// What the panel says about it; may be empty.
        why: String,
        /// How long the answer took.
        ms: u32,
    },
}

/// The way to the panel, in the order in which it is gone. The first bad layer ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanelLayers {
    /// The address resolves. A literal address is good at once.
    pub name: LayerResult,
    /// The panel's port accepts.
    pub tcp: LayerResult,
    /// TLS, by the node's own rule about certificates. `None` for plain http.
    pub tls: Option<LayerResult>,
    /// HTTP is answered. Bad are silence, an error of the panel itself (5xx, `success: false` to a plain question)
    /// and a gateway that says nobody is behind it: in each case the panel does not do its work.
    pub http: LayerResult,
    /// What answers is a panel. Bad: a page, a 404 or another program at that path.
    pub path: LayerResult,
    /// It lets us in. Bad: wrong password, revoked token, locked out.
    pub authorised: LayerResult,
    /// What it says of its xray.
    pub xray: Xray,
}

impl PanelLayers {
    /// Nothing tried yet; what a prober fills in as it goes.
    pub fn not_reached(is_tls: bool) -> Self {
        let none = LayerResult::NotReached;
        Self {
            name: none.clone(),
            tcp: none.clone(),
            tls: is_tls.then(|| none.clone()),
            http: none.clone(),
            path: none.clone(),
            authorised: none,
            xray: Xray::NotReached,
        }
    }
}

/// The public port of an inbound that keys live on. Tried whether or not the panel answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The inbound.
    pub inbound: InboundId,
    /// Its port, as users reach it.
    pub port: u16,
    /// It accepts. Bad, too, when its address does not resolve: users cannot reach it either.
    pub tcp: LayerResult,
    /// It completes a TLS hello. `None` where the inbound is neither tls nor reality.
    pub tls: Option<LayerResult>,
}

impl Port {
    /// What is wrong with it, with its name; `None` as long as nothing is known to be.
    pub fn find_fault(&self) -> Option<String> {
        let tcp = self.tcp.find_fault().map(|why| format!("port {}: {why}", self.port));
        let tls = || self.tls.as_ref()?.find_fault().map(|why| format!("port {}: tls {why}", self.port));
        tcp.or_else(tls)
    }
}

/// One look at a node: every layer with its own result and time. Kept as JSON and shown by layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When it began, in ms since 1970.
    pub started_ms: i64,
    /// When it was complete.
    pub ended_ms: i64,
    /// How closely it looked.
    pub depth: Depth,
    /// The way to the panel.
    pub panel: PanelLayers,
    /// The public ports of the inbounds in use; empty while none is known.
    pub ports: Vec<Port>,
}
