//! Keys: what users hold. A key is *pending* until a panel confirmed it, and nobody is shown a pending key.

use crate::{
    StoreError, View, Write,
    batch::{padded, parts},
    entity::{client, key},
    id32,
    text::cut,
};
use chrono::{DateTime, Utc};
use fleet::{
    id::{InboundId, KeyId, NodeId, UserId},
    key::{ClientName, Identity},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Set,
    sea_query::{Expr, Func, IntoIden, Query, SimpleExpr, TableRef, ValueTuple},
};
use std::collections::BTreeMap;
use uuid::Uuid;

const TABLE: &str = "vpn_keys";

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Made, given a node, and not yet confirmed there: nobody has seen it.
    Pending,
    /// Confirmed by a panel at least once.
    Active,
    /// In the database before Muster and not adopted: shown, never touched on any panel.
    Foreign,
}

/// A key in force, or about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id, the same for life.
    pub id: KeyId,
    /// Whose it is.
    pub user: UserId,
    /// Where it lives.
    pub node: Option<NodeId>,
    /// What the bot calls it.
    pub key_name: Option<String>,
    /// Name, UUID and subscription id on panels; `None` for a foreign key.
    pub identity: Option<Identity>,
    /// The link for the user's app; worth nothing before the key is active.
    pub link: String,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When anybody was last given a link of it ([`Write::set_shown`]).
    pub shown_at: Option<DateTime<Utc>>,
    /// When it last began to live on another node.
    pub moved_at: Option<DateTime<Utc>>,
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Whose.
    pub user: UserId,
    /// Its secret.
    pub uuid: Uuid,
    /// Its subscription id.
    pub sub_id: String,
}

/// Where a key lives, written into its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Which key.
    pub key: KeyId,
    /// Its name on panels.
    pub name: ClientName,
    /// Its node.
    pub node: NodeId,
    /// The inbound there.
    pub inbound: InboundId,
    /// Its credential there.
    pub credential: String,
    /// Its link.
    pub link: String,
}

impl<C: ConnectionTrait> View<'_, C> {
    /// Every key of these users that is in force or pending, newest first.
    pub async fn keys_of(&self, users: &[UserId]) -> Result<Vec<KeyRecord>, StoreError> {
        let ids: Vec<i32> = users.iter().map(|u| id32(u.0)).collect();
        let mut keys = BTreeMap::new();
        for ids in padded(&ids) {
            keys.extend(self.keys_where(key::Column::UserId.is_in(ids)).await?.into_iter().map(|key| (key.id, key)));
        }
        Ok(keys.into_values().rev().collect())
    }

    /// The key with this id, if it is in force or pending.
    pub async fn find_key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        let Ok(id) = i32::try_from(id.0) else { return Ok(None) };
        Ok(self.keys_where(key::Column::Id.eq(id)).await?.pop())
    }

    /// All keys that no panel has confirmed yet, oldest first.
    pub async fn pending_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let mut keys = self.keys_where(key::Column::MusterState.eq("pending")).await?;
        keys.reverse();
        Ok(keys)
    }

    /// The keys of ours that live on this node, oldest first.
    pub async fn keys_on(&self, node: NodeId) -> Result<Vec<KeyRecord>, StoreError> {
        let here = key::Column::NodeId.eq(id32(node.0)).and(key::Column::MusterState.is_not_null());
        let mut keys = self.keys_where(here).await?;
        keys.reverse();
        Ok(keys)
    }

    /// Which of these names are of keys of ours, in force or ended: (key, identity).
    pub async fn keys_named(&self, names: &[ClientName]) -> Result<Vec<(KeyId, Identity)>, StoreError> {
        let names: Vec<&str> = names.iter().map(ClientName::as_str).collect();
        let mut found = Vec::new();
        for names in padded(&names) {
            let ours = key::Column::XuiEmail.is_in(names).and(key::Column::MusterState.is_not_null());
            for row in key::Entity::find().filter(ours).all(self.c).await? {
                found.push((KeyId(row.id.into()), identity(&row)?));
            }
        }
        Ok(found)
    }

    pub(crate) async fn keys_where(&self, which: SimpleExpr) -> Result<Vec<KeyRecord>, StoreError> {
        // A key that ended here stays so, whatever another program makes of its status.
        let not_ended =
            Condition::any().add(key::Column::MusterState.is_null()).add(key::Column::MusterState.ne("ended"));
        let in_force = Condition::any()
            .add(Condition::all().add(lower_status().eq("active")).add(not_ended))
            .add(key::Column::MusterState.eq("pending"));
        let rows =
            key::Entity::find().filter(which).filter(in_force).order_by_desc(key::Column::Id).all(self.c).await?;
        rows.into_iter().map(record).collect()
    }
}

impl Write<'_> {
    /// Makes pending keys, without an address yet; ids in the order given.
    pub async fn add_keys(&self, keys: &[NewKey], now: DateTime<Utc>) -> Result<Vec<KeyId>, StoreError> {
        let mut ids = Vec::with_capacity(keys.len());
        for chunk in parts(keys) {
            let rows = chunk.iter().map(|new| key::ActiveModel {
                user_id: Set(id32(new.user.0)),
                uuid: Set(new.uuid.hyphenated().to_string()),
                vless_url: Set(String::new()),
                status: Set(Some("inactive".to_owned())),
                xui_email: Set(String::new()),
                created_at: Set(Some(now.into())),
                updated_at: Set(Some(now.into())),
                muster_state: Set(Some("pending".to_owned())),
                muster_sub_id: Set(Some(new.sub_id.clone())),
                ..Default::default()
            });
            let made = key::Entity::insert_many(rows).exec_with_returning(&self.tx).await?;
            ids.extend(made.into_iter().map(|row| KeyId(row.id.into())));
        }
        Ok(ids)
    }

    /// Writes where keys live into their rows, as the bot's other programs read them.
    pub async fn set_addresses(&self, addresses: &[Address], now: DateTime<Utc>) -> Result<(), StoreError> {
        for chunk in padded(addresses) {
            let rows = chunk.iter().map(|a| {
                ValueTuple::Many(vec![
                    id32(a.key.0).into(),
                    a.name.as_str().into(),
                    id32(a.node.0).into(),
                    id32(a.inbound.0).into(),
                    a.credential.as_str().into(),
                    a.link.as_str().into(),
                ])
            });
            let column = |n: &'static str| Expr::col(("v", n));
            let update = Query::update()
                .table(key::Entity)
                .value(key::Column::XuiEmail, column("column2"))
                .value(key::Column::KeyName, column("column2"))
                .value(key::Column::NodeId, column("column3"))
                .value(key::Column::XuiInboundId, column("column4"))
                .value(key::Column::XuiClientId, column("column5"))
                .value(key::Column::VlessUrl, column("column6"))
                .value(key::Column::UpdatedAt, now)
                .from(TableRef::ValuesList(rows.collect(), "v".into_iden()))
                .and_where(Expr::col((key::Entity, key::Column::Id)).eq(column("column1")))
                .take();
            self.tx.execute(&update).await?;
        }
        Ok(())
    }

    /// Ends keys for good: they are no longer shown, their clients are to be removed wherever they are, and nothing is
    /// left to do for them on any job's list.
    pub async fn end_keys(&self, keys: &[KeyId], now: DateTime<Utc>) -> Result<(), StoreError> {
        let all: Vec<i32> = keys.iter().map(|k| id32(k.0)).collect();
        for ids in padded(&all) {
            key::Entity::update_many()
                .col_expr(key::Column::Status, Expr::value("revoked"))
                .col_expr(key::Column::UpdatedAt, Expr::value(now))
                .filter(key::Column::Id.is_in(ids))
                .exec(&self.tx)
                .await?;
        }
        self.note_ended(keys, now).await
    }

    /// Keys that are no longer in force, whoever ended them: nothing of them is wanted anywhere.
    pub(crate) async fn note_ended(&self, keys: &[KeyId], now: DateTime<Utc>) -> Result<(), StoreError> {
        let all: Vec<i32> = keys.iter().map(|k| id32(k.0)).collect();
        for ids in padded(&all) {
            key::Entity::update_many()
                .col_expr(key::Column::MusterState, Expr::value("ended"))
                .filter(key::Column::Id.is_in(ids))
                .filter(key::Column::MusterState.is_not_null())
                .exec(&self.tx)
                .await?;
        }
        self.cancel_moves(&all, now).await?;
        self.release(&all, None).await
    }

    /// Takes back keys that nobody has seen: their rows go; the ledger still says that their clients, which a
    /// panel may hold all the same, are ours to remove. Keys confirmed meanwhile are left alone.
    pub async fn withdraw_keys(&self, keys: &[KeyId]) -> Result<(), StoreError> {
        let all: Vec<i32> = keys.iter().map(|k| id32(k.0)).collect();
        for ids in padded(&all) {
            let pending = key::Column::Id.is_in(ids).and(key::Column::MusterState.eq("pending"));
            let rows = key::Entity::find().filter(pending).all(&self.tx).await?;
            let found: Vec<i32> = rows.iter().map(|row| row.id).collect();
            for ids in padded(&found) {
                key::Entity::delete_many().filter(key::Column::Id.is_in(ids.clone())).exec(&self.tx).await?;
                client::Entity::update_many()
                    .col_expr(client::Column::Dirty, Expr::value(true))
                    .col_expr(client::Column::Generation, Expr::col(client::Column::Generation).add(1))
                    .filter(client::Column::KeyId.is_in(ids))
                    .exec(&self.tx)
                    .await?;
            }
        }
        Ok(())
    }

    /// Notes an unexpected state of one key, such as a status set by another program.
    pub async fn set_status(&self, id: KeyId, status: &str) -> Result<(), StoreError> {
        let done = key::Entity::update_many()
            .col_expr(key::Column::Status, Expr::value(cut(status, 20)))
            .filter(key::Column::Id.eq(id32(id.0)))
            .exec(&self.tx)
            .await?;
        if done.rows_affected > 0 { Ok(()) } else { Err(StoreError::Missing { what: "key", id: id.0 }) }
    }
}

/// Old rows hold upper case.
pub(crate) fn lower_status() -> SimpleExpr {
    Func::lower(Expr::col((key::Entity, key::Column::Status))).into()
}

fn record(row: key::Model) -> Result<KeyRecord, StoreError> {
    let unusable =
        |column, value: &str| StoreError::Row { table: TABLE, column, row: row.id.into(), value: value.to_owned() };
    let state = match row.muster_state.as_deref() {
        None => KeyState::Foreign,
        Some("pending") => KeyState::Pending,
        Some("active") => KeyState::Active,
        Some(other) => return Err(unusable("muster_state", other)),
    };
    let identity = if state == KeyState::Foreign { None } else { Some(identity(&row)?) };
    Ok(KeyRecord {
        id: KeyId(row.id.into()),
        user: UserId(row.user_id.into()),
        node: row.node_id.map(|n| NodeId(n.into())),
        key_name: row.key_name,
        identity,
        link: row.vless_url,
        state,
        created_at: row.created_at.map(Into::into),
        shown_at: row.muster_shown_at,
        moved_at: row.muster_moved_at,
    })
}

fn identity(row: &key::Model) -> Result<Identity, StoreError> {
    let unusable = |_| StoreError::Row { table: TABLE, column: "uuid", row: row.id.into(), value: row.uuid.clone() };
    Ok(Identity {
        name: ClientName::from_stored(row.xui_email.clone()),
        uuid: Uuid::parse_str(&row.uuid).map_err(unusable)?,
        sub_id: row.muster_sub_id.clone().unwrap_or_default(),
    })
}
