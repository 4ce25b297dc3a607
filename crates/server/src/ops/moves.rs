//! Moves that somebody asks for: a node emptied, a key sent elsewhere; and what would come of it.
//!
//! Nothing here speaks to a panel: a job with its list of moves is written down, and the place loop carries it out as
//! it does for a node that died.

use super::keys::counted;
use chrono::{DateTime, TimeDelta, Utc};
use fleet::{
    budget::{Budget, Fairness},
    id::{JobId, KeyId, NodeId},
    node::Policy,
    place::{Key, NoRoom, Placed, Reason, Wants, may_take, place_within},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{
    Store, StoreError, Write,
    events::Event,
    jobs::{JobKind, JobState, MoveState, NewJob, NewMove},
    keys::KeyState,
    leaving::Whose,
    moves::Resident,
    nodes::NodeRecord,
};

/// Why nothing is moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// No node has that name or id.
    #[error("there is no node {0}")]
    UnknownNode(String),
    /// Nobody has that Telegram id.
    #[error("there is no user with Telegram id {0}")]
    UnknownUser(i64),
    /// He has no key of ours in force.
    #[error("user {0} has no key that could move")]
    NoKey(i64),
    /// He lives there already.
    #[error("the key lives on {0} already")]
    AtHome(String),
    /// The node does not take him.
    #[error("node {node} does not take the key: {}", .reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Refused {
        /// The node.
        node: String,
        /// All its reasons.
        reasons: Vec<Reason>,
    },
    /// Some keys fit nowhere.
    #[error("{} of the keys on node {node} fit nowhere else: {why}", .keys.len())]
    NoRoom {
        /// The node that was to be emptied.
        node: String,
        /// The keys.
        keys: Vec<KeyId>,
        /// Every other node's reasons.
        #[source]
        why: Arc<NoRoom>,
    },
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

/// Who would go where if a node were emptied now.
#[derive(Debug)]
pub struct Preview {
    /// The node.
    pub node: NodeRecord,
    /// Every key that lives there, with where it would go, if anywhere.
    pub moves: Vec<(Resident, Option<NodeId>)>,
    /// Why some would go nowhere.
    pub why: Option<Arc<NoRoom>>,
}

impl Preview {
    /// The keys that fit nowhere.
    pub fn unplaced(&self) -> Vec<KeyId> {
        self.moves.iter().filter(|(_, to)| to.is_none()).map(|(r, _)| r.key).collect()
    }

    fn refusal(&self) -> Option<MoveError> {
        let why = self.why.clone()?;
        Some(MoveError::NoRoom { node: self.node.node.name.clone(), keys: self.unplaced(), why })
    }
}

/// Who would go where if this node were emptied now. Changes nothing.
pub async fn preview(store: &Store, node: NodeId, trial_days: Option<u32>) -> Result<Preview, MoveError> {
    let nodes = store.read().nodes().await?;
    let residents = store.read().residents(&[node], trial_days).await?;
    previewed(&nodes, node, residents)
}

fn previewed(nodes: &[NodeRecord], node: NodeId, mut residents: Vec<Resident>) -> Result<Preview, MoveError> {
    let record = nodes.iter().find(|n| n.node.id == node).cloned();
    let record = record.ok_or_else(|| MoveError::UnknownNode(node.to_string()))?;
    residents.sort_by_key(fairness);
    let wants = Wants { avoid: [node].into(), ..Wants::default() };
    let keys: Vec<Key> = residents.iter().map(|r| Key { id: r.key, home: None, wants: wants.clone() }).collect();
    let fleet: Vec<_> = nodes.iter().map(|n| n.node.clone()).collect();
    let Placed { moves, held, .. } = place_within(&fleet, &keys, &mut Budget::unlimited());
    let to: BTreeMap<KeyId, NodeId> = moves.into_iter().map(|m| (m.key, m.to)).collect();
    let moves = residents.into_iter().map(|r| (r.clone(), to.get(&r.key).copied())).collect();
    Ok(Preview { node: record, moves, why: held.first().map(|h| h.why.clone()) })
}

fn fairness(resident: &Resident) -> Fairness {
    Fairness { paying: resident.paying, seen_ms: resident.seen_at.map(|at| at.timestamp_millis()), key: resident.key }
}

/// How a node is emptied.
#[derive(Debug, Clone)]
pub struct Drain {
    /// When old clients go at the latest, whether their users were seen elsewhere or not; `None`: after the grace.
    pub deadline: Option<Duration>,
    /// Whether the node is to be deleted once nothing of ours is left on it.
    pub delete: bool,
    /// Whether to begin even if some keys fit nowhere: they stay.
    pub partly: bool,
    /// Who wants it.
    pub asked_by: String,
}

/// Reads a [`Drain::deadline`]: a time such as `24h`, as in the settings.
pub fn read_deadline(text: &str) -> Result<Duration, &'static str> {
    let parsed = humantime::parse_duration(text).ok().filter(|d| *d <= Duration::from_hours(24 * 365));
    parsed.ok_or("a time up to a year, such as 30m or 24h")
}

/// Empties a node: it takes nobody from now on, and a job moves its keys, each as soon as its new node has
/// confirmed it. Fails, with nothing done, when some keys fit nowhere and that was not allowed for.
pub async fn drain(
    store: &Store,
    node: NodeId,
    how: &Drain,
    trial_days: Option<u32>,
    now: DateTime<Utc>,
) -> Result<(JobId, Preview), MoveError> {
    let tx = store.write().await?;
    let nodes = tx.read().nodes().await?;
    let residents = tx.read().residents(&[node], trial_days).await?;
    let preview = previewed(&nodes, node, residents)?;
    if let Some(refusal) = preview.refusal().filter(|_| !how.partly) {
        return Err(refusal);
    }
    tx.set_policy(node, Policy::Maintenance, now).await?;
    let kind = if how.delete { JobKind::Delete } else { JobKind::Drain };
    let deadline = how.deadline.and_then(|d| TimeDelta::from_std(d).ok()).map(|d| now + d);
    for other in [JobKind::Drain, JobKind::Delete].into_iter().filter(|other| *other != kind) {
        if let Some(old) = tx.read().find_running_job(other, Some(node)).await? {
            tx.set_job_state(old.id, JobState::Done, now).await?;
        }
    }
    let job = if let Some(job) = tx.read().find_running_job(kind, Some(node)).await? {
        job.id
    } else {
        let moves = preview.moves.iter().map(|(resident, _)| (resident, None));
        add_planned(&tx, kind, Some(node), &how.asked_by, deadline, moves, now).await?
    };
    let name = nodes.iter().find(|n| n.node.id == node).map_or_else(|| node.to_string(), |n| n.node.name.clone());
    let message = format!(
        "node {name} is to be {}: {} to move, asked for by {} (job {job})",
        if how.delete { "deleted" } else { "emptied" },
        counted(preview.moves.len(), "key"),
        how.asked_by
    );
    tx.add_events(&[Event { at: now, kind: "job", node: Some(node), key: None, message }]).await?;
    tx.commit().await?;
    Ok((job, preview))
}

/// The grace of everybody who is leaving this node ends: their old clients go at once.
pub async fn end_grace(store: &Store, node: NodeId) -> Result<u64, MoveError> {
    let tx = store.write().await?;
    if tx.read().find_node(node).await?.is_none() {
        return Err(MoveError::UnknownNode(node.to_string()));
    }
    let ended = tx.end_grace(Whose::Node(node)).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Sends a user's key to a node. With `dry_run` only says whether that node would take it.
pub async fn send(
    store: &Store,
    telegram_id: i64,
    to: &NodeRecord,
    asked_by: &str,
    dry_run: bool,
    now: DateTime<Utc>,
) -> Result<(KeyId, Option<JobId>), MoveError> {
    let tx = store.write().await?;
    let user = tx.read().find_user(telegram_id).await?.ok_or(MoveError::UnknownUser(telegram_id))?;
    let keys = tx.read().keys_of(&[user.id]).await?;
    let key = keys.into_iter().find(|k| k.state == KeyState::Active).ok_or(MoveError::NoKey(telegram_id))?;
    let from = key.node.ok_or(MoveError::NoKey(telegram_id))?;
    if from == to.node.id {
        return Err(MoveError::AtHome(to.node.name.clone()));
    }
    if let Err(reasons) = may_take(&to.node, &Wants::default()) {
        return Err(MoveError::Refused { node: to.node.name.clone(), reasons });
    }
    if dry_run {
        return Ok((key.id, None));
    }
    let residents = tx.read().residents(&[from], None).await?;
    let resident = residents.iter().find(|r| r.key == key.id).ok_or(MoveError::NoKey(telegram_id))?;
    let moves = std::iter::once((resident, Some(to.node.id)));
    let job = add_planned(&tx, JobKind::ByHand, Some(to.node.id), asked_by, None, moves, now).await?;
    tx.commit().await?;
    Ok((key.id, Some(job)))
}

/// Opens a job with these moves on its list.
pub(super) async fn add_planned<'a>(
    tx: &Write<'_>,
    kind: JobKind,
    node: Option<NodeId>,
    asked_by: &str,
    deadline_at: Option<DateTime<Utc>>,
    moves: impl Iterator<Item = (&'a Resident, Option<NodeId>)>,
    now: DateTime<Utc>,
) -> Result<JobId, StoreError> {
    let job = tx.add_job(&NewJob { kind, node, asked_by: asked_by.to_owned(), deadline_at, note: None }, now).await?;
    let listed = moves.map(|(resident, to)| NewMove {
        key: resident.key,
        user: resident.user,
        from: Some(resident.node),
        to,
        state: MoveState::Planned,
        reason: None,
    });
    tx.add_moves(job, &listed.collect::<Vec<_>>(), now).await?;
    Ok(job)
}
