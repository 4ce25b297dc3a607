//! Keys that live nowhere: their node was deleted with them on it, or another program put them in force again. They get
//! a home by the same rules as any other, on behalf of a job of their own: a deletion without a node.

use super::rescue::Limits;
use crate::ops::keys::{counted, home};
use chrono::{DateTime, Utc};
use fleet::{
    id::{JobId, KeyId, NodeId},
    place::{Held, Key, Wants, may_arrive, place_within},
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
    let open = tx.read().find_running_job(JobKind::Delete, None).await?;
    if let Some(job) = &open {
        call_back(tx, nodes, job.id, now).await?;
    }
    let keys = tx.read().homeless_keys().await?;
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
    if state == JobState::Running {
        end_if_over(tx, job, &keys, now).await?;
    }
    Ok(targets)
}

/// Keys whose new node cannot take them after all, or refused them, are homeless again.
async fn call_back(
    tx: &Write<'_>,
    nodes: &BTreeMap<NodeId, NodeRecord>,
    job: JobId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let under_way = tx.read().moves_in(job, &[MoveState::Arriving]).await?;
    let refused = tx.read().refusals(&under_way.iter().map(|m| m.key).collect::<Vec<_>>()).await?;
    let lost = under_way.iter().filter_map(|m| {
        let to = m.to?;
        let refused_by = refused.get(&m.key).map_or(&[][..], Vec::as_slice);
        let arrives = nodes.get(&to).is_some_and(|n| may_arrive(&n.node, refused_by));
        (!arrives).then_some((m.key, to))
    });
    tx.cancel_arrivals(&lost.collect::<Vec<_>>(), "its new node cannot take it", now).await
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
    let refused = tx.read().refusals(&keys.iter().map(|key| key.id).collect::<Vec<_>>()).await?;
    let wishes = keys.iter().map(|key| {
        let avoid = refused.get(&key.id).into_iter().flatten().copied().collect();
        Key { id: key.id, home: None, wants: Wants { avoid, ..Wants::default() } }
    });
    let placed = place_within(&fleet, &wishes.collect::<Vec<_>>(), &mut limits.budget(tx).await?);
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
    let moves = tx.read().moves_in(job, MoveState::OPEN).await?;
    let homes = tx.read().homes_of(&moves.iter().map(|m| m.key).collect::<Vec<_>>()).await?;
    let homes: BTreeSet<(KeyId, NodeId)> = homes.into_iter().collect();
    let homeless: BTreeSet<KeyId> = homeless.iter().map(|key| key.id).collect();
    let (mut open, mut over) = (Vec::new(), Vec::new());
    for one in moves {
        let is_on_its_way = one.to.is_some_and(|to| homes.contains(&(one.key, to)));
        if is_on_its_way || homeless.contains(&one.key) { open.push(one.key) } else { over.push(one.key) }
    }
    tx.set_moves(job, &over, MoveState::Cancelled, Some("the key is no longer in force"), now).await?;
    if open.is_empty() {
        tx.set_job_state(job, JobState::Done, now).await?;
    }
    Ok(())
}
