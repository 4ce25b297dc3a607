//! Keys that live nowhere: their node was deleted with them on it, or another program put them in force again. They get
//! a home by the same rules as any other, on behalf of a job of their own: a deletion without a node.

use super::rescue::Limits;
use crate::ops::keys::{counted, home};
use chrono::{DateTime, Utc};
use fleet::{
    budget::Budget,
    id::{JobId, KeyId, NodeId},
    place::{Held, Key, Wants, place_within},
    settle::Cause,
};
use std::collections::{BTreeMap, BTreeSet};
use store::{
    StoreError, Write,
    events::Event,
    jobs::{JobKind, JobState, MoveState, NewJob, NewMove},
    keys::KeyRecord,
    moves::StartMove,
    nodes::NodeRecord,
};

/// Sends homeless keys on their way, as far as the budget allows; those that fit nowhere wait on the job's list, with
/// the reason. Ends the job when nothing is left on it. Says which nodes have keys to take.
pub(super) async fn house(
    tx: &Write<'_>,
    nodes: &BTreeMap<NodeId, NodeRecord>,
    limits: &Limits,
    now: DateTime<Utc>,
) -> Result<BTreeSet<NodeId>, StoreError> {
    let keys = tx.read().homeless_keys().await?;
    let open = tx.read().find_running_job(JobKind::Delete, None).await?;
    let (job, state) = match open {
        Some(job) => (job.id, job.state),
        None if keys.is_empty() => return Ok(BTreeSet::new()),
        None => {
            let asked_by = "muster".to_owned();
            let new = NewJob { kind: JobKind::Delete, node: None, asked_by, deadline_at: None, note: None };
            (tx.add_job(&new, now).await?, JobState::Running)
        }
    };
    let listed: Vec<NewMove> = keys.iter().map(to_come).collect();
    tx.add_moves(job, &listed, now).await?;
    let targets = match state {
        JobState::Running => begin(tx, nodes, job, &keys, limits, now).await?,
        JobState::Paused | JobState::Done => BTreeSet::new(),
    };
    end_if_over(tx, job, &keys, now).await?;
    Ok(targets)
}

fn to_come(key: &KeyRecord) -> NewMove {
    NewMove { key: key.id, user: key.user, from: None, to: None, state: MoveState::Planned, reason: None }
}

async fn begin(
    tx: &Write<'_>,
    nodes: &BTreeMap<NodeId, NodeRecord>,
    job: JobId,
    keys: &[KeyRecord],
    limits: &Limits,
    now: DateTime<Utc>,
) -> Result<BTreeSet<NodeId>, StoreError> {
    // Read anew: in this transaction other keys have taken room.
    let fleet: Vec<_> = tx.read().nodes().await?.into_iter().map(|n| n.node).collect();
    let wishes: Vec<Key> = keys.iter().map(|key| Key { id: key.id, home: None, wants: Wants::default() }).collect();
    let placed = place_within(&fleet, &wishes, &mut Budget::new(limits.per_pass, limits.per_target));
    let keys: BTreeMap<KeyId, &KeyRecord> = keys.iter().map(|key| (key.id, key)).collect();
    let mut starts: BTreeMap<NodeId, Vec<StartMove>> = BTreeMap::new();
    for step in placed.moves {
        let (Some(key), Some(node)) = (keys.get(&step.key), nodes.get(&step.to)) else { continue };
        let Some(identity) = key.identity.clone() else { continue };
        let Ok(found) = home(node, key.id, key.user, identity) else { continue };
        if tx.take_room(step.to, 1).await? {
            let start = StartMove { assign: found.assign, from: None, cause: Cause::Delete, job: Some(job) };
            starts.entry(step.to).or_default().push(start);
        }
    }
    for (target, starts) in &starts {
        tx.start_moves(starts, now).await?;
        let name = nodes.get(target).map_or("", |n| n.node.name.as_str());
        let message = format!("moving {} without a node to {name} (job {job})", counted(starts.len(), "key"));
        tx.add_events(&[Event { at: now, kind: "moving", node: Some(*target), key: None, message }]).await?;
    }
    for Held { key, why } in &placed.held {
        tx.set_moves(job, &[*key], MoveState::Waiting, Some(&why.to_string()), now).await?;
    }
    Ok(starts.into_keys().collect())
}

/// Ends what is no longer to be done, because another program ended the key, and the job when nothing is left.
async fn end_if_over(tx: &Write<'_>, job: JobId, homeless: &[KeyRecord], now: DateTime<Utc>) -> Result<(), StoreError> {
    let open: Vec<KeyId> = tx.read().moves_in(job, MoveState::OPEN).await?.into_iter().map(|m| m.key).collect();
    let mut alive: BTreeSet<KeyId> = tx.read().homes_of(&open).await?.into_iter().map(|(key, _)| key).collect();
    alive.extend(homeless.iter().map(|key| key.id));
    let (open, over): (Vec<KeyId>, Vec<KeyId>) = open.into_iter().partition(|key| alive.contains(key));
    tx.set_moves(job, &over, MoveState::Cancelled, Some("the key is no longer in force"), now).await?;
    if open.is_empty() {
        tx.set_job_state(job, JobState::Done, now).await?;
    }
    Ok(())
}
