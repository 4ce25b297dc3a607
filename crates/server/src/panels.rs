//! From a node's row to a client of its panel, and looking at a panel for the person who adds or tests a node.

use crate::{
    ops::nodes::{self, Found, NodeError},
    twins::find_twin,
};
use chrono::{DateTime, Utc};
use fleet::{
    id::NodeId,
    inbound::{Inbound, choose_inbound},
};
use panel::{Access, AccessError, Deadlines, Examination, Login, Panel, PanelError, Tls};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use store::{
    Store,
    nodes::{NodeRecord, NodeSecrets, NodeSettings},
};
use url::Url;

/// The time, as whoever started the program gives it.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A client of one node's panel. Speaks to nobody yet. Fails when address and secrets do not fit together.
pub fn open(
    url: &str,
    tls_mode: &str,
    allow_http: bool,
    secrets: &NodeSecrets,
    deadlines: Deadlines,
    clock: &Clock,
) -> Result<Panel, AccessError> {
    let url = Url::parse(url).map_err(|_| AccessError::NoHost)?;
    let login = (!secrets.username.is_empty()).then(|| Login {
        username: secrets.username.clone(),
        password: secrets.password.clone(),
        totp_secret: secrets.totp.clone().filter(filled),
    });
    let access = Access {
        url,
        token: secrets.token.clone().filter(filled),
        login,
        tls: tls(tls_mode).unwrap_or(Tls::Verify),
        allow_http,
        deadlines,
    };
    let clock = clock.clone();
    Panel::new(access, Arc::new(move || clock().into()))
}

/// Whether [`open`] would give a client, without keeping one.
pub fn check(settings: &NodeSettings, secrets: &NodeSecrets) -> Result<(), AccessError> {
    let clock: Clock = Arc::new(|| DateTime::UNIX_EPOCH);
    open(&settings.url, &settings.tls, settings.allow_http, secrets, Deadlines::default(), &clock).map(drop)
}

/// Why a panel was not looked at, or is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Settings, names, database.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Address and secrets do not fit together.
    #[error("the panel of node {name} cannot be spoken to: {why}")]
    Access {
        /// The node.
        name: String,
        /// What is wrong.
        why: AccessError,
    },
    /// It was looked at and cannot serve keys as it is.
    #[error("node {name} cannot serve keys: {why}")]
    Unusable {
        /// The node.
        name: String,
        /// The first thing that is wrong.
        why: String,
        /// All that was seen.
        seen: Box<Examination>,
    },
    /// It failed while it was asked.
    #[error("the panel of node {name} failed: {why}")]
    Panel {
        /// The node.
        name: String,
        /// How.
        why: PanelError,
    },
}

/// A node that was taken in, and what was seen of its panel.
#[derive(Debug)]
pub struct Registered {
    /// The node.
    pub node: NodeRecord,
    /// What was seen.
    pub seen: Examination,
}

/// Looks at a panel layer by layer and adds it as a node, ready to take keys. One that cannot serve keys is added only by
/// `force`, and then takes none until a later look succeeds; the same inbound of the same panel is not added twice.
/// Takes as long as the panel, at most the sum of a few deadlines.
pub async fn register(
    store: &Store,
    settings: &NodeSettings,
    secrets: &NodeSecrets,
    force: bool,
    deadlines: Deadlines,
    clock: &Clock,
) -> Result<Registered, LookError> {
    nodes::validate(settings, secrets)?;
    if store.read().find_node_named(&settings.name).await.map_err(NodeError::from)?.is_some() {
        return Err(NodeError::Exists(settings.name.clone()).into());
    }
    let name = &settings.name;
    let panel = open(&settings.url, &settings.tls, settings.allow_http, secrets, deadlines, clock)
        .map_err(|why| LookError::Access { name: name.clone(), why })?;
    let seen = panel.examine().await;
    let looked = usable(&panel, &seen, settings).await;
    let inbound = match looked {
        Ok(inbound) => Some(inbound),
        Err(_) if force => None,
        Err(why) => return Err(LookError::Unusable { name: name.clone(), why, seen: Box::new(seen) }),
    };
    if let Some(inbound) = &inbound {
        let nodes = store.read().nodes().await.map_err(NodeError::from)?;
        if let Some(twin) = find_twin(&nodes, &settings.url, inbound.id).await {
            return Err(NodeError::Twin(twin.node.name.clone()).into());
        }
    }
    let found = inbound.map(|inbound| Found { inbound, panel_version: version(&seen) });
    let node = nodes::add(store, settings, secrets, found.as_ref(), clock()).await?;
    Ok(Registered { node, seen })
}

/// Looks at a node's panel layer by layer. Changes nothing.
pub async fn examine(
    store: &Store,
    node: &NodeRecord,
    deadlines: Deadlines,
    clock: &Clock,
) -> Result<Examination, LookError> {
    Ok(open_node(store, node, deadlines, clock).await?.examine().await)
}

/// All inbounds of a node's panel.
pub async fn inbounds(
    store: &Store,
    node: &NodeRecord,
    deadlines: Deadlines,
    clock: &Clock,
) -> Result<Vec<Inbound>, LookError> {
    let panel = open_node(store, node, deadlines, clock).await?;
    panel.inbounds().await.map_err(|why| LookError::Panel { name: node.node.name.clone(), why })
}

async fn open_node(store: &Store, node: &NodeRecord, deadlines: Deadlines, clock: &Clock) -> Result<Panel, LookError> {
    let id: NodeId = node.node.id;
    let secrets = store.read().find_secrets(id).await.map_err(NodeError::from)?;
    let secrets = secrets.ok_or_else(|| NodeError::Unknown(node.node.name.clone()))?;
    open(&node.url, &node.tls, node.allow_http, &secrets, deadlines, clock)
        .map_err(|why| LookError::Access { name: node.node.name.clone(), why })
}

/// The inbound that keys would live on, or the first thing that is wrong with the panel.
async fn usable(panel: &Panel, seen: &Examination, settings: &NodeSettings) -> Result<Inbound, String> {
    if let Some(why) = seen.first_fault() {
        return Err(why.to_owned());
    }
    let inbounds = panel.inbounds().await.map_err(|e| e.to_string())?;
    choose_inbound(&inbounds, settings.chosen_inbound).cloned().map_err(|e| e.to_string())
}

fn version(seen: &Examination) -> Option<String> {
    match &seen.panel {
        panel::Step::Good { found, .. } => Some(found.panel.clone().unwrap_or_else(|| found.generation.to_string())),
        panel::Step::Bad { .. } | panel::Step::NotReached => None,
    }
}

/// Reads `verify`, `skip` or `pin:<64 hexadecimal digits>`. `None` for anything else.
pub fn tls(mode: &str) -> Option<Tls> {
    match mode {
        "verify" => Some(Tls::Verify),
        "skip" => Some(Tls::Skip),
        other => {
            let mut pin = [0; 32];
            hex::decode_to_slice(other.strip_prefix("pin:")?, &mut pin).ok()?;
            Some(Tls::Pin(pin))
        }
    }
}

fn filled(secret: &SecretString) -> bool {
    !secret.expose_secret().is_empty()
}
