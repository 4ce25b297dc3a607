//! Keys on the move: who lives where and could move, and the moves that are under way. Make before break: the key
//! stays where it is until the other node's panel has confirmed it ([`Write::set_confirmed`]).

use crate::{
    StoreError, View, Write,
    assignments::{Assign, Coming, FoundHome, home},
    batch::padded,
    entity::{
        assignment::{self, State},
        key,
        moment::Moment,
        user::{self, Subscription},
    },
    id32,
    jobs::{Change, MoveState, NewMove},
    keys::{KeyRecord, lower_status},
    text::cut,
};
use chrono::{DateTime, TimeDelta, Utc};
use fleet::{
    id::{JobId, KeyId, NodeId, UserId},
    key::{ClientName, Identity},
    settle::Cause,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, JoinType, QueryFilter,
    sea_query::{Expr, IntoIden, IntoTableRef, Order, Query, SelectStatement},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Rows that are read at once: what a hundred thousand keys take in memory is what is made of them, not their rows.
pub(crate) const PAGE: usize = 4096;
/// How much later than its trial an account must end to be taken for one that was paid for.
const SLACK: TimeDelta = TimeDelta::hours(1);

/// A key in force, with where it lives and what decides whether, and when, it moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Which key.
    pub key: KeyId,
    /// Whose.
    pub user: UserId,
    /// His Telegram id.
    pub telegram_id: i64,
    /// What it is everywhere.
    pub identity: Identity,
    /// Where it lives.
    pub node: NodeId,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The last traffic under it, on any node.
    pub seen_at: Option<DateTime<Utc>>,
    /// When it last moved.
    pub moved_at: Option<DateTime<Utc>>,
    /// Whether somebody pays for it, as far as the account tells: its subscription is active and runs beyond the
    /// trial that it began with, or has no end.
    pub paying: bool,
    /// Where it is going, if it is.
    pub arriving_to: Option<NodeId>,
}

/// A move that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartMove {
    /// Where to.
    pub assign: Assign,
    /// Where the key lives now; `None` for one that lives nowhere.
    pub from: Option<NodeId>,
    /// Why.
    pub cause: Cause,
    /// On behalf of which job.
    pub job: Option<JobId>,
}

impl<C: ConnectionTrait> View<'_, C> {
    /// The keys in force that live on these nodes, by key. `trial_days` is how long new accounts are given, `None`
    /// where they are given no end; see [`Resident::paying`].
    pub async fn residents(&self, nodes: &[NodeId], trial_days: Option<u32>) -> Result<Vec<Resident>, StoreError> {
        let trial = trial_days.map_or(TimeDelta::zero(), |days| TimeDelta::days(days.into()));
        let nodes: Vec<i32> = nodes.iter().map(|n| id32(n.0)).collect();
        let mut residents = Vec::new();
        for group in self.groups(&nodes).await? {
            let mut after = 0;
            loop {
                let rows = self.c.query_all(&living_on(&group, after)).await?;
                for row in &rows {
                    let row = Row::from_query_result(row, "")?;
                    after = row.id;
                    residents.push(row.resident(trial)?);
                }
                if rows.len() < PAGE {
                    break;
                }
            }
        }
        residents.sort_unstable_by_key(|resident: &Resident| resident.key);
        Ok(residents)
    }

    /// The nodes, as many at a time as have no more keys together than fit on a page; those with more alone. A page of
    /// many nodes would be sought among all their keys, again for every page.
    async fn groups(&self, nodes: &[i32]) -> Result<Vec<Vec<i32>>, StoreError> {
        let mut counts = BTreeMap::new();
        for nodes in padded(nodes) {
            let query = Query::select()
                .column(assignment::Column::NodeId)
                .expr_as(Expr::col(assignment::Column::Id).count(), "keys")
                .from(assignment::Entity)
                .and_where(assignment::Column::NodeId.is_in(nodes))
                .and_where(assignment::Column::IsActive.eq(true))
                .group_by_col(assignment::Column::NodeId)
                .take();
            for row in self.c.query_all(&query).await? {
                let keys: i64 = row.try_get("", "keys")?;
                counts.insert(row.try_get::<i32>("", "node_id")?, usize::try_from(keys).unwrap_or(usize::MAX));
            }
        }
        let mut groups: Vec<Vec<i32>> = Vec::new();
        let mut keys = PAGE;
        for (node, count) in counts {
            keys = keys.saturating_add(count);
            match groups.last_mut() {
                Some(group) if keys < PAGE => group.push(node),
                Some(_) | None => {
                    groups.push(vec![node]);
                    keys = count;
                }
            }
        }
        Ok(groups.iter().flat_map(|group| padded(group)).collect())
    }

    /// The keys of ours in force that live nowhere and are on their way nowhere, oldest first: their node was deleted
    /// with them on it, or they were revoked by another program and are in force again.
    pub async fn homeless_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let homes = Query::select()
            .expr(Expr::val(1))
            .from(assignment::Entity)
            .and_where(home(assignment::Column::KeyId).equals((key::Entity, key::Column::Id)))
            .and_where(home(assignment::Column::State).is_in([State::Arriving, State::Active]))
            .take();
        let homeless = key::is_homeless().and(lower_status().eq("active")).and(Expr::not_exists(homes));
        let mut keys = self.keys_where(homeless).await?;
        keys.reverse();
        Ok(keys)
    }

    /// How many keys in force are on their way to each node.
    pub async fn arriving(&self) -> Result<BTreeMap<NodeId, u64>, StoreError> {
        self.moving(State::Arriving).await
    }

    /// How many clients of keys that live elsewhere by now a node still holds for their users; nodes without any are left
    /// out.
    pub async fn count_leaving(&self) -> Result<BTreeMap<NodeId, u64>, StoreError> {
        self.moving(State::Leaving).await
    }

    async fn moving(&self, state: State) -> Result<BTreeMap<NodeId, u64>, StoreError> {
        let query = Query::select()
            .column((assignment::Entity, assignment::Column::NodeId))
            .expr_as(home(assignment::Column::Id).count(), "keys")
            .from(assignment::Entity)
            .join(
                JoinType::InnerJoin,
                key::Entity,
                home(assignment::Column::KeyId).equals((key::Entity, key::Column::Id)),
            )
            .and_where(State::is_moving())
            .and_where(home(assignment::Column::State).eq(state))
            .and_where(is_in_force())
            .group_by_col((assignment::Entity, assignment::Column::NodeId))
            .take();
        let rows = self.c.query_all(&query).await?;
        let count = |row: &sea_orm::QueryResult| {
            let node = NodeId(row.try_get::<i32>("", "node_id")?.into());
            Ok((node, row.try_get::<i64>("", "keys")?.unsigned_abs()))
        };
        rows.iter().map(count).collect()
    }
}

impl Write<'_> {
    /// Sends keys in force on their way: an arriving assignment, a line in the ledger that the panel has yet to hear
    /// of, and their moves on the list of their job. They live where they do until the panel confirms them. A move
    /// that is under way already is given up for the new one.
    ///
    /// The caller has taken room on the nodes ([`Write::take_room`]).
    pub async fn start_moves(&self, moves: &[StartMove], now: DateTime<Utc>) -> Result<(), StoreError> {
        let keys: Vec<i32> = moves.iter().map(|m| id32(m.assign.key.0)).collect();
        let mut under_way = Vec::new();
        for keys in padded(&keys) {
            let rows = assignment::Entity::find()
                .filter(assignment::Column::KeyId.is_in(keys))
                .filter(assignment::Column::State.is_in(State::PRESENT))
                .all(&self.tx)
                .await?;
            under_way.extend(rows.into_iter().filter(|row| row.state == State::Arriving).map(|row| row.id));
        }
        self.end_homes(&under_way).await?;
        let coming: Vec<_> =
            moves.iter().map(|m| Coming { assign: &m.assign, cause: Some(m.cause), job: m.job }).collect();
        self.send(&coming, now).await?;
        let begun: Vec<_> = moves
            .iter()
            .filter_map(|m| {
                let (key, user, to) = (m.assign.key, m.assign.user, Some(m.assign.node));
                let state = MoveState::Arriving;
                Some((m.job?, NewMove { key, user, from: m.from, to, state, reason: None }))
            })
            .collect();
        self.begin_moves(&begun, now).await
    }

    /// Keys do not arrive on these nodes after all: their clients there are to be removed, and their moves wait for
    /// another target. Keys that are not on their way there are left alone.
    pub async fn cancel_arrivals(
        &self,
        arrivals: &[(KeyId, NodeId)],
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let found = self.find_homes(arrivals, State::Arriving).await?;
        let listed: Vec<_> = found.iter().filter_map(FoundHome::listed).collect();
        let (from, to) = (Some(MoveState::Arriving), MoveState::Waiting);
        self.change_moves(&listed, &Change { from, to, reason: Some(cut(why, 4096)), at: Some(now) }).await?;
        self.end_homes(&found.iter().map(|found| found.id).collect::<Vec<_>>()).await
    }
}

/// Whether a key of ours is in force.
pub(crate) fn is_in_force() -> Expr {
    lower_status().eq("active").and(Expr::col((key::Entity, key::Column::MusterState)).eq("active"))
}

/// A page of the assignments of keys that live on these nodes.
fn living_on(nodes: &[i32], after: i32) -> SelectStatement {
    let other = |column: assignment::Column| Expr::col(("other", column));
    let others = || {
        Query::select()
            .from(assignment::Entity.into_table_ref().alias("other".into_iden()))
            .and_where(home(assignment::Column::KeyId).equals(("other", assignment::Column::KeyId)))
            .take()
    };
    let seen = others().expr(other(assignment::Column::SeenAt).max()).take();
    let going = others()
        .expr(other(assignment::Column::NodeId).max())
        .and_where(other(assignment::Column::State).eq(State::Arriving))
        .take();
    Query::select()
        .columns([
            (assignment::Entity, assignment::Column::Id),
            (assignment::Entity, assignment::Column::KeyId),
            (assignment::Entity, assignment::Column::UserId),
            (assignment::Entity, assignment::Column::NodeId),
            (assignment::Entity, assignment::Column::AssignedAt),
            (assignment::Entity, assignment::Column::Since),
        ])
        .columns([
            (key::Entity, key::Column::Uuid),
            (key::Entity, key::Column::XuiEmail),
            (key::Entity, key::Column::MusterSubId),
            (key::Entity, key::Column::MusterMovedAt),
        ])
        .columns([
            (user::Entity, user::Column::TelegramId),
            (user::Entity, user::Column::SubscriptionStatus),
            (user::Entity, user::Column::CreatedAt),
            (user::Entity, user::Column::ValidUntil),
        ])
        .expr_as(Expr::SubQuery(None, Box::new(seen.into())), "seen_at")
        .expr_as(Expr::SubQuery(None, Box::new(going.into())), "arriving_to")
        .from(assignment::Entity)
        .join(JoinType::InnerJoin, key::Entity, home(assignment::Column::KeyId).equals((key::Entity, key::Column::Id)))
        .join(
            JoinType::InnerJoin,
            user::Entity,
            Expr::col((key::Entity, key::Column::UserId)).equals((user::Entity, user::Column::Id)),
        )
        .and_where(home(assignment::Column::NodeId).is_in(nodes.iter().copied()))
        .and_where(home(assignment::Column::IsActive).eq(true))
        .and_where(home(assignment::Column::State).eq(State::Active))
        .and_where(is_in_force())
        .and_where(home(assignment::Column::Id).gt(after))
        .order_by((assignment::Entity, assignment::Column::Id), Order::Asc)
        .limit(PAGE as u64)
        .take()
}

#[derive(FromQueryResult)]
struct Row {
    id: i32,
    key_id: i32,
    user_id: i32,
    telegram_id: i64,
    node_id: i32,
    assigned_at: DateTime<Utc>,
    since: Option<DateTime<Utc>>,
    uuid: String,
    xui_email: String,
    muster_sub_id: Option<String>,
    muster_moved_at: Option<DateTime<Utc>>,
    subscription_status: Option<Subscription>,
    created_at: Option<Moment>,
    valid_until: Option<Moment>,
    seen_at: Option<DateTime<Utc>>,
    arriving_to: Option<i32>,
}

impl Row {
    fn resident(self, trial: TimeDelta) -> Result<Resident, StoreError> {
        let uuid = Uuid::parse_str(&self.uuid).map_err(|_| StoreError::Row {
            table: "vpn_keys",
            column: "uuid",
            row: self.key_id.into(),
            value: self.uuid.clone(),
        })?;
        let end: Option<DateTime<Utc>> = self.valid_until.map(Into::into);
        let trial_end = self.created_at.map(DateTime::from).unwrap_or_default() + trial + SLACK;
        let paying = self.subscription_status == Some(Subscription::Active) && end.is_none_or(|end| end > trial_end);
        Ok(Resident {
            key: KeyId(self.key_id.into()),
            user: UserId(self.user_id.into()),
            telegram_id: self.telegram_id,
            identity: Identity {
                name: ClientName::from_stored(self.xui_email),
                uuid,
                sub_id: self.muster_sub_id.unwrap_or_default(),
            },
            node: NodeId(self.node_id.into()),
            since: self.since.unwrap_or(self.assigned_at),
            seen_at: self.seen_at,
            moved_at: self.muster_moved_at,
            paying,
            arriving_to: self.arriving_to.map(|n| NodeId(n.into())),
        })
    }
}
