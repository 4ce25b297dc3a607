//! Settling moves: what becomes of the clients that keys left behind is `fleet`'s rule, by where their users are seen.

use super::{
    Pokes,
    driver::{Pass, Rest},
};
use crate::{
    ops::{
        keys::{counted, home},
        leaving::fates,
    },
    panels::Clock,
};
use chrono::{DateTime, Utc};
use fleet::{
    id::{KeyId, NodeId},
    settle::{Fate, Settings, Why},
};
use std::{collections::BTreeMap, time::Duration};
use store::{Store, StoreError, Write, events::Event, leaving::LeavingKey, nodes::NodeRecord};

/// How often without a poke: a grace that ends, by the clock or by an operator in another process, is noticed this
/// late at most.
const PERIOD: Duration = Duration::from_secs(5);

/// The settle loop of one process.
pub struct Settle {
    /// Where keys and nodes are.
    pub store: Store,
    /// Whom to wake.
    pub pokes: Pokes,
    /// The time.
    pub clock: Clock,
    /// How patient we are.
    pub settings: Settings,
    /// When this process began to watch: what was before is not known at first hand.
    pub watching_since: DateTime<Utc>,
}

impl Pass for Settle {
    async fn pass(&mut self) -> Rest {
        match pass(&self.store, &self.settings, self.watching_since, (self.clock)()).await {
            Ok(settled) if settled.is_empty() => {}
            Ok(_) => self.pokes.poke_unsettled(),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "moves could not be settled"),
        }
        Rest::Until(PERIOD)
    }
}

/// What a pass decided.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Old clients that go, by the sign that decided.
    pub removed: BTreeMap<(KeyId, NodeId), Why>,
    /// Keys that live again where they had left.
    pub returned: BTreeMap<KeyId, NodeId>,
}

impl Settled {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.returned.is_empty()
    }
}

/// One pass over every key that left clients behind, in one transaction.
pub async fn pass(
    store: &Store,
    settings: &Settings,
    watching_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Settled, StoreError> {
    if store.read().leaving(now).await?.is_empty() {
        return Ok(Settled::default());
    }
    let tx = store.write().await?;
    let nodes = tx.read().nodes().await?;
    let nodes: BTreeMap<NodeId, NodeRecord> = nodes.into_iter().map(|n| (n.node.id, n)).collect();
    let keys = tx.read().leaving(now).await?;
    let settled = decide(keys, &nodes, settings, watching_since, now);
    if !settled.is_empty() {
        carry_out(&tx, &settled, &nodes, now).await?;
        tx.commit().await?;
    }
    Ok(settled)
}

fn decide(
    keys: Vec<LeavingKey>,
    nodes: &BTreeMap<NodeId, NodeRecord>,
    settings: &Settings,
    watching_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Settled {
    let mut settled = Settled::default();
    for mut key in keys {
        for (node, fate) in fates(&mut key, nodes, settings, watching_since, now) {
            match fate {
                Fate::Keep { .. } => {}
                Fate::Remove { why } => drop(settled.removed.insert((key.key, node), why)),
                Fate::Return => drop(settled.returned.insert(key.key, node)),
            }
        }
    }
    settled
}

async fn carry_out(
    tx: &Write<'_>,
    settled: &Settled,
    nodes: &BTreeMap<NodeId, NodeRecord>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let name = |id: &NodeId| nodes.get(id).map_or("a deleted node", |n| n.node.name.as_str());
    let mut events = Vec::new();
    let mut groups: BTreeMap<(NodeId, Why), Vec<(KeyId, NodeId)>> = BTreeMap::new();
    for ((key, node), why) in &settled.removed {
        groups.entry((*node, *why)).or_default().push((*key, *node));
    }
    for ((node, why), clients) in groups {
        tx.end_leaving(&clients, why).await?;
        let message = format!("{} go from {}: {why}", counted(clients.len(), "old client"), name(&node));
        events.push(Event { at: now, kind: "settled", node: Some(node), key: None, message });
    }
    let back: Vec<(KeyId, NodeId)> = settled.returned.iter().map(|(key, node)| (*key, *node)).collect();
    let returned = tx.return_home(&back, now).await?;
    let mut addresses = Vec::new();
    for back in &returned {
        let Some(found) = tx.read().find_key(back.key).await? else { continue };
        let (Some(node), Some(identity)) = (nodes.get(&back.node), found.identity) else { continue };
        if let Ok(home) = home(node, back.key, found.user, identity) {
            addresses.push(home.address);
        }
        let message = format!("key {} is back on {}: its user was seen only there", back.key, node.node.name);
        events.push(Event { at: now, kind: "returned", node: Some(back.node), key: Some(back.key), message });
    }
    tx.set_addresses(&addresses, now).await?;
    tx.add_events(&events).await
}
