//! Jobs: moves that were asked for, or made necessary, together; and what becomes of each of them.

mod list;

pub(crate) use list::Change;
pub use list::{JobMove, NewMove};

use crate::{StoreError, View, Write, batch::padded, entity::job, entity::job_move, id32, text::cut};
use chrono::{DateTime, Utc};
use fleet::{
    id::{JobId, NodeId},
    settle::Cause,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, Set, sea_query::Expr,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

const TABLE: &str = "muster_jobs";
const TEXT_CHARACTERS: usize = 4096;

/// Declares an enum whose variants are words in the database and in answers.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in the database and in answers.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Reads the word back. `None` for any other.
            pub fn find(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words!(
    /// What a job is for.
    JobKind {
        /// A node went down.
        Failover = "failover",
        /// A node is being emptied.
        Drain = "drain",
        /// A node is to be deleted; without a node: keys whose node is gone get a home.
        Delete = "delete",
        /// The fleet is evened out.
        Rebalance = "rebalance",
        /// Somebody moves single keys.
        ByHand = "by_hand",
        /// Another job is taken back.
        Undo = "undo",
    }
);
words!(
    /// Where a job stands.
    JobState {
        /// It is carried out.
        Running = "running",
        /// It waits for an operator's word.
        Paused = "paused",
        /// It is over.
        Done = "done",
    }
);
words!(
    /// Where one move of a job stands.
    MoveState {
        /// To be done.
        Planned = "planned",
        /// The new node's panel is being told.
        Arriving = "arriving",
        /// It cannot be done for now.
        Waiting = "waiting",
        /// The key lives on the new node. Its old client may still be leaving.
        Done = "done",
        /// It cannot be done.
        Failed = "failed",
        /// The key moved, and is back where it was: its user was seen only there.
        Returned = "returned",
        /// It is no longer to be done.
        Cancelled = "cancelled",
    }
);

impl JobKind {
    /// Why keys move in such a job.
    pub fn cause(self) -> Cause {
        match self {
            Self::Failover => Cause::Failover,
            Self::Drain => Cause::Drain,
            Self::Delete => Cause::Delete,
            Self::Rebalance => Cause::Rebalance,
            Self::ByHand | Self::Undo => Cause::ByHand,
        }
    }

    /// Whether the keys of such a job go where its list says; those of others go where there is room.
    pub fn names_targets(self) -> bool {
        match self {
            Self::Failover | Self::Drain | Self::Delete => false,
            Self::Rebalance | Self::ByHand | Self::Undo => true,
        }
    }
}

impl MoveState {
    /// The states in which something is still to happen.
    pub const OPEN: &[Self] = &[Self::Planned, Self::Arriving, Self::Waiting];
}

/// A job to be made. It runs from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// What it is for.
    pub kind: JobKind,
    /// The node that it is about, if one.
    pub node: Option<NodeId>,
    /// Who wants it, for people; cut to 255 characters.
    pub asked_by: String,
    /// When clients that it leaves behind go at the latest.
    pub deadline_at: Option<DateTime<Utc>>,
    /// What else is to be known, for people.
    pub note: Option<String>,
}

/// A job with how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it is for.
    pub kind: JobKind,
    /// The node that it is about, if one. It may be deleted by now.
    pub node: Option<NodeId>,
    /// Who wanted it.
    pub asked_by: String,
    /// Where it stands.
    pub state: JobState,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// When clients that it leaves behind go at the latest.
    pub deadline_at: Option<DateTime<Utc>>,
    /// What else is to be known.
    pub note: Option<String>,
    /// How many of its moves stand where.
    pub moves: Counts,
}

/// How many moves stand where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<MoveState, u64>);

impl Counts {
    /// In this state.
    pub fn of(&self, state: MoveState) -> u64 {
        self.0.get(&state).copied().unwrap_or_default()
    }

    /// In any state.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// In a state in which something is still to happen.
    pub fn open(&self) -> u64 {
        MoveState::OPEN.iter().map(|state| self.of(*state)).sum()
    }
}

impl<C: ConnectionTrait> View<'_, C> {
    /// One job.
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let rows = job::Entity::find_by_id(id32(id.0)).all(self.c).await?;
        Ok(self.counted(rows).await?.pop())
    }

    /// The latest jobs, newest first.
    pub async fn jobs(&self, most: u64) -> Result<Vec<Job>, StoreError> {
        let most = Ord::min(most, i64::MAX.unsigned_abs());
        let rows = job::Entity::find().order_by_desc(job::Column::Id).limit(most).all(self.c).await?;
        self.counted(rows).await
    }

    /// The jobs that are not over, oldest first.
    pub async fn open_jobs(&self) -> Result<Vec<Job>, StoreError> {
        let rows = job::Entity::find().filter(is_open()).order_by_asc(job::Column::Id).all(self.c).await?;
        self.counted(rows).await
    }

    /// The jobs that are being carried out: a cheap way to notice that one was begun.
    pub async fn running_jobs(&self) -> Result<BTreeSet<JobId>, StoreError> {
        let running = job::Entity::find().select_only().column(job::Column::Id);
        let running = running.filter(job::Column::State.eq(JobState::Running.as_str()));
        let ids: Vec<i32> = running.into_tuple().all(self.c).await?;
        Ok(ids.into_iter().map(|id| JobId(id.into())).collect())
    }

    /// The newest job of this kind about this node that is not over; it may be paused.
    pub async fn find_running_job(&self, kind: JobKind, node: Option<NodeId>) -> Result<Option<Job>, StoreError> {
        let about = match node {
            Some(node) => job::Column::NodeId.eq(id32(node.0)),
            None => job::Column::NodeId.is_null(),
        };
        let found = job::Entity::find()
            .filter(is_open())
            .filter(job::Column::Kind.eq(kind.as_str()))
            .filter(about)
            .order_by_desc(job::Column::Id)
            .one(self.c)
            .await?;
        Ok(self.counted(found.into_iter().collect()).await?.pop())
    }

    async fn counted(&self, rows: Vec<job::Model>) -> Result<Vec<Job>, StoreError> {
        let ids: Vec<i32> = rows.iter().map(|row| row.id).collect();
        let mut counts: BTreeMap<i32, Counts> = BTreeMap::new();
        for ids in padded(&ids) {
            let groups: Vec<(i32, String, i64)> = job_move::Entity::find()
                .select_only()
                .column(job_move::Column::JobId)
                .column(job_move::Column::State)
                .expr(Expr::col(job_move::Column::Id).count())
                .filter(job_move::Column::JobId.is_in(ids))
                .group_by(job_move::Column::JobId)
                .group_by(job_move::Column::State)
                .into_tuple()
                .all(self.c)
                .await?;
            for (id, word, count) in groups {
                let state = MoveState::find(&word).ok_or_else(|| list::unusable("state", id, &word))?;
                counts.entry(id).or_default().0.insert(state, count.unsigned_abs());
            }
        }
        rows.into_iter()
            .map(|row| {
                let moves = counts.remove(&row.id).unwrap_or_default();
                record(row, moves)
            })
            .collect()
    }
}

impl Write<'_> {
    /// Makes a job.
    pub async fn add_job(&self, new: &NewJob, now: DateTime<Utc>) -> Result<JobId, StoreError> {
        let row = job::ActiveModel {
            kind: Set(new.kind.as_str().to_owned()),
            node_id: Set(new.node.map(|n| id32(n.0))),
            asked_by: Set(cut(&new.asked_by, 255)),
            state: Set(JobState::Running.as_str().to_owned()),
            created_at: Set(now),
            deadline_at: Set(new.deadline_at),
            note: Set(new.note.as_deref().map(|note| cut(note, TEXT_CHARACTERS))),
            ..Default::default()
        };
        Ok(JobId(row.insert(&self.tx).await?.id.into()))
    }

    /// Pauses a job, lets it run on, or ends it. What becomes of its open moves is the caller's to say. False if there
    /// is no such job.
    pub async fn set_job_state(&self, id: JobId, state: JobState, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let ended_at = (state == JobState::Done).then_some(now);
        let done = job::Entity::update_many()
            .col_expr(job::Column::State, Expr::value(state.as_str()))
            .col_expr(job::Column::EndedAt, Expr::value(ended_at))
            .filter(job::Column::Id.eq(id32(id.0)))
            .exec(&self.tx)
            .await?;
        Ok(done.rows_affected > 0)
    }

    /// Clients that a job leaves behind go at this deadline, if they would not go before.
    pub async fn shorten_deadline(&self, id: JobId, deadline: DateTime<Utc>) -> Result<(), StoreError> {
        let later = Condition::any().add(job::Column::DeadlineAt.is_null()).add(job::Column::DeadlineAt.gt(deadline));
        job::Entity::update_many()
            .col_expr(job::Column::DeadlineAt, Expr::value(deadline))
            .filter(job::Column::Id.eq(id32(id.0)))
            .filter(later)
            .exec(&self.tx)
            .await?;
        Ok(())
    }

    /// Forgets the jobs that were over before this, with their moves. Says how many.
    pub async fn forget_jobs(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let old = job::Entity::delete_many().filter(job::Column::EndedAt.lt(before));
        Ok(old.exec(&self.tx).await?.rows_affected)
    }
}

fn is_open() -> Expr {
    job::Column::State.is_in([JobState::Running.as_str(), JobState::Paused.as_str()])
}

fn record(row: job::Model, moves: Counts) -> Result<Job, StoreError> {
    let unusable =
        |column, value: &str| StoreError::Row { table: TABLE, column, row: row.id.into(), value: value.to_owned() };
    Ok(Job {
        id: JobId(row.id.into()),
        kind: JobKind::find(&row.kind).ok_or_else(|| unusable("kind", &row.kind))?,
        node: row.node_id.map(|n| NodeId(n.into())),
        state: JobState::find(&row.state).ok_or_else(|| unusable("state", &row.state))?,
        asked_by: row.asked_by,
        created_at: row.created_at,
        ended_at: row.ended_at,
        deadline_at: row.deadline_at,
        note: row.note,
        moves,
    })
}
