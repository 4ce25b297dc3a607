//! The ledger of clients: every client that we ever asked a panel to hold and have not yet seen gone. Written before
//! the panel hears of it, so that nothing of ours is ever forgotten there.

use crate::{
    StoreError, View, Write,
    batch::{padded, parts},
    entity::{
        assignment::{self, State},
        client, key,
        moment::Moment,
        user,
    },
    id32,
    keys::lower_status,
    text::cut,
};
use chrono::{DateTime, Utc};
use fleet::{
    id::{InboundId, KeyId, NodeId},
    key::{ClientName, Identity},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, JoinType, QueryFilter, Set,
    sea_query::{Expr, IntoIden, OnConflict, Query, TableRef, ValueTuple},
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const TABLE: &str = "muster_clients";

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow {
    /// Its version: what was learned about an older version says nothing about this one.
    pub version: Version,
    /// Which key.
    pub key: KeyId,
    /// The inbound it was put on.
    pub inbound: InboundId,
    /// What was put there.
    pub identity: Identity,
    /// Whether the panel confirmed it since it last changed.
    pub confirmed: bool,
    /// What the panel should hold; `None` once nobody wants it there any more.
    pub wanted: Option<Wanted>,
}

/// Which state of a line of the ledger is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub(crate) id: i32,
    generation: i64,
}

impl Version {
    /// The line's number: higher than that of every line that was there when it was written. Those of lines that are
    /// gone may be given again.
    pub fn line(self) -> i32 {
        self.id
    }
}

/// What a wanted client is to be like, as far as users and operators decide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// False for a blocked or switched-off account.
    pub enabled: bool,
    /// When access ends, ms since 1970; 0 = never.
    pub expires_at_ms: i64,
    /// For the panel's `tgId`.
    pub telegram_id: i64,
}

impl<C: ConnectionTrait> View<'_, C> {
    /// The ledger of one node, by line: all of it, or what is not yet settled with the panel.
    pub async fn clients_on(&self, node: NodeId, only_unsettled: bool) -> Result<Vec<ClientRow>, StoreError> {
        let of = |column| Expr::col((client::Entity, column));
        let home = |column| Expr::col((assignment::Entity, column));
        // A key may have two there at once: leaving, and on its way back.
        let wanted_here = Query::select()
            .expr(Expr::val(1))
            .from(assignment::Entity)
            .and_where(home(assignment::Column::KeyId).equals((client::Entity, client::Column::KeyId)))
            .and_where(home(assignment::Column::NodeId).equals((client::Entity, client::Column::NodeId)))
            .and_where(home(assignment::Column::State).is_in(State::WANTED))
            .take();
        let mut query = Query::select()
            .columns([
                (client::Entity, client::Column::Id),
                (client::Entity, client::Column::Generation),
                (client::Entity, client::Column::KeyId),
                (client::Entity, client::Column::InboundId),
                (client::Entity, client::Column::Name),
                (client::Entity, client::Column::Uuid),
                (client::Entity, client::Column::SubId),
                (client::Entity, client::Column::Dirty),
                (client::Entity, client::Column::ConfirmedAt),
            ])
            .expr_as(Expr::exists(wanted_here), "has_home")
            .expr_as(lower_status(), "status")
            .column((key::Entity, key::Column::MusterState))
            .columns([
                (user::Entity, user::Column::TelegramId),
                (user::Entity, user::Column::IsActive),
                (user::Entity, user::Column::IsBlocked),
                (user::Entity, user::Column::ValidUntil),
            ])
            .from(client::Entity)
            .join(
                JoinType::LeftJoin,
                key::Entity,
                Expr::col((key::Entity, key::Column::Id)).equals((client::Entity, client::Column::KeyId)),
            )
            .join(
                JoinType::LeftJoin,
                user::Entity,
                Expr::col((user::Entity, user::Column::Id)).equals((key::Entity, key::Column::UserId)),
            )
            .and_where(of(client::Column::NodeId).eq(id32(node.0)))
            .order_by((client::Entity, client::Column::Id), sea_orm::Order::Asc)
            .take();
        if only_unsettled {
            query.and_where(of(client::Column::Dirty).eq(true));
        }
        let rows = self.c.query_all(&query).await?;
        rows.iter().map(|row| line(Joined::from_query_result(row, "")?)).collect()
    }

    /// The nodes whose panels refused these very keys.
    pub async fn refusals(&self, keys: &[KeyId]) -> Result<BTreeMap<KeyId, Vec<NodeId>>, StoreError> {
        let mut refusals: BTreeMap<KeyId, Vec<NodeId>> = BTreeMap::new();
        let ids: Vec<i32> = keys.iter().map(|k| id32(k.0)).collect();
        for ids in padded(&ids) {
            let lines = client::Entity::find()
                .filter(client::Column::KeyId.is_in(ids))
                .filter(client::Column::Refusal.is_not_null())
                .all(self.c)
                .await?;
            for line in lines {
                refusals.entry(KeyId(line.key_id.into())).or_default().push(NodeId(line.node_id.into()));
            }
        }
        Ok(refusals)
    }

    /// The nodes whose panels have something to hear.
    pub async fn unsettled_nodes(&self) -> Result<BTreeSet<NodeId>, StoreError> {
        let query = Query::select()
            .distinct()
            .column(client::Column::NodeId)
            .from(client::Entity)
            .and_where(Expr::col(client::Column::Dirty).eq(true))
            .take();
        let rows = self.c.query_all(&query).await?;
        rows.iter().map(|row| Ok(NodeId(row.try_get::<i32>("", "node_id")?.into()))).collect()
    }
}

impl Write<'_> {
    /// The panel no longer holds these clients: their lines go, and the room they took is free again. Lines that
    /// changed since the version given stay. A key that another program had revoked, so that its client was removed,
    /// lives nowhere from then on.
    pub async fn set_gone(&self, node: NodeId, lines: &[Version]) -> Result<(), StoreError> {
        for chunk in padded(lines) {
            let unchanged = Query::select()
                .columns([
                    (client::Entity, client::Column::Id),
                    (client::Entity, client::Column::KeyId),
                    (client::Entity, client::Column::NodeId),
                ])
                .from(client::Entity)
                .from(versions(&chunk))
                .and_where(same_version())
                .take();
            let (mut lines, mut keys): (Vec<i32>, Vec<KeyId>) = Default::default();
            for row in self.tx.query_all(&unchanged).await? {
                // Not asked for in the question: SQLite would begin with all lines of the node.
                if row.try_get::<i32>("", "node_id")? != id32(node.0) {
                    continue;
                }
                lines.push(row.try_get("", "id")?);
                keys.push(KeyId(row.try_get::<i32>("", "key_id")?.into()));
            }
            for lines in padded(&lines) {
                client::Entity::delete_many().filter(client::Column::Id.is_in(lines)).exec(&self.tx).await?;
            }
            self.close_homes(node, &keys).await?;
        }
        self.recount(id32(node.0)).await
    }

    /// The panel refused these clients, for these reasons; they stay unsettled.
    pub async fn set_refused(&self, lines: &[(Version, String)]) -> Result<(), StoreError> {
        for (line, reason) in lines {
            client::Entity::update_many()
                .col_expr(client::Column::Refusal, Expr::value(cut(reason, 4096)))
                .filter(client::Column::Id.eq(line.id))
                .filter(client::Column::Generation.eq(line.generation))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }

    /// Clients of ours on this node belong on this inbound from now on, and are to be said to it.
    pub async fn set_inbound(&self, node: NodeId, inbound: InboundId) -> Result<(), StoreError> {
        client::Entity::update_many()
            .col_expr(client::Column::InboundId, Expr::value(id32(inbound.0)))
            .col_expr(client::Column::Dirty, Expr::value(true))
            .col_expr(client::Column::Generation, Expr::col(client::Column::Generation).add(1))
            .filter(client::Column::NodeId.eq(id32(node.0)))
            .filter(client::Column::InboundId.ne(id32(inbound.0)))
            .exec(&self.tx)
            .await?;
        assignment::Entity::update_many()
            .col_expr(assignment::Column::XuiInboundId, Expr::value(id32(inbound.0)))
            .filter(assignment::Column::NodeId.eq(id32(node.0)))
            .filter(assignment::Column::State.is_in(State::WANTED))
            .exec(&self.tx)
            .await?;
        Ok(())
    }

    /// Clients of ours were seen on this node that the ledger has forgotten, since they were once seen gone: they
    /// are to be removed again.
    pub async fn remember(
        &self,
        node: NodeId,
        inbound: InboundId,
        clients: &[(KeyId, Identity)],
    ) -> Result<(), StoreError> {
        for chunk in parts(clients) {
            let lines = chunk.iter().map(|(key, identity)| line_of(node, inbound, *key, identity));
            let known = OnConflict::columns([client::Column::KeyId, client::Column::NodeId]).do_nothing().to_owned();
            client::Entity::insert_many(lines).on_conflict(known).exec_without_returning(&self.tx).await?;
        }
        self.recount(id32(node.0)).await
    }

    /// These clients must be said to the panel again (it lost or changed them).
    pub async fn set_unsettled(&self, lines: &[Version]) -> Result<(), StoreError> {
        for chunk in padded(lines) {
            client::Entity::update_many()
                .col_expr(client::Column::Dirty, Expr::value(true))
                .filter(client::Column::Id.is_in(chunk.iter().map(|v| v.id)))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }
}

pub(crate) fn line_of(node: NodeId, inbound: InboundId, key: KeyId, identity: &Identity) -> client::ActiveModel {
    client::ActiveModel {
        node_id: Set(id32(node.0)),
        inbound_id: Set(id32(inbound.0)),
        key_id: Set(id32(key.0)),
        name: Set(identity.name.as_str().to_owned()),
        uuid: Set(identity.uuid.hyphenated().to_string()),
        sub_id: Set(identity.sub_id.clone()),
        dirty: Set(true),
        generation: Set(0),
        ..Default::default()
    }
}

pub(crate) fn versions(lines: &[Version]) -> TableRef {
    let pair = |line: &Version| ValueTuple::Two(line.id.into(), line.generation.into());
    TableRef::ValuesList(lines.iter().map(pair).collect(), "v".into_iden())
}

pub(crate) fn same_version() -> Expr {
    let id = Expr::col((client::Entity, client::Column::Id)).eq(Expr::col(("v", "column1")));
    id.and(Expr::col((client::Entity, client::Column::Generation)).eq(Expr::col(("v", "column2"))))
}

#[derive(FromQueryResult)]
struct Joined {
    id: i32,
    generation: i64,
    key_id: i32,
    inbound_id: i32,
    name: String,
    uuid: String,
    sub_id: String,
    dirty: bool,
    confirmed_at: Option<DateTime<Utc>>,
    has_home: bool,
    status: Option<String>,
    muster_state: Option<String>,
    telegram_id: Option<i64>,
    is_active: Option<bool>,
    is_blocked: Option<bool>,
    valid_until: Option<Moment>,
}

/// A client is wanted while its key lives here, is on its way here, or left and may come back; and while the key is
/// in force or about to be. Whatever another program made of key or user is taken as said: a key it revoked, or
/// deleted with its user, is wanted nowhere.
fn line(row: Joined) -> Result<ClientRow, StoreError> {
    let in_force = match row.muster_state.as_deref() {
        Some("pending") => true,
        Some("active") => row.status.as_deref() == Some("active"),
        Some(_) | None => false,
    };
    let wanted = (row.has_home && in_force).then(|| Wanted {
        enabled: row.is_active.unwrap_or(true) && !row.is_blocked.unwrap_or(false),
        expires_at_ms: row.valid_until.map_or(0, |end| Ord::max(DateTime::from(end).timestamp_millis(), 1)),
        telegram_id: row.telegram_id.unwrap_or(0),
    });
    let uuid = Uuid::parse_str(&row.uuid).map_err(|_| StoreError::Row {
        table: TABLE,
        column: "uuid",
        row: row.id.into(),
        value: row.uuid.clone(),
    })?;
    Ok(ClientRow {
        version: Version { id: row.id, generation: row.generation },
        key: KeyId(row.key_id.into()),
        inbound: InboundId(row.inbound_id.into()),
        identity: Identity { name: ClientName::from_stored(row.name), uuid, sub_id: row.sub_id },
        confirmed: row.confirmed_at.is_some() && !row.dirty,
        wanted,
    })
}
