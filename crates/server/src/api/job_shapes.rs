//! Jobs, moves and previews as they are sent and received.

use crate::ops::{
    jobs::Opened,
    plan::{Plan, Planned},
    rebalance::Evened,
};
use chrono::{DateTime, Utc};
use fleet::id::JobId;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::jobs::{Job, JobMove, MoveState};
use utoipa::ToSchema;

/// Moves that were asked for, or made necessary, together.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobShape {
    /// Its number.
    pub id: i64,
    /// `failover`, `drain`, `delete` (without a node: of keys whose node is gone), `rebalance`, `by_hand` or `undo`.
    pub kind: &'static str,
    /// The node that it is about, if one.
    pub node_id: Option<i64>,
    /// Who wanted it.
    pub asked_by: String,
    /// `running`, `paused` or `done`.
    pub state: &'static str,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// When clients that it leaves behind go at the latest, if it says so itself.
    pub deadline_at: Option<DateTime<Utc>>,
    /// How many keys are on its list.
    pub total: u64,
    /// Still to be begun.
    pub planned: u64,
    /// On their way.
    pub arriving: u64,
    /// Cannot move for now; each says why.
    pub waiting: u64,
    /// Live on their new nodes.
    pub done: u64,
    /// Could not be moved.
    pub failed: u64,
    /// Moved, and are back where they were.
    pub returned: u64,
    /// No longer to be moved.
    pub cancelled: u64,
    /// How many old clients still work on the node that it empties, waiting for a sign of their users; only where one
    /// job is asked for. A deletion ends once the last of them is seen to be gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaving: Option<u64>,
    /// The first thousand of its moves, by key; only where one job is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moves: Option<Vec<MoveShape>>,
}

/// One key's move.
#[derive(Debug, Serialize, ToSchema)]
pub struct MoveShape {
    /// Which key.
    pub key_id: i64,
    /// Whose; none if he is unknown by now.
    pub telegram_id: Option<i64>,
    /// Where it lived.
    pub from: Option<i64>,
    /// Where it goes, or went.
    pub to: Option<i64>,
    /// `planned`, `arriving`, `waiting`, `done`, `failed`, `returned` or `cancelled`.
    pub state: &'static str,
    /// Why it stands there.
    pub reason: Option<String>,
    /// Since when.
    pub at: DateTime<Utc>,
}

/// All jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    /// At most 100.
    pub jobs: Vec<JobShape>,
}

/// How a node is to be emptied or deleted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrainShape {
    /// When old clients go at the latest, such as `24h`; without it after the grace of the settings.
    #[schema(value_type = Option<String>, max_length = 32)]
    #[serde(with = "time")]
    pub deadline: Option<Duration>,
    /// Only say who would go where.
    pub dry_run: bool,
    /// Begin even if some keys fit nowhere: they stay.
    pub partly: bool,
}

/// Who goes where, or would, and the job that does it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Begun {
    /// The job; none for a preview, or if nothing is to be done.
    pub job: Option<i64>,
    /// Every key that moves, who moves first coming first.
    pub moves: Vec<PlannedMove>,
    /// Why some of them fit nowhere.
    pub unplaced_because: Option<String>,
}

/// Where a key goes, or would.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedMove {
    /// Which key.
    pub key_id: i64,
    /// Whose.
    pub telegram_id: i64,
    /// Where it lives.
    pub from: i64,
    /// Where to; none if it fits nowhere.
    pub to: Option<i64>,
}

/// Where a key is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendShape {
    /// The node's name.
    #[schema(min_length = 1, max_length = 64)]
    pub to: String,
    /// Only say who would go where.
    #[serde(default)]
    pub dry_run: bool,
}

/// How a job is to be undone.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UndoShape {
    /// Only say who would go back where.
    pub dry_run: bool,
}

/// What evening out the fleet means.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RebalanceShape {
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What evening out the fleet does, or would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct RebalanceAnswer {
    /// The job; none if nothing is to be done, or only would be.
    pub job: Option<i64>,
    /// Every key that moves, by key.
    pub moves: Vec<PlannedMove>,
    /// Each node's keys, before and after.
    pub nodes: Vec<ShareShape>,
    /// Why no more keys move than these.
    pub rest: String,
}

/// One node's share of the keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShareShape {
    /// Its id.
    pub node_id: i64,
    /// Its name.
    pub name: String,
    /// Keys that live there.
    pub before: i64,
    /// Keys that live there once all is done.
    pub after: i64,
    /// Its fair share, if it takes part.
    pub fair: Option<i64>,
}

impl From<&Job> for JobShape {
    fn from(job: &Job) -> Self {
        let of = |state| job.moves.of(state);
        Self {
            id: job.id.0,
            kind: job.kind.as_str(),
            node_id: job.node.map(|n| n.0),
            asked_by: job.asked_by.clone(),
            state: job.state.as_str(),
            created_at: job.created_at,
            ended_at: job.ended_at,
            deadline_at: job.deadline_at,
            total: job.moves.total(),
            planned: of(MoveState::Planned),
            arriving: of(MoveState::Arriving),
            waiting: of(MoveState::Waiting),
            done: of(MoveState::Done),
            failed: of(MoveState::Failed),
            returned: of(MoveState::Returned),
            cancelled: of(MoveState::Cancelled),
            leaving: None,
            moves: None,
        }
    }
}

impl From<&Opened> for JobShape {
    fn from(opened: &Opened) -> Self {
        let shape = |m: &JobMove| MoveShape::new(m, opened.users.get(&m.user).copied());
        let moves = opened.moves.iter().map(shape).collect();
        Self { leaving: opened.leaving, moves: Some(moves), ..Self::from(&opened.job) }
    }
}

impl MoveShape {
    fn new(one: &JobMove, telegram_id: Option<i64>) -> Self {
        Self {
            key_id: one.key.0,
            telegram_id,
            from: one.from.map(|n| n.0),
            to: one.to.map(|n| n.0),
            state: one.state.as_str(),
            reason: one.reason.clone(),
            at: one.at,
        }
    }
}

impl From<&Planned> for PlannedMove {
    fn from(planned: &Planned) -> Self {
        Self {
            key_id: planned.key.0,
            telegram_id: planned.telegram_id,
            from: planned.from.0,
            to: planned.to.map(|n| n.0),
        }
    }
}

impl Begun {
    /// This plan, and the job that carries it out.
    pub fn new(job: Option<JobId>, plan: &Plan) -> Self {
        Self {
            job: job.map(|job| job.0),
            moves: plan.moves.iter().map(PlannedMove::from).collect(),
            unplaced_because: plan.why.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Evened> for RebalanceAnswer {
    fn from(evened: &Evened) -> Self {
        let nodes = evened.rebalanced.shares.iter().map(|share| ShareShape {
            node_id: share.node.0,
            name: share.name.clone(),
            before: share.before,
            after: share.after,
            fair: share.fair,
        });
        Self {
            job: evened.job.map(|job| job.0),
            moves: evened.moves.iter().map(PlannedMove::from).collect(),
            nodes: nodes.collect(),
            rest: evened.rebalanced.rest.to_string(),
        }
    }
}

/// Times such as `24h`, as in the settings.
pub(super) mod time {
    use serde::{Deserialize as _, Deserializer, de};
    use std::time::Duration;

    pub(in crate::api) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        crate::ops::moves::read_deadline(&text).map(Some).map_err(de::Error::custom)
    }
}
