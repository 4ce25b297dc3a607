//! What the client reports: the state of a panel, what it holds, what became of a write.

use crate::PanelError;
use fleet::{client::ObservedClient, inbound::Inbound};
use serde::Serialize;

/// A panel's generation: which paths it has and what its answers look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Generation {
    /// 2.7 to 2.9.
    #[serde(rename = "2.x")]
    V2,
    /// 3.0.x: the login of generation 3 with the client calls of generation 2.
    #[serde(rename = "3.0.x")]
    V3Hybrid,
    /// 3.1 and later.
    #[serde(rename = "3.x")]
    V3,
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V2 => "2.x",
            Self::V3Hybrid => "3.0.x",
            Self::V3 => "3.x",
        })
    }
}

/// What a panel is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Its generation, found by asking.
    pub generation: Generation,
    /// Its exact version; panels before 3.1 do not tell.
    pub panel: Option<String>,
}

/// A panel's own view of its machine. A snapshot that the panel renews every 2 s; asking more often gains nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// What the panel is.
    pub version: Version,
    /// Whether users are being served.
    pub xray: Xray,
    /// Percent of all cores, 0 to 100; 0 while [`XrayState::NotYet`].
    pub cpu_percent: f64,
    /// Bytes.
    pub mem_used: u64,
    /// Bytes.
    pub mem_total: u64,
    /// Seconds since the machine (not the panel) started.
    pub uptime_s: u64,
}

/// The program that carries the users' traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Xray {
    /// Whether it runs.
    pub state: XrayState,
    /// The panel's message when it does not; empty otherwise.
    pub error: String,
    /// Its version; empty when unknown.
    pub version: String,
}

/// Whether xray runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum XrayState {
    /// Users are being served.
    Running,
    /// Stopped by somebody. Panels accept writes all the same, and serve nobody.
    Stopped,
    /// It failed; [`Xray::error`] says how. Also for any word of the panel's that we do not know.
    Error,
    /// The panel started a moment ago and has no snapshot yet (up to 40 s on a 3.6 panel without Internet). Says
    /// nothing about xray: ask again.
    NotYet,
}

/// What a panel was seen to hold on one inbound.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Every client of the inbound, ours and others', without our own placeholder.
    pub clients: Vec<ObservedClient>,
    /// `false` when any part could not be read: then a client that is not listed may be there all the same.
    pub complete: bool,
    /// The inbound as it is now.
    pub inbound: Inbound,
}

/// What became of one client that was to be there.
pub type Outcome = Result<Ensured, PanelError>;

/// How a client came to be as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ensured {
    /// It was not there and is now.
    Added,
    /// It was there with other values.
    Updated,
    /// It was there just so; nothing was written for it.
    Unchanged,
}

/// Why a client is not there any more, or still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Removed {
    /// It was there; reading back showed that it is gone.
    Removed,
    /// There was no client of that name.
    Absent,
    /// A client of that name is there with neither our credential nor our subscription id: a stranger's, left alone.
    NotOurs,
}
