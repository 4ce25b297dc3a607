//! The list of a job: what becomes of each of its keys.

use super::{MoveState, TEXT_CHARACTERS};
use crate::{
    StoreError, View, Write,
    batch::{padded, parts},
    entity::job_move,
    id32,
    text::cut,
};
use chrono::{DateTime, Utc};
use fleet::id::{JobId, KeyId, NodeId, UserId};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set,
    sea_query::{Expr, OnConflict},
};
use std::collections::{BTreeMap, BTreeSet};

const TABLE: &str = "muster_moves";

/// A move to be put on a job's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMove {
    /// Which key.
    pub key: KeyId,
    /// Whose.
    pub user: UserId,
    /// Where it lives.
    pub from: Option<NodeId>,
    /// Where it shall go, if that is decided.
    pub to: Option<NodeId>,
    /// Where the move stands.
    pub state: MoveState,
    /// Why it stands there, for people.
    pub reason: Option<String>,
}

/// One move of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobMove {
    /// Whose list it is on.
    pub job: JobId,
    /// Which key; it may be gone by now.
    pub key: KeyId,
    /// Whose it was.
    pub user: UserId,
    /// Where it lived.
    pub from: Option<NodeId>,
    /// Where it goes, or went.
    pub to: Option<NodeId>,
    /// Where the move stands.
    pub state: MoveState,
    /// Why it stands there; once the old client is gone, why that went.
    pub reason: Option<String>,
    /// Since when it stands there.
    pub at: DateTime<Utc>,
}

/// What becomes of moves.
pub(crate) struct Change {
    /// Only of those that stand like this.
    pub(crate) from: Option<MoveState>,
    /// Where they stand then. Those that wait have no target any more.
    pub(crate) to: MoveState,
    pub(crate) reason: Option<String>,
    /// Since when; `None` leaves that as it is.
    pub(crate) at: Option<DateTime<Utc>>,
}

impl<C: ConnectionTrait> View<'_, C> {
    /// The moves of a job, by key: at most so many of those after this key.
    pub async fn moves_of(&self, job: JobId, after: Option<KeyId>, most: u64) -> Result<Vec<JobMove>, StoreError> {
        let mut query = job_move::Entity::find()
            .filter(job_move::Column::JobId.eq(id32(job.0)))
            .order_by_asc(job_move::Column::KeyId)
            .limit(Ord::min(most, i64::MAX.unsigned_abs()));
        if let Some(after) = after {
            query = query.filter(job_move::Column::KeyId.gt(id32(after.0)));
        }
        query.all(self.c).await?.into_iter().map(record).collect()
    }

    /// Those of these keys that a job after this one has moved.
    pub async fn moved_after(&self, job: JobId, keys: &[KeyId]) -> Result<BTreeSet<KeyId>, StoreError> {
        let keys: Vec<i32> = keys.iter().map(|key| id32(key.0)).collect();
        let mut moved = BTreeSet::new();
        for keys in padded(&keys) {
            let ids: Vec<i32> = job_move::Entity::find()
                .select_only()
                .column(job_move::Column::KeyId)
                .filter(job_move::Column::KeyId.is_in(keys))
                .filter(job_move::Column::JobId.gt(id32(job.0)))
                .filter(job_move::Column::State.eq(MoveState::Done.as_str()))
                .into_tuple()
                .all(self.c)
                .await?;
            moved.extend(ids.into_iter().map(|key| KeyId(key.into())));
        }
        Ok(moved)
    }

    /// The moves of a job that stand like one of these, in the order in which they were put on its list.
    pub async fn moves_in(&self, job: JobId, states: &[MoveState]) -> Result<Vec<JobMove>, StoreError> {
        let rows = job_move::Entity::find()
            .filter(job_move::Column::JobId.eq(id32(job.0)))
            .filter(is_in(states))
            .order_by_asc(job_move::Column::Id)
            .all(self.c)
            .await?;
        rows.into_iter().map(record).collect()
    }
}

impl Write<'_> {
    /// Puts moves on a job's list. A key that is on it already stays as it is there.
    pub async fn add_moves(&self, job: JobId, moves: &[NewMove], now: DateTime<Utc>) -> Result<(), StoreError> {
        for chunk in parts(moves) {
            let rows = chunk.iter().map(|new| row(job, new, now));
            let known = OnConflict::columns([job_move::Column::JobId, job_move::Column::KeyId]).do_nothing().to_owned();
            job_move::Entity::insert_many(rows).on_conflict(known).exec_without_returning(&self.tx).await?;
        }
        Ok(())
    }

    /// Writes down where moves of a job stand, and why. Keys that are not on its list are left out; a move that stands like
    /// that already, for this reason, keeps its time.
    pub async fn set_moves(
        &self,
        job: JobId,
        keys: &[KeyId],
        state: MoveState,
        reason: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let reason = reason.map(|text| cut(text, TEXT_CHARACTERS));
        let written = || Expr::col(job_move::Column::Reason);
        let differs = Condition::any().add(job_move::Column::State.ne(state.as_str())).add(match &reason {
            Some(reason) => written().is_null().or(written().ne(reason.as_str())),
            None => written().is_not_null(),
        });
        let keys: Vec<i32> = keys.iter().map(|k| id32(k.0)).collect();
        for keys in padded(&keys) {
            job_move::Entity::update_many()
                .col_expr(job_move::Column::State, Expr::value(state.as_str()))
                .col_expr(job_move::Column::Reason, Expr::value(reason.clone()))
                .col_expr(job_move::Column::At, Expr::value(now))
                .filter(job_move::Column::JobId.eq(id32(job.0)))
                .filter(job_move::Column::KeyId.is_in(keys))
                .filter(differs.clone())
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }

    /// These moves have begun, whether or not they were on the list.
    pub(crate) async fn begin_moves(&self, moves: &[(JobId, NewMove)], now: DateTime<Utc>) -> Result<(), StoreError> {
        for chunk in parts(moves) {
            let rows = chunk.iter().map(|(job, new)| row(*job, new, now));
            let listed = OnConflict::columns([job_move::Column::JobId, job_move::Column::KeyId])
                .update_columns([
                    job_move::Column::FromNode,
                    job_move::Column::ToNode,
                    job_move::Column::State,
                    job_move::Column::Reason,
                    job_move::Column::At,
                ])
                .to_owned();
            job_move::Entity::insert_many(rows).on_conflict(listed).exec_without_returning(&self.tx).await?;
        }
        Ok(())
    }

    /// Changes the moves of these keys on the lists of these jobs, as far as they stand like that. Job by job, with the
    /// keys as a list: joined with assignments, a list that has just grown long is read once for every key.
    pub(crate) async fn change_moves(&self, moves: &[(JobId, KeyId)], change: &Change) -> Result<(), StoreError> {
        let mut by_job: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (job, key) in moves {
            by_job.entry(id32(job.0)).or_default().push(id32(key.0));
        }
        for (job, keys) in by_job {
            for keys in padded(&keys) {
                let mut update = job_move::Entity::update_many()
                    .col_expr(job_move::Column::State, Expr::value(change.to.as_str()))
                    .col_expr(job_move::Column::Reason, Expr::value(change.reason.clone()))
                    .filter(job_move::Column::JobId.eq(job))
                    .filter(job_move::Column::KeyId.is_in(keys));
                if let Some(from) = change.from {
                    update = update.filter(job_move::Column::State.eq(from.as_str()));
                }
                if let Some(at) = change.at {
                    update = update.col_expr(job_move::Column::At, Expr::value(at));
                }
                if change.to == MoveState::Waiting {
                    update = update.col_expr(job_move::Column::ToNode, Expr::value(Option::<i32>::None));
                }
                update.exec(&self.tx).await?;
            }
        }
        Ok(())
    }

    /// Keys have ended: nothing is to happen to them any more.
    pub(crate) async fn cancel_moves(&self, keys: &[i32], now: DateTime<Utc>) -> Result<(), StoreError> {
        for keys in padded(keys) {
            job_move::Entity::update_many()
                .col_expr(job_move::Column::State, Expr::value(MoveState::Cancelled.as_str()))
                .col_expr(job_move::Column::Reason, Expr::value("the key has ended"))
                .col_expr(job_move::Column::At, Expr::value(now))
                .filter(job_move::Column::KeyId.is_in(keys))
                .filter(is_in(MoveState::OPEN))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }

    /// A node is gone: moves on their way there wait for another.
    pub(crate) async fn strand_moves(&self, node: i32, reason: &str) -> Result<(), StoreError> {
        job_move::Entity::update_many()
            .col_expr(job_move::Column::State, Expr::value(MoveState::Waiting.as_str()))
            .col_expr(job_move::Column::ToNode, Expr::value(Option::<i32>::None))
            .col_expr(job_move::Column::Reason, Expr::value(reason))
            .filter(job_move::Column::ToNode.eq(node))
            .filter(is_in(MoveState::OPEN))
            .exec(&self.tx)
            .await?;
        Ok(())
    }
}

fn is_in(states: &[MoveState]) -> Expr {
    job_move::Column::State.is_in(states.iter().map(|state| state.as_str()))
}

fn row(job: JobId, new: &NewMove, now: DateTime<Utc>) -> job_move::ActiveModel {
    job_move::ActiveModel {
        job_id: Set(id32(job.0)),
        key_id: Set(id32(new.key.0)),
        user_id: Set(id32(new.user.0)),
        from_node: Set(new.from.map(|n| id32(n.0))),
        to_node: Set(new.to.map(|n| id32(n.0))),
        state: Set(new.state.as_str().to_owned()),
        reason: Set(new.reason.as_deref().map(|text| cut(text, TEXT_CHARACTERS))),
        at: Set(now),
        ..Default::default()
    }
}

fn record(row: job_move::Model) -> Result<JobMove, StoreError> {
    Ok(JobMove {
        job: JobId(row.job_id.into()),
        key: KeyId(row.key_id.into()),
        user: UserId(row.user_id.into()),
        from: row.from_node.map(|n| NodeId(n.into())),
        to: row.to_node.map(|n| NodeId(n.into())),
        state: MoveState::find(&row.state).ok_or_else(|| unusable("state", row.id, &row.state))?,
        reason: row.reason,
        at: row.at,
    })
}

pub(super) fn unusable(column: &'static str, row: i32, value: &str) -> StoreError {
    StoreError::Row { table: TABLE, column, row: row.into(), value: value.to_owned() }
}
