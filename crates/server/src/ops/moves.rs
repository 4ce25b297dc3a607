//! Moves that somebody asks for: a node emptied, a key sent elsewhere; and what would come of it.
//!
//! Nothing here speaks to a panel: a job with its list of moves is written down, and the place loop carries it out as
//! it does for a node that died.

use super::{
    keys::counted,
    plan::{Plan, Planned, call_off, open_job},
};
use crate::config::Config;
use chrono::{DateTime, TimeDelta, Utc};
use fleet::{
    id::{JobId, KeyId, NodeId},
    node::Policy,
    place::{NoRoom, Reason, Wants, may_take},
};
use std::{sync::Arc, time::Duration};
use store::{
    Store, StoreError,
    events::Event,
    jobs::{JobKind, NewJob},
    keys::KeyState,
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

/// Who would go where if this node were emptied now. Changes nothing.
pub async fn preview(store: &Store, config: &Config, node: NodeId) -> Result<Plan, MoveError> {
    let read = store.read();
    let nodes = read.nodes().await?;
    find(&nodes, node)?;
    Ok(emptied(&nodes, node, read.residents(&[node], config.trial().days).await?))
}

fn emptied(nodes: &[NodeRecord], node: NodeId, residents: Vec<Resident>) -> Plan {
    let wants = Wants { avoid: [node].into(), ..Wants::default() };
    let fleet: Vec<_> = nodes.iter().map(|n| n.node.clone()).collect();
    Plan::place(&fleet, residents.into_iter().map(|resident| (resident, wants.clone())).collect())
}

fn find(nodes: &[NodeRecord], node: NodeId) -> Result<&NodeRecord, MoveError> {
    nodes.iter().find(|n| n.node.id == node).ok_or_else(|| MoveError::UnknownNode(node.to_string()))
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
/// confirmed it. A deadline holds for clients that are leaving it already as well. No job is opened where nothing is
/// left to do. Fails, with nothing done, when some keys fit nowhere and that was not allowed for.
pub async fn drain(
    store: &Store,
    config: &Config,
    node: NodeId,
    how: &Drain,
    now: DateTime<Utc>,
) -> Result<(Option<JobId>, Plan), MoveError> {
    let tx = store.write().await?;
    let nodes = tx.read().nodes().await?;
    let name = find(&nodes, node)?.node.name.clone();
    let plan = emptied(&nodes, node, tx.read().residents(&[node], config.trial().days).await?);
    if let Some(why) = plan.why.clone().filter(|_| !how.partly) {
        return Err(MoveError::NoRoom { node: name, keys: plan.unplaced(), why });
    }
    tx.set_policy(node, Policy::Maintenance, now).await?;
    let kind = if how.delete { JobKind::Delete } else { JobKind::Drain };
    let deadline_at = how.deadline.and_then(|d| TimeDelta::from_std(d).ok()).map(|d| now + d);
    if let Some(deadline) = deadline_at {
        tx.shorten_grace(node, deadline, TimeDelta::from_std(config.moves.grace).unwrap_or_default()).await?;
    }
    for about in [JobKind::Drain, JobKind::Delete] {
        let Some(open) = tx.read().find_running_job(about, Some(node)).await? else { continue };
        if let Some(deadline) = deadline_at {
            // A job that ends here has keys on their way, perhaps, which leave with its deadline.
            tx.shorten_deadline(open.id, deadline).await?;
        }
        if about != kind {
            call_off(&tx, open.id, "another job does it", now).await?;
        }
    }
    let job = match tx.read().find_running_job(kind, Some(node)).await? {
        Some(job) => Some(job.id),
        None if plan.moves.is_empty() && !how.delete => None,
        None => {
            let new = NewJob { kind, node: Some(node), asked_by: how.asked_by.clone(), deadline_at, note: None };
            Some(open_job(&tx, &new, &plan.moves, now).await?)
        }
    };
    let message = format!(
        "node {name} is to be {}: {} to move, asked for by {}{}",
        if how.delete { "deleted" } else { "emptied" },
        counted(plan.moves.len(), "key"),
        how.asked_by,
        job.map(|job| format!(" (job {job})")).unwrap_or_default()
    );
    tx.add_events(&[Event { at: now, kind: "job", node: Some(node), key: None, message }]).await?;
    tx.commit().await?;
    Ok((job, plan))
}

/// Sends a user's key to a node. With `dry_run` only says whether that node would take it.
pub async fn send(
    store: &Store,
    telegram_id: i64,
    to: &NodeRecord,
    asked_by: &str,
    dry_run: bool,
    now: DateTime<Utc>,
) -> Result<(Option<JobId>, Plan), MoveError> {
    let tx = store.write().await?;
    let user = tx.read().find_user(telegram_id).await?.ok_or(MoveError::UnknownUser(telegram_id))?;
    let keys = tx.read().keys_of(&[user.id]).await?;
    let key = keys.into_iter().find(|k| k.state == KeyState::Active).ok_or(MoveError::NoKey(telegram_id))?;
    let from = key.node.ok_or(MoveError::NoKey(telegram_id))?;
    let target = to.node.id;
    if from == target {
        return Err(MoveError::AtHome(to.node.name.clone()));
    }
    if let Err(reasons) = may_take(&to.node, &Wants::default()) {
        return Err(MoveError::Refused { node: to.node.name.clone(), reasons });
    }
    let moves = vec![Planned { key: key.id, user: user.id, telegram_id, from, to: Some(target) }];
    let plan = Plan { moves, why: None };
    if dry_run {
        return Ok((None, plan));
    }
    let (node, asked_by) = (Some(target), asked_by.to_owned());
    let new = NewJob { kind: JobKind::ByHand, node, asked_by, deadline_at: None, note: None };
    let job = open_job(&tx, &new, &plan.moves, now).await?;
    tx.commit().await?;
    Ok((Some(job), plan))
}
