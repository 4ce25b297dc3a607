//! Nodes as they are sent and received.

use crate::ops::nodes::{NodeChange, SecretsChange};
use chrono::{DateTime, Utc};
use fleet::{
    id::NodeId,
    inbound::{Inbound, Protocol},
    node::Policy,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use store::{
    Store, StoreError,
    nodes::{NodeRecord, NodeSecrets, NodeSettings},
};
use utoipa::ToSchema;

/// A node. Its secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeShape {
    /// Its id.
    pub id: i64,
    /// Its name, unique.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Where it stands.
    pub location: Option<String>,
    /// Its panel.
    pub url: String,
    /// What is asked of the panel's certificate: `verify`, `skip`, or `pin:` and its SHA-256.
    pub tls: String,
    /// Whether plain HTTP is allowed.
    pub allow_http: bool,
    /// The address users connect to.
    pub host: String,
    /// The inbound for keys, as the operator chose it.
    pub chosen_inbound: Option<i64>,
    /// The inbound that keys live on; none before the first look at the panel.
    pub inbound: Option<InboundShape>,
    /// What the operator wants of it.
    pub policy: PolicyShape,
    /// The most keys it may hold.
    pub max_users: i64,
    /// How many clients of ours it holds or may hold.
    pub current_users: i64,
    /// How many of these are old clients of keys that live elsewhere by now; they stay until it is known that their
    /// users do without.
    pub leaving_users: u64,
    /// How long connecting to it may take when it is checked, such as `5s`, if not as the settings say.
    pub connect_timeout: Option<String>,
    /// How long a whole check of it may take, likewise.
    pub check_timeout: Option<String>,
    /// Preference; 100 is neutral.
    pub priority: i64,
    /// Strength; 1 is neutral.
    pub weight: f64,
    /// What we hold to be true of it.
    pub health: HealthShape,
    /// When it was last looked at.
    pub checked_at: Option<DateTime<Utc>>,
    /// How long its panel took to answer then, in milliseconds.
    pub response_ms: Option<i64>,
    /// The version its panel told.
    pub panel_version: Option<String>,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
}

/// All nodes.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeList {
    /// By id.
    pub nodes: Vec<NodeShape>,
}

/// An inbound.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboundShape {
    /// The panel's number for it.
    pub id: i64,
    /// What the operator called it.
    pub remark: String,
    /// Its public port.
    pub port: u16,
    /// `vless`, `vmess`, `trojan`, `shadowsocks`, or another word of the panel's.
    pub protocol: String,
    /// Why keys cannot live on it; absent if they can.
    pub unusable: Option<String>,
}

/// All inbounds of a panel.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboundList {
    /// In the panel's order.
    pub inbounds: Vec<InboundShape>,
}

/// What the operator wants of a node.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PolicyShape {
    /// Takes new keys.
    Active,
    /// Takes nobody; being emptied.
    Maintenance,
    /// Takes nobody; out of service.
    Inactive,
}

/// What we hold to be true of a node.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthShape {
    /// `unknown`, `healthy` or `unhealthy`.
    pub state: &'static str,
    /// More exactly: `unknown`, `up`, `suspect`, `degraded`, `misconfigured`, `down` or `probation`.
    pub name: &'static str,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// What is wrong, if anything.
    pub reason: Option<String>,
    /// What its panel did not do when it was asked; such a node is given no new keys.
    pub trouble: Option<String>,
}

/// A node to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNodeShape {
    /// Its name, unique.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// Its panel, with base path.
    #[schema(max_length = 255)]
    pub url: String,
    /// API token (3x-ui 3.x), instead of or before user name and password.
    pub token: Option<String>,
    /// User name on the panel.
    pub username: Option<String>,
    /// Password on the panel.
    pub password: Option<String>,
    /// Secret of the second factor, base32.
    pub totp_secret: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where it stands.
    pub location: Option<String>,
    /// The address users connect to; without it the host of the panel's address.
    pub host: Option<String>,
    /// The inbound for keys; without it the only usable one.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    pub inbound: Option<i64>,
    /// The most keys it may hold; 1000 if absent.
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    pub max_users: Option<i64>,
    /// Preference; 100 if absent.
    #[schema(minimum = 0, maximum = 10_000)]
    pub priority: Option<i64>,
    /// Strength; 1 if absent.
    #[schema(minimum = 0.0, maximum = 10_000.0)]
    pub weight: Option<f64>,
    /// `verify` if absent.
    pub tls: Option<String>,
    /// Whether plain HTTP is allowed.
    #[serde(default)]
    pub allow_http: bool,
    /// Add it even when its panel cannot serve keys now.
    #[serde(default)]
    pub force: bool,
}

/// What is to be different about a node; absent members stay, empty texts remove.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NodeChangeShape {
    name: Option<String>,
    url: Option<String>,
    token: Option<String>,
    username: Option<String>,
    password: Option<String>,
    totp_secret: Option<String>,
    description: Option<String>,
    location: Option<String>,
    host: Option<String>,
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    inbound: Option<i64>,
    policy: Option<PolicyShape>,
    #[schema(minimum = 0, maximum = 2_147_483_647)]
    max_users: Option<i64>,
    #[schema(minimum = 0, maximum = 10_000)]
    priority: Option<i64>,
    #[schema(minimum = 0.0, maximum = 10_000.0)]
    weight: Option<f64>,
    tls: Option<String>,
    allow_http: Option<bool>,
    /// How long connecting may take in a check, such as `5s`; `0s`: as the settings say.
    #[schema(value_type = Option<String>, max_length = 32)]
    #[serde(deserialize_with = "super::job_shapes::time::deserialize")]
    connect_timeout: Option<Duration>,
    /// How long a whole check may take, such as `12s`; `0s`: as the settings say.
    #[schema(value_type = Option<String>, max_length = 32)]
    #[serde(deserialize_with = "super::job_shapes::time::deserialize")]
    check_timeout: Option<Duration>,
}

fn written(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

impl NodeShape {
    /// A node as it is; `leaving`: how many old clients each node holds.
    pub fn new(record: NodeRecord, leaving: &BTreeMap<NodeId, u64>) -> Self {
        let leaving_users = leaving.get(&record.node.id).copied().unwrap_or_default();
        let host = crate::links::host(&record);
        let health = HealthShape::from(&record);
        Self {
            id: record.node.id.0,
            name: record.node.name,
            description: record.description,
            location: record.node.location,
            url: record.url,
            tls: record.tls,
            allow_http: record.allow_http,
            host,
            chosen_inbound: record.chosen_inbound.map(|id| id.0),
            inbound: record.inbound.as_ref().map(InboundShape::from),
            policy: record.node.policy.into(),
            max_users: record.node.max_users,
            current_users: record.node.current_users,
            leaving_users,
            connect_timeout: record.connect_timeout.map(written),
            check_timeout: record.check_timeout.map(written),
            priority: record.node.priority,
            weight: record.node.weight,
            health,
            checked_at: record.checked_at,
            response_ms: record.response_ms,
            panel_version: record.panel_version,
            created_at: record.created_at,
        }
    }

    /// The same, asking for what it takes.
    pub async fn load(store: &Store, record: NodeRecord) -> Result<Self, StoreError> {
        Ok(Self::new(record, &store.read().count_leaving().await?))
    }
}

impl From<&Inbound> for InboundShape {
    fn from(inbound: &Inbound) -> Self {
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

impl From<&NodeRecord> for HealthShape {
    fn from(node: &NodeRecord) -> Self {
        let state = node.watch.state();
        Self {
            state: state.word(),
            name: state.name(),
            since: state.since_ms().and_then(DateTime::from_timestamp_millis),
            reason: state.why().map(str::to_owned),
            trouble: node.trouble.clone(),
        }
    }
}

impl From<Policy> for PolicyShape {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Active => Self::Active,
            Policy::Maintenance => Self::Maintenance,
            Policy::Inactive => Self::Inactive,
        }
    }
}

impl From<PolicyShape> for Policy {
    fn from(policy: PolicyShape) -> Self {
        match policy {
            PolicyShape::Active => Self::Active,
            PolicyShape::Maintenance => Self::Maintenance,
            PolicyShape::Inactive => Self::Inactive,
        }
    }
}

impl NewNodeShape {
    /// What the operations want: settings, secrets.
    pub fn into_parts(self) -> (NodeSettings, NodeSecrets) {
        let filled = |text: Option<String>| text.filter(|t| !t.is_empty());
        let settings = NodeSettings {
            name: self.name,
            description: filled(self.description),
            location: filled(self.location),
            url: self.url,
            tls: self.tls.unwrap_or_else(|| "verify".to_owned()),
            allow_http: self.allow_http,
            host: filled(self.host),
            chosen_inbound: self.inbound.map(fleet::id::InboundId),
            connect_timeout: None,
            check_timeout: None,
            policy: Policy::Active,
            max_users: self.max_users.unwrap_or(1000),
            priority: self.priority.unwrap_or(100),
            weight: self.weight.unwrap_or(1.0),
        };
        let secrets = NodeSecrets {
            username: self.username.unwrap_or_default(),
            password: self.password.unwrap_or_default().into(),
            token: filled(self.token).map(Into::into),
            totp: filled(self.totp_secret).map(Into::into),
        };
        (settings, secrets)
    }
}

impl From<NodeChangeShape> for NodeChange {
    fn from(change: NodeChangeShape) -> Self {
        let secret = |text: Option<String>| text.map(SecretString::from);
        Self {
            name: change.name,
            description: change.description,
            location: change.location,
            url: change.url,
            tls: change.tls,
            allow_http: change.allow_http,
            host: change.host,
            inbound: change.inbound,
            policy: change.policy.map(Into::into),
            max_users: change.max_users,
            priority: change.priority,
            weight: change.weight,
            connect_timeout: change.connect_timeout,
            check_timeout: change.check_timeout,
            secrets: SecretsChange {
                username: change.username,
                password: secret(change.password),
                token: secret(change.token),
                totp: secret(change.totp_secret),
            },
        }
    }
}
