//! Jobs: paused, resumed, undone.

use super::{
    keys::counted,
    plan::{Plan, Planned, call_off, call_off_emptying, held_there, open_job},
};
use crate::config::Config;
use chrono::{DateTime, Utc};
use fleet::{
    id::{JobId, KeyId, NodeId, UserId},
    node::{Node, Policy},
    place::{NoRoom, Wants, count_off},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};
use store::{
    Store, StoreError, Write,
    events::Event,
    jobs::{Job, JobKind, JobMove, JobState, MoveState, NewJob},
    moves::Resident,
};

/// How many moves of a job, or users of old clients, are shown.
pub const SHOWN: u64 = 1000;

/// Why a job is not changed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No job has that number.
    #[error("there is no job {0}")]
    Unknown(JobId),
    /// It is over.
    #[error("job {0} is over")]
    Over(JobId),
    /// None of its keys lives where it was moved to, or could go back.
    #[error("nothing of job {0} is left to be undone: none of its keys lives where it sent them")]
    NothingLeft(JobId),
    /// The nodes that its keys came from take none of them.
    #[error("none of the keys that job {job} moved can go back: {why}")]
    NoWayBack {
        /// The job.
        job: JobId,
        /// Every node's reasons.
        #[source]
        why: Arc<NoRoom>,
    },
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

/// A job and what it is about.
#[derive(Debug)]
pub struct Opened {
    /// The job.
    pub job: Job,
    /// The first thousand of its moves, by key.
    pub moves: Vec<JobMove>,
    /// The Telegram ids of their users.
    pub users: BTreeMap<UserId, i64>,
    /// Where the job empties a node: how many old clients still work there, waiting for a sign of their users.
    pub leaving: Option<u64>,
}

/// A job with its moves.
pub async fn load(store: &Store, id: JobId) -> Result<Opened, JobError> {
    let read = store.read();
    let job = read.job(id).await?.ok_or(JobError::Unknown(id))?;
    let moves = read.moves_of(id, None, SHOWN).await?;
    let users = read.telegram_ids(&moves.iter().map(|m| m.user).collect::<Vec<_>>()).await?;
    let leaving = match job.node.filter(|_| matches!(job.kind, JobKind::Drain | JobKind::Delete)) {
        Some(node) => Some(read.count_leaving().await?.get(&node).copied().unwrap_or_default()),
        None => None,
    };
    Ok(Opened { job, moves, users, leaving })
}

/// Pauses a job, or lets it go on. What is on its way already arrives.
pub async fn set_paused(store: &Store, id: JobId, paused: bool, now: DateTime<Utc>) -> Result<Job, JobError> {
    let tx = store.write().await?;
    let job = tx.read().job(id).await?.ok_or(JobError::Unknown(id))?;
    if job.state == JobState::Done {
        return Err(JobError::Over(id));
    }
    tx.set_job_state(id, if paused { JobState::Paused } else { JobState::Running }, now).await?;
    let message = format!("job {id} ({}) {}, by an operator", job.kind, if paused { "is paused" } else { "goes on" });
    tx.add_events(&[Event { at: now, kind: "job", node: job.node, key: None, message }]).await?;
    let job = tx.read().job(id).await?.ok_or(JobError::Unknown(id))?;
    tx.commit().await?;
    Ok(job)
}

/// Takes a job back: what has not begun is cancelled, what is on its way is called back, and a new job sends the keys
/// that moved back to where they were, if those nodes take them; a node that the job was emptying takes keys again.
/// Gives that job, if there is anything for it to do, and who goes back. With `dry_run` only says who would.
pub async fn undo(
    store: &Store,
    config: &Config,
    id: JobId,
    asked_by: &str,
    dry_run: bool,
    now: DateTime<Utc>,
) -> Result<(Option<JobId>, Plan), JobError> {
    let tx = store.write().await?;
    let job = tx.read().job(id).await?.ok_or(JobError::Unknown(id))?;
    let emptied = job.node.filter(|_| matches!(job.kind, JobKind::Drain | JobKind::Delete));
    let (back, plan) = way_back(&tx, id, emptied, config.trial().days).await?;
    let open = tx.read().moves_in(id, MoveState::OPEN).await?;
    if back.is_empty() && open.is_empty() {
        return Err(JobError::NothingLeft(id));
    }
    if dry_run {
        return Ok((None, plan));
    }
    let is_hopeless = !back.is_empty() && plan.unplaced().len() == back.len();
    if let Some(why) = plan.why.clone().filter(|_| is_hopeless && open.is_empty()) {
        return Err(JobError::NoWayBack { job: id, why });
    }
    let under_way = open.iter().filter(|m| m.state == MoveState::Arriving);
    let under_way: Vec<(KeyId, NodeId)> = under_way.filter_map(|m| Some((m.key, m.to?))).collect();
    tx.cancel_arrivals(&under_way, "the job was undone", now).await?;
    call_off(&tx, id, "the job was undone", now).await?;
    if let Some(node) = emptied {
        // Its keys could not go back to a node that is being emptied.
        tx.set_policy(node, Policy::Active, now).await?;
        call_off_emptying(&tx, node, now).await?;
        let name = tx.read().find_node(node).await?.map_or_else(|| node.to_string(), |n| n.node.name);
        let message = format!("node {name} takes new keys, for the job that emptied it is undone (job {id})");
        tx.add_events(&[Event { at: now, kind: "policy", node: Some(node), key: None, message }]).await?;
    }
    let asked_by = asked_by.to_owned();
    let mut message = format!("job {id} ({}) is undone, asked for by {asked_by}", job.kind);
    let new = NewJob { kind: JobKind::Undo, node: job.node, asked_by, deadline_at: None, note: None };
    let undo = if back.is_empty() { None } else { Some(open_job(&tx, &new, &back, now).await?) };
    if let Some(undo) = undo {
        let _ = write!(message, ": {} to go back (job {undo})", counted(back.len(), "key"));
    }
    tx.add_events(&[Event { at: now, kind: "job", node: job.node, key: None, message }]).await?;
    tx.commit().await?;
    Ok((undo, plan))
}

/// The keys that live where this job sent them, each with the node that it came from, if that is still there; and the
/// same as far as those nodes would take them now. `emptied` counts as one that takes keys again.
async fn way_back(
    tx: &Write<'_>,
    id: JobId,
    emptied: Option<NodeId>,
    trial_days: Option<u32>,
) -> Result<(Vec<Planned>, Plan), StoreError> {
    let read = tx.read();
    let mut fleet: Vec<Node> = read.nodes().await?.into_iter().map(|n| n.node).collect();
    let mut moved = read.moves_in(id, &[MoveState::Done]).await?;
    let since = read.moved_after(id, &moved.iter().map(|m| m.key).collect::<Vec<_>>()).await?;
    // Where another job has sent a key since is that job's affair.
    moved.retain(|m| !since.contains(&m.key));
    let at: BTreeSet<NodeId> = moved.iter().filter_map(|m| m.to).collect();
    let residents = read.residents(&at.into_iter().collect::<Vec<_>>(), trial_days).await?;
    let mut residents: BTreeMap<KeyId, Resident> = residents.into_iter().map(|r| (r.key, r)).collect();
    let there = moved.iter().filter_map(|m| {
        let from = m.from.filter(|from| fleet.iter().any(|n| n.id == *from))?;
        let resident = residents.remove(&m.key).filter(|r| Some(r.node) == m.to)?;
        Some((resident, Wants { pin: Some(from), ..Wants::default() }))
    });
    let there: Vec<(Resident, Wants)> = there.collect();
    let back: Vec<Planned> = there.iter().map(|(resident, wants)| Planned::new(resident, wants.pin)).collect();
    fleet.iter_mut().filter(|n| Some(n.id) == emptied).for_each(|n| n.policy = Policy::Active);
    let held = held_there(tx, &back.iter().filter_map(|m| Some((m.key, m.to?))).collect()).await?;
    count_off(&mut fleet, held.iter().map(|(_, node)| *node));
    Ok((back, Plan::place(&fleet, there)))
}
