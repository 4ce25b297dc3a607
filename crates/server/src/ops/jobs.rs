//! Jobs: paused, resumed, undone.

use super::{keys::counted, moves::add_planned};
use chrono::{DateTime, Utc};
use fleet::{
    id::{JobId, KeyId, NodeId},
    node::Policy,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};
use store::{
    Store, StoreError,
    events::Event,
    jobs::{Job, JobKind, JobMove, JobState, MoveState},
};

/// How many moves of a job are shown.
const SHOWN: u64 = 1000;

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
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

/// A job with the first thousand of its moves, by key.
pub async fn load(store: &Store, id: JobId) -> Result<(Job, Vec<JobMove>), JobError> {
    let read = store.read();
    let job = read.job(id).await?.ok_or(JobError::Unknown(id))?;
    let moves = read.moves_of(id, None, SHOWN).await?;
    Ok((job, moves))
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

/// Takes a job back: what has not begun is cancelled, and a new job sends the keys that it moved back to where they
/// were, if those nodes take them; a node that the job was emptying takes keys again. Gives that job, if there is anything for it to do.
pub async fn undo(
    store: &Store,
    id: JobId,
    asked_by: &str,
    trial_days: Option<u32>,
    now: DateTime<Utc>,
) -> Result<Option<JobId>, JobError> {
    let tx = store.write().await?;
    let job = tx.read().job(id).await?.ok_or(JobError::Unknown(id))?;
    let open = tx.read().moves_in(id, &[MoveState::Planned, MoveState::Waiting]).await?;
    let cancelled: Vec<KeyId> = open.iter().map(|m| m.key).collect();
    tx.set_moves(id, &cancelled, MoveState::Cancelled, Some("the job was undone"), now).await?;
    let moved = tx.read().moves_in(id, &[MoveState::Done, MoveState::Arriving]).await?;
    let at: BTreeSet<NodeId> = moved.iter().filter_map(|m| m.to).chain(moved.iter().filter_map(|m| m.from)).collect();
    let residents = tx.read().residents(&at.into_iter().collect::<Vec<_>>(), trial_days).await?;
    let residents: BTreeMap<KeyId, _> = residents.into_iter().map(|r| (r.key, r)).collect();
    let back = moved.iter().filter_map(|m| {
        let resident = residents.get(&m.key)?;
        let is_there = Some(resident.node) == m.to || resident.arriving_to == m.to;
        (is_there && m.from.is_some()).then_some((resident, m.from))
    });
    let back: Vec<_> = back.collect();
    if job.state != JobState::Done {
        tx.set_job_state(id, JobState::Done, now).await?;
    }
    let emptied = job.node.filter(|_| matches!(job.kind, JobKind::Drain | JobKind::Delete));
    if let Some(node) = emptied {
        // Its keys could not go back to a node that is being emptied.
        tx.set_policy(node, Policy::Active, now).await?;
    }
    if back.is_empty() && cancelled.is_empty() {
        return Err(JobError::NothingLeft(id));
    }
    let moved = back.len();
    let undo = match moved {
        0 => None,
        _ => Some(add_planned(&tx, JobKind::Undo, job.node, asked_by, None, back.into_iter(), now).await?),
    };
    let mut message = format!("job {id} ({}) is undone, asked for by {asked_by}", job.kind);
    if let Some(undo) = undo {
        let _ = write!(message, ": {} to go back (job {undo})", counted(moved, "key"));
    }
    tx.add_events(&[Event { at: now, kind: "job", node: job.node, key: None, message }]).await?;
    tx.commit().await?;
    Ok(undo)
}
