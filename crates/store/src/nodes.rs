//! Nodes: what the operator told us of them, what was last observed, and their sealed secrets.

mod observed;
mod row;

use crate::{
    StoreError, View, Write,
    batch::padded,
    entity::{client, key, node},
    id32, only,
    seal::{Place, Sealer},
    text::fits,
};
use chrono::{DateTime, Utc};
use fleet::{
    health::{State, reading::Reading},
    id::{InboundId, NodeId},
    inbound::Inbound,
    node::{Node, Policy},
};
use row::{fill, record};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Set, sea_query::Expr,
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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
    /// What we hold to be true of it, and what that rests on.
    pub watch: fleet::health::Health,
    /// The last full reading.
    pub reading: Option<Reading>,
    /// What keeps its panel from being as it should be, for people.
    pub trouble: Option<String>,
    /// How long connecting may take; `None` = as long as to any node.
    pub connect_timeout: Option<Duration>,
    /// How long a full check may take; `None` = as long as of any node.
    pub check_timeout: Option<Duration>,
    /// The version of its xray, as last seen.
    pub xray_version: Option<String>,
    /// Per cent of its processor in use at the last full reading, if that told.
    pub cpu_percent: Option<f64>,
    /// Per cent of its memory in use.
    pub mem_percent: Option<f64>,
    /// Users connected.
    pub online_users: Option<i64>,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
    /// Grows with every edit by an operator.
    pub revision: i64,
}

/// What users are told of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLabel {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub location: Option<String>,
}

/// Nodes that are read at once: a row passes through three shapes, and the fleet is read every few seconds.
const PAGE: u64 = 128;

/// How the nodes stood at some time ([`View::nodes_mark`]). Edits are counted and ids are given once, so two marks are
/// the same only when nothing was added, edited or deleted between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodesMark {
    nodes: i64,
    newest: Option<i32>,
    edits: Option<i64>,
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
    /// See [`NodeRecord::connect_timeout`].
    pub connect_timeout: Option<Duration>,
    /// See [`NodeRecord::check_timeout`].
    pub check_timeout: Option<Duration>,
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

impl<C: ConnectionTrait> View<'_, C> {
    /// All nodes, by id.
    pub async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        let mut nodes: Vec<NodeRecord> = Vec::new();
        loop {
            let after = nodes.last().map_or(0, |last| id32(last.node.id.0));
            let page = node::Entity::find().filter(node::Column::Id.gt(after)).order_by_asc(node::Column::Id);
            let rows = page.limit(PAGE).all(self.c).await?;
            let is_last = (rows.len() as u64) < PAGE;
            nodes.reserve(rows.len());
            for row in rows {
                nodes.push(record(row)?);
            }
            if is_last {
                return Ok(nodes);
            }
        }
    }

    /// One node.
    pub async fn find_node(&self, id: NodeId) -> Result<Option<NodeRecord>, StoreError> {
        let Ok(id) = i32::try_from(id.0) else { return Ok(None) };
        only(node::Entity::find_by_id(id), self.c).await?.map(record).transpose()
    }

    /// What users are told of these nodes; unknown ones are left out.
    pub async fn node_labels(&self, ids: &BTreeSet<NodeId>) -> Result<BTreeMap<NodeId, NodeLabel>, StoreError> {
        let ids: Vec<i32> = ids.iter().map(|id| id32(id.0)).collect();
        let mut labels = BTreeMap::new();
        for ids in padded(&ids) {
            let rows: Vec<(i32, String, Option<String>)> = node::Entity::find()
                .select_only()
                .columns([node::Column::Id, node::Column::Name, node::Column::Location])
                .filter(node::Column::Id.is_in(ids))
                .into_tuple()
                .all(self.c)
                .await?;
            let label = |(id, name, location): (i32, _, _)| NodeLabel { id: NodeId(id.into()), name, location };
            labels.extend(rows.into_iter().map(label).map(|label| (label.id, label)));
        }
        Ok(labels)
    }

    /// Something that changes whenever a node is added, edited or deleted: a cheap way to notice that.
    pub async fn nodes_mark(&self) -> Result<NodesMark, StoreError> {
        let mark: Option<(i64, Option<i32>, Option<i64>)> = node::Entity::find()
            .select_only()
            .column_as(node::Column::Id.count(), "nodes")
            .column_as(node::Column::Id.max(), "newest")
            .column_as(node::Column::Revision.sum().cast_as("bigint"), "edits")
            .into_tuple()
            .one(self.c)
            .await?;
        let (nodes, newest, edits) = mark.unwrap_or_default();
        Ok(NodesMark { nodes, newest, edits })
    }

    /// Every node with the number of its last edit.
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
        only(node::Entity::find().filter(node::Column::Name.eq(name)), self.c).await?.map(record).transpose()
    }

    /// What the node's panel wants to see, opened. `None` for an unknown node; fails when a secret was sealed
    /// with a key we do not have.
    pub async fn find_secrets(&self, id: NodeId) -> Result<Option<NodeSecrets>, StoreError> {
        let Some(row) = only(node::Entity::find_by_id(id32(id.0)), self.c).await? else { return Ok(None) };
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
            health_status: Set(Some(State::Unknown.word().to_owned())),
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

    /// Replaces what the operator says of a node. What was observed stays; but where another place is to be looked
    /// at now, or in another way, the health is unknown again.
    pub async fn edit_node(&self, id: NodeId, settings: &NodeSettings, now: DateTime<Utc>) -> Result<(), StoreError> {
        let Some(before) = only(node::Entity::find_by_id(id32(id.0)), &self.tx).await? else { return Err(missing(id)) };
        let mut row = node::ActiveModel { id: Set(id32(id.0)), ..Default::default() };
        fill(&mut row, settings, now)?;
        let looks_elsewhere = before.x3ui_url != settings.url
            || before.tls != settings.tls
            || before.allow_http != settings.allow_http
            || before.host != settings.host
            || before.inbound_id != settings.chosen_inbound.map(|i| id32(i.0));
        row.update(&self.tx).await.map_err(|e| StoreError::exists(e, "node", &settings.name))?;
        if looks_elsewhere {
            self.forget_health(id).await?;
        }
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
        update
            .update(&self.tx)
            .await
            .map_err(|e| if matches!(e, DbErr::RecordNotUpdated) { missing(id) } else { StoreError::from(e) })?;
        self.forget_health(id).await?;
        self.revise(id).await
    }

    /// Deletes a node with its assignments, its ledger of clients and its samples; keys that lived there live
    /// nowhere ([`View::homeless_keys`]), moves that led there wait for another target. False if there was none.
    pub async fn delete_node(&self, id: NodeId) -> Result<bool, StoreError> {
        self.strand_moves(id32(id.0), "the node they went to was deleted").await?;
        self.forget_silence(id).await?;
        key::Entity::update_many()
            .col_expr(key::Column::NodeId, Expr::value(Option::<i32>::None))
            .filter(key::Column::NodeId.eq(id32(id.0)))
            .exec(&self.tx)
            .await?;
        Ok(node::Entity::delete_by_id(id32(id.0)).exec(&self.tx).await?.rows_affected > 0)
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
            .filter(node::Column::Id.eq(id32(id.0)))
            .exec(&self.tx)
            .await?;
        Ok(())
    }
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
