//! The full pass: look at the panel, list what it holds, compare with the ledger, repair, report.

use super::{Said, Sync, SyncError, client};
use crate::{links, ops::keys::counted};
use fleet::{
    client::{ObservedClient, credential},
    id::{KeyId, NodeId},
    inbound::{Inbound, choose_inbound},
    key::{ClientName, Identity},
    sync::{Desired, Drift, Observed, Step, diff, is_ours},
};
use panel::XrayState;
use std::collections::{BTreeMap, BTreeSet};
use store::{
    clients::{ClientRow, Version},
    events::Event,
    keys::Address,
    nodes::NodeRecord,
};

impl Sync {
    pub(super) async fn full(&mut self) -> Result<(), SyncError> {
        let node = self.store.read().find_node(self.node).await?.ok_or(SyncError::Deleted)?;
        let status = self.panel.status().await?;
        match status.xray.state {
            XrayState::Running => {}
            XrayState::NotYet => return Err(SyncError::NotYet),
            XrayState::Stopped | XrayState::Error => return Err(SyncError::Xray(status.xray.error)),
        }
        let inbounds = self.panel.inbounds().await?;
        let settled_on =
            node.node.inbound.filter(|id| inbounds.iter().any(|i| i.id == *id && i.may_carry_keys().is_ok()));
        let inbound = choose_inbound(&inbounds, node.chosen_inbound.or(settled_on))?.clone();
        self.move_inbound(&node, &inbound, &inbounds).await?;
        self.next_door = None;
        self.repair(&node, &inbound).await?;
        let version = status.version.panel.unwrap_or_else(|| status.version.generation.to_string());
        if node.inbound.as_ref() != Some(&inbound) || node.panel_version.as_deref() != Some(&version) {
            let tx = self.store.write().await?;
            tx.set_panel(self.node, Some(&inbound), Some(&version)).await?;
            tx.commit().await?;
        }
        let refusal = self.recent_refusal().map(|why| format!("it refused new clients a moment ago: {why}"));
        let trouble = self.next_door.clone().or(refusal);
        Ok(self.set_trouble(trouble.as_deref()).await?)
    }

    /// When keys live on another inbound of the panel than they did (the operator replaced it), or the inbound
    /// has other settings: old clients go, and every key's link is written anew.
    async fn move_inbound(&mut self, node: &NodeRecord, inbound: &Inbound, all: &[Inbound]) -> Result<(), SyncError> {
        if node.inbound.as_ref() == Some(inbound) {
            return Ok(());
        }
        let rows = self.store.read().clients_on(self.node, false).await?;
        let elsewhere: BTreeSet<_> = rows.iter().map(|r| r.inbound).filter(|id| *id != inbound.id).collect();
        for old in all.iter().filter(|i| elsewhere.contains(&i.id)) {
            let identities: Vec<_> = rows.iter().filter(|r| r.inbound == old.id).map(|r| r.identity.clone()).collect();
            for answer in self.panel.remove_clients(old, &identities).await {
                answer?;
            }
        }
        let tx = self.store.write().await?;
        tx.set_inbound(self.node, inbound.id).await?;
        let keys = tx.read().keys_on(self.node).await?;
        let addresses = keys.into_iter().filter_map(|key| {
            let identity = key.identity?;
            Some(Address {
                key: key.id,
                link: links::link(node, inbound, &identity).ok()?,
                credential: credential(&inbound.protocol, identity.uuid),
                name: identity.name,
                node: self.node,
                inbound: inbound.id,
            })
        });
        let now = (self.clock)();
        tx.set_addresses(&addresses.collect::<Vec<_>>(), now).await?;
        tx.set_panel(self.node, Some(inbound), None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Compares, and says to the panel what differs. A listing that was cut short proves nothing absent.
    async fn repair(&mut self, node: &NodeRecord, inbound: &Inbound) -> Result<(), SyncError> {
        // Listed after the ledger was read: whatever the ledger gained meanwhile is the next pass's, and nothing
        // that the ledger does not name is touched.
        let mut rows = self.ledger().await?;
        let observation = self.panel.observe(inbound.id).await?;
        if self.recognise(inbound, &rows, &observation.clients).await? {
            rows = self.ledger().await?;
        }
        let observed = Observed { clients: observation.clients, complete: observation.complete };
        let now = (self.clock)();
        let difference = diff(&desired(&rows, inbound.flow()), &inbound.protocol, &observed, now.timestamp_millis());
        self.report(node, &rows, &difference.drift).await?;
        let versions = |names: &[ClientName]| -> Vec<Version> {
            names.iter().filter_map(|n| rows.get(n)).map(|r| r.version).collect()
        };
        let unsettled: Vec<_> =
            difference.settled.into_iter().filter(|n| rows.get(n).is_some_and(|r| !r.confirmed)).collect();
        let said = Said { confirmed: versions(&unsettled), gone: versions(&difference.gone), ..Said::default() };
        self.settle(&said).await?;
        let (mut remove, mut ensure) = (Vec::new(), Vec::new());
        for step in &difference.steps {
            match step {
                Step::Remove(identity) => remove.extend(rows.get(&identity.name).cloned()),
                Step::Ensure(client) => ensure.extend(rows.get(&client.identity.name).cloned()),
            }
        }
        self.remove(inbound, &remove).await?;
        self.ensure(inbound, &ensure).await
    }

    async fn ledger(&mut self) -> Result<BTreeMap<ClientName, ClientRow>, SyncError> {
        let rows = self.store.read().clients_on(self.node, false).await?;
        let newest = rows.iter().map(|row| row.version.line()).max();
        self.asked = Some(newest.max(self.asked).unwrap_or(i32::MIN));
        Ok(rows.into_iter().map(|r| (r.identity.name.clone(), r)).collect())
    }

    /// Clients of ours that were gone and are back, as after the restoration of an old backup: they go into the
    /// ledger again, so that they are removed and nobody gets in by a key that was revoked. True if there were any.
    async fn recognise(
        &mut self,
        inbound: &Inbound,
        rows: &BTreeMap<ClientName, ClientRow>,
        seen: &[ObservedClient],
    ) -> Result<bool, SyncError> {
        let unknown: BTreeMap<&ClientName, &ObservedClient> =
            seen.iter().map(|c| (&c.name, c)).filter(|(name, _)| !rows.contains_key(name)).collect();
        let names: Vec<ClientName> = unknown.keys().copied().cloned().collect();
        let mut ours = self.store.read().keys_named(&names).await?;
        ours.retain(|(_, identity)| is_ours(unknown[&identity.name], identity, &inbound.protocol));
        if !ours.is_empty() {
            self.next_door = self.leave_next_door(inbound, &mut ours).await?;
        }
        if ours.is_empty() {
            return Ok(false);
        }
        let tx = self.store.write().await?;
        tx.remember(self.node, inbound.id, &ours).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes out the keys that are at home on another node with an inbound like this, coming and leaving ones included, and
    /// says where: the newer of the two nodes is to be seen to by somebody.
    async fn leave_next_door(
        &self,
        inbound: &Inbound,
        ours: &mut Vec<(KeyId, Identity)>,
    ) -> Result<Option<String>, SyncError> {
        let nodes = self.store.read().nodes().await?;
        let is_next_door =
            |n: &&NodeRecord| n.node.id != self.node && n.inbound.as_ref().is_some_and(|other| inbound.is_alike(other));
        let next_door: BTreeMap<NodeId, &NodeRecord> =
            nodes.iter().filter(is_next_door).map(|n| (n.node.id, n)).collect();
        if next_door.is_empty() {
            return Ok(None);
        }
        let keys: Vec<KeyId> = ours.iter().map(|(key, _)| *key).collect();
        let mut homes = self.store.read().homes_of(&keys).await?;
        homes.retain(|(_, home)| next_door.contains_key(home));
        let theirs: BTreeSet<KeyId> = homes.iter().map(|(key, _)| *key).collect();
        ours.retain(|(key, _)| !theirs.contains(key));
        let older = next_door.values().find(|n| n.node.id < self.node && homes.iter().any(|(_, h)| *h == n.node.id));
        Ok(older.map(|older| {
            let clients = homes.iter().filter(|(_, home)| *home == older.node.id).count();
            format!(
                "its inbound is like that of node {}, and {} of that node's are on it: if the two are one server, delete \
                 this one by force; if it is a copy, remove those clients",
                older.node.name,
                counted(clients, "client")
            )
        }))
    }

    /// What somebody else changed on the panel is written down as events: for lines that had been confirmed.
    async fn report(
        &self,
        node: &NodeRecord,
        rows: &BTreeMap<ClientName, ClientRow>,
        drift: &[Drift],
    ) -> Result<(), SyncError> {
        let was_confirmed = |name: &ClientName| rows.get(name).is_some_and(|r| r.confirmed);
        let name = &node.node.name;
        let events = drift.iter().filter_map(|drift| {
            let message = match drift {
                Drift::Missing(client) if was_confirmed(client) => {
                    format!("node {name} lost client {client}; it is added again")
                }
                Drift::Changed { name: client, fields } if was_confirmed(client) => {
                    format!("client {client} was changed on node {name} ({}); it is set right", fields.join(", "))
                }
                Drift::Conflict { name: client } => {
                    format!("node {name} holds somebody else's client under our name {client}")
                }
                Drift::Missing(_) | Drift::Changed { .. } | Drift::Strangers { .. } => return None,
            };
            Some(Event { at: (self.clock)(), kind: "drift", node: Some(self.node), key: None, message })
        });
        let events: Vec<Event> = events.collect();
        if events.is_empty() {
            return Ok(());
        }
        tracing::warn!(node = %name, clients = events.len(), "node {name} differs from what was confirmed there");
        let tx = self.store.write().await?;
        tx.add_events(&events).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn desired(rows: &BTreeMap<ClientName, ClientRow>, flow: &str) -> Desired {
    let mut desired = Desired::default();
    for (name, row) in rows {
        match row.wanted {
            Some(wanted) => {
                desired.clients.insert(name.clone(), client(row, wanted, flow));
            }
            None => {
                desired.retired.insert(name.clone(), row.identity.clone());
            }
        }
    }
    desired
}
