//! Nodes: adding, editing, deleting. Looking at a panel is `panels.rs`; what is found there does not change what
//! the operator said.

use super::plan::call_off_emptying;
use crate::panels;
use chrono::{DateTime, Utc};
use fleet::{
    health::{Health, rules::LONGEST_CHECK},
    id::NodeId,
    inbound::Inbound,
    node::Policy,
};
use panel::AccessError;
use secrecy::{ExposeSecret as _, SecretString};
use std::{net::IpAddr, time::Duration};
use store::{
    Store, StoreError,
    events::Event,
    nodes::{NodeRecord, NodeSecrets, NodeSettings},
};
use url::{Host, Url};

/// What an operator wants to be different; absent members stay as they are.
#[derive(Debug, Clone, Default)]
pub struct NodeChange {
    /// A new name.
    pub name: Option<String>,
    /// A new description; the empty text removes it.
    pub description: Option<String>,
    /// A new location; the empty text removes it.
    pub location: Option<String>,
    /// A new address of the panel.
    pub url: Option<String>,
    /// How to verify its certificate.
    pub tls: Option<String>,
    /// Whether plain HTTP is allowed.
    pub allow_http: Option<bool>,
    /// The address users connect to; the empty text means the host of the panel's address.
    pub host: Option<String>,
    /// The inbound for keys; refused while keys live on another one.
    pub inbound: Option<i64>,
    /// What is wanted of it.
    pub policy: Option<Policy>,
    /// The most keys it may hold.
    pub max_users: Option<i64>,
    /// Preference.
    pub priority: Option<i64>,
    /// Strength.
    pub weight: Option<f64>,
    /// How long connecting to it may take when it is checked; zero means as the settings say.
    pub connect_timeout: Option<Duration>,
    /// How long a whole check of it may take; zero means as the settings say.
    pub check_timeout: Option<Duration>,
    /// New secrets.
    pub secrets: SecretsChange,
}

/// Which of a node's secrets are replaced; the empty text removes one.
#[derive(Debug, Clone, Default)]
pub struct SecretsChange {
    /// User name on the panel.
    pub username: Option<String>,
    /// Password.
    pub password: Option<SecretString>,
    /// API token.
    pub token: Option<SecretString>,
    /// Secret of the second factor.
    pub totp: Option<SecretString>,
}

impl SecretsChange {
    fn is_empty(&self) -> bool {
        self.username.is_none() && self.password.is_none() && self.token.is_none() && self.totp.is_none()
    }

    fn merged(&self, old: NodeSecrets) -> NodeSecrets {
        let or = |new: &Option<SecretString>, old: Option<SecretString>| match new {
            Some(new) => Some(new.clone()).filter(|s| !s.expose_secret().is_empty()),
            None => old,
        };
        NodeSecrets {
            username: self.username.clone().unwrap_or(old.username),
            password: self.password.clone().unwrap_or(old.password),
            token: or(&self.token, old.token),
            totp: or(&self.totp, old.totp),
        }
    }
}

/// Why a node is not changed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No node has that id or name.
    #[error("there is no node {0}")]
    Unknown(String),
    /// What was said makes no sense; all of it.
    #[error("the node's settings are not usable: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Invalid>),
    /// The name is taken.
    #[error("a node named {0:?} exists already")]
    Exists(String),
    /// The same inbound of the same panel is a node already.
    #[error("node {0} is this panel with this inbound already: change that node, or choose another inbound")]
    Twin(String),
    /// Its panel holds clients of ours.
    #[error(
        "the panel of node {name} holds {clients} client(s) of ours: nobody would look after them if it were {what}"
    )]
    InUse {
        /// The node.
        name: String,
        /// How many clients of ours its panel holds or may hold.
        clients: u64,
        /// What was to be done.
        what: &'static str,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One thing that is wrong with what an operator said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// The setting.
    pub field: &'static str,
    /// What to do about it.
    pub message: String,
}

/// What somebody who looked at a panel found there, all being well.
#[derive(Debug, Clone)]
pub struct Found {
    /// The inbound that keys would live on.
    pub inbound: Inbound,
    /// The panel's version.
    pub panel_version: Option<String>,
}

/// Adds a node, with what was seen of its panel if somebody looked. The running loops notice it within a second.
pub async fn add(
    store: &Store,
    settings: &NodeSettings,
    secrets: &NodeSecrets,
    found: Option<&Found>,
    now: DateTime<Utc>,
) -> Result<NodeRecord, NodeError> {
    validate(settings, secrets)?;
    let tx = store.write().await?;
    let id = tx.add_node(settings, secrets, now).await.map_err(|e| taken(e, &settings.name))?;
    if let Some(found) = found {
        let now_ms = now.timestamp_millis();
        tx.set_panel(id, Some(&found.inbound), found.panel_version.as_deref()).await?;
        tx.set_health(id, &Health::seen_well(now_ms, now_ms), now).await?;
    }
    let added = tx.read().find_node(id).await?.ok_or_else(|| NodeError::Unknown(id.to_string()))?;
    tx.commit().await?;
    Ok(added)
}

/// Changes a node. Fails with nothing done when a value is unusable or the node is unknown.
pub async fn edit(store: &Store, id: NodeId, change: &NodeChange, now: DateTime<Utc>) -> Result<NodeRecord, NodeError> {
    let tx = store.write().await?;
    let unknown = || NodeError::Unknown(id.to_string());
    let record = tx.read().find_node(id).await?.ok_or_else(unknown)?;
    let secrets = change.secrets.merged(tx.read().find_secrets(id).await?.ok_or_else(unknown)?);
    let settings = merged(&record, change);
    validate(&settings, &secrets)?;
    if let (Some(chosen), Some(current)) = (settings.chosen_inbound, record.node.inbound)
        && chosen != current
    {
        let clients = tx.read().count_clients(id).await?;
        if clients > 0 {
            return Err(NodeError::InUse { name: record.node.name, clients, what: "put on another inbound" });
        }
    }
    tx.edit_node(id, &settings, now).await.map_err(|e| taken(e, &settings.name))?;
    if !change.secrets.is_empty() {
        tx.set_secrets(id, &secrets).await?;
    }
    if settings.policy != record.node.policy {
        let words = match settings.policy {
            Policy::Active => "takes new keys",
            Policy::Inactive => "takes no new keys and keeps those it has",
            Policy::Maintenance => "is to be emptied",
        };
        let message = format!("node {} {words}, by an operator", settings.name);
        tx.add_events(&[Event { at: now, kind: "policy", node: Some(id), key: None, message }]).await?;
        if record.node.policy == Policy::Maintenance {
            call_off_emptying(&tx, id, now).await?;
        }
    }
    let edited = tx.read().find_node(id).await?.ok_or_else(unknown)?;
    tx.commit().await?;
    Ok(edited)
}

/// Deletes a node that serves nobody. With `abandon`, also one whose panel still holds clients of ours: they are
/// left there, and nobody will ever remove them.
pub async fn delete(store: &Store, id: NodeId, abandon: bool, now: DateTime<Utc>) -> Result<NodeRecord, NodeError> {
    let tx = store.write().await?;
    let record = tx.read().find_node(id).await?.ok_or_else(|| NodeError::Unknown(id.to_string()))?;
    let clients = tx.read().count_clients(id).await?;
    if clients > 0 && !abandon {
        return Err(NodeError::InUse { name: record.node.name, clients, what: "deleted" });
    }
    tx.delete_node(id).await?;
    let message = match clients {
        0 => format!("node {} is deleted", record.node.name),
        _ => format!("node {} is deleted by force, and leaves {clients} of our clients on its panel", record.node.name),
    };
    tx.add_events(&[Event { at: now, kind: "deleted", node: None, key: None, message }]).await?;
    tx.commit().await?;
    Ok(record)
}

/// The node with this name, or with this id when no name fits.
pub async fn load_named(store: &Store, name: &str) -> Result<NodeRecord, NodeError> {
    let read = store.read();
    if let Some(node) = read.find_node_named(name).await? {
        return Ok(node);
    }
    let by_id = match name.parse() {
        Ok(id) => read.find_node(NodeId(id)).await?,
        Err(_) => None,
    };
    by_id.ok_or_else(|| NodeError::Unknown(format!("{name:?}")))
}

fn merged(record: &NodeRecord, change: &NodeChange) -> NodeSettings {
    let text = |new: &Option<String>, old: &Option<String>| match new {
        Some(new) => Some(new.clone()).filter(|t| !t.is_empty()),
        None => old.clone(),
    };
    let time = |new: Option<Duration>, old: Option<Duration>| match new {
        Some(new) => Some(new).filter(|time| !time.is_zero()),
        None => old,
    };
    NodeSettings {
        name: change.name.clone().unwrap_or_else(|| record.node.name.clone()),
        description: text(&change.description, &record.description),
        location: text(&change.location, &record.node.location),
        url: change.url.clone().unwrap_or_else(|| record.url.clone()),
        tls: change.tls.clone().unwrap_or_else(|| record.tls.clone()),
        allow_http: change.allow_http.unwrap_or(record.allow_http),
        host: text(&change.host, &record.host),
        chosen_inbound: change.inbound.map(fleet::id::InboundId).or(record.chosen_inbound),
        connect_timeout: time(change.connect_timeout, record.connect_timeout),
        check_timeout: time(change.check_timeout, record.check_timeout),
        policy: change.policy.unwrap_or(record.node.policy),
        max_users: change.max_users.unwrap_or(record.node.max_users),
        priority: change.priority.unwrap_or(record.node.priority),
        weight: change.weight.unwrap_or(record.node.weight),
    }
}

fn taken(error: StoreError, name: &str) -> NodeError {
    match error {
        StoreError::Exists { .. } => NodeError::Exists(name.to_owned()),
        other @ (StoreError::Database(_)
        | StoreError::Row { .. }
        | StoreError::Sealed { .. }
        | StoreError::TooLong { .. }
        | StoreError::Nul { .. }
        | StoreError::Missing { .. }) => NodeError::Store(other),
    }
}

/// Everything that is wrong with a node's settings, at once.
pub fn validate(settings: &NodeSettings, secrets: &NodeSecrets) -> Result<(), NodeError> {
    let mut wrong = Vec::new();
    let mut check = |good: bool, field, message: &str| {
        if !good {
            wrong.push(Invalid { field, message: message.to_owned() });
        }
    };
    let printable = |text: &str| !text.chars().any(char::is_control);
    let name = settings.name.as_str();
    check(
        !name.trim().is_empty() && name.trim() == name && name.chars().count() <= 64 && printable(name),
        "name",
        "1 to 64 characters, none of them a control character, no spaces at the ends",
    );
    for (field, text, most) in [("description", &settings.description, 1000), ("location", &settings.location, 100)] {
        let text = text.as_deref().unwrap_or_default();
        check(text.len() <= most && printable(text), field, &format!("at most {most} bytes, no control characters"));
    }
    match Url::parse(&settings.url) {
        Ok(url) => {
            check(
                matches!(url.scheme(), "http" | "https") && url.host().is_some(),
                "url",
                "must begin with https:// (or http://) and name a host",
            );
            check(
                url.scheme() != "http" || settings.allow_http,
                "url",
                "plain http would show the panel's password to everybody on the way: use https, or allow it (allow_http, --allow-http)",
            );
            check(
                url.username().is_empty() && url.password().is_none(),
                "url",
                "must not hold a user name or password",
            );
            check(url.query().is_none() && url.fragment().is_none(), "url", "must end with the panel's base path");
            check(settings.url.len() <= 255, "url", "at most 255 bytes");
        }
        Err(why) => check(false, "url", &format!("is not an address: {why}")),
    }
    check(
        panels::tls(&settings.tls).is_some(),
        "tls",
        "verify, skip, or pin: followed by 64 hexadecimal digits without colons",
    );
    if let Some(host) = &settings.host {
        let good = host.parse::<IpAddr>().is_ok()
            || Host::parse(host).is_ok_and(|h| h.to_string() == host.to_ascii_lowercase());
        check(good, "host", "a host name or an address without port, such as vpn.example.com or 203.0.113.5");
    }
    let inbound = settings.chosen_inbound.is_none_or(|id| (1..=i64::from(i32::MAX)).contains(&id.0));
    check(inbound, "inbound", "the number of an inbound on the panel: 1 to 2147483647");
    check((0..=i64::from(i32::MAX)).contains(&settings.max_users), "max_users", "0 to 2147483647");
    check((0..=10_000).contains(&settings.priority), "priority", "0 to 10000; 100 is neutral, 0 takes nobody");
    check((0.0..=10_000.0).contains(&settings.weight), "weight", "0 to 10000; 1 is neutral, 0 takes nobody");
    let deadlines = [("connect_timeout", settings.connect_timeout), ("check_timeout", settings.check_timeout)];
    for (field, deadline) in deadlines {
        let fits = deadline.is_none_or(|d| (Duration::from_millis(100)..=LONGEST_CHECK).contains(&d));
        check(fits, field, "from 100ms to 30s, or 0s for what the settings say");
    }
    let fit = settings.connect_timeout.zip(settings.check_timeout).is_none_or(|(connect, whole)| connect <= whole);
    check(fit, "connect_timeout", "at most as long as check_timeout, which is for the whole check");
    let login = !secrets.username.is_empty() && !secrets.password.expose_secret().is_empty();
    check(login || secrets.token.is_some(), "username", "give an API token, or a user name and a password");
    if wrong.is_empty()
        && let Err(why) = panels::check(settings, secrets)
    {
        let field = match &why {
            AccessError::BadToken => "token",
            AccessError::BadTotpSecret => "totp_secret",
            AccessError::IncompleteLogin(_) | AccessError::NoCredentials => "password",
            AccessError::Scheme(_)
            | AccessError::PlainHttp
            | AccessError::NoHost
            | AccessError::CredentialsInUrl
            | AccessError::Client(_) => "url",
        };
        wrong.push(Invalid { field, message: why.to_string() });
    }
    if wrong.is_empty() { Ok(()) } else { Err(NodeError::Invalid(wrong)) }
}
