//! Clients that keys left behind on a node: who still has one, until when, and an operator's word that it is enough.

use super::{jobs::SHOWN, moves::MoveError};
use crate::config::Config;
use chrono::{DateTime, Utc};
use fleet::{
    id::{KeyId, NodeId},
    place::may_return,
    settle::{Fate, QUIET_MS, Settings, settle},
};
use std::{collections::BTreeMap, time::Duration};
use store::{
    Store,
    leaving::{LeavingKey, Whose},
    nodes::NodeRecord,
};

/// A user whose key lives elsewhere by now, and whose old client still works here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillThere {
    /// Which key.
    pub key: KeyId,
    /// His Telegram id, if he is known.
    pub telegram_id: Option<i64>,
    /// Where the key lives.
    pub home: NodeId,
    /// Since when.
    pub since: DateTime<Utc>,
    /// His last traffic on the old node.
    pub seen_at: Option<DateTime<Utc>>,
    /// When the old client goes if nothing more is seen of him; after a failover later, if its node has just returned.
    /// `None`: the key goes back there, and the other client goes.
    pub until: Option<DateTime<Utc>>,
}

/// Who is still on a node that his key left: how many, and the thousand that go first. By what is written down: the loop
/// that decides counts only silence that it listened to itself, and waits longer after a start.
pub async fn still_there(
    store: &Store,
    config: &Config,
    node: NodeId,
    now: DateTime<Utc>,
) -> Result<(usize, Vec<StillThere>), MoveError> {
    let read = store.read();
    let nodes: BTreeMap<NodeId, NodeRecord> = read.nodes().await?.into_iter().map(|n| (n.node.id, n)).collect();
    if !nodes.contains_key(&node) {
        return Err(MoveError::UnknownNode(node.to_string()));
    }
    let at = |ms| DateTime::from_timestamp_millis(ms).unwrap_or(now);
    let (settings, mut found) = (settings(config), Vec::new());
    for mut key in read.leaving(now).await? {
        let fates = fates(&mut key, &nodes, &settings, DateTime::UNIX_EPOCH, now);
        let Some(left) = key.moved.leaving.iter().find(|left| left.node == node) else { continue };
        let until = match fates.get(&node) {
            Some(Fate::Keep { until_ms }) => Some(at(*until_ms)),
            Some(Fate::Return) => None,
            Some(Fate::Remove { .. }) | None => Some(now),
        };
        let (since, seen_at) = (at(left.since_ms), left.seen_ms.map(at));
        found.push((
            key.user,
            StillThere { key: key.key, telegram_id: None, home: key.moved.home.node, since, seen_at, until },
        ));
    }
    found.sort_by_key(|(_, one)| (one.until, one.key));
    let count = found.len();
    found.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    let users = read.telegram_ids(&found.iter().map(|(user, _)| *user).collect::<Vec<_>>()).await?;
    let known = found.into_iter().map(|(user, one)| StillThere { telegram_id: users.get(&user).copied(), ..one });
    Ok((count, known.collect()))
}

/// The grace of everybody who is leaving this node ends: their old clients go at once. Says how many.
pub async fn end_grace(store: &Store, node: NodeId) -> Result<u64, MoveError> {
    let tx = store.write().await?;
    if tx.read().find_node(node).await?.is_none() {
        return Err(MoveError::UnknownNode(node.to_string()));
    }
    let ended = tx.end_grace(Whose::Node(node)).await?;
    tx.commit().await?;
    Ok(ended)
}

/// How patient these settings are.
pub fn settings(config: &Config) -> Settings {
    let grace_ms = i64::try_from(config.moves.grace.as_millis()).unwrap_or(i64::MAX);
    // Silence is a sign only where it was listened to: a reading may be a period old, and so may the one before it.
    let late = config.moves.seen_every.saturating_sub(Duration::from_mins(1)).saturating_mul(2);
    let quiet_ms = QUIET_MS.saturating_add(i64::try_from(late.as_millis()).unwrap_or(i64::MAX));
    Settings { grace_ms, quiet_ms }
}

/// What becomes of each client that a key left behind. Fills in how their nodes do: seen by us since
/// `watching_since` at the earliest.
pub(crate) fn fates(
    key: &mut LeavingKey,
    nodes: &BTreeMap<NodeId, NodeRecord>,
    settings: &Settings,
    watching_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> BTreeMap<NodeId, Fate> {
    for old in &mut key.moved.leaving {
        let node = nodes.get(&old.node);
        let since = node.and_then(|n| n.watch.state().serving_since_ms());
        old.serving_since_ms = since.map(|ms| ms.max(watching_since.timestamp_millis()));
        old.may_return = node.is_some_and(|n| may_return(&n.node));
    }
    settle(&key.moved, settings, now.timestamp_millis())
}
