//! Keys that nobody has seen yet, and whose node cannot take them after all, get another one.

use crate::ops::keys::home;
use chrono::{DateTime, Utc};
use fleet::{
    id::{KeyId, NodeId},
    node::Health,
    place::{Home, Key, Placed, Wants, place},
};
use std::collections::BTreeMap;
use store::{
    Store, StoreError, Write,
    assignments::Assign,
    events::Event,
    keys::{Address, KeyRecord},
    nodes::NodeRecord,
};

/// One pass: every pending key whose node may not keep it moves to the best node, in one transaction. Says what
/// moved and what is held for want of room.
pub async fn pass(store: &Store, now: DateTime<Utc>) -> Result<Placed, StoreError> {
    if store.read().pending_keys().await?.is_empty() {
        return Ok(Placed::default());
    }
    let tx = store.write().await?;
    let nodes = tx.read().nodes().await?;
    let pending = tx.read().pending_keys().await?;
    let refused = tx.read().refusals(&pending.iter().map(|k| k.id).collect::<Vec<_>>()).await?;
    let fleet: Vec<_> = nodes.iter().map(|n| n.node.clone()).collect();
    let keys: Vec<Key> = pending.iter().map(|k| wish(k, refused.get(&k.id))).collect();
    let placed = place(&fleet, &keys);
    if !placed.moves.is_empty() {
        carry_out(&tx, &placed, &pending, &nodes, now).await?;
        tx.commit().await?;
    }
    Ok(placed)
}

/// A key as the rules see it: a node that refused this very key is no home for it.
fn wish(key: &KeyRecord, refused_by: Option<&Vec<NodeId>>) -> Key {
    let avoid = refused_by.into_iter().flatten().copied().collect::<std::collections::BTreeSet<_>>();
    let home = key.node.filter(|n| !avoid.contains(n)).map(|node| Home { node, confirmed: false });
    Key { id: key.id, home, wants: Wants { avoid, ..Wants::default() } }
}

async fn carry_out(
    tx: &Write<'_>,
    placed: &Placed,
    pending: &[KeyRecord],
    nodes: &[NodeRecord],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let keys: BTreeMap<KeyId, &KeyRecord> = pending.iter().map(|k| (k.id, k)).collect();
    let nodes: BTreeMap<NodeId, &NodeRecord> = nodes.iter().map(|n| (n.node.id, n)).collect();
    let mut addresses: Vec<Address> = Vec::new();
    let mut assigns: Vec<Assign> = Vec::new();
    let mut events = Vec::new();
    for step in &placed.moves {
        let (Some(key), Some(node)) = (keys.get(&step.key), nodes.get(&step.to)) else { continue };
        let Some(identity) = key.identity.clone() else { continue };
        if !tx.take_room(step.to, 1).await? {
            continue;
        }
        if let Ok(home) = home(node, key.id, key.user, identity) {
            addresses.push(home.address);
            assigns.push(home.assign);
            events.push(replaced(step.key, step.from.and_then(|n| nodes.get(&n).copied()), node, now));
        }
    }
    tx.release_keys(&assigns.iter().map(|a| a.key).collect::<Vec<_>>(), None).await?;
    tx.set_addresses(&addresses, now).await?;
    tx.assign(&assigns, now).await?;
    tx.add_events(&events).await
}

fn replaced(key: KeyId, from: Option<&NodeRecord>, to: &NodeRecord, now: DateTime<Utc>) -> Event {
    let from = from.map_or("a node that refused it".to_owned(), |n| match &n.node.health {
        Health::Doubtful { reason } | Health::Down { reason } => format!("{} ({reason})", n.node.name),
        Health::Up | Health::Unknown => n.node.name.clone(),
    });
    let message = format!("key {key} went to {} instead of {from}", to.node.name);
    Event { at: now, kind: "replaced", node: Some(to.node.id), key: Some(key), message }
}
