//! Clients that are leaving: their keys live elsewhere by now, and they work on until `fleet::settle` says that they
//! go, or that the key comes back.

use crate::{
    StoreError, View, Write,
    assignments::{FoundHome, home},
    batch::padded,
    entity::{
        assignment::{self, State},
        key,
        moment::Moment,
        user,
    },
    id32,
    jobs::{Change, MoveState},
    keys::lower_status,
    moves::PAGE,
};
use chrono::{DateTime, TimeDelta, Utc};
use fleet::{
    id::{KeyId, NodeId, UserId},
    settle::{Cause, Home, Leaving, Moved, Why},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, JoinType, QueryFilter,
    sea_query::{Expr, IntoIden, IntoTableRef, Order, Query, SelectStatement},
};
use std::collections::BTreeMap;

/// A key that moved and left clients behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingKey {
    /// Which.
    pub key: KeyId,
    /// Whose.
    pub user: UserId,
    /// What the rule of settling wants to know. Which nodes serve, and which may have keys back, is not the
    /// database's to know: [`Leaving::serving_since_ms`] and [`Leaving::may_return`] are for the caller to fill in.
    pub moved: Moved,
}

/// A key that lives again where it had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// Which.
    pub key: KeyId,
    /// Where it lives.
    pub node: NodeId,
}

/// Whose leaving clients are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// All on a node.
    Node(NodeId),
    /// All of a key.
    Key(KeyId),
}

impl<C: ConnectionTrait> View<'_, C> {
    /// Every key that left clients behind, by key. One that lives nowhere is left out: there is nothing to settle
    /// before it has a home again.
    pub async fn leaving(&self, now: DateTime<Utc>) -> Result<Vec<LeavingKey>, StoreError> {
        let mut keys: BTreeMap<i32, LeavingKey> = BTreeMap::new();
        let mut after = 0;
        loop {
            let rows = self.c.query_all(&left_behind(after)).await?;
            for row in &rows {
                let row = Row::from_query_result(row, "")?;
                after = row.id;
                let left = row.left()?;
                keys.entry(row.key_id).or_insert_with(|| row.moved_key(now)).moved.leaving.push(left);
            }
            if rows.len() < PAGE {
                break;
            }
        }
        Ok(keys.into_values().collect())
    }
}

impl Write<'_> {
    /// Clients that are leaving go: they are to be removed, which cannot be taken back. Those that are not leaving any
    /// more are left alone. `why` is noted on the list of the job that moved them.
    pub async fn end_leaving(&self, clients: &[(KeyId, NodeId)], why: Why) -> Result<(), StoreError> {
        let found = self.find_homes(clients, State::Leaving).await?;
        let listed: Vec<_> = found.iter().filter_map(FoundHome::listed).collect();
        let (from, to) = (Some(MoveState::Done), MoveState::Done);
        self.change_moves(&listed, &Change { from, to, reason: Some(why.to_string()), at: None }).await?;
        self.end_homes(&found.iter().map(|found| found.id).collect::<Vec<_>>()).await
    }

    /// Keys live again where they are leaving; their clients where they lived up to now, and where they were going,
    /// are to be removed. Keys that are not leaving there any more are left alone.
    ///
    /// Returns who returned: their rows need their old address written again ([`Write::set_addresses`]).
    pub async fn return_home(&self, keys: &[(KeyId, NodeId)], now: DateTime<Utc>) -> Result<Vec<Returned>, StoreError> {
        let mut homes: BTreeMap<KeyId, NodeId> = BTreeMap::new();
        for (key, node) in keys {
            homes.entry(*key).or_insert(*node);
        }
        let pairs: Vec<(KeyId, NodeId)> = homes.iter().map(|(key, node)| (*key, *node)).collect();
        let found = self.find_homes(&pairs, State::Leaving).await?;
        let listed: Vec<_> = found.iter().filter_map(FoundHome::listed).collect();
        let (from, to) = (Some(MoveState::Done), MoveState::Returned);
        self.change_moves(&listed, &Change { from, to, reason: None, at: Some(now) }).await?;
        let ids: Vec<i32> = found.iter().map(|found| found.id).collect();
        for ids in padded(&ids) {
            self.end_others(&ids).await?;
            assignment::Entity::update_many()
                .col_expr(assignment::Column::State, Expr::value(State::Active))
                .col_expr(assignment::Column::IsActive, Expr::value(true))
                .col_expr(assignment::Column::Since, Expr::value(now))
                .col_expr(assignment::Column::LeftAt, Expr::value(Option::<DateTime<Utc>>::None))
                .col_expr(assignment::Column::GraceEndsAt, Expr::value(Option::<DateTime<Utc>>::None))
                .filter(assignment::Column::Id.is_in(ids))
                .exec(&self.tx)
                .await?;
        }
        let keys: Vec<i32> = found.iter().map(|found| id32(found.key.0)).collect();
        for keys in padded(&keys) {
            key::Entity::update_many()
                .col_expr(key::Column::MusterMovedAt, Expr::value(now))
                .filter(key::Column::Id.is_in(keys))
                .exec(&self.tx)
                .await?;
        }
        let returned =
            found.iter().filter_map(|found| Some(Returned { key: found.key, node: *homes.get(&found.key)? }));
        Ok(returned.collect())
    }

    /// For keys that return to these assignments: what is active or arriving elsewhere ends, what was on its way here
    /// or to be removed here is history.
    async fn end_others(&self, ids: &[i32]) -> Result<(), StoreError> {
        let back = |column: assignment::Column| Expr::col(("back", column));
        let elsewhere = Query::select()
            .column((assignment::Entity, assignment::Column::Id))
            .from(assignment::Entity)
            .join_as(
                JoinType::InnerJoin,
                assignment::Entity,
                "back".into_iden(),
                home(assignment::Column::KeyId).equals(("back", assignment::Column::KeyId)),
            )
            .and_where(back(assignment::Column::Id).is_in(ids.iter().copied()))
            .and_where(home(assignment::Column::NodeId).ne(back(assignment::Column::NodeId)))
            .and_where(home(assignment::Column::State).is_in([State::Arriving, State::Active]))
            .take();
        let rows = self.tx.query_all(&elsewhere).await?;
        let others =
            rows.iter().map(|row| Ok(row.try_get::<i32>("", "id")?)).collect::<Result<Vec<_>, StoreError>>()?;
        self.end_homes(&others).await?;
        let here = Query::update()
            .table(assignment::Entity)
            .value(assignment::Column::State, State::Past)
            .from(assignment::Entity.into_table_ref().alias("back"))
            .and_where(back(assignment::Column::Id).is_in(ids.iter().copied()))
            .and_where(home(assignment::Column::KeyId).eq(back(assignment::Column::KeyId)))
            .and_where(home(assignment::Column::NodeId).eq(back(assignment::Column::NodeId)))
            .and_where(home(assignment::Column::State).is_in([State::Arriving, State::Ending]))
            .take();
        self.tx.execute(&here).await?;
        Ok(())
    }

    /// Clients that are leaving a node go at this deadline, if they would not go before; `grace` is for those that
    /// have none of their own.
    pub async fn shorten_grace(
        &self,
        node: NodeId,
        deadline: DateTime<Utc>,
        grace: TimeDelta,
    ) -> Result<(), StoreError> {
        use assignment::Column::{GraceEndsAt, LeftAt};
        let later = Condition::any()
            .add(GraceEndsAt.gt(deadline))
            .add(Condition::all().add(GraceEndsAt.is_null()).add(LeftAt.gt(deadline - grace)));
        assignment::Entity::update_many()
            .col_expr(GraceEndsAt, Expr::value(deadline))
            .filter(assignment::Column::NodeId.eq(id32(node.0)))
            .filter(assignment::Column::State.eq(State::Leaving))
            .filter(later)
            .exec(&self.tx)
            .await?;
        Ok(())
    }

    /// An operator ends the wait for users of leaving clients: the rule of settling lets them go at once. Says for how
    /// many clients that is.
    pub async fn end_grace(&self, whose: Whose) -> Result<u64, StoreError> {
        let whose = match whose {
            Whose::Node(node) => assignment::Column::NodeId.eq(id32(node.0)),
            Whose::Key(key) => assignment::Column::KeyId.eq(id32(key.0)),
        };
        // A grace that was over the moment the key left: the rule takes that for an operator's word.
        let done = assignment::Entity::update_many()
            .col_expr(assignment::Column::GraceEndsAt, Expr::col(assignment::Column::LeftAt))
            .filter(whose)
            .filter(assignment::Column::State.eq(State::Leaving))
            .exec(&self.tx)
            .await?;
        Ok(done.rows_affected)
    }
}

/// A page of the clients that are leaving, with where their keys live.
fn left_behind(after: i32) -> SelectStatement {
    let now = |column: assignment::Column| Expr::col(("home", column));
    Query::select()
        .columns([
            (assignment::Entity, assignment::Column::Id),
            (assignment::Entity, assignment::Column::UserId),
            (assignment::Entity, assignment::Column::NodeId),
            (assignment::Entity, assignment::Column::AssignedAt),
            (assignment::Entity, assignment::Column::LeftAt),
            (assignment::Entity, assignment::Column::SeenAt),
            (assignment::Entity, assignment::Column::Cause),
            (assignment::Entity, assignment::Column::GraceEndsAt),
        ])
        .expr_as(now(assignment::Column::KeyId), "key_id")
        .expr_as(now(assignment::Column::NodeId), "home_node")
        .expr_as(now(assignment::Column::AssignedAt), "home_assigned_at")
        .expr_as(now(assignment::Column::Since), "home_since")
        .expr_as(now(assignment::Column::SeenAt), "home_seen_at")
        .expr_as(lower_status(), "status")
        .columns([(key::Entity, key::Column::MusterState), (key::Entity, key::Column::MusterShownAt)])
        .column((user::Entity, user::Column::ValidUntil))
        .from(assignment::Entity)
        .join_as(
            JoinType::InnerJoin,
            assignment::Entity,
            "home".into_iden(),
            Condition::all()
                .add(home(assignment::Column::KeyId).equals(("home", assignment::Column::KeyId)))
                .add(now(assignment::Column::State).eq(State::Active)),
        )
        .join(JoinType::InnerJoin, key::Entity, home(assignment::Column::KeyId).equals((key::Entity, key::Column::Id)))
        .join(
            JoinType::InnerJoin,
            user::Entity,
            Expr::col((key::Entity, key::Column::UserId)).equals((user::Entity, user::Column::Id)),
        )
        .and_where(State::is_moving())
        .and_where(home(assignment::Column::State).eq(State::Leaving))
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
    node_id: i32,
    assigned_at: DateTime<Utc>,
    left_at: Option<DateTime<Utc>>,
    seen_at: Option<DateTime<Utc>>,
    cause: Option<String>,
    grace_ends_at: Option<DateTime<Utc>>,
    home_node: i32,
    home_assigned_at: DateTime<Utc>,
    home_since: Option<DateTime<Utc>>,
    home_seen_at: Option<DateTime<Utc>>,
    status: Option<String>,
    muster_state: Option<String>,
    muster_shown_at: Option<DateTime<Utc>>,
    valid_until: Option<Moment>,
}

impl Row {
    fn left(&self) -> Result<Leaving, StoreError> {
        let unusable = |word: &str| StoreError::Row {
            table: "user_node_assignments",
            column: "cause",
            row: self.id.into(),
            value: word.to_owned(),
        };
        let cause = match self.cause.as_deref() {
            Some(word) => Cause::find(word).ok_or_else(|| unusable(word))?,
            None => Cause::ByHand,
        };
        let left_at = self.left_at.unwrap_or(self.assigned_at);
        Ok(Leaving {
            node: NodeId(self.node_id.into()),
            since_ms: left_at.timestamp_millis(),
            seen_ms: self.seen_at.map(|at| at.timestamp_millis()),
            cause,
            grace_ms: self.grace_ends_at.map(|end| Ord::max((end - left_at).num_milliseconds(), 0)),
            serving_since_ms: None,
            may_return: false,
        })
    }

    fn moved_key(&self, now: DateTime<Utc>) -> LeavingKey {
        let is_in_force = self.status.as_deref() == Some("active") && self.muster_state.as_deref() == Some("active");
        let has_run_out = self.valid_until.is_some_and(|end| DateTime::from(end) <= now);
        let home = Home {
            node: NodeId(self.home_node.into()),
            since_ms: self.home_since.unwrap_or(self.home_assigned_at).timestamp_millis(),
            seen_ms: self.home_seen_at.map(|at| at.timestamp_millis()),
        };
        LeavingKey {
            key: KeyId(self.key_id.into()),
            user: UserId(self.user_id.into()),
            moved: Moved {
                home,
                handed_out_ms: self.muster_shown_at.map(|at| at.timestamp_millis()),
                leaving: Vec::new(),
                ended: !is_in_force || has_run_out,
            },
        }
    }
}
