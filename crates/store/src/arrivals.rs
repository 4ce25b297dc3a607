//! What a panel's word changes: once it confirmed a client, pending keys are in force, and keys that moved live there.

use crate::{
    StoreError, Write,
    assignments::home,
    batch::padded,
    clients::{Version, same_version, versions},
    entity::{
        assignment::{self, State},
        client, job, key,
    },
    jobs::{Change, MoveState},
    keys::lower_status,
};
use chrono::{DateTime, Utc};
use fleet::{
    id::{InboundId, JobId, KeyId, NodeId, UserId},
    key::{ClientName, Identity},
    settle::Cause,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, JoinType, QueryFilter,
    sea_query::{Expr, IntoIden, IntoTableRef, Query, TableRef},
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A client that a panel confirmed, of a key that was on its way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Which key.
    pub key: KeyId,
    /// Whose.
    pub user: UserId,
    /// What it is everywhere.
    pub identity: Identity,
    /// Where it lives now.
    pub node: NodeId,
    /// The inbound there.
    pub inbound: InboundId,
    /// What its row has to follow.
    pub how: Arrival,
}

/// What an arrival means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The key was pending and is in force from now on; its row says already where it lives.
    InForce,
    /// The key was in force and lives here from now on. Its row still names the old node: the caller writes the new
    /// address ([`Write::set_addresses`]) in the same transaction.
    Moved {
        /// Where it lived, if anywhere; its client there is leaving.
        from: Option<NodeId>,
        /// Why it moved.
        cause: Option<Cause>,
        /// On behalf of which job.
        job: Option<JobId>,
    },
}

/// What was found out about a line: an assignment that arrived.
struct Found {
    assignment: i32,
    arrived: Arrived,
}

impl Write<'_> {
    /// The panel holds these clients as wanted. Keys that were pending are in force from now on, and whatever keys
    /// their users held before end in the same moment: a user has one key. Keys that were on the move live here from
    /// now on, and their clients elsewhere are leaving. Lines that changed since the version given stay unsettled.
    ///
    /// Returns what arrived. Whoever moved needs his new address written ([`Write::set_addresses`]).
    pub async fn set_confirmed(&self, lines: &[Version], now: DateTime<Utc>) -> Result<Vec<Arrived>, StoreError> {
        let mut all = Vec::new();
        for chunk in padded(lines) {
            let update = Query::update()
                .table(client::Entity)
                .value(client::Column::Dirty, false)
                .value(client::Column::ConfirmedAt, now)
                .value(client::Column::Refusal, Option::<String>::None)
                .from(versions(&chunk))
                .and_where(same_version())
                .take();
            self.tx.execute(&update).await?;
            let mut found = self.arriving_of(&chunk).await?;
            let fresh = found.iter().filter(|f| f.arrived.how == Arrival::InForce).map(|f| f.arrived.key.0);
            let fresh: Vec<i64> = fresh.collect();
            let replaced = self.end_replaced(&fresh, now).await?;
            found.retain(|f| !replaced.contains(&f.arrived.key));
            let moved: Vec<&Found> = found.iter().filter(|f| f.arrived.how != Arrival::InForce).collect();
            self.leave(&moved, now).await?;
            self.settle(&found, now).await?;
            all.extend(found.into_iter().map(|f| f.arrived));
        }
        Ok(all)
    }

    /// Of these lines, the settled ones whose key was still on its way there.
    async fn arriving_of(&self, lines: &[Version]) -> Result<Vec<Found>, StoreError> {
        let old = |column: assignment::Column| Expr::col(("old", column));
        let line = |column: client::Column| (client::Entity, column);
        let query = Query::select()
            .expr_as(home(assignment::Column::Id), "assignment")
            .columns([
                (assignment::Entity, assignment::Column::UserId),
                (assignment::Entity, assignment::Column::State),
                (assignment::Entity, assignment::Column::Cause),
                (assignment::Entity, assignment::Column::JobId),
            ])
            .columns([
                line(client::Column::KeyId),
                line(client::Column::NodeId),
                line(client::Column::InboundId),
                line(client::Column::Name),
                line(client::Column::Uuid),
                line(client::Column::SubId),
                line(client::Column::Dirty),
            ])
            .column((key::Entity, key::Column::MusterState))
            .expr_as(old(assignment::Column::NodeId), "from_node")
            .from(client::Entity)
            // The lines come first, for they are few. SQLite, left to itself, begins with all that arrives.
            .cross_join(assignment::Entity)
            .join(
                JoinType::InnerJoin,
                key::Entity,
                home(assignment::Column::KeyId).equals((key::Entity, key::Column::Id)),
            )
            .join_as(
                JoinType::LeftJoin,
                assignment::Entity,
                "old".into_iden(),
                Condition::all()
                    .add(home(assignment::Column::KeyId).equals(("old", assignment::Column::KeyId)))
                    .add(home(assignment::Column::NodeId).ne(old(assignment::Column::NodeId)))
                    .add(old(assignment::Column::State).eq(State::Active)),
            )
            .and_where(home(assignment::Column::KeyId).equals(line(client::Column::KeyId)))
            .and_where(home(assignment::Column::NodeId).equals(line(client::Column::NodeId)))
            .and_where(home(assignment::Column::State).is_in(State::PRESENT))
            .and_where(Expr::col(line(client::Column::Id)).is_in(lines.iter().map(|v| v.id)))
            .take();
        let rows = self.tx.query_all(&query).await?;
        let rows = rows.iter().map(|row| Row::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()?;
        // Not asked for in the question: SQLite would begin with every line in the database that is settled, and
        // PostgreSQL with everything that arrives, for by its statistics of a quiet day that is next to nothing.
        let arrived = rows.into_iter().filter(|row| !row.dirty && row.state == State::Arriving);
        arrived.map(Row::found).collect()
    }

    /// Ends the older keys of the users whose keys have arrived, and says which. One that another program had ended
    /// keeps that program's word for it.
    async fn end_replaced(&self, arrived: &[i64], now: DateTime<Utc>) -> Result<BTreeSet<KeyId>, StoreError> {
        let mut replaced = BTreeSet::new();
        for arrived in padded(arrived) {
            let newer = || "newer".into_iden();
            let query = Query::select()
                .distinct()
                .column((key::Entity, key::Column::Id))
                .expr_as(lower_status(), "status")
                .from(key::Entity)
                .join_as(
                    JoinType::InnerJoin,
                    key::Entity,
                    newer(),
                    Condition::all()
                        .add(Expr::col((newer(), key::Column::UserId)).equals((key::Entity, key::Column::UserId)))
                        .add(Expr::col((newer(), key::Column::Id)).gt(Expr::col((key::Entity, key::Column::Id)))),
                )
                .and_where(Expr::col((newer(), key::Column::Id)).is_in(arrived))
                .cond_where(
                    Condition::any()
                        .add(lower_status().eq("active"))
                        .add(Expr::col((key::Entity, key::Column::MusterState)).eq("active")),
                )
                .take();
            let (mut older, mut ended) = (Vec::new(), Vec::new());
            for row in self.tx.query_all(&query).await? {
                let id = KeyId(row.try_get::<i32>("", "id")?.into());
                let status: Option<String> = row.try_get("", "status")?;
                if status.as_deref() == Some("active") { older.push(id) } else { ended.push(id) }
            }
            self.end_keys(&older, now).await?;
            self.note_ended(&ended, now).await?;
            replaced.extend(older.into_iter().chain(ended));
        }
        Ok(replaced)
    }

    /// Keys that moved: what was their home is leaving, what else there was of them here is history.
    async fn leave(&self, moved: &[&Found], now: DateTime<Utc>) -> Result<(), StoreError> {
        let ids: Vec<i32> = moved.iter().map(|f| f.assignment).collect();
        for ids in padded(&ids) {
            let new = |column: assignment::Column| Expr::col(("new", column));
            let deadline = Query::select()
                .column((job::Entity, job::Column::DeadlineAt))
                .from(job::Entity)
                .and_where(Expr::col((job::Entity, job::Column::Id)).eq(new(assignment::Column::JobId)))
                .take();
            let elsewhere = Query::update()
                .table(assignment::Entity)
                .value(assignment::Column::State, State::Leaving)
                .value(assignment::Column::IsActive, false)
                .value(assignment::Column::LeftAt, now)
                .value(assignment::Column::Cause, new(assignment::Column::Cause))
                .value(assignment::Column::JobId, new(assignment::Column::JobId))
                .value(assignment::Column::GraceEndsAt, Expr::SubQuery(None, Box::new(deadline.into())))
                .from(newcomers())
                .and_where(new(assignment::Column::Id).is_in(ids.clone()))
                .and_where(home(assignment::Column::KeyId).eq(new(assignment::Column::KeyId)))
                .and_where(home(assignment::Column::NodeId).ne(new(assignment::Column::NodeId)))
                .and_where(home(assignment::Column::State).eq(State::Active))
                .take();
            self.tx.execute(&elsewhere).await?;
            let here = Query::update()
                .table(assignment::Entity)
                .value(assignment::Column::State, State::Past)
                .value(assignment::Column::IsActive, false)
                .from(newcomers())
                .and_where(new(assignment::Column::Id).is_in(ids.clone()))
                .and_where(home(assignment::Column::KeyId).eq(new(assignment::Column::KeyId)))
                .and_where(home(assignment::Column::NodeId).eq(new(assignment::Column::NodeId)))
                .and_where(home(assignment::Column::Id).ne(new(assignment::Column::Id)))
                .and_where(home(assignment::Column::State).is_in(State::PRESENT))
                .take();
            self.tx.execute(&here).await?;
        }
        let listed = moved.iter().filter_map(|found| match found.arrived.how {
            Arrival::Moved { job: Some(job), .. } => Some((job, found.arrived.key)),
            Arrival::Moved { job: None, .. } | Arrival::InForce => None,
        });
        let done = Change { from: None, to: MoveState::Done, reason: None, at: Some(now) };
        self.change_moves(&listed.collect::<Vec<_>>(), &done).await?;
        let keys: Vec<i32> = moved.iter().map(|f| crate::id32(f.arrived.key.0)).collect();
        for keys in padded(&keys) {
            key::Entity::update_many()
                .col_expr(key::Column::MusterMovedAt, Expr::value(now))
                .filter(key::Column::Id.is_in(keys))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }

    /// Arriving assignments become the plain answer to "where does this user live"; pending keys may be shown.
    async fn settle(&self, found: &[Found], now: DateTime<Utc>) -> Result<(), StoreError> {
        let homes: Vec<i32> = found.iter().map(|f| f.assignment).collect();
        for homes in padded(&homes) {
            assignment::Entity::update_many()
                .col_expr(assignment::Column::IsActive, Expr::value(true))
                .col_expr(assignment::Column::State, Expr::value(State::Active))
                .col_expr(assignment::Column::Since, Expr::value(now))
                .filter(assignment::Column::Id.is_in(homes))
                .exec(&self.tx)
                .await?;
        }
        let fresh = found.iter().filter(|f| f.arrived.how == Arrival::InForce);
        let keys: Vec<i32> = fresh.map(|f| crate::id32(f.arrived.key.0)).collect();
        for keys in padded(&keys) {
            key::Entity::update_many()
                .col_expr(key::Column::Status, Expr::value("active"))
                .col_expr(key::Column::MusterState, Expr::value("active"))
                .col_expr(key::Column::UpdatedAt, Expr::value(now))
                .filter(key::Column::Id.is_in(keys))
                .exec(&self.tx)
                .await?;
        }
        Ok(())
    }
}

/// The assignments that arrived, beside those of the same keys that an update changes.
fn newcomers() -> TableRef {
    assignment::Entity.into_table_ref().alias("new")
}

#[derive(FromQueryResult)]
struct Row {
    assignment: i32,
    user_id: i32,
    state: State,
    cause: Option<String>,
    job_id: Option<i32>,
    key_id: i32,
    node_id: i32,
    inbound_id: i32,
    name: String,
    uuid: String,
    sub_id: String,
    dirty: bool,
    muster_state: Option<String>,
    from_node: Option<i32>,
}

impl Row {
    fn found(self) -> Result<Found, StoreError> {
        let uuid = Uuid::parse_str(&self.uuid).map_err(|_| StoreError::Row {
            table: "muster_clients",
            column: "uuid",
            row: self.key_id.into(),
            value: self.uuid.clone(),
        })?;
        let how = if self.muster_state.as_deref() == Some("pending") {
            Arrival::InForce
        } else {
            Arrival::Moved {
                from: self.from_node.map(|n| NodeId(n.into())),
                cause: self.cause.as_deref().and_then(Cause::find),
                job: self.job_id.map(|j| JobId(j.into())),
            }
        };
        let arrived = Arrived {
            key: KeyId(self.key_id.into()),
            user: UserId(self.user_id.into()),
            identity: Identity { name: ClientName::from_stored(self.name), uuid, sub_id: self.sub_id },
            node: NodeId(self.node_id.into()),
            inbound: InboundId(self.inbound_id.into()),
            how,
        };
        Ok(Found { assignment: self.assignment, arrived })
    }
}
