//! Nodes: what the operator told us of them, what was last observed, and their sealed secrets.

use crate::{
    StoreError, View, Write, clamp32,
    entity::{client, key, node},
    id32,
    seal::{Place, Sealer},
    text::{cut, fits},
};
use chrono::{DateTime, Utc};
use fleet::{
    id::{InboundId, NodeId},
    inbound::Inbound,
    node::{Health, Node, Policy},
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Set, sea_query::Expr,
};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;

const TABLE: &str = "vpn_nodes";
/// What fits into `vpn_nodes.x3ui_password` once sealed.
const PASSWORD_BYTES: usize = 140;
/// A page of text: more than that helps nobody.
const TEXT_CHARACTERS: usize = 4096;

/// A node with everything but its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRecord {
    /// The part that placing looks at.
    pub node: Node,
    /// For people.
    pub description: Option<String>,
    /// The panel's address with its base path.
    pub url: String,
    /// The panel's user name; empty when only a token is used.
    pub username: String,
    /// `verify`, `skip` or `pin:<hex>`.
    pub tls: String,
    /// Whether plain HTTP to the panel is allowed.
    pub allow_http: bool,
    /// The address users connect to; `None` = the host of the panel's address.
    pub host: Option<String>,
    /// The inbound the operator chose; `None` = the only usable one.
    pub chosen_inbound: Option<InboundId>,
    /// The inbound keys live on, as it was last seen.
    pub inbound: Option<Inbound>,
    /// When it was last observed.
    pub checked_at: Option<DateTime<Utc>>,
    /// How long the last observation took, ms.
    pub response_ms: Option<i64>,
    /// `2.x`, `3.6.0`, …, as last seen.
    pub panel_version: Option<String>,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
    /// Grows with every edit by an operator.
    pub revision: i64,
}

/// What an operator says of a node, secrets apart.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSettings {
    /// Unique name, 1–255 bytes.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// At most 100 bytes.
    pub location: Option<String>,
    /// The panel's address with its base path, at most 255 bytes.
    pub url: String,
    /// `verify`, `skip` or `pin:<hex>`.
    pub tls: String,
    /// Whether plain HTTP is allowed.
    pub allow_http: bool,
    /// See [`NodeRecord::host`].
    pub host: Option<String>,
    /// See [`NodeRecord::chosen_inbound`].
    pub chosen_inbound: Option<InboundId>,
    /// What the operator wants of it.
    pub policy: Policy,
    /// The most keys it may hold.
    pub max_users: i64,
    /// Preference; 100 is neutral.
    pub priority: i64,
    /// Strength; 1.0 is neutral.
    pub weight: f64,
}

/// What a node's panel wants to see.
#[derive(Debug, Clone)]
pub struct NodeSecrets {
    /// The panel's user name, empty for none; at most 100 bytes.
    pub username: String,
    /// The password, empty for none; at most 140 bytes.
    pub password: SecretString,
    /// An API token (panels of generation 3).
    pub token: Option<SecretString>,
    /// The secret of the second factor, base32.
    pub totp: Option<SecretString>,
}

/// What one look at a node found.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// What we conclude.
    pub health: Health,
    /// The inbound keys live on; `None` leaves the one known before.
    pub inbound: Option<Inbound>,
    /// The panel's version; `None` leaves the one known before.
    pub panel_version: Option<String>,
    /// How long it took, ms.
    pub response_ms: i64,
}

impl<C: ConnectionTrait> View<'_, C> {
    /// All nodes, by id.
    pub async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        let rows = node::Entity::find().order_by_asc(node::Column::Id).all(self.c).await?;
        rows.into_iter().map(record).collect()
    }

    /// One node.
    pub async fn find_node(&self, id: NodeId) -> Result<Option<NodeRecord>, StoreError> {
        let Ok(id) = i32::try_from(id.0) else { return Ok(None) };
        node::Entity::find_by_id(id).one(self.c).await?.map(record).transpose()
    }

    /// Every node with the number of its last edit: a cheap way to notice that something changed.
    pub async fn revisions(&self) -> Result<BTreeMap<NodeId, i64>, StoreError> {
        let pairs: Vec<(i32, i64)> = node::Entity::find()
            .select_only()
            .column(node::Column::Id)
            .column(node::Column::Revision)
            .into_tuple()
            .all(self.c)
            .await?;
        Ok(pairs.into_iter().map(|(id, revision)| (NodeId(id.into()), revision)).collect())
    }

    /// The node of this name, compared exactly.
    pub async fn find_node_named(&self, name: &str) -> Result<Option<NodeRecord>, StoreError> {
        if name.contains('\0') {
            return Ok(None);
        }
        node::Entity::find().filter(node::Column::Name.eq(name)).one(self.c).await?.map(record).transpose()
    }

    /// What the node's panel wants to see, opened. `None` for an unknown node; fails when a secret was sealed
    /// with a key we do not have.
    pub async fn find_secrets(&self, id: NodeId) -> Result<Option<NodeSecrets>, StoreError> {
        let Some(row) = node::Entity::find_by_id(id32(id.0)).one(self.c).await? else { return Ok(None) };
        let open = |column, sealed: &str| {
            if sealed.is_empty() {
                return Ok(None);
            }
            let place = Place { table: TABLE, column, row: &row.id.to_string() };
            let opened = self.sealer.open(place, sealed);
            opened.map(Some).ok_or(StoreError::Sealed { table: TABLE, row: row.id.into() })
        };
        Ok(Some(NodeSecrets {
            username: row.x3ui_username.clone(),
            password: open("x3ui_password", &row.x3ui_password)?.unwrap_or_default(),
            token: open("x3ui_token", row.x3ui_token.as_deref().unwrap_or_default())?,
            totp: open("x3ui_totp_secret", row.x3ui_totp_secret.as_deref().unwrap_or_default())?,
        }))
    }

    /// How many clients of ours the node's panel holds or may hold.
    pub async fn count_clients(&self, id: NodeId) -> Result<u64, StoreError> {
        Ok(client::Entity::find().filter(client::Column::NodeId.eq(id32(id.0))).count(self.c).await?)
    }
}

impl Write<'_> {
    /// Adds a node that was never observed. Fails when the name is taken or something is too long.
    pub async fn add_node(
        &self,
        settings: &NodeSettings,
        secrets: &NodeSecrets,
        now: DateTime<Utc>,
    ) -> Result<NodeId, StoreError> {
        let mut row = node::ActiveModel {
            x3ui_username: Set(String::new()),
            x3ui_password: Set(String::new()),
            current_users: Set(Some(0)),
            health_status: Set(Some(Health::Unknown.as_str().to_owned())),
            created_at: Set(Some(now)),
            revision: Set(0),
            ..Default::default()
        };
        fill(&mut row, settings, now)?;
        let added = row.insert(&self.tx).await.map_err(|e| StoreError::exists(e, "node", &settings.name))?;
        let id = NodeId(added.id.into());
        self.set_secrets(id, secrets).await?;
        Ok(id)
    }

    /// Replaces what the operator says of a node. What was observed stays, but the health is unknown again.
    pub async fn edit_node(&self, id: NodeId, settings: &NodeSettings, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut row = node::ActiveModel { id: Set(id32(id.0)), ..Default::default() };
        fill(&mut row, settings, now)?;
        row.update(&self.tx).await.map_err(|e| match e {
            DbErr::RecordNotUpdated => missing(id),
            other => StoreError::exists(other, "node", &settings.name),
        })?;
        self.revise(id).await
    }

    /// Replaces what the node's panel wants to see, sealed.
    pub async fn set_secrets(&self, id: NodeId, secrets: &NodeSecrets) -> Result<(), StoreError> {
        fits("the user name", &secrets.username, 100)?;
        fits("the password", secrets.password.expose_secret(), PASSWORD_BYTES)?;
        let row = id.to_string();
        let sealed = |column, secret: &SecretString| sealed(self.sealer, column, &row, secret);
        let update = node::ActiveModel {
            id: Set(id32(id.0)),
            x3ui_username: Set(secrets.username.clone()),
            x3ui_password: Set(sealed("x3ui_password", &secrets.password)?.unwrap_or_default()),
            x3ui_token: Set(secrets.token.as_ref().map(|s| sealed("x3ui_token", s)).transpose()?.flatten()),
            x3ui_totp_secret: Set(secrets.totp.as_ref().map(|s| sealed("x3ui_totp_secret", s)).transpose()?.flatten()),
            ..Default::default()
        };
        update.update(&self.tx).await.map_err(|e| match e {
            DbErr::RecordNotUpdated => missing(id),
            other => other.into(),
        })?;
        self.revise(id).await
    }

    /// Deletes a node with its assignments and its ledger of clients; keys that lived there live nowhere. False if
    /// there was none.
    pub async fn delete_node(&self, id: NodeId) -> Result<bool, StoreError> {
        key::Entity::update_many()
            .col_expr(key::Column::NodeId, Expr::value(Option::<i32>::None))
            .filter(key::Column::NodeId.eq(id32(id.0)))
            .exec(&self.tx)
            .await?;
        Ok(node::Entity::delete_by_id(id32(id.0)).exec(&self.tx).await?.rows_affected > 0)
    }

    /// Writes down what a look at a node found.
    pub async fn set_look(&self, id: NodeId, look: &Look, now: DateTime<Utc>) -> Result<(), StoreError> {
        let reason = match &look.health {
            Health::Down { reason } => Some(cut(reason, TEXT_CHARACTERS)),
            Health::Unknown | Health::Up => None,
        };
        let mut update = node::Entity::update_many()
            .col_expr(node::Column::HealthStatus, Expr::value(look.health.as_str()))
            .col_expr(node::Column::HealthReason, Expr::value(reason))
            .col_expr(node::Column::LastHealthCheck, Expr::value(now.naive_utc()))
            .col_expr(node::Column::ResponseTimeMs, Expr::value(clamp32(look.response_ms)))
            .filter(node::Column::Id.eq(id32(id.0)));
        if let Some(inbound) = &look.inbound {
            let text = serde_json::to_string(inbound).unwrap_or_default();
            update = update.col_expr(node::Column::InboundSeen, Expr::value(text));
        }
        if let Some(version) = &look.panel_version {
            update = update.col_expr(node::Column::PanelVersion, Expr::value(cut(version, 64)));
        }
        update.exec(&self.tx).await?;
        Ok(())
    }

    /// Takes room for `keys` more keys in one statement: true, or false with nothing changed when that would put
    /// the node above its cap.
    pub async fn take_room(&self, id: NodeId, keys: usize) -> Result<bool, StoreError> {
        let keys = Ord::min(i64::try_from(keys).unwrap_or(i64::MAX), i32::MAX.into());
        let taken = node::Entity::update_many()
            .col_expr(node::Column::CurrentUsers, Expr::col(node::Column::CurrentUsers).add(keys))
            .filter(node::Column::Id.eq(id32(id.0)))
            .filter(Expr::col(node::Column::CurrentUsers).lte(Expr::col(node::Column::MaxUsers).sub(keys)))
            .exec(&self.tx)
            .await?;
        Ok(taken.rows_affected > 0)
    }

    /// Sets the node's count to the clients of ours that its panel holds or may hold.
    pub(crate) async fn recount(&self, node: i32) -> Result<(), StoreError> {
        let clients = client::Entity::find().filter(client::Column::NodeId.eq(node)).count(&self.tx).await?;
        node::Entity::update_many()
            .col_expr(node::Column::CurrentUsers, Expr::value(i32::try_from(clients).unwrap_or(i32::MAX)))
            .filter(node::Column::Id.eq(node))
            .exec(&self.tx)
            .await?;
        Ok(())
    }

    /// Tells running loops that the node is not what it was.
    async fn revise(&self, id: NodeId) -> Result<(), StoreError> {
        node::Entity::update_many()
            .col_expr(node::Column::Revision, Expr::col(node::Column::Revision).add(1))
            .col_expr(node::Column::HealthStatus, Expr::value(Health::Unknown.as_str()))
            .filter(node::Column::Id.eq(id32(id.0)))
            .exec(&self.tx)
            .await?;
        Ok(())
    }
}

fn fill(row: &mut node::ActiveModel, settings: &NodeSettings, now: DateTime<Utc>) -> Result<(), StoreError> {
    fits("the name", &settings.name, 255)?;
    fits("the location", settings.location.as_deref().unwrap_or_default(), 100)?;
    fits("the address", &settings.url, 255)?;
    fits("the host", settings.host.as_deref().unwrap_or_default(), 255)?;
    fits("the description", settings.description.as_deref().unwrap_or_default(), TEXT_CHARACTERS)?;
    fits("the TLS setting", &settings.tls, 80)?;
    row.name = Set(settings.name.clone());
    row.description = Set(settings.description.clone());
    row.location = Set(settings.location.clone());
    row.x3ui_url = Set(settings.url.clone());
    row.tls = Set(settings.tls.clone());
    row.allow_http = Set(settings.allow_http);
    row.host = Set(settings.host.clone());
    row.inbound_id = Set(settings.chosen_inbound.map(|i| id32(i.0)));
    row.status = Set(Some(settings.policy.as_str().to_owned()));
    row.max_users = Set(Some(clamp32(settings.max_users)));
    row.priority = Set(Some(clamp32(settings.priority)));
    // SQLite turns what is not a number into NULL, which would mean the column's default.
    row.weight = Set(Some(if settings.weight.is_nan() { 0.0 } else { settings.weight }));
    row.updated_at = Set(Some(now));
    Ok(())
}

fn missing(id: NodeId) -> StoreError {
    StoreError::Missing { what: "node", id: id.0 }
}

fn sealed(
    sealer: &Sealer,
    column: &'static str,
    row: &str,
    secret: &SecretString,
) -> Result<Option<String>, StoreError> {
    if secret.expose_secret().is_empty() {
        return Ok(None);
    }
    let failed = || StoreError::Database(DbErr::Custom("the operating system gave no random bytes".into()));
    sealer.seal(Place { table: TABLE, column, row }, secret).map(Some).ok_or_else(failed)
}

/// A row as the rules see it. Missing values are the column's defaults; an unknown status is an error, for
/// guessing at what an operator wants could cut somebody off.
fn record(row: node::Model) -> Result<NodeRecord, StoreError> {
    let unusable =
        |column, value: &str| StoreError::Row { table: TABLE, column, row: row.id.into(), value: value.to_owned() };
    let status = row.status.as_deref().unwrap_or("active");
    let policy = Policy::find(status).ok_or_else(|| unusable("status", status))?;
    let health = match row.health_status.as_deref() {
        Some("healthy") => Health::Up,
        Some("unhealthy") => Health::Down { reason: row.health_reason.clone().unwrap_or_default() },
        Some(_) | None => Health::Unknown,
    };
    // What an older Muster wrote in another shape is simply looked at again.
    let inbound: Option<Inbound> = row.inbound_seen.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let node = Node {
        id: NodeId(row.id.into()),
        name: row.name,
        location: row.location,
        policy,
        health,
        inbound: inbound.as_ref().map(|i| i.id),
        max_users: row.max_users.unwrap_or(1000).into(),
        priority: row.priority.unwrap_or(100).into(),
        weight: row.weight.unwrap_or(1.0),
        current_users: row.current_users.unwrap_or(0).into(),
    };
    Ok(NodeRecord {
        node,
        description: row.description,
        url: row.x3ui_url,
        username: row.x3ui_username,
        tls: row.tls,
        allow_http: row.allow_http,
        host: row.host,
        chosen_inbound: row.inbound_id.map(|i| InboundId(i.into())),
        inbound,
        checked_at: row.last_health_check.map(|at| at.and_utc()),
        response_ms: row.response_time_ms.map(i64::from),
        panel_version: row.panel_version,
        created_at: row.created_at,
        revision: row.revision,
    })
}
